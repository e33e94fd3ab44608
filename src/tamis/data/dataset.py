"""A dataset in memory: inputs, and label codes by target.

Built from examples, whatever file they came from. Kinds are inferred here, once, and declared on the `Target`;
nothing downstream looks at the values again. It does not know files, nor what is wrong with rows.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tamis.data.declared import Declarations, with_oos_label
from tamis.data.known import grown_targets
from tamis.data.truth import OUT_OF_SCOPE, UNKNOWN, MultiTruth, SingleTruth, Truth
from tamis.errors import DataError, NoRows, NothingToLearn
from tamis.schema import Example, Input, Kind, Target, plain_text

MOST_CELLS = 500_000_000
"""Targets times rows up to which a new target is taken in."""


def input_key(given: Input) -> int:
    """Return a 64-bit hash of the input: the same text has the same key on every machine."""
    return int.from_bytes(hashlib.blake2b(plain_text(given).encode("utf-8", "surrogatepass"), digest_size=8).digest())


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Rows as columns: `inputs`, `lines` (n,), `truth` a target (n each), `keys` (n,) uint64 hashes of the inputs.

    `weights` (n,) float32 says how much each row counts in training beside the others; None: all the same.
    """

    inputs: Sequence[Input]
    targets: tuple[Target, ...]
    truth: Mapping[str, Truth]
    keys: NDArray[np.uint64]
    lines: NDArray[np.int64]
    weights: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        """Rows."""
        return len(self.inputs)

    def select(self, rows: NDArray[np.intp]) -> Dataset:
        """The same for some rows, in the order of `rows`."""
        return Dataset(
            inputs=[self.inputs[row] for row in rows.tolist()],
            targets=self.targets,
            truth={name: truth.select(rows) for name, truth in self.truth.items()},
            keys=self.keys[rows],
            lines=self.lines[rows],
            weights=None if self.weights is None else self.weights[rows],
        )

    def target(self, name: str) -> Target:
        """The target of that name."""
        return next(target for target in self.targets if target.name == name)

    def content_hash(self) -> str:
        """Return sha256 over targets, inputs and labels; the order of the rows does not matter."""
        digest = hashlib.sha256()
        row_hashes = self.keys.copy()
        for target in self.targets:
            digest.update(target.model_dump_json().encode())
            row_hashes = _mix(row_hashes, self.truth[target.name])
        digest.update(np.sort(row_hashes).tobytes())
        return digest.hexdigest()

    def rows_hash(self) -> str:
        """Return sha256 over targets, inputs, labels and weights in the order of the rows: all that training sees."""
        digest = hashlib.sha256()
        row_hashes = self.keys.copy()
        for target in self.targets:
            digest.update(target.model_dump_json().encode())
            row_hashes = _mix(row_hashes, self.truth[target.name])
        chats = np.fromiter((not isinstance(given, str) for given in self.inputs), dtype=bool, count=len(self))
        for column in (row_hashes, chats, self.weights if self.weights is not None else np.zeros(0)):
            digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()

    def labels_of(self, name: str, row: int) -> tuple[str, ...] | None:
        """The names of the labels that a row carries for a target; None where it is unknown."""
        truth, target = self.truth[name], self.target(name)
        names = target.labels + truth.unseen
        if isinstance(truth, SingleTruth):
            code = int(truth.codes[row])
            if code == OUT_OF_SCOPE and target.oos_label is not None:
                return (target.oos_label,)
            return None if code < 0 else (names[code],)
        if not truth.known[row]:
            return None
        return tuple(names[code] for code in truth.codes[truth.offsets[row] : truth.offsets[row + 1]])


def _mix(hashes: NDArray[np.uint64], truth: Truth) -> NDArray[np.uint64]:
    prime, spread = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)
    if isinstance(truth, SingleTruth):
        labels = (truth.codes.astype(np.int64) + 2).astype(np.uint64) * spread
    else:
        labels = truth.known.astype(np.uint64)
        row = np.repeat(np.arange(len(truth)), np.diff(truth.offsets))
        np.add.at(labels, row, (truth.codes.astype(np.uint64) + np.uint64(2)) * spread)
    mixed: NDArray[np.uint64] = (hashes ^ labels) * prime
    return mixed ^ (mixed >> np.uint64(29))


@dataclass(slots=True)
class _Column:
    """One target while it grows: flat codes and lengths, with -1 for rows that do not mention it."""

    index: dict[str, int] = field(default_factory=dict)
    codes: array[int] = field(default_factory=lambda: array("i"))
    lengths: array[int] = field(default_factory=lambda: array("i"))
    lists: int = 0
    strings: int = 0

    def pad(self, rows: int) -> None:
        self.lengths.extend(array("i", [-1]) * (rows - len(self.lengths)))

    def add(self, labels: Iterable[str], *, listed: bool) -> None:
        unique = dict.fromkeys(labels)
        self.codes.extend(self.index.setdefault(label, len(self.index)) for label in unique)
        self.lengths.append(len(unique))
        self.lists += listed
        self.strings += not listed


class DatasetBuilder:
    """Takes examples one at a time; `finish` makes the dataset."""

    def __init__(self) -> None:
        """Start empty."""
        self._inputs: list[Input] = []
        self._keys = array("Q")
        self._lines = array("q")
        self._weights = array("f")  # empty while all are 1
        self._columns: dict[str, _Column] = {}

    def __len__(self) -> int:
        """Rows so far."""
        return len(self._inputs)

    def add(self, example: Example) -> None:
        """Append one row."""
        for name, labels in example.labels.items():
            column = self._columns.get(name) or self._new(name)
            column.pad(len(self._inputs))
            column.add(labels, listed=name in example.listed)
        if example.weight != 1.0 or self._weights:
            self._weights.extend([1.0] * (len(self._inputs) - len(self._weights)))
            self._weights.append(example.weight)
        self._inputs.append(example.input)
        self._keys.append(input_key(example.input))
        self._lines.append(example.line)

    def _new(self, name: str) -> _Column:
        """Start a target; refuse what would fill the memory, such as a target of its own for each row."""
        targets, rows = len(self._columns) + 1, len(self._inputs) + 1
        if targets * rows > MOST_CELLS:
            raise DataError(
                f"There are {targets:,} targets in the first {rows:,} rows, too many to hold: is something that "
                f"differs from row to row, like {name[:40]!r}, used as a target's name?",
                target=name,
            )
        column = self._columns[name] = _Column()
        return column

    def carrying(self, label: str) -> set[str]:
        """Return the targets for which some row carries this label."""
        return {name for name, column in self._columns.items() if label in column.index}

    def rename(self, name: str, new: str) -> None:
        """Call a target by another name."""
        self._columns = {new if known == name else known: column for known, column in self._columns.items()}

    def kinds(self) -> dict[str, Kind]:
        """The kind of each target seen: any list makes it multi-label."""
        return {name: Kind.MULTI_LABEL if column.lists else Kind.SINGLE_LABEL for name, column in self._columns.items()}

    def mixed(self) -> dict[str, tuple[int, int]]:
        """Targets whose values were lists in some rows and strings in others: (lists, strings)."""
        return {
            name: (column.lists, column.strings)
            for name, column in self._columns.items()
            if column.lists and column.strings
        }

    def finish(self, targets: Sequence[Target] | None = None, kinds: Mapping[str, Kind] | None = None) -> Dataset:
        """Return the dataset.

        Args:
            targets: declared targets to encode against (validation and test data); labels they do not have become
                unseen labels. Targets of the rows that are not declared are left out.
            kinds: kinds to declare instead of the inferred ones.

        Raises:
            NoRows: nothing was added.
            DataError: a single-label target has a row with several labels.
        """
        if not self._inputs:
            raise NoRows("There are no usable rows: nothing is left to learn from or to measure.")
        declared = tuple(targets) if targets is not None else self.inferred(kinds or {})
        return Dataset(
            inputs=self._inputs,
            targets=declared,
            truth={target.name: self._truth(target) for target in declared},
            keys=np.array(self._keys, dtype=np.uint64),
            lines=np.array(self._lines, dtype=np.int64),
            weights=self._row_weights(),
        )

    def inferred(self, kinds: Mapping[str, Kind]) -> tuple[Target, ...]:
        """Return the targets of the rows so far: labels sorted, kinds as given, else as the rows have them."""
        told = {**self.kinds(), **kinds}
        return tuple(Target.of(name, told[name], tuple(sorted(column.index))) for name, column in self._columns.items())

    def _row_weights(self) -> NDArray[np.float32] | None:
        """The weights of the rows; None where they are all the same, since only their proportions count."""
        weights = np.array(self._weights, dtype=np.float32)
        return None if not len(weights) or (weights == weights[0]).all() else weights

    def _truth(self, target: Target) -> Truth:
        column = self._columns.get(target.name, _Column())
        column.pad(len(self._inputs))
        known_codes = {label: code for code, label in enumerate(target.labels)}
        if target.oos_label is not None and not target.is_multi:
            known_codes.setdefault(target.oos_label, OUT_OF_SCOPE)
        unseen = tuple(sorted(label for label in column.index if label not in known_codes))
        known_codes.update({label: len(target.labels) + i for i, label in enumerate(unseen)})
        recode = np.array([known_codes[label] for label in column.index], dtype=np.int32)
        raw = np.array(column.codes, dtype=np.int32)
        codes = recode[raw] if len(raw) else raw
        lengths = np.array(column.lengths, dtype=np.int64)
        if target.is_multi:
            offsets = np.concatenate([[0], np.cumsum(np.maximum(lengths, 0))]).astype(np.int64)
            return MultiTruth(codes, offsets, lengths >= 0, len(target.labels), unseen)
        return self._single(target, codes, lengths, unseen)

    def _single(
        self, target: Target, codes: NDArray[np.int32], lengths: NDArray[np.int64], unseen: tuple[str, ...]
    ) -> SingleTruth:
        several = np.flatnonzero(lengths > 1)
        if len(several):
            line = self._lines[int(several[0])]
            raise DataError(
                f"Line {line} carries {lengths[several[0]]} labels for the single-label target {target.name!r}. "
                "Give one label a row, or lists in the training data to make the target multi-label.",
                line=line,
                target=target.name,
            )
        single = np.full(len(lengths), UNKNOWN, dtype=np.int32)
        single[lengths == 1] = codes
        return SingleTruth(single, len(target.labels), unseen)


def build(examples: Iterable[Example], targets: Sequence[Target] | None = None) -> Dataset:
    """Return the dataset of `examples`: `DatasetBuilder` in one call."""
    builder = DatasetBuilder()
    for example in examples:
        builder.add(example)
    return builder.finish(targets)


def build_together(
    *splits: DatasetBuilder | None,
    declared: Declarations | None = None,
    oos_label: str | None = None,
    known: Sequence[Target] = (),
) -> list[Dataset | None]:
    """Finish training data and its further splits together: kinds from all of them, labels from the first.

    What is `declared` is not inferred, and targets that are not declared are left out. `known` targets, of a model that
    grows, keep their kind, and the data adds labels and further targets. Rows with `oos_label` are out
    of the scope of their single-label target, which does not have it as a label.

    Raises:
        NoRows: the first is empty.
        InvalidSetting: no row has `oos_label`.
    """
    kinds: dict[str, Kind] = {}
    for builder in splits:
        for name, kind in (builder.kinds() if builder else {}).items():
            kinds[name] = Kind.MULTI_LABEL if Kind.MULTI_LABEL in (kind, kinds.get(name)) else kind
    train = splits[0]
    if train is None:
        raise NoRows("There is no training data.")
    kinds |= declared.kinds if declared else {target.name: target.kind for target in known}
    inferred = train.inferred(kinds)
    targets = declared.complete(inferred) if declared else grown_targets(known, inferred)
    if oos_label is not None:
        carried = {name for builder in splits if builder for name in builder.carrying(oos_label)}
        targets = with_oos_label(targets, oos_label, carried)
    first = train.finish(targets, kinds)
    return [first, *(builder.finish(first.targets) if builder and len(builder) else None for builder in splits[1:])]


def require_learnable(dataset: Dataset) -> None:
    """Refuse a dataset with nothing to tell apart.

    Raises:
        NothingToLearn: no target, or a target whose rows carry fewer than two labels (none, for multi-label).
    """
    if not dataset.targets:
        raise NothingToLearn("No row has a label: there is nothing to learn.")
    for target in dataset.targets:
        least = 1 if target.is_multi else 2
        seen = np.flatnonzero(dataset.truth[target.name].counts()).tolist()
        if min(len(seen), len(target.labels)) < least:
            only = f" (only {target.labels[seen[0]]!r})" if seen else ""
            raise NothingToLearn(
                f"The rows have {len(seen)} label(s) of target {target.name!r}{only}: a single-label target needs at "
                "least two different labels, a multi-label target at least one. Add rows with another label, or leave "
                "this target out.",
                target=target.name,
            )


def columns_of(data: Dataset) -> dict[str, slice]:
    """Return where each target's labels stand among all labels."""
    columns, at = {}, 0
    for target in data.targets:
        columns[target.name] = slice(at, at + len(target.labels))
        at += len(target.labels)
    return columns
