"""A training run in the terminal: what was read and decided, the curve, the figures, where the model is."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.text import Text

from tamis.cli.layout import commands, cut, figures_table, marked, sparkline, title
from tamis.cli.reading_view import files_table
from tamis.evaluation.figures import SingleReport
from tamis.evaluation.report import EvaluationReport
from tamis.evaluation.verdict import Interval, listed, main_figure, percent, span
from tamis.ml.growing import HELD_BACK
from tamis.ml.model import Model
from tamis.ml.training import TrainingRun
from tamis.schema import Target

CURVE = 40
NAME = 24
SHORT_NAME = 11  # characters that fit into 80 columns where the figures' names stand on one line
MOST_TARGETS = 20
MOST_LABELS = 12


def show(model: Model, run: TrainingRun, console: Console) -> None:
    """Print what there is to know of a run that has ended."""
    parts: list[RenderableType] = [title("Data"), files_table(run.tallies)]
    parts += [title("Targets"), *_targets(model.targets)]
    parts += [title("Training", _how(run)), *training_lines(model, run)]
    if run.held_out:
        parts += [title("On held-out rows", _which(run)), figures(run.held_out)]
    else:
        parts.append(marked("warning", _why_not_measured(model)))
    parts += _outside(run.held_out)
    if run.test:
        parts += [title("On the test data", f"{run.test.n:,} rows"), figures(run.test)]
        parts += [*_outside(run.test), *_unseen(run.test)]
    console.print(*parts, sep="\n")


def say_where(model: Model, registered: str | None, console: Console) -> None:
    """Print where the model is and what to type next."""
    folder = shown_folder(model)
    size = sum(entry.bytes for entry in model.manifest.files.values()) / 1e6
    name = f", registered as {registered}" if registered else ""
    console.print(title("Model"))
    console.print(Text.assemble(("  " + folder, "bold"), (f"  {size:.1f} MB{name}", "dim")), soft_wrap=True)
    said = registered.partition("@")[0] if registered else shlex.quote(folder)
    console.print(title("Next"))
    use, measure = f"tamis classify {said} 'Your text'", f"tamis evaluate {said} FILE --report report.html"
    shown = {use: "use it", measure: "measure it on other rows"}
    if model.run is not None and any(HELD_BACK in remark for remark in model.run.remarks):
        shown["tamis train … --rehearse OLDFILE"] = "with some old rows: full quality for the new labels"
    console.print(commands(shown), soft_wrap=True)


def figures(report: EvaluationReport) -> RenderableType:
    """Two lines a target: its figures with intervals, beside a constant answer, and its calibration."""
    between = " " if all(len(name) <= SHORT_NAME for name in report.targets) else "\n"
    headers = (f"constant{between}answer", f"calibration{between}error")
    table = figures_table("target", "", "value", "95% interval", *headers, text=2)
    for name, target in report.targets.items():
        word, value, interval, baseline = main_figure(target)
        before = f"{percent(target.ece_before)} → " if target.ece_before is not None else ""
        calibration = Text.assemble((before, "dim"), percent(target.ece))
        macro = ("macro-F1", target.macro_f1, target.macro_f1_ci, target.baseline.macro_f1)
        table.add_row(Text(cut(name, NAME)), *_figure(word, value, interval, baseline), calibration)
        table.add_row("", *_figure(*macro))
    return table


def _figure(word: str, value: float | None, interval: Interval | None, constant: float | None) -> Sequence[Text]:
    return Text(word), Text(percent(value), style="bold"), Text(span(interval)), Text(percent(constant), style="dim")


def shown_folder(model: Model) -> str:
    """Where a model is, as one would type it here."""
    folder = (model.folder or Path()).absolute()
    here = Path.cwd()
    return f"./{folder.relative_to(here)}" if folder.is_relative_to(here) else str(folder)


def _targets(targets: Sequence[Target]) -> Iterator[RenderableType]:
    table = figures_table("target", "an example has", "labels", text=3)
    table.columns[-1].no_wrap, table.columns[-1].overflow = False, "fold"
    for target in targets[:MOST_TARGETS]:
        kind = f"{'any' if target.is_multi else 'one'} of {len(target.labels):,}"
        names = ", ".join(cut(label, NAME) for label in target.labels[:MOST_LABELS])
        more = f" and {len(target.labels) - MOST_LABELS:,} more" if len(target.labels) > MOST_LABELS else ""
        table.add_row(Text(cut(target.name, NAME)), kind, Text(names + more, style="dim"))
    yield table
    if len(targets) > MOST_TARGETS:
        yield Text(f"… and {len(targets) - MOST_TARGETS:,} more", style="dim")
    for target in targets:
        if target.none_labels:
            none = ", ".join(target.none_labels)
            yield marked("info", f"{target.name}: {none} is taken to mean that nothing applies.")
        if target.oos_label:
            oos = cut(target.oos_label, NAME)
            yield marked("info", f"{target.name}: {oos} is no label; its rows are out of scope: no answer is right.")


def _how(run: TrainingRun) -> str:
    memory = f", {run.peak_rss_mb:,.0f} MB" if run.peak_rss_mb else ""
    return f"{run.seconds['total']:.1f} s{memory}"


def training_lines(model: Model, run: TrainingRun) -> Iterator[RenderableType]:
    """What was learnt from, in what time, the curve of the loss, remarks."""
    seconds, rows = run.seconds.get("train", 0.0), model.manifest.data.train_rows
    yield marked("ok", f"{model.manifest.base_model.id} learnt from {rows:,} rows in {seconds:.1f} s.")
    losses = [row.get("valid_loss") for row in model.manifest.checkpoints]
    known = [float(loss) for loss in losses if isinstance(loss, int | float)]
    if len(known) > 1:
        curve = Text(sparkline(known, CURVE), style="cyan")
        told = (f"  {known[0]:.3f} → {min(known):.3f}", "dim")
        yield Padding(Text.assemble("held-out loss  ", curve, told), (0, 0, 0, 2))
    for remark in run.remarks:
        yield marked("info", remark)


def _why_not_measured(model: Model) -> str:
    few = "Training and validation data have" if model.manifest.data.validation_rows else "There were"
    return f"{few} too few rows to hold any out: nothing was measured or calibrated."


def _which(run: TrainingRun) -> str:
    n = run.held_out.n if run.held_out else 0
    rows = run.held_out_rows or ""
    return rows if f"{n:,}" in rows else f"{n:,} rows, {rows}"


def _outside(report: EvaluationReport | None) -> Iterator[RenderableType]:
    """What became of the rows out of scope, which the figures above do not count."""
    for name, target in report.targets.items() if report is not None else ():
        if isinstance(target, SingleReport) and target.oos_rows:
            rows = "1 row" if target.oos_rows == 1 else f"{target.oos_rows:,} rows"
            told = f"{rows} out of scope beside these: {percent(target.oos_recall)} got no answer"
            yield marked("info", f"{name}: {told}; {percent(target.coverage)} of those in scope got one.")


def _unseen(report: EvaluationReport) -> Iterator[RenderableType]:
    for name, target in report.targets.items():
        if target.unseen_rows:
            labels = listed(target.unseen_labels)
            rows = "1 row carries" if target.unseen_rows == 1 else f"{target.unseen_rows:,} rows carry"
            yield marked(
                "warning", f"{name}: {rows} a label that training never saw ({labels}): each counts as a miss."
            )
