"""A trained static model: from inputs to logits, before any calibration.

The same code makes the matrices for training and for prediction, so a score cannot differ between the two, and the
score of an input does not depend on what else is in the batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamis.data.truth import Bools
from tamis.ml.scorer import FAMILIAR
from tamis.ml.static.lexical import BLOCKS, Vocabulary, count_grams
from tamis.ml.static.nearness import Nearness
from tamis.ml.static.network import Network
from tamis.ml.static.row_products import product_by_rows
from tamis.ml.static.runs import Ints, Runs, split_runs
from tamis.ml.static.sparse import Floats, Matrix
from tamis.ml.static.tokens import RunTokenizer, pool, seen_share, token_matrix
from tamis.schema import Input, plain_text

LENGTH = 0.5
"""Typical length of the pooled embeddings beside n-grams, whose two blocks have length 1 each."""

WORTH_THREADS = 1_000
BATCH_INPUTS = 8_192
BATCH_CHARACTERS, NOT_ASCII = 500_000, 4
BATCH_SCORES = 8_000_000
"""Bounds of what is computed at once, in inputs, characters and inputs x labels; from how many on in two threads.

A character that is not ASCII counts for so many: it may fold into several, and may be a token a byte.
"""


class _OneBlasThread:
    """Holds matrix products to one thread each while anyone is inside: the limit is the whole process's."""

    def __init__(self) -> None:
        self._lock, self._inside = Lock(), 0
        self._controller: Any = None
        self._limit: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                if self._controller is None:
                    from threadpoolctl import ThreadpoolController  # looks at the loaded libraries: not at import

                    self._controller = ThreadpoolController()
                self._limit = self._controller.limit(limits=1, user_api="blas")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._limit.restore_original_limits()


_one_blas_thread = _OneBlasThread()


def one_blas_thread() -> AbstractContextManager[None]:
    """Return a context in which matrix products use one thread each: two threads spin where the machine is busy."""
    return _one_blas_thread


@dataclass(frozen=True, slots=True, eq=False)
class Semantics:
    """The base model as the static tier uses it: `matrix` (vocabulary, d) as stored, and how texts become tokens."""

    matrix: NDArray[np.generic]
    tokenizer: RunTokenizer

    def tokens(self, runs: Runs) -> tuple[Matrix, int]:
        """Return (inputs x pools, vocabulary) shares of tokens, and how many tokens there are in all."""
        of_runs = self.tokenizer(runs.strings)
        return token_matrix(runs, of_runs, self.matrix.shape[0]), int(of_runs.lengths[runs.run].sum())

    def pooled(self, tokens: Matrix) -> Floats:
        """Return (inputs x pools, d) average embeddings of the base model, each of length 1 (or 0 where empty)."""
        pooled = pool(tokens, self.matrix)
        lengths = np.linalg.norm(pooled, axis=1, keepdims=True)
        unit: Floats = np.divide(pooled, lengths, out=np.zeros_like(pooled), where=lengths > 1e-6)
        return unit


@dataclass(frozen=True, slots=True, eq=False)
class Centring:
    """What brings pooled embeddings to mean 0 and mean squared length `LENGTH`²: (pooled - centre) x scale."""

    centre: Floats  # (d,)
    scale: float

    @classmethod
    def of(cls, pooled: Floats) -> Centring:
        """Measure it on training data."""
        present = pooled[np.any(pooled != 0, axis=1)]
        if not len(present):
            return cls(np.zeros(pooled.shape[1], dtype=np.float32), 1.0)
        centre = present.mean(axis=0)
        spread = float(np.sqrt(((present - centre) ** 2).sum(axis=1).mean()))
        return cls(centre, LENGTH / spread if spread > 1e-6 else 1.0)

    def apply(self, pooled: Floats, n_fields: int) -> Floats:
        """Return (inputs, fields x d) from (inputs x pools, d); a field without a known token is 0.

        The opening, behind the fields, is for the network alone.
        """
        fields = pooled.reshape(-1, n_fields + 1, pooled.shape[1])[:, :-1]
        present = np.any(fields != 0, axis=2, keepdims=True)
        centred = np.where(present, (fields - self.centre) * np.float32(self.scale), np.float32(0))
        return centred.astype(np.float32, copy=False).reshape(len(fields), n_fields * pooled.shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class StaticModel:
    """Everything that turns an input into logits.

    Attributes:
        semantics: the base model.
        vocabulary: the n-grams that count.
        centring: of the base model's pooled embeddings.
        n_fields: 1 for texts, 3 for chats.
        weights: (terms + fields x d + 1, all labels) of the lexical part.
        tuned_tokens: (tokens,) sorted ids of the embeddings that training moved; the others are the base model's.
        network: the semantic part; `network.embeddings` (tokens, d) in the order of `tuned_tokens`.
        embedding_scale: what the base model's embeddings are multiplied by before the network.
        columns: which of all labels belong to each target.
        nearness: where training rows lie; None: not kept.
    """

    semantics: Semantics
    vocabulary: Vocabulary
    centring: Centring
    n_fields: int
    weights: Floats
    tuned_tokens: Ints
    network: Network
    embedding_scale: float
    columns: Mapping[str, slice]
    nearness: Nearness | None = None

    def logits(self, inputs: Sequence[Input]) -> dict[str, Floats]:
        """Return (inputs, labels) float32 for each target, and `FAMILIAR`."""
        total = self.weights.shape[1]
        everything = np.empty((len(inputs), total), dtype=np.float32)
        familiar = np.empty((len(inputs), 1 + (len(self.columns) if self.nearness else 0)), dtype=np.float32)

        def fill(batch: slice) -> None:
            everything[batch], familiar[batch] = self._batch(inputs[batch])

        batches = list(_batches(inputs, total))
        with one_blas_thread():
            if len(batches) > 1:
                with ThreadPoolExecutor(2) as threads:
                    list(threads.map(fill, batches))
            else:
                for batch in batches:
                    fill(batch)
        return {FAMILIAR: familiar} | self.by_target(everything)

    def by_target(self, logits: Floats) -> dict[str, Floats]:
        """Return (inputs, labels) for each target of (inputs, all labels)."""
        return {name: logits[:, columns] for name, columns in self.columns.items()}

    def familiar(self, seen: Floats, base: Floats, hidden: Floats, logits: Floats) -> Floats:
        """Return (inputs, 1 or 1 + targets) what `FAMILIAR` is.

        Args:
            seen: (inputs,) the share of tokens that training saw.
            base: (inputs, fields x d) the pooled base embeddings, centred.
            hidden: (inputs, h) the hidden layer.
            logits: (inputs, all labels).
        """
        if self.nearness is None:
            return seen[:, None]
        return np.hstack([seen[:, None], self.nearness.of(base, hidden, self.by_target(logits))])

    def saw(self, tokens: Ints) -> Bools:
        """(tokens,) whether training saw each."""
        if not len(self.tuned_tokens):
            return np.zeros(len(tokens), dtype=bool)
        seen: Bools = self.tuned_tokens.take(self.tuned_tokens.searchsorted(tokens), mode="clip") == tokens
        return seen

    def _batch(self, inputs: Sequence[Input]) -> tuple[Floats, Floats]:
        runs = split_runs(inputs, self.n_fields)
        of_runs = self.semantics.tokenizer(runs.strings)
        tokens = token_matrix(runs, of_runs, self.semantics.matrix.shape[0])
        pooled = self.centring.apply(self.semantics.pooled(tokens), self.n_fields)
        matrix, n_terms = self.vocabulary.matrix(count_grams(runs)), len(self.weights) - pooled.shape[1] - 1
        matrix.private.sort_indices()  # sums in an order that the other inputs have no say in
        logits = matrix.dot(self.weights[:n_terms])
        logits += product_by_rows(pooled, self.weights[n_terms:-1])
        logits += self.weights[-1]
        hidden = self.network.activation(self._tuned_pool(tokens).reshape(len(inputs), -1))
        logits += self.network.logits_of(hidden)
        seen = seen_share(runs, of_runs, self.saw(of_runs.ids))
        return logits, self.familiar(seen, pooled, hidden, logits)

    def _tuned_pool(self, tokens: Matrix) -> Floats:
        return pool(
            tokens, TunedEmbeddings(self.semantics.matrix, self.embedding_scale, self.tuned_tokens, self.network)
        )


@dataclass(frozen=True, slots=True, eq=False)
class TunedEmbeddings:
    """The base model's embeddings, scaled, with the rows that training moved in their place; read by row."""

    base: NDArray[np.generic]
    scale: float
    tuned_tokens: Ints
    network: Network

    @property
    def shape(self) -> tuple[int, ...]:
        """(vocabulary, d)."""
        return self.base.shape

    def __getitem__(self, tokens: Ints) -> Floats:
        """Return the rows of these tokens."""
        rows = self.base[tokens].astype(np.float32)
        rows *= np.float32(self.scale)
        if len(self.tuned_tokens):
            place = np.minimum(np.searchsorted(self.tuned_tokens, tokens), len(self.tuned_tokens) - 1)
            tuned = np.flatnonzero(self.tuned_tokens[place] == tokens)
            rows[tuned] = self.network.embeddings[place[tuned]]
        return rows


def _batches(inputs: Sequence[Input], n_labels: int) -> Iterator[slice]:
    """Cut the inputs into batches of bounded cost."""
    most = max(1, min(BATCH_INPUTS, BATCH_SCORES // max(n_labels, 1)))
    if len(inputs) > WORTH_THREADS:  # an even number of batches, for two threads
        most = min(most, -(-len(inputs) // (2 * -(-len(inputs) // (2 * most)))))
    if len(inputs) == 1:
        yield slice(0, 1)
        return
    texts = (given if isinstance(given, str) else plain_text(given) for given in inputs)
    costs = (len(text) if text.isascii() else NOT_ASCII * len(text) for text in texts)
    ends = np.cumsum(np.fromiter(costs, dtype=np.int64, count=len(inputs)))
    start = 0
    while start < len(inputs):
        before = ends[start - 1] if start else 0
        stop = int(np.searchsorted(ends, before + BATCH_CHARACTERS, side="right"))
        stop = min(max(stop, start + 1), start + most, len(inputs))
        yield slice(start, stop)
        start = stop


def tensors_of(model: StaticModel) -> dict[str, NDArray[np.generic]]:
    """Return the model's arrays by name, as an artifact stores them."""
    tensors: dict[str, NDArray[np.generic]] = {
        "base.embeddings": model.semantics.matrix,
        "lexical.weights": model.weights,
        "pooled.centre": model.centring.centre,
        "network.tokens": model.tuned_tokens,
        "network.embeddings": model.network.embeddings,
        "network.hidden": model.network.hidden,
        "network.hidden_bias": model.network.hidden_bias,
        "network.heads": model.network.heads,
        "network.head_bias": model.network.head_bias,
    }
    for block, terms in zip(BLOCKS, model.vocabulary.blocks, strict=True):
        tensors[f"lexical.{block}.hashes"] = terms.hashes
        tensors[f"lexical.{block}.idf"] = terms.idf
        tensors[f"lexical.{block}.single_hashes"] = terms.single_hashes
        tensors[f"lexical.{block}.single_owners"] = terms.single_owners
        tensors[f"lexical.{block}.single_shares"] = terms.single_shares
    for name, centres in model.nearness.targets.items() if model.nearness else ():
        place = list(model.columns).index(name)
        tensors[f"centres.{place}.points"] = centres.points.astype(np.float16)
        tensors[f"centres.{place}.starts"] = centres.starts
    return tensors


def architecture_of(model: StaticModel) -> dict[str, object]:
    """Return the model's numbers that are not arrays, as a manifest stores them."""
    located = {} if model.nearness is None else {"nearness": model.nearness.facts()}
    return {
        "fields": model.n_fields,
        "pooled_scale": model.centring.scale,
        "embedding_scale": model.embedding_scale,
        "unknown_idf": dict(zip(BLOCKS, (terms.unknown for terms in model.vocabulary.blocks), strict=True)),
        "private_columns": model.vocabulary.n_owners,
        "unknown_token": model.semantics.tokenizer.unknown_id,
        "dimensions": int(model.semantics.matrix.shape[1]),
        "hidden": int(model.network.hidden.shape[1]),
        "terms": dict(zip(BLOCKS, map(len, model.vocabulary.blocks), strict=True)),
        **located,
    }
