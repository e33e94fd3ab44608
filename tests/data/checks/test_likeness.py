from tamis.data.checks.labels import LabelTally
from tamis.data.checks.likeness import EXAMPLES, examine
from tamis.data.duplicates import Fingerprints, loose_form
from tamis.schema import Example

LONG = "the parcel that I ordered from your shop last week has not arrived"


def look(**splits):
    """Examine (text, label) rows by split; label None is unknown."""
    prints, tally, ends, rows = Fingerprints(), LabelTally(), {}, 0
    for split, given in splits.items():
        for text, label in given:
            tally.add(Example(text, {"y": (label,)} if label else {"z": ("x",)}), split)
        prints.add([text for text, _ in given], [loose_form(text) for text, _ in given])
        tally.close(split)
        rows += len(given)
        ends[split] = rows
    return examine(prints, tally, ends)


def test_repeats_are_counted_by_split_and_kind():
    train = [("a b", "x"), ("a b", "x"), ("A  b", "x"), ("c", "x"), (LONG, "x"), (LONG + " yet", "x")]
    likeness, shown = look(train=train, test=[("c", "x")])
    first, second = likeness.repeats
    assert (first.split, first.exact, first.loose, first.near) == ("train", 1, 1, 1)
    assert (second.exact, second.loose, second.near) == (0, 0, 0)
    assert shown.groups["duplicates",] == [(0, 1)]
    assert shown.groups["loose_duplicates",] == [(0, 2)]
    assert shown.groups["near_duplicates",] == [(4, 5)]


def test_overlaps_are_counted_for_each_pair_of_splits():
    likeness, shown = look(
        train=[("one", "x"), ("two", "x"), (LONG, "x")],
        validation=[("ONE", "x"), ("three", "x")],
        test=[("one", "x"), ("three", "x"), ("four", "x"), (LONG + "!", "x")],
    )
    counted = {(lap.split, lap.other): (lap.same, lap.near) for lap in likeness.overlaps}
    assert counted == {("validation", "train"): (1, 0), ("test", "train"): (1, 1), ("test", "validation"): (2, 0)}
    assert likeness.overlaps[1].share == 0.25
    assert shown.groups["overlap", "test", "validation"] == [(3, 5), (4, 6)]
    assert shown.groups["near_overlap", "test", "train"] == [(2, 8)]


def test_the_same_text_with_other_labels_is_a_conflict():
    likeness, shown = look(train=[("one", "x"), ("ONE", "y"), ("one", "x"), ("two", "x"), ("two", None)])
    assert (likeness.conflicts, likeness.conflict_rows) == (1, 3)
    assert shown.groups["conflicting_labels",] == [(0, 1)]


def test_an_unknown_label_contradicts_nothing():
    likeness, _ = look(train=[("one", None), ("one", "x"), ("one", None)])
    assert likeness.conflicts == 0


def test_near_duplicates_with_other_labels_are_told():
    likeness, shown = look(train=[(LONG, "x"), (LONG + " yet", "y"), ("short", "x")])
    assert likeness.near_conflicts == 1
    assert shown.groups["near_conflicts",] == [(0, 1)]


def test_examples_are_few_and_the_first():
    likeness, shown = look(train=[("same", "x")] * 100)
    assert likeness.repeats[0].exact == 99
    assert shown.groups["duplicates",] == [(0, row) for row in range(1, EXAMPLES + 1)]
    assert shown.rows() == set(range(EXAMPLES + 1))


def test_nothing_is_like_nothing():
    likeness, shown = look(train=[])
    assert likeness.repeats == ()
    assert not shown.rows()
