"""Settings: from the environment, from the home's file, or as documented; docs/reference/settings.md is whole."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tamis.errors import InvalidSetting
from tamis.settings import FILE, HOSTED_BASES, Settings, load_settings, origins

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "settings.md"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("TAMIS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TAMIS_HOME", str(tmp_path))
    return tmp_path


def write(home: Path, text: str) -> None:
    (home / FILE).write_text(text, encoding="utf-8")


def test_without_anything_they_are_the_defaults(monkeypatch: pytest.MonkeyPatch, home: Path):
    monkeypatch.setenv("TAMIS_HOME", "")
    monkeypatch.setenv("HOME", str(home))
    settings = load_settings()
    assert settings.home == home / ".tamis"
    assert settings.default_base_model == "static-en"


def test_the_environment_goes_before_the_file_and_the_file_before_the_default(
    home: Path, monkeypatch: pytest.MonkeyPatch
):
    write(home, 'max_nesting = 5\nmax_label_chars = 7\nbase_aliases = { fast = "static-en" }\n')
    monkeypatch.setenv("TAMIS_MAX_NESTING", "9")
    settings = load_settings()
    assert (settings.max_nesting, settings.max_label_chars, settings.max_line_bytes) == (9, 7, 10 * 2**20)
    assert settings.base_aliases == {"fast": "static-en"}
    assert settings.home == home


def test_a_tilde_is_the_users_home(monkeypatch: pytest.MonkeyPatch, home: Path):
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TAMIS_HOME", "~/models of mine")
    assert load_settings().home == home / "models of mine"


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("TAMIS_MAX_NESTING", "0", "variable TAMIS_MAX_NESTING: input should be greater than or equal to 1"),
        ("TAMIS_MAX_LINE_BYTES", "much", "variable TAMIS_MAX_LINE_BYTES: input should be a valid integer"),
        ("TAMIS_BASE_ALIASES", "x", "variable TAMIS_BASE_ALIASES is not JSON"),
        ("TAMIS_CORS_ORIGINS", "https://a.org", r'Write it like \["https://example.org"\]'),
        ("TAMIS_BASE_ALIASES", "[1]", "variable TAMIS_BASE_ALIASES: input should be a valid dictionary"),
    ],
)
def test_a_wrong_variable_is_named(variable: str, value: str, told: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidSetting, match=told):
        load_settings()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("max_nesting =", "cannot be read"),
        ("max_nesting = 0", "key max_nesting: input should be greater"),
        ("nestnig = 3", "key nestnig: there is no such setting. There are: base_aliases, "),
        ('home = "/elsewhere"', "Set the variable TAMIS_HOME"),
    ],
)
def test_a_wrong_file_is_told(text: str, told: str, home: Path):
    write(home, text)
    with pytest.raises(InvalidSetting, match=told):
        load_settings()


def test_a_home_that_is_a_file_has_no_settings(home: Path, monkeypatch: pytest.MonkeyPatch):
    (home / "file").write_text("x")
    monkeypatch.setenv("TAMIS_HOME", str(home / "file"))
    assert load_settings().max_nesting == 32


def test_names_of_hosted_base_models_stand_for_the_default(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TAMIS_DEFAULT_BASE_MODEL", "/models/mine")
    monkeypatch.setenv("TAMIS_BASE_ALIASES", '{"english": "static-en", "fast": "owner/fast"}')
    settings = load_settings()
    assert settings.resolve_base(None) == "/models/mine"
    assert settings.resolve_base("ministral-3b-latest") == "/models/mine"
    assert settings.resolve_base("english") == "static-en"
    assert settings.resolve_base("fast") == "owner/fast"
    assert settings.resolve_base("owner/other") == "owner/other"


def test_each_setting_is_documented_once_with_its_default():
    page = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(TAMIS_\w+)` \| `(\w+)`[^|]*\| ([^|]+) \|", page, re.MULTILINE)
    expected = {(f"TAMIS_{name.upper()}", name) for name in Settings.model_fields if name != "home"}
    assert sorted((variable, key) for variable, key, _ in rows) == sorted(expected)
    defaults = {key: default.strip().strip("`") for _, key, default in rows}
    for name, field in Settings.model_fields.items():
        if name in defaults and isinstance(field.default, int | str):
            assert defaults[name].replace(",", "") == (str(field.default) or "none")
    assert page.count("| `TAMIS_HOME` |") == 1
    assert all(f"`{name}`" in page for name in HOSTED_BASES)


def test_origins_tell_where_each_value_was_chosen(home: Path, monkeypatch: pytest.MonkeyPatch):
    (home / "tamis.toml").write_text("max_nesting = 5\nmax_labels = 7\nmax_inputs = 2048\n")
    monkeypatch.setenv("TAMIS_MAX_LABELS", "9")
    found = origins(load_settings().model_copy(update={"max_messages": 3}))
    assert found.keys() == Settings.model_fields.keys()
    assert (found["max_labels"], found["max_nesting"], found["max_messages"]) == ("variable", "file", "code")
    assert (found["max_inputs"], found["max_dry_runs"]) == ("", "")
