"""How often two agree, and how sure that is."""

import numpy as np
import pytest

from tamis.evaluation.agreement import agreement, wilson


def given(*codes: int, labels: int = 2) -> np.ndarray:
    made = np.zeros((len(codes), labels), dtype=bool)
    for row, code in enumerate(codes):
        if code >= 0:
            made[row, code] = True
    return made


EVERY = np.ones(4, dtype=bool)


def test_the_share_of_rows_with_the_same_labels() -> None:
    found = agreement(given(0, 0, 1, 1), given(0, 1, 1, 1), EVERY, single=True)
    assert (found.n, found.share) == (4, 0.75)
    assert found.low is not None
    assert found.high is not None
    assert 0.3 < found.low < 0.75 < found.high < 0.96


def test_kappa_is_what_is_left_beyond_chance() -> None:
    # both say 0 in half of the rows: chance is 0.5, and kappa (0.75 - 0.5) / 0.5
    found = agreement(given(0, 0, 1, 1), given(0, 0, 1, 0), EVERY, single=True)
    chance = 0.5 * 0.75 + 0.5 * 0.25
    assert found.kappa == pytest.approx((0.75 - chance) / (1 - chance))
    assert agreement(given(0, 1, 0, 1), given(0, 1, 0, 1), EVERY, single=True).kappa == 1.0
    assert agreement(given(0, 0, 0, 0), given(0, 0, 0, 0), EVERY, single=True).kappa is None


def test_no_label_is_an_answer_too() -> None:
    found = agreement(given(-1, -1, 0, 1), given(-1, 0, 0, 1), EVERY, single=True)
    assert found.share == 0.75


def test_rows_without_an_answer_are_left_out() -> None:
    usable = np.array([True, False, True, False])
    found = agreement(given(0, 0, 1, 1), given(0, 1, 1, 0), usable, single=False)
    assert (found.n, found.share, found.kappa) == (2, 1.0, None)
    nothing = agreement(given(0, 0, 1, 1), given(0, 1, 1, 0), ~EVERY, single=True)
    assert (nothing.n, nothing.share, nothing.low) == (0, None, None)


def test_the_interval_is_wilsons() -> None:
    low, high = wilson(0.5, 10)
    assert (low, high) == (pytest.approx(0.2366, abs=1e-4), pytest.approx(0.7634, abs=1e-4))
    assert wilson(1.0, 10)[1] == pytest.approx(1.0)
    assert wilson(0.0, 10)[0] == pytest.approx(0.0)
