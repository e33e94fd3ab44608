"""A model that grows: what a run starts from, what it may be asked, and what becomes of the decisions of old labels.

`tamis.train(..., start_from=MODEL)` adds labels and targets to a model. A target that no row mentions stays as it was.
How weights are found is its tier's; this module does not know them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tamis.data.dataset import Dataset, require_learnable
from tamis.data.known import Added, of_old_labels
from tamis.data.loading import Weighted
from tamis.data.truth import MultiTruth, SingleTruth, Truth
from tamis.errors import InvalidSetting, NothingToLearn
from tamis.evaluation.evidence import Familiar
from tamis.evaluation.thresholds import abstains, fit_abstain
from tamis.ml.artifact import MANIFEST
from tamis.ml.base_models import Base
from tamis.ml.cards import BaseModelCard
from tamis.ml.decisions import PLAIN_THRESHOLD, Abstaining, Decisions, calibrated, evidence_by, fit_decisions
from tamis.ml.encoder.base_model import EncoderBase
from tamis.ml.given import Data
from tamis.ml.holding_out import ENOUGH_TO_CALIBRATE, VALIDATION
from tamis.ml.manifest import Calibration, ParentManifest, TargetManifest
from tamis.ml.model import Model, load
from tamis.ml.schedule import Hyperparameters
from tamis.ml.scorer import Floats
from tamis.ml.static.base_model import StaticBase
from tamis.ml.static.scorer import StaticScorer
from tamis.ml.trained import HeldOut, Start
from tamis.schema import Kind, Target

NEARLY_ALL = 0.8
"""Share of the rows that a static model learnt from, from which on it is better to train anew on all."""

HELD_BACK = "new labels are held back"
"""What remarks say where old labels have no rows."""

SCHEDULE = ("training_steps", "epochs", "learning_rate", "weight_decay", "warmup_fraction")
"""What has no meaning where heads alone are fitted, to their one minimum."""


@dataclass(frozen=True, slots=True, eq=False)
class Parent:
    """The model that a run starts from; `sha256` is that of its manifest.json."""

    model: Model
    sha256: str

    @property
    def card(self) -> BaseModelCard:
        """Its base model."""
        return self.model.manifest.base_model

    @property
    def targets(self) -> tuple[Target, ...]:
        """What it answers."""
        return self.model.targets

    def learns_anew(self, data: Dataset) -> bool:
        """Whether all weights learn from all rows: an encoder's, and a static model's where old rows are here."""
        if self.card.tier != "static":
            return True
        if any(
            is_kept(data.truth[target.name]) or _without_rows(data.truth[target.name], target)
            for target in self.targets
        ):
            return False
        old = np.zeros(len(data), dtype=bool)
        for target in self.targets:
            old |= of_old_labels(data.truth[target.name], len(target.labels))
        return int(old.sum()) >= NEARLY_ALL * self.model.manifest.data.train_rows

    def base(self) -> Base:
        """Return what learns anew: an encoder that has learnt already, or a static model's own base model."""
        if isinstance(self.model.scorer, StaticScorer):
            semantics = self.model.scorer.model.semantics
            return StaticBase(self.card, semantics.matrix, semantics.tokenizer.source, semantics.tokenizer.unknown_id)
        return EncoderBase(self.card, Path(str(self.model.folder)))

    @property
    def start(self) -> Start:
        """What its tier grows."""
        manifest = self.model.manifest
        return Start(self.model.scorer, manifest.targets, manifest.data.train_rows)

    def facts(self) -> dict[str, object]:
        """Return what tells it from any other model."""
        return {"card": self.card.model_dump(), "start_from": self.sha256}

    def chosen(self, chosen: Hyperparameters) -> Hyperparameters:
        """Return the hyperparameters of the run: inputs are cut as the model's were, where nothing else is said."""
        before = self.model.manifest.hyperparameters.get("seq_len")
        if chosen.seq_len is not None or not isinstance(before, int):
            return chosen
        return chosen.model_copy(update={"seq_len": before})


def open_parent(given: str | Path | Model, asked: Mapping[str, object]) -> Parent:
    """Return the model to start from; `asked` is what else the run is asked for (None: not).

    Raises:
        UnknownModel: there is none.
        ModelError: it is damaged.
        InvalidSetting: the run cannot be asked that; the message says why.
    """
    model = given if isinstance(given, Model) else load(given)
    with model.stored() as folder:
        parent = Parent(model, hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest())
    refuse_settings(parent, asked)
    return parent


def refuse_settings(parent: Parent, asked: Mapping[str, object]) -> None:
    """Do nothing where a run that grows `parent` can be asked this; what is None was not asked.

    Raises:
        InvalidSetting: something cannot be chosen; the message says why.
    """
    if asked.get("base") is not None:
        raise InvalidSetting(
            f"The base model is that of the model to start from ({parent.card.id}): another one would read texts in "
            "another way, and nothing learnt would be left. Leave the base model out, or train anew without a model to "
            "start from.",
            setting="base",
        )
    if asked.get("targets") is not None:
        raise InvalidSetting(
            "Targets cannot be declared beside a model to start from: it has its own, and rows add labels and targets. "
            "Leave them out.",
            setting="targets",
        )
    if asked.get("oos_label") is not None:
        raise InvalidSetting(
            "Rows out of scope cannot be learnt by a model that grows: leave oos_label out, or train anew on all rows, "
            "the old ones too.",
            setting="oos_label",
        )
    if parent.card.tier != "static":
        _refuse_encoder(parent, asked)
        return
    for entry in parent.model.manifest.targets:
        if len(entry.computed.labels) != len(entry.labels):
            raise InvalidSetting(
                f"The model {parent.model.name!r} has learnt rows out of the scope of {entry.name}, which leave no "
                "room for new labels: train anew on all rows, the old ones too.",
                setting="start_from",
            )
    for name in SCHEDULE:
        if asked.get(name) is not None:
            raise InvalidSetting(
                f"{name} has no meaning for a model that grows: what it has learnt stays, and the weights of labels "
                "are fitted to their best. Leave it out.",
                setting=name,
            )


def _refuse_encoder(parent: Parent, asked: Mapping[str, object]) -> None:
    """An encoder's weights serve all labels: it goes on with all rows, and is calibrated on rows it has not seen."""
    if asked.get("rehearse") is None or asked.get("validation") is None:
        raise InvalidSetting(
            f"The model {parent.model.name!r} is of the encoder tier, whose weights all serve all labels: rows of new "
            "labels alone would make it forget the old ones. Give the old rows too (rehearse), and validation data "
            "with rows of all labels that it has not learnt from, since its scores can only be calibrated on such.",
            setting="start_from",
        )
    if parent.model.folder is None:
        raise InvalidSetting(
            f"The model {parent.model.name!r} is in memory only: save it, and start from its folder.",
            setting="start_from",
        )


def require_growth(data: Dataset, parent: Parent) -> None:
    """Refuse rows that a model cannot grow by.

    Raises:
        NothingToLearn: no row has a label, or a new target has nothing to tell apart.
    """
    if parent.card.tier != "static":
        require_learnable(data)
        _refuse_forgetting(parent, data)
        return
    known = {target.name for target in parent.targets}
    new = tuple(target for target in data.targets if target.name not in known)
    if new:
        require_learnable(replace(data, targets=new))
    if not any(truth.known.any() for truth in data.truth.values()):
        raise NothingToLearn("No row has a label: there is nothing to add to the model.")


def _refuse_forgetting(parent: Parent, data: Dataset) -> None:
    for before in parent.targets:
        counts = data.truth[before.name].counts()[: len(before.labels)]
        absent = [label for label, count in zip(before.labels, counts.tolist(), strict=True) if not count]
        if absent:
            raise NothingToLearn(
                f"{len(absent):,} of the labels that the model has of {before.name} have no row ({absent[0]!r} first), "
                "and an encoder would forget them: give rows of all labels to rehearse.",
                target=before.name,
            )


def parent_manifest(parent: Parent, data: Dataset) -> ParentManifest:
    """Return what a manifest says of the model that it was grown from."""
    added = Added.between(parent.targets, data.targets)
    return ParentManifest(
        name=parent.model.name,
        sha256=parent.sha256,
        labels=dict(added.labels),
        targets=added.targets,
        kept=tuple(target.name for target in parent.targets if is_kept(data.truth[target.name])),
    )


def is_kept(truth: Truth) -> bool:
    """Whether a target stays as it was: no row mentions it."""
    return not truth.known.any()


def remarks_on(parent: Parent, data: Dataset, validation: Dataset | None) -> tuple[str, ...]:
    """Return what is to be said of a model that was grown."""
    added = Added.between(parent.targets, data.targets)
    said = [f"Started from {parent.model.name} and added {added.told()}."]
    if parent.learns_anew(data):
        how = "goes on from its weights" if parent.card.tier != "static" else "trained anew, in its order of labels"
        return (*said, f"The old rows are here: {how}, with all rows.")
    for target in parent.targets:
        truth = data.truth[target.name]
        if is_kept(truth):
            said.append(f"No row mentions the target {target.name}: its scores and answers are those of before.")
            continue
        without = _without_rows(truth, target)
        judged = validation is not None and enough_of_old(validation.truth[target.name], target)
        if without and added.labels.get(target.name):
            said.append(
                f"{without:,} of the {len(target.labels):,} old labels of {target.name} have no row here: so that they "
                f"stay as they were, {HELD_BACK}, and the figures on held-out rows are low for it. Rows of old labels "
                "(rehearse), even five of each, give full quality."
            )
        if not judged:
            said.append(
                f"{target.name}: the scores of old labels are calibrated as before, since no rows of theirs that the "
                "model had not seen are here; validation data with rows of all labels would calibrate them together."
            )
    return tuple(said)


def enough_of_old(truth: Truth, before: Target) -> bool:
    """Whether validation rows can judge old labels and new ones together."""
    n_old = len(before.labels)
    if isinstance(truth, SingleTruth):
        counts = truth.counts()
        return int(counts[:n_old].sum()) >= ENOUGH_TO_CALIBRATE and (len(counts) == n_old or bool(counts[n_old:].sum()))
    return int(truth.known.sum()) >= ENOUGH_TO_CALIBRATE and bool(truth.counts()[:n_old].sum())


def with_rehearsed(new: Data, old: Data | None, parent: Parent | None) -> Data:
    """Return the rows to learn from: new ones, and old ones that were given again.

    Raises:
        InvalidSetting: there are old ones and no model to start from.
    """
    if old is None:
        return new
    if parent is None:
        raise InvalidSetting(
            "Rows to rehearse are for a model to start from: give both, or all rows as training data.",
            setting="rehearse",
        )
    return [Weighted(new), Weighted(old)]


def decisions_of(entry: TargetManifest, truth: Truth, held: HeldOut | None, *, seed: int) -> Decisions:
    """Return how the logits of a target that the model had become answers.

    Old labels are decided as before, since the held-out rows say nothing honest of them, unless they are validation
    data that has enough rows of these.

    Args:
        entry: the target before.
        truth: of the training rows.
        held: rows that were held out.
        seed: of the folds in which calibration is judged.
    """
    before = Decisions(
        calibration=entry.calibration, thresholds=entry.thresholds, chosen_for=entry.chosen_for, abstain=entry.abstain
    )
    if is_kept(truth):
        return before
    wide = _widened(before, entry, truth.n_labels)
    if held is None or entry.name not in held.truth:
        return wide
    judged, logits, weights = held.truth[entry.name], held.logits[entry.name], held.weights.get(entry.name)
    familiar, loss = held.familiar.get(entry.name), 0.0 if entry.abstain is None else entry.abstain.loss
    if held.rows == VALIDATION and enough_of_old(judged, entry.target):
        return fit_decisions(judged, logits, seed=seed, weights=weights, abstaining=Abstaining(loss, familiar))
    if isinstance(judged, SingleTruth):
        return _single(wide, judged, logits, weights, familiar)
    return _multi(wide, len(entry.labels), judged, logits, fit_decisions(judged, logits, seed=seed, weights=weights))


def _widened(before: Decisions, entry: TargetManifest, n_labels: int) -> Decisions:
    """The decisions with room for new labels: calibrated like the others on average, thresholds of a half."""
    n_old, more = len(entry.labels), n_labels - len(entry.labels)
    scale, bias = before.calibration.scale, before.calibration.bias
    if entry.kind is Kind.MULTI_LABEL:
        scale, bias = scale * n_old if len(scale) == 1 else scale, bias * n_old if len(bias) == 1 else bias
        scale, bias = (*scale, *(float(np.mean(scale)),) * more), (*bias, *(float(np.mean(bias)),) * more)
    elif any(bias):
        bias = (*(bias * n_old if len(bias) == 1 else bias), *(0.0,) * more)
    thresholds = None if before.thresholds is None else (*before.thresholds, *(PLAIN_THRESHOLD,) * more)
    return replace(before, calibration=Calibration(scale=scale, bias=bias), thresholds=thresholds)


def _single(
    wide: Decisions, truth: SingleTruth, logits: Floats, weights: Floats | None, familiar: Familiar | None
) -> Decisions:
    """Calibrated as before; the abstain rule answers as much as before, and as much of the held-out rows."""
    scores = calibrated(Kind.SINGLE_LABEL, wide.calibration, logits)
    known, rule = truth.known & (truth.codes < truth.n_labels), wide.abstain
    if rule is None or not known.any():
        return replace(wide, truth=truth, scores=scores)
    found = evidence_by(rule.evidence, scores, familiar)
    counted = None if weights is None else weights[known]
    cut = min(rule.threshold, fit_abstain(found[known], coverage=1 - rule.loss, weights=counted))
    abstained = abstains(found, cut)
    coverage = round(float(np.average(~abstained[known], weights=counted)), 6)
    rule = rule.model_copy(update={"threshold": cut, "coverage": coverage})
    return replace(wide, abstain=rule, truth=truth, scores=scores, evidence=found, abstained=abstained)


def _multi(wide: Decisions, n_old: int, truth: MultiTruth, logits: Floats, fitted: Decisions) -> Decisions:
    """New labels are decided as the held-out rows say, old ones as before."""
    if fitted.scores is None or fitted.truth is None:
        return wide
    scale = (*wide.calibration.scale[:n_old], *fitted.calibration.scale[n_old:])
    bias = fitted.calibration.bias if len(fitted.calibration.bias) > 1 else fitted.calibration.bias * truth.n_labels
    calibration = Calibration(scale=scale, bias=(*wide.calibration.bias[:n_old], *bias[n_old:]))
    thresholds = (*(wide.thresholds or ())[:n_old], *(fitted.thresholds or ())[n_old:])
    scores = fitted.scores.copy()
    if len(scores) == len(logits):
        scores[:, :n_old] = calibrated(Kind.MULTI_LABEL, calibration, logits)[:, :n_old]
    return replace(wide, calibration=calibration, thresholds=thresholds, truth=fitted.truth, scores=scores)


def _without_rows(truth: Truth, before: Target) -> int:
    return int((truth.counts()[: len(before.labels)] == 0).sum())
