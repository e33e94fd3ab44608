"""Static base models: a tokenizer and a matrix with a row a token, from a package's files or a folder.

It does not know training, nor artifacts, nor where folders come from.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tamis.errors import UnknownBaseModel
from tamis.ml.cards import BaseModelCard
from tamis.ml.hub import Place, front_matter
from tamis.ml.tensors import Tensor, parse_tensors
from tamis.ml.tokenizer_check import open_tokenizer
from tamis.ml.untrusted import damaged, map_file, parse_object

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True, slots=True, eq=False)
class StaticBase:
    """A loaded static base model.

    `matrix` is (n_tokens, dimensions) float16 or float32, a row a token id with the token's weight in it; a read-only
    view of the file's memory map where that can be. `tokenizer_json` is for `tokenizers.Tokenizer.from_buffer`, without
    truncation and padding. Tokens of `unknown_id` have no meaning and are to be left out. `normalize` says that the
    base was made for means of length 1.
    """

    card: BaseModelCard
    matrix: NDArray[Any]
    tokenizer_json: bytes
    unknown_id: int | None = None
    normalize: bool = False

    def facts(self) -> dict[str, object]:
        """Return what tells it from any other base model: its card, and hashes of what it learnt."""
        matrix = np.ascontiguousarray(self.matrix).reshape(-1).view(np.uint8)
        return {
            "card": self.card.model_dump(),
            "tokenizer": hashlib.sha256(self.tokenizer_json).hexdigest(),
            "matrix": hashlib.sha256(matrix.data).hexdigest(),
        }


MAX_NUMBERS = 1 << 30
"""Numbers that a matrix may grow to: 4 GB of float32."""

_TENSORS, _TOKENIZER = "model.safetensors", "tokenizer.json"
_LAYOUTS = ("", "0_StaticEmbedding")  # model2vec and newer sentence-transformers; older sentence-transformers
_MATRIX_NAMES = ("embeddings", "embedding.weight")
PATTERNS = tuple(f"{inner}/{name}".lstrip("/") for inner in _LAYOUTS for name in (_TENSORS, _TOKENIZER))
"""The files of a repository that are needed."""


def load_packaged(card: BaseModelCard) -> StaticBase:
    """Read the files of the package wordllama, which is not imported: it would bring an HTTP client along.

    Raises:
        UnknownBaseModel: the package is not installed.
    """
    spec = find_spec("wordllama")
    places = list(spec.submodule_search_locations or ()) if spec else []
    if not places:
        raise UnknownBaseModel(
            f"The base model {card.id!r} is in the package wordllama, which is not installed: pip install wordllama",
            name=card.id,
        )
    tensors = Path(places[0], "weights", "l2_supercat_256.safetensors")
    tokenizer = Path(places[0], "tokenizers", "l2_supercat_tokenizer_config.json")
    card = card.model_copy(update={"revision": f"wordllama {version('wordllama')}"})
    return _load_files(card, tensors, tokenizer)


def load_place(place: Place) -> StaticBase:
    """Read a folder.

    Raises:
        UnknownBaseModel: it is no static base model.
        DamagedArtifact: its files are damaged or do not fit each other.
        UnsupportedArtifact: its tensors are of a type that numpy does not have.
    """
    layout = _layout(place.folder)
    if layout is None:
        raise UnknownBaseModel(f"{place.folder} is no base model: {_what_is_missing(place.folder)}", name=place.name)
    tensors, tokenizer = layout
    licence, languages = front_matter(place.folder / "README.md")
    raw = map_file(tensors, follow_links=True)
    card = BaseModelCard(
        id=place.name,
        title=f"{place.name}, a static base model",
        dimensions=0,  # known once the matrix is read
        vocabulary=0,
        languages=languages,
        licence=licence,
        size_mb=round(sum(path.stat().st_size for path in layout) / 1e6, 1),
        source=place.source,
        revision=place.revision or f"sha256:{hashlib.sha256(raw.data).hexdigest()}",
    )
    return _load_files(card, tensors, tokenizer, normalize=_normalizes(place.folder))


def is_embedding(folder: Path) -> bool:
    """Whether the folder is one of sentence-transformers with nothing but a StaticEmbedding."""
    modules = folder / "modules.json"
    return modules.is_file() and b"StaticEmbedding" in map_file(modules, limit=1 << 20, follow_links=True).tobytes()


def is_whole(folder: Path) -> bool:
    """Whether the folder has the files of a static base model."""
    return _layout(folder) is not None


def _layout(folder: Path) -> tuple[Path, Path] | None:
    for inner in _LAYOUTS:
        tensors, tokenizer = folder / inner / _TENSORS, folder / inner / _TOKENIZER
        if tensors.is_file() and tokenizer.is_file():
            return tensors, tokenizer
    return None


def _what_is_missing(folder: Path) -> str:
    if any(folder.glob("*.bin")) and not any(folder.glob("*.safetensors")):
        return "its weights are pickled (.bin), which can run code when read. Ask for a safetensors version of it."
    return (
        f"it needs {_TENSORS} and {_TOKENIZER}, as model2vec's save_pretrained writes them, or the config.json, "
        "*.safetensors and tokenizer.json of an encoder, as that of transformers does."
    )


def _load_files(card: BaseModelCard, tensors: Path, tokenizer: Path, *, normalize: bool = False) -> StaticBase:
    stored = parse_tensors(map_file(tensors, follow_links=True), tensors)
    matrix = _matrix(stored, tensors, card.id)
    tokenizer_json, unknown_id, highest = _tokenizer(tokenizer)
    if highest >= len(matrix):
        raise damaged(tokenizer, f"it knows token {highest:,}, and {tensors.name} has {len(matrix):,} rows")
    size = {"vocabulary": matrix.shape[0], "dimensions": matrix.shape[1]}
    return StaticBase(card.model_copy(update=size), matrix, tokenizer_json, unknown_id, normalize)


def _matrix(stored: dict[str, Tensor], path: Path, name: str) -> Tensor:
    """The matrix with a row a token: (n_tokens, dimensions)."""
    matrix = next((stored[key] for key in _MATRIX_NAMES if key in stored), None)
    if matrix is None:
        raise UnknownBaseModel(
            f"{path} is no static base model: it has no tensor named {' or '.join(_MATRIX_NAMES)}.", name=name
        )
    if matrix.ndim != 2 or 0 in matrix.shape or matrix.dtype.kind not in "fi":
        raise damaged(path, f"its matrix is of shape {matrix.shape} and type {matrix.dtype}")
    with np.errstate(over="ignore", invalid="ignore"):  # what becomes infinite is refused below
        matrix = _mapped(_floats(matrix), stored.get("mapping"), path)
        matrix = _weighted(matrix, stored.get("weights"), path)
        finite = np.isfinite(matrix.sum(dtype=np.float64))
    if not finite:
        raise damaged(path, "its matrix holds NaN or infinities")
    return matrix


def _floats(matrix: Tensor) -> Tensor:
    if matrix.dtype.kind == "i":  # quantised to -127..127, the scale is not stored
        return matrix.astype(np.float32) / np.float32(127)
    return matrix if matrix.dtype in (np.float16, np.float32) else matrix.astype(np.float32)


def _mapped(matrix: Tensor, mapping: Tensor | None, path: Path) -> Tensor:
    """A row a token where several tokens share one: `mapping` is (n_tokens,)."""
    if mapping is None:
        return matrix
    if mapping.ndim != 1 or mapping.dtype.kind not in "iu" or not mapping.size:
        raise damaged(path, "its mapping is not one row a token")
    if mapping.min() < 0 or mapping.max() >= len(matrix):
        raise damaged(path, "its mapping points to rows that are not there")
    if mapping.size * matrix.shape[1] > MAX_NUMBERS:
        raise damaged(path, f"its matrix would have more than {MAX_NUMBERS:,} numbers")
    return matrix[mapping]


def _weighted(matrix: Tensor, weights: Tensor | None, path: Path) -> Tensor:
    """The rows times their weights, (n_tokens,): the mean of these is what model2vec computes."""
    if weights is None:
        return matrix
    if weights.shape != (len(matrix),) or weights.dtype.kind != "f":
        raise damaged(path, "its weights are not one a token")
    return matrix.astype(np.float32) * weights[:, None].astype(np.float32)


def _tokenizer(path: Path) -> tuple[bytes, int | None, int]:
    """The tokenizer without truncation and padding, the id of its unknown token, and its highest id."""
    tokenizer, raw = open_tokenizer(path)
    if tokenizer.truncation is not None or tokenizer.padding is not None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        raw = tokenizer.to_str().encode("utf-8")
    return raw, _unknown_id(tokenizer, raw, path), max(tokenizer.get_vocab().values(), default=-1)


def _unknown_id(tokenizer: Tokenizer, raw: bytes, path: Path) -> int | None:
    model = tokenizer.model
    if hasattr(model, "unk_token"):
        return tokenizer.token_to_id(model.unk_token) if model.unk_token else None
    described = parse_object(raw, path).get("model")  # Unigram tells it only in its JSON
    unknown = described.get("unk_id") if isinstance(described, dict) else None
    return unknown if isinstance(unknown, int) else None


def _normalizes(folder: Path) -> bool:
    """Whether the base was made for means of length 1: model2vec's flag, or sentence-transformers' last module."""
    config, modules = folder / "config.json", folder / "modules.json"
    if config.is_file():
        flag = parse_object(map_file(config, limit=1 << 20, follow_links=True).tobytes(), config).get("normalize")
        if isinstance(flag, bool):
            return flag
    return modules.is_file() and b".Normalize" in map_file(modules, limit=1 << 20, follow_links=True).tobytes()
