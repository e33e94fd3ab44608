"""Evaluations: a workspace's models measured on its files, in the background; each is kept with what pages show of it.

Owns which are begun and how they are found again. What is measured is the business of `jobs.evaluating`.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import Any

from pydantic import ValidationError

from tamis.errors import Conflict, InvalidRequest
from tamis.evaluation.kept import Evaluation, ToldTarget, page_of
from tamis.store.records import OperationRecord
from tamis.workspace.background import LIVE, SUCCESS
from tamis.workspace.files import Files
from tamis.workspace.models import Models
from tamis.workspace.operations import NewOperation, Operations

KIND = "evaluate"
LOOKED_AT = 100
"""Of a model's evaluations, to find the one that tells most."""

REMEMBERED = 4
"""Evaluations that are held in memory: whoever looks at one looks at it again."""

MOST_BYTES = 64 * 2**20
MOST_COLUMNS, LONGEST_COLUMN = 1_000, 1_000
"""Columns of labels that are named, and characters of their names."""


class Evaluations:
    """The evaluations of a workspace."""

    def __init__(self, operations: Operations, models: Models, files: Files) -> None:
        """Take what does them, and what they are of."""
        self._operations, self._models, self._files = operations, models, files
        self._remembered: OrderedDict[str, Evaluation] = OrderedDict()
        self._lock = Lock()

    def start(
        self,
        reference: str,
        file_id: str,
        *,
        text_column: str | None = None,
        label_columns: Sequence[str] = (),
        label_separator: str | None = None,
        created_by: str | None = None,
    ) -> OperationRecord:
        """Begin to measure a model on a file; return the one that is at just that already, if one is.

        Raises:
            UnknownModel: there is no such model.
            UnknownFile: there is no such file.
            InvalidRequest: very many columns are named, or one has a very long name.
            Overloaded: very many operations are not finished.
            StorageFull: there is no room on the disk.
        """
        named = (text_column or "", label_separator or "", *label_columns)
        if len(named) > MOST_COLUMNS or max(map(len, named)) > LONGEST_COLUMN:
            message = f"Name {MOST_COLUMNS:,} columns at most, with {LONGEST_COLUMN:,} characters each."
            raise InvalidRequest(message, loc=["body", "label_columns"])
        model, file = self._models.find(reference), self._files.get(file_id)
        told: dict[str, Any] = {"model": model.id, "file": file.id}
        if text_column:
            told["text_column"] = text_column
        if label_columns:
            told["label_columns"] = list(label_columns)
        if label_separator:
            told["label_separator"] = label_separator
        live, _ = self._operations.list(0, 100, {"kind": KIND, "status": LIVE, "model_id": model.id})
        same = next((each for each in live if dict(each.told) == told), None)
        title = f"{model.name}@{model.version} on {file.name}"
        new = NewOperation(kind=KIND, title=title, told=told, model_id=model.id, created_by=created_by)
        return same or self._operations.create(new)

    def list(self, model_id: str, size: int = 20) -> list[OperationRecord]:
        """Return a model's evaluations, the newest first, those that are under way too."""
        return self._operations.list(0, size, {"kind": KIND, "model_id": model_id})[0]

    def latest(self, model_id: str) -> OperationRecord | None:
        """Return the newest one that is done."""
        return self._operations.latest(KIND, model_id)

    def best(self, model_id: str, test_file: str | None = None) -> OperationRecord | None:
        """Return the one that tells most of a model: on its test file, else on rows that it did not learn from.

        Of several the newest that is done; one on rows that it learnt from where there is no other.
        """
        done = [each for each in self.list(model_id, LOOKED_AT) if each.status == SUCCESS]
        found = min(done, key=lambda each: _rank(each, test_file), default=None)
        return found or self.latest(model_id)

    def get(self, model_id: str, operation_id: str) -> OperationRecord:
        """Return one evaluation of a model.

        Raises:
            UnknownOperation: the model has none of this id.
        """
        return self._operations.get(operation_id, KIND, model_id)

    def read(self, model_id: str, operation_id: str) -> Evaluation:
        """Return all that was measured.

        Raises:
            UnknownOperation: the model has no such evaluation.
            Conflict: it is not done, or what is kept of it is of another version of Tamis.
        """
        record = self.get(model_id, operation_id)
        with self._lock:
            if record.id in self._remembered:
                self._remembered.move_to_end(record.id)
                return self._remembered[record.id]
        try:
            found = Evaluation.model_validate_json(b"".join(self._operations.read(record.id)))
        except ValidationError:
            raise Conflict("This evaluation was kept by another version of Tamis: measure again.") from None
        if record.bytes <= MOST_BYTES:
            with self._lock:
                self._remembered[record.id] = found
                while len(self._remembered) > REMEMBERED:
                    self._remembered.popitem(last=False)
        return found

    def told(self, evaluation: Evaluation, place: int) -> ToldTarget | None:
        """Return a target of an evaluation by its place; the first one where there is none there."""
        names = list(evaluation.report.targets)
        return ToldTarget(evaluation, names[place if 0 <= place < len(names) else 0]) if names else None

    def report(self, model_id: str, operation_id: str) -> str:
        """Return the HTML report of an evaluation.

        Raises:
            UnknownOperation: the model has no such evaluation.
            Conflict: it is not done.
        """
        return page_of(self.read(model_id, operation_id)).render()

    def figures(self, model_id: str, operation_id: str) -> bytes:
        """Return the figures of an evaluation in JSON, as `tamis evaluate --json` prints them.

        Raises:
            UnknownOperation: the model has no such evaluation.
            Conflict: it is not done.
        """
        found = self.read(model_id, operation_id)
        told = {"model": found.model, "file": found.file, **found.report.to_json(), "remarks": list(found.remarks)}
        return json.dumps(told, ensure_ascii=False, indent=2).encode()

    def delete(self, model_id: str, operation_id: str) -> None:
        """Delete an evaluation, or end one that is under way.

        Raises:
            UnknownOperation: the model has no such evaluation.
        """
        self._operations.delete(self.get(model_id, operation_id).id)


def _rank(run: OperationRecord, test_file: str | None) -> tuple[bool, bool]:
    """How little a figure tells of a model: most of all where it learnt from the rows."""
    return bool(run.summary.get("learnt_from")), run.summary.get("file_id") != test_file
