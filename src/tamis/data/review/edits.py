"""Changes of rows as data: what a fix suggests, what a person accepts, what a log tells.

An edit names a row of the training data by its number among the readable rows, from 0. `applied` gives the dataset as
it is afterwards; files are rewritten elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from tamis.data.dataset import Dataset, input_key
from tamis.data.review.personal import masked
from tamis.data.review.scores import Rows
from tamis.data.truth import UNKNOWN, MultiTruth, SingleTruth, Truth, multi_truth
from tamis.schema import Input, Message


class _Edit(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RemoveRow(_Edit):
    """Leave a row out."""

    kind: Literal["remove_row"] = "remove_row"
    row: Annotated[int, Field(ge=0)]


class SetLabels(_Edit):
    """Give a row these labels of a target; None says nothing of it (unknown)."""

    kind: Literal["set_labels"] = "set_labels"
    row: Annotated[int, Field(ge=0)]
    target: str
    labels: tuple[str, ...] | None


class RenameLabel(_Edit):
    """Call a label by another name in all rows; where that is a label too, the two become one."""

    kind: Literal["rename_label"] = "rename_label"
    target: str
    label: str
    into: str


class MaskText(_Edit):
    """Put a word like [email] in the place of personal data in a row's text."""

    kind: Literal["mask_text"] = "mask_text"
    row: Annotated[int, Field(ge=0)]


Edit = Annotated[RemoveRow | SetLabels | RenameLabel | MaskText, Field(discriminator="kind")]
EDITS: TypeAdapter[Edit] = TypeAdapter(Edit)
"""Reads an edit from JSON."""


def applied(data: Dataset, edits: Iterable[Edit]) -> tuple[Dataset, Rows]:
    """Return the dataset after the edits, and which of its former rows each row is.

    Labels that no row carries any more are no longer labels of their target.
    """
    alive = np.ones(len(data), dtype=bool)
    sets: dict[str, dict[int, tuple[str, ...] | None]] = {}
    names: dict[str, dict[str, str]] = {}
    inputs: list[Input] | None = None
    keys = data.keys
    for edit in edits:
        if isinstance(edit, RemoveRow):
            alive[edit.row] = False
        elif isinstance(edit, SetLabels):
            sets.setdefault(edit.target, {})[edit.row] = edit.labels
        elif isinstance(edit, RenameLabel):
            names.setdefault(edit.target, {})[edit.label] = edit.into
        else:
            if inputs is None:
                inputs, keys = list(data.inputs), data.keys.copy()
            inputs[edit.row] = masked_input(data.inputs[edit.row])
            keys[edit.row] = input_key(inputs[edit.row])
    changed = replace(data, inputs=data.inputs if inputs is None else inputs, keys=keys)
    for target in data.targets:
        if target.name in sets or target.name in names:
            changed = _relabelled(changed, target.name, sets.get(target.name, {}), names.get(target.name, {}))
    rows = np.flatnonzero(alive)
    return _without_empty_labels(changed if alive.all() else changed.select(rows)), rows


def masked_input(given: Input) -> Input:
    """Return an input without personal data."""
    if isinstance(given, str):
        return masked(given)
    return tuple(Message(role=message.role, content=masked(message.content)) for message in given)


def renamed(labels: Sequence[str], names: Mapping[str, str]) -> tuple[str, ...]:
    """Return labels under their new names, each once."""
    return tuple(dict.fromkeys(names.get(label, label) for label in labels))


def _relabelled(
    data: Dataset, name: str, sets: Mapping[int, tuple[str, ...] | None], names: Mapping[str, str]
) -> Dataset:
    target, truth = data.target(name), data.truth[name]
    before = target.labels + truth.unseen
    wanted = {label for labels in sets.values() for label in labels or ()}
    after = tuple(sorted({names.get(label, label) for label in before} | wanted))
    code_of = {label: code for code, label in enumerate(after)}
    recode = np.array([code_of[names.get(label, label)] for label in before], dtype=np.int32)
    new: Truth
    if isinstance(truth, SingleTruth):
        codes = np.where(truth.codes == UNKNOWN, UNKNOWN, recode[truth.codes]).astype(np.int32)
        for row, labels in sets.items():
            codes[row] = code_of[labels[0]] if labels else UNKNOWN
        new = SingleTruth(codes, len(after))
    else:
        new = _multi(truth, recode, {row: _codes(labels, code_of) for row, labels in sets.items()}, len(after))
    kept = target.model_copy(update={"labels": after, "none_labels": renamed(target.none_labels, names)})
    targets = tuple(kept if each.name == name else each for each in data.targets)
    return replace(data, targets=targets, truth={**data.truth, name: new})


def _codes(labels: tuple[str, ...] | None, code_of: Mapping[str, int]) -> list[int] | None:
    return None if labels is None else [code_of[label] for label in labels]


def _multi(truth: MultiTruth, recode: np.ndarray, sets: Mapping[int, list[int] | None], n_labels: int) -> MultiTruth:
    rows: list[list[int] | None] = []
    codes, offsets = recode[truth.codes].tolist(), truth.offsets.tolist()
    for row, known in enumerate(truth.known.tolist()):
        own = list(dict.fromkeys(codes[offsets[row] : offsets[row + 1]])) if known else None
        rows.append(sets.get(row, own))
    return multi_truth(rows, n_labels)


def _without_empty_labels(data: Dataset) -> Dataset:
    """Return the data without labels that no row carries."""
    targets, truths = [], dict(data.truth)
    for target in data.targets:
        truth = data.truth[target.name]
        counts = truth.counts()
        if counts.all():
            targets.append(target)
            continue
        kept = np.flatnonzero(counts)
        recode = np.full(truth.n_labels + len(truth.unseen), UNKNOWN, dtype=np.int32)
        recode[kept] = np.arange(len(kept))
        recode[truth.n_labels :] = len(kept) + np.arange(len(truth.unseen))
        labels = tuple(target.labels[code] for code in kept.tolist())
        none = tuple(label for label in target.none_labels if label in labels)
        targets.append(target.model_copy(update={"labels": labels, "none_labels": none}))
        truths[target.name] = _recoded(truth, recode, len(kept))
    return replace(data, targets=tuple(targets), truth=truths)


def _recoded(truth: Truth, recode: np.ndarray, n_labels: int) -> Truth:
    if isinstance(truth, SingleTruth):
        codes = np.where(truth.codes == UNKNOWN, UNKNOWN, recode[truth.codes]).astype(np.int32)
        return SingleTruth(codes, n_labels, truth.unseen)
    return MultiTruth(recode[truth.codes], truth.offsets, truth.known, n_labels, truth.unseen)
