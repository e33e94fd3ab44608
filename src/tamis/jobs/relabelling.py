"""What people said in the review queue put to use: a new version of a training file, and how much better a model got.

`relabel` writes the rows of the training files again, with the labels that were answered, and the answered rows that
they lack behind them. Rows of the files that a model is measured on stay out of what it learns from. `gain` measures
two versions on the same rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tamis.data.dataset import Dataset
from tamis.data.layout import Layout
from tamis.data.loading import load_splits, read_inputs
from tamis.data.writers import Row, input_row, rows_of, write_jsonl
from tamis.errors import Conflict, ModelError
from tamis.jobs.looks import ANSWERED, hash_of, input_of
from tamis.jobs.models_here import manifest_of, model_of
from tamis.jobs.operating import Acting, Done
from tamis.jobs.tools import Tools, files_here
from tamis.ml.manifest import Manifest
from tamis.ml.promotion import Rivals, contest, rows_for
from tamis.ml.reading import layout_of, learnt_layout, reading_for
from tamis.schema import Example
from tamis.store.records import LookRecord

TELL_EVERY = 1_000
NOTHING = "Nothing was answered that the training rows do not say already: answer some rows first."


@dataclass(slots=True)
class Counts:
    """What became of the rows: read, with other labels now, added, left out since a model is measured on them."""

    rows: int = 0
    changed: int = 0
    added: int = 0
    measured_on: int = 0
    unreadable: int = 0
    met: set[str] = field(default_factory=set)

    def to_json(self) -> dict[str, int]:
        """Plain types."""
        return {
            "rows": self.rows + self.added,
            "changed": self.changed,
            "added": self.added,
            "measured_on": self.measured_on,
            "unreadable": self.unreadable,
        }


def relabel(acting: Acting) -> Done:
    """Write the training rows with what was answered.

    Raises:
        Conflict: nothing would change.
        UnknownFile: a file is gone.
        DataError: a file cannot be read.
    """
    told, tools = acting.told, acting.tools
    answers = {
        record.input_hash: record
        for record in tools.store.looks.list(0, None, name=str(told["name"]), status=ANSWERED)[0]
        if record.answer
    }
    training, measured = [str(each) for each in told["files"]], [str(each) for each in told["measured"]]
    output = acting.work / "rows.jsonl"
    with files_here(tools.store, [*training, *measured], acting.work) as paths:
        known = _known(tools, str(told.get("before")))
        reading = reading_for(tools.choices.reading, known) if known else tools.choices.reading
        loaded = load_splits([paths[each] for each in training], options=reading, max_bad_share=1.0)
        acting.tell(0.3, "reading the rows")
        kept_out = {
            hash_of(row.input)
            for each in measured
            for row in read_inputs(paths[each], reading)
            if isinstance(row, Example)
        }
        acting.tell(0.5, "writing the rows")
        counts = Counts(unreadable=sum(tally.rejected for tally in loaded.tallies))
        multi = _multi(loaded.train, told["targets"])
        old = _relabelled(acting, loaded.train, answers, counts)
        write_jsonl({output: _with_new(old, answers, kept_out, multi, counts)}, overwrite=True)
    if not counts.changed and not counts.added:
        raise Conflict(NOTHING)
    summary = {**counts.to_json(), "name": told["name"], "answers": len(answers), "labels": _labels(answers.values())}
    summary["layout"] = _layout(tools, training, known, learnt_layout(loaded.tallies, reading))
    return Done(output, name=str(told["output"]), media_type="application/jsonl", summary=summary)


def _known(tools: Tools, model_id: str) -> list[Manifest]:
    """What is known of the version before, unless it is gone."""
    record = tools.store.models.find(model_id)
    with suppress(ModelError):
        return [] if record is None else [manifest_of(tools, record)]
    return []


def _layout(tools: Tools, training: Sequence[str], known: Sequence[Manifest], learnt: Layout | None) -> object:
    """How the rows were laid out that the files were made from: as these say, the model, or they themselves."""
    records = (tools.store.files.find(each) for each in training)
    kept = next((each.layout for each in records if each is not None and each.layout), None)
    layout = next(filter(None, map(layout_of, known)), learnt)
    return kept or (None if layout is None else layout.model_dump(mode="json"))


def _relabelled(acting: Acting, data: Dataset, answers: Mapping[str, LookRecord], counts: Counts) -> Iterator[Row]:
    """The rows that are there, with the labels that were answered."""
    multi = _multi(data, acting.told["targets"])
    for place, row in enumerate(rows_of(data, np.arange(len(data)))):
        if place % TELL_EVERY == 0:
            acting.tell(0.5 + 0.5 * place / len(data), "writing the rows")
        counts.rows += 1
        key = f"{int(data.keys[place]):016x}"
        if key in answers:
            counts.met.add(key)
            row = _answered(row, answers[key], multi, counts)
        yield row


def _answered(row: Row, look: LookRecord, multi: set[str], counts: Counts) -> Row:
    before = row["labels"] if isinstance(row["labels"], dict) else {}
    after = {**before, **_values(look.answer or {}, multi)}
    if all(_same(before.get(name), value) for name, value in after.items()):
        return row
    counts.changed += 1
    return {**row, "labels": after}


def _same(one: object, other: object) -> bool:
    """Whether two values of a target say the same; the order of labels says nothing."""
    if isinstance(one, list) and isinstance(other, list):
        return set(one) == set(other)
    return one == other


def _values(answer: Mapping[str, Sequence[str]], multi: set[str]) -> dict[str, object]:
    """Labels as a file has them: lists for targets of several labels, else one, or null where no label fits."""
    return {
        name: list(labels) if name in multi else (labels[0] if labels else None)
        for name, labels in answer.items()
        if name in multi or len(labels) < 2
    }


def _labels(looks: Iterable[LookRecord]) -> dict[str, list[str]]:
    """The labels that answers give, by target."""
    found: dict[str, set[str]] = {}
    for look in looks:
        for name, labels in (look.answer or {}).items():
            found.setdefault(name, set()).update(labels)
    return {name: sorted(labels) for name, labels in found.items()}


def _multi(data: Dataset, targets: Iterable[Mapping[str, Any]]) -> set[str]:
    """The targets of several labels: as the rows have them, else as the model does."""
    there = {target.name: target.is_multi for target in data.targets}
    return {str(each["name"]) for each in targets if there.get(each["name"], each["kind"] == "multi_label")}


def _with_new(
    old: Iterable[Row], answers: Mapping[str, LookRecord], kept_out: set[str], multi: set[str], counts: Counts
) -> Iterator[Row]:
    """The old rows, then the answered ones that were not among them."""
    yield from old
    for key, look in answers.items():
        if key in counts.met:
            continue
        if key in kept_out:
            counts.measured_on += 1
            continue
        said = _values({**look.given, **(look.answer or {})}, multi)
        labels = {name: value for name, value in said.items() if value is not None}
        if labels:
            counts.added += 1
            yield {**input_row(input_of(look.input)), "labels": labels}


def gain(acting: Acting) -> Done:
    """Measure a version of a model beside the one before it.

    Raises:
        UnknownModel: one of them is gone.
        UnknownFile: the file is gone.
        DataError: the file cannot be read, or says nothing of the model's targets.
    """
    told, tools = acting.told, acting.tools
    acting.tell(0.1, "loading both versions")
    rivals = Rivals(
        candidate=model_of(tools, str(told["after"])),
        name=str(told["after_name"]),
        current=model_of(tools, str(told["before"])),
        current_name=str(told["before_name"]),
    )
    with files_here(tools.store, [str(told["file"])], acting.work) as paths:
        part = rows_for(rivals, paths[str(told["file"])], tools.choices.reading, max_bad_share=1.0)
    acting.tell(0.4, "measuring both versions")
    report = contest(rivals, part.data, ())
    targets: dict[str, Any] = {}
    for target in part.data.targets:
        table = report.targets.get(target.name)
        figure = "micro_f1" if target.is_multi else "accuracy"
        found = None if table is None else next((each for each in table.figures if each.figure == figure), None)
        if table is not None and found is not None:
            targets[target.name] = {"rows": table.rows, **found.model_dump(mode="json")}
    summary = {"rows": report.rows, "targets": targets, "remarks": [*part.read_as, *report.remarks]}
    return Done(report.model_dump_json().encode(), name="gain.json", summary=summary)
