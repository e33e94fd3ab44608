"""How sure a single-label target must be to answer: what its abstain rule gives, and another one from counts of rows.

It does not know what else changes in a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from tamis.errors import InvalidSetting, NoRows
from tamis.evaluation.answered import Answered, EvidenceCounts
from tamis.evaluation.evidence import Evidence
from tamis.evaluation.objectives import MOST_LOSS
from tamis.ml.decisions import LEAST_ROWS
from tamis.ml.manifest import Abstain, TargetManifest
from tamis.schema import Target

Source = Literal["held_out", "data"]

OTHERS = (0.01, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5)
"""Losses that a table shows beside the model's own."""

OF_RULES = frozenset({"coverage", "selective_accuracy", "oos_recall", "oos_recall_ci"})
"""Figures of a single-label target that depend on its rule."""


@dataclass(frozen=True, slots=True)
class RuleAt:
    """An abstain rule on the rows that were counted.

    Attributes:
        loss: the share of in-scope answers that it may cost; 0: it always answers.
        threshold: the evidence below which there is no answer; None where it always answers.
        coverage: the share of rows that gets an answer; None where nothing was counted.
        accuracy: the share of these that is right; None too where nothing is answered.
        oos_recall: the share of rows out of scope that gets none; None where there were none.
    """

    loss: float
    threshold: float | None
    coverage: float | None = None
    accuracy: float | None = None
    oos_recall: float | None = None

    def to_json(self) -> dict[str, object]:
        """Plain types."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, eq=False)
class AnswerTable:
    """How much a single-label target answers, and how right, on the rows that were counted, if any.

    Attributes:
        target: what was asked.
        rows: how many were counted; 0 where none were.
        source: which rows; None where none were.
        rule: the target's.
        before: the one before, where another was chosen.
        counts: of the rows.
    """

    target: Target
    rows: int
    source: Source | None
    rule: RuleAt
    before: RuleAt | None = None
    counts: EvidenceCounts | None = None

    def others(self) -> list[RuleAt]:
        """Return what rules of other losses would give, and what always answering would."""
        if (counts := self.counts) is None:
            return []
        return [_rule(None, counts), *(_at(loss, counts.cut_for(loss), counts) for loss in OTHERS)]

    def curve(self) -> list[dict[str, object]]:
        """Return what each rule that there is would give, that which always answers first; plain types.

        `loss` is what it costs: the rule of any loss is the last one that costs no more.
        """
        if (counts := self.counts) is None:
            return []
        each = zip(counts.cut.tolist(), counts.points(), strict=False)
        some = [_of(point, round(point.lost, 6), cut) for cut, point in each if point.lost <= MOST_LOSS]
        return [rule.to_json() for rule in (_rule(None, counts), *some)]

    def to_json(self) -> dict[str, object]:
        """Plain types."""
        before = None if self.before is None else self.before.to_json()
        return {"rows": self.rows, "source": self.source, **self.rule.to_json(), "before": before}


def table_of(
    entry: TargetManifest, counts: EvidenceCounts | None, source: Source, before: TargetManifest | None = None
) -> AnswerTable:
    """Return what the rule of a target gives; `before`: the target with the one before."""
    return AnswerTable(
        target=entry.target,
        rows=0 if counts is None else counts.rows,
        source=None if counts is None else source,
        rule=_rule(entry.abstain, counts),
        before=None if before is None else _rule(before.abstain, counts),
        counts=counts,
    )


def with_loss(entry: TargetManifest, loss: float, counts: EvidenceCounts | None) -> TargetManifest:
    """Return a target with the abstain rule that may cost this share of its answers.

    Raises:
        InvalidSetting: there are no rows to choose by.
        NoRows: they are too few.
    """
    if loss <= 0:
        return entry.model_copy(update={"abstain": None})
    if counts is None:
        raise InvalidSetting(
            f"The model keeps no evidence of held-out rows for target {entry.name!r}: an earlier version of Tamis made "
            f"it, it was grown from another model, or fewer than {LEAST_ROWS} rows were held out. Give labelled rows "
            "with --data FILE, or train it again with --abstain-loss.",
            for_callers=f"The model keeps no evidence of held-out rows for target {entry.name!r}, so how sure it must "
            "be to answer cannot be chosen again: choose it by labelled rows with the command `tamis thresholds` "
            "(--data FILE), or train it again with `abstain_loss`.",
            setting="abstain_loss",
            target=entry.name,
        )
    if counts.rows < LEAST_ROWS:
        raise NoRows(
            f"Only {counts.rows} rows say something about target {entry.name!r}: give {LEAST_ROWS} at least, better "
            "some hundred.",
            target=entry.name,
        )
    cut = counts.cut_for(loss)
    coverage = round(1 - counts.at(cut).lost, 6)
    rule = Abstain(threshold=cut, coverage=coverage, evidence=_plain(counts), loss=loss)
    return entry.model_copy(update={"abstain": rule})


def figures_again(figures: JsonValue, entry: TargetManifest, counts: EvidenceCounts | None) -> JsonValue:
    """Return the figures of a target at its new rule: counted again, or dropped where they are not known."""
    if not isinstance(figures, dict):
        return figures
    kept = {name: value for name, value in figures.items() if name not in OF_RULES}
    if entry.abstain is None or counts is None:
        return kept
    at = _rule(entry.abstain, counts)
    found = {"coverage": at.coverage, "selective_accuracy": at.accuracy, "oos_recall": at.oos_recall}
    return kept | {name: value for name, value in found.items() if value is not None}


def single_label(targets: Sequence[Target], only: str | None) -> list[Target]:
    """Return the targets that may abstain; `only`: the one that is meant."""
    return [target for target in targets if not target.is_multi and only in (None, target.name)]


def _plain(counts: EvidenceCounts) -> dict[Evidence, float] | None:
    return None if counts.weights is None else dict(counts.weights)


def _rule(rule: Abstain | None, counts: EvidenceCounts | None) -> RuleAt:
    if rule is None:
        return RuleAt(0.0, None) if counts is None else _of(counts.points()[0], 0.0, None)
    return RuleAt(rule.loss, rule.threshold) if counts is None else _at(rule.loss, rule.threshold, counts)


def _at(loss: float, cut: float, counts: EvidenceCounts) -> RuleAt:
    return _of(counts.at(cut), loss, cut)


def _of(point: Answered, loss: float, cut: float | None) -> RuleAt:
    return RuleAt(loss, cut, round(point.coverage, 6), _share(point.accuracy), _share(point.turned_away))


def _share(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
