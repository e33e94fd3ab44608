"""The program: exit codes, and messages instead of tracebacks."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tamis
from tamis.cli.app import ELSEWHERE, ORDER, app, main
from tamis.errors import InvalidSetting


@pytest.fixture
def failing() -> Iterator[list[BaseException]]:
    """A command that raises what is put into the list."""
    raised: list[BaseException] = []

    @app.command("fail")
    def fail() -> None:
        raise raised[0]

    yield raised
    app.registered_commands.pop()


def end_of(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    monkeypatch.setattr(sys, "argv", ["tamis", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (InvalidSetting("No [such] thing."), 1, "error invalid_setting  No [such] thing."),
        (PermissionError(13, "Permission denied", "/x/y"), 1, "error  /x/y: Permission denied. Make room, check"),
        (OSError(28, "No space left on device"), 1, "error  No space left on device. Make room"),
        (MemoryError(), 1, "There is not enough memory"),
        (KeyboardInterrupt(), 130, "Interrupted."),
    ],
)
def test_what_goes_wrong_is_told(monkeypatch, capsys, failing, error: BaseException, code: int, told: str):
    failing.append(error)
    assert end_of(monkeypatch, "fail") == code
    printed = capsys.readouterr()
    assert told in printed.err
    assert "Traceback" not in printed.err
    assert printed.out == ""


def test_a_defect_is_told_and_its_traceback_kept(monkeypatch, capsys, failing, tmp_path: Path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    failing.append(ZeroDivisionError("by zero"))
    assert end_of(monkeypatch, "fail") == 1
    told = capsys.readouterr().err
    (kept,) = tmp_path.iterdir()
    assert f"(ZeroDivisionError: by zero). The details are in {kept}" in told
    assert "Traceback" in kept.read_text()
    assert "Traceback" not in told


def test_with_json_errors_are_an_object_too(monkeypatch, capsys):
    assert end_of(monkeypatch, "evaluate", "nowhere", "nothing.jsonl", "--json") == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)["error"]["code"] == "unknown_model"
    assert "error unknown_model" in printed.err


@pytest.mark.parametrize("arguments", [["nonsense"], ["train"], ["train", "x", "--seed", "y"], ["check", "--nonsense"]])
def test_wrong_usage_ends_with_2(monkeypatch, capsys, arguments: list[str]):
    assert end_of(monkeypatch, *arguments) == 2
    assert "Error" in capsys.readouterr().err


def test_what_others_call_a_command_leads_to_it(monkeypatch, capsys):
    assert end_of(monkeypatch, "predict", "model", "a text") == 2
    assert "No such command 'predict'. Did you mean 'classify'?" in capsys.readouterr().err
    assert not ELSEWHERE.keys() & set(ORDER)
    assert {each.partition(" ")[0] for each in ELSEWHERE.values()} <= set(ORDER)


def test_help_ends_with_0_and_names_the_commands(monkeypatch, capsys):
    assert end_of(monkeypatch, "--help") == 0
    assert tuple(re.findall(r"^│ ([a-z]+) ", capsys.readouterr().out, re.MULTILINE)) == ORDER


def test_the_version_is_told(monkeypatch, capsys):
    assert end_of(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"tamis {tamis.__version__}\n"


def test_a_place_is_not_turned_into_a_picture(
    failing: list[BaseException], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    failing.append(InvalidSetting("rows.jsonl:100: a :bug: in row :1234:"))
    end_of(monkeypatch, "fail")
    assert "rows.jsonl:100: a :bug: in row :1234:" in capsys.readouterr().err
