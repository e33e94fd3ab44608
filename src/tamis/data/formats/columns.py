"""Which column holds the text and which the labels: by option, by name, or by what stands in them.

Works on names and a sample of rows. It does not know which format they come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from tamis.data.formats.expected import Told
from tamis.data.formats.objects import LABELLED_KEYS
from tamis.data.formats.options import ReadOptions
from tamis.data.formats.values import Value
from tamis.errors import InvalidSetting, MissingColumn

TEXT_NAMES = (
    "text", "messages", "query", "sentence", "utterance", "message", "input", "inputs", "question", "content",
    "comment", "comment_text", "review", "review_text", "review_body", "tweet", "post", "document", "body",
    "description", "title", "headline", "prompt", "text_content", "raw_text", "sample",
)  # fmt: skip
LABEL_NAMES = (
    "label_text", "label_name", "label", "labels", "intent", "intents", "category", "categories", "class", "classes",
    "target", "targets", "topic", "topics", "sentiment", "tag", "tags", "genre", "genres", "coarse_label", "emotion",
    "language", "rating", "score", "type", "output", "gold", "y",
)  # fmt: skip
FLAGS_TARGET = "labels"
"""The target that 0/1 columns make together."""

TEXT = "--text-column (in Python text_column)"
LABEL = "--label-column (in Python label_columns)"
SEPARATOR = "--label-separator (in Python label_separator)"
"""What a user says which column with: on the command line and in Python."""

_FLAGS = frozenset({"0", "1", "0.0", "1.0", "", 0, 1})
_SEPARATORS = "|;,"
_FEW_ROWS = 10
_STEEP = 4
"""How much less a column of which a part is there twice looks like texts: names of labels may be longer than these."""


@dataclass(frozen=True, slots=True)
class LabelColumn:
    """A column that holds a target's labels.

    `classes` names the numbers that stand in it, if it has such; `separator` is what parts its labels, if it has one of
    its own.
    """

    place: int
    column: str
    target: str
    listed: bool = False
    classes: tuple[str, ...] = ()
    separator: str | None = None

    @property
    def several(self) -> bool:
        """Whether its cells are known to hold any number of labels."""
        return self.listed or self.separator is not None


@dataclass(frozen=True, slots=True)
class Columns:
    """What is read of a table: the text's place, a target a label column, or `flags` (place, label) of one target."""

    names: tuple[str, ...]
    text: int
    labels: tuple[LabelColumn, ...] = ()
    flags: tuple[tuple[int, str], ...] = ()
    guessed: bool = False
    warnings: tuple[str, ...] = ()
    empty_means_none: bool = False
    told: Told = ()

    @property
    def roles(self) -> Mapping[str, str]:
        """Column → target."""
        flags = {name: FLAGS_TARGET for _, name in self.flags}
        return flags or {column.column: column.target for column in self.labels}

    @property
    def unread(self) -> tuple[str, ...]:
        """The columns that are neither text nor labels, nor what `tamis label` writes beside them."""
        read = {self.names[self.text], *self.roles, *(f"{name}.confidence" for name in self.roles), *LABELLED_KEYS}
        return tuple(name for name in self.names if name not in read)

    def narrowed(self) -> Columns:
        """The same where only the columns that are read are there, the text first."""
        names = (self.names[self.text], *self.roles)
        places = {name: place for place, name in enumerate(names)}
        return replace(
            self,
            names=names,
            text=0,
            labels=tuple(replace(column, place=places[column.column]) for column in self.labels),
            flags=tuple((places[name], name) for _, name in self.flags),
        )

    @property
    def several(self) -> bool:
        """Whether some label column is known to hold any number of labels."""
        return any(column.several for column in self.labels)

    def style(self, options: ReadOptions) -> str:
        """How the labels are written: plain, list, separated or flags."""
        if self.flags:
            return "flags"
        if options.label_separator or any(column.separator for column in self.labels):
            return "separated"
        return "list" if any(column.listed for column in self.labels) else "plain"


@dataclass(frozen=True, slots=True)
class Table:
    """The beginning of a table, to tell its columns by: names, rows as lists of cells, and class names by column."""

    file: str
    names: tuple[str, ...]
    rows: Sequence[Sequence[Value]]
    named: bool = True
    classes: Mapping[str, tuple[str, ...]] | None = None

    def column(self, place: int) -> list[Value]:
        """The cells of one column that are not empty."""
        return [row[place] for row in self.rows if place < len(row) and row[place] not in (None, "")]


def assign(table: Table, options: ReadOptions) -> Columns:
    """Decide what each column is: as the user says, as is expected, as it looks.

    Raises:
        MissingColumn: a column that was named is not there, or no column looks like text or labels.
        InvalidSetting: the text column is a label column too.
    """
    filled, found = options, None
    if options.expected is not None:
        filled, told = options.expected.fill(table.names, options, named=table.named)
        found = _divided(table, replace(_assigned(table, filled), told=told), filled)
        found = found if _makes_a_difference(table, found, options) else replace(found, told=())
    found = found or _assigned(table, filled)
    of = len(found.labels)
    warnings = tuple(warning for column in found.labels for warning in _separator_hint(table, column, filled, of))
    return replace(found, warnings=warnings)


def _divided(table: Table, found: Columns, options: ReadOptions) -> Columns:
    """The same where cells hold several labels that are expected, and nobody said what parts them."""
    if options.expected is None or isinstance(options.label_separator, str):
        return found
    alone, labels, told = len(found.labels) == 1, list[LabelColumn](), list(found.told)
    for column in found.labels:
        mark = None
        if not column.several:
            mark = options.expected.separator(column.target, table.column(column.place), alone=alone)
        if mark is not None:
            told.append(("cells_divided", f"{column.column} by {mark!r}"))
        labels.append(column if mark is None else replace(column, separator=mark))
    return replace(found, labels=tuple(labels), told=tuple(told))


def _makes_a_difference(table: Table, found: Columns, options: ReadOptions) -> bool:
    """Whether the table would be read otherwise if nothing were expected."""
    try:
        return _assigned(table, replace(options, expected=None)) != replace(found, told=())
    except (MissingColumn, InvalidSetting):
        return True


def _assigned(table: Table, options: ReadOptions) -> Columns:
    chosen = list(dict.fromkeys(place_of(table, name, LABEL) for name in options.label_columns))
    text, guessed_text = _text_place(table, options, chosen)
    if text in chosen:
        raise InvalidSetting(f"Column {table.names[text]!r} cannot be both text and label.", setting="text_column")
    if not options.labelled:
        return Columns(table.names, text, guessed=guessed_text)
    flags = _flags(table, options, chosen, text)
    if flags:
        empty = options.empty_means_none
        marked = tuple((place, table.names[place]) for place in flags)
        return Columns(table.names, text, flags=marked, empty_means_none=empty)
    places, guessed_label = (chosen, False) if chosen else _label_place(table, text)
    separators = _separators(table, places, options)
    labels = tuple(
        replace(_label_column(table, place, len(places), options), separator=separators.get(place)) for place in places
    )
    guessed = guessed_text or guessed_label
    return Columns(table.names, text, labels, (), guessed, empty_means_none=options.empty_means_none)


def place_of(table: Table, given: str | int, option: str) -> int:
    """Return the position of a column given by name or position.

    Raises:
        MissingColumn: there is none such.
    """
    if given in table.names:
        return table.names.index(str(given))
    try:
        place = int(given)
        table.names[place]
    except (ValueError, IndexError):
        there = ", ".join(repr(name) for name in table.names[:20])
        cause = f"{table.file} has no column {given!r}. Its {len(table.names)} columns are {there}"
        raise MissingColumn(
            f"{cause}; name one with {option}, or give its position from 0.",
            for_callers=f"{cause}.",
            file=table.file,
            column=given,
        ) from None
    return place % len(table.names)


def known_names(names: Sequence[str]) -> int:
    """Return how many of these names are ones that columns of texts or labels usually have."""
    return sum(_plain(name) in TEXT_NAMES or _plain(name) in LABEL_NAMES for name in names)


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def _by_name(table: Table, wanted: Sequence[str], taken: Sequence[int]) -> int | None:
    plain = [_plain(name) for name in table.names]
    for name in wanted if table.named else ():
        if name in plain and plain.index(name) not in taken:
            return plain.index(name)
    return None


def _text_place(table: Table, options: ReadOptions, taken: Sequence[int]) -> tuple[int, bool]:
    if options.text_column is not None:
        return place_of(table, options.text_column, TEXT), False
    named = _by_name(table, TEXT_NAMES, taken)
    if named is not None:
        return named, False
    likely = {place: _like_texts(table.column(place)) for place in range(len(table.names)) if place not in taken}
    if not likely or max(likely.values()) == 0:
        raise _no_column(table, "the text", TEXT)
    return max(likely, key=lambda place: likely[place]), True


def _like_texts(cells: Sequence[Value]) -> float:
    """How much cells look like texts: long, and of which few are there twice; 0 for what cannot be any."""
    texts = [cell for cell in cells if isinstance(cell, str) and not _number(cell)]
    if not texts or len(texts) * 2 < len(cells):
        return 0.0
    return fmean(map(len, texts)) * (len(set(texts)) / len(texts)) ** _STEEP


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _label_place(table: Table, text: int) -> tuple[list[int], bool]:
    named = _by_name(table, LABEL_NAMES, [text])
    if named is not None:
        return [named], False
    others = [place for place in range(len(table.names)) if place != text]
    variety = {place: _variety(table.column(place)) for place in others}
    if len(others) == 1 and variety[others[0]] <= 0.9:
        return others, not table.named
    likely = [place for place in others if variety[place] <= 0.5]
    if not likely:
        raise _no_column(table, "the labels", LABEL)
    return [min(likely, key=lambda place: (variety[place], -place))], True


def _variety(cells: Sequence[Value]) -> float:
    """Different values a row: small for labels, above 1 for what cannot be labels."""
    different = {str(cell) for cell in cells}
    if not different or fmean(map(len, different)) > 60:
        return 2.0
    one_value = len(different) == 1  # a constant, or a file sorted by label
    return 0.5 if one_value or len(cells) < _FEW_ROWS else len(different) / len(cells)


def _flags(table: Table, options: ReadOptions, chosen: list[int], text: int) -> list[int]:
    """The 0/1 columns of one multi-label target, if there are such."""
    if options.binary_columns is False:
        return []
    named = None if options.binary_columns else _by_name(table, LABEL_NAMES, [text])
    if not chosen and named is not None:
        return []
    asked = chosen or [place for place in range(len(table.names)) if place != text]
    if options.binary_columns and chosen:
        return chosen
    places = [place for place in asked if _is_flag(table.column(place))]
    if chosen and places != chosen:
        return []
    if options.binary_columns and not places:
        raise _no_column(table, "0/1 labels", LABEL)
    return places if len(places) > 1 or options.binary_columns else []


def _is_flag(cells: Sequence[Value]) -> bool:
    flags = sum(type(cell) is not dict and type(cell) is not list and cell in _FLAGS for cell in cells)
    return bool(cells) and flags >= 0.95 * len(cells)


def _label_column(table: Table, place: int, of: int, options: ReadOptions) -> LabelColumn:
    name = table.names[place]
    target = name if table.named else ("label" if of == 1 else f"label_{place}")
    cells = table.column(place)
    listed = bool(cells) and all(
        isinstance(cell, str) and cell.strip().startswith("[") and cell.strip().endswith("]") for cell in cells
    )
    return LabelColumn(place, name, target, listed, {**(table.classes or {}), **options.class_names}.get(name, ()))


def _separators(table: Table, places: Sequence[int], options: ReadOptions) -> dict[int, str]:
    """What parts the labels of the columns that have a separator of their own, by place."""
    if options.label_separator is None or isinstance(options.label_separator, str):
        return {}
    given = {place_of(table, name, SEPARATOR): text for name, text in options.label_separator.items()}
    for place in given:
        if place not in places:
            raise InvalidSetting(
                f"Column {table.names[place]!r} of {table.file} has a label separator and is not read as labels: name "
                f"it with {LABEL} too.",
                setting="label_separator",
            )
    return given


def _separator_hint(table: Table, column: LabelColumn, options: ReadOptions, of: int) -> list[str]:
    """Say so if cells look like several labels and no separator was named."""
    cells = [cell for cell in table.column(column.place) if isinstance(cell, str)]
    if isinstance(options.label_separator, str) or column.several or not cells:
        return []
    separator = likely_separator(cells)
    if separator is None:
        return []
    given = f"{column.column}={separator}" if of > 1 else separator
    said = repr({column.column: separator} if of > 1 else separator)
    return [
        f"cells of column {column.column!r} look like several labels joined by {separator!r}, and are read as "
        f"one label each: give --label-separator '{given}' (in Python label_separator={said}) to split them"
    ]


def likely_separator(cells: Sequence[str]) -> str | None:
    """Return what seems to part several labels in cells: divided by it they have fewer different pieces."""
    for separator in _SEPARATORS:
        pieces = {piece.strip() for cell in cells for piece in cell.split(separator)}
        if sum(separator in cell for cell in cells) * 5 >= len(cells) and len(pieces) < len(set(cells)):
            return separator
    return None


def _no_column(table: Table, what: str, option: str) -> MissingColumn:
    there = ", ".join(repr(name) for name in table.names[:20]) or "none"
    cause = f"{table.file}: no column looks like {what} (columns: {there})."
    return MissingColumn(
        f"{cause} Name it, or give its position, with {option}.",
        for_callers=f'{cause} Call the one that is {what} "{"text" if option == TEXT else "label"}".',
        file=table.file,
    )
