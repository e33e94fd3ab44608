import pytest
from pydantic import ValidationError

from tamis.evaluation.figures import Baseline, LabelFigures, ReliabilityBin, rounded

NOTHING = float("nan")


def test_what_cannot_be_said_is_null():
    part = ReliabilityBin(low=0, high=0.1, rows=0, confidence=NOTHING, correct=float("inf"))
    assert (part.confidence, part.correct) == (None, None)
    assert part.model_dump_json() == '{"low":0.0,"high":0.1,"rows":0,"confidence":null,"correct":null}'
    assert rounded(None) is None


def test_figures_have_six_digits():
    assert Baseline(answer=("a",), macro_f1=1 / 3, weighted_f1=0).macro_f1 == 0.333333


def test_records_are_frozen_and_know_their_fields():
    figures = LabelFigures(label="a", precision=1, recall=1, f1=1, support=1, given=1, hits=1, jaccard=1)
    with pytest.raises(ValidationError, match="frozen"):
        figures.f1 = 0
    with pytest.raises(ValidationError, match="Extra inputs"):
        LabelFigures(**figures.model_dump(), colour="red")
