"""How much is answered and how right, from counts of held-out rows: as the rows themselves say it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.data.truth import OUT_OF_SCOPE, UNKNOWN, SingleTruth
from tamis.evaluation.answered import MOST_CUTS, count_evidence
from tamis.evaluation.thresholds import abstains, fit_abstain


def rows(seed: int, n: int, digits: int = 3):
    random = np.random.default_rng(seed)
    codes = random.choice([0, 1, 2, 3, UNKNOWN, OUT_OF_SCOPE], n, p=[0.3, 0.3, 0.15, 0.05, 0.1, 0.1]).astype(np.int32)
    codes[0] = 0
    found = random.normal(size=n).round(digits).astype(np.float32)
    return SingleTruth(codes, 3, ("new",)), random.integers(0, 3, n), found


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 60), st.sampled_from([0.0, 0.03, 0.1, 0.25, 0.5]), st.booleans())
def test_a_rule_chosen_from_counts_is_that_of_the_rows(seed: int, n: int, loss: float, weighted: bool) -> None:
    truth, said, found = rows(seed, n, digits=seed % 3)  # ties where there are few digits
    weights = np.random.default_rng(seed).uniform(0.1, 3, n).astype(np.float32) if weighted else None
    inside = (truth.codes >= 0) & (truth.codes < 3)
    counts = count_evidence(truth, said, found, weights=weights)
    assert counts is not None
    cut = counts.cut_for(loss)
    of = None if weights is None else weights[inside]
    assert cut == pytest.approx(fit_abstain(found[inside], coverage=1 - loss, weights=of))
    silent, at = abstains(found, cut), counts.at(cut)
    assert at.lost == pytest.approx(np.average(silent[inside], weights=of), abs=1e-6)
    assert at.coverage == pytest.approx((~silent)[truth.known].mean())
    answered = truth.known & ~silent
    assert at.accuracy == (None if not answered.any() else pytest.approx((said == truth.codes)[answered].mean()))
    outside = truth.out_of_scope
    assert at.turned_away == (None if not outside.any() else pytest.approx(silent[outside].mean()))


def test_of_very_many_rows_some_cuts_are_kept_and_none_costs_more_than_it_may() -> None:
    truth, said, found = rows(1, 20_000, digits=6)
    counts = count_evidence(truth, said, found)
    assert counts is not None
    assert len(counts.cut) <= MOST_CUTS + 1
    assert counts.rows == truth.known.sum()
    for loss in (0.01, 0.03, 0.2):
        assert loss - 2 / MOST_CUTS <= counts.at(counts.cut_for(loss)).lost <= loss


def test_where_no_row_is_in_scope_nothing_is_counted_and_beyond_all_rows_nothing_is_answered() -> None:
    truth = SingleTruth(np.array([OUT_OF_SCOPE, UNKNOWN, 3], dtype=np.int32), 3, ("new",))
    assert count_evidence(truth, np.zeros(3, dtype=np.intp), np.ones(3, dtype=np.float32)) is None
    truth, said, found = rows(2, 30)
    counts = count_evidence(truth, said, found)
    assert counts is not None
    assert counts.points()[0].coverage == 1.0
    assert counts.at(1e6)[:3] == (1.0, 0.0, None)
