"""Configurations of strangers: what they may ask for, before any memory is taken or a layer is made for it.

It knows the names that transformers gives to sizes, not what they are sizes of; nor torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from tamis.ml.untrusted import damaged

MOST: Mapping[str, int] = {
    **dict.fromkeys(("num_hidden_layers", "num_layers", "n_layers", "n_layer", "num_decoder_layers"), 512),
    **dict.fromkeys(("num_attention_heads", "num_heads", "n_heads", "n_head", "num_key_value_heads"), 4_096),
    **dict.fromkeys(("hidden_size", "dim", "d_model", "n_embd", "embedding_size", "word_embed_proj_dim"), 1 << 17),
    **dict.fromkeys(("intermediate_size", "hidden_dim", "d_ff", "n_inner", "ffn_dim", "head_dim"), 1 << 20),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "type_vocab_size"), 1 << 16),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "max_seq_len", "vocab_size"), 1 << 24),
}
"""The most that a configuration may say: several times what the largest models have."""

MOST_PARTS, PARTS = 512, re.compile(r"(layers?|blocks?|depths?)$|block_sizes")
"""The most of what has a name like these, in one number and as entries of a list: each is made one after another."""

COUNTS = re.compile(r"block_sizes|depths?$")
"""Lists of counts, which add up."""

ANY, LARGEST = 1 << 16, 1 << 32
"""The most of what has another name; and of what has one like the following, none of which is counted through."""

NOT_COUNTED = re.compile(
    r"theta|seed|length|window|position|context|(^|_)(id|ids|index|size|base|tokens|max|numel|vocab|offset|floor)($|_)"
)

IGNORED = ("id2label", "label2id", "num_labels", "problem_type", "transformers_weights")
"""Of a head that is made anew, and of files: the weights' are known."""

MOST_TOKENS, MOST_WINDOWS = 1 << 17, 1 << 10
"""Of an artifact: tokens of a sequence, and sequences of an input."""

ARCHITECTURE = {
    "max_length": (1, MOST_TOKENS),
    "windows": (1, MOST_WINDOWS),
    "pad_id": (0, MOST["vocab_size"]),
    "empty_id": (0, MOST["vocab_size"]),
}
"""Whole numbers that a manifest has of an encoder: the least, and the most."""


def refuse_configuration(config: Mapping[str, object], path: Path) -> None:
    """Do nothing where a config.json asks for what may be.

    Raises:
        DamagedArtifact: it does not; the message names the key and the limit.
    """
    for place, name, value in _values(config):
        most = _most(name)
        if isinstance(value, list):
            value, place = len(value), f"the length of {place}"
        elif not isinstance(value, int) or isinstance(value, bool):
            continue
        if not -LARGEST <= value <= most or (name in MOST and value < 0):
            raise damaged(path, f"{place} is {_shown(value)}, and {most:,} is the most that is allowed")
    for place, name, value in _values(config):
        if isinstance(value, list) and COUNTS.search(name):
            count = sum(each for each in value if isinstance(each, int))
            if count > MOST_PARTS:
                raise damaged(path, f"{place} is {count:,} in all, and {MOST_PARTS:,} is the most that is allowed")


def refuse_architecture(facts: Mapping[str, object], path: Path) -> None:
    """Do nothing where a manifest says of its architecture what may be.

    Raises:
        DamagedArtifact: it does not; the message names the key and the limits.
    """
    for name, (least, most) in ARCHITECTURE.items():
        value = _whole(facts.get(name))
        if value is None:
            raise damaged(path, f"architecture.{name} is no whole number")
        if not least <= value <= most:
            raise damaged(path, f"architecture.{name} is {_shown(value)}, and {least:,} to {most:,} is allowed")


def allowed(facts: Mapping[str, object], name: str) -> int | None:
    """Return a number that a manifest has of its architecture; None where it is none, or more or less than may be."""
    value, (least, most) = _whole(facts.get(name)), ARCHITECTURE[name]
    return None if value is None or not least <= value <= most else value


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _most(name: str) -> int:
    if name in MOST:
        return MOST[name]
    if PARTS.search(name):
        return MOST_PARTS
    return LARGEST if NOT_COUNTED.search(name) else ANY


def _values(value: object, place: str = "", name: str = "") -> Iterator[tuple[str, str, object]]:
    """All values, however deep: where each stands, its own name, itself."""
    yield place, name, value
    if isinstance(value, Mapping):
        for key, one in value.items():
            if key not in IGNORED:
                yield from _values(one, f"{place}.{key}" if place else str(key), str(key))
    elif isinstance(value, list):
        for one in value:
            yield from _values(one, place, name)


def _shown(value: int) -> str:
    """A number as a message has it: one of a million digits is not written out."""
    return f"{value:,}" if abs(value) < 10**15 else "a number of more than 15 digits"
