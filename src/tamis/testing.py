"""Doubles for tests, those of programs that use Tamis too: small, quick, offline. Nothing in Tamis imports it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

DIMENSIONS = 8

WORDS = (
    "where is my please refund the now how do i change thank you for it fine "
    "parcel package courier box delivery van card invoice bank price fee statement "
    "password email login profile username settings"
)
"""The words that the tiny base model knows, unless others are given."""


def tiny_base(folder: str | Path, words: Sequence[str] = tuple(WORDS.split()), *, dimensions: int = DIMENSIONS) -> Path:
    """Write a base model of a few words, in the format of model2vec, and return its folder: `train(..., base=str(it))`.

    It trains in milliseconds. The same words give the same bytes.

    Args:
        folder: where to; it must not exist yet.
        words: the words that it knows, lower case; it also knows full stop and question mark. Repeated ones count once.
        dimensions: of its embeddings, which are random.
    """
    import numpy as np
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.normalizers import Lowercase
    from tokenizers.pre_tokenizers import Whitespace

    from tamis.ml.tensors import write_tensors

    vocabulary = {word: at for at, word in enumerate(dict.fromkeys(["[UNK]", *words, ".", "?"]))}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Whitespace()
    place = Path(folder)
    place.mkdir(parents=True)
    tokenizer.save(str(place / "tokenizer.json"))
    matrix = np.random.default_rng(7).standard_normal((len(vocabulary), dimensions)).astype(np.float16)
    write_tensors(place / "model.safetensors", {"embeddings": matrix})
    return place
