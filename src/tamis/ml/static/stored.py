"""A static model from an artifact: the way back from `tensors_of` and `architecture_of`.

Weights stay views of the artifact's memory map. Whatever could make prediction crash or answer wrongly is refused
here: shapes and types, places outside a table, hashes out of order, numbers that are not finite.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from tamis.errors import DamagedArtifact
from tamis.ml.artifact import MANIFEST, TENSORS, TOKENIZER, Artifact
from tamis.ml.static.lexical import BLOCKS, Terms, Vocabulary
from tamis.ml.static.model import Centring, Semantics, StaticModel
from tamis.ml.static.nearness import Centres, Nearness
from tamis.ml.static.network import Network
from tamis.ml.static.tokens import RunTokenizer
from tamis.ml.untrusted import damaged, misfit

Count = Annotated[int, Field(ge=0, lt=1 << 40)]
Number = Annotated[float, Field(ge=-1e6, le=1e6)]

BITS_OF_FLOAT16_EXPONENT = 0x7C00
CHECKED_AT_ONCE = 1 << 22


class _Nearness(BaseModel):
    """What `Nearness.facts` says, checked; `usual` has the targets that have centres."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    base_scale: Annotated[float, Field(ge=0, le=1e6)]
    hidden_scale: Annotated[float, Field(ge=0, le=1e6)]
    usual: dict[str, Annotated[float, Field(ge=0, le=1e6)]]


class _Architecture(BaseModel):
    """What `architecture_of` says, checked."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    fields: Literal[1, 3]
    pooled_scale: Number
    embedding_scale: Number
    unknown_idf: dict[str, Number]
    private_columns: Count
    unknown_token: Count | None
    dimensions: Annotated[int, Field(ge=1)]
    hidden: Annotated[int, Field(ge=1)]
    terms: dict[str, Count]
    nearness: _Nearness | None = None

    @field_validator("unknown_idf", "terms")
    @classmethod
    def _one_a_block(cls, given: dict[str, float]) -> dict[str, float]:
        if given.keys() != set(BLOCKS):
            raise ValueError(f"needs one entry for each of {', '.join(BLOCKS)}")
        return given

    @property
    def network_inputs(self) -> int:
        """What the network sees of an input: an average a field, and one of the opening."""
        return (self.fields + 1) * self.dimensions

    @property
    def linear_rows(self) -> int:
        """Columns of the linear part's design: blocks without terms have one, too."""
        lexical = sum(max(self.terms[block], 1) for block in BLOCKS) + max(self.private_columns, 1)
        return lexical + self.fields * self.dimensions + 1


def restore(artifact: Artifact) -> StaticModel:
    """Return the model that the artifact holds.

    Raises:
        DamagedArtifact: its tensors, its tokenizer and its manifest do not fit each other.
    """
    shape, tensors = _architecture(artifact), _Tensors(artifact)
    columns, n_labels = _columns(artifact)
    n_tokens = artifact.manifest.base_model.vocabulary
    matrix = tensors.floats("base.embeddings", (n_tokens, shape.dimensions), ("f2", "f4"))
    vocabulary = _vocabulary(tensors, shape)
    weights = tensors.floats("lexical.weights", (shape.linear_rows, n_labels))
    centring = Centring(tensors.floats("pooled.centre", (shape.dimensions,)), shape.pooled_scale)
    tuned_tokens = tensors.places("network.tokens", n_tokens)
    network = _network(tensors, shape, len(tuned_tokens), n_labels)
    nearness = _centres(tensors, shape, artifact)
    tensors.refuse_others()
    return StaticModel(
        semantics=Semantics(matrix, _tokenizer(artifact, shape.unknown_token, n_tokens)),
        vocabulary=vocabulary,
        centring=centring,
        n_fields=shape.fields,
        weights=weights,
        tuned_tokens=tuned_tokens,
        network=network,
        embedding_scale=shape.embedding_scale,
        columns=columns,
        nearness=nearness,
    )


def _architecture(artifact: Artifact) -> _Architecture:
    try:
        return _Architecture.model_validate(artifact.manifest.architecture)
    except ValidationError as error:
        raise misfit(artifact.folder / MANIFEST, error, "architecture") from error


def _columns(artifact: Artifact) -> tuple[dict[str, slice], int]:
    columns, at = dict[str, slice](), 0
    for target in artifact.manifest.targets:
        wide = len(target.computed.labels)
        columns[target.name] = slice(at, at + wide)
        at += wide
    return columns, at


def _vocabulary(tensors: _Tensors, shape: _Architecture) -> Vocabulary:
    characters, words, pairs = (_terms(tensors, shape, block) for block in BLOCKS)
    return Vocabulary(characters, words, pairs, shape.private_columns)


def _terms(tensors: _Tensors, shape: _Architecture, block: str) -> Terms:
    singles = tensors.hashes(f"lexical.{block}.single_hashes", None)
    return Terms(
        hashes=tensors.hashes(f"lexical.{block}.hashes", shape.terms[block]),
        idf=tensors.floats(f"lexical.{block}.idf", (shape.terms[block],)),
        unknown=shape.unknown_idf[block],
        single_hashes=singles,
        single_owners=tensors.owners(f"lexical.{block}.single_owners", len(singles), shape.private_columns),
        single_shares=tensors.floats(f"lexical.{block}.single_shares", (len(singles),)),
    )


def _network(tensors: _Tensors, shape: _Architecture, n_tuned: int, n_labels: int) -> Network:
    return Network(
        embeddings=tensors.floats("network.embeddings", (n_tuned, shape.dimensions)),
        hidden=tensors.floats("network.hidden", (shape.network_inputs, shape.hidden)),
        hidden_bias=tensors.floats("network.hidden_bias", (shape.hidden,)),
        heads=tensors.floats("network.heads", (shape.hidden, n_labels)),
        head_bias=tensors.floats("network.head_bias", (n_labels,)),
    )


def _centres(tensors: _Tensors, shape: _Architecture, artifact: Artifact) -> Nearness | None:
    """Return where training rows lie, of models that keep it."""
    known = shape.nearness
    if known is None:
        return None
    width, found = shape.fields * shape.dimensions + shape.hidden, {}
    for place, target in enumerate(artifact.manifest.targets):
        if target.name in known.usual:
            starts = tensors.starts(f"centres.{place}.starts", len(target.computed.labels))
            points = tensors.floats(f"centres.{place}.points", (int(starts[-1]), width), ("f2",))
            found[target.name] = Centres.of(points.astype(np.float32), starts, known.usual[target.name])
    if found.keys() != known.usual.keys():
        raise damaged(artifact.folder / MANIFEST, "architecture.nearness.usual: names a target that is not there")
    return Nearness(known.base_scale, known.hidden_scale, found)


def _tokenizer(artifact: Artifact, unknown_id: int | None, n_tokens: int) -> RunTokenizer:
    path = artifact.folder / TOKENIZER
    try:
        tokenizer = RunTokenizer(artifact.tokenizer_json, unknown_id)
    except Exception as error:  # the package raises nothing narrower
        raise damaged(path, f"it is not a tokenizer ({error})") from error
    if tokenizer.highest_id >= n_tokens:
        raise damaged(path, f"it knows token {tokenizer.highest_id:,}, and the model has {n_tokens:,} embeddings")
    if tokenizer.changes_lengths:
        raise damaged(path, "it cuts or pads texts, which a model's tokenizer must not")
    return tokenizer


class _Tensors:
    """The artifact's tensors, each checked as it is taken."""

    def __init__(self, artifact: Artifact) -> None:
        self._path: Path = artifact.folder / TENSORS
        self._left = dict(artifact.tensors)

    def floats(self, name: str, shape: tuple[int, ...], dtypes: tuple[str, ...] = ("f4",)) -> NDArray[Any]:
        array = self._take(name, dtypes, len(shape))
        if array.shape != shape:
            raise self._wrong(name, f"is of shape {array.shape}, and {shape} is expected")
        if not _all_finite(array):
            raise self._wrong(name, "holds NaN or infinities")
        return array

    def hashes(self, name: str, count: int | None) -> NDArray[np.uint64]:
        array = self._take(name, ("u8",), 1)
        if count is not None and len(array) != count:
            raise self._wrong(name, f"has {len(array):,} entries, and {count:,} are expected")
        if not (array[1:] > array[:-1]).all():
            raise self._wrong(name, "is not in order")
        return array

    def places(self, name: str, size: int) -> NDArray[np.int64]:
        """Different places in a table of this size, in order."""
        array = self._take(name, ("i8",), 1)
        if len(array) and (array[0] < 0 or array[-1] >= size or not (array[1:] > array[:-1]).all()):
            raise self._wrong(name, "is not in order, or points outside the vocabulary")
        return array

    def starts(self, name: str, count: int) -> NDArray[np.int64]:
        """Where each of so many parts begins, and where the last one ends."""
        array = self._take(name, ("i8",), 1)
        if len(array) != count + 1 or array[0] != 0 or (array[1:] < array[:-1]).any():
            raise self._wrong(name, "is not in order, or has another length than the labels")
        return array

    def owners(self, name: str, count: int, size: int) -> NDArray[np.int32]:
        array = self._take(name, ("i4",), 1)
        if len(array) != count or (count and (array.min() < 0 or array.max() >= size)):
            raise self._wrong(name, "has another length than its hashes, or points to columns that are not there")
        return array

    def refuse_others(self) -> None:
        if self._left:
            raise self._wrong(min(self._left), "is not one of a static model")

    def _take(self, name: str, dtypes: tuple[str, ...], rank: int) -> NDArray[Any]:
        if name not in self._left:
            raise self._wrong(name, "is missing")
        array = self._left.pop(name)
        if array.ndim != rank or array.dtype.newbyteorder("=").str[1:] not in dtypes:
            raise self._wrong(name, f"has {array.ndim} dimension(s) of type {array.dtype}")
        return array

    def _wrong(self, name: str, cause: str) -> DamagedArtifact:
        return damaged(self._path, f"its tensor {name[:80]!r} {cause}")


def _all_finite(array: NDArray[Any]) -> bool:
    """Whether no number is NaN or infinite; in parts, so that nothing as large as a matrix is made."""
    flat = array.reshape(-1)
    if array.dtype.itemsize == 2:
        flat = flat.view(np.uint16)
    for start in range(0, len(flat), CHECKED_AT_ONCE):
        part = flat[start : start + CHECKED_AT_ONCE]
        if part.dtype == np.uint16:
            if int((part & BITS_OF_FLOAT16_EXPONENT).max()) == BITS_OF_FLOAT16_EXPONENT:
                return False
        elif not np.isfinite(part).all():
            return False
    return True
