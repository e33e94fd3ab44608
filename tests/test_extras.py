"""Optional libraries: what is missing is named with the command that brings it, and that command exists."""

import re
import tomllib
from pathlib import Path

import pytest

from tamis.errors import MissingExtra
from tamis.extras import require

ROOT = Path(__file__).parents[1]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
USED = {
    (module.partition(".")[0], extra)
    for path in (ROOT / "src").rglob("*.py")
    for module, extra in re.findall(r'require\("([\w.]+)", "(\w+)"\)', path.read_text(encoding="utf-8"))
}
CALLED = {"mlflow": "mlflow_skinny"}
"""Distributions that are called otherwise than their module."""


def test_what_is_installed_is_returned():
    assert require("json", "data").loads("1") == 1


def test_what_is_missing_is_named_with_its_cure():
    with pytest.raises(MissingExtra, match=r"no_such_module is needed here: pip install 'tamis\[data\]'") as caught:
        require("no_such_module", "data")
    assert caught.value.context == {"module": "no_such_module", "extra": "data"}


def test_the_extras_that_the_code_names_bring_the_library():
    assert USED
    for module, extra in USED:
        brought = {re.match(r"[\w-]+", wanted)[0].replace("-", "_") for wanted in EXTRAS[extra]}
        assert CALLED.get(module, module) in brought, module


def test_all_are_all_but_those_to_work_on_tamis():
    assert set(EXTRAS["all"]) == {f"tamis[{extra}]" for extra in EXTRAS.keys() - {"all", "dev"}}


def test_each_extra_is_explained():
    page = (ROOT / "docs" / "decisions" / "0001-dependencies.md").read_text(encoding="utf-8")
    for extra in EXTRAS:
        assert f"| {extra} |" in page


def test_callers_of_a_server_are_told_whom_to_ask():
    with pytest.raises(MissingExtra) as caught:
        require("no_such_library", "data")
    assert caught.value.message == (
        "no_such_library is needed here: pip install 'tamis[data]', or '.[data]' in the folder of Tamis' sources"
    )
    assert "operator" in caught.value.for_callers
