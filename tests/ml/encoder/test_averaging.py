"""The mean of weights over the last updates."""

import pytest
import torch

from tamis.ml.encoder.averaging import BEGINNING, Average
from tamis.ml.restart import State


def weights_of(value=0.0):
    return {"w": torch.nn.Parameter(torch.full((2,), value))}


def moved(average, weights, values):
    for value in values:
        with torch.no_grad():
            weights["w"].fill_(value)
        average.add()


def settled(average, weights):
    average.settle()
    return weights["w"][0].item()


def test_it_is_an_exponential_mean_over_so_many_updates():
    weights = weights_of()
    average = Average(weights, 4)
    moved(average, weights, [1.0] * 200)
    moved(average, weights, [2.0])
    assert settled(average, weights) == pytest.approx(1.25)


def test_it_starts_short():
    weights = weights_of()
    average = Average(weights, 1_000)
    moved(average, weights, [1.0])
    assert settled(average, weights) == pytest.approx(BEGINNING / (BEGINNING + 1))


def test_inside_the_mean_stands_in_the_weights_place_and_then_they_are_back():
    weights = weights_of()
    average = Average(weights, 4)
    moved(average, weights, [1.0] * 3 + [5.0])
    with average.instead():
        assert 1.0 < weights["w"][0].item() < 5.0
    assert weights["w"][0].item() == 5.0


@pytest.mark.parametrize("updates", [0, 1, 0.5])
def test_over_one_update_it_is_the_weights_themselves(updates):
    weights = weights_of()
    average = Average(weights, updates)
    moved(average, weights, [1.0, 3.0])
    assert average.arrays() == {}
    assert settled(average, weights) == 3.0


def test_it_goes_on_from_a_restart_point():
    weights, again = weights_of(), weights_of()
    whole = Average(weights, 20)
    moved(whole, weights, range(15))
    kept = State({name: array.copy() for name, array in whole.arrays().items()})
    rest = Average(again, 20)
    rest.restore(kept, 15)
    for average, some in ((whole, weights), (rest, again)):
        moved(average, some, range(15, 30))
    assert settled(whole, weights) == settled(rest, again)
