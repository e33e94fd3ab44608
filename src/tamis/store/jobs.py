"""Fine-tuning jobs: their rows, events and checkpoints."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Unpack

from sqlalchemy import ColumnElement, delete, insert, select
from sqlalchemy import case as sql_case
from sqlalchemy.exc import IntegrityError

from tamis.errors import SimilarJob
from tamis.store.database import Database
from tamis.store.leases import Beat, Lease, Leased, Swap
from tamis.store.models import add_model
from tamis.store.records import (
    PHASES,
    RUNNING,
    TRAIN,
    VALIDATING,
    CheckpointRecord,
    EventRecord,
    JobColumns,
    JobFilters,
    JobRecord,
    Json,
    ModelRecord,
)
from tamis.store.rows import count, newest_first, one_of, page_of, record_of, row_of, searched
from tamis.store.tables import checkpoints, job_events, jobs

Listing = tuple[list[JobRecord], int]
Checkpoints = list[CheckpointRecord]


class Jobs(Leased[JobRecord]):
    """The jobs."""

    def __init__(self, database: Database) -> None:
        """Keep them in this database."""
        super().__init__(database, JobRecord, jobs, job_events, "finished_at")

    def add(self, record: JobRecord, events: Sequence[EventRecord] = ()) -> None:
        """Add a job, hold its files, and note its first events (default: its status).

        Raises:
            SimilarJob: one of the same fingerprint is not finished; `job_id` is in the error's context.
            UnknownFile: one of its files is not there.
        """
        for _ in range(3):  # the similar job may finish between the refusal and the look at it
            try:
                return self._insert(record, events)
            except IntegrityError as error:
                similar = self._live_with(record.fingerprint)
                if similar is None and self.find(record.id) is not None:
                    raise
                refused = error
            if similar is not None:
                raise SimilarJob(f"The job {similar} is the same and is not finished yet.", job_id=similar)
        raise refused

    def list(self, page: int = 0, page_size: int | None = 100, **filters: Unpack[JobFilters]) -> Listing:
        """Return a page of jobs, newest first, and how many there are on all pages."""
        conditions = _conditions(filters)
        with self._database.reading() as connection:
            rows = connection.execute(page_of(newest_first(jobs, conditions), page, page_size)).mappings()
            return [record_of(JobRecord, row) for row in rows], count(connection, jobs, conditions)

    def change(  # size: a swap has a guard, a change and an event
        self,
        id: str,
        *,
        when: Collection[str],
        attempt: int | None = None,
        to: str | None = None,
        event: Json | None = None,
        quiet: bool = False,
        **columns: Unpack[JobColumns],
    ) -> JobRecord | None:
        """Change a job that is in one of the states `when` (and of this attempt); else do nothing and return None.

        A change of state is noted as `{"status": to, **event}`; `event` without `to` as a note; `quiet` notes nothing.
        """
        with self._database.writing() as connection:
            return self._swap(connection, Swap(id, when, attempt, to, _columns(columns), event, quiet))

    def claim(
        self,
        owner: str,
        now: float,
        lease_s: float,
        phases: Collection[str] = PHASES,
        mine: Collection[str] = (),
    ) -> JobRecord | None:
        """Take the next queued job of these phases under a lease, or one whose lease ran out.

        Who has the fewest jobs under way comes first, then who has waited longest since one of theirs was finished,
        then the job that came first. The attempt's number grows. A queued job begins to validate or to run, by its
        phase; one taken over keeps its state and has one death more. Of the ids `mine` none is taken over: who asks has
        them at work, and knows better than a lease whether they are.
        """
        begun = sql_case((jobs.c.phase == TRAIN, RUNNING), else_=VALIDATING)
        return self._claim(Lease(owner, now, lease_s), jobs.c.phase.in_(phases), begun, mine)

    def beat(self, id: str, owner: str, attempt: int, now: float, lease_s: float, peak_mb: float | None = None) -> Beat:
        """Renew the lease of a job; "cancel": it is to end, "lost": it is no longer this owner's attempt."""
        return self._beat(id, attempt, Lease(owner, now, lease_s), peak_mb)

    def finish(
        self,
        id: str,
        attempt: int,
        to: str,
        model: ModelRecord | None = None,
        *,
        when: Collection[str] | None = None,
        **columns: Unpack[JobColumns],
    ) -> bool:
        """End a job of this attempt that is in one of the states `when` (default: that is not finished).

        The job, the event and the model, as the next version of its name, are written together or not at all. Return
        whether they were; the model is then found by its id.
        """
        values = _columns(columns)
        if model is not None:
            values.setdefault("model_id", model.id)
        with self._database.writing() as connection:
            done = self._swap(connection, Swap(id, when, attempt, to, values))
            if done is not None and model is not None:
                add_model(connection, model)
            return done is not None

    def checkpoints(self, id: str) -> Checkpoints:
        """Return the checkpoints, the last step first."""
        query = select(checkpoints).where(checkpoints.c.job_id == id).order_by(checkpoints.c.step.desc())
        with self._database.reading() as connection:
            return [record_of(CheckpointRecord, row) for row in connection.execute(query).mappings()]

    def add_checkpoints(self, id: str, attempt: int, rows: Sequence[CheckpointRecord]) -> bool:
        """Add checkpoints, in the place of those of the same steps; False where this is no longer the attempt."""
        last_of_step = {row.step: {**row_of(row), "job_id": id} for row in rows}
        with self._database.writing() as connection:
            if not self._fenced(connection, id, attempt):
                return False
            if last_of_step:
                steps = checkpoints.c.step.in_(list(last_of_step))
                connection.execute(delete(checkpoints).where(checkpoints.c.job_id == id, steps))
                connection.execute(insert(checkpoints), list(last_of_step.values()))
            return True

    def forget_checkpoints_after(self, id: str, step: int) -> None:
        """Delete the checkpoints of later steps: the job goes on from this one."""
        with self._database.writing() as connection:
            connection.execute(delete(checkpoints).where(checkpoints.c.job_id == id, checkpoints.c.step > step))

    def _insert(self, record: JobRecord, events: Sequence[EventRecord]) -> None:
        with self._database.writing() as connection:
            connection.execute(insert(jobs).values({**row_of(record), **_tracked(record.integrations)}))
            self._use_files(connection, record.id, record.file_ids)
            self._add_events(connection, record, events)

    def _live_with(self, fingerprint: str) -> str | None:
        query = select(jobs.c.id).where(jobs.c.fingerprint == fingerprint, jobs.c.finished_at.is_(None))
        with self._database.reading() as connection:
            found: str | None = connection.execute(query).scalar()
            return found


def _tracked(integrations: Sequence[Json]) -> dict[str, Any]:
    """What jobs are found by of their first Weights & Biases run."""
    run = next((one for one in integrations if one.get("type") == "wandb"), {})
    return {"wandb_project": run.get("project"), "wandb_name": run.get("name") or run.get("run_name")}


def _columns(columns: JobColumns) -> dict[str, Any]:
    values: dict[str, Any] = dict(columns)
    if "integrations" in columns:
        values |= _tracked(columns["integrations"])
    return values


def _conditions(filters: JobFilters) -> list[ColumnElement[bool]]:
    conditions = one_of(jobs.c.status, filters.get("status"))
    for name in ("model", "created_by", "wandb_project", "wandb_name", "suffix", "dataset_id"):
        conditions += one_of(jobs.c[name], filters.get(name))  # type: ignore[arg-type]
    conditions += searched(filters.get("search"), jobs.c.id, jobs.c.name, jobs.c.title)
    if (after := filters.get("created_after")) is not None:
        conditions.append(jobs.c.created_at >= after)
    if (before := filters.get("created_before")) is not None:
        conditions.append(jobs.c.created_at <= before)
    return conditions
