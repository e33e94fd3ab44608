"""`tamis label`: unlabelled texts in, labels of an LLM out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tamis.cli import llm_options as llm
from tamis.cli.app import app
from tamis.cli.console import AsJson, err, out, print_json
from tamis.cli.option_groups import grouped
from tamis.cli.reading import MaxBadShare, Reading
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


@app.command()
@grouped
def label(
    file: File,
    model: llm.Llm,
    output: OutputFile = None,
    *,
    wanted: llm.Wanted,
    limit: Limit = None,
    rejects: RejectsFile = None,
    force: Force = False,
    asked: llm.Asked,
    max_bad_share: MaxBadShare = 0.0,
    as_json: AsJson = False,
    reading: Reading,
) -> None:
    """Label texts with an LLM: rows to check and to train on, each with how sure its labels are.

    A run that was stopped goes on where it was when the same command is given again. Rows that the LLM refused, or
    answered with what is no label, are kept without labels. Exits with 1 where rows are left to be asked about.
    """
    from tamis.cli.labelled_out import write_labelled
    from tamis.data.loading import RejectsFile, refuse_overwriting
    from tamis.labelers.labelled_rows import read_unlabelled

    options = reading.options()
    place = output or Path(f"{_stem(file)}-labelled.jsonl")
    if as_json and place == STDOUT:
        raise typer.BadParameter("--json and --output - would both write to stdout.")
    refuse_overwriting((place, rejects), file, *llm.files(wanted, asked))
    llm.refuse_taken(place, force=force)
    with llm.ready(model, wanted, asked, options) as ready, RejectsFile(rejects) as rejects_file:
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
