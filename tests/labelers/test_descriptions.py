"""What labels mean, as a file says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tamis.errors import InvalidSetting, UnreadableFile
from tamis.labelers.descriptions import MOST_BYTES, read_descriptions


def test_a_file_says_what_labels_mean(tmp_path: Path) -> None:
    (tmp_path / "d.json").write_text('{"intent": {"refund": "wants money back"}, "topics": {}}')
    assert read_descriptions(tmp_path / "d.json") == {"intent": {"refund": "wants money back"}, "topics": {}}


@pytest.mark.parametrize("content", ["", "[]", '{"intent": "x"}', '{"intent": {"a": 1}}', "{", "\x00", "[" * 100_000])
def test_anything_else_is_refused_with_an_example(tmp_path: Path, content: str) -> None:
    (tmp_path / "d.json").write_text(content)
    with pytest.raises(InvalidSetting, match="write JSON like"):
        read_descriptions(tmp_path / "d.json")


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="cannot be read"):
        read_descriptions(tmp_path / "missing.json")
    with pytest.raises(UnreadableFile):
        read_descriptions(tmp_path)
    (tmp_path / "large.json").write_bytes(b" " * (MOST_BYTES + 1))
    with pytest.raises(InvalidSetting):
        read_descriptions(tmp_path / "large.json")
