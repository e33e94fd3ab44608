"""Targets that a caller declares, and data with weights."""

import numpy as np
import pytest

from tamis.data.dataset import build, require_learnable
from tamis.data.declared import Declarations, DeclaredTarget, with_none_labels
from tamis.data.loading import Weighted, load_splits
from tamis.errors import InvalidSetting, NothingToLearn, TooManyBadRows
from tamis.schema import Example, Kind, Target


def example(line=1, weight=1.0, **labels):
    listed = frozenset(name for name, given in labels.items() if isinstance(given, list))
    named = {name: tuple(given) if isinstance(given, list) else (given,) for name, given in labels.items()}
    return Example(f"text {line}", named, line, listed, weight)


ROWS = [example(1, t="b", m=["x"]), example(2, t="a", m=[]), example(3, t="c", m=["y", "x"]), example(4, t="a")]


def loaded(*targets, rows=ROWS, validation=None, **chosen):
    return load_splits(iter(rows), validation, declared=Declarations(targets), **chosen)


class TestWhatIsDeclared:
    def test_targets_and_labels_keep_their_order(self):
        found = loaded(DeclaredTarget("m", ("y", "x")), DeclaredTarget("t", ("c", "a", "b"))).train
        assert [target.name for target in found.targets] == ["m", "t"]
        assert found.target("t").labels == ("c", "a", "b")
        assert found.truth["t"].codes.tolist() == [2, 1, 0, 1]
        assert found.target("m").kind is Kind.MULTI_LABEL
        assert found.labels_of("m", 2) == ("y", "x")

    def test_what_is_left_open_is_inferred(self):
        found = loaded(DeclaredTarget("t"), DeclaredTarget("m")).train
        assert found.target("t") == Target(name="t", kind=Kind.SINGLE_LABEL, labels=("a", "b", "c"))
        assert found.target("m") == Target(name="m", kind=Kind.MULTI_LABEL, labels=("x", "y"))

    def test_a_kind_is_taken_at_its_word(self):
        found = loaded(DeclaredTarget("t", kind=Kind.MULTI_LABEL)).train
        assert found.target("t").kind is Kind.MULTI_LABEL
        assert found.truth["t"].known.all()

    def test_a_target_stands_for_itself(self):
        target = Target(name="m", kind=Kind.MULTI_LABEL, labels=("y", "x"), none_labels=("y",))
        assert loaded(target).train.targets == (target,)

    def test_a_label_that_no_row_has_stays(self):
        found = loaded(DeclaredTarget("t", ("a", "b", "c", "rare"))).train
        assert found.target("t").labels[-1] == "rare"
        assert found.truth["t"].counts().tolist() == [2, 1, 1, 0]
        require_learnable(found)

    def test_usual_none_labels_are_found_unless_said_otherwise(self):
        rows = [example(1, m=["safe"]), example(2, m=["bad"])]
        assert loaded(DeclaredTarget("m", ("bad", "safe")), rows=rows).train.targets[0].none_labels == ("safe",)
        assert loaded(DeclaredTarget("m", none_labels=()), rows=rows).train.targets[0].none_labels == ()


class TestWhatIsNot:
    def test_other_targets_are_left_out_with_a_note(self):
        found = loaded(DeclaredTarget("t"))
        assert [target.name for target in found.train.targets] == ["t"]
        (note,) = found.notes["train"]
        assert (note.code, note.detail) == ("ignored_target", "m")

    def test_other_labels_make_bad_rows(self):
        with pytest.raises(TooManyBadRows, match=r":3: The label 'c' is not one of those declared for 't'"):
            loaded(DeclaredTarget("t", ("a", "b")))
        found = loaded(DeclaredTarget("t", ("a", "b")), max_bad_share=0.25)
        assert len(found.train) == 3
        assert found.tallies[0].codes == {"undeclared_label": 1}
        assert found.train.truth["t"].unseen == ()

    def test_other_labels_of_validation_data_are_misses(self):
        found = loaded(DeclaredTarget("t", ("a", "b", "c")), validation=iter([example(1, t="new")]))
        assert found.validation.truth["t"].unseen == ("new",)

    @pytest.mark.parametrize("split", ["train", "validation"])
    def test_several_labels_where_one_is_declared(self, split):
        target, twice = DeclaredTarget("m", kind=Kind.SINGLE_LABEL), [example(9, m=["x", "y"])]
        rows = [example(1, m=["x"]), example(2, m=["y"])]
        given = {"rows": rows + twice} if split == "train" else {"rows": rows, "validation": iter(twice + rows)}
        with pytest.raises(TooManyBadRows, match=r":9: The row has 2 labels for 'm', which is declared to be single"):
            loaded(target, **given)
        assert len(loaded(target, rows=rows + twice, max_bad_share=0.5).train) == 2

    def test_a_target_that_no_row_has_cannot_be_learnt(self):
        found = loaded(DeclaredTarget("t"), DeclaredTarget("nowhere", ("a", "b")))
        with pytest.raises(NothingToLearn, match=r"0 label.* 'nowhere'"):
            require_learnable(found.train)


@pytest.mark.parametrize(
    ("declare", "cause"),
    [
        (lambda: DeclaredTarget(" "), "no name"),
        (lambda: DeclaredTarget("t", ("a", "")), "without a name"),
        (lambda: DeclaredTarget("t", ("a", "b", "a")), "'a' twice"),
        (lambda: DeclaredTarget("t", weight=-1), "weight -1"),
        (lambda: DeclaredTarget("t", weight=float("nan")), "weight nan"),
        (lambda: DeclaredTarget("t", weight=float("inf")), "weight inf"),
        (lambda: DeclaredTarget("t", ("a",), none_labels=("b",)), "none label"),
        (lambda: Declarations([]), "No target"),
        (lambda: Declarations([DeclaredTarget("t"), DeclaredTarget("t")]), "same name"),
        (lambda: Declarations([DeclaredTarget("t", weight=0), DeclaredTarget("u", weight=0)]), "weight 0"),
        (lambda: Weighted("a.jsonl", 0), "weight of a.jsonl is 0"),
        (lambda: Weighted("a.jsonl", float("nan")), "is nan"),
        (lambda: Weighted([], -1), "weight of data is -1"),
    ],
)
def test_declarations_that_cannot_be_meant_are_refused(declare, cause):
    with pytest.raises(InvalidSetting, match=cause):
        declare()


class TestWeightsOfRows:
    def test_rows_of_a_file_weigh_what_was_said(self):
        found = load_splits([Weighted(ROWS[:2], 2.5), Weighted(iter(ROWS[2:]), 0.5)])
        assert found.train.weights.tolist() == [2.5, 2.5, 0.5, 0.5]
        assert [tally.weight for tally in found.tallies] == [2.5, 0.5]
        assert found.train.select(np.array([3, 0])).weights.tolist() == [0.5, 2.5]

    def test_paths_with_and_without_weight(self, tmp_path):
        for name in ("a.jsonl", "b.jsonl"):
            (tmp_path / name).write_text('{"text": "x", "labels": {"t": "' + name[0] + '"}}\n')
        found = load_splits([tmp_path / "a.jsonl", Weighted(tmp_path / "b.jsonl", 3)])
        assert found.train.weights.tolist() == [1, 3]

    def test_the_same_weight_everywhere_is_none(self):
        assert load_splits([Weighted(ROWS, 7)]).train.weights is None
        assert build(ROWS).weights is None

    def test_examples_may_bring_their_own(self):
        rows = [example(1, t="a"), example(2, 4.0, t="b"), example(3, t="a")]
        assert build(rows).weights.tolist() == [1, 4, 1]
        assert load_splits([Weighted(rows, 2)]).train.weights.tolist() == [2, 8, 2]

    def test_the_hash_of_the_rows_tells_their_order_and_their_weights(self):
        whole = build(ROWS)
        assert build(ROWS).rows_hash() == whole.rows_hash()
        assert build(ROWS[::-1]).rows_hash() != whole.rows_hash()
        assert load_splits([Weighted(ROWS[:2], 2), Weighted(ROWS[2:], 1)]).train.rows_hash() != whole.rows_hash()
        assert build(ROWS[::-1]).content_hash() == whole.content_hash()


TOPICS = Target.of("topics", Kind.MULTI_LABEL, ("none", "other", "refund"))
INTENT = Target.of("intent", Kind.SINGLE_LABEL, ("a", "none"))


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        ({}, ("none",)),
        ({"topics": ["other", "none", "other"]}, ("other", "none")),
        ({"topics": "other"}, ("other",)),
        ({"topics": []}, ()),
    ],
)
def test_none_labels_are_those_that_are_named(marked, expected):
    topics, intent = with_none_labels([TOPICS, INTENT], marked)
    assert topics.none_labels == expected
    assert topics.labels == TOPICS.labels
    assert intent == INTENT


@pytest.mark.parametrize(
    ("marked", "cause"),
    [
        ({"topic": ["other"]}, "no target 'topic'; there are 'topics', 'intent'"),
        ({"topics": ["others"]}, "'topics' has no label 'others'"),
        ({"intent": ["none"]}, "'intent' is single-label"),
    ],
)
def test_what_cannot_be_meant_is_refused(marked, cause):
    with pytest.raises(InvalidSetting, match=cause):
        with_none_labels([TOPICS, INTENT], marked)
