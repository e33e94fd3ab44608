"""Labelled files on their way to a training: looked at, laid out as their owner says, split, counted and reviewed.

Owns what may be asked: which files, what shares. The reading is done in `data.preview`; the work, in a process of its
own, in `jobs.preparing`; what is decided on the findings, in `workspace.reviews`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tamis.data.layout import Layout
from tamis.data.preview import Choice as Choice
from tamis.data.preview import Preview as Preview
from tamis.data.preview import look, look_as
from tamis.errors import Conflict, InvalidRequest
from tamis.jobs.choosing import choices_of
from tamis.jobs.preparing import PARTS, TRAINING
from tamis.jobs.tools import files_here, name_on_disk
from tamis.workspace.background import LIVE, SUCCESS
from tamis.workspace.operations import NewOperation
from tamis.workspace.reviews import Applied

if TYPE_CHECKING:
    from tamis.store.records import FileRecord, OperationRecord
    from tamis.workspace.workspace import Workspace

KIND = "prepare"
MOST_SHARE = 0.5
"""Of the rows, what may be set aside for each part."""

HEAD, PIECES, PIECE = 8 * 2**20, 16, 2**19
"""Bytes of a file in a bucket that are fetched to look at it: of its beginning, and of places all over it."""

_PIECES = (".gz", ".gzip", ".json", ".parquet", ".arrow")
"""Endings of files whose beginning alone cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPreparation:
    """What is to be made ready.

    Attributes:
        files: their ids by part (training, validation, test), training at least.
        layout: how they are laid out.
        shares: of the training file's rows, for parts without a file of their own.
        chosen: how all that was chosen, for whoever leads people back to it.
        created_by: the key it came with.
    """

    files: Mapping[str, str]
    layout: Layout
    shares: Mapping[str, float] = field(default_factory=dict)
    chosen: str = ""
    created_by: str | None = None


@dataclass(frozen=True, slots=True)
class SeenTarget:
    """A target of the rows: its name, whether a row may have several labels, and the labels."""

    name: str
    several: bool
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What came of it.

    Attributes:
        files: ids by part.
        review: the id of the review of these files.
        rows: how many, by part as `data` calls them.
        left_out: rows that could not be used: `count`, `codes`, and the `first` of them.
        findings: of the count, those that the review does not have.
        blocks: what the count shows of labels, texts and repeats, as `pages.Page.outline` has it.
        targets: what a model learns to tell.
    """

    files: Mapping[str, str]
    review: str
    rows: Mapping[str, int]
    left_out: Mapping[str, Any]
    findings: Sequence[Mapping[str, Any]]
    blocks: Sequence[Mapping[str, Any]]
    targets: Sequence[SeenTarget]


class Preparing:
    """Looks at files, and has them made ready."""

    def __init__(self, workspace: Workspace) -> None:
        """Take the files, reviews and operations of a workspace."""
        self._store, self._settings = workspace.store, workspace.settings
        self._files, self._reviews, self._operations = workspace.files, workspace.reviews, workspace.operations
        self._choices = choices_of(workspace.settings)

    def look(self, file_id: str, choice: Choice) -> Preview:
        """Look at the beginning of a file, as it is chosen to be read.

        Raises:
            UnknownFile: there is none.
            DataError: it cannot be read at all, whatever is chosen.
            InvalidSetting: there is no such delimiter or encoding.
        """
        with self._here(file_id) as (record, path):
            return look(path, record.name, choice, self._choices.reading)

    def look_as(self, file_id: str, layout: Layout) -> Preview:
        """Look at the beginning of a file that is laid out as another.

        Raises:
            UnknownFile: there is none.
            DataError: it cannot be read at all, whatever the layout.
        """
        with self._here(file_id) as (record, path):
            return look_as(path, record.name, layout, self._choices.reading)

    def begin(self, new: NewPreparation) -> OperationRecord:
        """Have files made ready, in the background.

        Raises:
            UnknownFile: one is not there.
            InvalidRequest: a share is none that can be set aside, or nothing would be left to learn from.
            InvalidSetting: there is no such delimiter, separator or encoding.
            Overloaded: very much is at work.
            LimitExceeded: the quota is used up.
            StorageFull: there is no room on the disk.
        """
        records = {part: self._files.get(new.files[part]) for part in PARTS if part in new.files}
        if TRAINING not in records:
            raise InvalidRequest("There is no training file.", loc=["body", TRAINING])
        shares = {part: share for part, share in new.shares.items() if part == TRAINING or part not in records}
        _check_shares(shares)
        new.layout.options(self._choices.reading)
        self._files.room.require_for_file(sum(record.bytes for record in records.values()))
        told = {"layout": new.layout.model_dump(mode="json"), "shares": shares, "chosen": new.chosen}
        return self._begin({part: record.id for part, record in records.items()}, told, new.created_by)

    def again(
        self, operation_id: str, applied: Applied, decided: str, created_by: str | None = None
    ) -> OperationRecord:
        """Have the files looked at again, after the training file was changed; once for the same decisions.

        Raises:
            UnknownOperation: there was no such preparation.
            Conflict: it is not finished, or failed.
        """
        before = self.result(operation_id)
        if there := self.after(before.review, decided):
            return there
        files = {**before.files, TRAINING: applied.file.id}
        told: dict[str, Any] = {"layout": None, "shares": {}, "before": before.review, "decided": decided}
        return self._begin(files, told, created_by)

    def after(self, review: str, decided: str) -> OperationRecord | None:
        """Return the look at what these decisions on a review led to, under way or done; None where there is none."""
        told = {"before": review, "decided": decided}
        found, _ = self._operations.list(0, 1, {"kind": KIND, "told": told, "status": (*LIVE, SUCCESS)})
        return found[0] if found else None

    def get(self, operation_id: str) -> OperationRecord:
        """Return a preparation, at work or finished.

        Raises:
            UnknownOperation: there is none.
        """
        return self._operations.get(operation_id, KIND)

    def latest(self, training: str) -> OperationRecord | None:
        """Return the newest preparation of a training file."""
        found, _ = self._operations.list(0, 1, {"kind": KIND, "told": {"files.training": training}})
        return found[0] if found else None

    def result(self, operation_id: str) -> Prepared:
        """Return what came of a preparation.

        Raises:
            UnknownOperation: there is none.
            Conflict: it is not finished, or failed.
        """
        record = self.get(operation_id)
        if record.status != SUCCESS:
            raise Conflict(f"The files are not ready: {record.error or 'wait a moment'}.", status=record.status)
        found = json.loads(b"".join(self._operations.read(operation_id)))
        return Prepared(
            files=record.summary["files"],
            review=str(record.summary["review"]),
            rows=record.summary["rows"],
            left_out=found["left_out"],
            findings=found["findings"],
            blocks=found["blocks"],
            targets=[
                SeenTarget(each["name"], each["kind"] == "multi_label", tuple(each["labels"]))
                for each in found["targets"]
            ],
        )

    def _begin(self, files: Mapping[str, str], told: Mapping[str, Any], created_by: str | None) -> OperationRecord:
        title = self._files.get(files[TRAINING]).name
        most = self._settings.max_storage_bytes or None
        told = {"files": dict(files), "seed": 0, "most_bytes": most, **told}
        return self._operations.create(NewOperation(kind=KIND, title=title, told=told, created_by=created_by))

    @contextmanager
    def _here(self, file_id: str) -> Iterator[tuple[FileRecord, Path]]:
        """The file, or as much of one in a bucket as is looked at, where it can be read."""
        record = self._files.get(file_id)
        folder = self._choices.work / f"look-{uuid4()}"
        local = self._store.objects.local_path(record.key) is not None
        try:
            if local or record.bytes <= HEAD or record.name.lower().endswith(_PIECES):
                with files_here(self._store, [file_id], folder) as paths:
                    yield record, paths[file_id]
            else:
                folder.mkdir(parents=True)
                yield record, self._beginning(record, folder / name_on_disk(record.name))
        finally:
            rmtree(folder, ignore_errors=True)

    def _beginning(self, record: FileRecord, path: Path) -> Path:
        """Fetch whole lines, about as many bytes as are looked at: of the beginning, and of places behind it."""
        begin = self._bytes_of(record, 0, HEAD)
        begin = begin[: begin.rfind(b"\n") + 1]
        with path.open("wb") as out:
            out.write(begin)
            for place in range(PIECES) if begin.count(b"\0") * 8 < len(begin) else ():  # a newline is one byte
                start = len(begin) + (record.bytes - len(begin)) * place // PIECES
                piece = self._bytes_of(record, start, PIECE)
                out.write(piece[piece.find(b"\n") + 1 : piece.rfind(b"\n") + 1])
        return path

    def _bytes_of(self, record: FileRecord, start: int, most: int) -> bytes:
        return b"".join(self._store.objects.read(record.key, start, end=start + most))


def _check_shares(shares: Mapping[str, float]) -> None:
    for part, share in shares.items():
        if part not in PARTS or part == TRAINING or not 0 <= share <= MOST_SHARE:
            message = f"A share of {share:g} cannot be set aside: give 0 to {MOST_SHARE:g}."
            raise InvalidRequest(message, loc=["body", part])
    if sum(shares.values()) > MOST_SHARE * 1.5:
        raise InvalidRequest("Too few rows would be left to learn from: set less aside.", loc=["body", "shares"])
