"""`tamis classify`: what a model says of texts."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tamis.cli.app import app
from tamis.cli.console import AsJson, err, json_line, out, print_json, show_error
from tamis.cli.given_model import ModelArgument, load_model
from tamis.cli.layout import plain
from tamis.cli.reading import DatasetConfig, DatasetSplit, Delimiter, Encoding, Header, Reading, TextColumn
from tamis.cli.rows_out import STDOUT, Row, input_keys, prediction_keys, write_rows
from tamis.data.rows import Rejected
from tamis.errors import TamisError
from tamis.schema import Example, Prediction

if TYPE_CHECKING:
    from tamis.data.formats import ReadOptions
    from tamis.ml.explaining import Explanation
    from tamis.ml.model import Model

AT_ONCE = 512
SHOWN = 3
LONGEST_PATH = 1_000

Texts = Annotated[list[str] | None, typer.Argument(metavar="TEXT", help="Texts; without any, stdin is read.")]
InputFile = Annotated[
    str | None, typer.Option("--input", metavar="FILE", help="Texts or chats: lines, JSONL, CSV, Parquet; - is stdin.")
]
OutputFile = Annotated[
    Path | None, typer.Option("--output", metavar="FILE", help="Write a line of JSON an input here; - is stdout.")
]
Explained = Annotated[
    bool, typer.Option("--explain", help="Say which words move the scores of the labels given: slower.")
]
Top = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="So many labels a target with their scores (default: 3, in JSON all)."),
]

Answered = tuple[Example | Rejected, Prediction | None]


@app.command()
def classify(
    model: ModelArgument,
    texts: Texts = None,
    input_file: InputFile = None,
    output: OutputFile = None,
    as_json: AsJson = False,
    top: Top = None,
    explain: Explained = False,
    text_column: TextColumn = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    header: Header = None,
    split: DatasetSplit = None,
    config: DatasetConfig = None,
) -> None:
    """Classify texts or chats: each label with its score, those that the model gives marked.

    Exits with 1 where an input could not be read; the others are classified all the same.
    """
    if texts and input_file is not None:
        raise typer.BadParameter("Give texts or --input, not both.")
    if not texts and input_file is None and sys.stdin.isatty():
        raise typer.BadParameter("Give a text, or --input FILE, or pipe texts in.")
    if as_json and output == STDOUT:
        raise typer.BadParameter("--json and --output - would both write to stdout.")
    from tamis.data.loading import refuse_overwriting

    options = Reading(
        text_column=text_column, delimiter=delimiter, encoding=encoding, header=header, split=split, config=config
    ).options()
    refuse_overwriting([output], input_file)
    loaded = load_model(model)
    with _opened(texts, input_file, replace(loaded.reading(options), labelled=False)) as given:
        run = _Run(loaded, top, explain=explain)
        if output is not None:
            write_rows(output, run.rows(given))
            run.tell_written(output, as_json=as_json)
        elif as_json:
            run.print_object(given)
        else:
            run.show(given)
    run.tell_failed()
    if run.failed:
        raise typer.Exit(1)


class _Run:
    """Inputs on their way through a model, a batch at a time; counts those that could not be read."""

    def __init__(self, model: Model, top: int | None, *, explain: bool = False) -> None:
        self._model, self._top, self._explain = model, top, explain
        self.done = self.failed = 0

    def rows(self, given: Iterable[Example | Rejected]) -> Iterator[Row]:
        """Yield a row an input, in their order."""
        for row, prediction in self._answered(given):
            if isinstance(row, Rejected):
                yield {"line": row.line, "error": {"code": row.code, "cause": row.cause, "cure": row.cure}}
            elif prediction is not None:
                said = prediction_keys(prediction, self._model.targets, self._top)
                why = {"explanation": self._explanation(row).to_json()} if self._explain else {}
                yield {"line": row.line} | input_keys(row.input) | said | why

    def print_object(self, given: Iterable[Example | Rejected]) -> None:
        """Print one JSON object whose `predictions` are the rows, without holding them."""
        sys.stdout.write('{"model": ' + json_line(self._model.name) + ', "predictions": [')
        between, error = "", ""
        try:
            for row in self.rows(given):
                sys.stdout.write(between + json_line(row))
                between = ", "
        except TamisError as failure:  # the object was begun, so it is ended
            show_error(failure)
            error = ', "error": ' + json_line({"code": failure.code, "message": str(failure)})
            self.failed += 1
        sys.stdout.write(f'], "rows": {self.done}, "failed": {self.failed}{error}}}\n')

    def show(self, given: Iterable[Example | Rejected]) -> None:
        """Print what the model says, as it comes."""
        from tamis.cli.classify_view import show_answers
        from tamis.cli.explain_view import show_explanation

        for row, prediction in self._answered(given):
            if isinstance(row, Rejected):
                err.print(f"left out  {plain(str(row))}", style="yellow", markup=False, soft_wrap=True)
            elif prediction is not None:
                show_answers(row.input, prediction, self._model.targets, top=self._top or SHOWN, console=out)
                if self._explain:
                    show_explanation(row.input, self._explanation(row), out)

    def tell_written(self, output: Path, *, as_json: bool) -> None:
        """Say how many rows are in the file."""
        if as_json:
            print_json({"model": self._model.name, "output": str(output), "rows": self.done, "failed": self.failed})
        elif output != STDOUT:
            out.print(f"{self.done:,} rows written to {output}", markup=False, soft_wrap=True)

    def tell_failed(self) -> None:
        """Say how many inputs were not classified."""
        if self.failed:
            err.print(f"[bold yellow]{self.failed:,} of {self.done:,} inputs could not be classified.[/]")

    def _explanation(self, row: Example) -> Explanation:
        return self._model.predictor.explain([row.input])[0]

    def _answered(self, given: Iterable[Example | Rejected]) -> Iterator[Answered]:
        rows = iter(given)
        while batch := list(islice(rows, AT_ONCE)):
            predictions = iter(self._predict([row for row in batch if isinstance(row, Example)]))
            for row in batch:
                self.done += 1
                self.failed += isinstance(row, Rejected)
                yield row, next(predictions) if isinstance(row, Example) else None

    def _predict(self, examples: Sequence[Example]) -> list[Prediction]:
        predictor = self._model.predictor
        return predictor.predictions(predictor.checked_scores([row.input for row in examples])) if examples else []


def _say_files(texts: Sequence[str]) -> None:
    """Say so where a text is the name of a file: it is classified as it stands, which is seldom what was meant."""
    for text in texts[:SHOWN]:
        if len(text) <= LONGEST_PATH and "\0" not in text and os.path.isfile(text):
            name = plain(text)
            err.print(
                f"note  {name} is a file here; its name was classified, not what is in it: that takes --input {name}",
                style="dim",
                markup=False,
                soft_wrap=True,
            )


@contextmanager
def _opened(
    texts: Sequence[str] | None, input_file: str | None, options: ReadOptions
) -> Iterator[Iterable[Example | Rejected]]:
    """Yield the inputs: texts of the command line, rows of a file, or what comes in on stdin."""
    if texts:
        _say_files(texts)
        yield (Example(text, {}, line) for line, text in enumerate(texts, 1))
    elif input_file in (None, "-"):
        with _spooled() as path:
            from tamis.data.formats.files import open_file

            yield open_file(path, "stdin", options)
    else:
        from tamis.data.loading import read_inputs

        yield read_inputs(str(input_file), options)


@contextmanager
def _spooled() -> Iterator[Path]:
    """Put stdin into a file, whose beginning tells what it is; memory does not grow with it."""
    with tempfile.TemporaryDirectory(prefix="tamis-") as folder:
        path = Path(folder, "stdin")
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield path
