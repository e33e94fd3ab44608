"""`tamis train`: labelled rows in, a classifier out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tamis.cli.app import app
from tamis.cli.console import AsJson, err, out, print_json
from tamis.cli.option_groups import grouped
from tamis.cli.reading import MaxBadShare, Reading, RejectsFile

if TYPE_CHECKING:
    from tamis.ml.model import Model
    from tamis.ml.progress import Listener, Progress
    from tamis.ml.registry import Version
    from tamis.ml.restart import RestartPoints
    from tamis.settings import Settings

_PANEL = "How to train (by default the trainer picks)"

Train = Annotated[str, typer.Argument(metavar="TRAIN", help="Rows to learn from: a file, a folder, a hub dataset.")]
Validation = Annotated[
    str | None, typer.Option(metavar="FILE", help="Rows to choose on; without them some are held out of TRAIN.")
]
Test = Annotated[str | None, typer.Option(metavar="FILE", help="Rows to report on; nothing is fitted to them.")]
Base = Annotated[str | None, typer.Option(metavar="NAME", help="Base model: an id, a folder, or a repository.")]
StartFrom = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="MODEL", help="Add the labels, targets and rows of TRAIN to this model; nothing is forgotten."
    ),
]
Rehearse = Annotated[
    list[str] | None,
    typer.Option("--rehearse", metavar="FILE", help="With --from: rows of labels that it has; repeatable."),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="DIR",
        help="Folder for the model (default ./NAME-model; with --name ./NAME-model-2 for the next version).",
    ),
]
Name = Annotated[str | None, typer.Option(metavar="NAME", help="Register the model in the home under this name.")]
Steps = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="At most so many steps of 65,536 tokens.", rich_help_panel=_PANEL),
]
Epochs = Annotated[
    float | None, typer.Option(metavar="X", help="At most so many passes over the data.", rich_help_panel=_PANEL)
]
Rate = Annotated[
    float | None,
    typer.Option(metavar="X", help="Relative: 1e-4 is the base model's own rate.", rich_help_panel=_PANEL),
]
Decay = Annotated[
    float | None, typer.Option(min=0.0, max=1.0, metavar="X", help="Relative to 0.1.", rich_help_panel=_PANEL)
]
Warmup = Annotated[
    float | None,
    typer.Option(
        min=0.0, max=1.0, metavar="X", help="Share of the run in which the rate rises.", rich_help_panel=_PANEL
    ),
]
SeqLen = Annotated[
    int | None,
    typer.Option(min=100, metavar="N", help="Cut inputs to so many tokens.", rich_help_panel=_PANEL),
]
Seed = Annotated[
    int, typer.Option(min=0, metavar="N", help="Another seed gives another model.", rich_help_panel=_PANEL)
]
Optimise = Annotated[
    list[str] | None,
    typer.Option(
        "--optimise",
        metavar="OBJECTIVE",
        help="What thresholds are for: f1, precision>=0.95, recall>=0.9, cost:fp=1,fn=5, …; LABEL=OBJECTIVE for one "
        "label; repeatable.",
        rich_help_panel=_PANEL,
    ),
]
EncoderOption = Annotated[
    list[str] | None,
    typer.Option(
        "--encoder-option",
        metavar="NAME=VALUE",
        help="Of an encoder base model: freeze_layers, long_texts, lora, …; repeatable.",
        rich_help_panel=_PANEL,
    ),
]
AbstainLoss = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=0.5,
        metavar="X",
        help="Share of in-scope answers that saying “none of these” may cost; 0: always answer.  [default: 0.03]",
        rich_help_panel=_PANEL,
    ),
]
OosLabel = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="What rows carry that are out of scope: it is none of the model's labels."),
]
NoneLabels = Annotated[
    list[str] | None,
    typer.Option(
        "--none-label",
        metavar="TARGET=LABEL",
        help="A label that means that nothing applies; repeatable. TARGET= says that there is none.",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace the model that is in the folder.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long it learns, how fast, and how much of a text it reads."""

    training_steps: Steps = None
    epochs: Epochs = None
    learning_rate: Rate = None
    weight_decay: Decay = None
    warmup_fraction: Warmup = None
    seq_len: SeqLen = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deciding:
    """What thresholds are chosen for, and where no answer is better."""

    optimise: Optimise = None
    abstain_loss: AbstainLoss = None
    oos_label: OosLabel = None


@app.command()
@grouped
def train(
    train_data: Train,
    validation: Validation = None,
    test: Test = None,
    base: Base = None,
    start_from: StartFrom = None,
    rehearse: Rehearse = None,
    out_dir: Out = None,
    name: Name = None,
    *,
    schedule: Schedule,
    encoder_option: EncoderOption = None,
    deciding: Deciding,
    seed: Seed = 0,
    none_label: NoneLabels = None,
    max_bad_share: MaxBadShare = 0.0,
    rejects: RejectsFile = None,
    force: Force = False,
    as_json: AsJson = False,
    reading: Reading,
) -> None:
    """Train a classifier and measure it; it is written to a folder of its own.

    Splits that a dataset folder or hub dataset has of its own are used. What is not given is decided and told.
    A long run that is interrupted goes on from where it was when the same command is given again.
    """
    from tamis.cli.given_model import load_model
    from tamis.cli.progress_bar import progress_bar
    from tamis.ml.encoder.options import parsed_options
    from tamis.ml.processes import is_first
    from tamis.ml.registry import require_name
    from tamis.ml.restart import RestartPoints
    from tamis.ml.training import train as run_training
    from tamis.settings import load_settings

    settings = load_settings()
    if name is not None:
        require_name(name)
    parent = None if start_from is None else load_model(start_from)
    folder = _free_folder(out_dir, name, train_data, force=force)
    restart = RestartPoints(folder.resolve().with_name(f".{folder.resolve().name}.restart"))
    with progress_bar(shown=is_first()) as listener, _kept(restart):
        model = run_training(
            train_data,
            validation,
            test,
            base=base if parent else settings.resolve_base(base),
            start_from=parent,
            rehearse=rehearse,
            out=folder,
            name=name,
            **asdict(schedule),
            encoder_options=parsed_options(encoder_option or ()),
            seed=seed,
            **asdict(deciding),
            none_labels=none_labels(none_label),
            options=reading.options(),
            max_bad_share=max_bad_share,
            rejects=rejects,
            overwrite=force,
            listener=_telling(listener, rejects) if is_first() else listener,
            restart=restart,
        )
    if is_first():
        tell(model, _registered(model, name, settings), as_json=as_json)


def _telling(listener: Listener, rejects: Path | None) -> Listener:
    """Also say what was left out and noticed as soon as it is known: then there is time to stop."""
    from tamis.cli.reading_view import say_left_out, say_remark

    def listen(told: Progress) -> None:
        if told.tallies:
            say_left_out(told.tallies, told.notes, rejects)
        if told.remark:
            say_remark(told.remark)
        listener(told)

    return listen


def _free_folder(out_dir: Path | None, name: str | None, train_data: str, *, force: bool) -> Path:
    """Where the model goes: nothing is there that may not be replaced."""
    folder = out_dir or (default_folder(train_data) if name is None else folder_of_version(name, force=force))
    refuse_taken(folder, force=force)
    return folder


def none_labels(given: list[str] | None) -> dict[str, list[str]] | None:
    """Return the none labels by target, from `TARGET=LABEL` and `TARGET=`.

    Raises:
        InvalidSetting: one of them is not of that form.
    """
    from tamis.errors import InvalidSetting

    if not given:
        return None
    found: dict[str, list[str]] = {}
    for each in given:
        target, equals, label = each.partition("=")
        if not target or not equals:
            raise InvalidSetting(
                f"--none-label {each!r}: give TARGET=LABEL, or TARGET= for none.", setting="none_labels"
            )
        found.setdefault(target, []).extend([label] if label else [])
    return found


@contextmanager
def _kept(restart: RestartPoints) -> Iterator[None]:
    """Say that an interrupted run can be gone on with, where it can."""
    try:
        yield
    except BaseException:
        if restart.goes_on:
            err.print("Not finished: the same command goes on from here.", soft_wrap=True)
        raise


def default_folder(named_after: str) -> Path:
    """Return `./NAME-model`: NAME is a model's name, or what a file or dataset is called without its endings."""
    last = Path(named_after.rstrip("/\\")).name
    stem = re.sub(r"(\.(jsonl|ndjson|json|csv|tsv|tab|psv|txt|parquet|arrow|gz|gzip))+$", "", last, flags=re.IGNORECASE)
    return Path(f"{stem or 'tamis'}-model")


def folder_of_version(name: str, *, force: bool) -> Path:
    """Return `./NAME-model` or, where an earlier version stands there that is to stay, `./NAME-model-2`, ..."""
    from tamis.ml.artifact import MANIFEST

    first = default_folder(name)
    if force or not (first / MANIFEST).exists():
        return first
    return next(folder for number in count(2) if not (folder := Path(f"{first}-{number}")).exists())


def refuse_taken(folder: Path, *, force: bool) -> None:
    """Refuse before anything is read, in the words of the command line.

    Raises:
        OutputExists: something is at `folder`, and may not be replaced.
    """
    from tamis.errors import OutputExists
    from tamis.ml.artifact import refuse_output

    try:
        refuse_output(folder, overwrite=force)
    except OutputExists as error:
        if force:
            raise
        refuse_output(folder, overwrite=True)  # what --force would not replace either keeps its own message
        raise OutputExists(
            f"{folder} holds a model already: choose another place with --out, or replace it with --force.",
            **error.context,
        ) from None


def tell(model: Model, registered: Version | None, *, as_json: bool) -> None:
    """Print how training went, for people or as JSON."""
    from tamis.cli.train_view import say_where, show

    run = model.run
    if run is None:  # only models that were loaded have none
        return
    if as_json:
        place = {"model": str(model.folder), "name": str(registered) if registered else model.name}
        print_json(place | run.to_json())
        return
    show(model, run, out)
    say_where(model, str(registered) if registered else None, out)


def _registered(model: Model, name: str | None, settings: Settings) -> Version | None:
    from tamis.cli.given_model import opened
    from tamis.ml.registry import register

    if name is None:
        return None
    folder = Path(str(model.folder))
    if not settings.has_database:
        return register(settings.home, name, folder)
    with opened(settings) as workspace:  # jobs may have made versions of this name
        return workspace.models.register(name, folder)
