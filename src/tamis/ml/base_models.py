"""Base models: what a job starts from. Cards that describe them, and the loading of static ones.

A static base is a tokenizer and a matrix with a row a token. It does not know training, nor artifacts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict


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
