import numpy as np
import pytest

from tamis.data.dataset import build
from tamis.data.review.scores import MultiScores, SingleScores
from tamis.errors import Cancelled
from tamis.ml import out_of_fold as module
from tamis.ml.base_models import load_base
from tamis.ml.out_of_fold import out_of_fold
from tamis.ml.progress import StopCheck
from tamis.ml.trained import Attended
from tamis.schema import Example
from tamis.testing import tiny_base


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    words = ["red", "blue", "green", "ball", "is", "the"]
    return load_base(str(tiny_base(tmp_path_factory.mktemp("base") / "base", words)))


def rows(n=60):
    for number in range(n):
        color = ("red", "blue")[number % 2]
        labels = {"color": (color,), "tags": (color, "even") if number % 4 < 2 else (color,)}
        if number % 10 == 0:
            del labels["tags"]
        yield Example(f"the {color} ball number {number} is {number * 7 % 11}", labels, number + 1, frozenset({"tags"}))


def test_scores_agree_with_what_can_be_learnt_and_not_with_a_wrong_label(base):
    data = build(rows())
    codes = data.truth["color"].codes
    codes[4] = 1 - codes[4]
    found = out_of_fold(data, base)
    color, tags = found.scores["color"], found.scores["tags"]
    assert isinstance(color, SingleScores)
    assert isinstance(tags, MultiScores)
    assert (color.probabilities[:, 0] > 0.5).mean() > 0.9
    assert color.probabilities[4, 0] < 0.5
    assert found.rounds == 2
    assert 0 not in tags.rows[tags.carried]  # unknown for that target


def test_the_same_seed_gives_the_same_scores(base):
    one, other = (out_of_fold(build(rows(20)), base, rounds=1).scores["color"] for _ in range(2))
    assert np.array_equal(one.probabilities, other.probabilities)


def test_large_data_is_scored_in_portions_by_models_of_some_rows(base, monkeypatch):
    for name, value in (("MOST_FITTED", 30), ("MOST_WATCHED", 15), ("MOST_SCORES", 20), ("TWICE_UP_TO", 10)):
        monkeypatch.setattr(module, name, value)
    found = out_of_fold(build(rows(80)), base)
    assert (found.folds, found.rounds, found.fitted_rows) == (2, 1, 30)
    color = found.scores["color"]
    assert color.own.all()
    assert (color.probabilities[:, 0] > 0.5).mean() > 0.8


def test_too_few_texts_are_not_scored(base):
    assert out_of_fold(build([Example("a", {"t": ("x",)}), Example("b", {"t": ("y",)})]), base).scores == {}


def test_it_can_be_stopped(base):
    with pytest.raises(Cancelled):
        out_of_fold(build(rows()), base, attended=Attended(check=StopCheck(lambda: True)))
