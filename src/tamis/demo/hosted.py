"""The demo where something else decides who may see it: in a Space, or as `python app.py` in its folder."""

from __future__ import annotations

from pathlib import Path

from tamis.demo.inputs import read_examples
from tamis.demo.page import Demo, build, look
from tamis.ml.model import load

MODEL = "model"
"""The folder of the artifact, within that of the Space."""

EXAMPLES = "examples.jsonl"
"""Texts or chats to start from, where the Space has them."""


def launch(folder: Path) -> None:
    """Show the model of a Space's folder until the process is told to stop.

    Raises:
        ModelError: it is damaged, or does not compute as it did.
        DataError: the examples cannot be read.
        MissingExtra: Gradio is not installed.
    """
    given = folder / EXAMPLES
    examples = read_examples(given) if given.is_file() else ()
    build(Demo(load(folder / MODEL), examples)).launch(share=False, **look())
