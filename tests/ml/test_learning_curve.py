import pytest

from tamis.data.dataset import build
from tamis.data.review.report import CurvePoint
from tamis.ml.base_models import load_base
from tamis.ml.learning_curve import LEAST_ROWS, _doubled, learning_curve
from tamis.schema import Example
from tamis.testing import tiny_base


@pytest.fixture
def base(tmp_path):
    return load_base(str(tiny_base(tmp_path / "base", ["red", "blue", "ball", "the"])))


def data(n):
    colors = ("red", "blue", "green")
    return build(
        Example(
            f"the {colors[i % 3]} ball {i * 13 % 29}",
            {"c": (colors[i % 3],), "t": ("x",) if i % 2 else ()},
            i,
            frozenset({"t"}),
        )
        for i in range(n)
    )


def test_the_curve_rises_with_the_rows_and_knows_its_targets(base):
    curve = learning_curve(data(300), base)
    assert [point.share for point in curve.points] == [0.125, 0.25, 0.5, 1.0]
    assert curve.metric == {"c": "accuracy", "t": "micro-F1"}
    assert curve.points[-1].scores["c"] > 0.9
    assert curve.verdict.endswith(".")
    assert all(0 <= need.f1 < 1 for need in curve.needs)


def test_too_few_rows_have_no_curve(base):
    assert learning_curve(data(LEAST_ROWS - 1), base) is None


def points(*scores):
    return [
        CurvePoint(rows=100 * 2**n, share=2.0 ** (n - len(scores) + 1), scores={"t": score})
        for n, score in enumerate(scores)
    ]


def test_twice_the_rows_take_the_same_share_of_the_error_as_before():
    assert _doubled(points(0.2, 0.6, 0.8, 0.9), "t") == pytest.approx(0.95, abs=0.005)


def test_a_curve_that_falls_promises_nothing():
    assert _doubled(points(0.9, 0.88, 0.85), "t") == 0.85
