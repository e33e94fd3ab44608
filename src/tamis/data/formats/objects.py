"""Rows that say themselves what they are: `text` or `messages`, and `labels` or `label`.

    {"text": "...", "labels": {"target": "label", "other": ["a", "b"]}}     Mistral's training files
    {"messages": [{"role": "user", "content": "..."}], "labels": {...}}
    {"text": "...", "label": "label"}   or   {"text": "...", "label": ["a", "b"]}     Cohere's

A target that is absent or null is unknown; an empty list says that none of its labels applies.
"""

from __future__ import annotations

from tamis.data.formats.chats import read_chat
from tamis.data.formats.json_rows import Row
from tamis.data.formats.options import ReadOptions
from tamis.data.formats.values import LabelReader, Value, check_text, kind_of
from tamis.data.rows import BadRow, Notes
from tamis.schema import Example, Input

INPUT_KEYS = ("text", "messages")
LABEL_KEYS = ("labels", "label")
LABELLED_KEYS = frozenset({"confidence", "line", "outcome", "why"})
"""What `tamis label` writes beside the input and its labels: for people, and never read as data."""

_NONE_LISTED: frozenset[str] = frozenset()


class ObjectRows:
    """Makes examples of such objects."""

    def __init__(self, options: ReadOptions, notes: Notes) -> None:
        """Remember what the user chose."""
        self._only = frozenset(options.label_columns)
        self._labelled = options.labelled
        self._labels = LabelReader(options, notes)
        self._notes = notes

    def example(self, row: Row, line: int) -> Example:
        """Return the example.

        Raises:
            BadRow: the row has no input or no labels, or wrong ones.
        """
        given = row.get("text")
        if type(given) is str and "messages" not in row:
            check_text(given)
            read: Input = given
        else:
            read = self._input(row, line)
        if not self._labelled:
            return Example(read, {}, line)
        found: dict[str, tuple[str, ...]] = {}
        labels = row.get("labels")
        if type(labels) is dict and labels and not self._only:
            listed = [target for target, value in labels.items() if self._labels.add(found, target, value, line)]
        else:
            listed = self._other_labels(row, found, line)
        if len(row) > 2:
            self._note_extra(row, line)
        return Example(read, found, line, frozenset(map(str.strip, listed)) if listed else _NONE_LISTED)

    def _input(self, row: Row, line: int) -> Input:
        text, messages = row.get("text"), row.get("messages")
        if text is not None and messages is not None:
            raise BadRow("two_inputs", "The row has both text and messages")
        if messages is not None:
            return read_chat(messages, line, self._notes)
        return read_input(text, line, self._notes)

    def _other_labels(self, row: Row, found: dict[str, tuple[str, ...]], line: int) -> list[str]:
        """The forms beside `labels` as an object: a list or string of labels, and targets that were chosen."""
        key = "labels" if "labels" in row else "label"
        if key not in row:
            raise BadRow("no_labels", "The row has no labels")
        given = row[key]
        if not isinstance(given, dict):
            self._only_has(key, line)
            return [key] if self._labels.add(found, key, given, line) else []
        if not given:
            raise BadRow("no_labels", "The row's labels name no target")
        chosen = {target: value for target, value in given.items() if target in self._only} if self._only else given
        for target in given.keys() - chosen.keys():
            self._notes.add("ignored_target", line, target)
        return [target for target, value in chosen.items() if self._labels.add(found, target, value, line)]

    def _only_has(self, key: str, line: int) -> None:
        if self._only and key not in self._only:
            raise BadRow("no_labels", f"The row has only the target {key!r}, not {', '.join(sorted(self._only))}")

    def _note_extra(self, row: Row, line: int) -> None:
        read = {"text", "messages", "labels" if "labels" in row else "label", *LABELLED_KEYS}
        for key in row:
            if key not in read:
                self._notes.add("extra_key", line, key)


def read_input(given: Value, line: int, notes: Notes) -> Input:
    """Return a text or a chat.

    Raises:
        BadRow: it is neither.
    """
    if isinstance(given, str):
        check_text(given)
        return given
    if isinstance(given, list):
        return read_chat(given, line, notes)
    if given is None:
        raise BadRow("no_text", "The row has neither text nor messages")
    raise BadRow("text_not_text", f"The text is {kind_of(given)}")
