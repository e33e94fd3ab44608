"""How long the dashboard's pages take with 10,000 jobs, 1,000 models and as many of everything else.

    python benchmarks/pages.py                     # SQLite
    python benchmarks/pages.py --database URL      # an empty PostgreSQL database, which is filled

The server is asked without sockets: what is measured is what the server does. Medians and the longest of `--times`
answers after one to warm up, each as after a pause, when the home is looked through for new models: on the clock, and
of the processor, which depends less on what else the machine does. Every page whose address needs no id of its own is
asked for, and those of a job, of a model, and of a review queue in which 10,000 rows wait.
"""

from __future__ import annotations

import argparse
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
from tamis.web.dashboard import SECTIONS
from tamis.workspace.workspace import Workspace, open_workspace

RESULTS = Path(__file__).parent / "results"
JOBS, MODELS, OTHERS, VERSIONS = 10_000, 1_000, 1_000, 5
NOW = int(time())
TARGETS = tuple({"name": name, "labels": [f"{name} {n}" for n in range(77)]} for name in ("intent", "tone", "topic"))
FIGURES = {"test": {target["name"]: {"accuracy": 0.9, "macro_f1": 0.8, "ece": 0.02} for target in TARGETS}}
KINDS = ("evaluate", "compare", "classify", "queue", "relabel", "gain", "prepare")
QUEUE, LOOKS = "shop-199", 10_000
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
    workspace.store.looks.add(
        look_at(
            Sight(given=f"a row {n}", reason=REASONS[n % 5], urgency=n / LOOKS, proposed={"intent": ["intent 3"]}),
            QUEUE,
            None,
        )
        for n in range(LOOKS)
    )


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


def addresses() -> Iterator[str]:
    """Every page without parameters, the far ends of the lists, searches, and the pages of a job and of a model."""
    known = {"{job_id}": id_of(1, JOBS - 1), "{model_id}": id_of(2, MODELS - 1), "{name}": QUEUE}
    for section in SECTIONS:
        for method, path in section.pages.scopes:
            for name, value in known.items():
                path = path.replace(name, value)
            if method == "GET" and "{" not in path:
                yield path
    for path in LISTS:
        yield f"{path}?page=40"
        yield f"{path}?search=shop+19"
        yield f"{path}?search=not+there"


def measured(client: TestClient, workspace: Workspace, path: str, times: int) -> dict[str, Any]:
    """Ask for a page, again and again."""
    taken, worked, answer = [], [], client.get(path)
    if answer.headers.get("content-type", "").startswith("text/event-stream"):
        return {}
    for _ in range(times):
        workspace.models._look_again = 0.0
        begin, before = perf_counter(), process_time()
        answer = client.get(path)
        taken.append(1000 * (perf_counter() - begin))
        worked.append(1000 * (process_time() - before))
    return {
        "path": path,
        "status": answer.status_code,
        "bytes": len(answer.content),
        "ms": taken,
        "processor_ms": worked,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", default="", help="SQLAlchemy URL of an empty database (default: SQLite)")
    parser.add_argument("--times", type=int, default=9)
    parser.add_argument("--out", type=Path, help="folder for the results (default: they are printed)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tamis-pages-") as home:
        settings = Settings(home=Path(home), database_url=asked.database)
        with open_workspace(settings) as workspace:
            fill(workspace)
            app = create_app(workspace, settings)
            with TestClient(app, base_url="http://127.0.0.1:8000", client=("127.0.0.1", 50000)) as client:
                asks = (measured(client, workspace, path, asked.times) for path in dict.fromkeys(addresses()))
                found = [row for row in asks if row]
    shown = [
        [f"`{row['path']}`", str(row["status"]), f"{row['bytes'] / 1000:,.0f}"]
        + [f"{of(row[of_what]):.1f}" for of_what in ("ms", "processor_ms") for of in (median, max)]
        for row in found
    ]
    head = ["page", "status", "kB", "median ms", "longest ms", "of the processor", "longest"]
    about = record.surroundings()
    page = f"{record.preamble(about)}\n{record.table(head, shown)}"
    print(page)
    if asked.out:
        kind = "postgresql" if asked.database else "sqlite"
        record.write(
            asked.out, f"pages-{kind}", f"# Pages of the dashboard ({kind})\n\n{page}", {**about, "pages": found}
        )


if __name__ == "__main__":
    main()
