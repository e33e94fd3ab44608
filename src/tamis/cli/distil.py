"""`tamis distil`: a model of one's own, trained on an LLM's labels and measured beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tamis.cli import llm_options as llm
from tamis.cli.app import app
from tamis.cli.console import AsJson, out, print_json
from tamis.cli.option_groups import grouped
from tamis.cli.reading import MaxBadShare, Reading

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


@app.command()
@grouped
def distil(
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
    *,
    wanted: llm.Wanted,
    asked: llm.Asked,
    max_bad_share: MaxBadShare = 0.0,
    as_json: AsJson = False,
    reading: Reading,
) -> None:
    """Train a model on an LLM's labels, and measure both on rows that people labelled.

    Without --labels, --targets and --like the targets are those of the test file. No row of it is learnt from. A run
    that was stopped goes on where it was when the same command is given again.
    """
    from tamis.cli.train import default_folder, refuse_taken
    from tamis.data.loading import refuse_overwriting
    from tamis.labelers.distilling import Student
    from tamis.settings import load_settings

    options = reading.options()
    folder = out_dir or default_folder(file)
    refuse_overwriting((output, report), file, test, *llm.files(wanted, asked))
    refuse_taken(folder, force=force)
    if output is not None:
        llm.refuse_taken(output, force=force)
    if not (wanted.labels or wanted.targets or wanted.like):
        wanted = replace(wanted, like=test)
    student = Student(
        base=load_settings().resolve_base(base),
        out=folder,
        seed=asked.seed,
        overwrite=force,
        least_confidence=min_confidence,
    )
    with llm.ready(model, wanted, asked, options, kept_apart=test) as ready:
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
