"""What a file is expected to hold that is read for models: columns like those that they learnt from, and their labels.

It fills in what options leave open, and says so. What options say wins. It does not open files.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from tamis.schema import Target

if TYPE_CHECKING:
    from tamis.data.formats.options import ReadOptions
    from tamis.data.layout import Layout

SEPARATORS = "|;,/"
NEARLY_ALL = 0.9
"""The share of the pieces of cells that must be labels of the model before cells are divided unasked."""

_TOLD = 10

Told = tuple[tuple[str, str], ...]
"""Remarks on how a file is read: their codes (of `tamis.data.rows.NOTES`) and details."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What is known of the models that a file is read for.

    Attributes:
        targets: what they answer.
        layouts: how the data was laid out that they learnt from, the likeliest first.
    """

    targets: tuple[Target, ...]
    layouts: tuple[Layout, ...] = ()

    def fill(self, names: Sequence[str], options: ReadOptions, *, named: bool) -> tuple[ReadOptions, Told]:
        """Return the options with what they leave open, for a table with these columns, and what is to be said of it.

        Where a layout fits, as it says; else columns that are called like targets are labels.

        Args:
            names: of the columns.
            options: what the user said.
            named: whether the names are the table's own, not made of positions.
        """
        layout = next((each for each in self.layouts if _fits(each, names, options, named=named)), None)
        if layout is not None:
            return _filled(options, layout, names)
        called = tuple(each.name for each in self.targets if each.name in names and each.name != options.text_column)
        if not named or not called or options.label_columns:
            return options, ()
        binary = False if options.binary_columns is None else options.binary_columns
        filled = replace(options, label_columns=called, binary_columns=binary)
        return filled, (("read_as_called", _some(called)),) if options.labelled else ()

    def heads(self, first: Sequence[str]) -> bool:
        """Whether the first row of a table has the names of a layout's columns: those of its text and of a label."""
        return any(
            each.header is not False and each.text in first and set(each.labels) & set(first) for each in self.layouts
        )

    def separator(self, target: str, cells: Iterable[object], *, alone: bool = False) -> str | None:
        """Return what parts the labels in cells of a target that may have several; None where nothing does.

        Args:
            target: as the file calls it.
            cells: what stands in it.
            alone: whether it is the file's only target, which may be called otherwise than the models' only one.
        """
        mine = [each for each in self.targets if each.name == target or (alone and len(self.targets) == 1)]
        labels = frozenset(label for each in mine if each.is_multi for label in each.labels)
        whole = {cell.strip() for cell in cells if isinstance(cell, str)} - labels - {""}
        shares = {mark: _share(whole, mark, labels) for mark in SEPARATORS if any(mark in cell for cell in whole)}
        best = max(shares, key=lambda mark: shares[mark], default=None)
        return best if best is not None and shares[best] >= NEARLY_ALL else None


def _fits(layout: Layout, names: Sequence[str], options: ReadOptions, *, named: bool) -> bool:
    """Whether a table has a layout's columns: that of the text, and for labels those that it needs."""
    if named is (layout.header is False) or layout.text not in names:
        return False
    there = [name in names for name in layout.labels]
    return not options.labelled or bool(there and (all(there) if layout.flags else any(there)))


def _filled(options: ReadOptions, layout: Layout, names: Sequence[str]) -> tuple[ReadOptions, Told]:
    labels = options.label_columns or tuple(name for name in layout.labels if name in names)
    flags = options.binary_columns
    if flags is None and not options.label_columns:
        flags = layout.flags
    own = {name: mark for name, mark in layout.separators.items() if name in labels and options.labelled}
    text = layout.text if options.text_column is None else options.text_column
    filled = replace(
        options,
        text_column=text,
        label_columns=tuple(name for name in labels if name != text),
        binary_columns=flags,
        label_separator=options.label_separator or own or None,
        empty_means_none=options.empty_means_none or layout.empty_means_none,
    )
    marked = [f"{name} divided by {own[name]!r}" if name in own else name for name in filled.label_columns]
    told = f"the text from {text}" + (f", labels from {_some(marked)}" if options.labelled else "")
    return filled, (("read_as_learnt", told),)


def _share(cells: Iterable[str], mark: str, labels: frozenset[str]) -> float:
    """The share of the pieces of cells that are labels."""
    found = [piece.strip() in labels for cell in cells for piece in cell.split(mark) if piece.strip()]
    return sum(found) / len(found) if found else 0.0


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(islice(names, _TOLD))
    return shown if len(names) <= _TOLD else f"{shown} and {len(names) - _TOLD} more"
