"""Scores of several targets as one list of labels."""

import numpy as np

from tamis.schema import Kind, Target
from tamis.workspace.verdicts import verdicts_of

TOPIC = Target(name="topic", kind=Kind.SINGLE_LABEL, labels=("a", "b"))
FLAGS = Target(name="flags", kind=Kind.MULTI_LABEL, labels=("x", "y", "z"))
SURE = np.array([[0.4, 0.6], [0.5, 0.5]], dtype=np.float32)
MANY = np.array([[0.9, 0.2, 0.95], [0.1, 0.1, 0.1]], dtype=np.float32)
CUTS = np.array([0.5, 0.5, 0.5], dtype=np.float32)


def test_one_label_each() -> None:
    found = verdicts_of([TOPIC], {"topic": SURE}, {"topic": None})
    assert (found.names, found.given, found.one) == (("a", "b"), [[1], [0]], True)
    assert found.rounded(2) == [[0.4, 0.6], [0.5, 0.5]]


def test_any_number_the_surest_first() -> None:
    found = verdicts_of([FLAGS], {"flags": MANY}, {"flags": CUTS})
    assert (found.given, found.one) == ([[2, 0], []], False)


def test_several_targets_are_told_apart() -> None:
    found = verdicts_of([TOPIC, FLAGS], {"topic": SURE, "flags": MANY}, {"topic": None, "flags": CUTS})
    assert found.names == ("topic/a", "topic/b", "flags/x", "flags/y", "flags/z")
    assert (found.given, found.one) == ([[4, 2, 1], [0]], False)
