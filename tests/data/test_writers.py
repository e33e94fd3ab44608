"""What is written is read back the same; files appear whole, together, and never over others unasked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.data.dataset import build
from tamis.data.formats import open_source
from tamis.data.writers import Row, rows_of, write_jsonl
from tamis.errors import InvalidSetting, OutputExists
from tamis.schema import Example, Message

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(lambda text: text.strip())


def rows(*examples: Example) -> list[Row]:
    data = build(examples)
    return list(rows_of(data, np.arange(len(data))))


def test_single_label_is_a_string_multi_label_a_list():
    found = rows(
        Example("one", {"intent": ("refund",), "topics": ("billing", "app")}, 1, frozenset({"topics"})),
        Example("two", {"topics": ()}, 2, frozenset({"topics"})),
        Example("three", {"intent": ("other",)}, 3),
    )
    assert found == [
        {"text": "one", "labels": {"intent": "refund", "topics": ["billing", "app"]}},
        {"text": "two", "labels": {"topics": []}},
        {"text": "three", "labels": {"intent": "other"}},
    ]


def test_a_row_of_which_nothing_is_known_keeps_its_targets_as_null():
    assert rows(Example("one", {"intent": ("a",)}), Example("two", {}))[1] == {
        "text": "two",
        "labels": {"intent": None},
    }


def test_chats_are_messages():
    chat = (Message("system", "Be kind."), Message("user", "Hello"))
    assert rows(Example(chat, {"y": ("a",)}))[0]["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hello"},
    ]


def test_rows_come_in_the_order_asked_for():
    data = build(Example(f"text {i}", {"y": ("a",)}) for i in range(4))
    assert [row["text"] for row in rows_of(data, np.array([2, 0]))] == ["text 2", "text 0"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(TEXTS, st.sampled_from("abc"), st.lists(st.sampled_from("uvw"), unique=True)), min_size=1))
def test_is_read_back_the_same(tmp_path_factory, given_rows):
    path = tmp_path_factory.mktemp("written") / "rows.jsonl"
    data = build(
        Example(text, {"one": (label,), "several": tuple(labels)}, line, frozenset({"several"}))
        for line, (text, label, labels) in enumerate(given_rows, start=1)
    )
    write_jsonl({path: rows_of(data, np.arange(len(data)))})
    again = build(open_source(path))
    assert list(again.inputs) == list(data.inputs)
    assert again.content_hash() == data.content_hash()


def test_half_a_surrogate_pair_is_escaped(tmp_path: Path):
    write_jsonl({tmp_path / "a.jsonl": [{"text": "odd \ud83d", "labels": {"y": "é"}}]})
    assert json.loads((tmp_path / "a.jsonl").read_text(encoding="utf-8"))["text"] == "odd \ud83d"


def test_makes_folders_and_leaves_nothing_else(tmp_path: Path):
    paths = [tmp_path / "deep" / "er" / name for name in ("a.jsonl", "b.jsonl")]
    write_jsonl({path: [{"text": path.stem}] for path in paths})
    assert sorted(tmp_path.rglob("*.*")) == paths
    assert paths[1].read_bytes() == b'{"text": "b"}\n'


def test_nothing_is_written_where_one_file_is_there(tmp_path: Path):
    (tmp_path / "b.jsonl").write_text("old")
    with pytest.raises(OutputExists, match=r"b\.jsonl is already there.*--force"):
        write_jsonl({tmp_path / "a.jsonl": [{"text": "a"}], tmp_path / "b.jsonl": [{"text": "b"}]})
    assert [path.name for path in tmp_path.iterdir()] == ["b.jsonl"]
    assert (tmp_path / "b.jsonl").read_text() == "old"


def test_overwrites_when_told(tmp_path: Path):
    (tmp_path / "a.jsonl").write_text("old and much longer than the new one")
    write_jsonl({tmp_path / "a.jsonl": [{"text": "a"}]}, overwrite=True)
    assert (tmp_path / "a.jsonl").read_text() == '{"text": "a"}\n'


def test_a_failure_on_the_way_leaves_all_as_it_was(tmp_path: Path):
    def failing() -> Iterator[Row]:
        yield {"text": "first"}
        raise RuntimeError("the second row cannot be had")

    (tmp_path / "a.jsonl").write_text("old")
    with pytest.raises(RuntimeError):
        write_jsonl({tmp_path / "a.jsonl": [{"text": "new"}], tmp_path / "b.jsonl": failing()}, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]
    assert (tmp_path / "a.jsonl").read_text() == "old"


@pytest.mark.parametrize("place", ["file/a.jsonl", "folder"])
def test_says_what_cannot_be_written(tmp_path: Path, place: str):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InvalidSetting, match="cannot be written"):
        write_jsonl({tmp_path / place: [{"text": "a"}]}, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
