"""The page of a job, and the stream that its script follows: what is new is told, once, and ends with the job."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from html import unescape
from typing import Any

import httpx
import pytest
import uvicorn

from tamis import errors
from tamis.ml.holding_out import NOTHING_TO_VALIDATE
from tamis.settings import Settings
from tamis.store.records import CheckpointRecord, JobRecord
from tamis.web.app import create_app
from tamis.web.connections import Connection
from tamis.web.dashboard import job_stream
from tamis.web.dashboard.failures import FAILURES, UNKNOWN
from tamis.web.dashboard.job_stream import Streams, Watch, seen_of
from tamis.web.dashboard.jobs import steps_of, took
from tamis.workspace.workspace import Workspace
from web.dashboard.browsing import Watched

ID = "00000000-0000-4000-8000-000000000001"
NAME = "<b>topic</b> &amp; " + "long " * 20
EVENTS = {"accept": "text/event-stream"}


@pytest.fixture
def add(workspace: Workspace) -> Callable[..., JobRecord]:
    """Add a job that runs, unless told otherwise."""

    def put(**columns: Any) -> JobRecord:
        usual = {"id": ID, "status": "RUNNING", "phase": "train", "model": "static-en", "base": "static-en"}
        usual |= {"name": "shop", "fingerprint": "f", "created_at": 1, "modified_at": 1}
        workspace.store.jobs.add(record := JobRecord(**{**usual, **columns}))
        return record

    return put


def goes_on(workspace: Workspace, step: int, share: float) -> None:
    """Write down what a trainer says."""
    figures = {"epoch": step / 2, "train_loss": 1 / step, "valid_loss": 2 / step, "topic.accuracy": 0.5}
    workspace.store.jobs.add_checkpoints(ID, 0, [CheckpointRecord(ID, step, 1, figures)])
    told = {"stage": "fitting", "share": share, "seconds_left": 9}
    workspace.store.jobs.change(ID, when=("RUNNING",), quiet=True, metadata={"progress": told})


def named(sent: bytes) -> list[tuple[str, Any]]:
    """The events in what was sent."""
    found = re.findall(r"event: (\w+)\n(?:id: .*\n)?data: (.*)\n\n", sent.decode())
    return [(name, json.loads(data)) for name, data in found]


@pytest.mark.parametrize(
    ("validated", "remarks", "told"),
    [
        (False, [], "the model learns them, too"),
        (True, [], "The model is taken from there"),
        (True, ["Started again.", NOTHING_TO_VALIDATE], "the model learns them, too"),
    ],
)
def test_a_job_page_tells_where_the_model_is_taken_from(
    visitor: Any, workspace: Workspace, add: Any, upload: Any, validated: bool, remarks: list[str], told: str
) -> None:
    validation = {"validation_files": (upload()["id"],), "metadata": {"rows": 9, "validation_rows": 4}}
    add(**(validation if validated else {}))
    for remark in remarks:
        workspace.store.jobs.add_event(ID, "remark", {"remark": remark}, 0)
    page = visitor.get(f"/ui/jobs/{ID}").text
    (chosen_on,) = re.findall(r"<dt>To choose on</dt><dd>(.*?)</dd>", page) or [""]
    assert ("held out" in chosen_on) == (validated and "learns them" in told)
    assert (chosen_on == "4") == ("taken from" in told)
    goes_on(workspace, 1, 0.25)
    page = visitor.get(f"/ui/jobs/{ID}").text
    (best,) = re.findall(r'<p class="best">(.*?)</p>', page)
    assert told in best
    (along,) = re.findall(r'data-with="(.*?)"', page)
    assert "job-end" in along.split()
    assert all(f'id="{each}"' in page for each in along.split())
    assert all(remark in unescape(page) for remark in remarks)


def test_only_news_are_told(workspace: Workspace, add: Any) -> None:
    add()
    watch = Watch(workspace.jobs, ID, seen_of(workspace.jobs.get(ID)))
    assert named(watch.look()) == [("progress", {"share": None, "told": "Beginning"})]
    assert watch.look() == b": \n\n"
    goes_on(workspace, 1, 0.25)
    (_, curves), progress = named(watch.look())
    assert (curves["step"], curves["best"]) == ([1], 0)
    assert progress == ("progress", {"share": 0.25, "told": "Fitting · 25.0 % · 9 s left"})
    assert watch.look() == b": \n\n"
    goes_on(workspace, 2, 0.5)
    (name, curves), _ = named(watch.look())
    assert (name, curves["step"]) == ("curves", [1, 2])
    workspace.store.jobs.change(ID, when=("RUNNING",), to="SUCCESS", finished_at=2)
    assert [name for name, _ in named(watch.look())] == ["changed", "over"]
    assert watch.is_over


def test_a_page_that_shows_something_older_is_told_so_at_once(workspace: Workspace, add: Any) -> None:
    add()
    watch = Watch(workspace.jobs, ID, "QUEUED.0.1")
    told = watch.look()
    assert "changed" in dict(named(told))
    assert f"id: {seen_of(workspace.jobs.get(ID))}\n".encode() in told
    workspace.store.jobs.add_event(ID, "remark", {"remark": "x"}, 0)
    assert watch.look() == b": \n\n"
    watch._next_full = 0.0
    assert [name for name, _ in named(watch.look())] == ["changed"]


def test_the_stream_of_a_job_that_is_over_ends(visitor: Any, workspace: Workspace, add: Any) -> None:
    add(status="SUCCESS", finished_at=2)
    answer = visitor.get(f"/ui/jobs/{ID}/stream", **EVENTS)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.text.startswith("retry: ")
    assert [name for name, _ in named(answer.content)][-2:] == ["changed", "over"]
    assert job_stream.streams.at_work == 0


def test_a_stream_is_for_scripts_and_for_those_who_may_train(visitor: Any, sign_in: Any, add: Any) -> None:
    add()
    assert "<h1>" in visitor.get(f"/ui/jobs/{ID}/stream").text
    assert visitor.get("/ui/jobs/nope/stream", **EVENTS).status_code == 404
    assert sign_in("infer").get(f"/ui/jobs/{ID}/stream", **EVENTS).status_code == 403
    stranger = sign_in("train")
    stranger.client.cookies.clear()
    assert stranger.get(f"/ui/jobs/{ID}/stream", **EVENTS).status_code == 303


def test_there_are_only_so_many_streams(visitor: Any, add: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    add()
    crowded = Streams()
    crowded.at_work = 16
    monkeypatch.setattr(job_stream, "streams", crowded)
    answer = visitor.get(f"/ui/jobs/{ID}/stream", **EVENTS)
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "10"
    crowded.at_work = 3
    crowded.require(16)
    with pytest.raises(errors.Overloaded):
        crowded.require(12)


def test_of_those_that_come_at_once_some_come_again_later(workspace: Workspace, add: Any) -> None:
    add()

    async def told(most: int) -> list[bytes]:
        watch = Watch(workspace.jobs, ID, "")
        return [event async for event in job_stream._events(watch, lambda: len(watch._told) > 0, most)]

    assert asyncio.run(told(0)) == [b"retry: 10000\n\n"]
    assert asyncio.run(told(1))[0] == b"retry: 1000\n\n"
    assert job_stream.streams.at_work == 0


@pytest.fixture
def server(workspace: Workspace, make_settings: Callable[..., Settings]) -> Iterator[tuple[uvicorn.Server, str]]:
    """A server with real connections, and its address."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(create_app(workspace, make_settings()), log_level="error", ws="none", http=Connection)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield server, f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(20)
    listener.close()


def test_a_stream_goes_on_while_the_job_does_and_ends_when_the_server_stops(
    server: tuple[uvicorn.Server, str], workspace: Workspace, add: Any
) -> None:
    add()
    with httpx.stream("GET", f"{server[1]}/ui/jobs/{ID}/stream", headers=EVENTS, timeout=20) as answer:
        assert answer.status_code == 200
        lines = answer.iter_lines()
        while next(lines) != "event: progress":
            pass
        goes_on(workspace, 1, 0.5)
        while next(lines) != "event: curves":
            pass
        began = time.monotonic()
        server[0].should_exit = True
        assert list(lines)
    assert time.monotonic() - began < job_stream.LASTS_S / 2
    assert job_stream.streams.at_work == 0


def test_who_leaves_makes_room(server: tuple[uvicorn.Server, str], workspace: Workspace, add: Any) -> None:
    add()
    with httpx.stream("GET", f"{server[1]}/ui/jobs/{ID}/stream", headers=EVENTS, timeout=20) as answer:
        lines = answer.iter_lines()  # held: an iterator that is dropped takes the connection with it
        assert next(lines).startswith("retry:")
        assert job_stream.streams.at_work == 1
    for _ in range(200):
        if not job_stream.streams.at_work:
            return
        time.sleep(0.05)
    raise AssertionError(job_stream.streams.at_work)


def test_the_page_has_the_curves_the_best_point_and_every_figure(visitor: Any, workspace: Workspace, add: Any) -> None:
    add()
    goes_on(workspace, 1, 0.25)
    goes_on(workspace, 2, 0.5)
    page = visitor.get(f"/ui/jobs/{ID}").text
    curves = json.loads(unescape(re.search(r'data-curves="([^"]*)"', page)[1]))  # type: ignore[index]
    assert (curves["valid_loss"], curves["best"]) == ([2.0, 1.0], 1)
    assert curves["quality"] == [{"name": "topic", "figure": "accuracy", "values": [0.5, 0.5], "training": None}]
    assert "Fitting · 50.0 % · 9 s left" in page
    assert "validation loss 1 after 1.0 passes over the data, accuracy 50.0 %" in page
    assert page.count('class="tag">best') == 1
    assert "Cancel this job?" in page


@pytest.mark.parametrize("code", [*FAILURES, "never_heard_of", None])
def test_a_failure_is_told_with_what_helps(visitor: Any, add: Any, code: str | None) -> None:
    add(status="FAILED", finished_at=2, error="Row 3 is <odd>.", error_code=code)
    page = visitor.get(f"/ui/jobs/{ID}").text
    told = FAILURES.get(code or "", UNKNOWN)
    assert "Row 3 is &lt;odd&gt;." in page
    assert all(each in unescape(page) for each in (told.title, *told.cures))
    assert f'href="/ui/new/train?from={ID}"' in page


def test_a_job_that_was_good_leads_to_its_model(visitor: Any, models: Workspace, add: Any) -> None:
    model = models.models.find("intents")
    add(status="SUCCESS", finished_at=2, model_id=model.id)
    page = visitor.get(f"/ui/jobs/{ID}").text
    assert f'href="/ui/models/{model.id}"' in page
    assert "accuracy" in page
    models.models.delete("intents")
    assert "/ui/models/" not in visitor.get(f"/ui/jobs/{ID}").text


def test_a_validated_job_waits_for_a_click(visitor: Any, workspace: Workspace, add: Any) -> None:
    add(status="VALIDATED")
    assert "Nothing more happens until you start" in visitor.get(f"/ui/jobs/{ID}").text
    visitor.send(f"/ui/jobs/{ID}/start")
    assert workspace.jobs.get(ID).job.status == "QUEUED"
    visitor.send(f"/ui/jobs/{ID}/cancel")
    assert workspace.jobs.get(ID).job.status == "CANCELLED"


@pytest.mark.parametrize(
    ("status", "phase", "where"),
    [
        ("QUEUED", "validate", ["now", "ahead", "ahead", "ahead"]),
        ("VALIDATING", "validate", ["done", "now", "ahead", "ahead"]),
        ("FAILED_VALIDATION", "validate", ["done", "ended", "ahead", "ahead"]),
        ("VALIDATED", "validate", ["done", "done", "now", "ahead"]),
        ("QUEUED", "train", ["done", "done", "now", "ahead"]),
        ("RUNNING", "train", ["done", "done", "now", "ahead"]),
        ("CANCELLATION_REQUESTED", "validate", ["done", "now", "ahead", "ahead"]),
        ("CANCELLED", "train", ["done", "done", "ended", "ahead"]),
        ("FAILED", "train", ["done", "done", "ended", "ahead"]),
        ("SUCCESS", "train", ["done", "done", "done", "done"]),
    ],
)
def test_the_way_shows_where_a_job_is(add: Any, status: str, phase: str, where: list[str]) -> None:
    record = replace(add(), status=status, phase=phase)
    assert [each for _, each in steps_of(record)] == where


def test_how_long_it_trained_is_counted_from_its_first_run(workspace: Workspace, add: Any) -> None:
    add(status="QUEUED")
    assert took(workspace.jobs.get(ID).events) is None
    workspace.store.jobs.change(ID, when=("QUEUED",), to="RUNNING")
    assert took(workspace.jobs.get(ID).events) is None
    workspace.store.jobs.change(ID, when=("RUNNING",), to="SUCCESS", finished_at=2)
    seconds = took(workspace.jobs.get(ID).events)
    assert seconds is not None
    assert 0 <= seconds < 60


def test_a_trackers_address_is_a_link_only_where_it_is_one(visitor: Any, add: Any) -> None:
    runs = ({"type": "wandb", "project": "a", "url": "https://wandb.example/r"},)
    add(integrations=(*runs, {"type": "wandb", "project": "b", "url": "javascript:alert(1)"}))
    page = visitor.get(f"/ui/jobs/{ID}").text
    assert 'href="https://wandb.example/r"' in page
    assert 'href="javascript' not in page


def browsed(workspace: Workspace, step: int) -> None:
    """Write down what a trainer says of targets with hard names."""
    figures = {"epoch": step / 2, "train_loss": 1 / step, "valid_loss": 2 / step, f"{NAME}.accuracy": 0.5}
    figures |= {"flags.micro_f1": 0.7, "flags.train_micro_f1": 0.8}
    workspace.store.jobs.add_checkpoints(ID, 0, [CheckpointRecord(ID, step, 1, figures)])
    told = {"stage": f"step {step}", "share": step / 10, "seconds_left": 9}
    workspace.store.jobs.change(ID, when=("RUNNING",), quiet=True, metadata={"progress": told})


def until(page: Any, told: str) -> None:
    """Wait until this is so: the pages' policy lets no test wait inside."""
    for _ in range(400):
        if page.evaluate(told):
            return
        page.wait_for_timeout(25)
    raise AssertionError(told)


def test_curves_grow_without_the_page_being_asked_for(
    workspace: Workspace, address: str, watched: Watched, add: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_stream, "LOOK_S", 0.05)
    add()
    page = watched.page
    page.goto(f"{address}/ui/jobs/{ID}")
    assert page.locator("#job-charts").is_hidden()
    for step in (1, 2, 3):
        browsed(workspace, step)
        until(page, f"document.getElementById('job-told').textContent.startsWith('Step {step}')")
    until(page, "document.getElementById('curve-loss').data?.[0].x.length === 3")
    assert page.evaluate("document.getElementById('curve-loss').data.map((each) => each.name)") == [
        "training",
        "validation",
    ]
    drawn = "document.getElementById('curve-quality').data.map((each) => [each.name, each.line.dash, each.line.color])"
    _, flags, training, key = page.evaluate(drawn)
    assert (flags[:2], training[:2], key[:2]) == (
        ["flags, micro-F1", None],
        ["flags, micro-F1, in training", "dash"],
        ["in training", "dash"],
    )
    assert flags[2] == training[2]
    assert page.locator("#curve-quality .legendtext").count() == 3
    assert page.is_visible("#curve-dashed")
    assert "<b>topic</b>" in page.inner_text("#curve-quality")
    assert page.locator("#curve-quality b").count() == 0
    assert "validation loss 0.6667" in page.inner_text("#job-best")
    page.check("[name=log]")
    assert page.evaluate("document.getElementById('curve-loss').layout.yaxis.type") == "log"
    workspace.store.jobs.change(ID, when=("RUNNING",), to="FAILED", error="<i>", error_code="killed", finished_at=2)
    page.wait_for_selector("#live-job:not([data-live]) .note.error")
    assert "<i>" in page.inner_text(".note.error")
    assert page.is_checked("[name=log]")
    assert page.evaluate("document.getElementById('curve-loss').data[0].x.length") == 3


def test_without_a_stream_the_page_asks_for_itself(
    workspace: Workspace, address: str, watched: Watched, add: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_stream, "MOST", 0)
    add()
    page = watched.page
    page.goto(f"{address}/ui/jobs/{ID}")
    browsed(workspace, 1)
    until(page, "document.getElementById('curve-loss').data?.[0].x.length === 1")
    until(page, "document.getElementById('job-told').textContent.startsWith('Step 1')")
    workspace.store.jobs.change(ID, when=("RUNNING",), to="SUCCESS", finished_at=2)
    page.wait_for_selector("#live-job:not([data-live])")
    assert all("429" in said for said in watched.said)
    watched.said.clear()
