"""Static models fitted beside the fits of a network, and how much each target gains by them.

It does not know how the network is trained, nor how both are stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from tamis.data.dataset import Dataset, columns_of
from tamis.data.truth import SingleTruth, Truth
from tamis.ml.base_models import load_base
from tamis.ml.cards import STATIC_EN
from tamis.ml.encoder.ensemble import Partner, added
from tamis.ml.holding_out import Held, judged_rows
from tamis.ml.run_facts import plain_facts
from tamis.ml.schedule import Hyperparameters
from tamis.ml.static.base_model import StaticBase
from tamis.ml.static.scorer import StaticScorer
from tamis.ml.static.tier import train
from tamis.ml.trained import Attended, Task, Trained

Floats = NDArray[np.float32]

LOGITS, STATIC = "logits", "static"
"""What a network says of rows that it did not see, and what a static model of the same rows says."""

ENOUGH_ROWS = 50
"""Training rows from which a static model is fitted unasked."""

SHARES = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0)
USUAL_SHARE = 0.5
"""How much of the static logits may be added; where nothing was held out."""

TEMPERATURES = tuple(np.geomspace(0.3, 2.0, 9).tolist())
ERRORS, GAIN = 1.0, 0.01
"""Standard errors, and share of the loss, by which a target has to gain (`docs/log.md`)."""


class Beside:
    """Static models of the rows that a network's fits learn from. That of the last rows is kept."""

    def __init__(self, task: Task, attended: Attended) -> None:
        """Remember what to learn, and who may stop it.

        Raises:
            UnknownBaseModel: the static base model is not installed.
        """
        base = load_base(STATIC_EN.id)
        assert isinstance(base, StaticBase)
        self._base, self._task, self._attended = base, task, Attended(check=attended.check)
        self._last: tuple[Dataset, Trained] | None = None

    def fit(self, data: Dataset) -> Trained:
        """Return a model of some rows."""
        if self._last is None or self._last[0] is not data:
            task = Task(data, None, Hyperparameters(seed=self._task.chosen.seed), self._task.target_weights)
            self._last = data, train(self._base, task, self._attended)
        return self._last[1]

    def said(self, data: Dataset, others: Dataset) -> Floats:
        """Return (rows, all labels) what a model of some rows says of others."""
        found = self.fit(data).scorer.logits(others.inputs)
        return np.hstack([found[target.name] for target in data.targets])

    def partner(self, data: Dataset, shares: Mapping[str, float]) -> tuple[StaticScorer, Partner]:
        """Return the model of all rows, and what is stored of it."""
        made = self.fit(data)
        assert isinstance(made.scorer, StaticScorer)
        known = Partner(
            base_model=self._base.card, architecture=dict(plain_facts(made.architecture)), shares=dict(shares)
        )
        return made.scorer, known


@dataclass(frozen=True, slots=True)
class Gain:
    """What a target gains: the share of the static logits, 0 for nothing, and the figure of each on held-out rows."""

    share: float
    network: float = 0.0
    static: float = 0.0
    both: float = 0.0


def gains_of(held: Held, *, forced: bool) -> dict[str, Gain]:
    """Return what each target gains by the static model, judged on rows that neither saw.

    Args:
        held: the rows, with `LOGITS` and `STATIC`.
        forced: whether it is to be added wherever it may help, not only where it is likely to.
    """
    found = {}
    for name, columns in columns_of(held.data).items():
        rows = held.of(name)
        network, static = (rows.said[said][:, columns] for said in (LOGITS, STATIC))
        found[name] = _gain(rows.data.truth[name], network, static, rows.data.weights, forced=forced)
    return found


def _gain(truth: Truth, network: Floats, static: Floats, row_weights: Floats | None, *, forced: bool) -> Gain:
    some = np.flatnonzero(judged_rows(truth))
    if not len(some):
        return Gain(USUAL_SHARE if forced else 0.0)
    network, static, truth = network[some], static[some], truth.select(some)
    weights = np.ones(len(some)) if row_weights is None else row_weights[some].astype(np.float64)
    alone = _losses(network, truth, weights)
    by_share = {share: _losses(added(network, static, share), truth, weights) for share in SHARES}
    best = min(SHARES, key=lambda share: float(by_share[share] @ weights))
    if not forced and not _likely_less(by_share[best], alone, weights):
        best = 0.0
    figures = [_figure(logits, truth) for logits in (network, static, added(network, static, best))]
    return Gain(best, *figures)


def _losses(logits: Floats, truth: Truth, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(rows,) at the temperature that suits best."""
    each = [_row_losses(logits * np.float32(temperature), truth) for temperature in TEMPERATURES]
    return min(each, key=lambda losses: float(losses @ weights))


def _row_losses(logits: Floats, truth: Truth) -> NDArray[np.float64]:
    if isinstance(truth, SingleTruth):
        return np.asarray(-log_softmax(logits, axis=1)[np.arange(len(logits)), truth.codes], dtype=np.float64)
    of_labels = np.logaddexp(0.0, logits) - np.where(truth.indicator(), logits, 0)
    return np.asarray(of_labels.sum(axis=1), dtype=np.float64)


def _likely_less(losses: NDArray[np.float64], others: NDArray[np.float64], weights: NDArray[np.float64]) -> bool:
    total = weights.sum()
    if not total:
        return False
    less = others - losses
    mean = float(less @ weights / total)
    error = float(np.sqrt(((weights * (less - mean)) ** 2).sum()) / total)
    return mean > ERRORS * error and mean > GAIN * float(others @ weights / total)


def figure_of(logits: Floats, truth: Truth) -> float | None:
    """Return how good logits of some rows are; None where no row can be judged."""
    some = np.flatnonzero(judged_rows(truth))
    return _figure(logits[some], truth.select(some)) if len(some) else None


def _figure(logits: Floats, truth: Truth) -> float:
    """Accuracy, or of several labels the micro-F1 at the one threshold that is best for it."""
    if isinstance(truth, SingleTruth):
        return float((logits.argmax(axis=1) == truth.codes).mean())
    wanted = truth.indicator().ravel()
    hits = np.cumsum(wanted[np.argsort(-logits.ravel(), kind="stable")])
    return float((2 * hits / (np.arange(1, len(hits) + 1) + max(int(wanted.sum()), 1))).max(initial=0.0))


def told_gains(gains: Mapping[str, Gain]) -> list[str]:
    """Return the remarks for the report."""
    added_to = {name: gain for name, gain in gains.items() if gain.share}
    if not added_to:
        return []
    figures = "; ".join(
        f"{name}: {gain.both:.1%} instead of {gain.network:.1%}, with {gain.share:g} of its logits"
        for name, gain in added_to.items()
    )
    remarks = [
        f"A static model of the same rows answers together with the network (ensemble), by which held-out rows gain "
        f"({figures}; accuracy, or micro-F1 of several labels). Exports to other programs hold the network alone "
        "(--network-alone); --encoder-option ensemble=false trains without."
    ]
    if all(gain.static >= gain.both for gain in gains.values()):
        figures = ", ".join(f"{name} {gain.static:.1%}" for name, gain in gains.items())
        remarks.append(
            f"The static model alone is right as often ({figures}): --base {STATIC_EN.id} trains it in seconds, or "
            "choose a base model that knows the language of the texts."
        )
    return remarks
