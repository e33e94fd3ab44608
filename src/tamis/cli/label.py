"""`tamis label`: unlabelled texts in, labels of an LLM out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tamis.cli import llm_options as llm
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
from tamis.cli.rows_out import STDOUT

if TYPE_CHECKING:
    from tamis.cli.llm_options import Ready
    from tamis.labelers.labelled_rows import LabelledRows, Unlabelled

File = Annotated[str, typer.Argument(metavar="FILE", help="Texts or chats: lines, JSONL, CSV, Parquet.")]
OutputFile = Annotated[
    Path | None,
    typer.Option(
        "--output", metavar="FILE", help="Labelled rows: JSONL, or CSV by its name (default NAME-labelled.jsonl)."
    ),
]
RejectsFile = Annotated[
    Path | None,
    typer.Option("--rejects", metavar="FILE", help="Write rows without labels here instead, each with its reason."),
]
Limit = Annotated[int | None, typer.Option(min=1, metavar="N", help="Label the first N rows only.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the output of an earlier run.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


@app.command()
def label(  # size: each option is one line three times: what it is called, what it reads, whom it is given to
    file: File,
    model: llm.Llm,
    output: OutputFile = None,
    labels: llm.Labels = None,
    target: llm.TargetName = "label",
    several: llm.Several = False,
    targets: llm.Targets = None,
    like: llm.Like = None,
    limit: Limit = None,
    rejects: RejectsFile = None,
    force: Force = False,
    descriptions: llm.Descriptions = None,
    context: llm.Context = "",
    examples: llm.Examples = None,
    shots: llm.ShotsOption = 0,
    nearest: llm.Nearest = False,
    samples: llm.Samples = 1,
    temperature: llm.Temperature = None,
    answer_tokens: llm.AnswerTokens = None,
    price_in: llm.PriceIn = None,
    price_out: llm.PriceOut = None,
    budget: llm.BudgetOption = None,
    most_tokens: llm.MostTokens = None,
    concurrency: llm.Concurrency = 8,
    timeout: llm.Timeout = 60.0,
    patience: llm.Patience = 300.0,
    cache: llm.CacheOption = None,
    no_cache: llm.NoCache = False,
    seed: llm.Seed = 0,
    max_bad_share: MaxBadShare = 0.0,
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
    """Label texts with an LLM: rows to check and to train on, each with how sure its labels are.

    A run that was stopped goes on where it was when the same command is given again. Rows that the LLM refused, or
    answered with what is no label, are kept without labels. Exits with 1 where rows are left to be asked about.
    """
    from tamis.cli.labelled_out import write_labelled
    from tamis.data.loading import RejectsFile, refuse_overwriting
    from tamis.labelers.labelled_rows import read_unlabelled

    options = read_options(
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
    place = output or Path(f"{_stem(file)}-labelled.jsonl")
    if as_json and place == STDOUT:
        raise typer.BadParameter("--json and --output - would both write to stdout.")
    refuse_overwriting((place, rejects), file, examples, like, targets, descriptions)
    llm.refuse_taken(place, force=force)
    wanted = llm.Wanted(labels, target, several, targets, like)
    asked = llm.Asked(
        llm=model,
        descriptions=descriptions,
        context=context,
        examples=examples,
        shots=shots,
        nearest=nearest,
        samples=samples,
        temperature=temperature,
        answer_tokens=answer_tokens,
        price_in=price_in,
        price_out=price_out,
        budget=budget,
        most_tokens=most_tokens,
        concurrency=concurrency,
        timeout=timeout,
        patience=patience,
        cache=cache,
        no_cache=no_cache,
        seed=seed,
    )
    with llm.ready(wanted, asked, options) as ready, RejectsFile(rejects) as rejects_file:
        read = read_unlabelled(file, options, max_bad_share=max_bad_share, rejects=rejects_file, limit=limit)
        found = labelled_with_progress(read, ready)
        if rejects is not None:
            for bad in found.rejected(read.name):
                rejects_file.write(bad)
        write_labelled(place, found, without_labels=rejects is None)
        _tell(found, read, place, ready, rejects, as_json=as_json)
    if sum(found.outcomes()[kind] for kind in ("failed", "over_budget")):
        raise typer.Exit(1)


def labelled_with_progress(read: Unlabelled, ready: Ready) -> LabelledRows:
    """Label rows and show how far it is."""
    from tamis.cli.progress_bar import progress_bar
    from tamis.labelers.labelled_rows import label_rows
    from tamis.ml.progress import Progress

    with progress_bar() as listener:

        def told(done: int, rows: int) -> None:
            listener(Progress(f"labelled {done:,} of {rows:,} rows", done / rows))

        return label_rows(read.examples, ready.labeler, told=told)


def _stem(file: str) -> str:
    from tamis.cli.train import default_folder

    return default_folder(file).name.removesuffix("-model")


def _tell(
    found: LabelledRows, read: Unlabelled, place: Path, ready: Ready, rejects: Path | None, *, as_json: bool
) -> None:
    from tamis.cli.label_view import show, summary
    from tamis.cli.reading_view import say_left_out

    say_left_out(read.tallies, {}, rejects)
    if as_json:
        print_json({"output": str(place), "unreadable": read.rejected} | summary(found, ready))
    else:
        show(found, ready, place, err if place == STDOUT else out)
