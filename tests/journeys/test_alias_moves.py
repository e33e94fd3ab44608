"""Programs that call by alias notice nothing: it moves back and forth, former models are deleted, no request fails."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tamis.ml.model import load
from tamis.ml.registry import register
from tamis.ml.training import train
from tamis.testing import tiny_base
from tamis.workspace.classifying import FRESH_S
from wire.server_process import Server

MOVES = 20
CLIENTS = 3
TEXT = "where is my parcel"
SAID = {"delivery": "where is my parcel", "payment": "you charge my card"}
KINDS = ("right", "wrong")


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two models of the same labels that say the opposite of each other."""
    folder = tmp_path_factory.mktemp("models")
    base = str(tiny_base(folder / "base"))
    topics = list(SAID)
    for kind in KINDS:
        labels = topics if kind == "right" else topics[::-1]
        rows = [
            {"text": f"{text} {n}", "labels": {"topic": label}}
            for n in range(20)
            for text, label in zip(SAID.values(), labels, strict=True)
        ]
        (folder / f"{kind}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        train(folder / f"{kind}.jsonl", base=base, out=folder / kind, epochs=4)
    return {kind: folder / kind for kind in KINDS}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, artifacts: dict[str, Path]) -> Iterator[Server]:
    """Two processes that answer; versions of `shop` and of `desk` are right and wrong by turns."""
    home = tmp_path_factory.mktemp("server") / "home"
    for name, versions in (("shop", MOVES + 1), ("desk", 2)):
        for number in range(versions):
            register(home, name, artifacts[KINDS[number % 2]])
    with Server(home, "--workers", "2", "--train-workers", "0") as running:
        yield running


class Callers:
    """Threads that ask for the alias without a pause, each over connections of its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._over = threading.Event()
        self._threads = ThreadPoolExecutor(CLIENTS)
        self._found = [self._threads.submit(self._ask) for _ in range(CLIENTS)]

    def _ask(self) -> Counter[str]:
        """Return how often each answer came; whatever is none counts as what it says."""
        answers: Counter[str] = Counter()
        while not self._over.is_set():
            with httpx.Client(base_url=self._url, timeout=30, verify=False) as client:
                for _ in range(20):
                    answers[answer_of(client)] += 1
        return answers

    def end(self) -> Counter[str]:
        self._over.set()
        found = sum((each.result() for each in self._found), Counter[str]())
        self._threads.shutdown()
        return found


def answer_of(client: httpx.Client) -> str:
    try:
        answer = client.post("/v1/classifications", json={"model": "prod", "input": [TEXT]})
    except httpx.HTTPError as error:
        return repr(error)
    if answer.status_code != 200:
        return f"{answer.status_code} {answer.text}"
    scores: dict[str, Any] = answer.json()["results"][0]["topic"]["scores"]
    return said(scores)


def said(scores: Any) -> str:
    return " ".join(f"{label} {float(score):.4f}" for label, score in sorted(scores.items()))


def test_no_request_fails_while_an_alias_moves_and_its_former_models_are_deleted(
    server: Server, artifacts: dict[str, Path]
) -> None:
    by_kind = {kind: said(load(folder).classify(TEXT)["topic"].scores) for kind, folder in artifacts.items()}
    assert by_kind["right"] != by_kind["wrong"]
    with httpx.Client(base_url=server.url, timeout=30, verify=False) as admin:
        assert admin.put("/v1/tamis/aliases/prod", json={"model": "shop@1"}).status_code == 200
        callers = Callers(server.url)
        for version in range(2, MOVES + 2):
            time.sleep(0.1)
            assert admin.put("/v1/tamis/aliases/prod", json={"model": f"shop@{version}"}).status_code == 200
            deleted = admin.delete(f"/v1/models/shop@{version - 1}")
            assert deleted.status_code == 200, deleted.text
        answers = callers.end()
        history = admin.get("/v1/tamis/aliases/prod/history").json()
    assert set(answers) == set(by_kind.values()), answers
    assert sum(answers.values()) > 10 * MOVES
    assert history["total"] == MOVES + 1
    assert [move["from_model"]["gone"] for move in history["data"][:-1]] == [True] * MOVES


def test_every_process_sees_a_move_within_the_time_that_is_promised(server: Server, artifacts: dict[str, Path]) -> None:
    by_kind = {kind: said(load(folder).classify(TEXT)["topic"].scores) for kind, folder in artifacts.items()}
    with httpx.Client(base_url=server.url, timeout=30, verify=False) as admin:
        for version in (1, 2, 1):
            admin.put("/v1/tamis/aliases/prod", json={"model": f"desk@{version}"})
            time.sleep(FRESH_S + 0.01)
            found = set()
            for _ in range(20):  # connections are spread over the processes
                with httpx.Client(base_url=server.url, timeout=30, verify=False) as client:
                    found.add(answer_of(client))
            assert found == {by_kind[KINDS[version - 1]]}
