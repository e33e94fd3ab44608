"""Fits of the two parts of a model to some rows: watched by others that are held out, or to what is known to be best.

It does not know how rows are held out, nor what for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from tamis.data.dataset import Dataset, columns_of
from tamis.data.thinning import evenly
from tamis.ml.curve import Best, Checkpoint, Curve, Outcome, checkpoints_in
from tamis.ml.holding_out import BEGIN, HELD, Place, Watched, second_plan
from tamis.ml.progress import Progress
from tamis.ml.restart import Stage, State
from tamis.ml.schedule import Hyperparameters, Plan, plan
from tamis.ml.static.encoded import Rows
from tamis.ml.static.fitting import Lexical, Semantic, fit_lexical, start_semantic
from tamis.ml.static.judging import USUAL_SHARE
from tamis.ml.static.locating import Sight, locate, nearness_of
from tamis.ml.static.model import Semantics
from tamis.ml.static.nearness import Nearness
from tamis.ml.static.runs import Ints
from tamis.ml.static.sparse import Floats
from tamis.ml.static.tokens import seen_share
from tamis.ml.static.updates import Updates, network_arrays, restore_network
from tamis.ml.static.watching import Watcher, with_network
from tamis.ml.tensors import Tensor
from tamis.ml.trained import Attended

LEXICAL, SEMANTIC, FAMILIAR = "lexical", "semantic", "familiar"
"""What a fit says of rows: (rows, all labels) logits of its parts, and (rows, 1 + targets) how familiar each row is.

That is the share of its tokens that the fit saw, and how near it is by target.
"""

MORE_EPOCHS = 1
"""How many passes a fit goes on with all rows."""

LEXICAL_SHARE = 0.3
"""Of the time of a fit, so much is the lexical part's."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some rows, made ready; `n_cut` of their inputs were cut."""

    data: Dataset
    rows: Rows
    n_cut: int = 0

    @property
    def tokens(self) -> int:
        """Tokens of all rows."""
        return self.rows.n_tokens

    def select(self, which: Ints) -> Part:
        """The same for some rows."""
        return Part(self.data.select(which), self.rows.select(which))

    def thinned(self, most: int) -> Part:
        """Return so many rows at most, evenly."""
        if len(self.data) <= most:
            return self
        return self.select(evenly(len(self.data), most))


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """The two parts of a model."""

    lexical: Lexical
    semantic: Semantic


@dataclass(frozen=True, slots=True, eq=False)
class Fits:
    """The fits of one run: what they start from, how they go, and who attends."""

    semantics: Semantics
    chosen: Hyperparameters
    tuned: dict[str, float]
    weights: Mapping[str, float] | None
    located: tuple[str, ...]
    attended: Attended

    def plan(self, part: Part) -> Plan:
        """Return how a fit to some rows is planned."""
        return plan(len(part.data), part.tokens, self.chosen, self.tuned)

    def locate(self, given: Part, fit: Fit) -> Nearness | None:
        """Return where the given rows of each label lie for a fit."""
        self.attended.check()
        return locate(given.data, given.rows, self._sight(fit), self.located)

    def _sight(self, fit: Fit) -> Sight:
        return Sight(fit.lexical, fit.semantic, self.semantics)

    def watched(self, train: Part, held: Part, place: Place, later: Part | None = None) -> Watched[Fit]:
        """Fit to some rows until others say stop; `later` are rows that the fit may go on with.

        What it says of the others, when it was best: `LEXICAL`, `SEMANTIC`, `FAMILIAR`.
        """
        stage, words = self.attended.stage(place.name), "fitting words and n-grams"
        self.tell(words, place.begin)
        told = partial(self.tell_share, words, (place.begin, place.share(LEXICAL_SHARE)))
        lexical = fit_lexical(train.data, train.rows, self.chosen.seed, stage=stage, told=told)
        logits = lexical.logits(held.rows)
        random = np.random.default_rng([self.chosen.seed, 0])
        semantic = start_semantic((later or train).rows, logits.shape[1], self.semantics, random)
        updates = Updates(train.data, train.rows, semantic, self.plan(train), random, self.weights)
        watcher = Watcher(logits, held.data, held.rows, self.semantics, self.weights)
        ended = stage.recall("ended")
        if ended is None:
            best, curve = self._watched_updates(updates, semantic, watcher, place)
            outcome = Outcome(updates.plan, best.update, updates.update, curve.rows)
            ended = State(best.state.arrays, outcome.facts())
        else:
            outcome = Outcome.of(updates.plan, ended.facts)
        stage.keep("ended", ended)
        fit = Fit(lexical, with_network(semantic, ended))
        said = {LEXICAL: logits, SEMANTIC: fit.semantic.logits(held.rows, self.semantics)}
        return Watched(fit, outcome, {**said, FAMILIAR: self._familiar(train, held, fit, said)})

    def _watched_updates(
        self, updates: Updates, semantic: Semantic, watcher: Watcher, place: Place
    ) -> tuple[Best, Curve]:
        """Train until the held-out rows say stop, or from where an earlier attempt was."""

        def copies() -> Mapping[str, Tensor]:
            return {name: parameter.copy() for name, parameter in network_arrays(semantic.network).items()}

        stage, best = self.attended.stage(place.name), Best(copies, updates.plan)
        last, before = stage.recall("last"), stage.recall("best")
        if last is not None and before is not None:
            updates.restore(last)
            best.restore(before)
        curve = Curve(updates.plan, self.chosen.learning_rate, checkpoints_in(last))

        def after(update: int, learnt: Mapping[str, float]) -> bool:
            row = curve.add(update, {**learnt, **watcher(semantic)})
            stop = best.look(update, row["valid_loss"], len(curve.rows))
            share = place.share(LEXICAL_SHARE + (1 - LEXICAL_SHARE) * update / updates.plan.updates)
            checkpoint, fold = ({}, row) if place.fold else (row, {})
            self.attended.listener(Progress("fitting meanings", share, checkpoint, fold=fold))
            return stop

        updates.run(after, lambda: stage.pulse(lambda: {"last": updates.state(curve.facts()), "best": best.state}))
        return best, curve

    def alone(self, given: Part, share: float | None = None) -> tuple[Fit, list[Checkpoint]]:
        """Fit to all rows with nobody watching, for a share of the plan; return checkpoints of its own loss."""
        stage, random = self.attended.stage("all"), np.random.default_rng([self.chosen.seed, 1])
        told = partial(self.tell_share, "fitting words and n-grams", (BEGIN, 0.8))
        lexical = fit_lexical(
            given.data, given.rows, self.chosen.seed, stage=stage, told=told if share is None else lambda _: None
        )
        semantic = start_semantic(given.rows, lexical.weights.shape[1], self.semantics, random)
        updates = Updates(given.data, given.rows, semantic, self.plan(given), random, self.weights)
        end = updates.plan.updates if share is None else max(1, round(share * updates.plan.updates))
        curve = self._unwatched(updates, semantic, end, stage, tell=share is None)
        return Fit(lexical, semantic), curve.rows

    def go_on(self, first: Watched[Fit], train: Part, given: Part) -> Fit:
        """Fit the lexical part to all rows, and go on with the semantic one."""
        stage, random = self.attended.stage("all"), np.random.default_rng([self.chosen.seed, 2])
        told = partial(self.tell_share, "using all rows", (HELD, 0.8))
        lexical = fit_lexical(given.data, given.rows, self.chosen.seed, first.fit.lexical, stage, told)
        semantic = replace(first.fit.semantic, network=first.fit.semantic.network.copy())
        more = second_plan(first.outcome, train, given, MORE_EPOCHS)
        updates = Updates(given.data, given.rows, semantic, more, random, self.weights)
        self._unwatched(updates, semantic, more.updates, stage)
        return Fit(lexical, semantic)

    def _unwatched(self, updates: Updates, semantic: Semantic, end: int, stage: Stage, *, tell: bool = False) -> Curve:
        """Train the network of `semantic` up to an update; `tell` makes checkpoints of its loss."""
        last, ended = stage.recall("last"), stage.recall("ended")
        curve = Curve(updates.plan, self.chosen.learning_rate, checkpoints_in(ended or last))

        def after(update: int, learnt: Mapping[str, float]) -> bool:
            row = curve.add(update, learnt)
            self.attended.listener(Progress("using all rows", 0.8 + 0.15 * update / end, row if tell else {}))
            return False

        if ended is not None:
            restore_network(semantic.network, ended)
        else:
            if last is not None:
                updates.restore(last)
            updates.run(after, lambda: stage.pulse(lambda: {"last": updates.state(curve.facts())}), end)
            ended = State(network_arrays(semantic.network), curve.facts())
        stage.keep("ended", ended)
        return curve

    def _familiar(self, given: Part, held: Part, fit: Fit, said: Mapping[str, Floats]) -> Floats:
        """(held rows, 1 + targets) tokens seen, and nearness, of rows that a fit to the given ones did not see.

        How much each part will say is not known yet: a row's label is that which they give in their usual shares.
        """
        logits = said[LEXICAL] + np.float32(USUAL_SHARE) * said[SEMANTIC]
        by_target = {name: logits[:, place] for name, place in columns_of(held.data).items()}
        near = nearness_of(self.locate(given, fit), held.rows, self._sight(fit), by_target)
        return np.hstack([self._seen(given, held)[:, None], near])

    def _seen(self, given: Part, held: Part) -> Floats:
        """(held rows,) the share of the tokens of each that the given rows have."""
        known, shares = given.rows.used_tokens(), []
        for some in held.rows.portions():
            self.attended.check()
            tokens = self.semantics.tokenizer(some.runs.strings)
            shares.append(seen_share(some.runs, tokens, np.isin(tokens.ids, known)))
        return np.concatenate(shares)

    def tell_share(self, stage: str, between: tuple[float, float], share: float) -> None:
        """Tell how much of a part of the run is behind."""
        self.tell(stage, between[0] + (between[1] - between[0]) * share)

    def tell(self, stage: str, share: float) -> None:
        """Tell what is done, unless the run is to end."""
        self.attended.check()
        self.attended.listener(Progress(stage, share))
