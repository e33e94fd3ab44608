"""Minimises a regularised loss of a linear map by L-BFGS with a diagonal start (Liu and Nocedal 1989).

The loss is known as a function of the logits Z = X W, so a line search costs no product with X: Z moves along a line
too. The columns of W are cut into parts of their own, which threads take one each; the cut depends on the number of
labels only, so the result is the same however many threads there are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

import numpy as np
from scipy.linalg.blas import saxpy

from tamis.ml.static.sparse import Floats

PART_COLUMNS = 2
"""From twice so many columns on, the work is cut in two."""

SHRINK = 0.4
ENOUGH = 1e-4

T = TypeVar("T")
S = TypeVar("S")
Parts = list[Floats]


class Design(Protocol):
    """A matrix X of which only products are needed."""

    def dot(self, weights: Floats) -> Floats:
        """Return X @ weights."""
        ...

    def transposed_dot(self, values: Floats) -> Floats:
        """Return X.T @ values."""
        ...


Objective = Callable[[Floats], tuple[float, Floats]]
"""From logits (n, labels) to the loss and its gradient."""


def parts_of(columns: int) -> list[slice]:
    """Return how the columns are cut."""
    half = columns // 2
    return [slice(0, half), slice(half, columns)] if columns >= 2 * PART_COLUMNS else [slice(0, columns)]


class Descent:
    """One minimisation of loss(X W) + |W|² / 2; `start` (terms, labels) or zero."""

    def __init__(self, design: Design, objective: Objective, scale: Floats, start: Floats, memory: int = 5) -> None:
        """Evaluate the start. `scale` (terms,) is a guess of the inverse curvature of each term."""
        self._design, self._objective, self._scale = design, objective, scale[:, None]
        self._cuts = parts_of(start.shape[1])
        self._pool = ThreadPoolExecutor(len(self._cuts)) if len(self._cuts) > 1 else None
        self.weights: Parts = [start[:, cut].copy() for cut in self._cuts]
        self.logits = self._dot(self.weights)
        self.loss, self._slope = objective(self.logits)
        self._gradient = self._gradient_of(self._slope)
        self._past: deque[tuple[Parts, Parts, float]] = deque(maxlen=memory)

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
        return np.concatenate(self.weights, axis=1)

    def _map(self, function: Callable[[S], T], parts: Iterable[S]) -> list[T]:
        return list(self._pool.map(function, parts)) if self._pool else [function(part) for part in parts]

    def _dot(self, parts: Parts) -> Floats:
        return np.concatenate(self._map(self._design.dot, parts), axis=1)

    def _gradient_of(self, slope: Floats) -> Parts:
        pairs = [
            (np.ascontiguousarray(slope[:, cut]), part) for cut, part in zip(self._cuts, self.weights, strict=True)
        ]
        return self._map(lambda pair: self._design.transposed_dot(pair[0]) + pair[1], pairs)

    def _inner(self, left: Parts, right: Parts) -> float:
        return sum(self._map(lambda pair: float(np.vdot(*pair)), zip(left, right, strict=True)))

    def _add(self, target: Parts, factor: float, other: Parts) -> None:
        """Add in place, without the temporary array that `target += factor * other` makes."""
        self._map(lambda pair: saxpy(pair[1].ravel(), pair[0].ravel(), a=factor), zip(target, other, strict=True))

    def _direction(self) -> Parts:
        """Return -H g by the two-loop recursion."""
        q = [part.copy() for part in self._gradient]
        shares = []
        for move, change, inverse in reversed(self._past):
            share = inverse * self._inner(move, q)
            self._add(q, -share, change)
            shares.append(share)
        q = self._map(lambda part: part * self._scale, q)
        if self._past:
            _, change, inverse = self._past[-1]
            damped = self._map(lambda part: part * self._scale, change)
            factor = 1 / max(inverse * self._inner(change, damped), 1e-12)
        else:
            factor = 10 / max(np.sqrt(self._inner(q, q)), 10)
        q = self._map(lambda part: part * np.float32(-factor), q)
        for (move, change, inverse), share in zip(self._past, reversed(shares), strict=True):
            self._add(q, -(share + inverse * self._inner(change, q)), move)
        return q

    def _advance(self) -> bool:
        """Take one step; False where none goes down."""
        direction = self._direction()
        downhill = self._inner(self._gradient, direction)
        if not np.isfinite(downhill) or downhill >= 0:
            return False
        along = self._dot(direction)
        crossed, squared = self._inner(self.weights, direction), self._inner(direction, direction)
        before = self.loss + 0.5 * self._inner(self.weights, self.weights)
        plain = before - self.loss
        step = 1.0
        while True:
            logits = self.logits + np.float32(step) * along
            loss, slope = self._objective(logits)
            value = loss + plain + step * crossed + 0.5 * step * step * squared
            if value <= before + ENOUGH * step * downhill:
                break
            step *= SHRINK
            if step < 1e-4:
                return False
        self._add(self.weights, step, direction)
        self.loss, self.logits, self._slope = loss, logits, slope
        gradient = self._gradient_of(slope)
        change = [new - old for new, old in zip(gradient, self._gradient, strict=True)]
        move = self._map(lambda part: part * np.float32(step), direction)
        curvature = self._inner(move, change)
        if curvature > 1e-10:
            self._past.append((move, change, 1 / curvature))
        self._gradient = gradient
        return True
