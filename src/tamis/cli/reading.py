"""How labelled files are read: the options that check, split, train and evaluate share."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tamis.data.formats.options import ReadOptions

_PANEL = "Reading the files (all of it is detected where it is not given)"

TextColumn = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN", help="Column or key of the text: its name, or its position from 0.", rich_help_panel=_PANEL
    ),
]
LabelColumns = Annotated[
    list[str] | None,
    typer.Option(
        "--label-column",
        metavar="COLUMN",
        help="Column or key of a target's label; repeatable.",
        rich_help_panel=_PANEL,
    ),
]
LabelSeparator = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TEXT",
        help="What stands between the labels of one cell, like '|'; of one column only: COLUMN=TEXT, repeatable.",
        rich_help_panel=_PANEL,
    ),
]
BinaryColumns = Annotated[
    bool | None,
    typer.Option(
        "--binary-columns/--no-binary-columns",
        help="Whether the label columns are 0/1 flags of one multi-label target.",
        rich_help_panel=_PANEL,
    ),
]
Delimiter = Annotated[
    str | None,
    typer.Option(
        metavar="CHARACTER", help="Between cells: a character, or comma, tab, semicolon, pipe.", rich_help_panel=_PANEL
    ),
]
Encoding = Annotated[
    str | None, typer.Option(metavar="NAME", help="Like utf-8, cp1252, utf-16.", rich_help_panel=_PANEL)
]
Header = Annotated[
    bool | None,
    typer.Option("--header/--no-header", help="Whether the first row names the columns.", rich_help_panel=_PANEL),
]
EmptyMeansNone = Annotated[
    bool,
    typer.Option(
        "--empty-means-none", help="An empty cell says “none of the labels”, not “unknown”.", rich_help_panel=_PANEL
    ),
]
DatasetSplit = Annotated[
    str | None,
    typer.Option("--split", metavar="NAME", help="Split of a dataset folder or hub dataset.", rich_help_panel=_PANEL),
]
DatasetConfig = Annotated[
    str | None,
    typer.Option("--config", metavar="NAME", help="Configuration of a hub dataset.", rich_help_panel=_PANEL),
]
MaxBadShare = Annotated[
    float,
    typer.Option(min=0.0, max=1.0, metavar="SHARE", help="Share of unusable rows that is allowed; they are left out."),
]

RejectsFile = Annotated[Path | None, typer.Option("--rejects", metavar="FILE", help="Write every unusable row here.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How files are read, as it was typed."""

    text_column: TextColumn = None
    label_column: LabelColumns = None
    label_separator: LabelSeparator = None
    binary_columns: BinaryColumns = None
    delimiter: Delimiter = None
    encoding: Encoding = None
    header: Header = None
    empty_means_none: EmptyMeansNone = False
    split: DatasetSplit = None
    config: DatasetConfig = None

    def options(self) -> ReadOptions:
        """Return the same as options, with the limits of the settings.

        Raises:
            InvalidSetting: one of them, or a setting, is outside what is allowed.
        """
        from tamis.data.formats.options import ReadOptions
        from tamis.settings import load_settings

        settings = load_settings()
        return ReadOptions(
            text_column=self.text_column,
            label_columns=tuple(self.label_column or ()),
            label_separator=_separators(self.label_separator or []),
            binary_columns=self.binary_columns,
            delimiter=self.delimiter,
            encoding=self.encoding,
            header=self.header,
            empty_means_none=self.empty_means_none,
            split=self.split,
            config=self.config,
            max_line_bytes=settings.max_line_bytes,
            max_label_chars=settings.max_label_chars,
            max_nesting=settings.max_nesting,
        )


READING = tuple(field.name for field in fields(Reading))
"""The options above by the names of their parameters, but for the share of bad rows."""


def typed_again(context: typer.Context, *names: str) -> list[str]:
    """Return those of these options that this command was given, word by word, for a command that is proposed."""
    words: list[str] = []
    for option in context.command.params:
        source = context.get_parameter_source(option.name or "")
        if option.name not in names or source is None or source.name != "COMMANDLINE":
            continue
        value = context.params[option.name]
        if isinstance(value, bool):
            words.append((option.opts if value else option.secondary_opts)[0])
        else:
            each = value if isinstance(value, list | tuple) else [value]
            words += [word for one in each for word in (option.opts[0], str(one))]
    return words


def _separators(given: list[str]) -> str | dict[str, str] | None:
    """One for all columns, or those of some columns: `COLUMN=TEXT`, where nothing before or after the = is empty."""
    from tamis.errors import InvalidSetting

    if len(given) == 1 and not _of_column(given[0]):
        return given[0]
    separators: dict[str, str] = {}
    for each in given:
        named = _of_column(each)
        if named is None or named[0] in separators:
            raise InvalidSetting(
                f"--label-separator {each!r} stands beside others: give each column's once, as COLUMN=TEXT.",
                setting="label_separator",
            )
        separators[named[0]] = named[1]
    return separators or None


def _of_column(given: str) -> tuple[str, str] | None:
    column, _, separator = given.rpartition("=")
    return (column, separator) if column and separator else None
