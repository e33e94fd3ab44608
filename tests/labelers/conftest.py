"""A small model for all of these tests, with a target of one label and one of any number."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tamis.ml.model import Model
from tamis.testing import tiny_base

SAID = {"delivery": "where is my parcel", "payment": "refund the invoice now"}


def example_rows(count: int = 80, first: int = 0) -> list[dict]:
    """Rows of two targets: `topic` (one of 2) and `all` (any of 3)."""
    rows = []
    for n in range(first, first + count):
        topic, urgent = list(SAID)[n % 2], n % 4 < 2
        labels = {"topic": topic, "all": [topic, "urgent"] if urgent else [topic]}
        rows.append({"text": f"{SAID[topic]} {n} {'please' if urgent else ''}", "labels": labels})
    return rows


def write_rows(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A small model that learnt from `example_rows()`; not to be changed."""
    from tamis.ml.training import train

    folder = tmp_path_factory.mktemp("small")
    base = tiny_base(folder / "base")
    return train(
        write_rows(folder / "train.jsonl", example_rows()), base=str(base), epochs=2, out=folder / "small", name="small"
    )


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """40 rows that the model did not learn from."""
    return write_rows(tmp_path / "test.jsonl", example_rows(40, first=1000))


@pytest.fixture
def train_rows(tmp_path: Path) -> Path:
    """The rows that the model learnt from."""
    return write_rows(tmp_path / "train.jsonl", example_rows())
