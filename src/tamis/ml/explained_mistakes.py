"""The words behind the worst mistakes of an evaluation, for its page."""

from __future__ import annotations

from tamis.data.dataset import Dataset
from tamis.evaluation.figures import Mistake
from tamis.evaluation.highlights import Highlight, Reasons, plain_offset
from tamis.evaluation.report import EvaluationReport
from tamis.ml.explaining import Asked, Piece, explain
from tamis.ml.predictor import Predictor
from tamis.schema import Input, Target

WORDS = 5
SLOW_MISTAKES = 15
"""Mistakes of a target that are explained where the model is slow; else all that the page shows."""


def explain_mistakes(predictor: Predictor, report: EvaluationReport, data: Dataset) -> dict[str, dict[int, Reasons]]:
    """Return what moved the score of a wrong label, by target and row, for the mistakes that the report has.

    Of a mistake, the label is one that was given wrongly; where none was, one that is missing.
    """
    reasons: dict[str, dict[int, Reasons]] = {}
    for target in predictor.targets:
        found = report.targets.get(target.name)
        mistakes = found.mistakes if found is not None else ()
        shown = mistakes if predictor.quick else mistakes[:SLOW_MISTAKES]
        labels = {mistake.row: _wrong(mistake, target) for mistake in shown}
        reasons[target.name] = {
            row: _reasons(predictor, data.inputs[row], Asked(target.name, label, WORDS))
            for row, label in labels.items()
            if label is not None
        }
    return reasons


def _wrong(mistake: Mistake, target: Target) -> str | None:
    """The label to explain, of those that the model has: the surest of those given wrongly, or the missing one."""
    extra = [label for label in mistake.given if label not in mistake.actual]
    if extra:
        return max(extra, key=lambda label: mistake.scores.get(label, 0.0))
    missing = [label for label in mistake.actual if label not in mistake.given and label in target.labels]
    return min(missing, key=lambda label: mistake.scores.get(label, 1.0)) if missing else None


def _reasons(predictor: Predictor, given: Input, asked: Asked) -> Reasons:
    (found,) = explain(predictor, given, asked).labels
    return Reasons(found.label, tuple(_highlight(given, piece) for piece in found.pieces if piece.weight))


def _highlight(given: Input, piece: Piece) -> Highlight:
    offset = plain_offset(given, piece.message)
    return Highlight(offset + piece.start, offset + piece.end, piece.weight)
