"""What a model must beat to be worth its while: a constant answer, chance, and TF-IDF with logistic regression.

Each is learnt from the same rows as a model would be. Where a target is multi-label, the score from which a label is
given is chosen on other rows than those that the scores were learnt from. They are not stored anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from warnings import catch_warnings, simplefilter

import numpy as np
from numpy.typing import NDArray

from tamis.data.dataset import Dataset, input_key, require_learnable
from tamis.data.loading import Check
from tamis.data.splits import split_rows
from tamis.data.truth import Bools, MultiTruth, SingleTruth, Truth
from tamis.errors import DataError, InvalidSetting
from tamis.evaluation.thresholds import decide, fit_shared_threshold
from tamis.schema import Input, Target, plain_text

PREFIX = "baseline:"
HELD_OUT = 0.1
"""Share of the training rows that thresholds are chosen on where there is no validation data."""

FEWEST_HELD_OUT = 20
STRENGTH = 10.0
"""Of the logistic regression (C); TF-IDF vectors are short, and scikit-learn's 1 learns too little from them."""

ROUNDS = 300
AT_ONCE = 4096

Floats = NDArray[np.float32]


class Scorer(Protocol):
    """What one baseline learnt of one target."""

    def scores(self, inputs: Sequence[Input]) -> Floats:
        """(n, n_labels) probabilities."""
        ...


Fit = Callable[[Target, Truth, Sequence[Input]], Scorer]


@dataclass(slots=True)
class Baseline:
    """A baseline that has learnt.

    Attributes:
        kind: which one.
        targets: what it answers.
        thresholds: by multi-label target, the score from which any of its labels is given.
        rows: what its thresholds were chosen on, in words; empty where there was nothing to choose.
        draws: whether its answers are drawn by its scores, which are none of an input then.
    """

    kind: str
    targets: tuple[Target, ...]
    scorers: Mapping[str, Scorer]
    thresholds: Mapping[str, float] = field(default_factory=dict)
    rows: str = ""
    draws: bool = False
    seed: int = 0

    def scores(self, inputs: Sequence[Input]) -> dict[str, Floats]:
        """(n, n_labels) probabilities for each target."""
        return {name: scorer.scores(inputs) for name, scorer in self.scorers.items()}

    def given(self, inputs: Sequence[Input], scores: Mapping[str, Floats]) -> dict[str, Bools]:
        """(n, n_labels) the labels that each input gets, for each target."""
        return {target.name: self._given(target, inputs, scores[target.name]) for target in self.targets}

    def _given(self, target: Target, inputs: Sequence[Input], scores: Floats) -> Bools:
        if self.draws:
            return _drawn(scores, inputs, multi=target.is_multi, seed=self.seed)
        return decide(scores, np.array(self.thresholds[target.name], dtype=np.float32) if target.is_multi else None)


def fit_baseline(
    kind: str, train: Dataset, validation: Dataset | None = None, *, seed: int = 0, check: Check = lambda: None
) -> Baseline:
    """Return the baseline of that name, learnt.

    Args:
        kind: "majority" (the most frequent label; of a multi-label target the most frequent few), "random" (drawn by
            the labels' frequencies, the same for the same text) or "tfidf" (n-grams, logistic regression).
        train: the rows to learn from.
        validation: the rows to choose thresholds on, of the same targets; without them a part of `train` is held out,
            and learnt from afterwards.
        seed: of the draws and of the rows that are held out.
        check: called between two targets; what it raises ends the fit.

    Raises:
        InvalidSetting: there is no such baseline.
        NothingToLearn: a target has nothing to tell apart.
    """
    if kind not in BASELINES:
        raise InvalidSetting(
            f"There is no baseline {kind!r}: take {', '.join(PREFIX + name for name in BASELINES)}.", setting="baseline"
        )
    require_learnable(train)
    fit, draws = BASELINES[kind]
    targets = train.targets
    multi = () if draws else tuple(target.name for target in targets if target.is_multi)
    chosen = _choose(fit, train, validation, multi, seed) if multi else _Chosen()
    scorers = {}
    for target in targets:
        check()
        scorers[target.name] = chosen.scorers.get(target.name) or _fitted(fit, target, train)
    return Baseline(kind, targets, scorers, chosen.thresholds, chosen.rows, draws, seed)


@dataclass(slots=True)
class _Chosen:
    """Thresholds by target, the rows they were chosen on in words, and what has learnt from all rows already."""

    thresholds: dict[str, float] = field(default_factory=dict)
    rows: str = ""
    scorers: dict[str, Scorer] = field(default_factory=dict)


def _fitted(fit: Fit, target: Target, data: Dataset) -> Scorer:
    truth = data.truth[target.name]
    known = np.flatnonzero(truth.known)
    return fit(target, truth.select(known), [data.inputs[row] for row in known.tolist()])


def _choose(fit: Fit, train: Dataset, validation: Dataset | None, targets: Sequence[str], seed: int) -> _Chosen:
    """Choose the threshold of each of these targets on rows that its scores were not learnt from."""
    learnt, held = train, validation
    rows = f"the {len(validation):,} validation rows" if validation else ""
    if held is None:
        parts = split_rows(train, {"train": 1 - HELD_OUT, "held out": HELD_OUT}, seed)
        if len(parts["held out"]) < FEWEST_HELD_OUT:
            nothing = "no rows: there are too few to hold some out, so it is a half"
            return _Chosen(dict.fromkeys(targets, 0.5), nothing)
        learnt, held = train.select(parts["train"]), train.select(parts["held out"])
        rows = f"{len(held):,} training rows, which the scores were not learnt from"
    chosen = _Chosen(rows=rows)
    for name in targets:
        truth = held.truth[name]
        if not isinstance(truth, MultiTruth):
            raise InvalidSetting(f"Target {name!r} is multi-label in training and not in validation.", setting="data")
        scorer = _fitted(fit, train.target(name), learnt)
        chosen.thresholds[name] = fit_shared_threshold(scorer.scores(held.inputs), truth.indicator(), truth.known)
        if learnt is train:
            chosen.scorers[name] = scorer
    return chosen


@dataclass(frozen=True, slots=True, eq=False)
class _Frequencies:
    """How often each label is carried: the same scores for every input."""

    shares: Floats

    def scores(self, inputs: Sequence[Input]) -> Floats:
        return np.tile(self.shares, (len(inputs), 1))


def _frequencies(target: Target, truth: Truth, inputs: Sequence[Input]) -> _Frequencies:
    counts = truth.counts().astype(np.float64)
    whole = len(truth) if target.is_multi else counts.sum()
    return _Frequencies((counts / max(1.0, float(whole))).astype(np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class _Linear:
    """Logistic regression on TF-IDF: one of many labels, or each label for itself."""

    vectorizer: Any
    models: Sequence[Any]
    columns: Sequence[NDArray[np.intp]]
    constant: Floats

    def scores(self, inputs: Sequence[Input]) -> Floats:
        found = np.tile(self.constant, (len(inputs), 1))
        for first in range(0, len(inputs), AT_ONCE):
            part = inputs[first : first + AT_ONCE]
            features = self.vectorizer.transform([plain_text(given) for given in part])
            for model, columns in zip(self.models, self.columns, strict=True):
                shares = model.predict_proba(features)
                found[first : first + len(part), columns] = shares[:, -len(columns) :]
        return found


def _linear(target: Target, truth: Truth, inputs: Sequence[Input]) -> _Linear:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_union

    vectorizer = make_union(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b"),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True),
    )
    try:
        features = vectorizer.fit_transform([plain_text(given) for given in inputs])
    except ValueError as error:  # scikit-learn: no word in any text
        raise DataError("No training text has a word or a character to learn from.", target=target.name) from error
    constant = np.zeros(truth.n_labels, dtype=np.float32)
    if isinstance(truth, SingleTruth):
        model: Any = LogisticRegression(C=STRENGTH, max_iter=ROUNDS)
        with catch_warnings():
            simplefilter("ignore", ConvergenceWarning)  # after so many rounds it is close enough
            model.fit(features, truth.codes)
        return _Linear(vectorizer, [model], [np.asarray(model.classes_, dtype=np.intp)], constant)
    carried, models, columns = truth.indicator(), [], []
    for label in range(truth.n_labels):
        if carried[:, label].all() or not carried[:, label].any():
            constant[label] = float(carried[:, label].all())
            continue
        models.append(LogisticRegression(C=STRENGTH, solver="liblinear").fit(features, carried[:, label]))
        columns.append(np.array([label]))
    return _Linear(vectorizer, models, columns, constant)


BASELINES: Mapping[str, tuple[Fit, bool]] = {
    "majority": (_frequencies, False),
    "random": (_frequencies, True),
    "tfidf": (_linear, False),
}
"""How each baseline learns, and whether its answers are drawn."""


def _one(codes: NDArray[np.intp], shape: tuple[int, ...]) -> Bools:
    given = np.zeros(shape, dtype=bool)
    given[np.arange(len(codes)), codes] = True
    return given


def _drawn(scores: Floats, inputs: Sequence[Input], *, multi: bool, seed: int) -> Bools:
    """Labels drawn by their scores: the same for the same input and seed, whatever stands beside it."""
    keys = np.fromiter(map(input_key, inputs), dtype=np.uint64, count=len(inputs)) ^ np.uint64(_spread(seed))
    if multi:
        return np.array([np.random.default_rng(key).random(scores.shape[1]) for key in keys.tolist()]) < scores
    draws = np.array([np.random.default_rng(key).random() for key in keys.tolist()])
    ends = np.cumsum(scores.astype(np.float64), axis=1)
    codes = np.minimum((ends <= (draws * ends[:, -1])[:, None]).sum(axis=1), scores.shape[1] - 1)
    return _one(codes, scores.shape)


def _spread(seed: int) -> int:
    return (seed * 0x9E3779B97F4A7C15) % 2**64
