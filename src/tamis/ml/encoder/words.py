"""What the tokens alone tell, beside what a network makes of them: a linear map from a text's tokens to the labels.

A network whose lower layers stay as they are forgets which words exactly a text has; where rows are many, these tell
much, and both together are right more often than either ("wide and deep", Cheng et al. 2016). The map is convex, has no
seed, and is fitted in seconds. It does not know how the network is trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import nn
from torch.nn import functional

from tamis.data.dataset import Dataset, columns_of
from tamis.errors import DamagedArtifact
from tamis.ml.encoder.inputs import Encoded
from tamis.ml.encoder.losses import prior_log_odds
from tamis.ml.progress import Check
from tamis.ml.static.lbfgs import Piece
from tamis.ml.static.linear import fit_linear
from tamis.ml.static.losses import beyond, loss_of
from tamis.ml.static.sparse import Matrix, counts, squares_of
from tamis.ml.tensors import Tensor, read_tensors, write_tensors

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

STRENGTH, ITERATIONS = 8.0, 40
"""Of the data against the penalty; steps of L-BFGS."""

SHARE = 0.6
"""Of its logits that are added to the network's (`docs/log.md`)."""

MOST_WEIGHTS = 6_000_000
"""Tokens x labels: of more tokens those are left out that the fewest texts have."""

TINY = 1e-12
PLACES, SQUARES, TABLE = "places", "squares", "table"
PREFIX = "words alone: "


class Words(nn.Module):
    """Logits of sequences from their tokens: the mean direction of what each token says.

    Attributes:
        places: (vocabulary,) a token's row in the table; 0 for one that says nothing.
        squares: (rows,) the squared weight of each; of row 0 it is 0.
        table: (rows, labels) what each says, with its weight in it; row 0 is 0.
    """

    places: torch.Tensor
    squares: torch.Tensor
    table: torch.Tensor

    def __init__(self, places: Ints, squares: Floats, table: Floats) -> None:
        """Keep the arrays as they are."""
        super().__init__()
        self.register_buffer(PLACES, torch.from_numpy(np.array(places, dtype=np.int64)))
        self.register_buffer(SQUARES, torch.from_numpy(np.array(squares, dtype=np.float32)))
        self.register_buffer(TABLE, torch.from_numpy(np.array(table, dtype=np.float32)))

    @classmethod
    def of(cls, arrays: Mapping[str, Tensor]) -> Words:
        """Return what `arrays` gave."""
        return cls(*(arrays[PREFIX + name] for name in (PLACES, SQUARES, TABLE)))

    def arrays(self) -> dict[str, Tensor]:
        """Return its arrays, by names that no network has."""
        return {PREFIX + name: buffer.cpu().numpy() for name, buffer in self.named_buffers()}

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return (sequences, labels) of ids and their mask, both (sequences, tokens)."""
        rows = self.places[ids] * mask.to(torch.int64)
        length = self.squares[rows].sum(1, keepdim=True).clamp_min(TINY).sqrt()
        return functional.embedding(rows, self.table).sum(1) / length


class WithWords(nn.Module):
    """A network to whose logits those of its words are added."""

    def __init__(self, network: nn.Module, words: Words) -> None:
        """Keep both."""
        super().__init__()
        self.network, self.words = network, words

    @property
    def config(self) -> Any:  # noqa: ANN401  a third party's object
        """The network's."""
        return cast("Any", self.network).config

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Sum:
        """Return both logits, added up."""
        logits = cast("Any", self.network)(input_ids=input_ids, attention_mask=attention_mask).logits
        return Sum(logits + self.words(input_ids, attention_mask).to(logits))


@dataclass(frozen=True, slots=True, eq=False)
class Sum:
    """What a classifier of transformers gives: (sequences, labels) `logits`."""

    logits: torch.Tensor


def vocabulary_of(network: nn.Module) -> int:
    """Return how many tokens a classifier of transformers knows."""
    return int(cast("Any", network).config.get_text_config().vocab_size)


def without_words(network: nn.Module) -> nn.Module:
    """Return the classifier of transformers alone."""
    return network.network if isinstance(network, WithWords) else network


def fit_words(encoded: Encoded, data: Dataset, n_vocabulary: int, check: Check) -> Words:
    """Fit to some rows, each target by itself, what goes beyond how frequent labels are, which the network's head says.

    Rows that say nothing of a target, or weigh nothing, count for nothing.

    Args:
        encoded: the rows as tokens; what is said of an input is the mean over its sequences.
        data: the rows.
        n_vocabulary: tokens that there are.
        check: called many times.
    """
    n_labels = sum(len(target.labels) for target in data.targets)
    places, weights = _weighed(encoded, max(n_vocabulary, int(encoded.ids.max(initial=0)) + 1), n_labels)
    design = _Columns(_matrix(encoded, places, weights))
    table = np.zeros((len(weights), n_labels), dtype=np.float32)
    for name, columns in columns_of(data).items():
        truth = data.truth[name]
        loss = beyond(prior_log_odds(truth), loss_of(truth, 0.0, row_weights=data.weights), check)
        said = fit_linear(design, loss, truth.n_labels, strength=STRENGTH, iterations=ITERATIONS)
        table[:, columns] = np.float32(SHARE) * weights[:, None] * said
    return Words(places, weights**2, table)


def _weighed(encoded: Encoded, n_vocabulary: int, n_labels: int) -> tuple[Ints, Floats]:
    """Each token's row in the table, and each row's weight: the inverse document frequency.

    What every sequence has (marks of its beginning and end) tells nothing.
    """
    n_sequences = len(encoded.lengths)
    sequence = np.repeat(np.arange(n_sequences), encoded.lengths)
    present = counts(sequence, encoded.ids.astype(np.int64), (n_sequences, n_vocabulary))
    having = np.bincount(present.indices, minlength=n_vocabulary)
    telling = np.flatnonzero((having > 0) & (having < max(n_sequences, 2)))
    most = max(1, MOST_WEIGHTS // max(n_labels, 1))
    kept = np.sort(telling[np.argsort(-having[telling], kind="stable")[:most]])
    places = np.zeros(n_vocabulary, dtype=np.int64)
    places[kept] = np.arange(1, len(kept) + 1)
    weights = np.zeros(len(kept) + 1, dtype=np.float32)
    weights[1:] = np.log((1 + n_sequences) / (1 + having[kept])) + 1
    return places, weights


def _matrix(encoded: Encoded, places: Ints, weights: Floats) -> Matrix:
    """(inputs, rows of the table) what `Words` multiplies the table with, without the tokens' weights in the table."""
    rows = places[encoded.ids]
    sequence = np.repeat(np.arange(len(encoded.lengths)), encoded.lengths)
    squares = np.bincount(sequence, weights=weights[rows] ** 2, minlength=len(encoded.lengths))
    scale = (1 / np.sqrt(np.maximum(squares, TINY))).astype(np.float32)
    input_of = np.repeat(np.arange(len(encoded)), np.diff(encoded.first))
    share = (1 / np.diff(encoded.first))[input_of].astype(np.float32)
    values = weights[rows] * (scale * share)[sequence]
    shape = (len(encoded), len(weights))
    matrix = sparse.csr_array((values, (input_of[sequence].astype(np.int32), rows.astype(np.int32))), shape=shape)
    matrix.sum_duplicates()
    return matrix


@dataclass(frozen=True, slots=True, eq=False)
class _Columns:
    """A sparse matrix (inputs, columns) that weights are fitted by."""

    matrix: Matrix

    def __len__(self) -> int:
        return int(self.matrix.shape[0])

    @property
    def n_columns(self) -> int:
        return int(self.matrix.shape[1])

    def dot(self, weights: Floats) -> Floats:
        return np.asarray(self.matrix @ weights, dtype=np.float32)

    def transposed_dot(self, values: Floats) -> Floats:
        return np.asarray(self.matrix.T @ values, dtype=np.float32)

    def pieces(self) -> list[Piece]:
        return [Piece(slice(0, self.n_columns), self)]

    def squared(self) -> _Columns:
        return _Columns(squares_of(self.matrix))


def write_words(words: Words, path: Path) -> None:
    """Write them to a safetensors file."""
    write_tensors(path, {name.removeprefix(PREFIX): array for name, array in words.arrays().items()})


def read_words(path: Path, n_labels: int, n_vocabulary: int) -> Words:
    """Return what `write_words` wrote.

    Raises:
        DamagedArtifact: the file is not such a file, or does not fit the model.
    """
    found = read_tensors(path)
    if not _are_words(found, n_labels, n_vocabulary):
        raise DamagedArtifact(
            f"{path} does not hold what tokens say of {n_labels} labels: get a fresh copy of the model.", file=str(path)
        )
    return Words(found[PLACES], found[SQUARES], found[TABLE])


def _are_words(found: Mapping[str, Tensor], n_labels: int, n_vocabulary: int) -> bool:
    kinds = {PLACES: (1, np.dtype(np.int64)), SQUARES: (1, np.dtype(np.float32)), TABLE: (2, np.dtype(np.float32))}
    if {name: (each.ndim, each.dtype) for name, each in found.items()} != kinds:
        return False
    places, squares, table = found[PLACES], found[SQUARES], found[TABLE]
    if table.shape != (len(squares), n_labels) or len(places) < n_vocabulary:
        return False
    in_table = (places >= 0) & (places < len(squares))
    return bool(in_table.all() and np.isfinite(table).all() and np.isfinite(squares).all() and (squares >= 0).all())
