"""The names of an encoder's files in an artifact."""

from __future__ import annotations

from pathlib import Path

MODEL = "model.onnx"
"""The graph that is served."""

DATA = "model.onnx.data"
"""Its weights."""

STATIC_TENSORS, STATIC_TOKENIZER = "static.safetensors", "static-tokenizer.json"
"""The static model beside the network, where there is one."""

OF_STATIC = frozenset((STATIC_TENSORS, STATIC_TOKENIZER))

ENSEMBLE = "ensemble"
"""What a manifest's architecture calls the static model beside the network."""

FILES = (
    *(MODEL, DATA, "model.safetensors", "config.json", STATIC_TENSORS, STATIC_TOKENIZER),
    *("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"),
)
"""All there may be."""


def files_in(folder: Path) -> dict[str, Path]:
    """Return those that are there, by name."""
    return {name: folder / name for name in FILES if (folder / name).is_file()}
