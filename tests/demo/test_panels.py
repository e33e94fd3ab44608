"""What is shown of a target: with the controls where they stand at first, exactly what the model says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.demo.panels import DIGITS, MOST_CONTROLS, Panel, panels_of, verdicts
from tamis.ml.manifest import Abstain, TargetManifest
from tamis.schema import Kind

SINGLE = Panel(
    TargetManifest(
        name="t", kind=Kind.SINGLE_LABEL, labels=("a", "b", "c"), abstain=Abstain(threshold=0.51234567, coverage=0.97)
    )
)
MULTI = Panel(
    TargetManifest(name="m", kind=Kind.MULTI_LABEL, labels=("a", "b", "c"), thresholds=(0.2, 0.31234567, 0.9))
)
MANY = Panel(
    TargetManifest(
        name="n",
        kind=Kind.MULTI_LABEL,
        labels=tuple(f"l{n}" for n in range(MOST_CONTROLS + 1)),
        thresholds=(0.0, 1.0, *(0.3,) * (MOST_CONTROLS - 1)),
    )
)


def scores(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def given_by(panel: Panel, *values: float, at: list[float] | None = None) -> set[str]:
    return {bar.label for bar in panel.verdict(scores(*values), at or ()).given}


class TestAsTheModelSays:
    def test_predictions_and_verdicts_are_the_same(self, model) -> None:
        panels = panels_of(model.manifest)
        values = [at.at_first for panel in panels for at in panel.controls]
        for text in ["where is my parcel", "refund the card fee", "", "nothing of this", "the the the"]:
            said = model.classify(text)
            found = model.predictor.checked_scores([text])
            for moved in (values, []):
                for panel, verdict in verdicts(panels, found, moved):
                    answer = said[panel.name]
                    assert {bar.label for bar in verdict.given} == set(answer.labels)
                    assert verdict.abstained == answer.abstained
                    assert {bar.label: bar.score for bar in verdict.bars} == dict(answer.scores)

    @settings(max_examples=30, deadline=None)
    @given(st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3))
    def test_a_control_where_it_stood_means_the_exact_threshold(self, values: list[float]) -> None:
        for panel in (SINGLE, MULTI):
            at = [control.at_first for control in panel.controls]
            assert panel.verdict(scores(*values), at) == panel.verdict(scores(*values))

    def test_a_score_between_the_exact_threshold_and_the_rounded_one(self) -> None:
        assert round(0.31234567, DIGITS) < 0.3122 < 0.31234567
        assert given_by(MULTI, 0, 0.3122, 0, at=[0.2, 0.312, 0.9]) == set()
        assert given_by(MULTI, 0, 0.3122, 0, at=[0.2, 0.311, 0.9]) == {"b"}


class TestControls:
    def test_thresholds_decide(self) -> None:
        assert given_by(MULTI, 0.5, 0.5, 0.5) == {"a", "b"}
        assert given_by(MULTI, 0.5, 0.5, 0.5, at=[0.6, 0.5, 0.4]) == {"b", "c"}

    def test_the_confidence_decides(self) -> None:
        assert SINGLE.verdict(scores(0.5, 0.3, 0.2)).abstained
        assert not given_by(SINGLE, 0.5, 0.3, 0.2)
        assert given_by(SINGLE, 0.5, 0.3, 0.2, at=[0.4]) == {"a"}

    def test_many_thresholds_move_together_and_extremes_stay(self) -> None:
        assert [control.label for control in MANY.controls] == ["All thresholds"]
        even = [0.4] * len(MANY.entry.labels)
        usual = given_by(MANY, *even)
        assert usual == set(MANY.entry.labels) - {"l1"}
        assert given_by(MANY, *even, at=[0]) == usual
        assert given_by(MANY, *even, at=[1.0]) == {"l0"}
        assert given_by(MANY, *[0.1] * len(even), at=[-3.0]) == usual

    def test_nothing_to_move(self) -> None:
        assert Panel(TargetManifest(name="t", kind=Kind.SINGLE_LABEL, labels=("a", "b"))).controls == ()

    @pytest.mark.parametrize("sent", [float("nan"), None, "x", 7, -7, float("inf")])
    def test_whatever_a_page_sends_is_a_threshold(self, sent: object) -> None:
        verdict = MULTI.verdict(scores(0.5, 0.5, 0.5), [sent, sent, sent])  # type: ignore[list-item]
        assert all(0 <= (bar.cut or 0) <= 1 for bar in verdict.bars)


def test_bars_fall() -> None:
    assert [bar.label for bar in SINGLE.verdict(scores(0.2, 0.5, 0.3)).bars] == ["b", "c", "a"]
