"""What terminal views are made of."""

from __future__ import annotations

import pytest

from tamis.cli.layout import bar, commands, cut, plain, sparkline


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([], ""),
        ([1.0], "▁"),
        ([3.0, 3.0, 3.0], "▁▁▁"),
        ([0.0, 7.0], "▁█"),
        ([7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0], "█▇▆▅▄▃▂▁"),
    ],
)
def test_a_sparkline_goes_from_the_lowest_to_the_highest(values: list[float], line: str):
    assert sparkline(values, 10) == line


def test_a_long_sparkline_keeps_both_ends():
    line = sparkline([float(n) for n in range(1000)], 8)
    assert line == "▁▂▃▄▅▆▇█"


def test_bars_show_what_is_not_next_to_nothing():
    assert [len(bar(share, 20, "").plain) for share in (0.0, 0.004, 0.005, 0.5, 1.0)] == [0, 0, 1, 10, 20]


def test_text_is_one_line_that_cannot_steer_the_terminal():
    assert plain("a\n\tb\x1b[2J") == "a b\\x1b[2J"
    assert cut("abcdef", 4) == "abc…"
    assert cut("abcd", 4) == "abcd"


def test_what_commands_are_for_stands_in_one_column():
    first, second = commands({"a": "one", "abc": "two"}).plain.splitlines()
    assert (first, second) == ("  a    one", "  abc  two")
