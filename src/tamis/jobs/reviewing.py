"""Reviews of uploaded files, in a process of their own: what is found is stored, what was accepted becomes a new file.

It does not know who decides, nor how often; `workspace.reviews` does.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

from tamis.data.fixing import Places, apply_fixes
from tamis.data.loading import Loaded, load_splits
from tamis.data.review.corpus import TRAIN
from tamis.data.review.edits import Edit, SetLabels
from tamis.data.review.fixes import Context, Fixed, accepted, fixed, parse
from tamis.data.review.report import Finding, Item, Review
from tamis.errors import UnknownReview
from tamis.jobs.aside import answered
from tamis.jobs.tools import Tools, files_here
from tamis.ml.progress import Progress
from tamis.ml.review import ReviewOptions, review
from tamis.schema import Target
from tamis.store.records import ReviewRecord

ACCEPTED, REJECTED = "accepted", "rejected"
ALL = ""
"""The key, among the decisions about a finding, of the one about all of it."""

BY_HAND = "@labels"
"""The key, among decisions, of labels that a person gave rows: by `row:target`, as JSON. No finding is called so."""

DATASET = "dataset"
"""The key, among the options, of the dataset that is looked at: what is looked for does not depend on it."""

TELL_S = 1.0

Decisions = Mapping[str, Mapping[str, str]]


def answer(tools: Tools, told: Mapping[str, Any]) -> bytes:
    """Return what the process says: what it did, or why it could not."""

    def work() -> dict[str, Any]:
        record = tools.store.reviews.find(str(told["id"]))
        if record is None:
            raise UnknownReview
        return _review(tools, record) if told["act"] == "review" else _apply(tools, record, told)

    return answered(work, tools.choices.home)


def _review(tools: Tools, record: ReviewRecord) -> dict[str, Any]:
    """Look at the files, store what was found, and answer with the findings without their rows."""
    next_told = 0.0

    def listener(progress: Progress) -> None:
        nonlocal next_told
        if monotonic() >= next_told:
            next_told = monotonic() + TELL_S
            tools.store.reviews.change(record.id, progress=round(progress.share, 3))

    with files_here(tools.store, file_ids(record), tools.choices.work / record.id) as paths:
        loaded = loaded_files(tools, record, paths)
        options = {name: value for name, value in record.options.items() if name != DATASET}
        found = review(loaded, ReviewOptions(**options), listener=listener)
    return kept_report(tools, record.id, found)


def kept_report(tools: Tools, review_id: str, found: Review) -> dict[str, Any]:
    """Store a report; return the columns that tell of it, the findings without their rows among them."""
    key = f"reviews/{review_id}/report.json"
    with tools.store.objects.writer(key) as writer:
        writer.write(found.model_dump_json().encode())
        written = writer.commit()
    return {
        "result_key": key,
        "bytes": written.bytes,
        "summary": [finding.model_dump(mode="json", exclude={"items"}) for finding in found.findings],
    }


def file_ids(record: ReviewRecord) -> list[str]:
    """Return the files that a review looks at."""
    return [record.training_file, *record.validation_files, *record.test_files]


def loaded_files(tools: Tools, record: ReviewRecord, paths: Mapping[str, Path]) -> Loaded:
    """Read the files; unusable rows are left out, and files have the names that their owners gave them."""
    loaded = load_splits(
        [paths[record.training_file]],
        [paths[file_id] for file_id in record.validation_files] or None,
        [paths[file_id] for file_id in record.test_files] or None,
        tools.choices.reading,
        max_bad_share=1.0,
    )
    return replace(loaded, tallies=tuple(replace(each, file=Path(each.file).name) for each in loaded.tallies))


def report_of(tools: Tools, record: ReviewRecord) -> Review:
    """Return all that a review found."""
    return Review.model_validate_json(b"".join(tools.store.objects.read(str(record.result_key))))


def _apply(tools: Tools, record: ReviewRecord, told: Mapping[str, Any]) -> dict[str, Any]:
    """Write the file that the decisions lead to into the folder of the review, and its log."""
    report, chosen = report_of(tools, record), parse(told["fixes"]) if told.get("fixes") else []
    with files_here(tools.store, file_ids(record), tools.choices.work / record.id) as paths:
        loaded = loaded_files(tools, record, paths)
        context = Context({name: data for name, data in _measured(loaded) if data is not None})
        edits = list(_edits(report, record.decisions, loaded, context))
        result = accepted(loaded.train, edits)
        if chosen and len(result.data):
            result = result.then(fixed(result.data, chosen, context))
        names = [*dict.fromkeys(finding for finding, _ in edits), *map(str, chosen)]
        places = Places(paths[record.training_file], Path(str(told["output"])), overwrite=True)
        done = apply_fixes(result, names, places, tools.choices.reading, loaded.tallies, write=True)
    return {**done.to_json(), "changes": dict(Counter(change.fix for change in done.changes))}


def _measured(loaded: Loaded) -> list[tuple[str, Any]]:
    return [("validation", loaded.validation), ("test", loaded.test)]


def _edits(report: Review, decisions: Decisions, loaded: Loaded, context: Context) -> Iterator[tuple[str, Edit]]:
    """Yield what was accepted, each with its finding: item by item, and all of a finding where that was accepted."""
    for finding in report.findings:
        own = decisions.get(finding.id, {})
        every = own.get(ALL)
        taken = [item for item in enumerate(finding.items) if own.get(str(item[0]), every) == ACCEPTED]
        yield from ((finding.id, edit) for _, item in taken for edit in item.edits)
        if every == ACCEPTED and finding.count > len(finding.items):
            yield from ((finding.id, edit) for edit in _beyond(finding, own, loaded, context))
    yield from (("by hand", edit) for edit in given_by_hand(decisions, loaded.train.targets))


def given_by_hand(decisions: Decisions, targets: Sequence[Target]) -> Iterator[Edit]:
    """Yield the labels that a person gave rows, of targets that there are."""
    multi = {target.name: target.is_multi for target in targets}
    for key, labels in decisions.get(BY_HAND, {}).items():
        row, _, target = key.partition(":")
        if target in multi:
            given = tuple(json.loads(labels))
            yield SetLabels(row=int(row), target=target, labels=given if multi[target] else given[:1] or None)


def settled(tools: Tools, review_id: str, found: Review) -> dict[str, dict[str, str]]:
    """Return decisions on a review of the file that came of another one: rows that a person left stay as they are.

    A row is known by its text and its labels. Those that labels were given to by hand are settled, too.
    """
    record = tools.store.reviews.find(review_id)
    if record is None or record.result_key is None:
        return {}
    known: set[tuple[str, str, object]] = set()
    for finding in report_of(tools, record).findings:
        own = record.decisions.get(finding.id, {})
        for number, item in enumerate(finding.items):
            if item.rows and own.get(str(number), own.get(ALL)) == REJECTED:
                known.add((finding.id, *_seen(item, finding)))
            for target, labels in _by_hand(record, item).items():
                known.add((f"suspects:{target}", item.rows[0].text, labels))
    made = {
        finding.id: {
            str(number): REJECTED
            for number, item in enumerate(finding.items)
            if item.rows and (finding.id, *_seen(item, finding)) in known
        }
        for finding in found.findings
    }
    return {finding: own for finding, own in made.items() if own}


def _seen(item: Item, finding: Finding) -> tuple[str, object]:
    labels = item.rows[0].labels
    return item.rows[0].text, tuple(labels.get(finding.target, ())) if finding.target else tuple(labels.items())


def _by_hand(record: ReviewRecord, item: Item) -> dict[str, tuple[str, ...]]:
    """The labels that a person gave the first row of an item, by target."""
    if not item.rows or item.rows[0].split != TRAIN:
        return {}
    own: Mapping[str, str] = record.decisions.get(BY_HAND, {})
    keys = {target: f"{item.rows[0].row}:{target}" for target in item.rows[0].labels}
    return {target: tuple(json.loads(own[key])) for target, key in keys.items() if key in own}


def _beyond(finding: Finding, own: Mapping[str, str], loaded: Loaded, context: Context) -> Sequence[Edit]:
    """The edits of a finding's rows that its report does not name, by its fix; of suspects, only those named count."""
    if finding.fix is None or finding.code == "suspects":
        return []
    named = {edit for item in finding.items for edit in item.edits}
    made: Fixed = fixed(loaded.train, parse(finding.fix), context)
    return [change.edit for change in made.changes if change.edit not in named]
