"""A job at its trackers: what they are told of it, and what they say, as events of the job.

A job asks for Weights & Biases by itself; the operator chooses MLflow for all. No tracker ever fails or slows a job.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from math import isfinite
from time import monotonic
from typing import Any

from tamis.errors import SecretUnreadable, TamisError
from tamis.jobs.states import Status
from tamis.jobs.tools import Tools
from tamis.ml.manifest import tamis_version
from tamis.ml.model import Model
from tamis.ml.progress import Progress
from tamis.ml.trackers.background import BackgroundTracker, Told
from tamis.ml.trackers.builtin import TITLES
from tamis.ml.trackers.results import results_of
from tamis.ml.trackers.tracker import Outcome, TrackedRun
from tamis.store.records import JobRecord

EVENT = "integration"
MLFLOW, WANDB = "mlflow", "wandb"
MLFLOW_EXPERIMENT = "tamis"
LABELS_TOLD = 100

OUTCOMES = {
    Status.SUCCESS: Outcome.FINISHED,
    Status.FAILED: Outcome.FAILED,
    Status.CANCELLATION_REQUESTED: Outcome.KILLED,
    Status.CANCELLED: Outcome.KILLED,
    Status.QUEUED: Outcome.HANDED_BACK,
}
PATIENCE_S = {Outcome.FINISHED: 5.0, Outcome.FAILED: 5.0, Outcome.KILLED: 0.5, Outcome.HANDED_BACK: 2.0}
"""How long a child waits for a tracker's end. A cancelled one is killed a second after it was asked to stop."""

log = logging.getLogger(__name__)


def secret_name(kind: str, place: int) -> str:
    """Return the name of the secret with the key of a job's tracker: of so many, the one at this place."""
    return kind if place == 0 else f"{kind} {place}"


class Tracking:
    """The trackers of one attempt at a job. Each is told the same; what they say becomes events."""

    def __init__(self, tools: Tools, job: JobRecord) -> None:
        """Begin to report the job, where it or the operator asks for that."""
        self._tools, self._job = tools, job
        self._integrations = [dict(each) for each in job.integrations]
        self._writing = threading.Lock()
        self._last_step = 0
        self._trackers: list[BackgroundTracker] = []
        try:
            self._begin()
        except Exception:
            log.exception("The trackers could not be started: the job goes on without them.")

    def __call__(self, progress: Progress) -> None:
        """Take what a training run tells."""
        if not (self._trackers and progress.checkpoint):
            return
        figures = {name: float(value) for name, value in progress.checkpoint.items() if isfinite(value)}
        self._last_step = max(self._last_step + 1, int(figures.pop("step", 0)))
        for tracker in self._trackers:
            tracker.log(self._last_step, figures)

    def finish(self, model: Model) -> None:
        """Take the finished model: its report on held-out rows, and what it was trained on."""
        if not self._trackers:
            return
        data = model.manifest.data
        facts = {
            "data_sha256": data.sha256,
            "train_rows": data.train_rows,
            "validation_rows": data.validation_rows,
            "held_out_rows": model.run.held_out_rows if model.run else None,
        }
        results = results_of(model.run.held_out if model.run else None, facts)
        for tracker in self._trackers:
            tracker.report(results)

    def end(self) -> None:
        """Tell how the job ended, as the store has it, and wait a little for that to be reported."""
        if not self._trackers:
            return
        outcome = self._outcome()
        if outcome is None:
            for tracker in self._trackers:
                tracker.abandon()
            return
        for tracker in self._trackers:
            tracker.end_soon(outcome)
        until = monotonic() + PATIENCE_S[outcome]  # for all of them together
        for tracker in self._trackers:
            in_time = max(0.0, until - monotonic())
            tracker.wait(in_time, start_counts=outcome in (Outcome.FINISHED, Outcome.FAILED))

    def _outcome(self) -> Outcome | None:
        """How the job ended; None where this attempt has it no longer."""
        with suppress(TamisError):
            job = self._tools.store.jobs.find(self._job.id)
            if job is not None and job.attempt == self._job.attempt:
                return OUTCOMES.get(Status(job.status))
        return None

    def _begin(self) -> None:
        for place, run in self._runs():
            self._trackers.append(BackgroundTracker(run, partial(self._note, place)))

    def _runs(self) -> Iterator[tuple[int | None, TrackedRun]]:
        """Yield the runs of all trackers, with their places in the job's integrations."""
        config = config_of(self._job, self._files())
        chosen = self._tools.choices.trackers
        for place, integration in enumerate(self._integrations):
            if chosen.get("wandb_mode") == "disabled":
                self._note(place, Told(note="Nothing is reported: the operator switched it off (wandb_mode)."))
                continue
            key = self._key(place)
            if key is not None:
                yield place, self._run(place, integration, key, config)
        if chosen.get("mlflow_tracking_uri"):
            yield (
                None,
                TrackedRun(
                    tracker=MLFLOW,
                    id=self._job.id,
                    project=MLFLOW_EXPERIMENT,
                    title=self._job.name,
                    folder=self._folder(MLFLOW),
                    address=chosen["mlflow_tracking_uri"],
                    config=config,
                ),
            )

    def _run(self, place: int, integration: Mapping[str, Any], key: str, config: Mapping[str, Any]) -> TrackedRun:
        chosen = self._tools.choices.trackers
        return TrackedRun(
            tracker=str(integration["type"]),
            id=self._job.id if place == 0 else f"{self._job.id}-{place}",
            project=str(integration["project"]),
            title=str(integration.get("name") or integration.get("run_name") or self._job.name),
            folder=self._folder(f"{integration['type']}-{place}"),
            address=chosen.get("wandb_base_url", ""),
            mode=chosen.get("wandb_mode", ""),
            key=key,
            config=config,
        )

    def _folder(self, name: str) -> str:
        return str((self._tools.choices.home / "trackers" / self._job.id / name).absolute())

    def _key(self, place: int) -> str | None:
        """Open the key of a tracker; where that cannot be done, the job trains without it."""
        try:
            key = self._tools.store.secrets.get(self._job.id, secret_name(self._integrations[place]["type"], place))
        except SecretUnreadable:
            key = None
        if key is None:
            self._note(
                place,
                Told(
                    problem="The tracker's key cannot be opened: the server's secret key is not the one that it was "
                    "sealed with. Nothing is reported; make the job again, or give the server its former secret_key."
                ),
            )
        return key

    def _files(self) -> dict[str, str]:
        """The hashes of the job's files."""
        ids = [*(file_id for file_id, _ in self._job.training_files), *self._job.validation_files]
        found = {file_id: self._tools.store.files.find(file_id) for file_id in ids}
        return {file_id: record.sha256 for file_id, record in found.items() if record is not None}

    def _note(self, place: int | None, told: Told) -> None:
        """Write down what a tracker said: a run's place with the job's integrations, the rest as an event."""
        kind = MLFLOW if place is None else str(self._integrations[place]["type"])
        event: dict[str, Any] = {"type": kind, "tracker": TITLES.get(kind, kind)}
        if place is not None:
            event["project"] = self._integrations[place].get("project")
        if told.url:
            event["url"] = told.url
        if told.note or told.problem:
            home = f"{self._tools.choices.home}/"  # callers are not told where it is
            event["message"] = (told.problem or told.note).replace(home, "HOME/")
        if told.problem:
            log.warning("Job %s: %s", self._job.id, told.problem)
        jobs = self._tools.store.jobs
        jobs.add_event(self._job.id, EVENT, event, self._job.attempt)
        if place is None or not told.url:
            return
        with self._writing:
            self._integrations[place]["url"] = told.url
            jobs.change(
                self._job.id,
                when={status.value for status in Status},
                attempt=self._job.attempt,
                quiet=True,
                integrations=tuple(self._integrations),
            )


def config_of(job: JobRecord, hashes: Mapping[str, str]) -> dict[str, Any]:
    """Return a job's settings as trackers show them: of its data, sizes and hashes only."""
    return {
        "job": job.id,
        "tamis_version": tamis_version(),
        "model": job.model,
        "base": job.base,
        "name": job.name,
        "suffix": job.suffix,
        "hyperparameters": dict(job.hyperparameters),
        "rows": job.metadata.get("rows"),
        "validation_rows": job.metadata.get("validation_rows"),
        "data_tokens": job.metadata.get("data_tokens"),
        "train_tokens": job.metadata.get("train_tokens"),
        "targets": {
            str(target["name"]): {
                "loss_function": target.get("loss_function"),
                "n_labels": len(target.get("labels") or ()),
                "labels": list(target.get("labels") or ())[:LABELS_TOLD],
            }
            for target in job.targets
        },
        "training_files": {
            file_id: {"sha256": hashes.get(file_id), "weight": weight} for file_id, weight in job.training_files
        },
        "validation_files": {file_id: {"sha256": hashes.get(file_id)} for file_id in job.validation_files},
    }
