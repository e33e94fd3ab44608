"""Fine-tuning jobs in the terminal: a list, and all there is to know of one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.text import Text

from tamis.cli.layout import commands, cut, figures_table, marked, plain, sparkline, title

if TYPE_CHECKING:
    from tamis.store.records import CheckpointRecord, EventRecord, JobRecord
    from tamis.workspace.jobs import JobDetail

CURVE = 40
LAST = 20
"""Checkpoints that the curve shows, and events that are listed."""

NAME = 24
STYLES = {"SUCCESS": "green", "FAILED": "red", "FAILED_VALIDATION": "red", "RUNNING": "cyan", "VALIDATING": "cyan"}
NEXT = {
    "VALIDATED": "It waits to be started: POST /v1/fine_tuning/jobs/{id}/start",
    "QUEUED": "It waits for a worker: `tamis serve` runs them.",
    "CANCELLATION_REQUESTED": "It stops within seconds, if the server runs.",
}
EVENTS = {"taken-over": "taken up again"}
CURVES = (("valid_loss", "held-out loss"), ("train_loss", "training loss"))


def show_list(found: Sequence[JobRecord], total: int, console: Console) -> None:
    """Print a line a job; a second one says why it failed, or what it made."""
    if not found:
        console.print("There are no such jobs. The API makes them: tamis serve, then its /docs.", markup=False)
        return
    for job in found:
        when = f"  {_moment(job.created_at)}, {cut(job.name, NAME)} from {cut(job.model, NAME)}"
        line = Text.assemble((job.id, "bold"), "  ", _status(job), (when, "dim"))
        console.print(line, soft_wrap=True)
        if job.error or job.fine_tuned_model:
            told = (job.error or job.fine_tuned_model or "").partition("\n")[0]
            console.print(Text("  " + plain(told), style="dim"), soft_wrap=True)
    if total > len(found):
        console.print(f"… and {total - len(found):,} more: --limit {total}", style="dim", markup=False)


def show_job(detail: JobDetail, console: Console) -> None:
    """Print a job: state, data, curve, events, what to do next."""
    job = detail.job
    console.print(Text.assemble((job.id, "bold"), "  ", _status(job)), soft_wrap=True)
    if job.error:
        console.print(marked("error", _paragraphs(job.error)))
    elif job.status in NEXT:
        console.print(marked("info", NEXT[job.status].format(id=job.id)))
    parts = [title("Job"), _pairs(dict(_facts(job)))]
    if detail.checkpoints:
        parts += [title("Curve", f"{len(detail.checkpoints)} checkpoints"), *_curves(detail.checkpoints)]
    parts += [title("Events"), _events(detail.events, told=job.error)]
    console.print(*parts, sep="\n")
    if job.fine_tuned_model and job.model_id:
        console.print(title("Next"))
        console.print(commands({f"tamis classify {job.model_id} 'Your text'": "use it"}), soft_wrap=True)


def _facts(job: JobRecord) -> Iterator[tuple[str, str]]:
    """What is known of a job, by what it is called."""
    told = job.metadata
    yield "base model", job.model if job.model == job.base else f"{job.model} ({job.base})"
    yield "made", _moment(job.created_at)
    if job.finished_at:
        yield "finished", f"{_moment(job.finished_at)}, {job.finished_at - job.created_at:,} s after it was made"
    files = len(job.training_files), len(job.validation_files)
    yield "files", f"{files[0]} for training, {files[1]} for validation"
    if told.get("rows"):
        yield "data", f"{told['rows']:,} rows, {told.get('data_tokens', 0):,} tokens"
    if job.targets:
        yield "targets", ", ".join(f"{target['name']} ({len(target['labels']):,})" for target in job.targets)
    asked = {name: value for name, value in job.hyperparameters.items() if value is not None}
    if asked:
        yield "settings", ", ".join(f"{name} {value:g}" for name, value in asked.items() if _is_number(value))
    if job.deaths:
        yield "killed", f"{job.deaths} time{'' if job.deaths == 1 else 's'}, and gone on with"
    if job.peak_mb:
        yield "memory", f"{job.peak_mb:,.0f} MB at most"
    if job.fine_tuned_model:
        yield "model", job.fine_tuned_model


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _pairs(facts: Mapping[str, str]) -> RenderableType:
    table = figures_table("", "", text=2)
    table.show_header = False
    table.columns[1].no_wrap, table.columns[1].overflow = False, "fold"
    for name, value in facts.items():
        table.add_row(Text(f"  {name}", style="dim"), Text(plain(value)))
    return table


def _curves(checkpoints: Sequence[CheckpointRecord]) -> Iterator[RenderableType]:
    """The course of the losses over the last checkpoints, oldest first."""
    last = list(reversed(checkpoints[:CURVE]))
    for name, called in CURVES:
        values = [row.metrics[name] for row in last if name in row.metrics]
        if values:
            told = (f"  {values[0]:.3f} → {values[-1]:.3f}, lowest {min(values):.3f}", "dim")
            line = Text.assemble(called.ljust(15), (sparkline(values, CURVE), "cyan"), told)
            yield Padding(line, (0, 0, 0, 2))
    yield Padding(Text(f"steps {last[0].step:,} to {last[-1].step:,}", style="dim"), (0, 0, 0, 2))


def _events(events: Sequence[EventRecord], told: str | None) -> RenderableType:
    """A line an event, the oldest first; what was `told` above is not repeated."""
    table = figures_table("", "", "", text=3)
    table.show_header = False
    table.columns[2].no_wrap, table.columns[2].overflow = False, "fold"
    if len(events) > LAST:
        table.add_row("", "", Text(f"… {len(events) - LAST:,} earlier ones: --json", style="dim"))
    for event in events[-LAST:]:
        data = dict(event.data)
        what = str(data.pop("status", EVENTS.get(event.name, event.name)))
        said = {key: value for key, value in data.items() if key != "code" and value not in (None, told)}
        more = ", ".join(f"{key} {value:,}" if _is_number(value) else str(value) for key, value in said.items())
        table.add_row(
            Text(f"  {_moment(event.created_at)}", style="dim"), Text(plain(what)), Text(plain(more), style="dim")
        )
    return table


def _status(job: JobRecord) -> Text:
    """The state, and how far a run is."""
    told: Any = job.metadata.get("progress") if job.status == "RUNNING" else None
    share = told.get("share") if isinstance(told, dict) else None
    left = told.get("seconds_left") if isinstance(told, dict) else None
    more = f" {share:.0%}" if isinstance(share, int | float) else ""
    more += f", about {left:,.0f} s left" if isinstance(left, int | float) else ""
    return Text(job.status + more, style=STYLES.get(job.status, ""))


def _paragraphs(text: str) -> Text:
    return Text("\n".join(plain(line) for line in text.splitlines()))


def _moment(seconds: int) -> str:
    """A time as people here read it: that of this machine."""
    return f"{datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M:%S}"
