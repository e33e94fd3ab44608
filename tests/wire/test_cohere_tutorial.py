"""The published ATIS tutorial of Cohere's Classify, from rows to figures.

TAMIS_TEST_BASES names the base models to run it with, `minilm-l6` for instance, beside the default one.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from wire.client_process import PROGRAMS, SECONDS_A_PROGRAM, Json, run_python
from wire.sdk_environments import COHERE, COHERE_7_3, Sdk
from wire.server_process import Server
from wire.training_rows import SETS, Row, read_rows, topics, write_rows

PUBLISHED = {"accuracy": 0.98, "f1": 0.9805}
LEAST = {"": {"accuracy": 0.95, "f1": 0.95}}
"""What the default base model must reach; any other must reach the published figures."""

LONG = 1800.0
"""Seconds that the program may take with another base model: some are trained much longer than the default one."""

BASES = ["", *filter(None, os.environ.get("TAMIS_TEST_BASES", "").split(","))]


def run(sdk: Sdk, server: Server, folder: Path, train: list[Row], test: list[Row], base: str = "") -> tuple[str, Json]:
    """Run the program and return what it printed first, and what it had."""
    paths = [write_rows(folder / f"{name}.jsonl", rows) for name, rows in (("train", train), ("test", test))]
    program = PROGRAMS / "cohere_tutorial.py"
    seconds = LONG if base else SECONDS_A_PROGRAM
    printed = run_python(sdk, "-W", "ignore", program, server.url, *paths, base, str(folder), seconds=seconds)
    *figures, had = printed.splitlines()
    return "\n".join(figures), json.loads(had)


def as_cohere(rows: list[Row], target: str) -> list[Row]:
    """Return rows in the form of the tutorial's files."""
    return [{"text": row["text"], "label": row["labels"][target]} for row in rows]


def check(had: Json, train: list[Row]) -> None:
    """What every run must have gone through."""
    assert had["again"] == train
    assert had["statuses"][-1] == "STATUS_READY"
    stages = ["STATUS_QUEUED", "STATUS_FINETUNING", "STATUS_DEPLOYING_API", "STATUS_READY"]
    assert had["events"] == stages
    assert set(had["statuses"]) <= set(stages)
    steps = [step for step, _ in had["steps"]]
    assert len(steps) >= 5
    assert steps == sorted(set(steps))
    assert {"accuracy", "cross_entropy", "train_loss"} <= had["steps"][-1][1].keys()


@pytest.mark.skipif(not (SETS / "atis_subset").is_dir(), reason="the tutorial's rows are not on this machine")
@pytest.mark.parametrize("base", BASES)
def test_the_tutorial_gives_its_figures(server: Server, tmp_path: Path, base: str) -> None:
    train, test = (as_cohere(read_rows(SETS / "atis_subset" / f"{name}.jsonl"), "intent") for name in ("train", "test"))
    figures, had = run(COHERE_7_3, server, tmp_path, train, test, base)
    print(figures)
    check(had, train)
    for name, least in LEAST.get(base, PUBLISHED).items():
        assert had[name] >= least, figures


@pytest.mark.parametrize("sdk", [sdk for sdk in COHERE if sdk != COHERE_7_3], ids=str)
def test_earlier_releases_run_it_too(sdk: Sdk, server: Server, tmp_path: Path) -> None:
    train, test = as_cohere(topics(10, f"tutorial {sdk}"), "topic"), as_cohere(topics(15)[-100:], "topic")
    figures, had = run(sdk, server, tmp_path, train, test)
    check(had, train)
    assert had["accuracy"] > 0.95, figures
