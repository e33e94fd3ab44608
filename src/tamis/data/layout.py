"""How a file is laid out, as a person chose it on a page: which column is what. Plain data that is kept and sent.

What is not said is detected, as in `ReadOptions`, which it becomes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tamis.data.formats.options import Detected, ReadOptions

MOST_COLUMNS = 1_000
"""Label columns that a layout names."""

_LONGEST = 10_000


class Layout(BaseModel):
    """Which column is what.

    Attributes:
        text: name of the column or key of the text or chat.
        labels: names of those that hold labels, a target each.
        separators: what parts the labels of one cell, by column.
        flags: whether the label columns are 0/1 flags of one target.
        delimiter: between the cells of a table.
        encoding: of a text file.
        header: whether a table's first row names its columns.
        empty_means_none: whether an empty cell says "none of the labels", not "unknown".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str | None = Field(default=None, max_length=_LONGEST)
    labels: tuple[str, ...] = Field(default=(), max_length=MOST_COLUMNS)
    separators: Mapping[str, str] = {}
    flags: bool | None = None
    delimiter: str | None = None
    encoding: str | None = None
    header: bool | None = None
    empty_means_none: bool = False

    @classmethod
    def learnt(cls, detected: Detected, options: ReadOptions) -> Layout | None:
        """Return how a file was laid out that was read with these options; None where its rows say it themselves."""
        if detected.text is None or not detected.labels or "*" in detected.labels:
            return None
        given = options.label_separator
        marks = dict.fromkeys(detected.labels, given) if isinstance(given, str) else given or {}
        try:
            return cls(
                text=detected.text,
                labels=tuple(detected.labels),
                separators={name: mark for name, mark in marks.items() if name in detected.labels},
                flags=detected.style == "flags",
                delimiter=options.delimiter,
                encoding=options.encoding,
                header=detected.header,
                empty_means_none=options.empty_means_none,
            )
        except ValidationError:  # thousands of columns, or a name as long as a row: it is found out again
            return None

    def options(self, limits: ReadOptions) -> ReadOptions:
        """Return how to read such a file, within limits.

        Raises:
            InvalidSetting: a delimiter, separator or encoding that there is not.
        """
        return replace(
            limits,
            text_column=self.text,
            label_columns=self.labels,
            label_separator=dict(self.separators) or None,
            binary_columns=self.flags,
            delimiter=self.delimiter or None,
            encoding=self.encoding or None,
            header=self.header,
            empty_means_none=self.empty_means_none,
        )
