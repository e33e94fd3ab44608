"""The real SDKs against a real server: fixtures that start one server a worker, and one client process an SDK."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from wire import training_rows
from wire.client_process import Client, Json
from wire.sdk_environments import COHERE, MISTRAL, MISTRAL_WITH_JOBS, OPENAI, Sdk, locked
from wire.server_process import Server
from wire.stub_llm import LLM_KEY, StubLlm
from wire.training_rows import write_rows

RUNNING: list[Server] = []  # for the report of a failure
MODERATION = "moderation-default"
"""What the shared server's setting calls the model that moderates: nothing, until a test makes it an alias."""


@pytest.fixture(scope="session")
def llm() -> Iterator[StubLlm]:
    """An LLM endpoint for the server to pass chats to."""
    with StubLlm() as stub:
        yield stub


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, llm: StubLlm) -> Iterator[Server]:
    """The server that nearly all tests share; ids and names keep them apart."""
    home = tmp_path_factory.mktemp("server") / "home"
    chosen = {"TAMIS_LLM_BASE_URL": llm.url, "TAMIS_LLM_API_KEY": LLM_KEY, "TAMIS_MODERATION_MODEL": MODERATION}
    with Server(home, **chosen) as running:
        RUNNING.append(running)
        yield running
        RUNNING.remove(running)


@pytest.fixture(scope="session")
def client_of(server: Server) -> Iterator[Callable[[Sdk], Client]]:
    """One client process an SDK, started when it is first asked for."""
    with ExitStack() as stack:
        started: dict[str, Client] = {}

        def of(sdk: Sdk) -> Client:
            name = str(sdk)
            if name not in started:
                started[name] = stack.enter_context(Client(sdk, server.url))
            return started[name]

        yield of


@pytest.fixture(scope="session", params=MISTRAL, ids=str)
def client(request: pytest.FixtureRequest, client_of: Callable[[Sdk], Client]) -> Client:
    """A client of every release."""
    return client_of(request.param)


@pytest.fixture(scope="session", params=MISTRAL_WITH_JOBS, ids=str)
def job_client(request: pytest.FixtureRequest, client_of: Callable[[Sdk], Client]) -> Client:
    """A client of every release that has fine-tuning jobs."""
    return client_of(request.param)


@pytest.fixture(scope="session", params=COHERE, ids=str)
def cohere(request: pytest.FixtureRequest, client_of: Callable[[Sdk], Client]) -> Client:
    """A client of every release of Cohere's SDK."""
    return client_of(request.param)


@pytest.fixture(scope="session")
def openai(client_of: Callable[[Sdk], Client]) -> Client:
    """A client of OpenAI's SDK."""
    return client_of(OPENAI)


@pytest.fixture(scope="session")
def trained(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Json]:
    """Return the finished job of a small task of training_rows, trained when it is first asked for."""
    done: dict[str, Json] = {}
    folder = tmp_path_factory.mktemp("rows")

    def job(task: str) -> Json:
        if task not in done:
            rows = write_rows(folder / f"{task}.jsonl", getattr(training_rows, task)())
            done[task] = server.raw.train(rows)
        return done[task]

    return job


@pytest.fixture(scope="session")
def topic_model(trained: Callable[[str], Json]) -> str:
    """A model of one single-label target, `topic`."""
    return trained("topics")["fine_tuned_model"]


@pytest.fixture(scope="session")
def moderation_model(trained: Callable[[str], Json]) -> str:
    """A model of one multi-label target with the none label "safe"."""
    return trained("one_moderation")["fine_tuned_model"]


@pytest.fixture(scope="session")
def two_moderations_model(trained: Callable[[str], Json]) -> str:
    """A model of two multi-label targets, each with a none label."""
    return trained("two_moderations")["fine_tuned_model"]


@pytest.fixture(scope="session")
def chat_model(trained: Callable[[str], Json]) -> str:
    """A model trained with chats: the role of the one who speaks of money says `who`."""
    return trained("who_asked")["fine_tuned_model"]


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], Json]], Json]:
    """Return what a function makes in a folder of its own, made once for all workers of this test run."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def made(name: str, make: Callable[[Path], Json]) -> Json:
        result = shared / f"{name}.json"
        with locked(shared / f"{name}.lock"):
            if not result.exists():
                found = make(tmp_path_factory.mktemp(name))
                result.write_text(json.dumps(found), encoding="utf-8")
        return json.loads(result.read_text(encoding="utf-8"))

    return made


@pytest.fixture
def jsonl(tmp_path: Path) -> Callable[..., Path]:
    """Write rows to a file of this test."""

    def write(rows: list[Json], name: str = "rows.jsonl") -> Path:
        return write_rows(tmp_path / name, rows)

    return write


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show what the servers said when a test failed."""
    report = yield
    if report.failed:
        for running in RUNNING:
            report.sections.append((f"tamis serve at {running.url}", running.said()))
    return report
