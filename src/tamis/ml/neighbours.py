"""Rows that mean about the same, by the base model's embeddings: a portion of the rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from tamis.data.dataset import Dataset
from tamis.data.thinning import evenly
from tamis.data.truth import SingleTruth, Truth
from tamis.ml.static.base_model import StaticBase
from tamis.ml.static.encoded import Encoded
from tamis.ml.static.model import Semantics
from tamis.ml.static.runs import FIELDS_OF_CHAT, FIELDS_OF_TEXT
from tamis.ml.static.tokens import RunTokenizer
from tamis.schema import Input

MOST_SEARCHED = 50_000
"""Rows, evenly spread, among which neighbours are looked for."""

SHOWN = 3
_AT_ONCE = 4_096

Rows = NDArray[np.int64]
Vectors = NDArray[np.float32]


class Neighbours:
    """Finds the nearest rows of a dataset that carry certain labels."""

    def __init__(self, data: Dataset, base: StaticBase) -> None:
        """Remember the rows; nothing is computed yet."""
        self._data = data
        self._embed = embedding_of(base, data.inputs)
        self._searched = evenly(len(data), MOST_SEARCHED)

    def supporting(self, target: str) -> Callable[[Rows, list[tuple[str, ...]]], list[list[int]]]:
        """Return what finds, for rows and the labels proposed for them, the nearest rows that carry these labels."""
        truth, names = self._data.truth[target], self._data.target(target).labels
        codes = {label: code for code, label in enumerate(names)}

        def find(rows: Rows, proposed: list[tuple[str, ...]]) -> list[list[int]]:
            wanted = [tuple(sorted(codes[label] for label in labels if label in codes)) for labels in proposed]
            return self._nearest(rows, wanted, truth)

        return find

    def _nearest(self, rows: Rows, wanted: Sequence[tuple[int, ...]], truth: Truth) -> list[list[int]]:
        if not len(rows):
            return []
        vectors = self._embed([self._data.inputs[row] for row in rows.tolist()])
        numbers = {labels: number for number, labels in enumerate(dict.fromkeys(wanted))}
        asked = np.array([numbers[labels] for labels in wanted])
        likeness = np.full((len(rows), SHOWN), -np.inf, dtype=np.float32)
        nearest = np.full((len(rows), SHOWN), -1, dtype=np.int64)
        for first in range(0, len(self._searched), _AT_ONCE):
            some = self._searched[first : first + _AT_ONCE]
            carried = np.array([numbers.get(_carried(truth, row), -1) for row in some.tolist()])
            some, carried = some[carried >= 0], carried[carried >= 0]
            if not len(some):
                continue
            alike = vectors @ self._embed([self._data.inputs[row] for row in some.tolist()]).T
            alike[(asked[:, None] != carried) | (rows[:, None] == some)] = -np.inf
            both = np.concatenate([likeness, alike], axis=1)
            places = np.concatenate([nearest, np.broadcast_to(some, alike.shape)], axis=1)
            best = np.argsort(-both, axis=1, kind="stable")[:, :SHOWN]
            likeness, nearest = np.take_along_axis(both, best, axis=1), np.take_along_axis(places, best, axis=1)
        return [
            [int(row) for row, near in zip(own, how, strict=True) if np.isfinite(near)]
            for own, how in zip(nearest, likeness, strict=True)
        ]


def embedding_of(base: StaticBase, inputs: Sequence[Input]) -> Callable[[Sequence[Input]], Vectors]:
    """Return what gives inputs like these their (n, d) vectors of length 1: the average embedding of all fields."""
    semantics = Semantics(base.matrix, RunTokenizer(base.tokenizer_json, base.unknown_id))
    fields = FIELDS_OF_TEXT if all(isinstance(given, str) for given in inputs) else FIELDS_OF_CHAT

    def embed(some: Sequence[Input]) -> Vectors:
        encoded = Encoded.of(some, semantics, fields)
        pooled = encoded.pooled.reshape(len(some), -1, encoded.pooled.shape[-1])[:, :fields].sum(axis=1)
        lengths = np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), 1e-6)
        unit: Vectors = (pooled / lengths).astype(np.float32)
        return unit

    return embed


def _carried(truth: Truth, row: int) -> tuple[int, ...]:
    if isinstance(truth, SingleTruth):
        return (int(truth.codes[row]),)
    return tuple(sorted(truth.codes[truth.offsets[row] : truth.offsets[row + 1]].tolist()))
