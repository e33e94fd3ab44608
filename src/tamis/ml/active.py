"""Which texts a person should look at next: those that a model is least sure of, and that are unlike each other.

Uncertainty alone asks for the same thing many times over, so the most uncertain rows are clustered by their embeddings,
and of each cluster the middle is taken (Zhdanov 2019, "Diverse mini-batch active learning"). What is measured beside
entropy, BADGE and others stands in docs/log.md. It knows neither files nor queues.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tamis.ml.neighbours import embedding_of
from tamis.ml.predictor import Predictor
from tamis.ml.progress import Check, nothing
from tamis.ml.review import DEFAULT_BASE, static_base
from tamis.schema import Input

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

SPREAD = 50
"""So many times the rows that are wanted are looked at for being unlike each other."""

LEAST_DOUBT = 0.1
"""Rows this much less uncertain than the last one that would be taken by uncertainty alone are passed over."""

SURE_BELOW = 0.2
"""A model is sure of what it doubts less than this: of two labels, one has nine parts in ten."""

MOST_CLUSTERED = 20_000
TURNS = 10

_AT_ONCE = 4_096
_CELLS = 4_000_000  # rows x centres whose distances are held at a time


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """Rows to look at, the most uncertain first: (count,) their numbers, and how uncertain each is, 0 to 1.

    `sure` rows are so certain that they were passed over.
    """

    rows: Rows
    uncertainty: Floats
    sure: int = 0


def choose(
    predictor: Predictor,
    inputs: Sequence[Input],
    count: int,
    *,
    least: float = 0.0,
    seed: int = 0,
    check: Check = nothing,
) -> Chosen:
    """Return the rows of a pool that are worth most to be labelled.

    Args:
        predictor: the model that is to learn from them.
        inputs: the pool, known to be right: rows that have no label yet, each once.
        count: how many are wanted; fewer where the pool is smaller.
        least: rows that are less uncertain are passed over.
        seed: of the clustering: the same pool gives the same rows.
        check: called often; what it raises ends it.
    """
    doubt = uncertainties(predictor, inputs, check)

    def embed(some: Sequence[Input]) -> Floats:
        made = embedding_of(static_base(DEFAULT_BASE), some)
        check()
        return np.concatenate([made(some[first : first + _AT_ONCE]) for first in range(0, len(some), _AT_ONCE)])

    unsure: Rows = np.flatnonzero(doubt >= least).astype(np.int64)
    places = diverse(
        doubt[unsure], lambda some: embed([inputs[row] for row in unsure[some].tolist()]), count, seed=seed
    )
    rows = unsure[places]
    return Chosen(rows, doubt[rows], len(inputs) - len(unsure))


def uncertainties(predictor: Predictor, inputs: Sequence[Input], check: Check = nothing) -> Floats:
    """Return (n,) how little sure a model is of each input, 0 to 1: of the target of which it is least sure."""
    found = np.zeros(len(inputs), dtype=np.float32)
    for first in range(0, len(inputs), _AT_ONCE):
        check()
        part = slice(first, first + _AT_ONCE)
        found[part] = uncertainty(predictor, predictor.checked_scores(inputs[part]))
    return found


def uncertainty(predictor: Predictor, scores: Mapping[str, Floats]) -> Floats:
    """Return (n,) the same for calibrated scores of some inputs."""
    doubt: Floats = np.max(list(uncertainty_by_target(predictor, scores).values()), axis=0)
    return doubt


def uncertainty_by_target(predictor: Predictor, scores: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return (n,) how little sure a model is of each target, by its name."""
    return {
        target.name: nearness(scores[target.name], predictor.thresholds(target.name))
        if target.is_multi
        else closeness(scores[target.name])
        for target in predictor.targets
    }


def closeness(scores: Floats) -> Floats:
    """Return (n,) how close the two best of (n, n_labels) scores are: 1 where they are equal, 0 where one has all."""
    if scores.shape[1] < 2:
        return np.zeros(len(scores), dtype=np.float32)
    best = np.partition(scores, -2, axis=1)[:, -2:]
    close: Floats = (1 - (best[:, 1] - best[:, 0])).astype(np.float32)
    return close


def nearness(scores: Floats, thresholds: Floats | None) -> Floats:
    """Return (n,) how near one of (n, n_labels) scores is to its label's threshold: 1 on it, 0 as far as can be."""
    if not scores.shape[1]:
        return np.zeros(len(scores), dtype=np.float32)
    limits = np.full(scores.shape[1], 0.5, dtype=np.float32) if thresholds is None else thresholds
    room = np.where(scores >= limits, 1 - limits, limits)
    away = np.abs(scores - limits) / np.maximum(room, 1e-6)
    near: Floats = (1 - np.minimum(away, 1).min(axis=1)).astype(np.float32)
    return near


def disagreement(one: Floats, other: Floats) -> Floats:
    """Return (n,) how far two models' (n, n_labels) scores of a target are apart, 0 to 1: the most of any label."""
    if not one.shape[1]:
        return np.zeros(len(one), dtype=np.float32)
    apart: Floats = np.abs(one - other).max(axis=1).astype(np.float32)
    return apart


def diverse(doubt: Floats, embed: Callable[[Rows], Floats], count: int, *, seed: int = 0) -> Rows:
    """Return uncertain rows that are unlike each other, the most uncertain first.

    Args:
        doubt: (n,) how uncertain each row is.
        embed: gives rows their (n, d) vectors of length 1; only the most uncertain are asked for.
        count: how many are wanted.
        seed: of the clustering.
    """
    order: Rows = np.argsort(-doubt, kind="stable").astype(np.int64)
    if count >= len(order):
        return order
    if count < 1:
        return order[:0]
    pool = order[: min(SPREAD * count, max(MOST_CLUSTERED, count))]
    pool = pool[doubt[pool] >= LEAST_DOUBT * doubt[order[count - 1]]]  # at least as many as are wanted
    weights = np.maximum(doubt[pool], 1e-3).astype(np.float32)
    places = _middles(embed(pool), weights, count, np.random.default_rng([seed, 17]))
    chosen: Rows = pool[np.sort(places)]
    return chosen


def _middles(vectors: Floats, weights: Floats, count: int, random: np.random.Generator) -> NDArray[np.intp]:
    """The row nearest to the middle of each of `count` clusters, made by weighted k-means."""
    centres = vectors[_seeds(vectors, weights, count, random)]
    own = _nearest(vectors, centres)
    for _ in range(TURNS):
        sums = np.zeros_like(centres)
        np.add.at(sums, own, vectors * weights[:, None])
        total = np.bincount(own, weights, minlength=count).astype(np.float32)
        centres = np.where(total[:, None] > 0, sums / np.maximum(total, 1e-9)[:, None], centres)
        before, own = own, _nearest(vectors, centres)
        if np.array_equal(before, own):
            break
    return _one_each(vectors, centres, own)


def _seeds(vectors: Floats, weights: Floats, count: int, random: np.random.Generator) -> list[int]:
    """k-means++: rows drawn by their weight and their squared distance to those that were drawn before."""
    lengths = (vectors**2).sum(axis=1)
    away = np.full(len(vectors), np.inf, dtype=np.float32)
    drawn = [int(random.choice(len(vectors), p=_shares(weights)))]
    while len(drawn) < count:
        last = drawn[-1]
        away = np.minimum(away, np.maximum(lengths + lengths[last] - 2 * (vectors @ vectors[last]), 0))
        away[drawn] = 0
        chances = away * weights
        if not chances.sum() > 0:  # all that are left are repeats
            left = np.setdiff1d(np.arange(len(vectors)), drawn)
            return [*drawn, *left[: count - len(drawn)].tolist()]
        drawn.append(int(random.choice(len(vectors), p=_shares(chances))))
    return drawn


def _shares(weights: Floats) -> NDArray[np.float64]:
    exact = weights.astype(np.float64)
    shares: NDArray[np.float64] = exact / exact.sum()
    return shares


def _nearest(vectors: Floats, centres: Floats) -> NDArray[np.intp]:
    """The centre nearest to each row."""
    half = (centres**2).sum(axis=1) / 2
    step = max(1, _CELLS // len(centres))
    parts = [(vectors[at : at + step] @ centres.T - half).argmax(axis=1) for at in range(0, len(vectors), step)]
    return np.concatenate(parts)


def _one_each(vectors: Floats, centres: Floats, own: NDArray[np.intp]) -> NDArray[np.intp]:
    """The row of each cluster nearest to its centre; for a cluster without rows the first that is left."""
    away = ((vectors - centres[own]) ** 2).sum(axis=1)
    order = np.lexsort((away, own))
    _, first = np.unique(own[order], return_index=True)
    taken = order[first]
    missing = len(centres) - len(taken)
    if missing:
        left = np.setdiff1d(np.arange(len(vectors)), taken)
        taken = np.concatenate([taken, left[:missing]])
    return taken
