"""What a user may say about a file, and what was found out about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Protocol

from tamis.data.rows import Notes, Rejected
from tamis.errors import InvalidSetting
from tamis.schema import Example

if TYPE_CHECKING:
    from tamis.data.formats.expected import Expected

_DELIMITERS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "pipe", " ": "space"}
_DELIMITER_NAMES = {name: character for character, name in _DELIMITERS.items()} | {"\\t": "\t"}


@dataclass(frozen=True)
class ReadOptions:
    """How to read labelled data; whatever is left out is detected, and reported.

    Attributes:
        text_column: name or position (0 is the first, -1 the last) of the column or key that holds the text.
        label_columns: names or positions of those that hold labels, a target each. In rows that have a `labels`
            object they choose some of its targets.
        label_separator: character(s) between the labels of one cell: makes the targets multi-label. By column, like
            {"topics": "|"}, where only some columns hold several labels; the others stay as they are.
        binary_columns: whether the label columns are flags (1 or 0) of one multi-label target called "labels";
            None detects it.
        delimiter: between cells: one character, or comma, tab, semicolon, pipe.
        encoding: any name Python knows, like "utf-8" or "cp1252".
        header: whether a table's first row names the columns; None detects it.
        empty_means_none: an empty cell says "none of the labels" (and so makes the target multi-label) instead of
            unknown. For tables; JSON says it with []. Where some label columns are known to hold several labels, it is
            said of these alone.
        max_line_bytes: the longest line or quoted table row, in bytes of UTF-8.
        max_label_chars: the longest name of a label or target.
        max_nesting: the deepest that lists and objects may stand in each other in a JSON row.
        split: the split to read of a folder or hub dataset (default: train, or the only one).
        config: the configuration of a hub dataset that has several.
        class_names: names of the numbers 0, 1, ... that stand in a label column, by column.
        labelled: whether rows must have labels; False reads the inputs alone.
        expected: of the models that data is read for: fills in what is not said, for files with columns like theirs.
    """

    text_column: str | int | None = None
    label_columns: tuple[str, ...] = ()
    label_separator: str | Mapping[str, str] | None = None
    binary_columns: bool | None = None
    delimiter: str | None = None
    encoding: str | None = None
    header: bool | None = None
    empty_means_none: bool = False
    max_line_bytes: int = 10 * 2**20
    max_label_chars: int = 256
    max_nesting: int = 32
    split: str | None = None
    config: str | None = None
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    labelled: bool = True
    expected: Expected | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            InvalidSetting: a delimiter, separator, encoding or limit outside what is allowed.
        """
        if self.delimiter is not None:
            object.__setattr__(self, "delimiter", _one_character(self.delimiter))
        if self.label_separator is not None:
            _check_separator(self.label_separator)
        if self.encoding is not None:
            _known_encoding(self.encoding)
        for name in ("max_line_bytes", "max_label_chars", "max_nesting"):
            if getattr(self, name) < 1:
                raise InvalidSetting(f"{name} is {getattr(self, name)}: it must be at least 1.", setting=name)


def _one_character(given: str) -> str:
    character = _DELIMITER_NAMES.get(given.lower(), given)
    if len(character) != 1 or character in '"\r\n':
        raise InvalidSetting(
            f"delimiter is {given!r}: give one character (not a quote or line end), or comma, tab, semicolon or pipe.",
            setting="delimiter",
        )
    return character


def _check_separator(given: str | Mapping[str, str]) -> None:
    separators = [given] if isinstance(given, str) else list(given.values())
    if not separators or not all(isinstance(separator, str) and separator for separator in separators):
        raise InvalidSetting(
            "label_separator is empty: give the character(s) between labels, like '|', or those of each column.",
            setting="label_separator",
        )


def _known_encoding(name: str) -> None:
    try:
        "".encode(name)
    except (LookupError, ValueError) as error:
        message = f"Unknown encoding {name!r}: use a name like utf-8, utf-16, cp1252, latin-1 or shift_jis."
        raise InvalidSetting(message, setting="encoding") from error


@dataclass(frozen=True)
class Detected:
    """What was found out about a source before its rows are read.

    Attributes:
        format: jsonl, json, csv, text, parquet, arrow, folder or hub.
        compression: "gzip" or None.
        encoding: of text files; None for others.
        delimiter: of tables.
        quoted: whether a table's cells may be in quotes.
        header: whether the table's first row names its columns.
        text: the key or column that holds the input.
        labels: key or column → target; {"*": "*"} where each row names its targets itself.
        unread: columns of a table that are not read.
        style: how the labels are written: plain, list, separated or flags.
        guessed: whether text and labels were told by their content, not by name or option.
        split: the split that is read, for folders and hub datasets.
        files: how many files are read.
        warnings: what a user should look at before trusting the above.
    """

    format: str
    compression: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    quoted: bool | None = None
    header: bool | None = None
    text: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    style: str = "plain"
    guessed: bool = False
    split: str | None = None
    files: int = 1
    warnings: tuple[str, ...] = ()

    def describe(self) -> str:
        """One line for people."""
        parts = [self._container(), f"{self.encoding}" if self.encoding else "", *self._table(), *self._roles()]
        return "; ".join(part for part in parts if part)

    def to_json(self) -> dict[str, object]:
        """Plain types."""
        return asdict(self) | {
            "labels": dict(self.labels),
            "unread": list(self.unread),
            "warnings": list(self.warnings),
        }

    def _container(self) -> str:
        packed = f" ({self.compression})" if self.compression else ""
        split = f", split {self.split}" if self.split else ""
        files = f", {self.files} files" if self.files > 1 else ""
        return f"{self.format}{packed}{split}{files}"

    def _table(self) -> list[str]:
        if self.delimiter is None:
            return []
        return [
            f"delimiter {_DELIMITERS.get(self.delimiter, self.delimiter)}" + ("" if self.quoted else ", no quoting"),
            "header row" if self.header else "no header row",
        ]

    def _roles(self) -> list[str]:
        guess = " (guessed from the content)" if self.guessed else ""
        parts = [f"text from {self.text}{guess}"] if self.text else []
        if self.style == "flags":
            parts.append(f"labels from 0/1 columns {', '.join(self.labels)}")
        elif "*" in self.labels:
            parts.append("targets as each row names them")
        else:
            parts += [f"target {target} from {column}" for column, target in self.labels.items()]
        if self.unread:
            parts.append(f"not read: {', '.join(self.unread[:10])}{', ...' if len(self.unread) > 10 else ''}")
        return parts


class Source(Protocol):
    """Rows of one place, read anew by each iteration.

    `notes` are those of the latest iteration; they are whole when it has ended.
    """

    @property
    def name(self) -> str:
        """The place as the user gave it."""
        ...

    @property
    def detected(self) -> Detected:
        """What was found out before reading."""
        ...

    @property
    def notes(self) -> Notes:
        """Remarks on the rows that were kept."""
        ...

    def __iter__(self) -> Iterator[Example | Rejected]:
        """Yield the rows, good and bad, in the order of the file."""
        ...
