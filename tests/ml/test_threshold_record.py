"""Counts of held-out rows: written and read as they are, refused where they cannot be counts."""

import numpy as np
import pytest

from tamis.data.truth import OUT_OF_SCOPE, SingleTruth, multi_truth
from tamis.errors import DamagedArtifact
from tamis.evaluation.answered import count_evidence
from tamis.evaluation.thresholds import BINS
from tamis.ml.tensors import parse_tensors, tensor_bytes
from tamis.ml.threshold_record import PARTS, RECORD, count_held, held_counts, render_record
from tamis.schema import Kind, Target

TARGETS = (
    Target(name="topic", kind=Kind.SINGLE_LABEL, labels=("x", "y")),
    Target(name="tags", kind=Kind.MULTI_LABEL, labels=("a", "b")),
)
TRUTH = multi_truth([[0], [0, 1], [], None, [2], [1, 2, 3]], 2, unseen=("new", "newer"))
SCORES = np.array([[0.9, 0.1], [0.8, 0.7], [0.2, 0.2], [0.9, 0.9], [0.1, 0.3], [0.3, 0.6]], dtype=np.float32)


def record(**tensors):
    """The bytes of a record in which some tensors are others; None leaves one out."""
    raw = np.frombuffer(render_record({"tags": count_held(TRUTH, SCORES)}, TARGETS), dtype=np.uint8)
    changed = dict(parse_tensors(raw, RECORD)) | {
        f"1.{name.replace('__', '.')}": made for name, made in tensors.items()
    }
    return tensor_bytes({name: tensor for name, tensor in changed.items() if tensor is not None})


def test_counts_come_back_as_they_were(tmp_path):
    weights = np.array([1, 2, 1, 5, 1, 0.5], dtype=np.float32)
    held = count_held(TRUTH, SCORES, SCORES[::-1], weights)
    raw = render_record({"tags": held}, TARGETS)
    assert raw == render_record({"tags": held}, TARGETS)
    found = held_counts(raw, tmp_path, TARGETS)["tags"]
    assert found.rows == 5  # one says nothing of the target
    assert found.unseen.tolist() == [2, 1]
    for mine, theirs in ((held.fit, found.fit), (held.measured, found.measured)):
        np.testing.assert_array_equal(mine.place, theirs.place)
        np.testing.assert_array_equal(mine.hits, theirs.hits)
        np.testing.assert_array_equal(mine.given, theirs.given)
    np.testing.assert_array_equal(held.fit.expected, found.fit.expected)
    assert found.measured.given.sum() == 10  # each known row once a label, whatever it weighs
    assert found.fit.given.sum() == pytest.approx(10)


def test_nothing_is_kept_where_nothing_was_counted(tmp_path):
    assert render_record({}, TARGETS) == b""
    assert held_counts(b"", tmp_path, TARGETS) == {}


def test_no_row_can_be_read_from_it():
    raw = render_record({"tags": count_held(TRUTH, SCORES)}, TARGETS)
    assert len(raw) < 2000  # header and some bins: neither rows nor their order


@pytest.mark.parametrize(
    ("tensors", "told"),
    [
        ({"rows": None, "place": None}, None),  # nothing of this target: nothing is read
        ({"place": None}, "no list of numbers 1.place"),
        ({"rows": np.array([1, 2])}, "how many rows"),
        ({"hits": np.array([1.0])}, "not equally many"),
        ({"place": np.array([1, 1], dtype=np.uint32)}, "not equally many"),
        ({"given": np.full((2, 2), 1.0)}, "no list of numbers"),
        ({"unseen": np.array([-1])}, "no count"),
        ({"unseen": np.array([np.nan])}, "no count"),
        ({"unseen": np.array([1e300])}, "no count"),
    ],
)
def test_what_cannot_be_counts_is_refused(tmp_path, tensors, told):
    raw = record(**tensors)
    if told is None:
        assert held_counts(raw, tmp_path, TARGETS) == {}
        return
    with pytest.raises(DamagedArtifact, match=told):
        held_counts(raw, tmp_path, TARGETS)


def test_counts_of_other_labels_or_more_hits_than_rows_are_refused(tmp_path):
    held = count_held(TRUTH, SCORES)
    n = len(held.fit.place)
    far = held.fit.place.astype(np.uint32).copy()
    far[-1] = 2 * BINS
    back = held.fit.place[::-1].astype(np.uint32)
    for tensors, told in (
        ({"place": far}, "does not fit the 2 labels"),
        ({"place": back}, "does not fit the 2 labels"),
        ({"hits": np.full(n, 100.0)}, "more than there are rows"),
        ({"measured__hits": np.full(len(held.measured.place), 100, dtype=np.uint32)}, "more than there are rows"),
    ):
        with pytest.raises(DamagedArtifact, match=told):
            held_counts(record(**tensors), tmp_path, TARGETS)
    with pytest.raises(DamagedArtifact):
        held_counts(b"not a record at all", tmp_path, TARGETS)


ONE = SingleTruth(np.array([0, 1, 1, OUT_OF_SCOPE, 0], dtype=np.int32), 2)
FOUND = np.array([-1.5, 0.25, 2.0, -3.0, 0.25], dtype=np.float32)


def evidence(by=None):
    counts = count_evidence(ONE, np.array([0, 1, 0, 0, 1]), FOUND, by=by)
    assert counts is not None
    return counts


@pytest.mark.parametrize("by", [None, {"spread": 1.0, "seen": 0.25}])
def test_the_evidence_of_a_single_label_target_comes_back_as_it_was(tmp_path, by):
    kept = evidence(by)
    found = held_counts(render_record({"topic": kept}, TARGETS), tmp_path, TARGETS)["topic"]
    assert found.weights == by
    for name in ("cut", "inside", "known", "right", "outside"):
        np.testing.assert_array_equal(getattr(found, name), getattr(kept, name))
    assert found.points() == kept.points()


@pytest.mark.parametrize(
    ("name", "made", "told"),
    [
        ("cut", np.array([1.0, 1.0, 2.0, 3.0]), "not ascending"),
        ("cut", np.array([0.0, 1.0, 2.0, np.nan]), "no evidence"),
        ("cut", np.array([-1e9, 1.0, 2.0, 3.0]), "no evidence"),
        ("cut", np.array([], dtype=np.float32), "not equally many"),
        ("known", np.array([1, 1]), "not equally many"),
        ("known", np.zeros(4), "right are more"),
        ("inside", np.array([1.0, -1.0, 1.0, 1.0]), "no count"),
        ("inside", np.zeros(4), "counts no row"),
        ("right", np.full(4, 9), "right are more"),
        ("outside", None, "no list of numbers 0.outside"),
        ("weights", np.zeros(len(PARTS) + 1), "not equally many"),
    ],
)
def test_what_cannot_be_evidence_is_refused(tmp_path, name, made, told):
    raw = np.frombuffer(render_record({"topic": evidence()}, TARGETS), dtype=np.uint8)
    changed = dict(parse_tensors(raw, RECORD)) | {f"0.{name}": made}
    bad = tensor_bytes({name: tensor for name, tensor in changed.items() if tensor is not None})
    with pytest.raises(DamagedArtifact, match=told):
        held_counts(bad, tmp_path, TARGETS)
