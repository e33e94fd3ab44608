"""How near an input is to the training rows of the label that it is given: a few centres a label, kept in the model.

A place is what both parts make of an input: the pooled base embeddings as the linear part sees them, and the hidden
layer. A label's centres are means of at least `LEAST_ROWS` of its rows each (k-means, Lloyd 1982), so none of them is a
row. What it is good for was found by "evidence against near rows" in docs/log.md. It does not know texts or training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamis.data.thinning import evenly
from tamis.ml.static.runs import Ints
from tamis.ml.static.sparse import Floats

MOST_CENTRES, LEAST_ROWS = 8, 5
"""Centres of a label at most, and the rows that each is the mean of at least."""

MOST_ROWS_OF_LABEL, MOST_ROWS = 128, 20_000
"""Rows that are looked at: of one label, and of all."""

MOST_CELLS = 4_000_000
"""Numbers of a target's centres: with more labels each has fewer centres, and from a point on there are none."""

CLOSEST = 1e-3
"""Added to squared distances, whose last digits would count where one is all but 0."""

TURNS = 8
ROWS_AT_ONCE = 1_024

Codes = NDArray[np.signedinteger[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Centres:
    """The centres of a target's labels: `points` (centres, width), and `starts` (labels + 1,) where each label's begin.

    `usual` is how far training rows are from theirs, on average; `half_squares` (centres,) are those of their lengths.
    Labels with too few rows have no centres.
    """

    points: Floats
    starts: Ints
    usual: float
    half_squares: Floats

    @classmethod
    def of(cls, points: Floats, starts: Ints, usual: float) -> Centres:
        """Take what is stored."""
        return cls(points, starts, usual, np.einsum("cw,cw->c", points, points) / 2)

    def extended(self, places: Floats, codes: Codes, n_labels: int) -> Centres:
        """Return the same with further labels, up to `n_labels`, by rows (n, width) with these labels."""
        n_old = len(self.starts) - 1
        (new,) = (codes >= n_old).nonzero()
        more = fit_centres(places[new], codes[new] - n_old, n_labels - n_old) if n_labels > n_old else None
        if more is None:
            return Centres(
                self.points, np.pad(self.starts, (0, n_labels - n_old), "edge"), self.usual, self.half_squares
            )
        starts = np.concatenate([self.starts, self.starts[-1] + more.starts[1:]])
        return Centres.of(np.concatenate([self.points, more.points]), starts, self.usual)

    def nearness(self, places: Floats, labels: Ints) -> Floats:
        """(inputs,) how much nearer each place (inputs, width) is to its label's centres than is usual; 0: unknown."""
        squared, found = np.einsum("nw,nw->n", places, places), np.zeros(len(places), dtype=np.float32)
        for label in np.unique(labels).tolist():
            own = slice(int(self.starts[label]), int(self.starts[label + 1]))
            if own.stop > own.start:
                (rows,) = (labels == label).nonzero()
                apart = self.half_squares[own] - np.einsum("nw,cw->nc", places[rows], self.points[own])
                found[rows] = self.usual - np.sqrt(np.maximum(2 * apart.min(axis=1) + squared[rows], 0) + CLOSEST)
        return found

    def nearness_of_one(self, place: Floats, label: int) -> float:
        """The same of one place (width,), quicker."""
        own = slice(*self.starts[label : label + 2].tolist())
        if own.start == own.stop:
            return 0.0
        nearest = float((self.half_squares[own] - self.points[own].dot(place)).min())
        return self.usual - sqrt(max(2 * nearest + float(place.dot(place)), 0.0) + CLOSEST)


@dataclass(frozen=True, slots=True, eq=False)
class Nearness:
    """The centres by target, and what the two parts of a place are multiplied by to weigh as much in a distance."""

    base_scale: float
    hidden_scale: float
    targets: Mapping[str, Centres]

    def facts(self) -> dict[str, object]:
        """Return the numbers that are not arrays, as a manifest stores them."""
        usual = {name: centres.usual for name, centres in self.targets.items()}
        return {"base_scale": self.base_scale, "hidden_scale": self.hidden_scale, "usual": usual}

    def places(self, base: Floats, hidden: Floats) -> Floats:
        """(inputs, fields x d + h) from (inputs, fields x d) and (inputs, h)."""
        return np.hstack([base * np.float32(self.base_scale), hidden * np.float32(self.hidden_scale)])

    def of(self, base: Floats, hidden: Floats, logits: Mapping[str, Floats]) -> Floats:
        """(inputs, targets) for the label with the highest logit of each target; 0 where a target has no centres."""
        found = np.zeros((len(base), len(logits)), dtype=np.float32)
        for start in range(0, len(base), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            places = self.places(base[rows], hidden[rows])
            for column, (name, own) in enumerate(logits.items()):
                if name in self.targets:
                    found[rows, column] = self.targets[name].nearness(places, own[rows].argmax(axis=1))
        return found

    def of_one(self, place: Floats, logits: Mapping[str, Floats]) -> list[float]:
        """The same of one input, from its place (fields x d + h,) and logits (1, labels) by target."""
        return [
            self.targets[name].nearness_of_one(place, int(own.argmax())) if name in self.targets else 0.0
            for name, own in logits.items()
        ]


def scales_of(base: Floats, hidden: Floats) -> tuple[float, float]:
    """Return what brings rows (n, fields x d) and (n, h) to a mean squared distance of a half from their middle."""
    return _scale(base), _scale(hidden)


def _scale(rows: Floats) -> float:
    spread = float(np.sqrt(np.var(rows, axis=0, dtype=np.float64).sum())) if len(rows) else 0.0
    return float(f"{0.5**0.5 / spread:.6g}") if spread > 1e-6 else 0.0


def rows_to_place(codes: Codes, n_labels: int) -> Ints:
    """Return which rows are looked at, in order: of each label evenly many, as far as there are."""
    most = int(np.clip(MOST_ROWS // max(n_labels, 1), LEAST_ROWS, MOST_ROWS_OF_LABEL))
    (known,) = ((codes >= 0) & (codes < n_labels)).nonzero()
    order = known[np.argsort(codes[known], kind="stable")]
    counts = np.bincount(codes[order], minlength=n_labels)
    rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    many = np.maximum(counts, 1)[codes[order]]
    taken = np.minimum(many, most)  # every so many-th: where the place among those taken changes
    return np.sort(order[(rank * taken) // many != ((rank - 1) * taken) // many])


def fit_centres(places: Floats, codes: Codes, n_labels: int) -> Centres | None:
    """Return the centres of rows (n, width) with these labels; None where labels are too many."""
    most = min(MOST_CENTRES, MOST_CELLS // max(n_labels * places.shape[1], 1))
    if not most:
        return None
    order = np.argsort(codes, kind="stable")
    ends = codes[order].searchsorted(np.arange(n_labels + 1))
    parts = [_clustered(places[order[a:b]], most) for a, b in pairwise(ends.tolist())]
    points = np.concatenate([np.zeros((0, places.shape[1]), dtype=np.float32), *parts])
    points = points.astype(np.float16).astype(np.float32)  # as they are stored
    starts = np.cumsum([0, *map(len, parts)])
    centres = Centres.of(points, starts, 0.0)
    counted = np.diff(starts)[codes] > 0
    away = -centres.nearness(places[counted], codes[counted])
    return Centres.of(points, starts, float(f"{away.mean():.6g}") if len(away) else 0.0)


def _clustered(rows: Floats, most: int) -> Floats:
    """(centres, width) of one label's rows (n, width)."""
    n = len(rows)
    points = rows[evenly(n, min(most, n // LEAST_ROWS))]
    squared = np.einsum("nw,nw->n", rows, rows)
    for turn in range(TURNS + MOST_CENTRES):
        if not len(points):
            break
        apart = squared[:, None] - 2 * (rows @ points.T) + np.einsum("cw,cw->c", points, points)
        own = apart.argmin(axis=1)[:, None] == np.arange(len(points))
        counts = own.sum(axis=0)
        if turn >= TURNS and counts.min() < LEAST_ROWS:
            points = np.delete(points, counts.argmin(), axis=0)
            continue
        points = (own[:, counts > 0].T.astype(np.float32) @ rows) / counts[counts > 0, None].astype(np.float32)
        if turn >= TURNS:
            break
    return np.asarray(points, dtype=np.float32)
