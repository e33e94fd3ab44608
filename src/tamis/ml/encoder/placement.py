"""The names of an encoder's files in an artifact."""

from __future__ import annotations

from pathlib import Path

MODEL = "model.onnx"
"""The graph that is served."""

DATA = "model.onnx.data"
"""Its weights."""

WORDS = "words.safetensors"
"""What tokens alone tell, where the model was trained with that; in the graph, too."""

FILES = (
    *(MODEL, DATA, "model.safetensors", WORDS, "config.json"),
    *("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"),
)
"""All there may be."""


def files_in(folder: Path) -> dict[str, Path]:
    """Return those that are there, by name."""
    return {name: folder / name for name in FILES if (folder / name).is_file()}
