"""Numbers, sizes and times as people read them."""

import pytest

from tamis.store.records import FileRecord
from tamis.web.dashboard import formats


@pytest.mark.parametrize(
    ("n_bytes", "told"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (123_456, "123 kB"), (10**16, "10,000 TB"), (None, "–")],
)
def test_sizes(n_bytes: int | None, told: str) -> None:
    assert formats.size(n_bytes) == told


@pytest.mark.parametrize(
    ("away", "told"),
    [
        (3, "just now"),
        (61, "1 minute ago"),
        (7200, "2 hours ago"),
        (-86_400 * 3, "in 3 days"),
        (3 - 86_400 * 7, "in 7 days"),
        (86_400 * 800, "2 years ago"),
        (10**12, "32150 years ago"),
    ],
)
def test_times(away: int, told: str) -> None:
    assert formats.ago(0, away) == told


@pytest.mark.parametrize(("value", "told"), [(0.4, "0 s"), (75, "1 min 15 s"), (3700, "1 h 1 min"), (None, "–")])
def test_durations(value: float | None, told: str) -> None:
    assert formats.seconds(value) == told


def test_texts_are_cut_and_printable() -> None:
    assert formats.cut("a" * 10, 5) == "aaaa…"
    assert formats.plain("a\x00b\ud800") == "a\ufffdb\ufffd"


@pytest.mark.parametrize(
    "metrics", [{}, {"test": 3}, {"test": {"t": {"accuracy": "x"}}}, {"held_out": {"t": {"accuracy": 7}}}]
)
def test_figures_that_are_none(metrics: dict) -> None:
    assert formats.figure_of(metrics, "t") == ("", None, "")


@pytest.mark.parametrize(
    ("name", "num_lines", "told"),
    [("a.csv", 1199, "1,199 lines"), ("a.JSONL", 1, "1 line"), ("bild.png", 23, ""), ("a.csv.gz", None, "")],
)
def test_lines_of_what_is_text(name: str, num_lines: int | None, told: str) -> None:
    kept = {"purpose": "fine-tune", "source": "upload", "sample_type": "instruct", "sha256": "", "key": ""}
    file = FileRecord(id="f", name=name, bytes=1, created_at=0, num_lines=num_lines, **kept)
    assert formats.lines(file) == told
