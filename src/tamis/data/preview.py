"""A look at a file: its columns with some of what stands in them, and its first rows as a model would see them.

Reads a bounded part of the file, its beginning and some rows from all over it, and makes a `Layout` of what a person
chose among its columns, or of what is detected.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from tamis.data.formats.columns import likely_separator
from tamis.data.formats.delimited import Cells
from tamis.data.formats.detect import detect
from tamis.data.formats.files import FORMATS
from tamis.data.formats.json_rows import Row
from tamis.data.formats.jsonl import JsonSource
from tamis.data.formats.objects import INPUT_KEYS, LABEL_KEYS
from tamis.data.formats.options import Detected, ReadOptions
from tamis.data.formats.tables import TableSource
from tamis.data.formats.values import Value
from tamis.data.layout import Layout
from tamis.data.rows import Rejected
from tamis.errors import DataError, InvalidSetting, MissingColumn, NoRows, UnknownFormat
from tamis.schema import Example, Input

LOOKED_AT, CHARACTERS = 200, 2**21
"""Rows that are looked at; fewer where they have more than so many characters together."""

LATER, STEP = 5_000, 20
"""Rows after these, of which each so many are looked at too, where a file cannot be entered in its middle."""

SHOWN, SHOWN_BAD, SHOWN_VALUES = 6, 5, 3
MOST_COLUMNS = 200
_VALUE = 80

TEXT, LABEL, FLAG, UNUSED = "text", "label", "flag", "unused"
"""What a column can be read as."""

Pair = tuple[Cells | Row, Example | Rejected]
"""What stands in a row, and what it comes to."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person said of a file: the roles of its columns by their number from 0, none to have them detected.

    `separators` part several labels of a cell, by column too; the rest is as in `Layout`.
    """

    roles: Mapping[int, str] = field(default_factory=dict)
    separators: Mapping[int, str] = field(default_factory=dict)
    delimiter: str | None = None
    encoding: str | None = None
    header: bool | None = None
    empty_means_none: bool = False


@dataclass(frozen=True, slots=True)
class SeenColumn:
    """A column: some of its values, cut, how many different and empty ones were seen, and what it is read as."""

    name: str
    values: tuple[str, ...]
    different: int
    empty: int
    role: str = UNUSED
    separator: str = ""


@dataclass(frozen=True, slots=True)
class SeenTarget:
    """A target: its labels in rows that were looked at, the most frequent first, and whether a row has several."""

    name: str
    labels: tuple[str, ...]
    several: bool


@dataclass(frozen=True, slots=True)
class SeenRow:
    """A row as a model sees it."""

    line: int
    input: Input
    labels: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Preview:
    """What the beginning of a file shows.

    Attributes:
        detected: what was found out about the file itself.
        columns: the first of its columns; `hidden` more are there.
        layout: how it is read.
        rows: the first that can be used.
        targets: what a model would learn to tell.
        looked_at: first rows that were looked at; `bad` of them cannot be used, the first of these in `first_bad`.
        problem: why it cannot be read so, in a sentence; "" where it can.
    """

    detected: Detected
    columns: tuple[SeenColumn, ...] = ()
    layout: Layout = field(default_factory=Layout)
    hidden: int = 0
    rows: tuple[SeenRow, ...] = ()
    targets: tuple[SeenTarget, ...] = ()
    looked_at: int = 0
    bad: int = 0
    first_bad: tuple[Rejected, ...] = ()
    problem: str = ""


READABLE = ("csv", "jsonl", "json")
"""Formats whose beginning is read in the server's own process."""


class _Wrong(Exception):
    """What was chosen cannot be meant."""


def look(path: Path, name: str, choice: Choice, limits: ReadOptions) -> Preview:
    """Look at the beginning of a file.

    Args:
        path: where it is.
        name: what its owner calls it.
        choice: what was said of it.
        limits: of what is read.

    Raises:
        DataError: it cannot be read at all, whatever is chosen.
        InvalidSetting: there is no such delimiter or encoding.
    """
    plain = Layout(delimiter=choice.delimiter, encoding=choice.encoding, header=choice.header)
    plain = plain.model_copy(update={"empty_means_none": choice.empty_means_none})
    cells = _Cells.of(path, name, plain.options(limits))
    plain = plain.model_copy(update={"header": cells.detected.header})
    try:
        layout = cells.layout(choice, plain) if choice.roles else cells.guessed(path, name, plain, limits)
    except _Wrong as wrong:
        seen = _unread(cells, choice)
        return Preview(cells.detected, seen, plain, cells.hidden, problem=str(wrong))
    return look_as(path, name, layout, limits, cells)


def look_as(path: Path, name: str, layout: Layout, limits: ReadOptions, cells: _Cells | None = None) -> Preview:
    """Look at the beginning of a file whose layout is known.

    Raises:
        DataError: it cannot be read at all, whatever the layout.
        InvalidSetting: there is no such delimiter, separator or encoding.
    """
    cells = cells or _Cells.of(path, name, layout.model_copy(update={"text": None, "labels": ()}).options(limits))
    try:
        source = _opened(path, name, layout.options(limits))
        read, others = _looked_at(source, 1)
    except (DataError, InvalidSetting) as error:
        problem = getattr(error, "for_callers", error.message)
        return Preview(cells.detected, cells.seen(layout, None), layout, cells.hidden, problem=problem)
    good = [row for _, row in read if isinstance(row, Example)]
    bad = [row for _, row in read if isinstance(row, Rejected)]
    return Preview(
        cells.detected,
        cells.seen(layout, source.detected),
        layout,
        cells.hidden,
        rows=tuple(SeenRow(row.line, row.input, row.labels) for row in good[:SHOWN]),
        targets=tuple(_targets(row for row in (*good, *(row for _, row in others)) if isinstance(row, Example))),
        looked_at=len(read),
        bad=len(bad),
        first_bad=tuple(bad[:SHOWN_BAD]),
        problem="" if good else f"None of the first {len(read):,} rows can be used like this.",
    )


@dataclass(frozen=True, slots=True)
class _Cells:
    """The columns with what stands in them; of rows that name their targets themselves, those are columns too."""

    source: TableSource | JsonSource
    rows: Sequence[Any]
    columns: Mapping[str, Sequence[Value]]
    targets: frozenset[str] = frozenset()

    @classmethod
    def of(cls, path: Path, name: str, options: ReadOptions) -> _Cells:
        """Read them, without asking which column is what."""
        options = replace(options, labelled=False, text_column=0, label_columns=(), label_separator=None)
        try:
            source = _opened(path, name, replace(options, binary_columns=None))
        except MissingColumn:  # there is none at all
            raise _no_rows(name) from None
        columns: dict[str, list[Value]] = {}
        targets: dict[str, None] = {}
        first, others = _looked_at(source, 0)
        rows = [row for row, _ in (*first, *others)]
        if isinstance(source, TableSource):
            columns = {column: [] for column in source.names}
        for row in rows:
            if isinstance(row, dict):
                own = _targets_of(row)
                targets.update(dict.fromkeys(own))
                for key, given in {**_without(row, own), **own}.items():
                    columns.setdefault(key, []).append(given)
            else:
                for column, value in zip(columns, row, strict=False):
                    columns[column].append(value)
        if not any(columns.values()):
            raise _no_rows(name)
        return cls(source, rows, columns, frozenset(targets))

    @property
    def detected(self) -> Detected:
        return self.source.detected

    def guessed(self, path: Path, name: str, plain: Layout, limits: ReadOptions) -> Layout:
        """The layout that the file seems to have, with what seems to part several labels."""
        with suppress(MissingColumn):  # its beginning alone does not tell
            _opened(path, name, plain.options(limits))
        try:
            found = self.source.told_by(self.rows, plain.options(limits))
        except MissingColumn:
            raise _Wrong("It cannot be told which columns hold the text and the labels: choose them.") from None
        itself = "*" in found.labels
        labels = sorted(self.targets) if itself else list(found.labels)
        marks = {label: self.likely_separator(label) for label in labels} if found.style == "plain" else {}
        made: dict[str, object] = {"separators": {label: mark for label, mark in marks.items() if mark}}
        if not itself:
            made |= {"text": found.text, "labels": tuple(labels), "flags": found.style == "flags"}
        return plain.model_copy(update=made)

    @property
    def hidden(self) -> int:
        return max(0, len(self.columns) - MOST_COLUMNS)

    @property
    def names(self) -> list[str]:
        return list(islice(self.columns, MOST_COLUMNS))

    def layout(self, choice: Choice, plain: Layout) -> Layout:
        """What was chosen, if it can be meant."""
        names = dict(enumerate(self.names))
        by_role = {
            role: [names[place] for place, given in sorted(choice.roles.items()) if given == role and place in names]
            for role in (TEXT, LABEL, FLAG)
        }
        text, labels, flags = by_role[TEXT], by_role[LABEL], by_role[FLAG]
        if not text:
            raise _Wrong("Choose the column that holds the text.")
        if labels and flags:
            raise _Wrong(
                "Yes/no columns make one set of labels together: no other label columns can stand beside them."
            )
        if not labels and not flags:
            raise _Wrong("Choose at least one column that holds labels: what the classifier is to tell.")
        marks = {names[place]: mark for place, mark in choice.separators.items() if mark and names.get(place) in labels}
        if set(text) <= set(INPUT_KEYS) and labels and set(labels) <= self.targets:  # as the rows say themselves
            chosen = () if set(labels) == self.targets else tuple(labels)
            return plain.model_copy(update={"separators": marks, "labels": chosen})
        if len(text) > 1:
            raise _Wrong(f"{len(text)} columns are chosen as the text: choose one of them.")
        found: dict[str, object] = {"text": text[0], "labels": tuple(labels or flags), "flags": bool(flags)}
        return plain.model_copy(update={**found, "separators": marks})

    def seen(self, layout: Layout, detected: Detected | None) -> tuple[SeenColumn, ...]:
        """The columns with the roles that a layout gives them."""
        says_itself = detected is not None and "*" in detected.labels
        labels = set(layout.labels) or (self.targets if says_itself else set(detected.labels if detected else ()))
        role = FLAG if layout.flags or (detected and detected.style == "flags") else LABEL
        texts = set(INPUT_KEYS) if says_itself else {layout.text or (detected.text if detected else None)}
        return tuple(
            self.column(
                name,
                TEXT if name in texts else role if name in labels else UNUSED,
                layout.separators.get(name, "") if name in labels else self.likely_separator(name),
            )
            for name in self.names
        )

    def likely_separator(self, name: str) -> str:
        """What would part several labels of a cell, were it a label column."""
        return likely_separator([cell for cell in self.columns.get(name, ()) if isinstance(cell, str) and cell]) or ""

    def column(self, name: str, role: str, separator: str = "") -> SeenColumn:
        filled = [_shown(value) for value in self.columns[name] if value not in (None, "")]
        different = dict.fromkeys(filled)
        values = tuple(value[:_VALUE] for value in islice(different, SHOWN_VALUES))
        return SeenColumn(name, values, len(different), len(self.columns[name]) - len(filled), role, separator)


def _unread(cells: _Cells, choice: Choice) -> tuple[SeenColumn, ...]:
    """The columns with the roles that were chosen, though they cannot be meant."""
    return tuple(
        cells.column(name, choice.roles.get(place, UNUSED), choice.separators.get(place, ""))
        for place, name in enumerate(cells.names)
    )


def _opened(path: Path, name: str, options: ReadOptions) -> TableSource | JsonSource:
    """A file of which columns can be chosen."""
    found, file = detect(path, name, options)
    source = FORMATS[found](file, options) if found in READABLE else None
    if not isinstance(source, TableSource | JsonSource):
        raise UnknownFormat(f"{name} is {found}: columns can be chosen in CSV, TSV and JSONL files. Save it as one.")
    return source


def _looked_at(source: TableSource | JsonSource, part: int) -> tuple[list[Pair], list[Pair]]:
    """The first rows, and others: from all over the file, or where it cannot be entered in its middle, the next ones.

    `part`: of what the length counts, the cells (0) or what they come to (1).
    """
    rows: Iterator[Pair] = source.with_cells() if isinstance(source, TableSource) else source.with_objects()
    first = list(islice(_short(rows, part), LOOKED_AT))
    others = list(_short(source.spread(first[-1][1].line if first else 0), part))
    return first, others or list(islice(_short(islice(rows, LATER), part), STEP - 1, None, STEP))


def _short(rows: Iterator[Pair], part: int) -> Iterator[Pair]:
    """The rows, until they are long together."""
    left = CHARACTERS
    for row in rows:
        yield row
        left -= _length(row[part])
        if left < 0:
            return


def _length(row: object) -> int:
    if isinstance(row, Example):
        labels = sum(len(label) + 1 for given in row.labels.values() for label in given)
        return labels + (len(row.input) if isinstance(row.input, str) else sum(len(turn.content) for turn in row.input))
    if isinstance(row, Rejected):
        return len(row.raw)
    values = row.values() if isinstance(row, dict) else row if isinstance(row, list) else ()
    names = sum(map(len, row)) if isinstance(row, dict) else 0  # each row of JSON may have others, and empty values
    return names + sum(1 + len(value if isinstance(value, str) else str(value)) for value in values)


def _no_rows(name: str) -> NoRows:
    return NoRows(f"{name} has no row that can be read. Give a row of names and rows below it, or lines of JSON.")


def _targets_of(record: Row) -> Row:
    """What a row of JSON says of its targets itself: by `labels` as an object, or as labels of a target so called."""
    given = record.get("labels", record.get("label"))
    if isinstance(given, dict):
        return given
    key = "labels" if "labels" in record else "label"
    return {key: given} if given is not None and any(key in record for key in INPUT_KEYS) else {}


def _without(record: Row, targets: Row) -> Row:
    return {key: value for key, value in record.items() if not (targets and key in LABEL_KEYS)}


def _shown(value: Value) -> str:
    if isinstance(value, str):
        return value[: _VALUE * 2]
    if isinstance(value, list) and value and all(isinstance(turn, dict) and "content" in turn for turn in value):
        return " / ".join(f"{turn.get('role', '')}: {turn['content']}" for turn in value)[: _VALUE * 2]
    return json.dumps(value, ensure_ascii=False, default=str)[: _VALUE * 2]


def _targets(rows: Iterable[Example]) -> Iterator[SeenTarget]:
    counts: dict[str, Counter[str]] = {}
    several: set[str] = set()
    for row in rows:
        several |= row.listed
        for target, labels in row.labels.items():
            counts.setdefault(target, Counter()).update(labels)
    for target, counted in counts.items():
        yield SeenTarget(target, tuple(label for label, _ in counted.most_common()), target in several)
