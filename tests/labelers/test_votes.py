"""Several answers made one: shares of votes as scores."""

import pytest

from tamis.labelers.votes import Shares, vote
from tamis.schema import Kind, Target

INTENT = Target.of("intent", Kind.SINGLE_LABEL, ("refund", "delivery", "other"))
TOPICS = Target.of("topics", Kind.MULTI_LABEL, ("billing", "damage"))


def test_one_answer_is_taken_as_it_is() -> None:
    found = vote([INTENT, TOPICS], [{"intent": ("delivery",), "topics": ()}])
    assert found
    assert found["intent"].labels == ("delivery",)
    assert dict(found["intent"].scores) == {"refund": 0.0, "delivery": 1.0, "other": 0.0}
    assert found["topics"].labels == ()
    assert found["topics"].confidence == 1.0


def test_the_label_with_the_most_votes_is_given() -> None:
    answers = [{"intent": (label,)} for label in ("other", "delivery", "delivery", "refund")]
    found = vote([INTENT], answers)
    assert found
    assert found["intent"].label == "delivery"
    assert dict(found["intent"].scores) == {"refund": 0.25, "delivery": 0.5, "other": 0.25}
    assert found["intent"].confidence == 0.5


def test_of_equals_the_first_of_the_targets_labels_is_given() -> None:
    found = vote([INTENT], [{"intent": ("other",)}, {"intent": ("refund",)}])
    assert found
    assert found["intent"].label == "refund"


def test_several_labels_are_given_each_by_more_than_half() -> None:
    found = vote([TOPICS], [{"topics": ("billing",)}, {"topics": ("billing", "damage")}, {"topics": ("billing",)}])
    assert found
    assert found["topics"].labels == ("billing",)
    assert found["topics"].scores["damage"] == pytest.approx(1 / 3)
    assert found["topics"].confidence == pytest.approx(2 / 3)
    half = vote([TOPICS], [{"topics": ("damage",)}, {"topics": ()}])
    assert half
    assert half["topics"].labels == ()


def test_a_target_that_no_answer_has_is_unknown() -> None:
    found = vote([INTENT, TOPICS], [{"topics": ("damage",)}])
    assert found
    assert set(found.answers) == {"topics"}
    assert vote([INTENT], [{}]) is None


def test_shares_know_labels_and_nothing_else() -> None:
    shares = Shares(("a", "b"), {"b": 1.0})
    assert list(shares.items()) == [("a", 0.0), ("b", 1.0)]
    assert len(shares) == 2
    with pytest.raises(KeyError):
        shares["c"]
