"""Targets that a caller declares."""

import pytest

from tamis.data.declared import with_none_labels
from tamis.errors import InvalidSetting
from tamis.schema import Kind, Target

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
