"""Minimises a regularised loss of a linear map by L-BFGS with a diagonal start (Liu and Nocedal 1989).

The loss is known as a function of the logits Z = X W, so a line search costs no product with X: Z moves along a line
too. It therefore searches well, which saves steps. Past moves and changes stand beside the gradient in one array, so
that a step takes their Gram matrix and one combination of them, and no other pass over them.

The columns of X come in pieces, and vectors are cut in two stretches, which threads take one each; the cuts depend on
the data only, so the result is the same however many threads there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from tamis.ml.static.sparse import Floats

STRETCH = 64
"""Vectors are cut in two from twice so many columns of X on."""

FLAT_ENOUGH = 0.3
"""A line search ends where the slope along the line is less than this share of the first."""

ENOUGH = 1e-4
GOOD_TRIES, MOST_TRIES = 6, 16
FIRST_LENGTH = 10.0
SHRINK, MOST_GROWTH = 0.4, 5.0

T = TypeVar("T")
S = TypeVar("S")


class Design(Protocol):
    """A matrix X of which only products are needed."""

    def dot(self, weights: Floats) -> Floats:
        """Return X @ weights."""
        ...

    def transposed_dot(self, values: Floats) -> Floats:
        """Return X.T @ values."""
        ...


class Piece(NamedTuple):
    """Some columns of X."""

    columns: slice
    design: Design


Objective = Callable[[Floats], tuple[float, Floats]]
"""From logits (n, labels) to the loss and its gradient."""

ScaleAt = Callable[[Floats], Floats]
"""From the gradient by the logits to a guess of the inverse curvature of each weight: (columns, labels or 1)."""


class _Point(NamedTuple):
    """A point on a line: `value` is that of loss and penalty, `slope` its derivative along the line."""

    step: float
    value: float
    slope: float
    loss: float
    logits: Floats
    by_logits: Floats


def stretches_of(columns: int) -> list[slice]:
    """Return how vectors are cut, in columns of X."""
    half = columns // 2
    return [slice(0, half), slice(half, columns)] if columns >= 2 * STRETCH else [slice(0, columns)]


class Descent:
    """One minimisation of loss(X W) + |W|² / 2 over W (columns, labels), from `start`."""

    def __init__(
        self, pieces: Sequence[Piece], objective: Objective, scale_at: ScaleAt, start: Floats, memory: int = 4
    ) -> None:
        """Evaluate the start."""
        self._pieces, self._objective, self._memory = pieces, objective, memory
        self._stretches = stretches_of(len(start))
        threads = max(len(pieces), len(self._stretches))
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self.weights: Floats = start.astype(np.float32)
        self.logits = self._dot(self.weights)
        self.loss, self._by_logits = objective(self.logits)
        self._rows = np.zeros((2 * memory + 1, *start.shape), dtype=np.float32)  # moves, changes, the gradient
        self._gram = np.zeros((2 * memory + 1, 2 * memory + 1))  # inner products; of two moves: not needed, not kept up
        self._kept: list[int] = []  # which moves, with their changes, count; the oldest first
        self._move, self._along = np.empty_like(self.weights), np.empty_like(self.weights)
        self._root: Floats = np.ones((len(start), 1), dtype=np.float32)
        self.renew(scale_at)

    def renew(self, scale_at: ScaleAt) -> None:
        """Guess the curvature anew from where the weights are now, and forget the moves so far."""
        self._root = np.sqrt(scale_at(self._by_logits))
        self._kept = []
        self._differentiate(self._rows[-1])
        self._multiply(-1)

    def run(self, iterations: int, after: Callable[[int, float, Floats], bool] | None = None) -> Floats:
        """Take up to so many steps; `after(step, loss, logits)` may end it by returning True. Returns W."""
        try:
            for step in range(1, iterations + 1):
                if not self._advance():
                    break
                if after is not None and after(step, self.loss, self.logits):
                    break
        finally:
            if self._pool:
                self._pool.shutdown()
        return self.weights

    def _map(self, function: Callable[[S], T], parts: Iterable[S]) -> list[T]:
        return list(self._pool.map(function, parts)) if self._pool else [function(part) for part in parts]

    def _dot(self, weights: Floats) -> Floats:
        first, *others = self._map(lambda piece: piece.design.dot(weights[piece.columns]), self._pieces)
        for other in others:
            first += other
        return first

    def _differentiate(self, out: Floats) -> None:
        """Write the gradient, in units of the scale's root."""

        def take(piece: Piece) -> None:
            place = out[piece.columns]
            np.add(piece.design.transposed_dot(self._by_logits), self.weights[piece.columns], out=place)
            place *= self._root[piece.columns]

        self._map(take, self._pieces)

    def _shares(self) -> tuple[Floats, float]:
        """Return -H g as shares of the rows, by the two-loop recursion on their inner products; and the slope there."""
        gram, shares = self._gram, np.zeros(len(self._gram))
        shares[-1] = 1
        taken = {}
        for move in reversed(self._kept):
            change = move + self._memory
            taken[move] = (gram[move] @ shares) / gram[move, change]
            shares[change] -= taken[move]
        if self._kept:
            newest = self._kept[-1]
            change = newest + self._memory
            shares *= gram[newest, change] / max(gram[change, change], 1e-30)
        for move in self._kept:
            change = move + self._memory
            shares[move] += taken[move] - (gram[change] @ shares) / gram[move, change]
        return -shares.astype(np.float32), -float(gram[-1] @ shares)

    def _multiply(self, row: int) -> None:
        """Find the inner products of a row with all rows."""

        def products(part: slice) -> NDArray[np.float64]:
            rows = self._rows[:, part].reshape(len(self._rows), -1)
            found: NDArray[np.float64] = (rows @ rows[row]).astype(np.float64)
            return found

        self._gram[row] = self._gram[:, row] = np.sum(self._map(products, self._stretches), axis=0)

    def _advance(self) -> bool:
        """Take one step; False where none goes down."""
        shares, downhill = self._shares()
        if not np.isfinite(downhill) or downhill >= 0:
            return False
        ends = np.sum(self._map(lambda part: self._aim(part, shares), self._stretches), axis=0)
        found = self._search(self._dot(self._along), *ends.tolist())
        if found is None:
            return False
        self.loss, self.logits, self._by_logits = found.loss, found.logits, found.by_logits
        self._map(lambda part: self._go(part, found.step), self._stretches)
        self._differentiate(self._along)  # for a while, the place of the new gradient
        self._remember()
        return True

    def _aim(self, part: slice, shares: Floats) -> tuple[float, float, float]:
        """Combine the rows to a move, by the scale and by the weights' own units.

        Returns |W|², and the inner products of the latter with W and with itself.
        """
        rows, move, along = self._rows[:, part].reshape(len(shares), -1), self._move[part], self._along[part]
        np.einsum("i,ij->j", shares, rows, out=move.reshape(-1))  # twice as fast as a matrix product
        np.multiply(move, self._root[part], out=along)
        weights = self.weights[part]
        return float(np.vdot(weights, weights)), float(np.vdot(weights, along)), float(np.vdot(along, along))

    def _go(self, part: slice, step: float) -> None:
        self._along[part] *= np.float32(step)
        self.weights[part] += self._along[part]
        self._move[part] *= np.float32(step)

    def _remember(self) -> None:
        """Keep the move and the change of the gradient in the place of the oldest ones."""
        unused = [slot for slot in range(self._memory) if slot not in self._kept]
        slot = unused[0] if unused else self._kept.pop(0)

        change = slot + self._memory

        def keep(part: slice) -> None:
            self._rows[slot, part] = self._move[part]
            np.subtract(self._along[part], self._rows[-1, part], out=self._rows[change, part])
            self._rows[-1, part] = self._along[part]

        self._map(keep, self._stretches)
        self._multiply(change)
        self._multiply(-1)
        if self._gram[slot, change] > 1e-10:
            self._kept.append(slot)

    def _search(self, along: Floats, squared: float, crossed: float, length: float) -> _Point | None:
        """Return a point on the line where it is nearly flat, or the best of those tried; None where none is lower.

        Secants of the slope, inside the bracket once there is one. `squared` is |W|², `crossed` and `length` the inner
        products of the move with W and with itself.
        """
        penalty = (squared, crossed, length)
        begin = _point(0.0, along, penalty, (self.loss, self._by_logits), self.logits)
        step = 1.0 if squared else min(1.0, FIRST_LENGTH / max(length, 1e-12) ** 0.5)
        low, high, best = begin, None, None
        for tries in range(1, MOST_TRIES + 1):
            logits = self.logits + np.float32(step) * along
            at = _point(step, along, penalty, self._objective(logits), logits)
            lower = at.value <= begin.value + ENOUGH * step * begin.slope
            if lower and (best is None or at.value < best.value):
                best = at
            flat = lower and abs(at.slope) <= FLAT_ENOUGH * abs(begin.slope)
            if flat or (best is not None and tries >= GOOD_TRIES):
                break
            low, high = (at, high) if lower and at.slope < 0 else (low, at)
            step = _between(low, high) if high else _beyond(begin, low)
        return best


def _point(
    step: float, along: Floats, penalty: tuple[float, float, float], looked: tuple[float, Floats], logits: Floats
) -> _Point:
    (loss, by_logits), (squared, crossed, length) = looked, penalty
    value = loss + 0.5 * squared + step * crossed + 0.5 * step * step * length
    return _Point(step, value, float(np.vdot(by_logits, along)) + crossed + step * length, loss, logits, by_logits)


def _between(low: _Point, high: _Point) -> float:
    """Return where the slope should be 0, not too near to either end; nearer to `low` where `high` does not say."""
    wide = high.step - low.step
    guess = wide * low.slope / (low.slope - high.slope) if high.slope > 0 else SHRINK * wide
    return low.step + min(max(guess, 0.1 * wide), 0.9 * wide)


def _beyond(begin: _Point, low: _Point) -> float:
    """Return where the slope should be 0, beyond the point that is still too low, but not by far."""
    rise = low.slope - begin.slope
    guess = low.step - low.slope * low.step / rise if rise > 0 else MOST_GROWTH * low.step
    return min(max(guess, 1.2 * low.step), MOST_GROWTH * low.step)
