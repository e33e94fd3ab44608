"""Centres of labels, and distances to them: against the plain definition, and what they must not tell."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.ml.static.nearness import (
    CLOSEST,
    LEAST_ROWS,
    MOST_CENTRES,
    MOST_ROWS_OF_LABEL,
    Centres,
    Nearness,
    fit_centres,
    rows_to_place,
    scales_of,
)


def rows_of(counts, width=6, seed=0):
    """Rows around a point of their own for each label."""
    random = np.random.default_rng(seed)
    codes = np.repeat(np.arange(len(counts)), counts)
    points = random.standard_normal((len(counts), width)) * 4
    order = random.permutation(len(codes))
    places = (points[codes] + random.standard_normal((len(codes), width))).astype(np.float32)
    return places[order], codes[order].astype(np.int32)


def test_each_centre_is_the_mean_of_rows_of_its_label_and_never_of_few():
    counts = [0, 1, LEAST_ROWS - 1, LEAST_ROWS, 2 * LEAST_ROWS + 1, 300]
    places, codes = rows_of(counts)
    centres = fit_centres(places, codes, len(counts))
    number = np.diff(centres.starts)
    assert number[:3].tolist() == [0, 0, 0]
    assert number[3] == 1
    np.testing.assert_allclose(centres.points[0], places[codes == 3].mean(axis=0), rtol=1e-3, atol=1e-3)
    assert 1 <= number[4] <= 2
    assert 1 <= number[5] <= MOST_CENTRES
    for label in (4, 5):
        own = centres.points[centres.starts[label] : centres.starts[label + 1]]
        rows = places[codes == label]
        apart = np.linalg.norm(rows[:, None] - own, axis=2)
        assert np.bincount(apart.argmin(axis=1), minlength=len(own)).sum() == len(rows)
        assert len(rows) >= LEAST_ROWS * len(own)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=6), st.integers(0, 99), st.booleans())
@settings(max_examples=40, deadline=None)
def test_no_centre_is_a_row_unless_rows_repeat(counts, seed, repeat):
    places, codes = rows_of(counts, seed=seed)
    places = np.zeros_like(places) if repeat else places
    centres = fit_centres(places, codes, len(counts))
    assert np.isfinite(centres.points).all()
    assert (np.diff(centres.starts) <= np.array(counts) // LEAST_ROWS).all()
    if len(places) and not repeat:
        assert (np.linalg.norm(centres.points[:, None] - places, axis=2) > 1e-3).all()


def test_nearness_is_the_usual_distance_less_that_to_the_nearest_centre_of_the_label():
    places, codes = rows_of([40, 3, 60])
    centres, others = fit_centres(places, codes, 3), rows_of([10, 10, 10], seed=1)[0]
    labels = np.arange(30) % 3
    found = centres.nearness(others, labels)
    for row in range(30):
        own = centres.points[centres.starts[labels[row]] : centres.starts[labels[row] + 1]]
        if labels[row] == 1:
            assert found[row] == 0  # too few rows: nothing is known
        else:
            nearest = np.sqrt((np.linalg.norm(own - others[row], axis=1) ** 2).min() + CLOSEST)
            assert found[row] == pytest.approx(centres.usual - nearest, abs=1e-5)
        assert centres.nearness_of_one(others[row], int(labels[row])) == pytest.approx(float(found[row]), abs=1e-5)
    known = codes != 1
    assert centres.nearness(places[known], codes[known]).mean() == pytest.approx(0, abs=1e-4)


def test_a_row_does_not_depend_on_the_others():
    places, codes = rows_of([40, 30, 60])
    centres = fit_centres(places, codes, 3)
    together = centres.nearness(places, codes)
    each = [centres.nearness(places[[row]], codes[[row]])[0] for row in range(len(places))]
    np.testing.assert_array_equal(together, each)


def test_rows_are_taken_evenly_of_each_label():
    codes = np.array([0] * 1000 + [1] * 7 + [-1] * 50 + [3] * 9)  # unknown rows, and one of an unseen label
    rows = rows_to_place(codes, 3)
    assert np.bincount(codes[rows], minlength=3).tolist() == [MOST_ROWS_OF_LABEL, 7, 0]
    of_first = rows[codes[rows] == 0]
    assert of_first.max() - of_first.min() > 950
    assert np.diff(of_first).max() <= 2 * 1000 / MOST_ROWS_OF_LABEL
    assert len(np.unique(rows)) == len(rows)


def test_both_parts_weigh_as_much():
    random = np.random.default_rng(0)
    base, hidden = random.standard_normal((500, 4)) + 9, 100 * random.standard_normal((500, 3))
    base_scale, hidden_scale = scales_of(base, hidden)
    for part, scale in ((base, base_scale), (hidden, hidden_scale)):
        centred = (part - part.mean(axis=0)) * scale
        assert (centred**2).sum(axis=1).mean() == pytest.approx(0.5, rel=1e-4)
    assert scales_of(np.ones((5, 2)), hidden)[0] == 0  # what never differs says nothing


def test_labels_that_come_later_have_centres_behind_the_others():
    places, codes = rows_of([40, 30, 20, 3])
    old = codes < 2
    before = fit_centres(places[old], codes[old], 2)
    after = before.extended(places[~old], codes[~old], 4)
    np.testing.assert_array_equal(after.points[: len(before.points)], before.points)
    assert np.diff(after.starts)[:2].tolist() == np.diff(before.starts).tolist()
    assert np.diff(after.starts)[2] >= 1
    assert np.diff(after.starts)[3] == 0
    assert after.usual == before.usual
    np.testing.assert_array_equal(before.extended(places, codes, 2).points, before.points)


def test_very_many_labels_have_fewer_centres_and_then_none(monkeypatch):
    places, codes = rows_of([50] * 4)
    for cells, most in ((4 * 6 * 3, 3), (4 * 6, 1)):
        monkeypatch.setattr("tamis.ml.static.nearness.MOST_CELLS", cells)
        assert np.diff(fit_centres(places, codes, 4).starts).max() <= most
    monkeypatch.setattr("tamis.ml.static.nearness.MOST_CELLS", 4 * 6 - 1)
    assert fit_centres(places, codes, 4) is None


def test_a_target_without_centres_is_as_near_as_is_usual():
    centres = Centres.of(np.zeros((1, 5), dtype=np.float32), np.array([0, 1, 1]), 0.5)
    nearness = Nearness(1.0, 1.0, {"a": centres})
    base, hidden = np.ones((2, 3), dtype=np.float32), np.ones((2, 2), dtype=np.float32)
    logits = {"b": np.eye(2, dtype=np.float32), "a": np.eye(2, dtype=np.float32)}
    found = nearness.of(base, hidden, logits)
    assert found[:, 0].tolist() == [0, 0]
    assert found[:, 1].tolist() == [pytest.approx(0.5 - 5**0.5, abs=1e-3), 0]
