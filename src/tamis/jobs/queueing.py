"""Filling the review queue, in a process of its own: rows worth a person's look, out of a review or a file.

`told` names what to do (`SUSPECTS` of a review, the rows of a file that a model is least sure of, those on which two
versions disagree) and how many rows at most. What is found goes into the store; the result says how much.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tamis.data.dataset import Dataset
from tamis.data.formats import ReadOptions
from tamis.data.loading import read_as, read_inputs
from tamis.data.review.corpus import TRAIN
from tamis.data.rows import Rejected
from tamis.errors import Conflict, DataError, NoRows, UnknownReview
from tamis.jobs.looks import (
    DISAGREEMENT,
    MOST_OPEN,
    OPEN,
    SUSPECT,
    UNCERTAIN,
    UNLABELLED,
    Sight,
    hash_of,
    is_readable,
    look_at,
)
from tamis.jobs.models_here import finder
from tamis.jobs.operating import Acting, Done
from tamis.jobs.reviewing import file_ids, loaded_files, report_of
from tamis.jobs.tools import files_here
from tamis.ml.active import SURE_BELOW, Floats, choose, disagreement, uncertainty_by_target
from tamis.ml.predictor import Predictor
from tamis.ml.reading import reading_for
from tamis.schema import Example, Input, Prediction, Target

SUSPECTS, UNSURE, DIFFERENCES = "suspects", "unsure", "differences"
WAYS = (SUSPECTS, UNSURE, DIFFERENCES)

MOST_POOL = 500_000
"""Rows of a file that are looked through; of a longer one the first."""

AT_ONCE = 4_096
LOOKED_SHARE = 0.2

Found = list[Sight]


@dataclass(slots=True)
class Pool:
    """The inputs of a file, each once, with the labels it gives them; and how many could not be used."""

    inputs: list[Input] = field(default_factory=list)
    labels: list[Mapping[str, tuple[str, ...]]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    known: int = 0  # are in the queue, or were
    repeats: int = 0
    unusable: int = 0
    read_as: tuple[str, ...] = ()


def fill(acting: Acting) -> Done:
    """Find rows, and put them into the queue.

    Raises:
        UnknownReview: the review is gone.
        UnknownFile: the file is gone.
        UnknownModel: the model is gone.
        Conflict: the queue is full.
        DataError: the file cannot be read, or has nothing new.
    """
    told, store = acting.told, acting.tools.store
    name = str(told["name"])
    room = MOST_OPEN - store.looks.list(0, 0, name=name, status=OPEN)[1]
    if room <= 0:
        raise Conflict(f"{MOST_OPEN:,} rows of {name} wait for a look already: answer some first.")
    most = min(int(told["most"]), room)
    way = {SUSPECTS: _suspects, UNSURE: _unsure, DIFFERENCES: _differences}[told["way"]]
    seen = {record.input_hash for record in store.looks.list(0, None, name=name)[0]}
    found, summary = way(acting, most, seen)
    added = store.looks.add(look_at(sight, name, told.get("model")) for sight in found)
    summary |= {"name": name, "way": told["way"], "added": added}
    return Done(json.dumps(summary).encode(), name="queue.json", summary=summary)


def _suspects(acting: Acting, most: int, seen: set[str]) -> tuple[Found, dict[str, Any]]:
    """The rows of a review whose labels are likely to be wrong, the most doubtful first."""
    tools = acting.tools
    record = tools.store.reviews.find(str(acting.told["review"]))
    if record is None or record.result_key is None:
        raise UnknownReview("The data check is gone, or its report was deleted: make it again.")
    report = report_of(tools, record)
    with files_here(tools.store, file_ids(record), acting.work) as paths:
        train = loaded_files(tools, record, paths).train
    acting.tell(LOOKED_SHARE, "reading suspects")
    file = tools.store.files.find(record.training_file)
    place = {"review": record.id, "file": record.training_file, "file_name": file.name if file else ""}
    wanted = {target["name"] for target in acting.told["targets"]}
    found: dict[str, Sight] = {}
    for finding in report.findings:
        if finding.code != "suspects" or finding.target not in wanted:
            continue
        for item in finding.items:
            at = item.rows[0]
            if at.split != TRAIN or not at.row < len(train) or item.proposed is None:
                continue
            sight = _doubted(train, at.row, str(finding.target), item.proposed, float(item.score or 0.0))
            key = hash_of(sight.given)
            if key in seen or not is_readable(sight.given):
                continue
            sight = replace(sight, source={**place, "line": at.line, "told": item.told[:300]})
            found[key] = _joined(found[key], sight) if key in found else sight
    rows = sorted(found.values(), key=lambda sight: -sight.urgency)[:most]
    return rows, {"looked_at": len(train), "found": len(found)}


def _doubted(data: Dataset, row: int, target: str, proposed: Sequence[str], score: float) -> Sight:
    return Sight(
        given=data.inputs[row],
        reason=SUSPECT,
        urgency=score,
        proposed={target: proposed},
        labels={each.name: labels for each in data.targets if (labels := data.labels_of(each.name, row)) is not None},
    )


def _joined(one: Sight, other: Sight) -> Sight:
    """A row whose labels of two targets are doubted is looked at once."""
    return replace(one, proposed={**other.proposed, **one.proposed}, urgency=max(one.urgency, other.urgency))


def _unsure(acting: Acting, most: int, seen: set[str]) -> tuple[Found, dict[str, Any]]:
    """The rows of a file that the model is not sure of, and that are unlike each other; or all, the sure ones last."""
    predictor = _predictor(acting, "model")
    pool = _pool(acting, seen, predictor)
    least = 0.0 if acting.told.get("sure_too") else SURE_BELOW
    chosen = choose(predictor, pool.inputs, most, least=least, check=lambda: acting.tell(0.6, "choosing rows"))
    scores = predictor.checked_scores([pool.inputs[row] for row in chosen.rows.tolist()])
    doubts = uncertainty_by_target(predictor, scores)
    said = predictor.predictions(scores)
    found = [
        Sight(
            given=pool.inputs[row],
            reason=UNCERTAIN if pool.labels[row] else UNLABELLED,
            urgency=doubt,
            proposed=_proposed(answer),
            labels=pool.labels[row],
            source={
                **_place(acting, pool, row),
                "unsure": [name for name, each in doubts.items() if each[place] >= SURE_BELOW],
            },
        )
        for place, (row, doubt, answer) in enumerate(
            zip(chosen.rows.tolist(), chosen.uncertainty.tolist(), said, strict=True)
        )
    ]
    return found, {**_looked(pool, len(found)), "sure": chosen.sure}


def _differences(acting: Acting, most: int, seen: set[str]) -> tuple[Found, dict[str, Any]]:
    """The rows of a file on which two versions of the model give different labels, the farthest apart first."""
    one, other = _predictor(acting, "model"), _predictor(acting, "other")
    pool = _pool(acting, seen, one)
    common = _common(one, other)
    if not common:
        raise DataError("The two versions have no target with the same labels in common: choose another version.")
    found: list[tuple[float, int, Prediction, Prediction]] = []
    for first in range(0, len(pool.inputs), AT_ONCE):
        acting.tell(LOOKED_SHARE + 0.7 * first / len(pool.inputs), "asking both versions")
        some = pool.inputs[first : first + AT_ONCE]
        scores = [predictor.checked_scores(some) for predictor in (one, other)]
        mine, theirs = one.predictions(scores[0]), other.predictions(scores[1])
        apart = _apart(scores[0], scores[1], common)
        for place, (said, told) in enumerate(zip(mine, theirs, strict=True)):
            if any(set(said[name].labels) != set(told[name].labels) for name in common):
                found.append((float(apart[place]), first + place, said, told))
    found.sort(key=lambda each: (-each[0], each[1]))
    sights = [
        Sight(
            given=pool.inputs[row],
            reason=DISAGREEMENT,
            urgency=distance,
            proposed=_proposed(said),
            labels=pool.labels[row],
            source={
                **_place(acting, pool, row),
                "versions": [acting.told["model_name"], acting.told["other_name"]],
                "said": [_proposed(said), _proposed(told)],
            },
        )
        for distance, row, said, told in found[:most]
    ]
    return sights, _looked(pool, len(found))


def _common(one: Predictor, other: Predictor) -> dict[str, tuple[list[int], list[int]]]:
    """The targets that both have, and where the labels that both have stand in each."""
    theirs: dict[str, Target] = {target.name: target for target in other.targets}
    common = {}
    for target in one.targets:
        match = theirs.get(target.name)
        if match is None or match.kind != target.kind:
            continue
        shared = [label for label in target.labels if label in match.labels]
        if shared:
            common[target.name] = (
                [target.labels.index(label) for label in shared],
                [match.labels.index(label) for label in shared],
            )
    return common


def _apart(
    mine: Mapping[str, Floats], theirs: Mapping[str, Floats], common: Mapping[str, tuple[list[int], list[int]]]
) -> Floats:
    each = [disagreement(mine[name][:, own], theirs[name][:, their]) for name, (own, their) in common.items()]
    most: Floats = np.max(each, axis=0)
    return most


def _pool(acting: Acting, seen: set[str], predictor: Predictor) -> Pool:
    """The rows of the file that are new to the queue.

    Raises:
        NoRows: there is none.
    """
    tools, pool = acting.tools, Pool()
    file_id = str(acting.told["file"])
    with files_here(tools.store, [file_id], acting.work) as paths:
        labels, pool.read_as = _labels_by_line(acting, paths[file_id], predictor)
        met = set[str]()
        source = read_inputs(paths[file_id], _reading(acting, predictor))
        for row in source:
            if len(pool.inputs) >= MOST_POOL:
                break
            if isinstance(row, Rejected) or not is_readable(row.input):
                pool.unusable += 1
                continue
            key = hash_of(row.input)
            if key in seen or key in met:
                pool.known += key in seen
                pool.repeats += key in met
                continue
            met.add(key)
            pool.inputs.append(row.input)
            pool.labels.append(labels.get(row.line, {}))
            pool.lines.append(row.line)
        text = source.detected.text or ""
        found = (f"Texts from {text}.",) if text in getattr(source, "names", ()) else ()
        pool.read_as = pool.read_as or read_as(source.notes) or found
    if not pool.inputs:
        why = "all of its rows are in the queue already, or were answered" if pool.known else "it has no usable row"
        raise NoRows(f"There is nothing new in this file: {why}. Choose another file.")
    acting.tell(LOOKED_SHARE, "reading the file")
    return pool


def _labels_by_line(
    acting: Acting, path: Path, predictor: Predictor
) -> tuple[dict[int, Mapping[str, tuple[str, ...]]], tuple[str, ...]]:
    """What the file says of its rows, for the model's targets, and how it was read.

    Nothing where it is one of texts alone.
    """
    from tamis.data.formats import open_source

    targets = {target["name"] for target in acting.told["targets"]}
    only = next(iter(targets)) if len(targets) == 1 else None
    known = {target.name: set(target.labels) for target in predictor.targets}
    found: dict[int, Mapping[str, tuple[str, ...]]] = {}
    try:
        source = open_source(path, _reading(acting, predictor))
        for row in _examples(source):
            mine = {name: each for name, each in row.labels.items() if name in targets}
            if not mine and only is not None and len(row.labels) == 1:
                said = next(iter(row.labels.values()))  # a file's only target is the model's only target, if it has its
                mine = {only: said} if known.get(only, set()).issuperset(said) else {}  # labels: it may be any column
            if mine:
                found[row.line] = mine
            if len(found) >= MOST_POOL:
                break
    except DataError:
        if acting.told.get("label_columns"):
            raise
        return {}, ()
    return found, read_as(source.notes)


def _reading(acting: Acting, predictor: Predictor) -> ReadOptions:
    """How the file is read: as is told, else like what the model learnt from."""
    told = acting.told
    options = replace(
        acting.tools.choices.reading,
        text_column=told.get("text_column") or None,
        label_columns=tuple(told.get("label_columns") or ()),
        label_separator=told.get("label_separator") or None,
    )
    return reading_for(options, [predictor.manifest])


def _examples(rows: Any) -> Iterator[Example]:  # noqa: ANN401
    return (row for row in rows if isinstance(row, Example))


def _predictor(acting: Acting, which: str) -> Predictor:
    find: Callable[[str], tuple[Predictor, str]] = finder(acting.tools.store, acting.tools.choices)
    acting.tell(LOOKED_SHARE, "loading the model")
    return find(str(acting.told[which]))[0]


def _proposed(answer: Prediction) -> dict[str, list[str]]:
    """What a model says of each target; where it abstains or is least sure, the label that comes first."""
    found = {}
    for name, each in answer.answers.items():
        best = max(each.scores, key=lambda label: each.scores[label], default=None)
        found[name] = list(each.labels) or ([best] if each.abstained and best is not None else [])
    return found


def _place(acting: Acting, pool: Pool, row: int) -> dict[str, Any]:
    return {"file": acting.told["file"], "file_name": acting.told["file_name"], "line": pool.lines[row]}


def _looked(pool: Pool, found: int) -> dict[str, Any]:
    return {
        "looked_at": len(pool.inputs),
        "found": found,
        "known": pool.known,
        "repeats": pool.repeats,
        "unusable": pool.unusable,
        "read_as": list(pool.read_as),
    }
