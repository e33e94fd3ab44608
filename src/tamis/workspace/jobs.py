"""Fine-tuning jobs: what may be asked of one, and how it is started, watched and cancelled.

Owns the rules of a job's making. What a job does when it runs is in `tamis.jobs`; how it looks, in routers.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from shutil import rmtree
from time import time
from typing import Any
from uuid import uuid4

from tamis.data.declared import DeclaredTarget
from tamis.data.loading import MOST_BAD_SHARE, MOST_WEIGHT
from tamis.errors import (
    IllegalTransition,
    InvalidRequest,
    InvalidSetting,
    Overloaded,
    UnknownJob,
)
from tamis.jobs.aside import Bounds, Check
from tamis.jobs.choosing import choices_of
from tamis.jobs.ending import ask_to_cancel
from tamis.jobs.measuring import measure_aside
from tamis.jobs.states import LIVE, Move, Phase, Status, before
from tamis.jobs.tracking import WANDB, secret_name
from tamis.jobs.validation import Measured, declared_targets
from tamis.ml.cards import CARDS
from tamis.ml.holding_out import NOTHING_TO_VALIDATE
from tamis.ml.registry import NAME
from tamis.ml.schedule import Hyperparameters, hyperparameters
from tamis.settings import HOSTED_BASES, Settings
from tamis.store.opening import Store
from tamis.store.records import TEST_FILE, CheckpointRecord, EventRecord, JobFilters, JobRecord
from tamis.workspace.files import Files

__all__ = ["LIVE_JOBS", "Integration", "JobDetail", "Jobs", "Measured", "NewJob"]

LIVE_JOBS = tuple(status.value for status in Status if status in LIVE)
"""States of jobs that are not finished."""

MOST_SUFFIX = 18
LEAST_TRACKER_KEY = 40
DRY_RUN_MB = 1024
"""Memory of a dry run's process at most: a small file, packed, can be as large as the disk."""

_SUFFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Integration:
    """A tracker that a job reports to; its key is sealed before anything is stored."""

    type: str
    project: str
    api_key: str = field(repr=False, default="")
    name: str | None = None
    run_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job as it is asked for.

    Attributes:
        model: the base model's name, as the caller writes it.
        training_files: ids with weights.
        validation_files: ids.
        hyperparameters: by name, as `tamis.ml.schedule.Hyperparameters` has them; None is as good as absent.
        max_bad_share: share of bad rows up to which they are left out.
        targets: `name`, `labels`, `weight` and `loss_function` of targets that are not to be inferred.
        job_type: None or "classifier".
        repositories: whether the caller wants data from a repository.
        title: what the caller calls the model.
        dataset_id: where the files are those of a dataset.
        test_file: the id of a file that nothing is fitted to: the model is measured on it at the job's end.
    """

    model: str
    training_files: Sequence[tuple[str, float]]
    validation_files: Sequence[str] = ()
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    suffix: str | None = None
    integrations: Sequence[Integration] = ()
    auto_start: bool = False
    max_bad_share: float = 0.0
    targets: Sequence[Mapping[str, Any]] | None = None
    job_type: str | None = None
    repositories: bool = False
    created_by: str | None = None
    title: str | None = None
    dataset_id: str | None = None
    test_file: str | None = None


@dataclass(frozen=True, slots=True)
class JobDetail:
    """A job with what happened (oldest first) and its checkpoints (the last step first)."""

    job: JobRecord
    events: Sequence[EventRecord]
    checkpoints: Sequence[CheckpointRecord]

    @property
    def is_taken_from_best(self) -> bool:
        """Whether its model is as it was when it was best, by validation rows that count; else it learns all rows."""
        return bool(self.job.validation_files) and not self.is_validation_left_aside

    @property
    def is_validation_left_aside(self) -> bool:
        """Whether no row of its validation data can be judged, so that rows of the training data are held out."""
        return any(event.data.get("remark") == NOTHING_TO_VALIDATE for event in self.events)


class Jobs:
    """The jobs of a workspace."""

    def __init__(self, store: Store, files: Files, settings: Settings) -> None:
        """Take the store, the files that jobs learn from, and the operator's choices."""
        self._store, self._files, self._settings = store, files, settings
        self._dry_runs = threading.BoundedSemaphore(settings.max_dry_runs)

    def create(self, new: NewJob) -> JobRecord:
        """Make a job and queue it for validation.

        Raises:
            InvalidRequest: a field is not what it should be.
            UnknownFile: a file is not there.
            SimilarJob: one like it is not finished.
            Overloaded: very many jobs are not finished.
            StorageFull: it is to start by itself, and there is no room on the disk.
        """
        record = self.prepare(new)
        if new.auto_start:
            self._files.room.require()
        if self._store.jobs.live() >= self._settings.max_live_jobs:
            raise Overloaded(
                f"{self._settings.max_live_jobs} jobs are not finished yet (max_live_jobs): wait, or cancel some.",
                retry_after=60,
            )
        for place, integration in enumerate(new.integrations):
            self._store.secrets.put(record.id, secret_name(integration.type, place), integration.api_key)
        try:
            self._store.jobs.add(record)
        except BaseException:
            self._store.secrets.drop(record.id)
            raise
        return record

    def prepare(self, new: NewJob) -> JobRecord:
        """Return the job that a request comes to, without making it: for a dry run.

        Raises:
            InvalidRequest: a field is not what it should be.
            UnknownFile: a file is not there.
        """
        chosen = _check(new)
        base = self._base(new.model)
        first = None
        for file_id, _ in new.training_files:
            first = first or self._files.get(file_id)
        for file_id in (*new.validation_files, *([new.test_file] if new.test_file else [])):
            self._files.get(file_id)
        now = int(time())
        asked = None if new.targets is None else tuple(dict(target) for target in new.targets)
        return JobRecord(
            id=str(uuid4()),
            status=Status.QUEUED.value,
            phase=Phase.VALIDATE.value,
            model=new.model,
            base=base,
            name=new.suffix or _name(new.title or (first.name.partition(".")[0] if first else "")),
            suffix=new.suffix,
            auto_start=new.auto_start,
            hyperparameters=chosen.model_dump(),
            training_files=tuple((file_id, float(weight)) for file_id, weight in new.training_files),
            validation_files=tuple(new.validation_files),
            integrations=tuple(_public(integration) for integration in new.integrations),
            asked_targets=asked,
            max_bad_share=new.max_bad_share,
            fingerprint=_fingerprint(new, chosen, base),
            created_at=now,
            modified_at=now,
            created_by=new.created_by,
            title=new.title,
            dataset_id=new.dataset_id,
            metadata={TEST_FILE: new.test_file} if new.test_file else {},
        )

    def dry_run(self, new: NewJob, check: Check = lambda: None) -> Measured:
        """Return what a job would come to, without making it; `check` is called meanwhile, and may end it.

        Raises:
            DataError: its files cannot be learnt from.
            InvalidRequest: a field is not what it should be.
            UnknownFile: a file is not there.
            LimitExceeded: reading them takes longer, or more memory, than a request may.
            Overloaded: others are at it.
        """
        job, choices = self.prepare(new), choices_of(self._settings)
        bounds = Bounds(self._settings.request_timeout_s, min(DRY_RUN_MB, choices.memory_mb))
        if not self._dry_runs.acquire(blocking=False):
            most = self._settings.max_dry_runs
            why = "Another dry run is reading its files" if most == 1 else f"{most} dry runs are reading their files"
            raise Overloaded(f"{why} (max_dry_runs): try again in a moment.", retry_after=5)
        try:
            return measure_aside(job, self._settings.home, bounds, check)
        finally:
            self._dry_runs.release()
            rmtree(choices.work / job.id, ignore_errors=True)

    def get(self, job_id: str) -> JobDetail:
        """Return a job.

        Raises:
            UnknownJob: there is none.
        """
        job = self.record(job_id)
        return JobDetail(job, self._store.jobs.events(job_id), self._store.jobs.checkpoints(job_id))

    def list(self, page: int, page_size: int, filters: JobFilters) -> tuple[list[JobRecord], int]:
        """Return one page of the jobs, the newest first, and how many there are in all."""
        return self._store.jobs.list(page, page_size, **filters)

    def start(self, job_id: str) -> JobDetail:
        """Queue a validated job for training.

        Raises:
            UnknownJob: there is none.
            IllegalTransition: it is not validated, or was started already.
            StorageFull: there is no room on the disk.
        """
        self._files.room.require()
        job = self._store.jobs.change(
            job_id, when=before(Move.START), to=Status.QUEUED.value, quiet=True, phase=Phase.TRAIN.value
        )
        if job is None:
            status = self.record(job_id).status
            raise IllegalTransition(f"The job is {status}: only a VALIDATED job can be started.", status=status)
        return self.get(job_id)

    def cancel(self, job_id: str) -> JobDetail:
        """Cancel a job: at once where no worker holds it, else within seconds.

        Raises:
            UnknownJob: there is none.
            IllegalTransition: it is finished.
        """
        ask_to_cancel(self._store.jobs, partial(self.record, job_id))
        return self.get(job_id)

    def _base(self, model: str) -> str:
        """The base model that a name stands for: built in, or chosen by the operator; callers name no folders here."""
        base = self._settings.resolve_base(model)
        if base == model and model not in CARDS and model != self._settings.default_base_model:
            there = ", ".join([*HOSTED_BASES, *self._settings.base_aliases, *CARDS])
            raise _invalid(
                "model", f"{model[:200]!r} cannot be fine-tuned here: there are {there}; the operator adds base_aliases"
            )
        return base

    def record(self, job_id: str) -> JobRecord:
        """Return a job alone.

        Raises:
            UnknownJob: there is none.
        """
        job = self._store.jobs.find(job_id)
        if job is None:
            raise UnknownJob(f"There is no job {job_id}.", job=job_id)
        return job


def _check(new: NewJob) -> Hyperparameters:
    """Check what needs no look at files; return the hyperparameters."""
    if new.job_type not in (None, "classifier"):
        raise _invalid("job_type", f"{new.job_type[:40]!r} jobs are not made here: classifiers are")
    if new.repositories:
        raise _invalid("repositories", "data from repositories is not read: upload it as files")
    _check_files(new.training_files)
    if new.suffix is not None and (len(new.suffix) > MOST_SUFFIX or not _SUFFIX.fullmatch(new.suffix)):
        raise _invalid("suffix", f"give 1 to {MOST_SUFFIX} letters, digits, dots, dashes or underscores")
    if not 0 <= new.max_bad_share <= MOST_BAD_SHARE:
        raise _invalid("invalid_sample_skip_percentage", f"{new.max_bad_share} is not between 0 and {MOST_BAD_SHARE}")
    for integration in new.integrations:
        _check_integration(integration)
    if new.targets is not None:
        declared(new.targets)
    try:
        return hyperparameters(**new.hyperparameters)
    except InvalidSetting as error:
        name = str(error.context.get("setting", ""))
        raise InvalidRequest(
            f"body.hyperparameters: {error.for_callers}", loc=["body", "hyperparameters", name]
        ) from None


def _check_files(training_files: Sequence[tuple[str, float]]) -> None:
    if not training_files:
        raise _invalid("training_files", "give at least one file's id")
    for _, weight in training_files:
        if not 0 < weight <= MOST_WEIGHT:
            raise _invalid("training_files", f"the weight {weight} is not above 0 and up to {MOST_WEIGHT:,.0f}")


def _check_integration(integration: Integration) -> None:
    if integration.type != WANDB:
        raise _invalid("integrations", f"there is no integration {integration.type[:40]!r}: use wandb")
    if not integration.project.strip():
        raise _invalid("integrations", "the project has no name")
    if len(integration.api_key) < LEAST_TRACKER_KEY or not integration.api_key.isprintable():
        raise _invalid("integrations", f"a Weights & Biases key has at least {LEAST_TRACKER_KEY} characters")


def declared(targets: Sequence[Mapping[str, Any]]) -> list[DeclaredTarget]:
    """Return targets of a request as declarations.

    Raises:
        InvalidRequest: one cannot be meant.
    """
    try:
        return declared_targets(targets)
    except (InvalidSetting, KeyError, TypeError, ValueError) as error:
        why = f"there is no loss function or field {error}" if isinstance(error, KeyError) else error
        raise _invalid("classifier_targets", str(why).rstrip(".")) from None


def _public(integration: Integration) -> dict[str, Any]:
    """What is kept of an integration: everything but its key."""
    return {
        "type": integration.type,
        "project": integration.project,
        "name": integration.name,
        "run_name": integration.run_name,
        "url": None,
    }


def _fingerprint(new: NewJob, chosen: Hyperparameters, base: str) -> str:
    """What similar jobs share: files, base model, hyperparameters, suffix and declared targets."""
    same = {
        "training_files": sorted([file_id, float(weight)] for file_id, weight in new.training_files),
        "validation_files": sorted(new.validation_files),
        "base": base,
        "hyperparameters": chosen.model_dump(),
        "suffix": new.suffix,
        "targets": None if new.targets is None else [dict(target) for target in new.targets],
        "max_bad_share": new.max_bad_share,
        **({TEST_FILE: new.test_file} if new.test_file else {}),
    }
    return hashlib.sha256(json.dumps(same, sort_keys=True, default=str).encode()).hexdigest()


def _name(said: str) -> str:
    """A model's name from what its maker calls it, or its file."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", said).strip("-._")[:64]
    return stem if NAME.fullmatch(stem) else "classifier"


def _invalid(field: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"body.{field}: {why}.", loc=["body", field])
