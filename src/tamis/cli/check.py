"""`tamis check`: the data gate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tamis.cli.app import app
from tamis.cli.console import err, out, print_json
from tamis.cli.reading import (
    BinaryColumns,
    DatasetConfig,
    DatasetSplit,
    Delimiter,
    EmptyMeansNone,
    Encoding,
    Header,
    LabelColumns,
    LabelSeparator,
    MaxBadShare,
    TextColumn,
    read_options,
)

if TYPE_CHECKING:
    from tamis.data.checks.survey import BaseFacts

Files = Annotated[list[str], typer.Argument(metavar="FILE...", help="Training data: files, folders, or hub datasets.")]
Validation = Annotated[list[str] | None, typer.Option(metavar="FILE", help="Validation data; repeatable.")]
Test = Annotated[list[str] | None, typer.Option(metavar="FILE", help="Test data; repeatable.")]
Base = Annotated[str | None, typer.Option(metavar="NAME", help="Base model whose tokens are counted.")]
RejectsFile = Annotated[Path | None, typer.Option("--rejects", metavar="FILE", help="Write every unusable row here.")]
ReportFile = Annotated[Path | None, typer.Option("--report", metavar="FILE", help="Write an HTML page here.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


@app.command()
def check(
    files: Files,
    validation: Validation = None,
    test: Test = None,
    base: Base = None,
    max_bad_share: MaxBadShare = 0.0,
    rejects: RejectsFile = None,
    report: ReportFile = None,
    as_json: AsJson = False,
    text_column: TextColumn = None,
    label_column: LabelColumns = None,
    label_separator: LabelSeparator = None,
    binary_columns: BinaryColumns = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    header: Header = None,
    empty_means_none: EmptyMeansNone = False,
    split: DatasetSplit = None,
    config: DatasetConfig = None,
) -> None:
    """Look at labelled data before it is trained on: what it holds, what is wrong with it, what to do.

    Exits with 1 where something must be fixed first.
    """
    from tamis.cli.check_view import show
    from tamis.data.checks.survey import CheckOptions, Listeners
    from tamis.data.checks.survey import check as survey
    from tamis.data.loading import RejectsFile, refuse_overwriting
    from tamis.settings import load_settings

    read = read_options(
        text_column=text_column,
        label_columns=label_column,
        label_separator=label_separator,
        binary_columns=binary_columns,
        delimiter=delimiter,
        encoding=encoding,
        header=header,
        empty_means_none=empty_means_none,
        split=split,
        config=config,
    )
    sources = {"train": files, "validation": validation or [], "test": test or []}
    refuse_overwriting((rejects, report), *sources.values())
    with ExitStack() as stack:
        rejects_file = stack.enter_context(RejectsFile(rejects))
        progress = stack.enter_context(_progress())
        found = survey(
            {name: given for name, given in sources.items() if given},
            CheckOptions(read, max_bad_share),
            base=base_facts(load_settings().resolve_base(base)),
            listeners=Listeners(rejects_file.write, progress),
        )
    if report:
        from tamis.data.check_page import check_page

        check_page(found).write(report)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        show(found, out)
        _say_where(rejects, report)
    if not found.ready:
        raise typer.Exit(1)


def base_facts(name: str) -> BaseFacts:
    """Return what a data check needs to know of a base model.

    Raises:
        UnknownBaseModel: there is none of that name.
    """
    from tokenizers import Tokenizer

    from tamis.data.checks.survey import BaseFacts
    from tamis.ml.base_models import load_base

    loaded = load_base(name)
    tokenizer = Tokenizer.from_buffer(loaded.tokenizer_json)

    def count_tokens(texts: list[str]) -> list[int]:
        return [len(encoding) for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    return BaseFacts(loaded.card.id, count_tokens, window=None, languages=loaded.card.languages)


@contextmanager
def _progress() -> Iterator[Callable[[int], None] | None]:
    """Count the rows on stderr while they are read, where a person is looking."""
    if not err.is_terminal:
        yield None
        return
    with err.status("Reading …") as status:
        yield lambda rows: status.update(f"Reading … {rows:,} rows")


def _say_where(rejects: Path | None, report: Path | None) -> None:
    for what, path in (("Rejected rows", rejects), ("Report", report)):
        if path:
            out.print(f"[dim]{what} written to[/]", end=" ")
            out.print(str(path), markup=False, soft_wrap=True)
