"""Datasets: labelled rows that are looked at when they come, and that jobs then learn from.

Owns their rules: names, types, which files may be parts of one, what becomes of the files. What a row may be is in
`jobs.dataset_rows`; how a dataset looks, in routers.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from time import time
from typing import Any

from tamis.errors import DataError, InUse, InvalidRequest, InvalidSetting, LimitExceeded, UnknownDataset
from tamis.jobs.choosing import choices_of
from tamis.jobs.dataset_rows import Counted, Reading, avro_schema, judge, reading_of
from tamis.jobs.reading_rows import AVRO, ROWS, Source, write_rows, write_rows_aside
from tamis.jobs.tools import files_here
from tamis.settings import Settings
from tamis.store.opening import Store
from tamis.store.records import DatasetFilters, DatasetRecord, FileRecord
from tamis.workspace.files import Files, NewFile, Upload

SINGLE = "single-label-classification-finetune-input"
MULTI = "multi-label-classification-finetune-input"
OTHER_TYPES = frozenset(
    {
        *("embed-input", "embed-result", "cluster-result", "cluster-outliers", "reranker-finetune-input"),
        *("chat-finetune-input", "batch-chat-input", "batch-chat-v2-input", "batch-openai-chat-input"),
        *("batch-embed-v2-input", "audio-chat-finetune-input", "prompt-completion-finetune-input"),
    }
)
"""Types that the hosted service had for other products."""

PROCESSING, VALIDATED, FAILED = "processing", "validated", "failed"
DATA, EVAL_DATA = "data", "eval_data"
PARTS = (DATA, EVAL_DATA)
MOST_NAME = 50
ENDINGS = (".jsonl", ".csv")
SOURCE = "dataset"
"""What files say of where they come from that were made of a dataset's."""

FEW = 2**20
"""Bytes of a file whose rows are read in the server's own process: a tenth of a second of it."""

AT_ONCE = 2
"""Files that are read by processes of their own; more wait."""

PIECE = 2**20

LOST_S = 900
"""Seconds after which a dataset that is still looked at was forgotten, with the process that looked."""

Found = list[DatasetRecord]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDataset:
    """A dataset as it is asked for."""

    name: str
    type: str
    keep_original: bool = False
    skip_malformed: bool = False
    keep_fields: Sequence[str] = ()
    csv_delimiter: str | None = None
    created_by: str | None = None

    @property
    def several(self) -> bool:
        """Whether a row has any number of labels."""
        return self.type == MULTI


class Datasets:
    """The datasets of a workspace."""

    def __init__(self, store: Store, files: Files, settings: Settings) -> None:
        """Take the store, the files that datasets are made of, and the operator's limits."""
        self._store, self._files, self._settings = store, files, settings
        self._reading_aside = threading.BoundedSemaphore(AT_ONCE)

    def check(self, new: NewDataset) -> None:
        """Do nothing where a dataset can be made, before any of its rows is sent.

        Raises:
            InvalidRequest: the name, type or delimiter is none that it can have.
        """
        if not new.name.strip() or len(new.name) >= MOST_NAME:
            raise _invalid("name", f"give 1 to {MOST_NAME - 1} characters")
        if new.type in OTHER_TYPES:
            raise _invalid("type", f"{new.type} is for other products than classification: use {SINGLE} or {MULTI}")
        if new.type not in (SINGLE, MULTI):
            raise _invalid("type", f"there is no type {new.type[:80]!r}: use {SINGLE} or {MULTI}")
        try:
            self._reading(new)
        except InvalidSetting as error:
            raise _invalid("csv_delimiter", error.message.rstrip(".")) from None

    def begin(self, new: NewDataset, part: str, filename: str) -> Upload:
        """Begin the upload of a part.

        Raises:
            InvalidRequest: a dataset has no such part, or not of such a file.
        """
        name = filename or "upload"
        ending = Path(name).suffix.lower()
        if ending and ending not in ENDINGS:
            raise _refused(part, f"{name[-80:]!r} is of no kind that is read here: send a .jsonl or .csv file")
        if ending == ".csv" and new.several:
            raise _refused(part, "a CSV file cannot hold several labels a row: send JSON lines, with a list in `label`")
        return self._files.begin(NewFile(name=name, source=SOURCE, created_by=new.created_by))

    def create(self, new: NewDataset, parts: dict[str, FileRecord]) -> DatasetRecord:
        """Make a dataset of uploaded files, and look at their rows at once: it is validated then, or has failed.

        Raises:
            InvalidRequest: the part `data` is missing.
        """
        if DATA not in parts:
            self._drop(parts.values())
            raise _refused(DATA, "the form has no file of this name")
        now = int(time())
        record = DatasetRecord(
            id=_id(new.name),
            name=new.name,
            type=new.type,
            status=PROCESSING,
            created_at=now,
            modified_at=now,
            created_by=new.created_by,
        )
        self._store.datasets.add(record)
        try:
            found = self._look(new, parts)
        except (DataError, LimitExceeded) as error:
            self._drop(parts.values())
            return self._change(record, status=FAILED, error=error.for_callers)
        except BaseException:
            self._drop(parts.values())
            self._store.datasets.delete(record.id)
            raise
        if not new.keep_original or found.error:
            self._drop(parts.values())
        try:
            return self._change(
                record,
                status=FAILED if found.error else VALIDATED,
                error=found.error,
                warnings=tuple(found.warnings),
                parts=tuple(found.parts),
                metrics=found.metrics,
                bytes=found.bytes,
            )
        except UnknownDataset:  # deleted while its rows were looked at
            self._drop_parts(found.parts)
            raise

    def get(self, dataset_id: str) -> DatasetRecord:
        """Return a dataset.

        Raises:
            UnknownDataset: there is none.
        """
        found = self._store.datasets.find(dataset_id)
        if found is None:
            raise UnknownDataset(f"There is no dataset {dataset_id[:200]}: list the datasets.", dataset=dataset_id)
        if found.status == PROCESSING and time() - found.modified_at > LOST_S:
            return self._change(
                found, status=FAILED, error="The server was stopped while it read the rows: create it again."
            )
        return found

    def list(self, offset: int, limit: int | None, filters: DatasetFilters) -> Found:
        """Return so many datasets after the first few, the newest first."""
        return self._store.datasets.list(offset, limit, **filters)

    def bytes(self) -> int:
        """Return what all datasets take."""
        return self._store.datasets.bytes()

    def delete(self, dataset_id: str) -> None:
        """Delete a dataset with its files; models that were trained on it stay.

        Raises:
            UnknownDataset: there is none.
            InUse: a job that is not finished needs it.
        """
        record = self.get(dataset_id)
        for file_id in _files_of(record.parts):
            if users := self._store.files.uses(file_id):
                raise InUse(f"The dataset {dataset_id} is needed by {', '.join(users)}, not finished yet.")
        self._drop_parts(record.parts)
        self._store.datasets.delete(dataset_id)

    def schema(self, record: DatasetRecord) -> str:
        """Return the Avro schema of a dataset's downloads."""
        return json.dumps(avro_schema(record.type == MULTI))

    def _reading(self, new: NewDataset) -> Reading:
        choices = choices_of(self._settings)
        return reading_of(choices.reading, new.several, new.skip_malformed, new.csv_delimiter, choices.max_labels)

    def _look(self, new: NewDataset, parts: dict[str, FileRecord]) -> _Look:
        """Read the rows of all parts, and write them down where they can be learnt from."""
        how, looked = self._reading(new), list[_Part]()
        self._settings.home.mkdir(parents=True, exist_ok=True)
        ids = [file.id for file in parts.values()]
        with (
            TemporaryDirectory(prefix="dataset-", dir=self._settings.home) as work,
            files_here(self._store, ids, Path(work)) as paths,
        ):
            try:
                for part in PARTS:
                    if part in parts:
                        looked.append(self._part(new, part, parts[part], paths[parts[part].id], how))
                return self._outcome(new, looked, how)
            except BaseException:
                for one in looked:
                    one.abort()
                raise

    def _part(self, new: NewDataset, part: str, file: FileRecord, path: Path, how: Reading) -> _Part:
        stem = f"{new.name}{'' if part == DATA else '-eval'}"
        folder = Path(mkdtemp(dir=path.parent))
        source = Source(path, file.name, folder)
        if file.bytes <= FEW:
            counted = write_rows(source, how)
        else:
            with self._reading_aside:
                counted = write_rows_aside(source, how, self._settings.home)
        begin = partial(NewFile, source=SOURCE, created_by=new.created_by)
        rows = self._files.begin(begin(name=f"{stem}.jsonl"))
        avro = self._files.begin(begin(name=f"{stem}.avro", purpose=SOURCE))
        made = _Part(part, file, rows, avro, counted)
        try:
            for upload, name in ((rows, ROWS), (avro, AVRO)):
                _copy(folder / name, upload)
        except BaseException:
            made.abort()
            raise
        return made

    def _outcome(self, new: NewDataset, looked: Sequence[_Part], how: Reading) -> _Look:
        train, evaluation = looked[0].counted, looked[1].counted if len(looked) > 1 else None
        error, warnings = judge(train, evaluation, how)
        if new.keep_fields:
            warnings.append(
                f"keep_fields: of classification rows only text and label are kept, not {new.keep_fields[0]!r}."
            )
        if evaluation is not None and not evaluation.rows and not error:
            error = f"{evaluation.file} has no valid example: leave eval_data out, or correct it."
        if error:
            for one in looked:
                one.abort()
            return _Look(error, warnings, [], {}, 0)
        parts = [one.commit(new.keep_original) for one in looked]
        metrics = {
            "total_examples": sum(one.counted.rows for one in looked),
            "train_examples": train.rows,
            "train_size_bytes": looked[0].file.bytes,
            "eval_examples": evaluation.rows if evaluation else 0,
            "eval_size_bytes": looked[1].file.bytes if evaluation else 0,
            "labels": train.to_json(),
        }
        return _Look(None, warnings, parts, metrics, sum(part["bytes"] for part in parts))

    def _change(self, record: DatasetRecord, **columns: Any) -> DatasetRecord:  # noqa: ANN401  (columns of a dataset)
        changed = self._store.datasets.change(record.id, modified_at=int(time()), **columns)
        if changed is None:
            raise UnknownDataset(f"The dataset {record.id} was deleted.", dataset=record.id)
        return changed

    def _drop_parts(self, parts: Sequence[Mapping[str, Any]]) -> None:
        there = (self._store.files.find(file_id) for file_id in _files_of(parts))
        self._drop([file for file in there if file is not None])

    def _drop(self, files: Any) -> None:  # noqa: ANN401  (records of files)
        for file in files:
            if self._store.files.delete(file.id):
                self._store.objects.delete(file.key)


@dataclass(frozen=True, slots=True)
class _Look:
    """What looking at the rows came to."""

    error: str | None
    warnings: list[str]
    parts: list[dict[str, Any]]
    metrics: dict[str, Any]
    bytes: int


@dataclass(frozen=True, slots=True)
class _Part:
    """A part while it is looked at: the file that came, those that are made of it, what was counted."""

    name: str
    file: FileRecord
    rows: Upload
    avro: Upload
    counted: Counted

    def abort(self) -> None:
        self.rows.abort()
        self.avro.abort()

    def commit(self, keep_original: bool) -> dict[str, Any]:
        rows, avro = self.rows.commit(), self.avro.commit()
        return {
            "name": self.name,
            "file": self.file.name,
            "rows_file": rows.id,
            "avro_file": avro.id,
            "original": self.file.id if keep_original else None,
            "bytes": avro.bytes + rows.bytes + (self.file.bytes if keep_original else 0),
            "avro_bytes": avro.bytes,
            "rows": self.counted.rows,
            "samples": self.counted.samples,
        }


def _copy(path: Path, upload: Upload) -> None:
    with path.open("rb") as stream:
        while piece := stream.read(PIECE):
            upload.write(piece)


def _files_of(parts: Sequence[Mapping[str, Any]]) -> list[str]:
    return [part[kind] for part in parts for kind in ("rows_file", "avro_file", "original") if part[kind]]


def _id(name: str) -> str:
    """An id like the hosted service's: the name, as far as addresses take it, and a few random characters."""
    plain = "-".join("".join(c if c.isascii() and c.isalnum() else " " for c in name).split()).lower()[:40]
    return f"{plain or 'dataset'}-{secrets.token_hex(5)}"


def _invalid(field: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"query.{field}: {why}.", loc=["query", field])


def _refused(part: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"body.{part}: {why}.", loc=["body", part])
