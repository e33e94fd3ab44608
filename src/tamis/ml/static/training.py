"""Trains a static model: holds rows out, fits, finds how much each part should say, and uses every row in the end.

Three ways to hold rows out. A validation set is given: all training rows are fitted once and judged on it. Many rows:
a tenth is held out, and the fit then goes on with all rows. Few rows: cross-validation, then one fit to all rows.
Either way the logits of held-out rows come back, which calibration and thresholds are fitted on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from tamis.data.dataset import Dataset
from tamis.data.splits import different_texts, folds, split_rows
from tamis.data.truth import Truth
from tamis.ml.progress import Listener, Progress, nobody
from tamis.ml.schedule import Hyperparameters, Plan, plan
from tamis.ml.static.fitting import (
    Encoded,
    Lexical,
    Semantic,
    assemble,
    columns_of,
    fit_lexical,
    start_semantic,
    train_semantic,
)
from tamis.ml.static.judging import Judge, best_share, some_rows
from tamis.ml.static.model import Semantics, StaticModel, one_blas_thread
from tamis.ml.static.runs import FIELDS_OF_CHAT, FIELDS_OF_TEXT
from tamis.ml.static.sparse import Floats

TUNED = {"learning_rate": 7e-3, "embedding_learning_rate": 8e-3, "weight_decay": 0.05}
"""The static tier's own rates, where a base model's card has none."""

MANY_ROWS = 5_000  # from here on one tenth is held out once
MANY_SCORES = 10_000_000  # rows x labels from which that holds too
HELD_OUT = 0.1
MOST_HELD_OUT = 20_000
FEW_ROWS = 10  # below, nothing can be held out
NOTHING_TO_VALIDATE = (
    "No row of the validation data carries a label of the training data: it was left aside, and rows of the training "
    "data were held out instead."
)
MORE_EPOCHS = 1
MORE_RATE = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Rows that the fit did not see: `rows` says what they are, `logits` (n, labels) and `truth` by target."""

    rows: str
    n: int
    logits: Mapping[str, Floats]
    truth: Mapping[str, Truth]


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A static model before calibration, and what is needed for it."""

    model: StaticModel
    held_out: HeldOut | None
    checkpoints: tuple[dict[str, float], ...]
    remarks: tuple[str, ...]
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Watched:
    """One watched fit: the parts as they were at the best evaluation, and the logits of the watched rows then."""

    lexical: Lexical
    semantic: Semantic
    lexical_logits: Floats
    semantic_logits: Floats
    plan: Plan
    best_update: int = 0
    stopped_at: int = 0
    checkpoints: list[dict[str, float]] = field(default_factory=list)


class StaticTrainer:
    """One training run."""

    def __init__(
        self, semantics: Semantics, chosen: Hyperparameters, tuned: Mapping[str, float], listener: Listener = nobody
    ) -> None:
        """Remember what to train with; `tuned` are the base model's own rates."""
        self._semantics, self._chosen, self._listener = semantics, chosen, listener
        self._tuned = {**TUNED, **tuned}
        self._remarks: list[str] = []

    def train(self, data: Dataset, validation: Dataset | None = None) -> Trained:
        """Train on `data`; hold rows out of it where no validation set is given.

        The work is cut in two for two threads here, so BLAS gets one: the result does not depend on the machine's
        number of cores, and two pools do not fight for them.
        """
        with one_blas_thread():
            return self._train(data, validation)

    def _train(self, data: Dataset, validation: Dataset | None) -> Trained:
        chats = any(not isinstance(given, str) for given in data.inputs)
        n_fields = FIELDS_OF_CHAT if chats else FIELDS_OF_TEXT
        if validation is not None and not any(len(some_rows(truth)) for truth in validation.truth.values()):
            self._remarks.append(NOTHING_TO_VALIDATE)
            validation = None
        self._tell("reading texts", 0.0)
        rows = Encoded.of(data.inputs, self._semantics, n_fields)
        columns = columns_of(data)
        n_labels = sum(len(target.labels) for target in data.targets)
        if validation is not None:
            watched = Encoded.of(validation.inputs, self._semantics, n_fields)
            lexical, semantic, held = self._with_validation(data, rows, validation, watched)
        elif len(data) < FEW_ROWS:
            lexical, semantic, held = *self._fit_blind(data, rows, None), None
        elif len(data) >= MANY_ROWS or len(data) * n_labels > MANY_SCORES:
            lexical, semantic, held = self._hold_out_once(data, rows)
        else:
            lexical, semantic, held = self._cross_validate(data, rows)
        shares, held_out, checkpoints = self._combine(data, held)
        model = assemble(lexical, semantic, shares, self._semantics, columns, n_fields)
        facts = {"shares": shares, "tokens": rows.n_tokens, **({"held_out": held.rows} if held else {})}
        return Trained(model, held_out, checkpoints, tuple(self._remarks), facts)

    def _with_validation(
        self, data: Dataset, rows: Encoded, validation: Dataset, watched: Encoded
    ) -> tuple[Lexical, Semantic, _Held]:
        fit = self._watch(data, rows, validation, watched, (0.05, 0.95))
        self._remark_on(fit)
        held = _Held("the validation data", validation, fit.lexical_logits, fit.semantic_logits, fit.checkpoints)
        return fit.lexical, fit.semantic, held

    def _hold_out_once(self, data: Dataset, rows: Encoded) -> tuple[Lexical, Semantic, _Held | None]:
        share = min(HELD_OUT, MOST_HELD_OUT / len(data))
        split = split_rows(data, {"train": 1 - share, "held": share}, self._chosen.seed)
        if not len(split["held"]):  # a text, repeated
            return *self._fit_blind(data, rows, None), None
        train, held = data.select(split["train"]), data.select(split["held"])
        fit = self._watch(train, rows.select(split["train"]), held, rows.select(split["held"]), (0.05, 0.7), rows)
        self._remark_on(fit)
        self._tell("using all rows", 0.75)
        lexical = fit_lexical(data, rows, self._chosen.seed, fit.lexical)
        per_epoch = max(1, -(-len(data) // fit.plan.batch))
        more = replace(
            fit.plan,
            n_rows=len(data),
            updates=min(MORE_EPOCHS * per_epoch, fit.best_update),
            rate=fit.plan.rate * MORE_RATE,
            embedding_rate=fit.plan.embedding_rate * MORE_RATE,
            warmup=0.0,
        )
        random = np.random.default_rng([self._chosen.seed, 2])
        train_semantic(data, rows, fit.semantic, more, random, lambda *_: False)
        name = f"{len(held):,} of the training rows, held out"
        return lexical, fit.semantic, _Held(name, held, fit.lexical_logits, fit.semantic_logits, fit.checkpoints)

    def _cross_validate(self, data: Dataset, rows: Encoded) -> tuple[Lexical, Semantic, _Held | None]:
        count = min(5 if len(data) < 2000 else 4, different_texts(data))
        if count < 2:
            return *self._fit_blind(data, rows, None), None
        fold = folds(data, count, self._chosen.seed)
        logits = np.empty((2, len(data), sum(len(target.labels) for target in data.targets)), dtype=np.float32)
        fits = []
        for number in range(count):
            inside, outside = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
            between = (0.05 + 0.75 * number / count, 0.05 + 0.75 * (number + 1) / count)
            fit = self._watch(
                data.select(inside), rows.select(inside), data.select(outside), rows.select(outside), between
            )
            logits[:, outside] = fit.lexical_logits, fit.semantic_logits
            fits.append(fit)
        self._remark_on(fits[0])
        self._tell("using all rows", 0.8)
        best = float(np.median([fit.best_update / fit.plan.updates for fit in fits]))
        lexical, semantic = self._fit_blind(data, rows, best)
        checkpoints = list(_averaged([fit.checkpoints for fit in fits]))
        return lexical, semantic, _Held(f"{count}-fold cross-validation", data, logits[0], logits[1], checkpoints)

    def _fit_blind(self, data: Dataset, rows: Encoded, share: float | None) -> tuple[Lexical, Semantic]:
        """Fit with nobody watching, for the share of the plan that was best in cross-validation."""
        lexical = fit_lexical(data, rows, self._chosen.seed)
        random = np.random.default_rng([self._chosen.seed, 1])
        n_labels = sum(len(target.labels) for target in data.targets)
        semantic = start_semantic(rows, n_labels, self._semantics, random)
        planned = plan(len(data), rows.n_tokens, self._chosen, self._tuned)
        end = planned.updates if share is None else max(1, round(share * planned.updates))

        def after(update: int, _: float) -> bool:
            self._tell("using all rows", 0.8 + 0.15 * update / planned.updates)
            return update >= end

        train_semantic(data, rows, semantic, planned, random, after)
        return lexical, semantic

    def _watch(
        self,
        data: Dataset,
        rows: Encoded,
        watched: Dataset,
        watched_rows: Encoded,
        between: tuple[float, float],
        vocabulary_of: Encoded | None = None,
    ) -> _Watched:
        """Fit to `rows`, keep the state that is best on `watched`; `vocabulary_of` may bring further tokens."""
        begin, end = between
        self._tell("fitting words and n-grams", begin)
        lexical = fit_lexical(data, rows, self._chosen.seed)
        lexical_logits = lexical.logits(watched_rows)
        random = np.random.default_rng([self._chosen.seed, 0])
        semantic = start_semantic(vocabulary_of or rows, lexical_logits.shape[1], self._semantics, random)
        planned = plan(len(data), rows.n_tokens, self._chosen, self._tuned)
        fit = _Watched(lexical, semantic, lexical_logits, np.zeros_like(lexical_logits), planned)
        judge = Judge(watched, columns_of(data))
        best, best_network, waited = np.inf, semantic.network.copy(), 0

        def after(update: int, loss: float) -> bool:
            nonlocal best, best_network, waited
            logits = semantic.logits(watched_rows, self._semantics)
            validation_loss, metrics = judge(lexical_logits, logits)
            fit.stopped_at = update
            waited += 1
            if validation_loss < best:
                best, waited, best_network, fit.best_update = validation_loss, 0, semantic.network.copy(), update
                fit.semantic_logits = logits
            row = {"step": planned.steps_at(update), "epoch": planned.epochs_at(update), "update": float(update)}
            row |= {"train_loss": loss, "validation_loss": validation_loss, **metrics}
            fit.checkpoints.append(row)
            share = begin + (end - begin) * (0.3 + 0.7 * update / planned.updates)
            self._listener(Progress("fitting meanings", share, row))
            return waited >= planned.patience

        train_semantic(data, rows, semantic, planned, random, after)
        fit.semantic = replace(semantic, network=best_network)
        return fit

    def _combine(
        self, data: Dataset, held: _Held | None
    ) -> tuple[dict[str, float], HeldOut | None, tuple[dict[str, float], ...]]:
        """Choose each target's share of the semantic part, and add the parts up."""
        if held is None:
            return {target.name: 0.5 for target in data.targets}, None, ()
        shares, logits = {}, {}
        for name, place in columns_of(data).items():
            lexical, semantic = held.lexical[:, place], held.semantic[:, place]
            shares[name] = best_share(lexical, semantic, held.data.truth[name])
            logits[name] = lexical + np.float32(shares[name]) * semantic
        held_out = HeldOut(held.rows, len(held.data), logits, held.data.truth)
        return shares, held_out, tuple(held.checkpoints)

    def _remark_on(self, fit: _Watched) -> None:
        planned = fit.plan
        if planned.capped:
            self._remarks.append(
                f"{planned.allowed_epochs:,.0f} passes over the data were allowed; "
                f"{planned.epochs_at(planned.updates):,.0f} were planned, since more only overfit."
            )
        if fit.stopped_at < planned.updates:
            self._remarks.append(
                f"Stopped early after {planned.epochs_at(fit.stopped_at):.1f} passes over the data: the loss on "
                f"held-out rows was lowest after {planned.epochs_at(fit.best_update):.1f}."
            )

    def _tell(self, stage: str, share: float) -> None:
        self._listener(Progress(stage, share))


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    rows: str
    data: Dataset
    lexical: Floats
    semantic: Floats
    checkpoints: list[dict[str, float]]


def _averaged(runs: list[list[dict[str, float]]]) -> Iterator[dict[str, float]]:
    """Yield the mean of the folds' checkpoints, as long as every fold has one.

    A fold whose held-out rows say nothing of a target has no figure for it.
    """
    for rows in zip(*runs, strict=False):
        names = dict.fromkeys(name for row in rows for name in row)
        yield {name: float(np.mean([row[name] for row in rows if name in row])) for name in names}
