"""What may be chosen about asking, and what may not."""

import pytest

from tamis.errors import InvalidSetting
from tamis.labelers.asking import SAMPLING_TEMPERATURE, Asking


@pytest.mark.parametrize(
    "wrong",
    [
        {"samples": 0},
        {"samples": 101},
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"answer_tokens": 0},
        {"concurrency": 0},
        {"concurrency": 1_000},
        {"timeout_s": 0},
        {"timeout_s": float("inf")},
        {"retries": -1},
        {"patience_s": -1},
        {"backoff_s": 61},
    ],
)
def test_numbers_have_bounds(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidSetting, match=next(iter(wrong))):
        Asking(**wrong)


def test_several_samples_need_some_freedom() -> None:
    assert Asking().freedom == 0.0
    assert Asking(samples=3).freedom == SAMPLING_TEMPERATURE
    assert Asking(samples=3, temperature=0.2).freedom == 0.2
