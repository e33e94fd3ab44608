from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.data.checks.lengths import LengthHistogram

LENGTHS = st.lists(st.integers(0, 2**40), min_size=1, max_size=50)


@settings(max_examples=100, deadline=None)
@given(LENGTHS, st.floats(0.01, 0.99))
def test_quantiles_are_within_three_percent(lengths, share):
    histogram = LengthHistogram()
    histogram.add(lengths)
    exact = int(np.quantile(lengths, share, method="inverted_cdf"))
    assert histogram.quantile(share) == (exact if exact < 256 else pytest.approx(exact, rel=0.03))
    assert histogram.longest == max(lengths)


@settings(max_examples=50, deadline=None)
@given(LENGTHS)
def test_bins_hold_every_row_once(lengths):
    histogram = LengthHistogram()
    histogram.add(lengths)
    bins = histogram.bins()
    assert sum(rows for _, _, rows in bins) == len(lengths)
    assert all(high == low for (_, high, _), (low, _, _) in pairwise(bins))
    assert len(bins) <= 30


def test_weights_count_rows_that_were_not_looked_at():
    histogram = LengthHistogram()
    histogram.add([1] * 10)
    histogram.add([3] * 2, weight=10)
    report = histogram.report("train", "words")
    assert (report.measured, report.median, report.mean) == (12, 3, 2.33)


def test_its_size_does_not_grow_with_the_rows():
    histogram = LengthHistogram()
    histogram.add(np.arange(1_000_000))
    assert len(histogram.report("train", "tokens").bins) == 30
    assert histogram.quantile(0.5) == pytest.approx(500_000, rel=0.03)
