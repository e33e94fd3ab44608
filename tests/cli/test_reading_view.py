"""What was read and what was left out, in the terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tamis.cli import reading_view
from tamis.cli.reading_view import SHOWN, files_table, say_left_out
from tamis.cli.train import _telling
from tamis.data.formats import Detected
from tamis.data.loading import Tally
from tamis.data.rows import Note, Rejected
from tamis.ml.progress import Progress

BAD = tuple(Rejected("a/rows.csv", n, "no_text", "No text\x1b[2J", "Give one.") for n in range(1, 9))
TALLY = Tally(
    "a/rows.csv",
    "train",
    1234,
    20,
    {"no_text": 20},
    BAD,
    Detected("csv", delimiter=";"),
    (Note("extra_key", "id", 3, 1),),
)


@pytest.fixture
def stderr(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    stream = io.StringIO()
    monkeypatch.setattr(reading_view, "err", Console(file=stream, width=200))
    return stream


def test_a_training_says_its_remarks_as_they_come(stderr: io.StringIO):
    heard: list[Progress] = []
    listen = _telling(heard.append, None)
    listen(Progress("loading the base model", 0.02, remark="lora_rank = 2 does nothing\x1b[2J."))
    listen(Progress("fine-tuning", 0.1))
    assert stderr.getvalue() == "note  lora_rank = 2 does nothing\\x1b[2J.\n"
    assert [each.stage for each in heard] == ["loading the base model", "fine-tuning"]


def test_the_first_rows_are_told_one_by_one_and_the_others_counted(stderr: io.StringIO, tmp_path):
    say_left_out([TALLY], {"test": [Note("split_found", "x: test", 1, 0)]}, tmp_path / "bad.jsonl")
    lines = stderr.getvalue().splitlines()
    assert lines[0] == "left out  a/rows.csv:1: No text\\x1b[2J. Give one."
    assert lines[SHOWN] == f"left out  ... and {20 - SHOWN} more rows of a/rows.csv"
    assert lines[SHOWN + 1] == "note  rows.csv: a key or column that is not read (id): 3 times, first on line 1"
    assert lines[SHOWN + 2] == "note  test data: a split that the dataset has of its own is used (x: test)"
    assert lines[SHOWN + 3] == f"note  all 20 are in {tmp_path / 'bad.jsonl'}"


def test_nothing_left_out_is_nothing_said(stderr: io.StringIO, tmp_path):
    say_left_out([Tally("a", "train", 5, 0)], {}, tmp_path)
    assert stderr.getvalue() == ""


@pytest.mark.parametrize(("rejected", "head"), [(20, "left out"), (0, "")])
def test_the_files_stand_in_a_table(rejected: int, head: str):
    console = Console(file=io.StringIO(), width=80)
    console.print(files_table([Tally("a/rows.csv", "train", 1234, rejected, detected=Detected("csv", delimiter=";"))]))
    table = console.file.getvalue()
    assert table.splitlines()[1].split()[:3] == ["rows.csv", "train", "1,234"]
    assert ("left out" in table) == bool(head)
    assert "delimiter semicolon" in " ".join(table.split())
