"""Numbers, sizes, times and other people's texts as pages show them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from math import ceil
from time import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tamis.store.records import FileRecord

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_STEPS = ((60, "second"), (60, "minute"), (24, "hour"), (30, "day"), (12, "month"), (float("inf"), "year"))
_TEXTS = re.compile(r"\.(csv|tsv|tab|psv|txt|jsonl|ndjson|json|log|md)$", re.IGNORECASE)
_FIGURES = {"accuracy": "accuracy", "micro_f1": "micro-F1"}


def plain(text: object) -> str:
    """Return a text without characters that no page can hold."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", str(text))


def cut(text: object, most: int = 120) -> str:
    """Return a text of so many characters at most."""
    whole = plain(text)
    return whole if len(whole) <= most else whole[: most - 1].rstrip() + "…"


def number(value: float | None, digits: int = 0) -> str:
    """Return a number with its thousands apart; a dash where there is none."""
    return "–" if value is None else f"{value:,.{digits}f}"


def percent(share: float | None) -> str:
    """Return a share of 1 as a percentage."""
    return "–" if share is None else f"{100 * share:.1f} %"


def size(n_bytes: int | None) -> str:
    """Return bytes in the unit that people read."""
    if n_bytes is None:
        return "–"
    value, units = float(n_bytes), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value /= 1000
        del units[0]
    return f"{value:,.0f} {units[0]}" if units[0] == "B" or value >= 100 else f"{value:,.1f} {units[0]}"


def binary(n_bytes: int) -> str:
    """Return bytes as people choose them: in powers of 1,024 where they are whole ones."""
    for unit, power in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if n_bytes and n_bytes % 2**power == 0:
            return f"{n_bytes >> power:,} {unit}"
    return size(n_bytes)


def seconds(value: float | None) -> str:
    """Return a duration as people say it."""
    if value is None:
        return "–"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def exact(moment: int) -> str:
    """Return a moment to the second, in UTC."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def iso(moment: int) -> str:
    """Return a moment as machines read it."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ago(moment: int, now: float | None = None) -> str:
    """Return how long ago a moment was, or how far ahead it is: what begins to pass is still whole."""
    away = (time() if now is None else now) - moment
    left = abs(away)
    if left < 10:
        return "just now"
    steps = list(_STEPS)
    while left >= steps[0][0]:
        left /= steps.pop(0)[0]
    unit = steps[0][1]
    count = int(left) if away > 0 else ceil(left)
    told = f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{told} ago" if away > 0 else f"in {told}"


def lines(file: FileRecord) -> str:
    """Return how many lines a file has, which a table's rows may be fewer than; nothing of what is no text."""
    if not file.num_lines or not _TEXTS.search(file.name):
        return ""
    return f"{file.num_lines:,} line{'' if file.num_lines == 1 else 's'}"


def figure_of(metrics: Mapping[str, Any], target: str) -> tuple[str, float | None, str]:
    """Return what a target of a model is judged by: the figure's name, its value, the rows that it was measured on.

    Nothing has checked a model's metrics: what is no share is passed over.
    """
    for source, rows in (("test", "test rows"), ("held_out", "held-out rows")):
        found = metrics.get(source)
        figures = found.get(target) if isinstance(found, dict) else None
        for key, name in _FIGURES.items():
            value = figures.get(key) if isinstance(figures, dict) else None
            if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
                return name, float(value), rows
    return "", None, ""
