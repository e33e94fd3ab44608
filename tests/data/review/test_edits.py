import numpy as np
import pytest
from pydantic import ValidationError

from tamis.data.dataset import build
from tamis.data.review.edits import EDITS, MaskText, RemoveRow, RenameLabel, SetLabels, applied
from tamis.schema import Example, as_chat


def data():
    rows = [
        ("one", {"intent": ("a",), "tags": ("x", "y")}),
        ("two", {"intent": ("b",), "tags": ()}),
        ("three", {"intent": ("c",)}),
        ("four", {"tags": ("Y",)}),
    ]
    return build(
        Example(text, labels, line, frozenset({"tags"}) & frozenset(labels))
        for line, (text, labels) in enumerate(rows, start=1)
    )


def labels(given, target):
    return [given.labels_of(target, row) for row in range(len(given))]


def test_rows_go_and_labels_nobody_carries_any_more_go_with_them():
    after, rows = applied(data(), [RemoveRow(row=2)])
    assert rows.tolist() == [0, 1, 3]
    assert after.target("intent").labels == ("a", "b")
    assert labels(after, "intent") == [("a",), ("b",), None]


def test_labels_are_set_made_unknown_and_new():
    edits = [
        SetLabels(row=0, target="intent", labels=("new",)),
        SetLabels(row=1, target="intent", labels=None),
        SetLabels(row=1, target="tags", labels=("x",)),
        SetLabels(row=3, target="tags", labels=()),
    ]
    after, _ = applied(data(), edits)
    assert labels(after, "intent") == [("new",), None, ("c",), None]
    assert labels(after, "tags") == [("x", "y"), ("x",), None, ()]


def test_a_renamed_label_becomes_one_with_its_namesake_and_stands_once():
    after, _ = applied(data(), [RenameLabel(target="tags", label="Y", into="y")])
    assert after.target("tags").labels == ("x", "y")
    assert labels(after, "tags")[3] == ("y",)
    after, _ = applied(data(), [RenameLabel(target="tags", label="x", into="y")])
    assert labels(after, "tags")[0] == ("y",)


def test_masked_texts_have_new_keys_and_chats_are_masked_turn_by_turn():
    chat = as_chat([{"role": "user", "content": "I am a@b.example.org"}])
    before = build([Example(chat, {"t": ("a",)}), Example("x", {"t": ("b",)})])
    after, _ = applied(before, [MaskText(row=0)])
    assert after.inputs[0][0].content == "I am [email]"
    assert after.keys[0] != before.keys[0]
    assert before.inputs[0] == chat


def test_nothing_to_do_is_the_same_data():
    before = data()
    after, rows = applied(before, [])
    assert after.content_hash() == before.content_hash()
    assert np.array_equal(rows, np.arange(4))


def test_edits_go_through_json():
    for edit in (
        RemoveRow(row=1),
        SetLabels(row=0, target="t", labels=("a",)),
        RenameLabel(target="t", label="a", into="b"),
    ):
        assert EDITS.validate_json(EDITS.dump_json(edit)) == edit
    with pytest.raises(ValidationError):
        EDITS.validate_python({"kind": "remove_row", "row": -1})
    with pytest.raises(ValidationError):
        EDITS.validate_python({"kind": "drop_table"})
