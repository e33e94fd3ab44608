"""The second half of a job: train, and leave a model that is there whole or not at all."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, time
from typing import Any, cast
from uuid import UUID, uuid4, uuid5

from tamis.data.layout import Layout
from tamis.errors import Cancelled, StorageFailed, TamisError, UnknownFile
from tamis.jobs.reporting import Reporter
from tamis.jobs.states import Move, Status, before
from tamis.jobs.tools import Tools, files_here
from tamis.jobs.tracking import Tracking
from tamis.jobs.validation import declarations, training_data
from tamis.ml.model import Model
from tamis.ml.progress import Progress
from tamis.ml.restart import INDEX, RestartPoints
from tamis.ml.training import train
from tamis.store.opening import Store
from tamis.store.records import QUEUED, JobRecord, ModelRecord, OperationRecord

MIRROR_S = 60.0
"""Seconds between copies of the restart points to a bucket at least."""

EVALUATE = "evaluate"
"""The kind of the operation that measures a model row by row."""

CHOSEN = (
    *("training_steps", "epochs", "learning_rate", "weight_decay", "warmup_fraction", "seq_len", "seed"),
    *("optimise", "abstain_loss", "oos_label"),
)

log = logging.getLogger(__name__)


def run_training(tools: Tools, job: JobRecord, stop: Callable[[], bool], tracking: Tracking) -> None:
    """Train the job's model, store it, and end the job: all in one transaction, if this attempt still has the job.

    Raises:
        TamisError: it cannot be trained; the message says why.
        Cancelled: `stop` said so.
    """
    work = tools.choices.work / job.id
    work.mkdir(parents=True, exist_ok=True)
    points = _Points(tools.store, job, work / "restart")
    with files_here(tools.store, job.file_ids, work) as paths, Reporter(tools, job) as reporter:

        def listen(progress: Progress) -> None:
            reporter(progress)
            tracking(progress)
            points.mirror()

        chosen: dict[str, Any] = {name: job.asked.get(name) for name in CHOSEN}
        model = train(
            training_data(job, paths),
            [paths[file_id] for file_id in job.validation_files] or None,
            paths.get(job.test_file or ""),
            base=job.base,
            out=work / "model",
            name=job.name,
            targets=declarations(job),
            options=tools.choices.reading,
            layout=_layout(tools, job),
            max_bad_share=job.max_bad_share,
            overwrite=True,
            listener=listen,
            stop=stop,
            restart=RestartPoints(work / "restart"),
            **chosen,
        )
        reporter.finish(model)
        tracking.finish(model)
    if stop():
        raise Cancelled("The job was cancelled at its end: its model was not kept.")
    if _keep(tools.store, job, model, work / "model"):
        forget(tools, job.id)


def _layout(tools: Tools, job: JobRecord) -> Layout | None:
    """How the files were laid out that the training files were made from, where these were."""
    records = (tools.store.files.find(file_id) for file_id, _ in job.training_files)
    kept = next((each.layout for each in records if each is not None and each.layout), None)
    return None if kept is None else Layout.model_validate(kept)


def forget(tools: Tools, job_id: str) -> None:
    """Remove what a job needed while it ran."""
    shutil.rmtree(tools.choices.work / job_id, ignore_errors=True)
    tools.store.objects.delete_all(f"jobs/{job_id}")


def _keep(store: Store, job: JobRecord, model: Model, folder: Path) -> bool:
    """Store the artifact, then the model's row together with the job's end; return whether that was done.

    An attempt that was killed between the two left files without a row: they go with the end of the one that succeeds.
    """
    record = _record(store, job, model, folder)
    prefix = f"models/{record.id}"
    store.objects.put_folder(folder, prefix)
    tokens = max((int(cast("float", row.get("tokens", 0))) for row in model.manifest.checkpoints), default=0)
    kept = store.jobs.finish(
        job.id,
        job.attempt,
        Status.SUCCESS.value,
        record,
        when=before(Move.SUCCEED),
        fine_tuned_model=record.ft,
        trained_tokens=tokens or job.metadata.get("train_tokens"),
    )
    if not kept:
        store.objects.delete_all(prefix)
        return False
    with suppress(TamisError):  # the job has ended well, whatever becomes of this
        for earlier in range(1, job.attempt):  # one that was killed as it ended may have left its own
            store.objects.delete_all(f"models/{_model_id(job, earlier)}")
    if job.test_file:
        with suppress(TamisError):
            _measure_later(store, job, record)
    return True


def _model_id(job: JobRecord, attempt: int) -> str:
    """Return the id of the model that an attempt makes: a later one knows by it what to clear away."""
    return str(uuid5(UUID(job.id), f"model of attempt {attempt}"))


def _measure_later(store: Store, job: JobRecord, model: ModelRecord) -> None:
    """Queue the look at each row of the test file: the model's figures are there already. A server takes it up."""
    file_id, now = str(job.test_file), int(time())
    file = store.files.find(file_id)
    store.operations.add(
        OperationRecord(
            id=str(uuid4()),
            kind=EVALUATE,
            status=QUEUED,
            title=f"{job.title or job.name} on {file.name if file else file_id}",
            told={"model": model.id, "file": file_id},
            model_id=model.id,
            created_at=now,
            modified_at=now,
            created_by=job.created_by,
        )
    )


def _record(store: Store, job: JobRecord, model: Model, folder: Path) -> ModelRecord:
    model_id = _model_id(job, job.attempt)
    weights = {target["name"]: target.get("weight", 1.0) for target in job.targets}
    return ModelRecord(
        id=model_id,
        name=job.name,
        root=job.model,
        base=job.base,
        place=f"objects:models/{model_id}",
        created_at=int(time()),
        ft=ft_name(store, job),
        job_id=job.id,
        title=job.title,
        bytes=sum(path.stat().st_size for path in folder.iterdir()),
        context=model.manifest.tokens_read,
        targets=tuple(
            {**target.model_dump(mode="json"), "weight": weights.get(target.name, 1.0)} for target in model.targets
        ),
        metrics=dict(model.manifest.metrics),
        created_by=job.created_by,
    )


def ft_name(store: Store, job: JobRecord) -> str:
    """Return the hosted service's kind of name: base, suffix if any, workspace, day, beginning of the job's id."""
    workspace = store.sealer.derived("workspace").hex()[:8]
    day = datetime.now(UTC).strftime("%Y%m%d")
    parts = ["ft", "classifier", job.model, *([job.suffix] if job.suffix else []), workspace, day, job.id[:8]]
    return ":".join(parts)


class _Points:
    """Restart points where another machine finds them: nothing to do where the storage is a folder."""

    def __init__(self, store: Store, job: JobRecord, folder: Path) -> None:
        """Bring those of an earlier attempt."""
        self._store, self._folder, self._prefix = store, folder, f"jobs/{job.id}/restart"
        self._next = monotonic() + MIRROR_S
        self._seen = 0
        self._remote = store.objects.root is None
        if self._remote and not folder.exists():
            with suppress(StorageFailed, UnknownFile):
                store.objects.get_folder(self._prefix, folder)

    def mirror(self) -> None:
        """Copy the newest restart point to the bucket, once in a while."""
        if not self._remote or monotonic() < self._next:
            return
        self._next = monotonic() + MIRROR_S
        index = self._folder / INDEX
        with suppress(FileNotFoundError):
            if (seen := index.stat().st_mtime_ns) != self._seen:
                self._seen = seen
                self._store.objects.put_folder(self._folder, self._prefix, last=INDEX)
