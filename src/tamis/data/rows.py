"""What can be wrong with a row, and what is worth saying of one that is kept.

Owns the codes (`FAULTS`, `NOTES`), the record of a rejected row and the tally of notes. It does not know file formats.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

RAW_LIMIT = 1_000
"""Characters of a rejected row that are kept to show it."""

MOST_DETAILS = 50
"""Different details of one note that are told apart; further ones are counted together."""

LONGEST_DETAIL = 300
"""Characters of a detail that are kept: a key may be as long as a row."""

FAULTS = {
    "undecodable_bytes": "Save the file as UTF-8, or name its encoding (--encoding cp1252).",
    "line_too_long": "Cut the row, or raise the limit (TAMIS_MAX_LINE_BYTES).",
    "not_json": "Write one JSON object a line, as a JSON library does.",
    "not_an_object": 'Write an object: {"text": "...", "labels": {"target": "label"}}.',
    "not_a_number": "JSON has no NaN or Infinity: write null, or leave the key out.",
    "duplicate_key": "Keep one of them.",
    "too_deep": "Flatten the row: only text or messages, and labels, are read.",
    "bad_quotes": "Double each quote inside a quoted cell, and put the whole cell in quotes.",
    "unclosed_quote": "Close the quote, or double it if it belongs to the text.",
    "wrong_cell_count": "Put the cell that holds the delimiter in quotes, or remove the extra one.",
    "no_text": 'Give the row "text" (a string) or "messages", or name the column (--text-column).',
    "empty_text": "Write a text, or remove the row.",
    "text_not_text": 'Write the text as a string, or a chat as a list of {"role", "content"}.',
    "two_inputs": 'Keep either "text" or "messages".',
    "control_character": "Remove it: only tab and line ends are allowed.",
    "lone_surrogate": "Write the character whole, or remove the broken half.",
    "no_messages": "Give at least one message of the user, or remove the row.",
    "bad_message": 'Write each message as {"role": "user", "content": "..."}.',
    "unknown_role": "Use one of: assistant, developer, function, system, tool, user.",
    "no_user_message": 'Give at least one message with the role "user" and some content.',
    "no_labels": 'Give the row "labels": {"target": "label"} or "label", or name the column (--label-column).',
    "bad_label": 'Write labels as {"target": "label"} or {"target": ["label", ...]}: each label is a string.',
    "empty_label": "Write the label's name; null says that it is unknown, [] that none applies.",
    "label_too_long": "Give a short name, or raise the limit (TAMIS_MAX_LABEL_CHARS); are the columns swapped?",
    "bad_target": "Give each target a name of at least one visible character.",
    "not_a_flag": "Write 1 or 0 in each of the label columns.",
    "bad_list": 'Write the list as JSON (["a", "b"]), or use --label-separator.',
    "undeclared_label": "Correct the label, or declare it among the target's labels.",
    "several_labels": "Give one label, or declare the target to be multi-label.",
    "unknown_class": "Correct the number, or the class names that the file declares.",
}
"""Code of each reason to reject a row → its cure."""

FOR_CALLERS = {
    "undecodable_bytes": "Save the file as UTF-8.",
    "line_too_long": "Cut the row; the operator may raise the limit (max_line_bytes).",
    "no_text": 'Give the row "text" (a string) or "messages".',
    "no_labels": 'Give the row "labels": {"target": "label"} or "label".',
    "label_too_long": "Give a short name; are the columns swapped? The operator may raise the limit (max_label_chars).",
    "bad_list": 'Write the list as JSON (["a", "b"]).',
}
"""Cures for callers of the HTTP API, where those of `FAULTS` are options of commands or settings."""

NOTES = {
    "extra_key": "a key or column that is not read",
    "unknown_label": "no value for the target: unknown, left out of learning and measuring for it",
    "label_stripped": "spaces around a label removed",
    "label_from_number": "a number or true/false read as a label's name",
    "duplicate_label": "the same label twice in one list: kept once",
    "mixed_values": "the target has lists in some rows and plain labels in others: taken as multi-label",
    "empty_message": "a message without content",
    "blank_row": "a row of empty cells skipped",
    "target_renamed": "the file's only target taken for the only target that is declared",
    "ignored_target": "a target that the model or the training data does not have: not read",
    "split_found": "a split that the dataset has of its own is used",
    "read_as_learnt": "read like the rows that the model learnt from",
    "read_as_called": "columns called like what the model answers are read as its labels",
    "cells_divided": "cells divided into several labels, since nearly all pieces are labels of the model",
}
"""Code of each remark on rows that are kept → what it means."""

READ_AS = ("read_as_learnt", "read_as_called", "cells_divided")
"""Those that tell how a file was read for a model."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that cannot be used: where it is, why, what to do, and how it began.

    `line` counts physical lines from 1 (blank ones too); for Parquet, Arrow and hub data it is the row's number.
    """

    file: str
    line: int
    code: str
    cause: str
    cure: str
    raw: str = ""

    def __str__(self) -> str:
        """`file:line: cause. Cure` for people."""
        return f"{self.file}:{self.line}: {self.cause}. {self.cure}"

    def for_callers(self) -> str:
        """The same for callers of the HTTP API, who have no options."""
        return f"{self.file}:{self.line}: {self.cause}. {FOR_CALLERS.get(self.code, self.cure)}"

    def to_json(self) -> dict[str, object]:
        """Plain types, for a line of a rejects file."""
        return {
            "file": self.file,
            "line": self.line,
            "code": self.code,
            "cause": self.cause,
            "cure": self.cure,
            "raw": self.raw,
        }


class BadRow(Exception):
    """A reader's verdict on one row; it becomes a `Rejected`."""

    def __init__(self, code: str, cause: str) -> None:
        """Keep the code (one of `FAULTS`) and the cause."""
        super().__init__(cause)
        self.code, self.cause = code, cause

    def at(self, file: str, line: int, raw: str) -> Rejected:
        """The verdict with its place."""
        return Rejected(
            file, line, self.code, printable(self.cause), FAULTS[self.code], printable(raw[:RAW_LIMIT].rstrip("\n"))
        )


@dataclass(frozen=True, slots=True)
class Note:
    """A remark on rows that were kept: how often, since which line, and of what (a key, a target)."""

    code: str
    detail: str
    count: int
    line: int

    def __str__(self) -> str:
        """One line for people."""
        of = f" ({self.detail})" if self.detail else ""
        since = f", first on line {self.line}" if self.line else ""
        often = "" if self.count == 1 else f": {self.count:,} times"
        return f"{NOTES[self.code]}{of}{often}{since}"

    def to_json(self) -> dict[str, object]:
        """Plain types."""
        return {"code": self.code, "detail": self.detail, "count": self.count, "line": self.line}


class Notes:
    """Counts of remarks; its size does not grow with the rows."""

    def __init__(self) -> None:
        """Start empty."""
        self._counts: dict[tuple[str, str], list[int]] = {}

    def add(self, code: str, line: int, detail: str = "") -> None:
        """Count one remark."""
        detail = detail[:LONGEST_DETAIL]
        entry = self._counts.get((code, detail))
        if entry is None:
            if sum(known == code for known, _ in self._counts) >= MOST_DETAILS:
                detail = "others"
            entry = self._counts.setdefault((code, printable(detail)), [0, line])
        entry[0] += 1

    def include(self, other: Notes) -> None:
        """Count the remarks of another file too."""
        for note in other:
            entry = self._counts.setdefault((note.code, note.detail), [0, note.line])
            entry[0] += note.count

    def __iter__(self) -> Iterator[Note]:
        """Yield each remark with its count."""
        for (code, detail), (count, line) in self._counts.items():
            yield Note(code, detail, count, line)

    def total(self, code: str) -> int:
        """How often a remark was made."""
        return sum(note.count for note in self if note.code == code)


def printable(text: str) -> str:
    """Return the text with what cannot be shown or encoded (control characters, lone surrogates) written as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)
