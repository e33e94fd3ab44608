"""`tamis evaluate`: how good a model is on labelled rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tamis.cli.app import app
from tamis.cli.console import AsJson, err, out, print_json
from tamis.cli.given_model import ModelArgument, load_model
from tamis.cli.option_groups import grouped
from tamis.cli.reading import MaxBadShare, Reading, RejectsFile
from tamis.cli.rows_out import STDOUT, Row, input_keys, prediction_keys, write_rows

if TYPE_CHECKING:
    from rich.console import Console

    from tamis.data.dataset import Dataset
    from tamis.data.loading import Part
    from tamis.evaluation.report import EvaluationReport
    from tamis.ml.model import Model

AT_ONCE = 1024
LIKE_OOS = frozenset({"oos", "ood", "out_of_scope", "out-of-scope", "out of scope"})

Files = Annotated[
    list[str], typer.Argument(metavar="FILE...", help="Labelled rows: files, or a folder or hub dataset.")
]
ReportFile = Annotated[Path | None, typer.Option("--report", metavar="FILE", help="Write an HTML page here.")]
PredictionsFile = Annotated[
    Path | None, typer.Option("--predictions", metavar="FILE", help="Write every row with its scores here, as JSONL.")
]
OosLabel = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="What rows carry that are out of scope (default: as in training)."),
]


@app.command()
@grouped
def evaluate(
    model: ModelArgument,
    files: Files,
    report: ReportFile = None,
    predictions: PredictionsFile = None,
    oos_label: OosLabel = None,
    max_bad_share: MaxBadShare = 0.0,
    rejects: RejectsFile = None,
    as_json: AsJson = False,
    *,
    reading: Reading,
) -> None:
    """Measure a model on labelled rows: figures with 95% intervals, per label, and what it gets wrong.

    Labels that the model does not have count as misses. Of a dataset with splits of its own, the test data is taken.
    """
    from tamis.data.loading import load, refuse_overwriting
    from tamis.data.out_of_scope import scoped

    if as_json and predictions == STDOUT:
        raise typer.BadParameter("--json and --predictions - would both write to stdout.")
    options = reading.options()
    refuse_overwriting((report, predictions), files)
    loaded = load_model(model)
    given = files[0] if len(files) == 1 else files
    options = loaded.reading(options)
    part = load(given, scoped(loaded.targets, oos_label), options, max_bad_share=max_bad_share, rejects=rejects)
    measured = loaded.evaluate(part.data)
    written = _write(loaded, part.data, measured, report=report, predictions=predictions)
    tell(loaded, part, measured, rejects, as_json=as_json, to=err if predictions == STDOUT else out)
    if not as_json and predictions != STDOUT:
        for what, path in written.items():
            out.print(f"[dim]{what} written to[/]", end=" ")
            out.print(str(path), markup=False, soft_wrap=True)


def tell(
    model: Model, part: Part, measured: EvaluationReport, rejects: Path | None, *, as_json: bool, to: Console
) -> None:
    """Print what was measured, for people or as JSON."""
    from tamis.cli.evaluate_view import show
    from tamis.cli.layout import marked
    from tamis.cli.reading_view import say_left_out
    from tamis.evaluation.kept import LEARNT_FROM
    from tamis.ml.own_rows import served

    say_left_out(part.tallies, {"evaluation": part.notes}, rejects)
    remarks = [LEARNT_FROM] if served(part.data, model.manifest).learnt_from else []
    if as_json:
        read = {"files": [tally.to_json() for tally in part.tallies], "notes": [note.to_json() for note in part.notes]}
        print_json({"model": model.name} | measured.to_json() | read | {"remarks": remarks})
        return
    for remark in remarks:
        to.print(marked("warning", remark))
    show(measured, to)
    for name, target in measured.targets.items():
        unknown = [label for label in target.unseen_labels if label.lower() in LIKE_OOS]
        if unknown and not model.manifest.target(name).target.is_multi:
            told = f"{name}: if {unknown[0]} says that a row is out of scope, give --oos-label {unknown[0]}"
            to.print(marked("info", f"{told}: then no answer is the right one."))


def predicted_rows(model: Model, data: Dataset) -> Iterator[Row]:
    """Yield each row with its line, its labels and what the model says of it."""
    for first in range(0, len(data), AT_ONCE):
        inputs = data.inputs[first : first + AT_ONCE]
        for row, prediction in enumerate(model.predictor.predictions(model.predictor.checked_scores(inputs)), first):
            said = prediction_keys(prediction, model.targets)
            place: Row = {"line": int(data.lines[row])}
            yield place | input_keys(data.inputs[row]) | {"labels": _labels(data, row)} | said


def _labels(data: Dataset, row: int) -> Row:
    """The row's own labels in the form that data has; a target that it does not mention is left out."""
    known: Row = {}
    for target in data.targets:
        labels = data.labels_of(target.name, row)
        if labels is not None:
            known[target.name] = list(labels) if target.is_multi else labels[0]
    return known


def _write(
    model: Model, data: Dataset, measured: EvaluationReport, *, report: Path | None, predictions: Path | None
) -> Mapping[str, Path]:
    """Write the files that were asked for, and return which."""
    written: dict[str, Path] = {}
    if predictions is not None:
        write_rows(predictions, predicted_rows(model, data))
        written["Predictions"] = predictions
    if report is not None:
        from tamis.evaluation.page import write_page
        from tamis.ml.explained_mistakes import explain_mistakes

        reasons = explain_mistakes(model.predictor, measured, data)
        write_page(measured, report, data, title=f"Evaluation of {model.name}", reasons=reasons)
        written["Report"] = report
    return written
