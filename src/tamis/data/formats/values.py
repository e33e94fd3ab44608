"""Texts and labels: what is accepted as one, what is cleaned, what is refused.

The same rules for every format. It does not know where the values come from.
"""

from __future__ import annotations

import re
import unicodedata

from tamis.data.formats.options import ReadOptions
from tamis.data.rows import BadRow, Notes

Value = object
"""What a cell or a JSON value may be: str, int, float, bool, list, dict or None."""

REMEMBERED = 100_000
"""Labels that were found good and are not looked at again: bounds memory, not the number of labels."""

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_VISIBLE = re.compile("[^\\s\u00ad\u200b-\u200f\u2060\ufeff]")


def check_text(text: str) -> None:
    """Refuse a text that is empty or holds control characters or lone surrogates.

    Raises:
        BadRow: why.
    """
    if not text.isprintable():
        check_characters(text, "the text")
        if not _VISIBLE.search(text):
            raise BadRow("empty_text", "The text is empty or only space")
    elif not text or text.isspace():
        raise BadRow("empty_text", "The text is empty or only space")


def check_characters(text: str, what: str) -> None:
    """Refuse control characters other than tab and line ends, and halves of surrogate pairs.

    Raises:
        BadRow: which, and where in the text.
    """
    found = _CONTROL.search(text)
    if found:
        name = f"U+{ord(found[0]):04X}"
        raise BadRow("control_character", f"Control character {name} in {what}, at character {found.start() + 1}")
    found = _SURROGATE.search(text)
    if found:
        name = f"U+{ord(found[0]):04X}"
        raise BadRow("lone_surrogate", f"Half a surrogate pair ({name}) in {what}, at character {found.start() + 1}")


def pieces(cell: str, separator: str) -> list[Value]:
    """Return what stands between the separators, without the empty."""
    return [piece for piece in cell.split(separator) if piece.strip()]


def kind_of(value: Value) -> str:
    """Return what a value is, in words."""
    names = {str: "a string", bool: "true or false", int: "a number", float: "a number", list: "a list"}
    return names.get(type(value), "null" if value is None else "an object" if isinstance(value, dict) else "no text")


class LabelReader:
    """Reads label values into tuples of names, and remembers the good ones."""

    def __init__(self, options: ReadOptions, notes: Notes) -> None:
        """Start with nothing remembered."""
        given = options.label_separator
        self._separator = given if isinstance(given, str) else None
        self._own_separators = {} if given is None or isinstance(given, str) else dict(given)
        self._longest = options.max_label_chars
        self._notes = notes
        self.good: dict[str, tuple[str]] = {}
        self.targets: set[str] = set()

    def add(self, found: dict[str, tuple[str, ...]], target: str, value: Value, line: int) -> bool:
        """Put the labels of `value` into `found`, unless it is None (unknown); return whether it was a list.

        Raises:
            BadRow: it is no label and no list of labels.
        """
        if target not in self.targets:
            target = self.target(target, line)
        if target in found:  # "a" and " a"
            raise BadRow("duplicate_key", f"Two values for the target {target!r}")
        if isinstance(value, str):
            separator = self._own_separators.get(target) if self._own_separators else self._separator
            if separator is None:
                found[target] = self.good.get(value) or (self.label(value, target, line),)
                return False
            value = pieces(value, separator)
        if isinstance(value, list):
            found[target] = self._several(value, target, line)
            return True
        if value is None:
            self._notes.add("unknown_label", line, target)
        else:
            found[target] = (self.label(value, target, line),)
        return False

    def label(self, value: Value, target: str, line: int) -> str:
        """Return one label's name.

        Raises:
            BadRow: it is empty, too long or no label at all.
        """
        given = value if isinstance(value, str) else self._from_number(value, target, line)
        label = given.strip()
        if not label:
            raise BadRow("empty_label", f"An empty label for target {target!r}")
        if len(label) > self._longest:
            cause = f"A label of {len(label):,} characters for target {target!r}; the limit is {self._longest:,}"
            raise BadRow("label_too_long", cause)
        if not label.isprintable():
            check_characters(label, f"a label of target {target!r}")
        if label != given:
            self._notes.add("label_stripped", line, target)
        elif label is value and len(self.good) < REMEMBERED:
            self.good[label] = (label,)
        return label

    def target(self, name: str, line: int) -> str:
        """Return a target's name.

        Raises:
            BadRow: it is empty, too long or not printable.
        """
        target = name.strip()
        if not target or all(unicodedata.category(character) == "Cf" for character in target):
            raise BadRow("bad_target", "A target without a name")
        if len(target) > self._longest:
            raise BadRow("bad_target", f"A target's name of {len(target):,} characters; the limit is {self._longest:,}")
        check_characters(target, "a target's name")
        if target != name:
            self._notes.add("label_stripped", line, f"target {target}")
        elif len(self.targets) < REMEMBERED:
            self.targets.add(target)
        return target

    def _several(self, values: list[Value], target: str, line: int) -> tuple[str, ...]:
        known = self.good
        labels = []
        for value in values:
            remembered = known.get(value) if type(value) is str else None
            labels.append(remembered[0] if remembered else self.label(value, target, line))
        unique = tuple(dict.fromkeys(labels))
        if len(unique) < len(labels):
            self._notes.add("duplicate_label", line, target)
        return unique

    def _from_number(self, value: Value, target: str, line: int) -> str:
        if isinstance(value, bool):
            name = "true" if value else "false"
        elif isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
            name = str(int(value))
        else:
            shown = f" ({value})" if isinstance(value, float) else ""
            raise BadRow("bad_label", f"A label of target {target!r} is {kind_of(value)}{shown}, not a name")
        self._notes.add("label_from_number", line, target)
        return name
