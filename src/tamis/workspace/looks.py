"""The review queue: rows worth a person's look, what they said of them, and models that learn from it.

Owns the rules: what may be answered, in which order, what is taken back, and the way from answers to a better model: a
new version of the training file, a job, both versions measured on the same rows. A queue belongs to a model's name, all
versions of it. What is looked for in files stands in `jobs.queueing`, what becomes of answers in `jobs.relabelling`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import time
from typing import Any

from tamis.errors import InvalidRequest, NotFound, Overloaded, UndeclaredLabel, UnknownModel
from tamis.jobs.looks import (
    ANSWERED,
    CORRECTION,
    LONGEST,
    MOST_OPEN,
    OPEN,
    REASONS,
    SKIPPED,
    STATES,
    Labels,
    Sight,
    hash_of,
    input_of,
    is_readable,
    look_at,
    plain,
    priority_of,
)
from tamis.ml.predictor import Chat, checked
from tamis.schema import Input
from tamis.store.opening import Store
from tamis.store.records import LookRecord, ModelRecord, OperationRecord
from tamis.workspace.background import LIVE
from tamis.workspace.files import Files
from tamis.workspace.models import Models
from tamis.workspace.operations import NewOperation, Operations
from tamis.workspace.reviews import Reviews

__all__ = ["OPEN", "REASONS", "SKIPPED", "STATES", "Fill", "LineOfLooks", "Looks", "input_of"]

QUEUE = "queue"
SUSPECTS, UNSURE, DIFFERENCES = "suspects", "unsure", "differences"

MOST_AT_ONCE = 1_000
"""Rows that one filling adds at most."""

MOST_LABELS = 1_000
"""Labels of one answer."""

LONGEST_LABEL = 256
LONGEST_COLUMN = 1_000

MOST_BY_LINK = 1_000
"""Corrections that wait under one name, from which on links bring no more: strangers shall not fill the queue."""

Listing = tuple[list[LookRecord], int]
Said = dict[str, list[str]]
Fillings = list[OperationRecord]


@dataclass(frozen=True, slots=True)
class LineOfLooks:
    """How many rows wait under a model's name, by reason; and how many were answered and skipped."""

    name: str
    waiting: Mapping[str, int] = field(default_factory=dict)
    answered: int = 0
    skipped: int = 0

    @property
    def open(self) -> int:
        """Rows that wait, whatever the reason."""
        return sum(self.waiting.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """Where rows are to be found.

    Attributes:
        name: the model's.
        way: `SUSPECTS` of a review, `UNSURE` rows of a file, or `DIFFERENCES` between two versions on a file.
        review: the review's id.
        file: the file's id.
        other: the version to compare the newest one with; any of its names.
        most: rows at most.
        sure_too: whether rows come that the model is sure of, after the others, where unsure ones are looked for.
        text_column: of the file, the one with the texts; None: found out.
        label_columns: of the file, those with labels; none: found out.
        label_separator: what parts several labels of a cell; None: found out.
        by: who asks.
    """

    name: str
    way: str
    review: str | None = None
    file: str | None = None
    other: str | None = None
    most: int = 100
    sure_too: bool = False
    text_column: str | None = None
    label_columns: Sequence[str] = ()
    label_separator: str | None = None
    by: str | None = None


Lines = list[LineOfLooks]


class Looks:
    """The review queues of a workspace."""

    def __init__(self, store: Store, models: Models, files: Files, reviews: Reviews, operations: Operations) -> None:
        """Take what queues are of, what fills them, and what does the work."""
        self.models, self.files, self.operations = models, files, operations
        self._store, self._reviews = store, reviews

    def model(self, name: str) -> ModelRecord:
        """Return the newest version of a model that is not archived.

        Raises:
            UnknownModel: there is none of this name.
        """
        found = self.models.answering(name)
        if found.name != name:
            raise UnknownModel(f"There is no model of the name {name[:200]}.", model=name)
        return found

    def lines(self, search: str = "") -> Lines:
        """Return the queues with this in their name, those with the most to do first."""
        found = (line for name, line in _lines(self._store.looks.counts()).items() if search.lower() in name.lower())
        return sorted(found, key=lambda line: (-line.open, line.name))

    def line(self, name: str) -> LineOfLooks:
        """Return how a queue stands; an empty one where nothing was ever in it."""
        return _lines(self._store.looks.counts(name)).get(name) or LineOfLooks(name)

    def next(self, name: str, reason: str | None = None) -> LookRecord | None:
        """Return the row to look at next; None where there is none."""
        found, _ = self._store.looks.list(0, 1, name=name, reason=reason, status=OPEN)
        return found[0] if found else None

    def list(self, name: str, page: int, page_size: int, state: str = OPEN, reason: str | None = None) -> Listing:
        """Return one page of a queue, the most urgent first, and how many there are in all."""
        return self._store.looks.list(page, page_size, name=name, status=state, reason=reason)

    def get(self, name: str, look_id: str) -> LookRecord:
        """Return one row of a queue.

        Raises:
            NotFound: it is not in this queue.
        """
        found = self._store.looks.find(look_id)
        if found is None or found.name != name:
            raise NotFound(f"There is no row {look_id[:80]} in this queue: it was removed, or never there.")
        return found

    def answer(
        self, name: str, look_id: str, labels: Labels, *, new: bool = False, by: str | None = None
    ) -> LookRecord:
        """Say what the labels of a row are; an answer that was given before is replaced.

        Args:
            name: the model's.
            look_id: the row's.
            labels: by target; targets that are left out stay as they are. None of its labels says of a single-label
                target that no label fits: the row is not learnt from for it.
            new: whether labels may be given that the model does not have yet.
            by: who says so.

        Raises:
            NotFound: it is not in this queue.
            InvalidRequest: nothing is said, or a single-label target gets several labels.
            UndeclaredLabel: the model has no such target or label.
        """
        look = self.get(name, look_id)
        said = self._checked(self.model(name), labels, new=new)
        return self._changed(look, status=ANSWERED, answer=said, answered_at=int(time()), answered_by=by)

    def skip(self, name: str, look_id: str, by: str | None = None) -> LookRecord:
        """Put a row aside without an answer.

        Raises:
            NotFound: it is not in this queue.
        """
        look = self.get(name, look_id)
        return self._changed(look, status=SKIPPED, answer=None, answered_at=int(time()), answered_by=by)

    def undo(self, name: str, by: str | None = None) -> LookRecord | None:
        """Open the row again that this person answered or skipped last; None where there is none."""
        last = self._store.looks.latest(name, (ANSWERED, SKIPPED), by)
        return None if last is None else self.reopen(name, last.id)

    def reopen(self, name: str, look_id: str) -> LookRecord:
        """Ask for a row again.

        Raises:
            NotFound: it is not in this queue.
        """
        look = self.get(name, look_id)
        return self._changed(look, status=OPEN, answer=None, answered_at=None, answered_by=None)

    def reopen_skipped(self, name: str) -> int:
        """Ask again for all rows that were skipped; return how many there were."""
        return self._store.looks.reopen(name, SKIPPED)

    def clear(self, name: str, *, answered: bool = False) -> int:
        """Remove the rows that wait or were skipped, and those that were answered too if that is said."""
        return self._store.looks.drop(name, STATES if answered else (OPEN, SKIPPED))

    def add_correction(
        self,
        model: str | ModelRecord,
        given: str | Chat,
        labels: Labels,
        by: str | None = None,
        *,
        shared: bool = False,
        reopens: bool = True,
    ) -> LookRecord:
        """Take in that an answer was wrong, with what it should have been: a person looks at it before anything learns.

        Args:
            model: the model that was asked, or any name of it.
            given: the text, or the messages of the chat.
            labels: what should have been said, by target.
            by: who says so; with `shared`, somebody who has a link.
            shared: whether it came through a link that the model was shared by.
            reopens: whether a row that was answered or skipped is asked about again; else it stays as it is.

        Raises:
            UnknownModel: there is no such model.
            InvalidRequest: no text, too long a text, or labels that an answer cannot have.
            InvalidSetting: it is neither a text nor a chat.
            UndeclaredLabel: the model has no such target or label.
            Overloaded: very many rows wait in its queue.
        """
        record = model if isinstance(model, ModelRecord) else self.models.answering(model)
        asked: Input = checked([given])[0]
        if not is_readable(asked):
            raise InvalidRequest(f"The text is empty, or longer than {LONGEST:,} characters.", loc=["body", "text"])
        proposed = self._checked(record, labels)
        source = {"shared": shared, "by": by, "version": record.version}
        sight = Sight(given=asked, reason=CORRECTION, urgency=0.5 if shared else 1.0, proposed=proposed, source=source)
        there = self._store.looks.find_by_input(record.name, hash_of(asked))
        if there is not None:
            if there.status != OPEN and not reopens:
                return there
            if shared and there.reason == CORRECTION and not there.source.get("shared"):
                return there  # what somebody with a key says holds
            return self._changed(
                there,
                reason=CORRECTION,
                priority=priority_of(CORRECTION, sight.urgency),
                proposed={**there.proposed, **proposed},
                status=OPEN,
                answer=None,
                source={**there.source, **source},
                model_id=record.id,
            )
        line = self.line(record.name)
        if line.open >= MOST_OPEN or (shared and line.waiting.get(CORRECTION, 0) >= MOST_BY_LINK):
            raise Overloaded("Very many rows wait in the review queue already: later, please.", retry_after=3600)
        look = look_at(sight, record.name, record.id)
        self._store.looks.add([look])
        return look

    def fill(self, asked: Fill) -> OperationRecord:
        """Look for rows in the background.

        Raises:
            UnknownModel: there is no such model.
            UnknownReview: there is no such review.
            UnknownFile: there is no such file.
            Conflict: the review is not finished.
            InvalidRequest: something is missing, or too many rows are asked for.
            Overloaded: very many operations are not finished.
        """
        if not 1 <= asked.most <= MOST_AT_ONCE:
            raise InvalidRequest(f"Ask for 1 to {MOST_AT_ONCE:,} rows at a time.", loc=["body", "most"])
        model = self.model(asked.name)
        told: dict[str, Any] = {
            "name": asked.name,
            "way": asked.way,
            "most": asked.most,
            "model": model.id,
            "model_name": f"{model.name}@{model.version}",
            "targets": [{"name": each["name"], "kind": each.get("kind")} for each in model.targets],
        }
        title = {
            SUSPECTS: self._suspects,
            UNSURE: self._unsure,
            DIFFERENCES: self._differences,
        }.get(asked.way)
        if title is None:
            raise InvalidRequest(f"There is no way {asked.way[:40]!r} to find rows.", loc=["body", "way"])
        new = NewOperation(
            kind=QUEUE, title=title(asked, model, told), told=told, model_id=model.id, created_by=asked.by
        )
        return self.operations.create(new)

    def fillings(self, name: str, most: int = 5) -> Fillings:
        """Return the latest fillings of a queue, the newest first."""
        found, _ = self.operations.list(0, most, {"kind": QUEUE, "told": {"name": name}})
        return found

    def is_filling(self, name: str) -> bool:
        """Return whether rows are being looked for."""
        return any(each.status in LIVE for each in self.fillings(name))

    def _suspects(self, asked: Fill, model: ModelRecord, told: dict[str, Any]) -> str:
        if not asked.review:
            raise InvalidRequest("Choose the data check whose doubtful rows you want to see.", loc=["body", "review"])
        record, _ = self._reviews.report(asked.review)
        told["review"] = record.id
        return f"Rows that a data check doubts, for {model.name}"

    def _unsure(self, asked: Fill, model: ModelRecord, told: dict[str, Any]) -> str:
        told["sure_too"] = asked.sure_too
        self._of_file(asked, told)
        return f"Rows of {told['file_name']} that {told['model_name']} is least sure of"

    def _differences(self, asked: Fill, model: ModelRecord, told: dict[str, Any]) -> str:
        self._of_file(asked, told)
        if not asked.other:
            raise InvalidRequest("Choose the version to compare with.", loc=["body", "other"])
        other = self.models.answering(asked.other)
        if other.id == model.id:
            raise InvalidRequest("Choose another version: these are the same.", loc=["body", "other"])
        told |= {"other": other.id, "other_name": f"{other.name}@{other.version}"}
        return f"Rows of {told['file_name']} on which {told['model_name']} and {told['other_name']} differ"

    def _of_file(self, asked: Fill, told: dict[str, Any]) -> None:
        if not asked.file:
            raise InvalidRequest("Choose a file, or give texts.", loc=["body", "file"])
        file = self.files.get(asked.file)
        named = (asked.text_column or "", asked.label_separator or "", *asked.label_columns)
        if len(named) > MOST_LABELS or max(map(len, named)) > LONGEST_COLUMN:
            message = f"Name {MOST_LABELS:,} columns at most, with {LONGEST_COLUMN:,} characters each."
            raise InvalidRequest(message, loc=["body", "label_columns"])
        told |= {"file": file.id, "file_name": file.name, "text_column": asked.text_column}
        told |= {"label_columns": list(asked.label_columns), "label_separator": asked.label_separator}

    def _checked(self, model: ModelRecord, labels: Labels, *, new: bool = False) -> Said:
        """Return an answer as it is kept."""
        targets = {str(each["name"]): each for each in model.targets}
        said = {name: list(dict.fromkeys(each)) for name, each in plain(labels).items()}
        if not said:
            raise InvalidRequest("Choose a label first.", loc=["body", "labels"])
        for name, each in said.items():
            target = targets.get(name)
            if target is None:
                raise UndeclaredLabel(f"The model has no target {name[:80]!r}.", target=name)
            if target.get("kind") != "multi_label" and len(each) > 1:
                raise InvalidRequest(f"{name[:80]} takes one label at most.", loc=["body", "labels", name])
            _check_labels(name, each, target.get("labels", ()), new=new)
        return said

    def _changed(self, look: LookRecord, **columns: Any) -> LookRecord:  # noqa: ANN401
        changed = self._store.looks.change(look.id, **columns)
        if changed is None:
            raise NotFound(f"The row {look.id} was removed meanwhile.")
        return changed


def _check_labels(target: str, labels: Sequence[str], known: Sequence[str], *, new: bool) -> None:
    if len(labels) > MOST_LABELS:
        raise InvalidRequest(f"Give {MOST_LABELS:,} labels at most.", loc=["body", "labels", target])
    for label in labels:
        if label in known:
            continue
        if not new:
            raise UndeclaredLabel(f"{target[:80]} has no label {label[:80]!r}.", target=target, label=label)
        if not label.strip() or label != label.strip() or len(label) > LONGEST_LABEL or not label.isprintable():
            raise InvalidRequest(
                f"A new label has 1 to {LONGEST_LABEL} characters, and no line breaks.", loc=["body", "labels", target]
            )


def _lines(counts: Mapping[tuple[str, str, str], int]) -> dict[str, LineOfLooks]:
    waiting: dict[str, Counter[str]] = {}
    states: dict[str, Counter[str]] = {}
    for (name, reason, status), number in counts.items():
        states.setdefault(name, Counter())[status] += number
        if status == OPEN:
            waiting.setdefault(name, Counter())[reason] += number
    found = {}
    for name, each in states.items():
        mine = waiting.get(name, Counter())
        by_reason = {reason: mine[reason] for reason in REASONS if mine[reason]}
        found[name] = LineOfLooks(name, by_reason, each[ANSWERED], each[SKIPPED])
    return found
