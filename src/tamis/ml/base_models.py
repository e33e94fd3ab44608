"""Base models: what a job starts from. Cards that describe them, and the loading of static ones.

A static base is a tokenizer and a matrix with a row a token. It does not know training, nor artifacts.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from tamis.errors import UnknownBaseModel
from tamis.extras import require
from tamis.ml.tensors import Tensor, parse_tensors
from tamis.ml.tokenizer_check import refuse_hostile
from tamis.ml.untrusted import damaged, map_file, parse_object

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class BaseModelCard(BaseModel):
    """What a base model is and where it comes from."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    id: str
    tier: Literal["static", "encoder"] = "static"
    title: str
    dimensions: int
    vocabulary: int
    languages: tuple[str, ...] = ()  # ISO 639 codes; empty: not known
    licence: str = "unknown"
    size_mb: float
    source: str
    revision: str | None = None  # what pins it: a commit, a package's version, or sha256:… of the matrix
    notes: str = ""
    tuned: dict[str, float] = {}  # the base model's own tuned rates, by hyperparameter


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


STATIC_EN = BaseModelCard(
    id="static-en",
    title="English token embeddings of the package wordllama (l2_supercat, 256 dimensions)",
    dimensions=256,
    vocabulary=32_000,
    languages=("en",),
    licence="MIT",
    size_mb=18.2,
    source="the package wordllama, https://github.com/dleemiller/WordLlama",
    notes=(
        "Its authors trained it from the token embeddings of several language models that share the tokenizer of "
        "LLaMA 2 (LLaMA 2 70B and phi 3 medium among them) and publish it under MIT; those models have licences of "
        "their own. Other languages fall back to pieces of words and bytes."
    ),
)

CARDS: dict[str, BaseModelCard] = {card.id: card for card in (STATIC_EN,)}
"""The base models that need no path and no download, by id."""

MAX_TOKENIZER = 128 << 20
MAX_NUMBERS = 1 << 30
"""Numbers that a matrix may grow to: 4 GB of float32."""

_TENSORS, _TOKENIZER = "model.safetensors", "tokenizer.json"
_LAYOUTS = ("", "0_StaticEmbedding")  # model2vec and newer sentence-transformers; older sentence-transformers
_MATRIX_NAMES = ("embeddings", "embedding.weight")
_CONFIGS = ("config.json", "modules.json", "README.md")
_REPOSITORY = re.compile(r"(?P<id>\w[\w.-]*/\w[\w.-]*)(@(?P<revision>[\w./-]+))?", re.ASCII)


def load_base(name: str) -> StaticBase:
    """Load a static base model.

    Args:
        name: an id in `CARDS`, a folder in the format of model2vec or of sentence-transformers' StaticEmbedding, or a
            repository of such files on the Hugging Face hub: `owner/name`, or `owner/name@revision`. What is in the
            local cache of the hub is taken from there.

    Raises:
        UnknownBaseModel: there is none of that name, or it is not a static base model.
        DamagedArtifact: its files are damaged or do not fit each other.
        UnsupportedArtifact: its tensors are of a type that numpy does not have.
        MissingExtra: it is on the hub, and the `data` extra is not installed.
    """
    if name in CARDS:
        return _load_packaged(CARDS[name])
    if os.path.isdir(name):
        return _load_folder(Path(name), name=Path(name).resolve().name, source="a local folder")
    if match := _REPOSITORY.fullmatch(name):
        folder = _fetch(match["id"], match["revision"])
        source = f"https://huggingface.co/{match['id']}"
        return _load_folder(folder, name=match["id"], source=source, revision=folder.name)
    raise UnknownBaseModel(
        f"There is no base model {name!r}: it is not built in ({', '.join(CARDS)}), not a folder here, and not of the "
        "form owner/name of a repository on the Hugging Face hub.",
        name=name,
    )


def _load_packaged(card: BaseModelCard) -> StaticBase:
    """Read the files of the package wordllama, which is not imported: it would bring an HTTP client along."""
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


def _load_folder(folder: Path, *, name: str, source: str, revision: str | None = None) -> StaticBase:
    layout = _layout(folder)
    if layout is None:
        raise UnknownBaseModel(f"{folder} is no static base model: {_what_is_missing(folder)}", name=name)
    tensors, tokenizer = layout
    licence, languages = _front_matter(folder / "README.md")
    raw = map_file(tensors, follow_links=True)
    card = BaseModelCard(
        id=name,
        title=f"{name}, a static base model",
        dimensions=0,  # known once the matrix is read
        vocabulary=0,
        languages=languages,
        licence=licence,
        size_mb=round(sum(path.stat().st_size for path in layout) / 1e6, 1),
        source=source,
        revision=revision or f"sha256:{hashlib.sha256(raw.data).hexdigest()}",
    )
    return _load_files(card, tensors, tokenizer, normalize=_normalizes(folder))


def _layout(folder: Path) -> tuple[Path, Path] | None:
    for inner in _LAYOUTS:
        tensors, tokenizer = folder / inner / _TENSORS, folder / inner / _TOKENIZER
        if tensors.is_file() and tokenizer.is_file():
            return tensors, tokenizer
    return None


def _what_is_missing(folder: Path) -> str:
    if any(folder.glob("*.bin")) and not any(folder.glob("*.safetensors")):
        return "its weights are pickled (.bin), which can run code when read. Ask for a safetensors version of it."
    return f"it needs {_TENSORS} and {_TOKENIZER}, as model2vec's save_pretrained writes them."


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
    from tokenizers import Tokenizer

    raw = map_file(path, limit=MAX_TOKENIZER, follow_links=True).tobytes()
    try:
        tokenizer = Tokenizer.from_buffer(raw)
        refuse_hostile(tokenizer)
    except Exception as error:  # the package raises nothing narrower
        raise damaged(path, f"it is not a tokenizer that can be used ({error})") from error
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


def _front_matter(path: Path) -> tuple[str, tuple[str, ...]]:
    """The licence and the languages that a README names in its front matter."""
    if not path.is_file():
        return "unknown", ()
    text = map_file(path, limit=4 << 20, follow_links=True).tobytes().decode("utf-8", "replace")
    head = text.split("\n---", 1)[0] if text.startswith("---\n") else ""
    licence = re.search(r"^license:[ \t]*['\"]?([\w.-]+)", head, re.MULTILINE)
    languages = re.search(r"^language:(.*(?:\n[ \t]*-.*)*)", head, re.MULTILINE)
    codes = re.findall(r"[a-z]{2,3}\b", languages[1]) if languages else []
    return licence[1] if licence else "unknown", tuple(codes)


def _fetch(repository: str, revision: str | None) -> Path:
    """The folder of a hub repository: from the local cache if it is whole there, else downloaded."""
    hub = require("huggingface_hub", "data")
    wanted = [f"{inner}/{name}".lstrip("/") for inner in _LAYOUTS for name in (_TENSORS, _TOKENIZER)]
    download = partial(hub.snapshot_download, repository, revision=revision, allow_patterns=[*wanted, *_CONFIGS])
    try:
        folder = Path(download(local_files_only=True))
        if _layout(folder):
            return folder
    except (OSError, ValueError):  # not in the cache
        pass
    try:
        return Path(download())
    except Exception as error:  # the HTTP client's own errors, which differ between versions of the package
        trouble = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UnknownBaseModel(
            f"There is no base model {repository!r}: no such folder here, nothing in the Hugging Face cache, and it "
            f"cannot be fetched from the hub ({trouble}). Without a network, give a folder with {_TENSORS} and "
            f"{_TOKENIZER}, or a built-in base model: {', '.join(CARDS)}.",
            name=repository,
        ) from error
