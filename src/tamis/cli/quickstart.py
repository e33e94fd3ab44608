"""`tamis quickstart`: the whole job on the packaged example: check, train, measure, use."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from tamis.cli.app import app
from tamis.cli.console import out

if TYPE_CHECKING:
    from tamis.data.checks.report import CheckReport, Finding
    from tamis.ml.model import Model
    from tamis.ml.training import TrainingRun

MAX_BAD_SHARE = 0.02
"""The example has a few bad rows on purpose; so many are left out."""

MESSAGES = (
    "My parcel is marked as delivered, but there is nothing here, and I need it before Saturday!",
    "You charged my card twice, and the app only shows me an error.",
    "The lamp arrived with a cracked shade. Can I send it back?",
)
_LEGEND = (
    "A constant answer is the best that always says the same. Calibration error is how far, on average, a score is "
    "from the share of such scores that are right. More rows make all of it better: these are few."
)

Out = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Folder for the model (default ./support-model).")
]


@app.command()
def quickstart(out_dir: Out = None) -> None:
    """See the whole job on a packaged example: check, train, measure, use. Takes seconds, needs no network."""
    from tamis.ml.artifact import refuse_output

    begin = perf_counter()
    folder = out_dir or _free_folder(Path("support-model"))
    refuse_output(folder)
    _say(
        Text.assemble(("Tamis", "bold cyan"), ": labelled text in, a measured and calibrated classifier out."),
        "The example: messages to the support of a shop. Each has one intent, and any number of topics.",
    )
    _check()
    model = _train(folder)
    _evaluate(model)
    _classify(model)
    _next(model, perf_counter() - begin, moved=out_dir is None and folder.name != "support-model")


def _check() -> None:
    from tamis.data.checks.survey import CheckOptions, check
    from tamis.examples import example_path

    _step(1, "Check the data", "tamis check support.jsonl --test support-test.jsonl --max-bad-share 0.02")
    files = {"train": [str(example_path("support"))], "test": [str(example_path("support-test"))]}
    found = check(files, CheckOptions(max_bad_share=MAX_BAD_SHARE))
    rows = ", ".join(
        f"{file.rows:,} rows to {'learn from' if file.split == 'train' else file.split}" for file in found.files
    )
    _say(f"{rows}. A few things are wrong with them on purpose; this is what the data gate says:", "")
    _say(*_problems(found))


def _problems(found: CheckReport) -> Iterator[RenderableType]:
    from tamis.cli.layout import marked

    for finding in found.of_severity("warning"):
        yield marked("warning", finding.message)
        yield from _places(finding)
    remarks = len(found.of_severity("info"))
    yield marked("info", f"and {remarks} remarks: repeats, near-repeats, rare labels ...")


def _places(finding: Finding) -> Iterator[RenderableType]:
    from tamis.cli.layout import plain
    from tamis.data.checks.report import differences

    for group in finding.where:
        told = differences(group) if finding.code == "conflicting_labels" else [""] * len(group)
        for place, labels in zip(group, told, strict=True):
            line = Text(f"{Path(place.file).name}:{place.line}", no_wrap=True, overflow="ellipsis")
            line.append(f"  {plain(labels)}" if labels else "", style="cyan")
            yield Padding(line.append("  " + plain(place.text), style="dim"), (0, 0, 0, 4))


def _train(folder: Path) -> Model:
    from tamis.cli.progress_bar import progress_bar
    from tamis.cli.train_view import training_lines
    from tamis.examples import example_path
    from tamis.ml.training import train
    from tamis.settings import load_settings

    _step(2, "Train", f"tamis train support.jsonl --out {shlex.quote(str(folder))} --max-bad-share 0.02")
    with progress_bar(only_live=True) as listener:
        base = load_settings().default_base_model
        model = train(
            example_path("support"),
            base=base,
            out=folder,
            name="support",
            max_bad_share=MAX_BAD_SHARE,
            listener=listener,
        )
    run: TrainingRun | None = model.run
    if run:
        _say(*training_lines(model, run))
    return model


def _evaluate(model: Model) -> None:
    from tamis.cli.train_view import figures, shown_folder
    from tamis.examples import example_path

    _step(3, "Measure", f"tamis evaluate {shlex.quote(shown_folder(model))} support-test.jsonl")
    report = model.evaluate(example_path("support-test"))
    _say(f"On the {report.n:,} messages of another file:", "", figures(report), "")
    _say(Text(_LEGEND, style="dim"))


def _classify(model: Model) -> None:
    from tamis.cli.classify_view import show_answers
    from tamis.cli.train_view import shown_folder

    _step(4, "Use it", f"tamis classify {shlex.quote(shown_folder(model))} 'Your text'")
    for message in MESSAGES:
        show_answers(message, model.classify(message), model.targets, top=2, console=out)


def _next(model: Model, seconds: float, *, moved: bool) -> None:
    from tamis.cli.layout import commands
    from tamis.cli.train_view import shown_folder

    folder = shlex.quote(shown_folder(model))
    why = " (./support-model was there already)" if moved else ""
    _say(
        Text.assemble(
            ("✓ ", "bold green"), f"Done in {seconds:.1f} s. The model is the folder ", (folder, "bold"), f"{why}."
        )
    )
    yours = {
        "tamis check FILE": "what is wrong with it",
        "tamis train FILE": "learn from it",
        f"tamis evaluate {folder} FILE": "how good it is on other rows",
    }
    _say("", Text("Your own data", style="bold"))
    out.print(commands(yours), soft_wrap=True)
    _say("", Text("From Python", style="bold"))
    python = f"  import tamis\n  tamis.load({shown_folder(model)!r}).classify('Where is my parcel?')"
    out.print(Text(python, style="cyan"), soft_wrap=True)


def _free_folder(wanted: Path) -> Path:
    """Return the folder, or one with a number behind it where something is there already."""
    number = 1
    folder = wanted
    while folder.exists():
        number += 1
        folder = wanted.with_name(f"{wanted.name}-{number}")
    return folder


def _step(number: int, name: str, typed: str) -> None:
    head = Text.assemble((f"{number}  {name}", "bold cyan"))
    out.print(Padding(head, (1, 0, 0, 0)), Text(f"$ {typed}", style="dim"), "", sep="\n", soft_wrap=True)


def _say(*lines: RenderableType) -> None:
    for line in lines:
        out.print(line)
