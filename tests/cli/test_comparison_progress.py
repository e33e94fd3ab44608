"""A comparison as it goes on."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tamis.cli import comparison_progress as module


def test_a_line_when_somebody_begins_and_one_every_quarter(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(module, "err", Console(file=stream))
    with module.comparison_progress() as told:
        for done in range(101):
            told("llm:[x]", done, 100)
        told("comparing", 0, 1)
    assert stream.getvalue().splitlines() == [
        "llm:[x]  0 of 100",
        "llm:[x]  25 of 100",
        "llm:[x]  50 of 100",
        "llm:[x]  75 of 100",
        "llm:[x]  100 of 100",
        "comparing",
    ]


def test_nobody_is_told_what_nobody_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(module, "err", Console(file=stream))
    with module.comparison_progress(shown=False) as told:
        told("llm:x", 1, 2)
    assert stream.getvalue() == ""


def test_a_live_line_where_a_person_is_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(module, "err", Console(file=stream, force_terminal=True, width=80))
    with module.comparison_progress() as told:
        told("llm:[bold]x\x1b", 1, 2)
    shown = stream.getvalue()
    assert "llm:[bold]x" in shown
    assert "1/2" in shown
