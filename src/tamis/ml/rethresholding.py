"""Other thresholds for a model that is there, and other abstain rules: from counts of held-out rows, without training.

Scores do not change, so neither do weights, calibration or golden rows. Figures that the new thresholds would make
untrue are counted again, or dropped. It does not know where models are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from tamis.data.dataset import Dataset
from tamis.data.thinning import evenly
from tamis.data.truth import MultiTruth, SingleTruth
from tamis.errors import InvalidSetting, NoRows
from tamis.evaluation.answered import EvidenceCounts, count_evidence
from tamis.evaluation.evidence import Weights
from tamis.evaluation.metrics import (
    Doubles,
    LabelCounts,
    macro_f1,
    micro_f1,
    precision_recall_f1,
    ratio,
    weighted_f1,
)
from tamis.evaluation.objectives import SHARED, Purpose, Wanted, require_target
from tamis.evaluation.purposes import SURE, Chosen, as_measured, choose, figures_at
from tamis.evaluation.thresholds import FINE
from tamis.ml.answering import AnswerTable, Source, figures_again, single_label, table_of, with_loss
from tamis.ml.artifact import Artifact, manifest_hash, write_artifact
from tamis.ml.decisions import LEAST_ROWS, MOST_SCORES, Decisions, evidence_by
from tamis.ml.manifest import ChosenFor, Manifest, ParentManifest, TargetManifest, now, tamis_version
from tamis.ml.predictor import Predictor
from tamis.ml.scorer import Contents, familiar_of
from tamis.ml.threshold_record import RECORD, Held, HeldCounts, count_held, parse_record
from tamis.schema import Kind, Target

OTHERS = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Thresholds that a table shows beside the model's own."""

STAYING = frozenset({"n", "mean_average_precision", "log_loss", "brier", "ece_before", "ece"})
"""Figures of a multi-label target that do not depend on thresholds."""

SHOWN = 10
"""Labels that a remark names."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What thresholds are chosen by.

    Attributes:
        counts: by target.
        held: counts of the rows held out in training, which the model's own figures are of.
        source: which rows `counts` are of.
        sha256: the content hash of data.
    """

    counts: Mapping[str, Held]
    held: Mapping[str, Held]
    source: Source = "held_out"
    sha256: str | None = None

    def of_labels(self, target: str) -> HeldCounts | None:
        """Counts of a multi-label target."""
        return found if isinstance(found := self.counts.get(target), HeldCounts) else None

    def of_evidence(self, target: str) -> EvidenceCounts | None:
        """Counts of a single-label target."""
        return found if isinstance(found := self.counts.get(target), EvidenceCounts) else None


@dataclass(frozen=True, slots=True)
class LabelAt:
    """One label at its threshold.

    Attributes:
        label: its name.
        threshold: from which score it is given.
        before: its threshold before, where that was another.
        precision: of the rows given it, the share that carries it; None where none is given it, or nothing was counted.
        recall: of the rows that carry it, the share that is given it; None where none carries it.
        f1: of these two.
        support: rows that carry it; None where nothing was counted.
        given: rows that are given it, about.
        asked: what was asked for, as it is written; None: its threshold was left, or given by hand.
        kept: False where no threshold is known to do what was asked, so that this is the closest.
        bound: what the precision or recall that was asked for is at least, with a probability of 0.95.
    """

    label: str
    threshold: float
    before: float | None = None
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    support: int | None = None
    given: float | None = None
    asked: str | None = None
    kept: bool = True
    bound: float | None = None

    def to_json(self) -> dict[str, object]:
        """Plain types."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, eq=False)
class ThresholdTable:
    """What a target's thresholds give on the rows that were counted, if any.

    Attributes:
        target: what was asked.
        rows: how many were counted; 0 where none were.
        source: which rows; None where none were.
        labels: each at its threshold.
        figures: micro-, macro- and weighted F1 at these thresholds.
        before: the same at the thresholds before, where they were others.
        counts: of the rows.
        together: labels that got one threshold for what was asked of all of them together.
    """

    target: Target
    rows: int
    source: Source | None
    labels: tuple[LabelAt, ...]
    figures: Mapping[str, float] = field(default_factory=dict)
    before: Mapping[str, float] | None = None
    counts: HeldCounts | None = None
    together: frozenset[str] = frozenset()

    @property
    def not_kept(self) -> tuple[LabelAt, ...]:
        """Labels of which no threshold is known to do what was asked."""
        return tuple(label for label in self.labels if not label.kept)

    def at(self, threshold: float) -> list[tuple[float | None, float | None]]:
        """Precision and recall of each label, were it given from this score on."""
        if self.counts is None:
            return [(None, None)] * len(self.labels)
        found = self.counts.measured.at(np.full(len(self.labels), threshold))
        precision, recall = ratio(found.hits, found.given, np.nan), ratio(found.hits, found.actual, np.nan)
        return [(_share(p), _share(r)) for p, r in zip(precision.tolist(), recall.tolist(), strict=True)]

    def curves(self) -> dict[str, object]:
        """Precision and recall of each label at many thresholds, for who moves them by hand; plain types."""
        if self.counts is None:
            return {"thresholds": [], "labels": {}}
        curves = self.counts.measured.curves()
        precision = ratio(curves.hits, curves.given, np.nan)
        recall = ratio(curves.hits, np.broadcast_to(curves.actual[:, None], curves.hits.shape), np.nan)
        return {
            "thresholds": [round(float(cut), 6) for cut in FINE],
            "labels": {
                label: {
                    "precision": [*map(_share, precision[at].tolist())],
                    "recall": [*map(_share, recall[at].tolist())],
                }
                for at, label in enumerate(self.target.labels)
            },
        }

    def to_json(self) -> dict[str, object]:
        """Plain types."""
        return {
            "rows": self.rows,
            "source": self.source,
            "figures": dict(self.figures),
            "figures_before": None if self.before is None else dict(self.before),
            "labels": [label.to_json() for label in self.labels],
            "not_kept": [label.label for label in self.not_kept],
        }


@dataclass(frozen=True, slots=True, eq=False)
class Rethresholded:
    """A model's manifest with other thresholds, tables of the targets that changed, and what is to be told."""

    manifest: Manifest
    tables: Mapping[str, ThresholdTable]
    answers: Mapping[str, AnswerTable]
    remarks: tuple[str, ...] = ()


def evidence_in(artifact: Artifact) -> Evidence:
    """Return what an artifact keeps of its held-out rows; nothing where it was made before that was kept.

    Raises:
        DamagedArtifact: it is no record of counts.
    """
    raw = artifact.files.get(RECORD)
    targets = [entry.target for entry in artifact.manifest.targets]
    counts = {} if raw is None else parse_record(raw, artifact.folder / RECORD, targets)
    return Evidence(counts, counts)


def evidence_of(data: Dataset, predictor: Predictor, held: Mapping[str, Held]) -> Evidence:
    """Score rows and count them; of very many, evenly some.

    Args:
        data: the rows, with the model's targets.
        predictor: the model's, whose calibration was fitted on other rows.
        held: counts of the rows held out in training, where the model has them.
    """
    width = sum(len(target.labels) for target in predictor.targets)
    rows = np.arange(len(data))
    if len(rows) * width > MOST_SCORES[Kind.MULTI_LABEL]:
        most = max(LEAST_ROWS, MOST_SCORES[Kind.MULTI_LABEL] // width)
        rows = evenly(len(rows), most)
    scores = predictor.checked_scores([data.inputs[row] for row in rows.tolist()])
    counts = dict[str, Held]()
    for place, entry in enumerate(predictor.entries):
        truth, of = data.truth.get(entry.name), scores[entry.name]
        if isinstance(truth, MultiTruth):
            counts[entry.name] = count_held(truth.select(rows), of)
        elif isinstance(truth, SingleTruth):
            by = _evidence_by(entry, held)
            found = evidence_by(by, of, familiar_of(scores, place))
            counted = count_evidence(truth.select(rows), of.argmax(axis=1), found, by=by)
            counts |= {} if counted is None else {entry.name: counted}
    return Evidence(counts, held, "data", data.content_hash())


def _evidence_by(entry: TargetManifest, held: Mapping[str, Held]) -> Weights | None:
    """What the evidence of a target is made of: as its rule has it, or as its record says."""
    if entry.abstain is not None:
        return entry.abstain.evidence
    kept = held.get(entry.name)
    return kept.weights if isinstance(kept, EvidenceCounts) else None


def answers_of(manifest: Manifest, evidence: Evidence, only: str | None = None) -> dict[str, AnswerTable]:
    """Return what the abstain rule of each single-label target gives; `only`: of that target.

    Raises:
        UndeclaredLabel: there is no such target.
    """
    targets = [entry.target for entry in manifest.targets]
    if only is not None:
        require_target(targets, only)
    names = [target.name for target in single_label(targets, only)]
    return {name: table_of(manifest.target(name), evidence.of_evidence(name), evidence.source) for name in names}


def tables_of(manifest: Manifest, evidence: Evidence, only: str | None = None) -> dict[str, ThresholdTable]:
    """Return what the thresholds of each multi-label target give, none where there is none; `only`: of that target.

    Raises:
        UndeclaredLabel: there is no such target.
    """
    targets = [entry.target for entry in manifest.targets]
    if only is not None:
        require_target(targets, only)
    names = [target.name for target in targets if target.is_multi and only in (None, target.name)]
    return {name: _table(manifest.target(name), evidence) for name in names}


def rethreshold(
    manifest: Manifest, evidence: Evidence, purpose: Purpose, parent: ParentManifest, only: str | None = None
) -> Rethresholded:
    """Return a model's manifest with the thresholds that a purpose asks for.

    Args:
        manifest: of the model.
        evidence: what thresholds are chosen by.
        purpose: what is wanted.
        parent: the model.
        only: the one target that is meant; None: all that have thresholds.

    Raises:
        InvalidSetting: there is nothing to choose by, or nothing to choose.
        UndeclaredLabel: there is no such label or target.
        NoRows: too few rows speak of a target.
    """
    targets = [entry.target for entry in manifest.targets]
    wanted, losses = purpose.of(targets, only), purpose.losses(targets, only)
    entries, tables, remarks = dict[str, TargetManifest](), dict[str, ThresholdTable](), list[str]()
    answers = dict[str, AnswerTable]()
    for name, each in wanted.items():
        before = manifest.target(name)
        made, chosen_for = _chosen(before, evidence, each)
        entry = before.model_copy(update={"thresholds": tuple(made.thresholds.tolist()), "chosen_for": chosen_for})
        entries[name], tables[name] = entry, _table(entry, evidence, before, made)
        remarks += remarks_on(name, chosen_for)
    for name, loss in losses.items():
        before, counts = manifest.target(name), evidence.of_evidence(name)
        entries[name] = with_loss(before, loss, counts)
        answers[name] = table_of(entries[name], counts, evidence.source, before)
    changed = manifest.model_copy(
        update={
            "tamis_version": tamis_version(),
            "created": now(),
            "parent": parent.model_copy(update={"thresholds": tuple(entries)}),
            "targets": tuple(entries.get(entry.name, entry) for entry in manifest.targets),
            "metrics": _metrics(manifest, entries, evidence.held),
        }
    )
    return Rethresholded(changed, tables, answers, tuple(remarks))


def parent_of(manifest: Manifest, folder: Path | None, name: str | None = None) -> ParentManifest:
    """Return how a model is named as another one's parent; `folder` is where it is stored, `name` what it is called."""
    return ParentManifest(name=name or manifest.name, sha256=manifest_hash(manifest, folder))


def write_changed(artifact: Artifact, manifest: Manifest, folder: Path, *, overwrite: bool = False) -> Manifest:
    """Write an artifact with another manifest; all other files are the same.

    Raises:
        OutputExists: something is there that is not an artifact, or `overwrite` is not given.
        ModelError: the disk is full, or the place may not be written.
    """
    files = {name: artifact.folder / name for name in artifact.manifest.files}
    return write_artifact(folder, manifest, Contents({}, None, files), overwrite=overwrite)


def for_purpose(made: Mapping[str, Decisions], purpose: Purpose, targets: Sequence[Target]) -> dict[str, Decisions]:
    """Return a training run's decisions with the thresholds that were asked for.

    A target with too few held-out rows keeps what it has.
    """
    chosen = dict(made)
    labels = {target.name: target.labels for target in targets}
    for name, wanted in purpose.of(targets).items():
        old = made[name]
        if not isinstance(old.held, HeldCounts):
            said = _said(wanted, labels[name], None).model_copy(update={"not_kept": labels[name]})
            chosen[name] = replace(old, chosen_for=said)
            continue
        found = _honest(choose(old.held.fit, wanted, np.array(old.thresholds, dtype=np.float32)), wanted, old.held)
        said = _said(wanted, labels[name], (old.held, Evidence({}, {})), found)
        chosen[name] = replace(old, thresholds=tuple(found.thresholds.tolist()), chosen_for=said)
    return chosen


def remarks_on(target: str, made: ChosenFor | None) -> list[str]:
    """Return what is to be told of a target's thresholds that are not what was asked for."""
    if made is None or not made.not_kept:
        return []
    names = ", ".join(made.not_kept[:SHOWN])
    more = f" and {len(made.not_kept) - SHOWN:,} more" if len(made.not_kept) > SHOWN else ""
    if not made.rows:
        return [
            f"Target {target!r}: fewer than {LEAST_ROWS} rows were held out, so its thresholds could not be chosen."
        ]
    asked = " and ".join(dict.fromkeys([*([made.objective] if made.objective else []), *made.labels.values()]))
    return [
        f"Target {target!r}: for {names}{more}, no threshold is known to keep {asked} (with a probability of "
        f"{SURE:.0%}, after {made.rows:,} rows): they have the closest. More rows with these labels may help."
    ]


def _chosen(entry: TargetManifest, evidence: Evidence, wanted: Wanted) -> tuple[Chosen, ChosenFor]:
    """The thresholds of a target for what is wanted, and what is written down of that."""
    counts = evidence.of_labels(entry.name)
    before = np.array(entry.thresholds, dtype=np.float32)
    by_hand = wanted.objective is None and not wanted.by_label
    if counts is None and not by_hand:
        raise InvalidSetting(
            f"The model keeps no counts of held-out rows for target {entry.name!r}: it was made by an earlier version "
            f"of Tamis, or fewer than {LEAST_ROWS} rows were held out. Give labelled rows with --data FILE, or set "
            "thresholds by hand with --set LABEL=0.4.",
            for_callers=f"The model keeps no counts of held-out rows for target {entry.name!r}: only thresholds that "
            "are given (`set`) can be stored. Train it again to choose them by an objective.",
            setting="data",
            target=entry.name,
        )
    if counts is None or by_hand:
        thresholds = before.copy()
        thresholds[list(wanted.fixed)] = list(wanted.fixed.values())
        n_labels = len(before)
        made = Chosen(thresholds, (None,) * n_labels, np.ones(n_labels, dtype=bool), np.full(n_labels, np.nan))
        return made, _said(wanted, entry.labels, None)
    if counts.rows < LEAST_ROWS:
        raise NoRows(
            f"Only {counts.rows} rows say something about target {entry.name!r}: give {LEAST_ROWS} at least, better "
            "some hundred.",
            target=entry.name,
        )
    made = _honest(choose(counts.fit, wanted, before), wanted, counts)
    return made, _said(wanted, entry.labels, (counts, evidence), made)


def _honest(made: Chosen, wanted: Wanted, counts: HeldCounts) -> Chosen:
    measured = figures_at(counts.measured, made.thresholds, counts.unseen)
    rest = set(range(len(made.thresholds))) - wanted.by_label.keys() - wanted.fixed.keys()
    return as_measured(made, measured, rest if wanted.shared else ())


def _said(
    wanted: Wanted, labels: Sequence[str], by: tuple[HeldCounts, Evidence] | None, made: Chosen | None = None
) -> ChosenFor:
    """What a manifest says of thresholds that were asked for; `by`: what they were chosen by, if anything."""
    counts, evidence = by or (None, None)
    return ChosenFor(
        objective=str(wanted) or None,
        labels={labels[place]: str(objective) for place, objective in wanted.by_label.items()},
        fixed={labels[place]: value for place, value in wanted.fixed.items()},
        source=None if evidence is None else evidence.source,
        rows=0 if counts is None else counts.rows,
        sha256=None if evidence is None else evidence.sha256,
        not_kept=() if made is None else tuple(labels[place] for place in np.flatnonzero(~made.kept).tolist()),
    )


def _table(
    entry: TargetManifest, evidence: Evidence, before: TargetManifest | None = None, chosen: Chosen | None = None
) -> ThresholdTable:
    counts = evidence.of_labels(entry.name)
    thresholds = np.array(entry.thresholds, dtype=np.float64)
    earlier = thresholds if before is None else np.array(before.thresholds, dtype=np.float64)
    figures = None if counts is None else figures_at(counts.measured, thresholds, counts.unseen)
    said = _Said(entry, thresholds, earlier, chosen)
    shown = None if counts is None or before is None else figures_at(counts.measured, earlier, counts.unseen)
    return ThresholdTable(
        target=entry.target,
        rows=0 if counts is None else counts.rows,
        source=None if counts is None else evidence.source,
        labels=tuple(said.label(place, figures) for place in range(len(entry.labels))),
        figures={} if figures is None else _f1s(figures),
        before=None if shown is None else _f1s(shown),
        counts=counts,
        together=frozenset() if chosen is None else _together(entry),
    )


def _together(entry: TargetManifest) -> frozenset[str]:
    made = entry.chosen_for
    if made is None or not (made.objective or "").startswith(SHARED):
        return frozenset()
    return frozenset(entry.labels) - made.labels.keys() - made.fixed.keys()


@dataclass(frozen=True, slots=True, eq=False)
class _Said:
    """What is said of a target's labels."""

    entry: TargetManifest
    thresholds: Doubles
    before: Doubles
    chosen: Chosen | None

    def label(self, place: int, counts: LabelCounts | None) -> LabelAt:
        now, then = float(self.thresholds[place]), float(self.before[place])
        made = self.chosen
        at = LabelAt(
            label=self.entry.labels[place],
            threshold=round(now, 6),
            before=round(then, 6) if abs(now - then) > 1e-6 else None,
            asked=None if made is None or made.asked[place] is None else str(made.asked[place]),
            kept=made is None or bool(made.kept[place]),
            bound=None if made is None else _share(float(made.bound[place])),
        )
        if counts is None:
            return at
        precision, recall, f1 = (float(each[place]) for each in precision_recall_f1(counts))
        support, given = float(counts.actual[place]), float(counts.given[place])
        return replace(
            at,
            precision=_share(precision) if given else None,
            recall=_share(recall) if support else None,
            f1=_share(f1) if support or given else None,
            support=round(support),
            given=round(given, 1),
        )


def _share(value: float) -> float | None:
    return round(value, 6) if isfinite(value) else None


def _f1s(counts: LabelCounts) -> dict[str, float]:
    """F1 in the three ways of averaging, as an evaluation has them."""
    return {
        "micro_f1": round(float(micro_f1(counts)), 6),
        "macro_f1": round(float(macro_f1(counts, occurring_only=False)), 6),
        "weighted_f1": round(float(weighted_f1(counts)), 6),
    }


def _metrics(
    manifest: Manifest, changed: Mapping[str, TargetManifest], held: Mapping[str, Held]
) -> dict[str, JsonValue]:
    """The manifest's figures: counted again on held-out rows where the counts are there; dropped where they are not."""
    kept: dict[str, JsonValue] = {}
    for part, figures in manifest.metrics.items():
        counts = held if part == "held_out" else {}
        kept[part] = figures
        if isinstance(figures, dict):
            kept[part] = {
                target: _again(old, changed[target], counts.get(target)) if target in changed else old
                for target, old in figures.items()
            }
    return kept


def _again(figures: JsonValue, entry: TargetManifest, counts: Held | None) -> JsonValue:
    """The figures of a target at its new thresholds, as far as they are known."""
    if entry.thresholds is None:
        return figures_again(figures, entry, counts if isinstance(counts, EvidenceCounts) else None)
    stay = {name: value for name, value in figures.items() if name in STAYING} if isinstance(figures, dict) else {}
    if not isinstance(counts, HeldCounts):
        return stay
    return stay | _f1s(figures_at(counts.measured, np.array(entry.thresholds, dtype=np.float64), counts.unseen))
