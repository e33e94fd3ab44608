"""Lines from all over a file: whole ones, in any encoding, however the file is cut."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from tamis.data.formats import ReadOptions, spread
from tamis.data.formats.jsonl import JsonSource
from tamis.data.formats.opening import DataFile, open_text
from tamis.data.formats.spread import PLACES, lines_from_all_over
from tamis.data.formats.tables import TableSource


def lines_of(path: Path, encoding: str | None = None, after: int = 0) -> list[list[str]]:
    return list(lines_from_all_over(open_text(path, path.name, encoding), after))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "cp1252"])
def test_lines_are_whole_and_from_everywhere(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "rows.txt"
    wanted = [f"line {n} é{'ä' * (n % 50)}\n" for n in range(9_000)]
    path.write_bytes("".join(wanted).encode(encoding))
    found = lines_of(path, None if encoding.endswith(("sig", "16", "32")) else encoding)
    assert {line for lines in found for line in lines} <= set(wanted)
    numbers = sorted(int(lines[0].split()[1]) for lines in found)
    assert len(set(numbers)) == len(numbers) == PLACES
    assert all(later - earlier < 3 * 9_000 / PLACES for earlier, later in pairwise(numbers))
    assert numbers[-1] > 8_900


def test_what_was_looked_at_is_left_out_and_nothing_comes_twice(tmp_path: Path) -> None:
    path = tmp_path / "rows.txt"
    path.write_text("".join(f"{n}\n" for n in range(40)))
    found = [int(lines[0]) for lines in lines_of(path, after=30)]
    assert set(found) <= set(range(31, 40))
    assert len(found) == len(set(found)) >= 8
    assert lines_of(path, after=40) == []


def test_the_last_line_needs_no_end(tmp_path: Path) -> None:
    path = tmp_path / "rows.txt"
    path.write_text("one\ntwo\nthree")
    assert {lines[0].strip() for lines in lines_of(path)} == {"two", "three"}


def test_lines_that_are_too_long_and_packed_files_give_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spread, "BLOCK", 100)
    path = tmp_path / "rows.txt"
    path.write_text(("x" * 500 + "\n") * 20)
    assert lines_of(path) == []
    assert list(lines_from_all_over(DataFile(path, "rows.txt", "gzip", "utf-8"), 0)) == []


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("lines", [1, 2, 4, 7])
def test_rows_of_quoted_cells_over_several_lines_are_whole(tmp_path: Path, seed: int, lines: int) -> None:
    path = tmp_path / "rows.csv"
    texts = [
        "\n".join(f'said, ""{n}"", and so on' if (n + seed + k) % 3 else f"plain, {n}" for k in range(1 + n % lines))
        for n in range(2_000)
    ]
    path.write_text("text,label\n" + "".join(f'"{text}",l{n % 7}\n' for n, text in enumerate(texts)))
    source = TableSource(open_text(path, path.name, None), ReadOptions(text_column="text", label_columns=("label",)))
    found = [cells for cells, _ in source.spread(1)]
    wanted = {(text.replace('""', '"'), f"l{n % 7}") for n, text in enumerate(texts)}
    assert {tuple(cells) for cells in found} <= wanted
    assert len(found) > PLACES / 2


def test_rows_of_json_are_read_and_bad_ones_told(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(
        "".join(
            json.dumps({"text": f"t{n}", "label": "ab"[n > 2_500]}) + "\n" if n % 9 else "{no\n" for n in range(5_000)
        )
    )
    source = JsonSource(open_text(path, path.name, None), ReadOptions(label_columns=("label",)))
    found = list(source.spread(0))
    assert {row.get("label") for row, _ in found} == {"a", "b", None}
    assert sum(not row for row, _ in found) == sum(type(made).__name__ == "Rejected" for _, made in found) > 5
