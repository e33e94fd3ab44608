"""The act "evaluate": a model measured on an uploaded file, with the rows behind its figures.

Told: `model` and `file` are ids; `text_column`, `label_columns` and `label_separator` say how to read a file that is
laid out otherwise than what the model learnt from. The result is a `tamis.evaluation.kept.Evaluation` in JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from tamis.data.dataset import Dataset
from tamis.data.formats import ReadOptions
from tamis.data.loading import MOST_BAD_SHARE, Part, load
from tamis.errors import UnknownModel
from tamis.evaluation import charts
from tamis.evaluation.behind import behind
from tamis.evaluation.figures import MultiReport, SingleReport
from tamis.evaluation.kept import (
    LEARNT_FROM,
    Evaluation,
    KeptRow,
    KeptTarget,
    kept_reasons,
    kept_text,
)
from tamis.evaluation.page import READ
from tamis.evaluation.report import EvaluationReport
from tamis.evaluation.verdict import main_figure
from tamis.jobs.operating import Acting, Done
from tamis.jobs.tools import files_here
from tamis.ml.explained_mistakes import explain_mistakes
from tamis.ml.model import Model
from tamis.ml.model import load as load_model
from tamis.ml.own_rows import served
from tamis.pages import figure_spec
from tamis.store.artifacts import CACHE, folder_of
from tamis.store.records import FileRecord, ModelRecord

MOST_TARGETS = 20
"""Targets whose figures a summary has."""

MOST_ROWS = 20_000
"""Rows behind cells whose texts are kept, of all targets together."""

Charts = dict[str, dict[str, Any]]


def evaluate(acting: Acting) -> Done:
    """Measure the model.

    Raises:
        UnknownModel: it was deleted meanwhile.
        UnknownFile: the file was.
        DataError: the file has no rows that the model can be measured on.
    """
    store, told = acting.tools.store, acting.told
    record = store.models.find(str(told["model"]))
    if record is None:
        raise UnknownModel("The model was deleted meanwhile.", model=told["model"])
    acting.tell(0.02, "loading the model")
    model = load_model(folder_of(store.objects, record, acting.tools.choices.home / CACHE))
    file_id = str(told["file"])
    acting.tell(0.05, "reading the rows")
    with files_here(store, [file_id], acting.work) as paths:
        options = model.reading(reading(acting.tools.choices.reading, told))
        part = load(paths[file_id], model.targets, options, max_bad_share=MOST_BAD_SHARE)
    file = store.files.find(file_id)
    made = measured(acting, model, part, (record, file))
    return Done(
        made.model_dump_json().encode(),
        name=f"evaluation of {record.name}-{record.version}.json",
        summary=summary_of(made, file_id),
    )


def reading(options: ReadOptions, told: Mapping[str, Any]) -> ReadOptions:
    """Return how the file is read: as it looks, or as is told."""
    return replace(
        options,
        text_column=told.get("text_column") or None,
        label_columns=tuple(told.get("label_columns") or ()),
        label_separator=told.get("label_separator") or None,
    )


def measured(acting: Acting, model: Model, part: Part, told: tuple[ModelRecord, FileRecord | None]) -> Evaluation:
    """Measure a model on rows and keep what pages need."""
    record, file = told
    data = part.data
    gathered = {
        target.name: behind(target, data.truth[target.name], model.predictor.thresholds(target.name))
        for target in model.targets
        if target.name in data.truth
    }

    def visit(first: int, scores: Mapping[str, Any]) -> None:
        for name, each in gathered.items():
            each.add(first, scores[name])
        acting.tell(0.1 + 0.6 * first / max(1, len(data)), "measuring")

    report = model.evaluate(data, visit=visit)
    acting.tell(0.8, "finding out why mistakes were made")
    reasons = explain_mistakes(model.predictor, report, data)
    acting.tell(0.95, "drawing")
    targets = {
        name: KeptTarget(
            cells=gathered[name].cells(),
            reasons={row: kept_reasons(each) for row, each in reasons.get(name, {}).items()},
            charts=charts_of(report.targets[name]),
        )
        for name in report.targets
    }
    return Evaluation(
        model=f"{record.name}@{record.version}",
        file="" if file is None else file.name,
        sha256=data.content_hash(),
        report=report,
        rows=rows_of(data, report, targets),
        targets=targets,
        remarks=tuple(remarks_of(model, part)),
    )


def charts_of(report: SingleReport | MultiReport) -> Charts:
    """Return the charts of a target, as plotly draws them."""
    if not report.n:
        return {}
    made: Charts = {"reliability": figure_spec(charts.reliability(report))}
    if isinstance(report, SingleReport):
        made["coverage"] = figure_spec(charts.coverage(report))
    else:
        made["thresholds"] = figure_spec(charts.thresholds(report.curves[0], report.cuts))
    return made


def rows_of(data: Dataset, report: EvaluationReport, targets: Mapping[str, KeptTarget]) -> dict[int, KeptRow]:
    """Return the rows that cells and mistakes name: of mistakes the most that pages look at."""
    behind_cells = (row.row for target in targets.values() for cell in target.cells for row in cell.rows)
    shown = islice(dict.fromkeys(behind_cells), MOST_ROWS)
    mistaken = {mistake.row for target in report.targets.values() for mistake in target.mistakes}
    kept = {row: KeptRow(line=int(data.lines[row]), text=kept_text(data.inputs[row])) for row in shown}
    return kept | {row: KeptRow(line=int(data.lines[row]), text=kept_text(data.inputs[row], READ)) for row in mistaken}


def remarks_of(model: Model, part: Part) -> list[str]:
    """Return what should be known beside the figures."""
    remarks = [LEARNT_FROM] if served(part.data, model.manifest).learnt_from else []
    remarks += part.read_as
    left_out = sum(tally.rejected for tally in part.tallies)
    if left_out:
        first = next(bad for tally in part.tallies for bad in tally.first)
        rows = "1 row was" if left_out == 1 else f"{left_out:,} rows were"
        remarks.append(f"{rows} left out, as nothing could be made of them. Line {first.line:,}: {first.cause}.")
    return remarks + [f"{note}."[0].upper() + f"{note}."[1:] for note in part.notes]


def summary_of(made: Evaluation, file_id: str) -> dict[str, Any]:
    """Return what lists show: rows, and for each target the figure that it is judged by."""
    targets = {}
    measured = [(name, report) for name, report in made.report.targets.items() if report.n]
    for name, report in measured[:MOST_TARGETS]:
        figure, value, interval, _ = main_figure(report)
        targets[name] = {
            "figure": figure,
            "value": value,
            "interval": interval,
            "macro_f1": report.macro_f1,
            "ece": report.ece,
            "rows": report.n,
            "labels": len(report.per_label),
        }
    return {
        "file": made.file,
        "file_id": file_id,
        "rows": made.report.n,
        "seconds": made.report.seconds,
        "targets": targets,
        "remarks": list(made.remarks),
        "learnt_from": LEARNT_FROM in made.remarks,
    }
