"""Every command in these tests has a home of its own; one small model is trained for all of them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tamis.cli import main  # noqa: F401  registers all commands
from tamis.cli.app import app

SAID = {
    "delivery": ["where is my parcel", "the box never came", "my delivery is late"],
    "payment": ["you charged my card twice", "the invoice is wrong", "I want my money back"],
}


def example_rows(count: int = 60) -> list[dict]:
    """Return rows of two targets: `topic` (one of 2) and `all` (any of 3)."""
    texts = [(topic, text) for topic, said in SAID.items() for text in said]
    return [
        {"text": f"{text} number {n}", "labels": {"topic": topic, "all": [topic, *(["urgent"] if n % 2 else [])]}}
        for n in range(count // len(texts))
        for topic, text in texts
    ]


def write_rows(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("TAMIS_")]:
        monkeypatch.delenv(name)
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("TAMIS_HOME", str(folder))
    return folder


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """60 good rows."""
    return write_rows(tmp_path / "rows.jsonl", example_rows())


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model; not to be changed."""
    from tamis.ml.training import train

    folder = tmp_path_factory.mktemp("model")
    train(write_rows(folder / "rows.jsonl", example_rows()), epochs=1, out=folder / "small")
    return folder / "small"


@pytest.fixture
def run() -> Callable[..., Result]:
    """Run a command; what Tamis raises on purpose, and what is a defect, is raised here too."""

    def _run(*arguments: object, stdin: str | bytes | None = None) -> Result:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return _run
