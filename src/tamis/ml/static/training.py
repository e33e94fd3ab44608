"""Trains a static model: holds rows out, fits, finds how much each part should say, and uses every row in the end.

Three ways to hold rows out. A validation set is given: all training rows are fitted once and judged on it. Many rows:
a tenth is held out, and the fit then goes on with all rows. Few rows: cross-validation, then one fit to all rows.
Either way the logits of held-out rows come back, which calibration and thresholds are fitted on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from tamis.data.dataset import Dataset, columns_of
from tamis.data.splits import different_texts, folds, split_rows
from tamis.ml.holding_out import (
    ENOUGH_TO_CALIBRATE,
    FEW_ROWS,
    NOTHING_TO_VALIDATE,
    VALIDATION,
    repeats,
    small_validation,
    told_rows,
)
from tamis.ml.progress import Progress
from tamis.ml.restart import Stage, State
from tamis.ml.schedule import Hyperparameters, Plan, plan
from tamis.ml.static.cutting import cut_inputs
from tamis.ml.static.encoded import Rows, encode
from tamis.ml.static.fitting import (
    Lexical,
    Semantic,
    assemble,
    fit_lexical,
    start_semantic,
)
from tamis.ml.static.judging import USUAL_SHARE, best_share, some_rows
from tamis.ml.static.locating import Sight, familiar_rows, locate, nearness_of
from tamis.ml.static.model import Semantics, architecture_of, one_blas_thread
from tamis.ml.static.nearness import Nearness
from tamis.ml.static.runs import FIELDS_OF_CHAT, FIELDS_OF_TEXT, Ints
from tamis.ml.static.sampled import WIDE
from tamis.ml.static.scorer import StaticScorer
from tamis.ml.static.sparse import Floats
from tamis.ml.static.tokens import seen_share
from tamis.ml.static.updates import Updates, network_arrays, restore_network
from tamis.ml.static.watching import (
    Best,
    Checkpoint,
    Curve,
    Outcome,
    Watched,
    Watcher,
    averaged,
    checkpoints_in,
    repeatable,
    with_network,
)
from tamis.ml.trained import Attended, HeldOut, Trained

TUNED = {"learning_rate": 7e-3, "embedding_learning_rate": 8e-3, "weight_decay": 0.05}
"""The static tier's own rates, where a base model's card has none."""

MANY_ROWS = 5_000  # from here on one tenth is held out once
MANY_SCORES = 10_000_000  # rows x labels from which that holds too
HELD_OUT = 0.1
MOST_HELD_OUT = 20_000
LEAST_HELD_OUT, MOST_HELD_SCORES = 500, 25_000_000
"""Where a target is wide: held-out rows at least, and held-out rows x labels, which are all in memory."""


MORE_EPOCHS = 1
MORE_RATE = 0.5


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


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Some rows, made ready; `n_cut` of their inputs were cut."""

    data: Dataset
    rows: Rows
    n_cut: int = 0

    def select(self, which: Ints) -> _Part:
        return _Part(self.data.select(which), self.rows.select(which))

    def thinned(self, most: int) -> _Part:
        """Return so many rows at most, evenly."""
        if len(self.data) <= most:
            return self
        return self.select(np.linspace(0, len(self.data) - 1, most).astype(np.int64))


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
        self._semantics, self._chosen = semantics, chosen
        self._attended = attended or Attended()
        self._tuned, self._weights, self._located = {**TUNED, **tuned}, target_weights, located
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
        given = self._encoded(data, n_fields)
        n_labels = sum(len(target.labels) for target in data.targets)
        if validation is not None:
            fitted = self._with_validation(given, self._encoded(validation, n_fields, (0.04, 0.05)))
        elif len(data) < FEW_ROWS:
            fitted = self._fit_blind(given)
        elif are_many(len(data), n_labels):
            fitted = self._hold_out_once(given)
        else:
            fitted = self._cross_validate(given)
        nearness = self._locate(given, fitted)
        shares, held_out = self._combine(data, fitted.held, nearness)
        model = assemble(fitted.lexical, fitted.semantic, shares, self._semantics, columns_of(data), n_fields)
        model = replace(model, nearness=nearness)
        facts = {"shares": shares, "tokens": given.rows.n_tokens}
        facts |= {"held_out": held_out.rows} if held_out else {}
        facts |= self._told_cuts(given)
        checkpoints = tuple(repeatable(fitted.checkpoints))
        return Trained(StaticScorer(model), architecture_of(model), held_out, checkpoints, tuple(self._remarks), facts)

    def _encoded(self, data: Dataset, n_fields: int, between: tuple[float, float] = (0.0, 0.04)) -> _Part:
        inputs, n_cut, check = data.inputs, 0, self._attended.check
        if self._chosen.seq_len is not None:
            inputs, n_cut = cut_inputs(inputs, self._semantics.tokenizer, self._chosen.seq_len, check)
        told = partial(self._tell_share, "reading texts", between)
        return _Part(data, encode(inputs, self._semantics, n_fields, check, told), n_cut)

    def _told_cuts(self, given: _Part) -> dict[str, float]:
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

    def _with_validation(self, given: _Part, watched: _Part) -> _Fitted:
        watched = watched.thinned(most_held_out(given.data)) if is_wide(given.data) else watched
        few = {name: n for name, n in _judged(watched.data).items() if n < ENOUGH_TO_CALIBRATE}
        fit = self._watch(given, watched, _Watch("validation", (0.05, 0.4 if few else 0.95)))
        self._remarks += fit.outcome.remarks()
        familiar = self._familiar(given, watched, fit)
        held = _Held(VALIDATION, watched.data, fit.lexical_logits, fit.semantic_logits, familiar)
        if few:
            held = self._with_more(given, held, few)
        return _Fitted(fit.lexical, fit.semantic, fit.outcome.checkpoints, held)

    def _with_more(self, given: _Part, held: _Held, few: Mapping[str, int]) -> _Held:
        """Hold training rows out too, for the targets of which the validation data has few rows."""
        more = self._held_beside(given)
        if more is None:
            return held
        more_rows = _judged(more.data)
        instead = {name: more for name, n in few.items() if more_rows[name] > n}
        if instead:
            self._remarks.append(small_validation({name: few[name] for name in instead}, more.rows))
        return replace(held, instead=instead)

    def _held_beside(self, given: _Part) -> _Held | None:
        """Hold training rows out of fits that serve nothing else."""
        between = (0.4, 0.95)
        if len(given.data) < FEW_ROWS:
            return None
        if are_many(len(given.data), sum(len(target.labels) for target in given.data.targets)):
            once = self._once(given, between)
            return once.held if once else None
        folded = self._folded(given, between)
        return folded[0] if folded else None

    def _hold_out_once(self, given: _Part) -> _Fitted:
        data, rows, once = given.data, given.rows, self._once(given, (0.05, 0.7))
        if once is None:  # a text, repeated
            return self._fit_blind(given)
        fit = once.fit
        self._remarks += fit.outcome.remarks()
        self._tell("using all rows", 0.75)
        stage = self._attended.stage("all")
        told = partial(self._tell_share, "using all rows", (0.75, 0.8))
        lexical = fit_lexical(data, rows, self._chosen.seed, fit.lexical, stage, told)
        semantic = replace(fit.semantic, network=fit.semantic.network.copy())
        random = np.random.default_rng([self._chosen.seed, 2])
        more = _second(fit.outcome, once.train, given)
        self._unwatched(Updates(data, rows, semantic, more, random, self._weights), semantic, more.updates, stage)
        return _Fitted(lexical, semantic, fit.outcome.checkpoints, once.held)

    def _once(self, given: _Part, between: tuple[float, float]) -> _Once | None:
        """Hold a share of the rows out, once; None where there is nothing to hold out."""
        data = given.data
        share = min(HELD_OUT, most_held_out(data) / len(data))
        split = split_rows(data, {"train": 1 - share, "held": share}, self._chosen.seed, self._attended.check)
        if not len(split["held"]):
            return None
        train, held = given.select(split["train"]), given.select(split["held"])
        fit = self._watch(train, held, _Watch("held out", between, vocabulary_of=given.rows))
        name = f"{len(held.data):,} of the training rows, held out"
        familiar = self._familiar(train, held, fit)
        return _Once(train, fit, _Held(name, held.data, fit.lexical_logits, fit.semantic_logits, familiar))

    def _cross_validate(self, given: _Part) -> _Fitted:
        folded = self._folded(given, (0.05, 0.8))
        if folded is None:
            return self._fit_blind(given)
        held, outcomes = folded
        self._remarks += Outcome.remarks_on_all(outcomes)
        curve = averaged([outcome.checkpoints for outcome in outcomes])
        for row in curve:
            self._attended.listener(Progress("cross-validated", 0.8, row))
        self._tell("using all rows", 0.8)
        best = float(np.median([outcome.best_update / outcome.plan.updates for outcome in outcomes]))
        return replace(self._fit_blind(given, best), checkpoints=curve, held=held)

    def _folded(self, given: _Part, between: tuple[float, float]) -> tuple[_Held, list[Outcome]] | None:
        """Hold each row out of one of several fits; None where a row's label is never in two of its parts."""
        data, (begin, end) = given.data, between
        count = min(folds_of(len(data)), different_texts(data))
        if count < 2 or not repeats(data):
            return None
        fold = folds(data, count, self._chosen.seed)
        logits = np.empty((2, len(data), sum(len(target.labels) for target in data.targets)), dtype=np.float32)
        familiar, outcomes = dict[int, Floats](), []
        for number in range(count):
            inside, outside = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
            shares = (begin + (end - begin) * number / count, begin + (end - begin) * (number + 1) / count)
            parts = given.select(inside), given.select(outside)
            outcome, logits[:, outside], known = self._fold(*parts, _Watch(f"fold {number}", shares, True))
            familiar |= dict(zip(outside.tolist(), known, strict=True))
            outcomes.append(outcome)
        known = np.stack([familiar[row] for row in range(len(data))])
        return _Held(f"{count}-fold cross-validation", data, logits[0], logits[1], known), outcomes

    def _locate(self, given: _Part, fit: Watched | _Fitted) -> Nearness | None:
        """Return where the given rows of each label lie for a fit."""
        self._attended.check()
        return locate(given.data, given.rows, Sight(fit.lexical, fit.semantic, self._semantics), self._located)

    def _familiar(self, given: _Part, held: _Part, fit: Watched) -> Floats:
        """(held rows, 1 + targets) tokens seen, and nearness, of rows that a fit to the given ones did not see.

        How much each part will say is not known yet: a row's label is that which they give in their usual shares.
        """
        logits = fit.lexical_logits + np.float32(USUAL_SHARE) * fit.semantic_logits
        by_target = {name: logits[:, place] for name, place in columns_of(held.data).items()}
        sight = Sight(fit.lexical, fit.semantic, self._semantics)
        near = nearness_of(self._locate(given, fit), held.rows, sight, by_target)
        return np.hstack([self._seen(given, held)[:, None], near])

    def _seen(self, given: _Part, held: _Part) -> Floats:
        """(held rows,) the share of the tokens of each that the given rows have."""
        known, shares = given.rows.used_tokens(), []
        for some in held.rows.portions():
            self._attended.check()
            tokens = self._semantics.tokenizer(some.runs.strings)
            shares.append(seen_share(some.runs, tokens, np.isin(tokens.ids, known)))
        return np.concatenate(shares)

    def _fold(self, train: _Part, held: _Part, how: _Watch) -> tuple[Outcome, Floats, Floats]:
        """Return how a fold's fit went, the (2, rows, labels) logits of its parts for held rows, and `_familiar`."""
        stage = self._attended.stage(how.name)
        done = stage.recall("judged")
        if done is None:
            fit = self._watch(train, held, how)
            arrays = {"logits": np.stack([fit.lexical_logits, fit.semantic_logits])}
            arrays["familiar"] = self._familiar(train, held, fit)
            done, outcome = State(arrays, fit.outcome.facts()), fit.outcome
        else:
            outcome = Outcome.of(self._plan(train), done.facts)
        stage.forget()
        stage.keep("judged", done)
        return outcome, done.arrays["logits"], done.arrays["familiar"]

    def _fit_blind(self, given: _Part, share: float | None = None) -> _Fitted:
        """Fit with nobody watching, for the share of the plan that was best in cross-validation."""
        stage = self._attended.stage("all")
        told = partial(self._tell_share, "fitting words and n-grams", (0.05, 0.8))
        lexical = fit_lexical(
            given.data, given.rows, self._chosen.seed, stage=stage, told=told if share is None else lambda _: None
        )
        random = np.random.default_rng([self._chosen.seed, 1])
        semantic = start_semantic(given.rows, lexical.weights.shape[1], self._semantics, random)
        planned = self._plan(given)
        updates = Updates(given.data, given.rows, semantic, planned, random, self._weights)
        end = planned.updates if share is None else max(1, round(share * planned.updates))
        curve = self._unwatched(updates, semantic, end, stage, tell=share is None)
        return _Fitted(lexical, semantic, curve.rows if share is None else [])

    def _unwatched(self, updates: Updates, semantic: Semantic, end: int, stage: Stage, *, tell: bool = False) -> Curve:
        """Train the network of `semantic` up to an update; `tell` makes checkpoints of its loss."""
        last, ended = stage.recall("last"), stage.recall("ended")
        curve = Curve(updates.plan, self._chosen.learning_rate, checkpoints_in(ended or last))

        def after(update: int, learnt: Mapping[str, float]) -> bool:
            row = curve.add(update, learnt)
            self._attended.listener(Progress("using all rows", 0.8 + 0.15 * update / end, row if tell else {}))
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

    def _watch(self, given: _Part, held: _Part, how: _Watch) -> Watched:
        """Fit to some rows, keep the state that is best on others."""
        stage = self._attended.stage(how.name)
        words, wide = "fitting words and n-grams", 0.3 * (how.end - how.begin)
        self._tell(words, how.begin)
        told = partial(self._tell_share, words, (how.begin, how.begin + wide))
        lexical = fit_lexical(given.data, given.rows, self._chosen.seed, stage=stage, told=told)
        lexical_logits = lexical.logits(held.rows)
        random = np.random.default_rng([self._chosen.seed, 0])
        vocabulary_of = how.vocabulary_of or given.rows
        semantic = start_semantic(vocabulary_of, lexical_logits.shape[1], self._semantics, random)
        updates = Updates(given.data, given.rows, semantic, self._plan(given), random, self._weights)
        watcher = Watcher(lexical_logits, held.data, held.rows, self._semantics, self._weights)
        ended = stage.recall("ended")
        if ended is None:
            best, curve = self._watched_updates(updates, semantic, watcher, how)
            outcome = Outcome(updates.plan, best.update, updates.update, curve.rows)
            ended = State(best.state.arrays, outcome.facts())
        else:
            outcome = Outcome.of(updates.plan, ended.facts)
        stage.keep("ended", ended)
        semantic = with_network(semantic, ended)
        return Watched(lexical, semantic, lexical_logits, semantic.logits(held.rows, self._semantics), outcome)

    def _watched_updates(
        self, updates: Updates, semantic: Semantic, watcher: Watcher, how: _Watch
    ) -> tuple[Best, Curve]:
        """Train until the held-out rows say stop, or from where an earlier attempt was."""
        stage, best = self._attended.stage(how.name), Best(semantic, updates.plan)
        last, before = stage.recall("last"), stage.recall("best")
        if last is not None and before is not None:
            updates.restore(last)
            best.restore(before)
        curve = Curve(updates.plan, self._chosen.learning_rate, checkpoints_in(last))

        def after(update: int, learnt: Mapping[str, float]) -> bool:
            row = curve.add(update, {**learnt, **watcher(semantic)})
            stop = best.look(update, row["valid_loss"], len(curve.rows))
            share = how.begin + (how.end - how.begin) * (0.3 + 0.7 * update / updates.plan.updates)
            checkpoint, fold = ({}, row) if how.fold else (row, {})
            self._attended.listener(Progress("fitting meanings", share, checkpoint, fold=fold))
            return stop

        updates.run(after, lambda: stage.pulse(lambda: {"last": updates.state(curve.facts()), "best": best.state}))
        return best, curve

    def _plan(self, given: _Part) -> Plan:
        return plan(len(given.data), given.rows.n_tokens, self._chosen, self._tuned)

    def _combine(
        self, data: Dataset, held: _Held | None, nearness: Nearness | None
    ) -> tuple[dict[str, float], HeldOut | None]:
        """Choose each target's share of the semantic part, and add the parts up."""
        if held is None:
            return {target.name: USUAL_SHARE for target in data.targets}, None
        shares, logits, truths, weights, familiar = {}, {}, {}, {}, {}
        for number, (name, place) in enumerate(columns_of(data).items()):
            self._attended.check()
            source = held.of(name)
            lexical, semantic, truths[name] = (
                source.lexical[:, place],
                source.semantic[:, place],
                source.data.truth[name],
            )
            located = nearness is not None and name in nearness.targets
            familiar[name] = familiar_rows(source.familiar, number, located=located)
            weights[name] = source.data.weights
            shares[name] = best_share(lexical, semantic, truths[name], weights[name])
            logits[name] = lexical + np.float32(shares[name]) * semantic
        return shares, HeldOut(held.told(), max(map(len, truths.values())), logits, truths, weights, familiar)

    def _tell_share(self, stage: str, between: tuple[float, float], share: float) -> None:
        self._tell(stage, between[0] + (between[1] - between[0]) * share)

    def _tell(self, stage: str, share: float) -> None:
        self._attended.check()
        self._attended.listener(Progress(stage, share))


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """Rows that a fit did not see, and the logits of its two parts; of some targets others, `instead`.

    `familiar` (n, 1 + targets): the share of their tokens that the fit saw, and how near they are by target.
    """

    rows: str
    data: Dataset
    lexical: Floats
    semantic: Floats
    familiar: Floats
    instead: Mapping[str, _Held] = field(default_factory=dict)

    def of(self, target: str) -> _Held:
        """Return the rows for a target."""
        return self.instead.get(target, self)

    def told(self) -> str:
        """Return what rows these are."""
        told = {name: other.rows for name, other in self.instead.items()}
        return told_rows(self.rows, told, len(self.data.targets))


@dataclass(frozen=True, slots=True, eq=False)
class _Once:
    """A share of the rows, held out once: the other rows, the fit to these, and what was held out."""

    train: _Part
    fit: Watched
    held: _Held


def _judged(data: Dataset) -> dict[str, int]:
    """Return how many rows of each target can be judged."""
    return {name: len(some_rows(truth)) for name, truth in data.truth.items()}


@dataclass(frozen=True, slots=True, eq=False)
class _Fitted:
    """The two parts, the curve of the run, and the held-out rows with the logits of both parts."""

    lexical: Lexical
    semantic: Semantic
    checkpoints: list[Checkpoint]
    held: _Held | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Watch:
    """How to watch a fit: its name among the restart points, its place in the run's progress, whether it is a fold.

    `vocabulary_of` may bring further tokens than those of the rows that are fitted.
    """

    name: str
    between: tuple[float, float]
    fold: bool = False
    vocabulary_of: Rows | None = None

    @property
    def begin(self) -> float:
        return self.between[0]

    @property
    def end(self) -> float:
        return self.between[1]


def _second(first: Outcome, train: _Part, given: _Part) -> Plan:
    """Return the plan for going on with all rows: what the first pass left of what is allowed, at a lower rate."""
    planned = first.plan
    per_epoch = max(1, -(-len(given.data) // planned.batch))
    updates = min(MORE_EPOCHS * per_epoch, first.best_update)
    if planned.allowed_epochs is not None:
        left = (planned.allowed_epochs - planned.epochs_at(first.stopped_at)) * train.rows.n_tokens
        updates = min(updates, max(0, int(left / max(given.rows.n_tokens, 1) * per_epoch)))
    return replace(
        planned,
        n_rows=len(given.data),
        data_tokens=given.rows.n_tokens,
        updates=updates,
        rate=planned.rate * MORE_RATE,
        embedding_rate=planned.embedding_rate * MORE_RATE,
        warmup=0.0,
    )
