"""Grows a static model from rows of new labels, and of old ones where there are any.

What the model makes of texts stays as it is: its n-grams with their weights, its embeddings, its hidden layer. New
n-grams and new labels are added, labels of a target that rows mention move elastically (see `elastic`), and those of
other targets stay as they are to the bit. New labels are held back a little where old rows are missing: what they win
from old labels is not seen. The constants were chosen on validation rows (`docs/log.md`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from tamis.data.dataset import Dataset, columns_of
from tamis.data.known import of_old_labels
from tamis.data.splits import different_texts, folds
from tamis.data.truth import MultiTruth, SingleTruth, Truth
from tamis.errors import LimitExceeded
from tamis.evaluation.evidence import Familiar
from tamis.ml.holding_out import FEW_ROWS, VALIDATION, repeats
from tamis.ml.progress import Progress
from tamis.ml.restart import State
from tamis.ml.schedule import STEP_TOKENS, Hyperparameters
from tamis.ml.scorer import FAMILIAR, familiar_of
from tamis.ml.static.cutting import cut_inputs
from tamis.ml.static.elastic import Frozen, fit_move, in_logits, old_squares
from tamis.ml.static.encoded import MOST_WHOLE, Encoded
from tamis.ml.static.fitting import (
    BALANCE,
    LEAST_TERMS,
    LOGITS_A_MARGIN,
    MOST_TERM_WEIGHTS,
    MOST_TERMS,
    prior_margins,
)
from tamis.ml.static.lexical import count_grams
from tamis.ml.static.losses import margin_loss_of
from tamis.ml.static.margins import Hinge
from tamis.ml.static.model import StaticModel, architecture_of, one_blas_thread
from tamis.ml.static.nearness import Nearness
from tamis.ml.static.runs import Ints
from tamis.ml.static.scorer import StaticScorer
from tamis.ml.static.sparse import Floats
from tamis.ml.static.widening import widened, with_labels
from tamis.ml.trained import Attended, HeldOut, Start, Task, Trained

STIFFNESS, LEAST_STIFFNESS = 10.0, 2.0
"""What the square of a move costs for each old row that it would change: where no old row is there, where all are."""

OF_NEW = 0.1
"""The same for new labels, where no old row is there: they should say no of what old rows had."""

SPARED, RELIEF = 0.2, 24.0
"""Share of the new labels' held-out rows that may be lost to old labels where no old row is there, and how quickly that
falls with the share of old rows that are: a fifth of them makes it a sixth."""

MOST_WEIGHT = 5.0
"""How much an old row stands for others that are not there, at most."""

FOLDS, FOLDS_OF_MANY = 3, 10
MANY_ROWS = 5_000  # from here on one fold is held out once
MOST_SCORES = 25_000_000
BACK = np.arange(0, 10.01, 0.25, dtype=np.float32)
"""How far new labels may be held back, in logits."""


class StaticGrower:
    """One run that grows a model."""

    def __init__(self, start: Start, model: StaticModel, task: Task, attended: Attended) -> None:
        """Take the model, what to add, and who attends."""
        self._start, self._model, self._task, self._attended = start, model, task, attended
        self._chosen: Hyperparameters = task.chosen
        self._remarks: list[str] = []
        self._curve: list[dict[str, float]] = []
        self._seen: Floats | None = None
        self._placed: _Placed | None = None

    def grow(self) -> Trained:
        """Grow it.

        Raises:
            LimitExceeded: there are more rows or labels than this way of growing is for.
            Cancelled: the one who attends says so.
        """
        self._refuse_much()
        with one_blas_thread():
            return self._grow()

    def _refuse_much(self) -> None:
        data = self._task.train
        widest = max(len(target.labels) for target in data.targets)
        if len(data) > MOST_WHOLE or len(data) * widest > MOST_SCORES:
            raise LimitExceeded(
                f"{len(data):,} rows with {widest:,} labels are too many to grow a model by: {MOST_WHOLE:,} rows, and "
                f"{MOST_SCORES:,} rows times labels, are the most. Train anew on all rows, the old ones too."
            )

    def _grow(self) -> Trained:
        data, validation = self._task.train, self._task.validation
        self._tell("reading texts", 0.0)
        rows, columns = self._encoded(data), columns_of(data)
        counted = count_grams(rows.runs)
        widest = max(len(target.labels) for target in data.targets)
        room = int(np.clip(MOST_TERM_WEIGHTS // widest, LEAST_TERMS, MOST_TERMS))
        model = widened(with_labels(self._model, columns), counted, room)
        self._attended.check()
        frozen = Frozen.of(model, rows)
        squares = old_squares(self._model.vocabulary, model.vocabulary, frozen, counted, self._start.n_rows)
        logits = self._start.scorer.logits(data.inputs)
        known = logits.get(FAMILIAR)
        self._seen = None if known is None else known[:, 0]
        if model.nearness is not None:
            self._placed = _Placed(model.nearness, model.nearness.places(frozen.base, frozen.hidden))
        heads = [
            self._head(name, place, logits.get(name), frozen, squares)
            for name, place in columns.items()
            if data.truth[name].known.any()
        ]
        folded = None if validation is not None else self._folds(data)
        held: dict[str, Floats] = {}
        for number, head in enumerate(heads):
            share = partial(self._share, number, len(heads))
            if folded is not None:
                held[head.name] = self._held(head, folded, share)
                head.back = self._held_back(head, held[head.name])
                held[head.name][:, head.n_old :] -= head.back
            self._tell("fitting heads", share(0.8))
            moved = self._moved(head, None)
            moved[-1, head.n_old :] -= head.back
            model = frozen.moved(model, moved, head.place)
        if self._placed is not None:
            model = replace(model, nearness=self._placed.extended({head.name: head.truth for head in heads}))
        scorer = StaticScorer(model)
        facts: dict[str, object] = {"tokens": rows.n_tokens, "held_back": {h.name: h.back for h in heads if h.back}}
        out = self._held_out(folded, held) if validation is None else self._validated(scorer, heads, validation)
        facts |= {"held_out": out.rows} if out else {}
        return Trained(scorer, architecture_of(model), out, tuple(self._curve), tuple(self._remarks), facts)

    def _encoded(self, data: Dataset) -> Encoded:
        inputs, semantics = data.inputs, self._model.semantics
        if self._chosen.seq_len is not None:
            inputs, n_cut = cut_inputs(inputs, semantics.tokenizer, self._chosen.seq_len, self._attended.check)
            if n_cut:
                self._remarks.append(
                    f"{n_cut:,} inputs were longer than {self._chosen.seq_len:,} tokens, and were cut."
                )
        return Encoded.of(inputs, semantics, self._model.n_fields, self._attended.check)

    def _head(self, name: str, place: slice, before: Floats | None, frozen: Frozen, squares: Floats) -> _Head:
        """What is known of a target: its margins before, which rows are of old labels, how much these stand for."""
        data, entry = self._task.train, self._start.target(name)
        truth = data.truth[name]
        n_old = 0 if entry is None else len(entry.labels)
        old = of_old_labels(truth, n_old)
        n_rows = max(self._start.n_rows, 1)
        rehearsed = min(1.0, int(old.sum()) / n_rows)
        weights = None if data.weights is None else data.weights
        if n_old and old.any():
            each = np.where(old, np.clip(n_rows / old.sum(), 1, MOST_WEIGHT), 1).astype(np.float32)
            weights = each if weights is None else weights * each
        missing = max(0, self._start.n_rows - int(old.sum())) if n_old else 0
        priors = _priors(truth, weights, n_old, missing)
        margins = np.tile(priors, (len(truth), 1))
        if entry is not None and before is not None:
            margins[:, :n_old] = _shown(before, entry.calibration.scale, entry.calibration.bias, truth)
            margins[:, :n_old] /= np.float32(LOGITS_A_MARGIN)
        loss = margin_loss_of(truth, BALANCE, weights)
        stiffness = squares * np.float32(STIFFNESS ** (1 - rehearsed) * LEAST_STIFFNESS**rehearsed)
        spared = SPARED / (1 + RELIEF * rehearsed)
        of_new = squares * np.float32(OF_NEW * (1 - rehearsed) if n_old else 0)
        return _Head(name, place, n_old, truth, margins, priors, loss, frozen, (stiffness, of_new), spared)

    def _moved(self, head: _Head, rows: Ints | None, at: str = "all") -> Floats:
        """Return (columns, labels) how the weights of a target move, in logits, fitted to all or some rows."""
        stage = self._attended.stage(f"grow {head.name} {at}")
        known = stage.recall("moved")
        if known is None:
            design = head.frozen.design if rows is None else head.frozen.design.select(rows)
            base = head.margins if rows is None else head.margins[rows]
            n_labels, losses, which = base.shape[1], list[float](), slice(None) if rows is None else rows

            def some(logits: Floats, rows: Ints | slice) -> tuple[float, Floats]:
                self._attended.check()
                return head.loss(logits, which)

            parts = [np.zeros((design.n_columns, 0), dtype=np.float32)]
            places = (slice(0, head.n_old), slice(head.n_old, n_labels))
            for place, stiffness in zip(places, head.stiffness, strict=True):
                if place.stop > place.start:
                    told = losses.append
                    parts.append(fit_move(design, some, base, place, stiffness, told))
            moved = in_logits(np.hstack(parts))
            moved[-1] += np.float32(LOGITS_A_MARGIN) * head.priors
            known = State({"moved": moved}, {"losses": [value / len(base) for value in losses]})
        stage.keep("moved", known)
        if rows is None:
            self._tell_curve(head, known)
        return np.array(known.arrays["moved"])

    def _tell_curve(self, head: _Head, fitted: State) -> None:
        """Make a checkpoint of each loss that the fit looked at."""
        losses = fitted.facts["losses"]
        for value in losses if isinstance(losses, list) else ():
            step = len(self._curve) + 1
            row = {"step": step, "epoch": float(step), "update": step, "train_loss": float(str(value))}
            row["tokens"] = float(step * STEP_TOKENS)
            self._curve.append(row)
            self._attended.listener(Progress("fitting heads", 0.9, row))

    def _folds(self, data: Dataset) -> list[Ints] | None:
        """Return the rows of each fold that is held out; None for too few rows."""
        count = min(FOLDS if len(data) < MANY_ROWS else FOLDS_OF_MANY, different_texts(data))
        if len(data) < FEW_ROWS or count < 2 or not repeats(data):
            return None
        fold = folds(data, count, self._chosen.seed)
        numbers = range(count) if len(data) < MANY_ROWS else range(1)
        return [np.flatnonzero(fold == number) for number in numbers]

    def _held(self, head: _Head, folded: list[Ints], share: Callable[[float], float]) -> Floats:
        """Return (held-out rows, labels) logits by heads that did not see them."""
        n_rows, found = len(head.truth), []
        for number, outside in enumerate(folded):
            self._tell("fitting heads", share(0.8 * number / len(folded)))
            inside = np.setdiff1d(np.arange(n_rows), outside)
            moved = self._moved(head, inside, f"fold {number}")
            moved[-1] -= np.float32(LOGITS_A_MARGIN) * head.priors  # they are in the margins before
            base = head.margins[outside] * np.float32(LOGITS_A_MARGIN)
            found.append(base + head.frozen.design.select(outside).dot(moved))
        return np.concatenate(found)

    def _held_back(self, head: _Head, logits: Floats) -> float:
        """Return how far new labels are held back: so far that few of their own rows are lost to old labels."""
        truth = head.truth
        if not isinstance(truth, SingleTruth) or not head.n_old or head.n_old == truth.n_labels or not head.spared:
            return 0.0
        rows = np.concatenate(self._folds(self._task.train) or [])
        codes = truth.codes[rows]
        new = np.flatnonzero((codes >= head.n_old) & (codes < truth.n_labels))
        if not len(new):
            return 0.0
        shifted, codes, best = logits[new].copy(), codes[new], 0.0
        whole = float((shifted.argmax(axis=1) == codes).mean())
        for back in BACK.tolist():
            shifted[:, head.n_old :] = logits[new, head.n_old :] - np.float32(back)
            if float((shifted.argmax(axis=1) == codes).mean()) < whole - head.spared:
                break
            best = back
        return best

    def _held_out(self, folded: list[Ints] | None, held: dict[str, Floats]) -> HeldOut | None:
        if folded is None:
            return None
        rows, data = np.concatenate(folded), self._task.train
        some = data.select(rows)
        name = f"{len(folded)}-fold cross-validation of what was added" if len(folded) > 1 else (
            f"{len(rows):,} of the rows, held out of what was added"
        )  # fmt: skip
        raw = {name: self._raw(name, logits) for name, logits in held.items()}
        truth = {name: some.truth[name] for name in held}
        familiar = {name: self._familiar(name, logits, folded) for name, logits in held.items()}
        return HeldOut(name, len(rows), raw, truth, dict.fromkeys(held, some.weights), familiar)

    def _familiar(self, name: str, logits: Floats, folded: list[Ints]) -> Familiar | None:
        """How familiar the rows held out are, fold by fold."""
        if self._seen is None:
            return None
        seen = self._seen[np.concatenate(folded)]
        if self._placed is None or name not in self._placed.nearness.targets:
            return Familiar(seen)
        return Familiar(seen, self._placed.held_out(name, self._task.train.truth[name], logits.argmax(axis=1), folded))

    def _raw(self, name: str, logits: Floats) -> Floats:
        """Logits as the model gives them: without the calibration that the fit looked through."""
        entry = self._start.target(name)
        if entry is None or isinstance(self._task.train.truth[name], MultiTruth):
            return logits
        raw = logits.copy()
        raw[:, : len(entry.labels)] -= _offset(entry.calibration.scale, entry.calibration.bias)
        return raw

    def _validated(self, scorer: StaticScorer, heads: list[_Head], validation: Dataset) -> HeldOut:
        logits = scorer.logits(validation.inputs)
        names = [head.name for head in heads]
        truth = {name: validation.truth[name] for name in names}
        familiar, located = dict[str, Familiar | None](), self._placed.nearness.targets if self._placed else {}
        for place, target in enumerate(validation.targets):
            known = familiar_of(logits, place)
            familiar[target.name] = known if known is None or target.name in located else Familiar(known.seen)
        weights = dict.fromkeys(names, validation.weights)
        return HeldOut(VALIDATION, len(validation), {name: logits[name] for name in names}, truth, weights, familiar)

    @staticmethod
    def _share(number: int, count: int, done: float) -> float:
        return 0.05 + 0.9 * (number + done) / count

    def _tell(self, stage: str, share: float) -> None:
        self._attended.check()
        self._attended.listener(Progress(stage, share))


@dataclass(frozen=True, slots=True, eq=False)
class _Placed:
    """Where the rows are, (rows, width), beside those that the model learnt from before."""

    nearness: Nearness
    places: Floats

    def extended(self, truths: Mapping[str, Truth]) -> Nearness:
        """Return the centres with those of new labels."""
        targets = dict(self.nearness.targets)
        for name, truth in truths.items():
            if name in targets and isinstance(truth, SingleTruth):
                targets[name] = targets[name].extended(self.places, truth.codes, truth.n_labels)
        return replace(self.nearness, targets=targets)

    def held_out(self, name: str, truth: Truth, labels: Ints, folded: list[Ints]) -> Floats:
        """(held-out rows,) nearness by centres that did not see them; `labels` (held-out rows,) are those given."""
        assert isinstance(truth, SingleTruth)
        found, start, before = [], 0, self.nearness.targets[name]
        for outside in folded:
            inside = np.setdiff1d(np.arange(len(truth)), outside)
            centres = before.extended(self.places[inside], truth.codes[inside], truth.n_labels)
            found.append(centres.nearness(self.places[outside], labels[start : start + len(outside)]))
            start += len(outside)
        return np.concatenate(found)


@dataclass(slots=True, eq=False)
class _Head:
    """One target that rows mention.

    Attributes:
        name: its name.
        place: its columns among all labels.
        n_old: labels that the model had, the first ones.
        truth: of all rows.
        margins: (rows, labels) before: what the model says of old labels, the priors of new ones.
        priors: (labels,) 0 for old labels.
        loss: by margins.
        frozen: what the model makes of the rows.
        stiffness: (columns,) each: what the square of a move costs beside 1, of old labels and of new ones.
        spared: share of the new labels' rows that may be lost to old ones.
        back: how far new labels are held back, in logits.
    """

    name: str
    place: slice
    n_old: int
    truth: Truth
    margins: Floats
    priors: Floats
    loss: Hinge
    frozen: Frozen
    stiffness: tuple[Floats, Floats]
    spared: float
    back: float = field(default=0.0)


def _priors(truth: Truth, weights: Floats | None, n_old: int, missing: int) -> Floats:
    """(labels,) margins of new labels where nothing is known of a row, beside `missing` old rows; 0 for old labels."""
    known = max(int(truth.known.sum()), 1)
    share = (prior_margins(truth, weights) + 1) / 2
    priors: Floats = (2 * share * np.float32(known / (known + missing)) - 1).astype(np.float32)
    priors[:n_old] = 0
    return priors


def _offset(scale: tuple[float, ...], bias: tuple[float, ...]) -> Floats:
    """What a single-label target's calibration adds to its logits, before it scales them."""
    return (np.array(bias) / max(scale[0], 1e-6)).astype(np.float32)


def _shown(logits: Floats, scale: tuple[float, ...], bias: tuple[float, ...], truth: Truth) -> Floats:
    """Logits as they compete: with the biases that calibration gives a single-label target's labels."""
    return logits if isinstance(truth, MultiTruth) else logits + _offset(scale, bias)
