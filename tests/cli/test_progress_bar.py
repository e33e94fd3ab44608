"""The progress of a run: a live line for people, few plain lines for logs."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tamis.cli import progress_bar as module
from tamis.cli.progress_bar import progress_bar
from tamis.ml.progress import Progress

RUN = [Progress("reading", 0.0), *(Progress("fitting", n / 100) for n in range(1, 90)), Progress("done", 1.0)]
CHECKPOINT = Progress("fitting", 0.5, {"epoch": 2.5, "valid_loss": 0.1234})


def told(monkeypatch: pytest.MonkeyPatch, steps: list[Progress], *, terminal: bool, **how: bool) -> str:
    stream = io.StringIO()
    monkeypatch.setattr(module, "err", Console(file=stream, force_terminal=terminal, width=80))
    with progress_bar(**how) as listener:
        for step in steps:
            listener(step)
    return stream.getvalue()


def test_a_log_gets_a_line_every_tenth(monkeypatch: pytest.MonkeyPatch):
    lines = told(monkeypatch, RUN, terminal=False).splitlines()
    assert lines[0] == "  0%  reading"
    assert lines[-1] == "100%  done"
    assert len(lines) == 10
    assert told(monkeypatch, [CHECKPOINT], terminal=False) == " 50%  fitting · pass 2.5, loss 0.123\n"


def test_a_log_may_get_nothing(monkeypatch: pytest.MonkeyPatch):
    assert told(monkeypatch, RUN, terminal=False, only_live=True) == ""


@pytest.mark.parametrize("only_live", [False, True])
def test_a_person_sees_one_live_line_that_goes(monkeypatch: pytest.MonkeyPatch, only_live: bool):
    seen = told(monkeypatch, [CHECKPOINT], terminal=True, only_live=only_live)
    assert "fitting" in seen
    assert "pass 2.5" in seen
    assert seen.endswith("\x1b[2K"), "the line is wiped at the end"
