"""Two small models to show: one of texts with two targets, one of chats."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.naming import HOSTILE
from tamis.ml.model import Model
from tamis.ml.training import train
from tamis.testing import tiny_base

SAID = {
    "delivery": ["where is my parcel", "the box never came", "my delivery is late"],
    "payment": ["you charged my card twice", "the invoice is wrong", "please refund the fee"],
}


def rows(count: int = 60) -> list[dict]:
    """Rows of two targets: `topic` (one of 2) and `all` (any of 3, one with a hostile name)."""
    texts = [(topic, text) for topic, said in SAID.items() for text in said]
    return [
        {"text": f"{text} number {n}", "labels": {"topic": topic, "all": [topic, *([HOSTILE] if n % 2 else [])]}}
        for n in range(count // len(texts))
        for topic, text in texts
    ]


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory.mktemp("base") / "base")


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Model:
    """A stored model of texts; not to be changed."""
    return train(rows(), base=str(base), epochs=2, out=tmp_path_factory.mktemp("models") / "support")


@pytest.fixture(scope="session")
def chat_model(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Model:
    """A stored model of chats; not to be changed."""
    chats = [
        {
            "messages": [{"role": "user", "content": "hello"}, {"role": "user", "content": row["text"]}],
            "labels": {"topic": row["labels"]["topic"]},
        }
        for row in rows(30)
    ]
    return train(chats, base=str(base), epochs=2, out=tmp_path_factory.mktemp("models") / "chats")
