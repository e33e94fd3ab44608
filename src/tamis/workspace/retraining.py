"""From what was answered in a review queue to a better model: four steps, each begun when the former is done.

The training rows are written anew with the answers, become a file, a job learns from it as the last one did, and the
new version is measured beside the old one on rows that neither learnt from. What a round has come to stands in its
operation's summary. A round goes on whenever somebody looks at it, so that it survives restarts.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tamis.errors import Conflict, InvalidRequest, NotFound, SimilarJob, TamisError
from tamis.settings import Settings
from tamis.store.opening import Store
from tamis.store.records import FileRecord, JobRecord, ModelRecord, OperationRecord
from tamis.workspace.background import LIVE, SUCCESS
from tamis.workspace.files import FINE_TUNE, NewFile
from tamis.workspace.jobs import LIVE_JOBS, Jobs, NewJob
from tamis.workspace.looks import Looks
from tamis.workspace.operations import NewOperation

RELABEL, GAIN = "relabel", "gain"
WRITING, TRAINING, MEASURING, DONE, FAILED = "writing", "training", "measuring", "done", "failed"
UNDER_WAY = (WRITING, TRAINING, MEASURING)

MOST_TRIES = 20
"""Rounds that are looked through for one that did not fail."""

FILE, JOB, GAINED, PROBLEM = "file", "job", "gain", "problem"
"""Keys of a round's summary: the new file, the job, the operation that measures, what went wrong."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What the newest version of a model learnt from, as far as that is known: where a round begins."""

    model: ModelRecord
    job: JobRecord | None
    training: tuple[FileRecord, ...] = ()
    measured: FileRecord | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """One round, and what it has come to.

    Attributes:
        record: the operation that writes the rows.
        state: WRITING, TRAINING, MEASURING, DONE or FAILED.
        share: how far the step is, 0 to 1; None where that is not known.
        problem: what went wrong.
        file: the new version of the file.
        job: the job that learns from it.
        gain: the operation that measures both versions.
        model: the new version.
    """

    record: OperationRecord
    state: str
    share: float | None = None
    problem: str = ""
    file: FileRecord | None = None
    job: JobRecord | None = None
    gain: OperationRecord | None = None
    model: ModelRecord | None = None

    @property
    def is_live(self) -> bool:
        """Whether it is not over."""
        return self.state in UNDER_WAY


class Retraining:
    """The rounds of a workspace."""

    def __init__(self, looks: Looks, jobs: Jobs, store: Store, settings: Settings) -> None:
        """Take the answers, what learns from them, the store, and the operator's choices."""
        self._looks, self._jobs, self._store = looks, jobs, store
        self._files, self._models, self._operations = looks.files, looks.models, looks.operations
        self._default_base = settings.default_base_model
        self._lock = threading.Lock()
        self._begun: set[str] = set()  # rounds whose file is copied, and whose job is made, at this moment

    def origin(self, name: str) -> Origin:
        """Return what the newest version of a model learnt from.

        Raises:
            UnknownModel: there is no such model.
        """
        model = self._looks.model(name)
        job = self._store.jobs.find(model.job_id) if model.job_id else None
        if job is None:
            return Origin(model, None)
        training = [self._store.files.find(file_id) for file_id, _ in job.training_files]
        there = tuple(file for file in training if file is not None) if all(training) else ()
        tested = next(iter((*([job.test_file] if job.test_file else []), *job.validation_files)), None)
        return Origin(model, job, there, self._store.files.find(tested) if tested else None)

    def begin(
        self, name: str, training: str | None = None, measured: str | None = None, by: str | None = None
    ) -> OperationRecord:
        """Begin a round.

        Args:
            name: the model's.
            training: the file whose rows are written anew; None: those that the newest version learnt from.
            measured: the file that both versions are measured on; None: the former job's test or validation file.
            by: who asks.

        Raises:
            UnknownModel: there is no such model.
            UnknownFile: there is no such file.
            InvalidRequest: it is not known what the model learnt from, or the file is measured on as well.
            Conflict: a round is under way, or nothing was answered.
            Overloaded: very many operations are not finished.
        """
        origin = self.origin(name)
        if not self._looks.line(name).answered:
            raise Conflict("Nothing was answered yet: answer some rows, then train again.")
        if any(each.is_live for each in self.rounds(name, 1)):
            raise Conflict("A new version is being made already: wait until it is done.")
        sources = [self._files.get(training)] if training else list(origin.training)
        if not sources:
            raise InvalidRequest(
                "It is not known which file this model learnt from: choose one.", loc=["body", "training"]
            )
        if training is None and origin.job and len({weight for _, weight in origin.job.training_files}) > 1:
            raise InvalidRequest(
                "This model learnt from files of different weights: choose the one to go on with.",
                loc=["body", "training"],
            )
        kept_out = self._measured(origin, measured)
        if {file.id for file in sources} & set(kept_out):
            raise InvalidRequest(
                "A model cannot be measured on the rows it learns from: choose another file to measure on.",
                loc=["body", "measured"],
            )
        told = {
            "name": name,
            "before": origin.model.id,
            "files": [file.id for file in sources],
            "measured": kept_out,
            "measure_on": measured or (origin.measured.id if origin.measured else None),
            "output": name_of_version(sources[0].name),
            "targets": [{"name": each["name"], "kind": each.get("kind")} for each in origin.model.targets],
        }
        title = f"{name} with what was answered"
        return self._operations.create(
            NewOperation(kind=RELABEL, title=title, told=told, model_id=origin.model.id, created_by=by)
        )

    def rounds(self, name: str, most: int = 5) -> list[Round]:
        """Return the latest rounds of a model, the newest first; what can go on goes on."""
        found, _ = self._operations.list(0, most, {"kind": RELABEL, "told": {"name": name}})
        return [self._stood(each) for each in found]

    def learnt(self, name: str) -> int:
        """Return how many answers the newest round learns from that has not failed, among the latest."""
        found, _ = self._operations.list(0, MOST_TRIES, {"kind": RELABEL, "told": {"name": name}})
        stood = (self._stood(each) for each in found)
        return next((int(each.record.summary.get("answers", 0)) for each in stood if each.state != FAILED), 0)

    def _measured(self, origin: Origin, measured: str | None) -> list[str]:
        """The files whose rows a model must not learn from: what it is measured on, and what it was chosen by."""
        job = origin.job
        there = [measured, *((job.test_file, *job.validation_files) if job else ())]
        wanted = dict.fromkeys(each for each in there if each)
        if measured:
            self._files.get(measured)
        return [each for each in wanted if each == measured or self._store.files.find(each) is not None]

    def _stood(self, record: OperationRecord) -> Round:
        """Return how a round stands, after the next step was begun if there is one to begin."""
        if record.status in LIVE:
            return Round(record, WRITING, record.progress)
        if record.status != SUCCESS:
            return Round(record, FAILED, problem=record.error or "It was cancelled.")
        try:
            begun = self._with_job(record)
        except NotFound:
            return Round(record, FAILED, problem="It was deleted.")
        if begun is None:
            return Round(record, WRITING, record.progress)
        record = begun
        problem, known = record.summary.get(PROBLEM), Round(record, FAILED)
        file = self._store.files.find(str(record.summary.get(FILE)))
        if problem:
            return replace(known, problem=str(problem), file=file)
        job = self._store.jobs.find(str(record.summary.get(JOB)))
        if job is None:
            return replace(known, problem="The job was deleted.", file=file)
        known = replace(known, file=file, job=job)
        if job.status in LIVE_JOBS:
            return replace(known, state=TRAINING, share=_share_of(job.metadata))
        model = self._store.models.find(job.model_id) if job.model_id else None
        if job.status != SUCCESS or model is None:
            return replace(known, problem=_why(job))
        return self._measured_round(replace(known, model=model))

    def _with_job(self, record: OperationRecord) -> OperationRecord | None:
        """Make a file of the rows and a job of the file, once; None while that is done for somebody else."""
        if _has_job(record):
            return record
        with self._lock:
            if record.id in self._begun:
                return None
            self._begun.add(record.id)
        try:
            record = self._operations.get(record.id)
            return record if _has_job(record) else self._with_new_job(record)
        finally:
            self._begun.discard(record.id)

    def _with_new_job(self, record: OperationRecord) -> OperationRecord:
        try:
            file = self._file(record)
            more = {FILE: file.id, JOB: self._job(record, file)}
        except TamisError as error:
            more = {PROBLEM: error.for_callers}
        return self._noted(record, more)

    def _file(self, record: OperationRecord) -> FileRecord:
        name = str(record.result_name)
        by, layout = record.created_by, record.summary.get("layout")
        upload = self._files.begin(NewFile(name=name, purpose=FINE_TUNE, created_by=by, layout=layout))
        try:
            for piece in self._operations.read(record.id):
                upload.write(piece)
        except BaseException:
            upload.abort()
            raise
        return upload.commit()

    def _job(self, record: OperationRecord, file: FileRecord) -> str:
        """Queue a job that learns as the one before did, from the new file."""
        before = self._store.models.find(str(record.told["before"]))
        if before is None:
            raise Conflict("The version that was to be improved was deleted.")
        former = self._store.jobs.find(before.job_id) if before.job_id else None
        new = NewJob(
            model=former.model if former else self._base(before),
            training_files=[(file.id, 1.0)],
            suffix=former.suffix if former else None,
            title=(former.title if former else None) or before.title or before.name,
            hyperparameters=former.asked if former else {},
            validation_files=self._still_there(former.validation_files) if former else (),
            test_file=self._test_file(record, former),
            targets=_declared(former, record.summary.get("labels")),
            max_bad_share=former.max_bad_share if former else 0.0,
            auto_start=True,
            created_by=record.created_by,
        )
        if self._jobs.prepare(new).name != before.name:
            new = replace(new, suffix=None, title=before.name)
        try:
            return self._jobs.create(new).id
        except SimilarJob as similar:
            return str(similar.context["job_id"])

    def _test_file(self, record: OperationRecord, former: JobRecord | None) -> str | None:
        """What is measured on now, so that the next round is measured on it too; validation files are no test."""
        chosen = record.told.get("measure_on")
        if former and chosen in former.validation_files:
            chosen = former.test_file
        return next(iter(self._still_there([str(chosen)])), None) if chosen else None

    def _base(self, model: ModelRecord) -> str:
        """The base model to start from where no job tells: the model's own, if jobs may use it here."""
        offered = {base.name for base in self._models.bases()}
        return next((name for name in (model.root, model.base) if name in offered), self._default_base)

    def _still_there(self, file_ids: Sequence[str]) -> list[str]:
        return [file_id for file_id in file_ids if self._store.files.find(file_id) is not None]

    def _measured_round(self, known: Round) -> Round:
        """Have both versions measured, once."""
        record, model = known.record, known.model
        file = str(record.told.get("measure_on") or "")
        if model is None or not file:
            return replace(known, state=DONE)
        with self._lock:
            record = self._operations.get(record.id)
            if not record.summary.get(GAINED):
                record = self._noted(record, self._measuring(record, model, file))
        if record.summary.get(PROBLEM):
            return replace(known, record=record, state=DONE, problem=str(record.summary[PROBLEM]))
        try:
            gain = self._operations.get(str(record.summary[GAINED]))
        except NotFound:
            return replace(known, record=record, state=DONE)
        if gain.status in LIVE:
            return replace(known, record=record, state=MEASURING, share=gain.progress, gain=gain)
        return replace(known, record=record, state=DONE, gain=gain, problem=gain.error or "")

    def _measuring(self, record: OperationRecord, model: ModelRecord, file: str) -> dict[str, str]:
        before = self._store.models.find(str(record.told["before"]))
        if before is None:
            return {PROBLEM: "The version before was deleted: there is nothing to compare with."}
        told = {
            "after": model.id,
            "after_name": f"{model.name}@{model.version}",
            "before": before.id,
            "before_name": f"{before.name}@{before.version}",
            "file": file,
        }
        new = NewOperation(
            kind=GAIN,
            title=f"{told['after_name']} beside {told['before_name']}",
            told=told,
            model_id=model.id,
            created_by=record.created_by,
        )
        try:
            return {GAINED: self._operations.create(new).id}
        except TamisError as error:
            return {PROBLEM: error.for_callers}

    def _noted(self, record: OperationRecord, more: Mapping[str, Any]) -> OperationRecord:
        changed = self._store.operations.change(record.id, summary={**record.summary, **more})
        return changed or record


def _has_job(record: OperationRecord) -> bool:
    """Whether a round has its job, or cannot have one."""
    return bool(record.summary.get(JOB) or record.summary.get(PROBLEM))


def _why(job: JobRecord) -> str:
    """Why there is no model of a job that is over."""
    if job.error:
        return job.error
    return "The new version was deleted." if job.model_id else "The training was cancelled."


def _share_of(metadata: Mapping[str, Any]) -> float | None:
    """How far a training is, by its job's metadata."""
    progress = metadata.get("progress")
    share = progress.get("share") if isinstance(progress, dict) else None
    return float(share) if isinstance(share, int | float) else None


def _declared(former: JobRecord | None, said: object) -> list[dict[str, Any]] | None:
    """The targets that the former job declared, if it did, with the labels that answers brought."""
    if former is None or former.asked_targets is None:
        return None
    answered = said if isinstance(said, dict) else {}
    declared = []
    for target in former.asked_targets:
        labels = target.get("labels")
        more = [label for label in answered.get(target.get("name"), ()) if label not in (labels or ())]
        declared.append({**target, "labels": [*labels, *more]} if labels and more else dict(target))
    return declared


def name_of_version(name: str) -> str:
    """Return what the next version of a file is called: `rows.v2.jsonl` for `rows.csv`, `rows.v3.jsonl` after that."""
    stem = re.sub(r"\.[A-Za-z0-9]{1,8}$", "", name.removesuffix(".gz"))
    found = re.fullmatch(r"(.+)\.v([0-9]{1,6})", stem)
    base, number = (found[1], int(found[2]) + 1) if found else (stem, 2)
    return f"{base or 'rows'}.v{number}.jsonl"
