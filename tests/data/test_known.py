import pytest

from tamis.data.dataset import build
from tamis.data.known import Added, grown_targets
from tamis.data.loading import load_splits
from tamis.errors import TooManyBadRows
from tamis.schema import Example, Kind, Target

INTENT = Target.of("intent", Kind.SINGLE_LABEL, ("refund", "bug"))
TOPICS = Target.of("topics", Kind.MULTI_LABEL, ("fee", "none"))


def rows(*labels):
    return [Example(f"text {i}", given, i + 1) for i, given in enumerate(labels)]


class TestGrownTargets:
    def test_old_labels_keep_their_places_and_new_ones_come_behind_sorted(self):
        found = Target.of("intent", Kind.SINGLE_LABEL, ("bug", "yes", "call"))
        (grown,) = grown_targets([INTENT], [found])
        assert grown.labels == ("refund", "bug", "yes", "call")
        assert Added.between([INTENT], [grown]) == Added({"intent": ("yes", "call")}, ())

    def test_targets_of_the_data_alone_come_last(self):
        kept, new = grown_targets([INTENT], [Target.of("language", Kind.SINGLE_LABEL, ("de", "en"))])
        assert (kept, new.name) == (INTENT, "language")

    def test_a_label_that_means_nothing_applies_is_marked(self):
        (grown,) = grown_targets([TOPICS], [Target.of("topics", Kind.MULTI_LABEL, ("ok", "fee"))])
        assert grown.none_labels == ("none", "ok")

    def test_out_of_scope_is_no_new_label(self):
        known = INTENT.model_copy(update={"oos_label": "oos"})
        assert grown_targets([known], [Target.of("intent", Kind.SINGLE_LABEL, ("bug", "oos"))]) == (known,)


class TestLoading:
    def test_known_targets_keep_kind_and_order_in_every_split(self):
        loaded = load_splits(
            rows({"topics": ("late",)}, {"topics": ("fee",)}),
            rows({"intent": ("bug",)}, {"topics": ("late", "fee")}),
            known=[INTENT, TOPICS],
        )
        assert [target.labels for target in loaded.train.targets] == [("refund", "bug"), ("fee", "none", "late")]
        assert loaded.train.truth["topics"].indicator().tolist() == [[False, False, True], [True, False, False]]
        assert not loaded.train.truth["intent"].known.any()
        assert loaded.validation.truth["intent"].codes.tolist() == [1, -1]

    def test_several_labels_of_a_single_label_target_are_bad(self):
        with pytest.raises(TooManyBadRows, match="single-label in the model"):
            load_splits(rows({"intent": ("bug", "refund")}), known=[INTENT])

    def test_without_known_targets_nothing_changes(self):
        assert (
            load_splits(rows({"intent": ("bug",)}, {"intent": ("a",)})).train.targets
            == build(rows({"intent": ("bug",)}, {"intent": ("a",)})).targets
        )


def test_what_is_added_is_told():
    added = Added({"intent": tuple("abcdef")}, ("language",))
    assert added.told() == "6 labels to intent (a, b, c, d, e, …); the target language"
    assert Added({}, ()).told() == "no label and no target, only rows"
