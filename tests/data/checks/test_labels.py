import pytest

from tamis.data.checks import labels as module
from tamis.data.checks.labels import LabelTally
from tamis.schema import Example, Kind


def example(listed=(), **labels):
    return Example("text", labels, listed=frozenset(listed))


def tally_of(**splits):
    tally = LabelTally()
    for split, examples in splits.items():
        for one in examples:
            tally.add(one, split)
        tally.close(split)
    return tally


def only(tally):
    (report,) = tally.reports()
    return report


def test_counts_by_label_and_split():
    report = only(tally_of(train=[example(y=("a",))] * 3 + [example(y=("b",))], test=[example(y=("b",))]))
    assert report.kind is Kind.SINGLE_LABEL
    assert {label.label: dict(label.rows) for label in report.labels} == {
        "a": {"train": 3},
        "b": {"train": 1, "test": 1},
    }
    assert report.known == {"train": 4, "test": 1}
    assert (report.ratio, report.as_list, report.as_string) == (3.0, 0, 5)


def test_unknown_is_kept_apart_from_no_label():
    rows = [example(["m"], m=("a", "b")), example(["m"], m=()), example(other=("x",))]
    multi, other = tally_of(train=rows).reports()
    assert multi.kind is Kind.MULTI_LABEL
    assert (multi.known["train"], multi.unknown["train"], multi.without_label["train"]) == (2, 1, 1)
    assert other.unknown["train"] == 2
    assert multi.labels_per_row["train"] == {0: 1, 2: 1}


def test_pairs_of_labels_are_counted():
    rows = [example(["m"], m=("b", "a"))] * 3 + [example(["m"], m=("a",))] * 2 + [example(["m"], m=("c", "b", "a"))]
    pairs = only(tally_of(train=rows)).cooccurrence
    assert pairs.labels == ("a", "b", "c")
    assert pairs.rows == ((6, 4, 1), (4, 4, 1), (1, 1, 1))


def test_a_label_given_twice_counts_once():
    report = only(tally_of(train=[example(["m"], m=("a", "a"))]))
    assert report.labels[0].rows == {"train": 1}


def test_even_labels_are_as_varied_as_they_are_many():
    report = only(tally_of(train=[example(y=(label,)) for label in "abcd"]))
    assert report.effective_labels == pytest.approx(4.0)


def test_any_list_makes_a_target_multi_label_and_the_mixture_shows():
    report = only(tally_of(train=[example(y=("a",))] * 2, test=[example(["y"], y=("safe",))]))
    assert (report.kind, report.as_list, report.as_string) == (Kind.MULTI_LABEL, 1, 2)
    assert report.none_labels == ("safe",)


def test_rows_disagree_where_both_say_something_else():
    tally = tally_of(train=[example(y=("a",)), example(y=("b",)), example(z=("b",)), example(y=("a",), z=("c",))])
    first, second, third, fourth = tally.ids.tolist()
    assert tally.disagreeing([first, second]) == ["y"]
    assert tally.disagreeing([first, third]) == []
    assert tally.disagreeing([first, fourth]) == []
    assert tally.disagreeing([third, fourth]) == ["z"]


def test_the_order_of_labels_is_no_disagreement():
    tally = tally_of(train=[example(["m"], m=("a", "b")), example(["m"], m=("b", "a"))])
    assert tally.disagreeing(tally.ids.tolist()) == []


def test_the_only_target_of_another_split_is_the_same_by_another_name():
    tally = tally_of(train=[example(label=("a",))], test=[example(intent=("b",))])
    report = only(tally)
    assert (report.name, report.other_names) == ("label", ("intent",))
    assert tally.disagreeing(tally.ids.tolist()) == ["label"]


def test_more_combinations_than_are_remembered_are_still_counted_and_compared(monkeypatch):
    monkeypatch.setattr(module, "MOST_COMBINATIONS", 2)
    rows = [example(y=(label,)) for label in ("a", "b", "c", "d", "c")]
    tally = tally_of(train=rows)
    assert {label.label: label.rows["train"] for label in only(tally).labels} == {"a": 1, "b": 1, "c": 2, "d": 1}
    ids = tally.ids.tolist()
    assert ids[2] == ids[4]
    assert tally.disagreeing([ids[2], ids[3]]) == [""]
    assert tally.disagreeing([ids[2]]) == []


def test_labels_and_targets_without_end_are_bounded(monkeypatch):
    monkeypatch.setattr(module, "MOST_LABELS", 3)
    monkeypatch.setattr(module, "MOST_TARGETS", 2)
    report = only(tally_of(train=[example(y=(str(number),)) for number in range(10)]))
    assert (len(report.labels), report.more_labels, report.known["train"]) == (3, True, 10)
    tally = tally_of(train=[example(**{f"t{number}": ("a",)}) for number in range(5)])
    assert len(tally.reports()) == 2
    assert tally.more_targets
