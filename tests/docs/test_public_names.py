"""The public names of the package: there, lazy, and documented."""

import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tamis
from tamis.examples import EXAMPLES, example_path

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "python.md"


@pytest.mark.parametrize("name", tamis.__all__)
def test_every_public_name_is_there_and_documented(name):
    assert getattr(tamis, name) is not None
    assert name in dir(tamis)
    assert name == "__version__" or f"`tamis.{name}" in PAGE.read_text(encoding="utf-8")


def test_names_are_what_their_modules_have():
    for name, module in tamis._PLACES.items():
        assert getattr(tamis, name) is getattr(importlib.import_module(module), name)
    assert set(tamis._PLACES) | {"__version__", "errors"} == set(tamis.__all__)


def test_other_names_are_missed_as_usual():
    with pytest.raises(AttributeError, match="'tamis' has no attribute 'nothing'"):
        _ = tamis.nothing
    assert not hasattr(tamis, "nothing")


def test_the_page_names_nothing_that_is_not_there():
    for name in re.findall(r"`tamis\.(\w+)", PAGE.read_text(encoding="utf-8")):
        assert hasattr(tamis, name), name


def test_the_code_on_the_page_runs(tmp_path):
    for example in EXAMPLES:
        shutil.copy(example_path(example), tmp_path)
    code = "\n".join(re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE))
    assert "tamis.train(" in code
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "refund-model" / "manifest.json").exists()
