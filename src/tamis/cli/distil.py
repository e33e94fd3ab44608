"""`tamis distil`: a model of one's own, trained on an LLM's labels and measured beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tamis.cli import llm_options as llm
from tamis.cli.app import app
from tamis.cli.console import out, print_json
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
    from tamis.data.formats.options import ReadOptions
    from tamis.labelers.distilling import Distilled, Student

File = Annotated[str, typer.Argument(metavar="FILE", help="Texts or chats without labels, to learn from.")]
Test = Annotated[
    str, typer.Option("--test", metavar="FILE", help="Rows that people labelled: both are measured on them.")
]
Base = Annotated[str | None, typer.Option(metavar="NAME", help="Base model: an id, a folder, or a repository.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Folder for the model (default ./NAME-model).")]
OutputFile = Annotated[
    Path | None,
    typer.Option("--output", metavar="FILE", help="Write the labelled rows here: JSONL, CSV by its name."),
]
ReportFile = Annotated[Path | None, typer.Option("--report", metavar="FILE", help="Write an HTML page here.")]
MinConfidence = Annotated[
    float,
    typer.Option(min=0, max=1, metavar="X", help="Learn from labels that are at least so sure (with --samples)."),
]
Limit = Annotated[int | None, typer.Option(min=1, metavar="N", help="Label the first N rows only.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the model, and the labelled rows, of an earlier run.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


@app.command()
def distil(  # size: each option is one line three times: what it is called, what it reads, whom it is given to
    file: File,
    model: llm.Llm,
    test: Test,
    base: Base = None,
    out_dir: Out = None,
    output: OutputFile = None,
    report: ReportFile = None,
    min_confidence: MinConfidence = 0.0,
    limit: Limit = None,
    force: Force = False,
    labels: llm.Labels = None,
    target: llm.TargetName = "label",
    several: llm.Several = False,
    targets: llm.Targets = None,
    like: llm.Like = None,
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
    """Train a model on an LLM's labels, and measure both on rows that people labelled.

    Without --labels, --targets and --like the targets are those of the test file. No row of it is learnt from. A run
    that was stopped goes on where it was when the same command is given again.
    """
    from tamis.cli.train import default_folder, refuse_taken
    from tamis.data.loading import refuse_overwriting
    from tamis.labelers.distilling import Student
    from tamis.settings import load_settings

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
    folder = out_dir or default_folder(file)
    refuse_overwriting((output, report), file, test, examples, like, targets, descriptions)
    refuse_taken(folder, force=force)
    if output is not None:
        llm.refuse_taken(output, force=force)
    wanted = llm.Wanted(labels, target, several, targets, like or (None if labels or targets else test))
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
        kept_apart=test,
    )
    student = Student(
        base=load_settings().resolve_base(base),
        out=folder,
        seed=seed,
        overwrite=force,
        least_confidence=min_confidence,
    )
    with llm.ready(wanted, asked, options) as ready:
        found = _distilled(file, test, ready, student, options, limit=limit, max_bad_share=max_bad_share)
        _write(found, output, report)
        _tell(found, ready, (output, report), as_json=as_json)


def _distilled(
    file: str,
    test: str,
    ready: llm.Ready,
    student: Student,
    options: ReadOptions,
    *,
    limit: int | None,
    max_bad_share: float,
) -> Distilled:
    from tamis.cli.progress_bar import progress_bar
    from tamis.cli.reading_view import say_left_out
    from tamis.labelers.distilling import distil as run
    from tamis.labelers.labelled_rows import read_unlabelled

    read = read_unlabelled(file, options, max_bad_share=max_bad_share, limit=limit)
    say_left_out(read.tallies, {})
    with progress_bar() as listener:
        return run(
            read,
            test,
            ready.labeler,
            student=student,
            price=ready.price,
            samples=ready.labeler.asking.samples,
            options=options,
            listener=listener,
        )


def _write(found: Distilled, output: Path | None, report: Path | None) -> None:
    if output is not None:
        from tamis.cli.labelled_out import write_labelled

        write_labelled(output, found.labelled, without_labels=True)
    if report is not None:
        from tamis.evaluation.comparison_page import write_page

        write_page(found.comparison, report)


def _tell(found: Distilled, ready: llm.Ready, written: tuple[Path | None, ...], *, as_json: bool) -> None:
    from tamis.cli.distil_view import show
    from tamis.cli.label_view import summary

    if as_json:
        place = {"model": str(found.model.folder), "llm": ready.labeler.endpoint.name}
        print_json(place | found.to_json() | {"labelled": summary(found.labelled, ready)})
        return
    show(found, ready, out)
    for path in written:
        if path is not None:
            out.print("[dim]Written to[/]", end=" ")
            out.print(str(path), markup=False, soft_wrap=True)
