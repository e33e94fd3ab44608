"""Reviews of uploaded files: made in the background, decided on row by row, applied to a new file.

Owns their rules: what may be asked, how many at a time, what a decision is, what the new file is called. Each is made
in a process of its own, which ends with this one; what is found and applied there stands in `jobs.reviewing`.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from shutil import rmtree
from time import time
from typing import Any, cast
from uuid import uuid4

from tamis.data.review.corpus import TRAIN
from tamis.data.review.fixes import parse
from tamis.data.review.report import Finding, Item, Place, Review
from tamis.errors import Conflict, InvalidRequest, InvalidSetting, Overloaded, UnknownReview
from tamis.jobs.aside import Bounds, Check, run_aside
from tamis.jobs.choosing import choices_of
from tamis.jobs.reviewing import ACCEPTED, ALL, BY_HAND, DATASET, REJECTED
from tamis.jobs.tools import name_on_disk
from tamis.jobs.worker import owner_name
from tamis.settings import Settings
from tamis.store.opening import Store
from tamis.store.records import DatasetRecord, FileRecord, ReviewFilters, ReviewRecord
from tamis.workspace.background import LIVE, QUEUED, SUCCESS, Background
from tamis.workspace.datasets import DATA, EVAL_DATA, VALIDATED, Datasets, NewDataset
from tamis.workspace.files import FINE_TUNE, Files, NewFile, Upload

OPEN = "open"
DECISIONS = (ACCEPTED, REJECTED, OPEN)

LONGEST_S = 3600.0
"""Seconds that a review may take."""

MOST_LIVE = 50
"""Reviews that are not finished; more are refused."""

MOST_FILES = 16
MOST_DECISIONS = 10_000
"""Decisions of one request."""

MOST_LABELS = 1_000
"""Labels that a person gives one row."""

LOG_PURPOSE = "review-log"
SOURCE = "review"

TOO_MUCH = "The review takes more time or memory than it may: give fewer rows."


@dataclass(frozen=True, slots=True, kw_only=True)
class NewReview:
    """A review as it is asked for: of files, or of a dataset, whose evaluation rows are the validation file."""

    training_file: str | None = None
    dataset: str | None = None
    validation_files: Sequence[str] = ()
    test_files: Sequence[str] = ()
    suspects: bool = True
    learning_curve: bool = False
    created_by: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided on an item of a finding, by its number, or on all of the finding (None).

    With `rest`, all are those of which nothing was said one by one: that is not taken back.
    """

    finding: str
    decision: str
    item: int | None = None
    rest: bool = False


@dataclass(frozen=True, slots=True)
class Relabelled:
    """The labels of a target that a person gives a row of the training file, by its number; None: as they were."""

    row: int
    target: str
    labels: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class DecidedItem:
    """An item of a finding, its number, and what was decided on it."""

    number: int
    item: Item
    decision: str


@dataclass(frozen=True, slots=True)
class Applied:
    """The new file, the log of what changed, and how much that was; of a dataset's review, the new dataset too."""

    file: FileRecord
    log: FileRecord
    rows_before: int
    rows_after: int
    changes: Mapping[str, int]
    version: Mapping[str, Any]
    dataset: DatasetRecord | None = None


Items = list[DecidedItem]


class Reviews:
    """The reviews of a workspace."""

    def __init__(self, store: Store, files: Files, datasets: Datasets, settings: Settings) -> None:
        """Take the store, the files and datasets that are looked at, and the operator's choices."""
        self._store, self._files, self._datasets, self._settings = store, files, datasets, settings
        self._background = Background("review", 1, store.reviews, store.objects, files.room, settings)
        self._applying = threading.BoundedSemaphore(settings.max_dry_runs)

    def create(self, new: NewReview) -> ReviewRecord:
        """Make a review, which begins in the background.

        Raises:
            InvalidRequest: too many files, or not either a file or a dataset to look at, or one that is not validated.
            UnknownFile: a file is not there.
            UnknownDataset: there is no such dataset.
            Overloaded: very many reviews are not finished.
            LimitExceeded: the quota is used up.
            StorageFull: there is no room on the disk.
        """
        training_file, validation_files = self._looked_at(new)
        files = [training_file, *validation_files, *new.test_files]
        if len(files) > MOST_FILES:
            raise InvalidRequest(f"The review has {len(files)} files: give {MOST_FILES} at most.", loc=["body"])
        for file_id in files:
            self._files.get(file_id)
        self._files.room.require_for_file()
        if sum(self._store.reviews.list(0, 0, status=status)[1] for status in LIVE) >= MOST_LIVE:
            raise Overloaded(f"{MOST_LIVE} reviews are not finished yet: wait, or delete some.", retry_after=60)
        now = int(time())
        record = ReviewRecord(
            id=str(uuid4()),
            status=QUEUED,
            training_file=training_file,
            validation_files=tuple(validation_files),
            test_files=tuple(new.test_files),
            options={
                "suspects": new.suspects,
                "learning_curve": new.learning_curve,
                **({DATASET: new.dataset} if new.dataset else {}),
            },
            owner=owner_name(),
            created_at=now,
            modified_at=now,
            created_by=new.created_by,
        )
        self._store.reviews.add(record)
        self._background.submit(self._look, record.id)
        return record

    def get(self, review_id: str) -> ReviewRecord:
        """Return a review.

        Raises:
            UnknownReview: there is none.
        """
        found = self._store.reviews.find(review_id)
        if found is None:
            raise UnknownReview(
                f"There is no review {review_id[:80]}: list the reviews, or make one.", review=review_id
            )
        return self._background.seen(found)

    def list(self, page: int, page_size: int, filters: ReviewFilters) -> tuple[list[ReviewRecord], int]:
        """Return one page of the reviews, the newest first, and how many there are in all."""
        found, total = self._store.reviews.list(page, page_size, **filters)
        return [self._background.seen(record) for record in found], total

    def delete(self, review_id: str) -> None:
        """Delete a review; one at work is ended. Files that came of it stay.

        Raises:
            UnknownReview: there is none.
        """
        found = self.get(review_id)
        if self._store.reviews.delete(review_id) and found.result_key:
            self._store.objects.delete(found.result_key)

    def report(self, review_id: str) -> tuple[ReviewRecord, Review]:
        """Return a review and all that it found.

        Raises:
            UnknownReview: there is none.
            Conflict: it is not finished, or failed.
        """
        record = self._finished(review_id)
        return record, Review.model_validate_json(b"".join(self._store.objects.read(str(record.result_key))))

    def items(self, review_id: str, finding_id: str, decision: str | None = None) -> tuple[Finding, Items]:
        """Return a finding and its items with what was decided on each; only those decided so, if that is given.

        Raises:
            UnknownReview: there is no such review.
            Conflict: it is not finished, or failed.
            InvalidRequest: it has no such finding, or there is no such decision.
        """
        _check_decision(decision)
        record, report = self.report(review_id)
        finding = report.finding(finding_id)
        if finding is None:
            raise InvalidRequest(_no_finding(finding_id), loc=["query", "finding"])
        own = record.decisions.get(finding_id, {})
        items = [
            DecidedItem(number, item, own.get(str(number), own.get(ALL, OPEN)))
            for number, item in enumerate(finding.items)
        ]
        return finding, [item for item in items if decision in (None, item.decision)]

    def decide(self, review_id: str, decisions: Sequence[Decision]) -> ReviewRecord:
        """Accept, reject or open again: items, or all of a finding, which takes back what was said of its items.

        Raises:
            UnknownReview: there is no such review.
            Conflict: it is not finished, or failed.
            InvalidRequest: it has no such finding or item, the finding has no change to accept, or too many decisions.
        """
        if len(decisions) > MOST_DECISIONS:
            message = f"There are {len(decisions):,} decisions: send {MOST_DECISIONS:,} at a time."
            raise InvalidRequest(message, loc=["body", "decisions"])
        _, report = self.report(review_id)
        findings = {finding.id: finding for finding in report.findings}
        for place, each in enumerate(decisions):
            _check(each, findings.get(each.finding), place)

        def change(known: dict[str, Any]) -> dict[str, Any]:
            for each in decisions:
                said = known.get(each.finding, {})
                own = dict(said) if each.item is not None else _one_by_one(said) if each.rest else {}
                own[ALL if each.item is None else str(each.item)] = each.decision
                known[each.finding] = own
            return known

        changed = self._store.reviews.decide(review_id, change)
        return changed if changed is not None else self.get(review_id)

    def relabel(self, review_id: str, given: Relabelled) -> ReviewRecord:
        """Note other labels of a row that the review names, or take them back.

        Raises:
            UnknownReview: there is no such review.
            Conflict: it is not finished, or failed.
            InvalidRequest: it names no such row with labels of the target, or they are no labels, or too many.
        """
        record, report = self.report(review_id)
        places = (place for finding in report.findings for item in finding.items for place in item.rows)
        if not any(_is_row(place, given) for place in places):
            message = f"The review names no row {given.row} of the training file with labels of {given.target[:80]!r}."
            raise InvalidRequest(message, loc=["body", "row"])
        _check_labels(given.labels, self._settings.max_label_chars)
        key = f"{given.row}:{given.target}"

        def change(known: dict[str, Any]) -> dict[str, Any]:
            own = {row: labels for row, labels in known.get(BY_HAND, {}).items() if row != key}
            if given.labels is not None:
                own[key] = json.dumps(given.labels)
            known[BY_HAND] = dict(list(own.items())[-MOST_DECISIONS:])
            return known

        changed = self._store.reviews.decide(review_id, change)
        return changed if changed is not None else record

    def apply(
        self, review_id: str, fixes: str | None = None, name: str | None = None, check: Check = lambda: None
    ) -> Applied:
        """Make a new file of what was accepted, and of further fixes such as `drop-rare=200`.

        Raises:
            UnknownReview: there is no such review.
            UnknownFile: the training file is gone.
            Conflict: it is not finished, or failed, or nothing was accepted and no fix is asked for.
            InvalidRequest: the fixes cannot be read.
            DataError: nothing would be left to learn from.
            Overloaded: others are at it.
            LimitExceeded: it takes more time or memory than a request may.
        """
        record = self._finished(review_id)
        self._check_fixes(record, fixes)
        self._files.room.require()
        source, choices = self._files.get(record.training_file), choices_of(self._settings)
        if not self._applying.acquire(blocking=False):
            raise Overloaded("Another review is being applied (max_dry_runs): try again in a moment.", retry_after=5)
        folder = choices.work / f"review-{record.id}-{uuid4().hex[:8]}"
        try:
            folder.mkdir(parents=True)
            output = folder / name_on_disk(source.name)
            told = {"act": "apply", "id": record.id, "fixes": fixes, "output": str(output)}
            bounds = Bounds(max(self._settings.request_timeout_s, 60.0), choices.memory_mb, TOO_MUCH)
            done = run_aside("review", told, self._settings.home, bounds, check)
            applied = self._kept(record, source, output, done, name)
            return replace(applied, dataset=self._next_dataset(record, output))
        finally:
            self._applying.release()
            rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """End what is at work."""
        self._background.close()

    def _look(self, review_id: str, check: Check) -> Mapping[str, Any]:
        bounds = Bounds(LONGEST_S, choices_of(self._settings).memory_mb, TOO_MUCH)
        return run_aside("review", {"act": "review", "id": review_id}, self._settings.home, bounds, check)

    def _looked_at(self, new: NewReview) -> tuple[str, Sequence[str]]:
        """Return the training file and the validation files."""
        if (new.training_file is None) == (new.dataset is None):
            raise InvalidRequest("body.training_file: give either a file or a dataset.", loc=["body", "training_file"])
        if new.training_file is not None:
            return new.training_file, new.validation_files
        dataset = self._datasets.get(str(new.dataset))
        if dataset.status != VALIDATED:
            message = f"body.dataset: {dataset.id} is {dataset.status}, not {VALIDATED}: {dataset.error or 'wait'}"
            raise InvalidRequest(message, loc=["body", "dataset"])
        rows = {part["name"]: part["rows_file"] for part in dataset.parts}
        return rows[DATA], [*new.validation_files, *([rows[EVAL_DATA]] if EVAL_DATA in rows else [])]

    def _next_dataset(self, record: ReviewRecord, output: Path) -> DatasetRecord | None:
        """Make a dataset of what was written, and of the evaluation rows as they are, where one was looked at."""
        if DATASET not in record.options:
            return None
        former = self._datasets.get(record.options[DATASET])
        new = NewDataset(name=former.name, type=former.type, created_by=record.created_by)
        parts = {DATA: self._stored(output, NewFile(name=f"{former.name}.jsonl", created_by=record.created_by))}
        for part in former.parts:
            if part["name"] == EVAL_DATA:
                upload = self._datasets.begin(new, EVAL_DATA, part["file"])
                self._fill(upload, self._files.read(part["rows_file"]))
                parts[EVAL_DATA] = upload.commit()
        return self._datasets.create(new, parts)

    def _finished(self, review_id: str) -> ReviewRecord:
        record = self.get(review_id)
        if record.status != SUCCESS:
            why = f": {record.error}" if record.error else ": wait until it is SUCCESS"
            raise Conflict(f"The review is {record.status}{why}", status=record.status)
        if record.result_key is None:
            days = self._settings.review_days
            raise Conflict(f"The report was deleted {days} days after the last change (review_days): review it again.")
        return record

    def _check_fixes(self, record: ReviewRecord, fixes: str | None) -> None:
        try:
            chosen = parse(fixes) if fixes else []
        except InvalidSetting as error:
            raise InvalidRequest(error.message, loc=["body", "fixes"]) from None
        if any(each.name == "suspects" for each in chosen):
            message = "Suspects are accepted row by row, or all at once, by decisions: leave suspects out of the fixes."
            raise InvalidRequest(message, loc=["body", "fixes"])
        if not changes_of(record) and not chosen:
            raise Conflict("Nothing was accepted, and no fix is asked for: there is nothing to apply.")

    def _kept(
        self, record: ReviewRecord, source: FileRecord, output: Path, done: Mapping[str, Any], name: str | None
    ) -> Applied:
        """Make files of what was written, and remember what the new one was made from."""
        version = cast("dict[str, Any]", done["version"])
        new_name = _name(name or source.name, source.name, None if name else int(version["number"]))
        by = record.created_by
        new = NewFile(name=new_name, purpose=FINE_TUNE, created_by=by, layout=source.layout)
        file = self._stored(output, new)
        log = Path(str(done["log"]))
        log_file = NewFile(name=f"{new_name}.changes.jsonl", purpose=LOG_PURPOSE, created_by=by)
        logged = self._stored(log, log_file)
        self._store.reviews.change(record.id, output_file=file.id, log_file=logged.id, version=version)
        return Applied(
            file=file,
            log=logged,
            rows_before=int(done["rows_before"]),
            rows_after=int(done["rows_after"]),
            changes=dict(done["changes"]),
            version=version,
        )

    def _stored(self, path: Path, new: NewFile) -> FileRecord:
        upload = self._files.begin(new)
        with path.open("rb") as stream:
            self._fill(upload, iter(partial(stream.read, 1 << 20), b""))
        return upload.commit()

    def _fill(self, upload: Upload, pieces: Iterable[bytes]) -> None:
        try:
            for piece in pieces:
                upload.write(piece)
        except BaseException:
            upload.abort()
            raise


def counts_of(record: ReviewRecord, finding: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was decided on a finding: on all of it, and on how many of its items otherwise."""
    own: Mapping[str, str] = record.decisions.get(str(finding["id"]), {})
    items = [decision for key, decision in own.items() if key != ALL]
    return {"decision": own.get(ALL, OPEN), "items": {each: items.count(each) for each in DECISIONS if each in items}}


def accepted_of(record: ReviewRecord, finding: Mapping[str, Any]) -> int:
    """Return how many of a finding's changes were accepted."""
    counts = counts_of(record, finding)
    if counts["decision"] != ACCEPTED:
        return int(counts["items"].get(ACCEPTED, 0))
    otherwise: int = sum(n for decision, n in counts["items"].items() if decision != ACCEPTED)
    return int(finding["count"]) - otherwise


def mark_of(record: ReviewRecord) -> str:
    """Return what tells the decisions on a review from any others."""
    return hashlib.sha256(json.dumps(record.decisions, sort_keys=True).encode()).hexdigest()[:32]


def by_hand(record: ReviewRecord) -> dict[tuple[int, str], tuple[str, ...]]:
    """Return the labels that a person gave rows, by row and target."""
    found = {}
    for key, labels in record.decisions.get(BY_HAND, {}).items():
        row, _, target = key.partition(":")
        found[int(row), target] = tuple(json.loads(labels))
    return found


def changes_of(record: ReviewRecord) -> int:
    """Return how many changes were accepted, or made by hand: what applying it does."""
    return len(by_hand(record)) + sum(accepted_of(record, finding) for finding in record.summary)


def _one_by_one(said: Mapping[str, str]) -> dict[str, str]:
    """What was accepted or rejected item by item."""
    return {key: decision for key, decision in said.items() if key != ALL and decision != OPEN}


def _is_row(place: Place, given: Relabelled) -> bool:
    return place.split == TRAIN and place.row == given.row and given.target in place.labels


def _check_labels(labels: tuple[str, ...] | None, longest: int) -> None:
    where: list[str | int] = ["body", "labels"]
    if labels is not None and len(labels) > MOST_LABELS:
        raise InvalidRequest(f"There are {len(labels):,} labels: give {MOST_LABELS} at most.", loc=where)
    for label in labels or ():
        if not label.strip() or label != label.strip() or not label.isprintable() or len(label) > longest:
            message = f"{label[:60]!r} is no label: give 1 to {longest} visible characters."
            raise InvalidRequest(message, loc=where)


def _name(name: str, like: str, version: int | None) -> str:
    """A name that is read as the source's is: `rows.v2.jsonl` beside `rows.jsonl`."""
    suffixes = "".join(Path(like).suffixes[-2:]) if like.endswith(".gz") else Path(like).suffix
    stem = name.removesuffix(suffixes) if suffixes else name
    if version is None:
        return f"{stem}{suffixes}"
    base, dot, number = stem.rpartition(".v")
    return f"{base if dot and number.isdigit() else stem}.v{version}{suffixes}"


def _check_decision(decision: str | None) -> None:
    if decision is not None and decision not in DECISIONS:
        message = f"There is no decision {decision[:40]!r}: give {', '.join(DECISIONS)}."
        raise InvalidRequest(message, loc=["query", "decision"])


def _check(decision: Decision, finding: Finding | None, place: int) -> None:
    where: list[str | int] = ["body", "decisions", place]
    if finding is None:
        raise InvalidRequest(_no_finding(decision.finding), loc=[*where, "finding"])
    if decision.decision not in DECISIONS:
        message = f"There is no decision {decision.decision[:40]!r}: give {', '.join(DECISIONS)}."
        raise InvalidRequest(message, loc=[*where, "decision"])
    if decision.item is not None and not 0 <= decision.item < len(finding.items):
        raise InvalidRequest(f"{finding.id} has no item {decision.item}.", loc=[*where, "item"])
    items = finding.items if decision.item is None else [finding.items[decision.item]]
    if decision.decision == ACCEPTED and not any(item.edits for item in items):
        raise InvalidRequest(
            f"{finding.id} has no change that could be accepted: {finding.suggestion}", loc=[*where, "decision"]
        )


def _no_finding(finding_id: str) -> str:
    return f"The review has no finding {json.dumps(finding_id[:120])}: its findings are in the review itself."
