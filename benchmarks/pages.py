"""How long the dashboard's pages take with 10,000 jobs, 1,000 models and as many of everything else.

    python benchmarks/pages.py                     # SQLite
    python benchmarks/pages.py --database URL      # an empty PostgreSQL database, which is filled

What years leave behind is filled in; beside it stands what the tests of the pages furnish: a model of 77 labels of each
of three targets, with an evaluation, a comparison, rows that were made ready, a labelled file, links, a review queue of
10,000 rows, and a table of 200 columns. Every page of `tests/web/dashboard/every_page.py` is asked for, with its forms,
and the far ends of lists. It fails where a page is left out, leads elsewhere, is not full, or says that something went
wrong.

The server is asked without sockets: what is measured is what the server does. Medians and the longest of `--times`
answers after one to warm up, each as after a pause, when the home is looked through for new models: on the clock, and
of the processor, which depends less on what else the machine does.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter, process_time, time
from typing import Any
from uuid import UUID

from sqlalchemy import insert
from starlette.testclient import TestClient

import record
from tamis.jobs.looks import REASONS, Sight, look_at
from tamis.settings import Settings
from tamis.store.records import BatchRecord, FileRecord, JobRecord, ModelRecord, OperationRecord
from tamis.store.rows import row_of
from tamis.store.tables import batches, checkpoints, files, job_events, jobs, model_names, models, operations
from tamis.web.app import create_app
from tamis.workspace.shares import NewShare
from tamis.workspace.workspace import Workspace, open_workspace

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from web.dashboard.every_page import Place, every_page, not_opened
from web.dashboard.furnished import Furnished, furnish, trained

JOBS, MODELS, OTHERS, VERSIONS = 10_000, 1_000, 1_000, 5
NOW = int(time())
TARGETS = tuple({"name": name, "labels": [f"{name} {n}" for n in range(77)]} for name in ("intent", "tone", "topic"))
FIGURES = {"test": {target["name"]: {"accuracy": 0.9, "macro_f1": 0.8, "ece": 0.02} for target in TARGETS}}
KINDS = ("evaluate", "compare", "classify", "queue", "relabel", "gain", "prepare")
LOOKS, QUEUES, LOOKS_OF_OTHERS = 10_000, 200, 50
KEYS, ALIASES, LINKS = 200, 200, 50
LISTS = ("/ui/models", "/ui/jobs", "/ui/files", "/ui/batches")
STATES = ("SUCCESS", "FAILED", "CANCELLED", "SUCCESS", "FAILED_VALIDATION")


def id_of(kind: int, n: int) -> str:
    return str(UUID(int=(kind << 96) + n))


def fill(workspace: Workspace) -> None:
    """Put in what years leave behind: the newest 20 jobs are at work."""
    job = JobRecord(
        id="",
        status="SUCCESS",
        model="static-en",
        base="static-en",
        name="shop",
        fingerprint="",
        created_at=0,
        modified_at=0,
        targets=TARGETS,
        hyperparameters={"epochs": 4, "learning_rate": 0.01},
        metadata={"rows": 10_003, "progress": {"stage": "learning", "share": 0.4, "seconds_left": 12.0}},
    )
    with workspace.store.database.writing() as connection:
        tracked = {"wandb_project": None, "wandb_name": None}
        connection.execute(insert(jobs), [{**row_of(each), **tracked} for each in jobs_of(job)])
        connection.execute(insert(job_events), list(events()))
        connection.execute(insert(checkpoints), list(checkpoint_rows()))
        connection.execute(insert(models), [row_of(each) for each in models_of(workspace.settings.home)])
        connection.execute(insert(model_names), [{"name": f"shop-{n}", "last_version": 5} for n in range(MODELS // 5)])
        connection.execute(insert(files), [{**row_of(each), "folded_name": each.name} for each in files_of()])
        connection.execute(insert(batches), [row_of(each) for each in batches_of()])
        connection.execute(insert(operations), [row_of(each) for each in operations_of()])
    for place in range(QUEUES):
        workspace.store.looks.add(
            look_at(Sight(given=f"a row {n}", reason=REASONS[n % 5], urgency=n / 100), f"shop-{place}", None)
            for n in range(LOOKS_OF_OTHERS)
        )
    for n in range(KEYS):
        workspace.keys.create(f"program {n}", ("infer",))
    for n in range(ALIASES):
        workspace.aliases.set(f"alias-{n}", f"shop-{n}@5")


def jobs_of(job: JobRecord) -> Iterator[JobRecord]:
    for n in range(JOBS):
        live = n >= JOBS - 20
        state = "RUNNING" if live else STATES[n % len(STATES)]
        yield replace(
            job,
            id=id_of(1, n),
            name=f"shop-{n % 200}",
            title=f"Messages of shop {n}",
            status=state,
            fingerprint=str(n),
            error="The file has no rows that can be used." if state.startswith("FAILED") else None,
            created_at=NOW - 60 * (JOBS - n),
            modified_at=NOW - 60 * (JOBS - n) + 30,
            finished_at=None if live else NOW - 60 * (JOBS - n) + 30,
        )


def events() -> Iterator[dict[str, Any]]:
    for n in range(JOBS):
        for status in ("QUEUED", "VALIDATING", "RUNNING"):
            data = {"status": status}
            yield {"job_id": id_of(1, n), "name": "status-updated", "created_at": NOW, "data": data}


def checkpoint_rows() -> Iterator[dict[str, Any]]:
    figures = {"epoch": 1.0, "train_loss": 0.4, "valid_loss": 0.5, **{f"{t['name']}.accuracy": 0.9 for t in TARGETS}}
    for step in range(500):
        yield {"job_id": id_of(1, JOBS - 1), "step": step, "created_at": NOW, "metrics": figures}


def models_of(home: Path) -> Iterator[ModelRecord]:
    """Versions of 200 names, every other one in the home's registry."""
    for n in range(MODELS):
        folder = home / "models" / f"shop-{n // VERSIONS}" / str(n % VERSIONS + 1)
        if n % 2:
            folder.mkdir(parents=True)
        yield ModelRecord(
            id=id_of(2, n),
            name=f"shop-{n // VERSIONS}",
            version=n % VERSIONS + 1,
            title=f"Messages of shop {n // VERSIONS}",
            root="static-en",
            base="static-en",
            place=f"folder:{folder}" if n % 2 else f"objects:models/{n}",
            created_at=NOW - 600 * (MODELS - n),
            bytes=12_000_000,
            targets=TARGETS,
            metrics=FIGURES,
        )


def files_of() -> Iterator[FileRecord]:
    for n in range(OTHERS):
        yield FileRecord(
            id=id_of(3, n),
            name=f"shop-{n}.jsonl",
            purpose="fine-tune",
            source="upload",
            sample_type="instruct",
            bytes=1_000_000,
            sha256=str(n),
            key=f"files/{n}",
            num_lines=10_003,
            created_at=NOW - n,
        )


def batches_of() -> Iterator[BatchRecord]:
    for n in range(OTHERS):
        yield BatchRecord(
            id=id_of(4, n),
            endpoint="/v1/classifications",
            status="SUCCESS",
            model=f"shop-{n % 200}",
            total=100,
            completed=100,
            succeeded=100,
            created_at=NOW - n,
            modified_at=NOW,
            completed_at=NOW,
        )


def operations_of() -> Iterator[OperationRecord]:
    for n in range(OTHERS):
        yield OperationRecord(
            id=id_of(5, n),
            kind=KINDS[n % len(KINDS)],
            status="SUCCESS",
            title=f"Work on shop-{n % 200}",
            model_id=id_of(2, n % MODELS),
            told={"name": f"shop-{n % 200}", "file_name": "shop.jsonl", "models": []},
            created_at=NOW - n,
            modified_at=NOW - n,
            finished_at=NOW - n,
        )


def pages_of(found: Furnished) -> list[Place]:
    """Every page, and the far ends of lists; what is counted by the minute is left out."""
    pages = [place for place in every_page(found) if (place.path, place.sent is None) != ("/ui/login", False)]
    if missing := not_opened(pages):
        sys.exit(f"left out: {', '.join(missing)}")
    for path in LISTS:
        pages += [Place(f"{path}?page=40", "Older"), Place(f"{path}?search=shop+19", "<main")]
        pages.append(Place(f"{path}?search=not+there", "Nothing found"))
    return [*pages, Place(f"/ui/jobs/{id_of(1, JOBS - 1)}", 'class="curves"')]


class Visitor:
    """A client that asks for pages, with a session or without."""

    def __init__(self, app: Any) -> None:
        self.client = TestClient(
            app, base_url="http://127.0.0.1:8000", client=("127.0.0.1", 50000), follow_redirects=False
        )

    def token(self, on: str) -> str:
        found = re.search(r'name="form_token" value="([^"]+)"', self.client.get(on).text)
        return found[1] if found else sys.exit(f"{on} has no form")

    def sign_in(self, key: str) -> None:
        self.client.post("/ui/login", data={"form_token": self.token("/ui/login"), "key": key})

    def measured(self, workspace: Workspace, place: Place, times: int) -> dict[str, Any]:
        """Ask for a page, again and again."""
        taken, worked, size = [], [], 0
        token = "" if place.sent is None else self.token("/ui/login" if place.stranger else "/ui/settings")
        for _ in range(times + 1):
            workspace.models._look_again = 0.0
            begin, before = perf_counter(), process_time()
            if place.sent is None:
                answer = self.client.get(place.path)
            else:
                answer = self.client.post(place.path, data={"form_token": token, **place.sent})
            taken.append(1000 * (perf_counter() - begin))
            worked.append(1000 * (process_time() - before))
            size = len(answer.content)
            if wrong := place.wrong(answer.status_code, answer.text):
                sys.exit(wrong)
        first = {"first_ms": taken[0], "first_processor_ms": worked[0]}
        return {"path": str(place), "bytes": size, "ms": taken[1:], "processor_ms": worked[1:], **first}


def named(path: str, found: Furnished) -> str:
    """An address with names where ids are."""
    of = {"model": found.model, **found.files, **found.made, "token": found.token}
    for name, id in of.items():
        path = path.replace(id, f"{{{name}}}")
    return re.sub(r"[0-9a-f-]{36}", "{id}", path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", default="", help="SQLAlchemy URL of an empty database (default: SQLite)")
    parser.add_argument("--times", type=int, default=9)
    parser.add_argument("--out", type=Path, help="folder for the results (default: they are printed)")
    asked = parser.parse_args()
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="tamis-pages-") as folder:
        settings = Settings(home=Path(folder) / "home", database_url=asked.database)
        with open_workspace(settings) as workspace:
            made = furnish(workspace, trained(Path(folder)), LOOKS)
            for n in range(LINKS):
                workspace.shares.create(NewShare(model_id=made.model, title=f"For {n}"))
            fill(workspace)
            _, key = workspace.keys.create("owner", ("infer", "train", "admin"))
            app = create_app(workspace, settings)
            member, stranger = Visitor(app), Visitor(app)
            with member.client, stranger.client:
                member.sign_in(key)
                found = [
                    (stranger if place.stranger else member).measured(workspace, place, asked.times)
                    for place in pages_of(made)
                ]
    for row in found:
        row["path"] = named(row["path"], made)
    shown = [
        [f"`{row['path']}`", f"{row['bytes'] / 1000:,.0f}"]
        + [f"{of(row[of_what]):.1f}" for of_what in ("ms", "processor_ms") for of in (median, max)]
        + [f"{row['first_processor_ms']:.1f}"]
        for row in found
    ]
    head = ["page", "kB", "median ms", "longest ms", "of the processor", "longest", "of it the first time"]
    about = {**record.surroundings(), "load": [before, os.getloadavg()[0]]}
    loads = "The machine's load was {:.1f} before and {:.1f} in the end: above 1, others ran beside it."
    page = f"{record.preamble(about)}\n{loads.format(*about['load'])}\n\n{record.table(head, shown)}"
    print(page)
    if asked.out:
        kind = "postgresql" if asked.database else "sqlite"
        record.write(
            asked.out, f"pages-{kind}", f"# Pages of the dashboard ({kind})\n\n{page}", {**about, "pages": found}
        )


if __name__ == "__main__":
    main()
