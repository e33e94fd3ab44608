"""Training, validation and test data from files into datasets; what was bad on the way is told.

Owns the allowed share of bad rows, the rejects file and the rule that a dataset's own splits are used. It does not know
formats, nor what is wrong with a row.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from math import isfinite
from pathlib import Path
from types import TracebackType
from typing import TextIO, cast

from tamis.data.dataset import Dataset, DatasetBuilder, build_together
from tamis.data.declared import Declarations
from tamis.data.formats import Detected, ReadOptions, Source, hub_splits, open_source
from tamis.data.formats.split_files import data_files
from tamis.data.known import refuse_several
from tamis.data.rows import READ_AS, BadRow, Note, Notes, Rejected
from tamis.errors import DataError, InvalidSetting, NoRows, TooManyBadRows
from tamis.schema import Example, Target, plain_text


@dataclass(frozen=True, slots=True)
class Weighted:
    """Training data of which each row counts `weight` times as much as one of weight 1, in the loss.

    Only proportions matter: data that all has the same weight has none.
    """

    data: object
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a weight that is no positive number.

        Raises:
            InvalidSetting: it is not.
        """
        if not isfinite(self.weight) or not 0 < self.weight <= MOST_WEIGHT:
            raise InvalidSetting(
                f"The weight of {self.data if isinstance(self.data, str | Path) else 'data'} is {self.weight}: give a "
                f"number above 0 and up to {MOST_WEIGHT:,.0f}.",
                setting="weight",
            )


MOST_WEIGHT = 1e6

Given = str | Path | Source | Sequence[str | Path | Weighted] | Iterable[Example]
"""Data: a path (or `owner/dataset`), several (some of them `Weighted`), an open source, or examples at hand."""

Check = Callable[[], None]
"""Called often while something goes on; raises what is to end it."""

SHOWN = 10
"""Rejected rows of a file that a tally keeps; a rejects file has them all."""

MOST_BAD_SHARE = 0.5
"""The largest share of bad rows that callers of the HTTP API may leave out."""

SPLITS = ("train", "validation", "test")

CHECKED_ROWS = 500
"""Rows between two checks whether to go on."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of one file: rows kept and rejected (by code, the first few whole), what was found out, remarks.

    `weight` is how much each of its rows counts.
    """

    file: str
    split: str
    rows: int
    rejected: int
    codes: Mapping[str, int] = field(default_factory=dict)
    first: tuple[Rejected, ...] = ()
    detected: Detected | None = None
    notes: tuple[Note, ...] = ()
    weight: float = 1.0

    def to_json(self) -> dict[str, object]:
        """Plain types."""
        return {
            "file": self.file,
            "split": self.split,
            "weight": self.weight,
            "rows": self.rows,
            "rejected": self.rejected,
            "codes": dict(self.codes),
            "first": [bad.to_json() for bad in self.first],
            "detected": self.detected.to_json() if self.detected else None,
            "notes": [note.to_json() for note in self.notes],
        }


@dataclass(frozen=True, slots=True)
class Loaded:
    """Datasets ready to learn from and to measure on, the tally of each file, and remarks on the whole by split."""

    train: Dataset
    validation: Dataset | None
    test: Dataset | None
    tallies: tuple[Tally, ...]
    notes: Mapping[str, tuple[Note, ...]]

    @property
    def rejected(self) -> int:
        """Rows left out, over all files."""
        return sum(tally.rejected for tally in self.tallies)


@dataclass(frozen=True, slots=True)
class Part:
    """One dataset with the tally of each of its files and remarks on the whole."""

    data: Dataset
    tallies: tuple[Tally, ...]
    notes: tuple[Note, ...]

    @property
    def read_as(self) -> tuple[str, ...]:
        """How its files were read for a model, where that had to be found out: a sentence each."""
        return read_as(note for tally in self.tallies for note in tally.notes)


class RejectsFile(AbstractContextManager["RejectsFile"]):
    """Takes rejected rows and writes them as JSONL; without a path it forgets them."""

    def __init__(self, path: str | Path | None) -> None:
        """Begin the file anew.

        Raises:
            InvalidSetting: it cannot be written.
        """
        self._stream: TextIO | None = None
        if path is not None:
            try:
                # surrogates of a file's name become escapes; closed by __exit__
                self._stream = Path(path).open("w", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
            except OSError as error:
                raise InvalidSetting(f"The rejects file {path} cannot be written: {error.strerror}.") from error

    def write(self, bad: Rejected) -> None:
        """Append one row."""
        if self._stream:
            self._stream.write(json.dumps(bad.to_json(), ensure_ascii=False) + "\n")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        if self._stream:
            self._stream.close()


class Reading:
    """The good rows of one split, one at a time; what was bad is counted, and written to `rejects`.

    Iterate once, to the end; then `tallies` has an entry a file.
    """

    def __init__(
        self,
        given: Given,
        split: str,
        options: ReadOptions,
        rejects: RejectsFile | None = None,
        refuse: Callable[[Example], None] | None = None,
        check: Check | None = None,
    ) -> None:
        """Remember what to read; `refuse` raises BadRow for a row that does not fit, `check` is called now and then."""
        self.split = split
        self.tallies: list[Tally] = []
        self._given, self._options, self._rejects = given, options, rejects
        self._refuse, self._check = refuse, check

    def __iter__(self) -> Iterator[Example]:
        """Yield the examples."""
        self.tallies = []
        for source, weight in _sources(self._given, self._options):
            yield from self._read(source, weight)

    def _read(self, source: Source | Iterable[Example], weight: float) -> Iterator[Example]:
        rows, rejected, first, codes = 0, 0, list[Rejected](), Counter[str]()
        for row in self._fitting(source):
            if isinstance(row, Example):
                rows += 1
                yield row if weight == 1.0 else replace(row, weight=row.weight * weight)
                continue
            rejected += 1
            codes[row.code] += 1
            if len(first) < SHOWN:
                first.append(row)
            if self._rejects:
                self._rejects.write(row)
        name = str(getattr(source, "name", f"{self.split} data"))
        notes = tuple(getattr(source, "notes", ()))
        detected = getattr(source, "detected", None)
        self.tallies.append(Tally(name, self.split, rows, rejected, dict(codes), tuple(first), detected, notes, weight))

    def _fitting(self, source: Source | Iterable[Example]) -> Iterator[Example | Rejected]:
        """Yield the rows, with those that do not fit rejected."""
        name = str(getattr(source, "name", f"{self.split} data"))
        for number, row in enumerate(source):
            if self._check and number % CHECKED_ROWS == 0:
                self._check()
            if self._refuse and isinstance(row, Example):
                try:
                    self._refuse(row)
                except BadRow as bad:
                    yield bad.at(name, row.line, plain_text(row.input))
                    continue
            yield row

    def refuse_above(self, max_bad_share: float) -> None:
        """Refuse the split if too many of its rows were bad, or all of them.

        Raises:
            TooManyBadRows: the message shows the first three and says how to go on without them.
        """
        bad, good = sum(tally.rejected for tally in self.tallies), sum(tally.rows for tally in self.tallies)
        if not bad or (good and bad / (bad + good) <= max_bad_share):
            return
        share, first = bad / (bad + good), [row for tally in self.tallies for row in tally.first][:3]
        allow = min(1.0, -(-share * 100 // 1) / 100)

        def said(rows: Iterable[object], without: str) -> str:
            many = f"{bad:,} of {bad + good:,} rows of the {self.split} data are bad"
            shown = "".join(f"\n  {row}" for row in rows)
            more = f"\n  ... and {bad - len(first):,} more" if bad > len(first) else ""
            cure = without if good else ": no row is left"
            return f"{many} ({share:.2%}; allowed: {max_bad_share:.2%}):{shown}{more}\nCorrect them{cure}."

        skip = f", or train without them: invalid_sample_skip_percentage = {allow:.2g}"
        raise TooManyBadRows(
            said(
                first,
                f", or go on without them: --max-bad-share {allow:.2g} (in Python max_bad_share={allow:.2g}; all are "
                "written by --rejects FILE, in Python rejects)",
            ),
            for_callers=said([row.for_callers() for row in first], skip if allow <= MOST_BAD_SHARE else ""),
            rejected=bad,
            rows=bad + good,
            first=tuple(first),
        )


def load_splits(  # noqa: PLR0913  (the door to all data of a run)
    train: Given,
    validation: Given | None = None,
    test: Given | None = None,
    options: ReadOptions | None = None,
    *,
    max_bad_share: float = 0.0,
    rejects: str | Path | None = None,
    declared: Declarations | None = None,
    oos_label: str | None = None,
    known: Sequence[Target] = (),
    check: Check | None = None,
) -> Loaded:
    """Read training data with its further splits; kinds are told from all of them, labels from the training data.

    Where `train` is a folder or hub dataset with splits of its own, those that are not given are taken from there.

    Args:
        train: the data to learn from.
        validation: the data to choose on.
        test: the data to report on.
        options: how to read files.
        max_bad_share: the share of bad rows of each split up to which they are left out instead of refused, 0 to 1.
        rejects: file to write the rejected rows to, as JSONL.
        declared: targets that are not to be inferred. A training row with a label that is not declared is bad; a target
            that is not declared is left out with a note.
        oos_label: what rows carry that are out of their single-label target's scope; it is none of its labels.
        known: targets of a model that grows: the data adds labels and further targets to them.
        check: called every few hundred rows; what it raises ends the reading.

    Raises:
        TooManyBadRows: a split has a larger share of bad rows.
        NoRows: there is no training data.
        DataError: data cannot be read, or a split has none of the training data's targets.
    """
    _check_share(max_bad_share)
    refuse_overwriting([rejects], train, validation, test)
    options = options or ReadOptions()
    notes = {split: Notes() for split in SPLITS}
    given = _with_own_splits({"train": train, "validation": validation, "test": test}, options, notes)
    refuse = {split: _refusal(split, declared, known) for split in given}
    with RejectsFile(rejects) as rejects_file:
        readings = {
            split: Reading(data, split, replace(options, split=own), rejects_file, refuse[split], check)
            for split, (data, own) in given.items()
        }
        builders = {split: _build(reading) for split, reading in readings.items()}
    for reading in readings.values():
        reading.refuse_above(max_bad_share)
    for split, builder in builders.items():
        if split != "train" or declared:
            inferred = dict.fromkeys([*(target.name for target in known), *builders["train"].kinds()])
            names = tuple(declared.targets if declared else inferred)
            _match_targets(builder, names, split, notes[split])
        _note_mixed(builder, notes[split])
    parts = (builders.get(split) for split in SPLITS)
    datasets = build_together(*parts, declared=declared, oos_label=oos_label, known=known)
    first = datasets[0]
    if first is None:
        raise NoRows("There is no training data.")
    tallies = tuple(tally for reading in readings.values() for tally in reading.tallies)
    return Loaded(first, datasets[1], datasets[2], tallies, {split: tuple(remarks) for split, remarks in notes.items()})


def load(
    given: Given,
    targets: Sequence[Target] | None,
    options: ReadOptions | None = None,
    *,
    max_bad_share: float = 0.0,
    rejects: str | Path | None = None,
) -> Part:
    """Read data to measure a model on: labels are encoded as the model's targets have them; None: as the data has them.

    Labels that the targets do not have count as misses; targets that the model does not have are left out with a note.

    Raises:
        TooManyBadRows: too large a share of the rows is bad.
        NoRows: no row is there.
        DataError: the data cannot be read, or has none of the targets.
    """
    _check_share(max_bad_share)
    refuse_overwriting([rejects], given)
    notes = Notes()
    options = _split_to_measure(given, options or ReadOptions(), notes)
    with RejectsFile(rejects) as rejects_file:
        reading = Reading(given, "evaluation", options, rejects_file)
        builder = _build(reading)
    reading.refuse_above(max_bad_share)
    if targets is not None and len(builder):
        _match_targets(builder, tuple(target.name for target in targets), "evaluation", notes)
    return Part(builder.finish(targets), tuple(reading.tallies), tuple(notes))


def read_as(notes: Iterable[Note]) -> tuple[str, ...]:
    """Return how files were read for a model, where that had to be found out: a sentence each."""
    told = dict.fromkeys(f"{note}." for note in notes if note.code in READ_AS)
    return tuple(f"{each[0].upper()}{each[1:]}" for each in told)


def read_inputs(given: str | Path, options: ReadOptions | None = None) -> Source:
    """Open inputs without labels: a text a line, JSONL of `text` or `messages`, or a table with a text column.

    Raises:
        DataError: it cannot be read, or no column looks like text.
    """
    return open_source(given, replace(options or ReadOptions(), labelled=False))


def refuse_overwriting(outputs: Iterable[str | Path | None], *given: Given | None) -> None:
    """Do nothing unless a file that is to be written is one of those that are to be read: call it before any is opened.

    Raises:
        InvalidSetting: it is, or it is a data file of a folder that is to be read.
    """
    sources = [path for data in given for path in (data if isinstance(data, list | tuple) else [data])]
    sources = [source.data if isinstance(source, Weighted) else source for source in sources]
    for written in outputs:
        if written is None or not Path(written).is_file():
            continue
        if any(isinstance(path, str | Path) and _holds(path, Path(written)) for path in sources):
            raise InvalidSetting(f"{written} is data that is to be read, and would be overwritten: name another file.")


def _holds(source: str | Path, file: Path) -> bool:
    place = Path(os.path.expanduser(source))
    if place.is_dir():
        inside = file.resolve().is_relative_to(place.resolve())
        return inside and bool(data_files([file.resolve().relative_to(place.resolve()).as_posix()]))
    return place.exists() and file.samefile(place)


def _refusal(
    split: str, declared: Declarations | None, known: Sequence[Target] = ()
) -> Callable[[Example], None] | None:
    """What to refuse rows by: labels that are not declared count as misses outside the training data."""
    if declared is None:
        return partial(refuse_several, known) if known else None
    return declared.refuse if split == "train" else declared.refuse_several


def _check_share(share: float) -> None:
    if not 0.0 <= share <= 1.0:
        raise InvalidSetting(f"max_bad_share is {share}: give a share from 0 to 1.", setting="max_bad_share")


def _sources(given: Given, options: ReadOptions) -> Iterator[tuple[Source | Iterable[Example], float]]:
    """Yield each source with its weight."""
    if isinstance(given, str | Path):
        yield open_source(given, options), 1.0
        return
    if hasattr(given, "detected"):
        yield cast("Source", given), 1.0
        return
    iterator = iter(given)
    first = next(iterator, None)
    if isinstance(first, str | Path | Weighted):
        for item in chain([first], cast("Iterator[str | Path | Weighted]", iterator)):
            data, weight = (item.data, item.weight) if isinstance(item, Weighted) else (item, 1.0)
            yield from ((source, own * weight) for source, own in _sources(cast("Given", data), options))
    elif first is not None:
        yield chain([first], cast("Iterator[Example]", iterator)), 1.0


def _with_own_splits(
    given: Mapping[str, Given | None], options: ReadOptions, notes: Mapping[str, Notes]
) -> dict[str, tuple[Given, str | None]]:
    """What to read for each split, and as which split of a folder or hub dataset."""
    train = given["train"]
    own = hub_splits(train, options) if isinstance(train, str | Path) and options.split is None else ()
    found: dict[str, tuple[Given, str | None]] = {}
    for split in SPLITS:
        data = given[split]
        if data is not None:
            usual = split if isinstance(data, str | Path) and split in hub_splits(data, options) else None
            found[split] = (data, options.split if split == "train" and options.split else usual)
        elif split in own and isinstance(train, str | Path):
            notes[split].add("split_found", 0, f"{train}: {split}")
            found[split] = (train, split)
    return found


def _split_to_measure(given: Given, options: ReadOptions, notes: Notes) -> ReadOptions:
    """Of a folder or hub dataset the test data, or else the validation data."""
    own = hub_splits(given, options) if isinstance(given, str | Path) and options.split is None else ()
    split = next((name for name in ("test", "validation") if name in own), None)
    if split is None:
        return options
    notes.add("split_found", 0, f"{given}: {split}")
    return replace(options, split=split)


def _build(reading: Reading) -> DatasetBuilder:
    builder = DatasetBuilder()
    for example in reading:
        builder.add(example)
    return builder


def _match_targets(builder: DatasetBuilder, declared: Sequence[str], split: str, notes: Notes) -> None:
    """Note targets that are not declared; where there is one here and one there, they are the same.

    Raises:
        DataError: none of the data's targets is declared.
    """
    there = list(builder.kinds())
    if not there or not declared or set(there) & set(declared):
        for name in set(there) - set(declared):
            notes.add("ignored_target", 0, name)
        return
    if len(there) == len(declared) == 1:
        builder.rename(there[0], declared[0])
        notes.add("target_renamed", 0, f"{there[0]} -> {declared[0]}")
        return
    cure = (
        f"The {split} data has the target(s) {', '.join(there)}, but expected are {', '.join(declared)}. Name the "
        "columns or targets alike"
    )
    raise DataError(
        f"{cure}, or choose the label columns (--label-column, in Python label_columns).",
        for_callers=f"{cure}.",
        targets=tuple(there),
    )


def _note_mixed(builder: DatasetBuilder, notes: Notes) -> None:
    for name, (lists, strings) in builder.mixed().items():
        notes.add("mixed_values", 0, f"{name}: {lists:,} lists, {strings:,} labels")
