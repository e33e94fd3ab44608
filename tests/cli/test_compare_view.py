"""A comparison in the terminal: readable with two contenders or ten, wide or narrow."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from evaluation.comparisons import HOSTILE, comparison_of, multi_contest, single_contest
from tamis.cli.compare_view import show


def printed(comparison, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False, emoji=False)
    show(comparison, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


TEN = {f"models/a-long-name-of-a-model-{at}": 0.05 * at for at in range(9)} | {"llm:x": 0.1}


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_it_fits_any_width_and_keeps_what_matters(width: int) -> None:
    told = printed(comparison_of(single_contest(TEN), multi_contest(TEN)), width)
    assert max(map(len, told.splitlines())) <= width
    for line in (line for line in told.splitlines() if line.startswith("models/a")):
        assert "%" in line or " ms" in line
    assert "< 0.001" in told


def test_wide_terminals_show_more() -> None:
    made = comparison_of(single_contest(TEN))
    narrow, wide = (_head(printed(made, width)) for width in (60, 160))
    assert "95% interval" not in narrow
    assert wide.count("95% interval") == 2
    assert "calibration error" in wide


def _head(told: str) -> str:
    return next(line for line in told.splitlines() if line.startswith("contender"))


def test_dashes_failures_and_notes() -> None:
    told = printed(comparison_of(single_contest({"shop": 0.1, "llm:x": 0.2})), 160)
    row = next(line for line in told.splitlines() if line.startswith("llm:x") and "–" in line)
    assert "%" in row
    assert "3 refused, 1 over budget" in told
    assert "! 3 of the 200 texts are in the training data too." in told
    assert "Measured on 200 rows of test.jsonl." in told
    assert "llm:x: 3 rows refused: I would rather not <b>" in told


def test_names_cannot_steer_the_terminal() -> None:
    told = printed(comparison_of(single_contest({f"a {HOSTILE}": 0.1, "b [red]": 0.5})), 120)
    assert "\x1b" not in told
    assert "b [red]" in told
