import numpy as np

from tamis.data.dataset import build
from tamis.data.review.corpus import Corpus
from tamis.data.review.edits import RemoveRow
from tamis.data.review.repeats import find_repeats, repeat_findings
from tamis.schema import Example, as_chat


def corpus(train, **measured):
    first = build(
        [Example(text, {"t": (label,)} if label else {}, line) for line, (text, label) in enumerate(train, 1)]
    )
    splits = {"train": first}
    for name, rows in measured.items():
        examples = [Example(text, {"t": (label,)}, line) for line, (text, label) in enumerate(rows, 1)]
        splits[name] = build(examples, first.targets)
    return Corpus(splits, {"train": [("train.jsonl", len(train))]})


def findings(given):
    return {finding.code: finding for finding in repeat_findings(given, find_repeats(given))}


def test_repeats_with_the_same_label_keep_the_first():
    found = findings(corpus([("a b", "x"), ("A  B", "x"), ("c", "y")]))
    assert list(found) == ["duplicates"]
    item = found["duplicates"].items[0]
    assert item.edits == (RemoveRow(row=1),)
    assert [place.line for place in item.rows] == [2, 1]
    assert item.rows[0].file == "train.jsonl"


def test_a_conflict_leaves_the_majority_or_nobody():
    found = findings(corpus([("a", "x"), ("a", "x"), ("a", "y"), ("b", "x"), ("b", "y"), ("c", "x")]))
    conflicts = found["conflicts"]
    assert conflicts.count == len(conflicts.items) == 2
    assert "(5 rows)" in conflicts.message
    assert [tuple(edit.row for edit in item.edits) for item in conflicts.items] == [(2,), (3, 4)]
    assert "most rows" in conflicts.items[0].told


def test_a_row_that_says_nothing_contradicts_nobody():
    found = findings(corpus([("a", "x"), ("a", None), ("b", "y")]))
    assert set(found) == {"duplicates"}


def test_training_rows_that_stand_in_the_test_data_leak():
    found = findings(corpus([("a", "x"), ("b", "y"), ("c", "x")], test=[("B", "y"), ("d", "x")]))
    leaks = found["leaks"]
    assert leaks.count == 1
    assert [(place.split, place.line) for place in leaks.items[0].rows] == [("train", 2), ("test", 1)]


def test_near_duplicates_that_disagree_have_to_be_looked_at():
    long = "please tell me when the parcel that i ordered last week will finally arrive at my house"
    found = findings(corpus([(long, "x"), (long + " now", "y"), (long + " today", "x")]))
    assert found["near_conflicts"].fix is None
    assert not found["near_conflicts"].items[0].edits


def test_rows_to_measure_on_that_are_nearly_training_rows():
    long = "please tell me when the parcel that i ordered last week will finally arrive at my house"
    found = findings(corpus([("a", "y"), (long, "x")], test=[(long + " now", "x"), ("b", "x"), (long + " then", "x")]))
    leaks = found["near_leaks"]
    assert (leaks.count, leaks.severity, leaks.items[0].edits) == (1, "warning", (RemoveRow(row=1),))
    assert [(place.split, place.line) for place in leaks.items[0].rows] == [("train", 2), ("test", 1)]
    assert leaks.message.startswith("2 rows of the test data nearly repeat 1 row")
    assert "near_leaks" not in findings(corpus([(long, "x"), (long + " now", "x")]))


def test_all_rows_the_same():
    found = findings(corpus([("a", "x")] * 50))
    assert found["duplicates"].count == 49
    assert found["duplicates"].severity == "warning"


def test_chats_are_compared_as_a_whole():
    def chat(text):
        return as_chat([{"role": "user", "content": text}])

    first = build([Example(chat("hi"), {"t": ("a",)}), Example(chat("hi"), {"t": ("a",)}), Example(chat("no"), {})])
    assert findings(Corpus({"train": first}))["duplicates"].count == 1


def test_sets_of_labels_are_compared_and_their_order_is_not():
    rows = [Example("a", {"t": ("x", "y")}, 1, frozenset({"t"})), Example("a", {"t": ("y", "x")}, 2, frozenset({"t"}))]
    given = Corpus({"train": build([*rows, Example("a", {"t": ()}, 3, frozenset({"t"}))])})
    assert given.differ(np.array([1, 2]), np.array([0, 0])).tolist() == [False, True]
