"""Trains a static model: reads texts, has the parts fitted, and finds how much each should say.

How rows are held out and all are used in the end is for `tamis.ml.holding_out`, how a fit goes for `fits`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from tamis.data.dataset import Dataset, columns_of
from tamis.ml.curve import repeatable
from tamis.ml.holding_out import BEGIN, NOTHING_TO_VALIDATE, Held, HoldingOut, Ways, that_counts
from tamis.ml.schedule import Hyperparameters
from tamis.ml.static.cutting import cut_inputs
from tamis.ml.static.encoded import encode
from tamis.ml.static.fits import FAMILIAR, LEXICAL, SEMANTIC, Fits, Part
from tamis.ml.static.fitting import assemble
from tamis.ml.static.judging import USUAL_SHARE, best_share
from tamis.ml.static.locating import familiar_rows
from tamis.ml.static.model import Semantics, architecture_of, one_blas_thread
from tamis.ml.static.nearness import Nearness
from tamis.ml.static.runs import FIELDS_OF_CHAT, FIELDS_OF_TEXT
from tamis.ml.static.sampled import WIDE
from tamis.ml.static.scorer import StaticScorer
from tamis.ml.trained import Attended, HeldOut, Trained

TUNED = {"learning_rate": 7e-3, "embedding_learning_rate": 8e-3, "weight_decay": 0.05}
"""The static tier's own rates, where a base model's card has none."""

MANY_ROWS = 5_000  # from here on one tenth is held out once
MANY_SCORES = 10_000_000  # rows x labels from which that holds too
HELD_OUT = 0.1
MOST_HELD_OUT = 20_000
LEAST_HELD_OUT, MOST_HELD_SCORES = 500, 25_000_000
"""Where a target is wide: held-out rows at least, and held-out rows x labels, which are all in memory."""


def are_many(n_rows: int, n_labels: int) -> bool:
    """Whether rows are so many that some are held out once, and not each in its turn."""
    return n_rows >= MANY_ROWS or n_rows * n_labels > MANY_SCORES


def is_wide(data: Dataset) -> bool:
    """Whether a target has so many labels that scores of many rows are too much to hold."""
    return any(len(target.labels) > WIDE for target in data.targets)


def most_held_out(data: Dataset) -> int:
    """Return how many rows are held out at most."""
    widest = max(len(target.labels) for target in data.targets)
    return max(LEAST_HELD_OUT, MOST_HELD_SCORES // widest) if is_wide(data) else MOST_HELD_OUT


def folds_of(n_rows: int) -> int:
    """Return into how many parts so many rows are cut for cross-validation."""
    return 5 if n_rows < 2000 else 4


def ways_of(data: Dataset) -> Ways:
    """Return how rows are held out of this data."""
    many = are_many(len(data), sum(len(target.labels) for target in data.targets))
    return Ways(0 if many else folds_of(len(data)), min(HELD_OUT, most_held_out(data) / len(data)))


class StaticTrainer:
    """One training run."""

    def __init__(
        self,
        semantics: Semantics,
        chosen: Hyperparameters,
        tuned: Mapping[str, float],
        attended: Attended | None = None,
        target_weights: Mapping[str, float] | None = None,
        located: Sequence[str] = (),
    ) -> None:
        """Remember what to train with; `tuned` are the base model's own rates.

        `target_weights` are those of the targets' losses in the network, relative to each other (default: all alike).
        Of targets that are `located`, the model keeps where the rows of each label lie.
        """
        self._semantics, self._chosen, self._attended = semantics, chosen, attended or Attended()
        self._fits = Fits(semantics, chosen, {**TUNED, **tuned}, target_weights, tuple(located), self._attended)
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
        self._fits.tell("reading texts", 0.0)
        counted = that_counts(validation, self._attended)
        if counted is not validation:
            self._remarks.append(NOTHING_TO_VALIDATE)
            validation = counted
        given = self._encoded(data, n_fields)
        watched = None if validation is None else self._encoded(validation, n_fields, (0.04, BEGIN))
        if watched is not None and is_wide(data):
            watched = watched.thinned(most_held_out(data))
        holding = HoldingOut(self._fits, ways_of(data), self._chosen.seed, self._attended)
        run = holding.run(given, watched)
        self._remarks += holding.remarks
        fit, nearness = run.fit, self._fits.locate(given, run.fit)
        shares, held_out = self._combine(data, run.held, nearness)
        model = assemble(fit.lexical, fit.semantic, shares, self._semantics, columns_of(data), n_fields)
        model = replace(model, nearness=nearness)
        facts = {"shares": shares, "tokens": given.tokens}
        facts |= {"held_out": held_out.rows} if held_out else {}
        facts |= self._told_cuts(given)
        checkpoints = tuple(repeatable(run.checkpoints))
        return Trained(StaticScorer(model), architecture_of(model), held_out, checkpoints, tuple(self._remarks), facts)

    def _encoded(self, data: Dataset, n_fields: int, between: tuple[float, float] = (0.0, 0.04)) -> Part:
        inputs, n_cut, check = data.inputs, 0, self._attended.check
        if self._chosen.seq_len is not None:
            inputs, n_cut = cut_inputs(inputs, self._semantics.tokenizer, self._chosen.seq_len, check)
        told = partial(self._fits.tell_share, "reading texts", between)
        return Part(data, encode(inputs, self._semantics, n_fields, check, told), n_cut)

    def _told_cuts(self, given: Part) -> dict[str, float]:
        """Remark on inputs that were cut, and return their share."""
        if self._chosen.seq_len is None:
            return {}
        share = given.n_cut / len(given.data)
        if given.n_cut:
            self._remarks.append(
                f"{given.n_cut:,} of {len(given.data):,} training inputs ({share:.1%}) were longer than "
                f"{self._chosen.seq_len:,} tokens (seq_len), and were cut."
            )
        return {"cut_share": share}

    def _combine(
        self, data: Dataset, held: Held | None, nearness: Nearness | None
    ) -> tuple[dict[str, float], HeldOut | None]:
        """Choose each target's share of the semantic part, and add the parts up."""
        if held is None:
            return {target.name: USUAL_SHARE for target in data.targets}, None
        shares, logits, truths, weights, familiar = {}, {}, {}, {}, {}
        for number, (name, place) in enumerate(columns_of(data).items()):
            self._attended.check()
            source = held.of(name)
            lexical, semantic, truths[name] = (
                source.said[LEXICAL][:, place],
                source.said[SEMANTIC][:, place],
                source.data.truth[name],
            )
            located = nearness is not None and name in nearness.targets
            familiar[name] = familiar_rows(source.said[FAMILIAR], number, located=located)
            weights[name] = source.data.weights
            shares[name] = best_share(lexical, semantic, truths[name], weights[name])
            logits[name] = lexical + np.float32(shares[name]) * semantic
        return shares, HeldOut(held.told(), max(map(len, truths.values())), logits, truths, weights, familiar)
