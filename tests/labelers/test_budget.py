"""A budget stops before it is exceeded, with requests in flight too."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.errors import InvalidSetting
from tamis.labelers.budget import LEAST_SEEN, Budget, Price


def test_a_price_is_per_million_tokens() -> None:
    assert Price(2.0, 8.0).of(500_000, 250_000) == pytest.approx(3.0)


@pytest.mark.parametrize("price", [-1.0, float("nan"), float("inf")])
def test_what_is_no_price_is_refused(price: float) -> None:
    with pytest.raises(InvalidSetting, match="price"):
        Price(price, 0.0)


def test_a_limit_in_money_needs_a_price() -> None:
    with pytest.raises(InvalidSetting, match="--price-in"):
        Budget(most_cost=1.0)
    with pytest.raises(InvalidSetting, match="--price-in"):
        Budget(price=Price(), most_cost=1.0)


def test_no_limit_takes_any_request() -> None:
    budget = Budget()
    assert budget.reserve(10**9, 10**9)
    assert budget.cost is None


def test_requests_in_flight_count_for_the_most_that_they_may_cost() -> None:
    budget = Budget(most_tokens=1_000)
    first = budget.reserve(400, 100)
    assert first
    assert budget.reserve(400, 101) is None
    assert budget.reserve(400, 100)
    budget.take(first, 400, 100, 5)  # it was much less
    assert budget.reserve(295, 100)
    assert budget.reserve(1, 0) is None


def test_money_is_counted_like_tokens() -> None:
    budget = Budget(price=Price(1.0, 10.0), most_cost=0.002)
    assert budget.reserve(500, 100)
    assert budget.reserve(500, 0)
    assert budget.reserve(1, 0) is None


def test_the_bound_of_a_request_comes_closer_with_what_was_seen() -> None:
    budget = Budget()
    assert budget.prompt_bound(1_000) == 1_000
    for _ in range(LEAST_SEEN):
        reserved = budget.reserve(1_000, 10)
        assert reserved
        budget.take(reserved, 1_000, 200, 10)
    assert budget.prompt_bound(1_000) == 250


def test_what_was_refused_is_free_and_what_was_lost_is_not() -> None:
    budget = Budget(price=Price(1.0, 1.0), most_tokens=100)
    refused = budget.reserve(50, 50)
    assert refused
    budget.give_back(refused)
    lost = budget.reserve(50, 50)
    assert lost
    budget.lose(lost)
    assert budget.reserve(1, 1) is None
    assert budget.cost == 0.0
    assert budget.lost_cost == pytest.approx(100 / 1_000_000)


@settings(max_examples=50, deadline=None)
@given(
    limit=st.integers(100, 5_000),
    requests=st.lists(st.tuples(st.integers(1, 500), st.integers(1, 100), st.floats(0.05, 1.0)), max_size=60),
    at_once=st.integers(1, 8),
)
def test_the_limit_is_never_exceeded(limit: int, requests: list[tuple[int, int, float]], at_once: int) -> None:
    """Whatever requests do that keep to their bounds, in whatever order they end."""
    budget, flying, ratio = Budget(most_tokens=limit), [], 0.2
    for size, answer, share in requests:
        if reserved := budget.reserve(size, answer):
            flying.append((reserved, size, int(size * ratio), int(answer * share)))
        if len(flying) >= at_once:
            reserved, size, prompt, said = flying.pop()
            budget.take(reserved, size, prompt, said)
        assert budget.prompt_tokens + budget.completion_tokens <= limit
