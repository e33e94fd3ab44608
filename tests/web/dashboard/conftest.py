"""Visitors with a browser's habits: they keep cookies, and send the forms that pages hold."""

import json
import re
from collections.abc import Callable, Iterator
from html import unescape
from time import time
from typing import Any

import pytest
from starlette.testclient import TestClient

from tamis.jobs import operating, promoting
from tamis.jobs.aside import understood
from tamis.jobs.choosing import choices_of
from tamis.jobs.tools import Tools
from tamis.jobs.worker import owner_name
from tamis.pages import Cell, Page
from tamis.settings import Settings
from tamis.store.records import (
    BatchRecord,
    CheckpointRecord,
    FileRecord,
    JobRecord,
    ModelRecord,
    OperationRecord,
    ShareRecord,
)
from tamis.web.app import create_app
from tamis.web.dashboard import SECTIONS, entrance, safety
from tamis.workspace import operations, promotions
from tamis.workspace.keys import hash_of
from tamis.workspace.workspace import Workspace
from web.dashboard.browsing import Watched, chromium, serving
from web.dashboard.evaluations import fill_evaluation, fill_operation
from web.dashboard.looks import fill_looks
from web.dashboard.preparations import fill_preparation

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> \u202egnp.exe \x00\ud800 {{ 7*7 }} " + "x" * 500
ID = "00000000-0000-4000-8000-{:012d}"
FILLED = {
    "{job_id}": ID.format(2),
    "{file_id}": ID.format(3),
    "{key_id}": "none",
    "{comparison_id}": ID.format(5),
    "{batch_id}": ID.format(4),
    "{model_id}": ID.format(1),
    "{label_run}": ID.format(9006),
    "{share_id}": ID.format(9007),
    "{token}": "of-a-link",
    "{evaluation_id}": ID.format(6),
    "{alias}": "production",
    "{name}": "shop",
    "{export_id}": ID.format(7),
    "{prepared_id}": ID.format(9100),
    "{promotion_id}": ID.format(9200),
}
"""What stands for the parameters of addresses: ids of `fill`."""


def routes_of(method: str) -> list[tuple[str, str]]:
    """Return the address and the scope of every route of the dashboard, with its parameters filled."""
    found = []
    for section in SECTIONS:
        for (of, path), scope in section.pages.scopes.items():
            address = re.sub(r"\{\w+\}", lambda name: FILLED[name[0]], path)
            found += [(address, scope)] if of == method else []
    return found


def fill(workspace: Workspace, rows: int = 3, name: str = HOSTILE) -> None:
    """Put rows into every table, with a name that is hard on pages."""
    now = int(time())
    store = workspace.store
    for n in range(rows):
        model = {"id": ID.format(10 * n + 1), "name": "shop", "title": name, "root": "static-en", "base": "static-en"}
        targets = [{"name": name, "labels": [name] * 77}, *({"name": f"t{k}", "labels": ["a"]} for k in range(5))]
        figures = {"test": {name: {"accuracy": 0.9}, "t1": {"micro_f1": "<b>"}}, "held_out": 3}
        store.models.add(
            ModelRecord(**model, place=f"folder:/{n}", created_at=now, targets=tuple(targets), metrics=figures)
        )
        status = ("RUNNING", "SUCCESS", "FAILED")[n % 3]
        store.jobs.add(
            JobRecord(
                id=ID.format(10 * n + 2),
                status=status,
                model=name,
                base=name,
                name="shop",
                title=name,
                fingerprint=str(n),
                created_at=now - n,
                modified_at=now,
                error=name if status == "FAILED" else None,
                finished_at=None if status == "RUNNING" else now,
                targets=tuple(targets[:1]),
                metadata={"rows": 10, "progress": {"stage": name, "share": 0.5, "seconds_left": None}},
            )
        )
        with store.objects.writer(str(n)) as writer:
            writer.write(name.encode("utf-8", "replace"))
            writer.commit()
        store.files.add(
            FileRecord(
                id=ID.format(10 * n + 3),
                name=name,
                purpose="fine-tune",
                source="upload",
                sample_type="instruct",
                bytes=10**n,
                sha256=str(n),
                key=str(n),
                created_at=now,
            )
        )
        with store.objects.writer(str(n)) as writer:
            writer.write(b"text,label\n")
            writer.commit()
        store.batches.add(
            BatchRecord(
                id=ID.format(10 * n + 4),
                endpoint="/v1/x",
                status="RUNNING",
                created_at=now,
                modified_at=now,
                model=name,
            )
        )
        fill_comparison(workspace, ID.format(10 * n + 5), name, ("SUCCESS", "RUNNING", "FAILED")[n % 3])
    fill_evaluation(workspace, ID.format(6), ID.format(1), name)
    fill_preparation(workspace, ID.format(9100), name, ID.format(3))
    fill_operation(workspace, ID.format(7), "export", ID.format(1), b"PK", result_name=name, told={"format": "onnx"})
    fill_operation(workspace, ID.format(9200), "promote", ID.format(1), b"{}", title=name, status="FAILED", error=name)
    fill_label_run(workspace, name)
    fill_looks(workspace, name, ID, ID.format(1))
    store.jobs.add_event(ID.format(2), "remark", {"remark": name}, 0)
    store.jobs.add_checkpoints(ID.format(2), 0, [CheckpointRecord("", 10, now, {"train_loss": 0.5, name: 1.0})])


def fill_label_run(workspace: Workspace, name: str) -> None:
    """Put in a file that was labelled by the first model, and a link to that model, all of this name."""
    said = {"name": name, "multi": True, "labels": [[name, 3]] * 77, "n_labels": 77, "none": 1, "abstained": 1}
    row = {"text": name, "answers": {name: {"labels": [name] * 5, "confidence": 0.5, "abstained": False}}}
    with workspace.store.objects.writer("operations/label/result") as writer:
        writer.write(b"text,predicted\n")
        size = writer.commit().bytes
    now = int(time())
    workspace.store.operations.add(
        OperationRecord(
            id=ID.format(9006),
            kind="classify",
            status="SUCCESS",
            title=name,
            model_id=ID.format(1),
            summary={
                "rows": 9,
                "bad": 1,
                "first_bad": [name],
                "cut": 1,
                "text": name,
                "targets": [said],
                "preview": [row],
            },
            result_key="operations/label/result",
            result_name=name,
            bytes=size,
            created_at=now,
            modified_at=now,
            finished_at=now,
        )
    )
    workspace.store.shares.add(
        ShareRecord(
            id=ID.format(9007),
            model_id=ID.format(1),
            token_hash=hash_of("of-a-link"),
            title=name,
            per_minute=9,
            created_at=now,
            expires_at=now + 9000,
        )
    )


NOTHING_CHOSEN: dict[str, Any] = {
    **dict.fromkeys(("train", "train_name", "limit", "budget", "oos_label")),
    **dict.fromkeys(("models", "baselines", "llms"), ()),
}


def fill_comparison(workspace: Workspace, id: str, name: str, status: str) -> None:
    """Put in a comparison of contenders of this name, with its report where it is done."""
    report = Page(name, name).section(name, name).note(name, "warning").table([name, "n"], [[name, 1.5]], numeric={1})
    with report.details(name):
        report.table(["Contender", name], [["a", Cell("50 %", 0.5)]], numeric={1}).paragraph(name)
    report.section("Labels").section("Cost").facts([(name, name)])
    comparison = {
        "title": name,
        "n": 9,
        "rows": 9,
        "sampled": None,
        "seed": 0,
        "contenders": [],
        "targets": {},
        "seconds": 1.0,
    }
    content = {"comparison": {**comparison, "used": [name], "warnings": [], "notes": []}, "outline": report.outline()}
    with workspace.store.objects.writer(f"operations/{id}/result") as writer:
        writer.write(json.dumps(content).encode())
        writer.commit()
    best = {"name": name, "figure": "accuracy", "contenders": [{"name": name, "value": 0.5, "text": "50%"}]}
    workspace.store.operations.add(
        OperationRecord(
            id=id,
            kind="compare",
            status=status,
            title=name,
            told={"file": ID.format(3), "file_name": name, "context": name, "shots": 0, **NOTHING_CHOSEN},
            stage=name,
            progress=0.4,
            error=name if status == "FAILED" else None,
            owner=owner_name(),
            summary={"n": 9, "targets": [best]} if status == "SUCCESS" else {},
            result_key=f"operations/{id}/result",
            created_at=int(time()),
            modified_at=int(time()),
            finished_at=int(time()) if status == "SUCCESS" else None,
        )
    )


@pytest.fixture
def routes() -> Callable[[str], list[tuple[str, str]]]:
    """Addresses and scopes of all routes of a method."""
    return routes_of


class Visitor:
    """A client that fills the forms of the page it is on."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        client.follow_redirects = False

    def get(self, path: str, **headers: str) -> Any:
        return self.client.get(path, headers=headers)

    def token(self, on: str = "/ui/components") -> str:
        found = re.search(r'name="form_token" value="([^"]+)"', self.client.get(on).text)
        assert found, on
        return unescape(found[1])

    def send(self, path: str, on: str = "/ui/components", headers: dict[str, str] | None = None, **fields: Any) -> Any:
        """Send a form, with the token of the page `on`."""
        return self.client.post(path, data={"form_token": self.token(on), **fields}, headers=headers)


@pytest.fixture(autouse=True)
def _fresh_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entrance, "_attempts", safety.Attempts())


@pytest.fixture
def visitor(make_client: Callable[..., TestClient]) -> Visitor:
    """On a server without keys."""
    return Visitor(make_client())


@pytest.fixture
def sign_in(workspace: Workspace, make_client: Callable[..., TestClient]) -> Callable[..., Visitor]:
    """Make a key with these scopes, and sign in with it."""

    def enter(*scopes: str) -> Visitor:
        _, secret = workspace.keys.create(f"for {'-'.join(scopes)}", scopes)
        visitor = Visitor(make_client())
        answer = visitor.send("/ui/login", on="/ui/login", key=secret)
        assert answer.status_code == 303, answer.text
        return visitor

    return enter


@pytest.fixture
def acts_here(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do in this process what has one of its own otherwise, which takes seconds to begin."""
    answers = {"operate": operating.answer, "promote": promoting.answer}

    def run(kind: str, told: dict[str, Any], *_: object) -> dict[str, Any]:
        tools = Tools(workspace.store, choices_of(workspace.settings))
        return understood(answers[kind](tools, json.loads(json.dumps(told))), 0, kind)

    for module in (operations, promotions):
        monkeypatch.setattr(module, "run_aside", run)


@pytest.fixture
def filled(workspace: Workspace) -> Workspace:
    fill(workspace)
    return workspace


@pytest.fixture
def address(workspace: Workspace, make_settings: Callable[..., Settings]) -> Iterator[str]:
    """The address of a server over the workspace."""
    with serving(create_app(workspace, make_settings())) as found:
        yield found


@pytest.fixture
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def watched(browser: Any) -> Iterator[Watched]:
    """A page on which nothing may go wrong."""
    opened = Watched(browser)
    yield opened
    assert opened.said == []
    opened.context.close()
