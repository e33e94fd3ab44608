"""The options by which an LLM is asked to label, shared by the commands that do, and what they come to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tamis.cli.console import err
from tamis.cli.given_model import load_model
from tamis.errors import InvalidSetting, OutputExists, UpstreamFailed

if TYPE_CHECKING:
    from tamis.data.dataset import Dataset
    from tamis.data.formats.options import ReadOptions
    from tamis.labelers.budget import Budget, Price
    from tamis.labelers.cache import Cache
    from tamis.labelers.labeler import Labeler
    from tamis.labelers.shots import Shots
    from tamis.labelers.tasks import Task

_WHAT = "What to label (one of --labels, --targets, --like)"
_HOW = "How the LLM is asked, and what it costs"
CACHE_FOLDER = "llm-answers"
NOT_FINISHED = "Not finished: answers so far are kept, and the same command goes on from there."

Llm = Annotated[
    str,
    typer.Option(
        "--llm", metavar="MODEL@URL", help="The LLM; without @URL at TAMIS_LLM_BASE_URL. Key: TAMIS_LLM_API_KEY."
    ),
]
Labels = Annotated[
    str | None, typer.Option(metavar="A,B,C", help="Labels of which one is given.", rich_help_panel=_WHAT)
]
TargetName = Annotated[
    str, typer.Option("--target", metavar="NAME", help="What --labels are labels of.", rich_help_panel=_WHAT)
]
Several = Annotated[bool, typer.Option("--several", help="Any number of --labels may be given.", rich_help_panel=_WHAT)]
Targets = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Targets with labels, and what they mean, as JSON or TOML.", rich_help_panel=_WHAT
    ),
]
Like = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|MODEL", help="Targets and labels of labelled rows, or of a model.", rich_help_panel=_WHAT
    ),
]
Descriptions = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="What labels mean, as JSON: {target: {label: text}}.", rich_help_panel=_HOW),
]
Context = Annotated[
    str, typer.Option(metavar="TEXT", help="What the texts are, like “messages to a bank”.", rich_help_panel=_HOW)
]
Examples = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", help="Labelled rows to show examples of (default: those of --like).", rich_help_panel=_HOW
    ),
]
ShotsOption = Annotated[
    int,
    typer.Option(
        "--shots", min=0, metavar="K", help="Show K examples a label; with --nearest K in all.", rich_help_panel=_HOW
    ),
]
Nearest = Annotated[
    bool, typer.Option("--nearest", help="Show the examples nearest to each text.", rich_help_panel=_HOW)
]
Samples = Annotated[
    int,
    typer.Option(
        min=1, max=100, metavar="N", help="Ask N times about each text and let them vote.", rich_help_panel=_HOW
    ),
]
Temperature = Annotated[
    float | None,
    typer.Option(min=0, max=2, metavar="X", help="Default: 0, with several samples 0.7.", rich_help_panel=_HOW),
]
AnswerTokens = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", help="The longest answer (default: as long as it has to be).", rich_help_panel=_HOW
    ),
]
PriceIn = Annotated[
    float | None, typer.Option(min=0, metavar="X", help="Price of a million prompt tokens.", rich_help_panel=_HOW)
]
PriceOut = Annotated[
    float | None, typer.Option(min=0, metavar="X", help="Price of a million answer tokens.", rich_help_panel=_HOW)
]
BudgetOption = Annotated[
    float | None,
    typer.Option(
        "--budget",
        min=0,
        metavar="X",
        help="What this run may cost: stops before it is exceeded.",
        rich_help_panel=_HOW,
    ),
]
MostTokens = Annotated[int | None, typer.Option(min=1, metavar="N", help="The same in tokens.", rich_help_panel=_HOW)]
Concurrency = Annotated[
    int, typer.Option(min=1, max=256, metavar="N", help="Requests at a time, at most.", rich_help_panel=_HOW)
]
Timeout = Annotated[
    float, typer.Option(min=0.1, max=86_400, metavar="S", help="Longest wait for one answer.", rich_help_panel=_HOW)
]
Patience = Annotated[
    float,
    typer.Option(
        min=0, max=86_400, metavar="S", help="How long to wait for the endpoint's limits.", rich_help_panel=_HOW
    ),
]
CacheOption = Annotated[
    Path | None,
    typer.Option("--cache", metavar="DIR", help="Where answers are kept (default: in the home).", rich_help_panel=_HOW),
]
NoCache = Annotated[
    bool, typer.Option("--no-cache", help="Keep no answers: a stopped run begins anew.", rich_help_panel=_HOW)
]
Seed = Annotated[int, typer.Option(min=0, metavar="N", help="Draws other examples, trains another model.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be labelled, as it was typed."""

    labels: Labels = None
    target: TargetName = "label"
    several: Several = False
    targets: Targets = None
    like: Like = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How the LLM is asked, as it was typed."""

    descriptions: Descriptions = None
    context: Context = ""
    examples: Examples = None
    shots: ShotsOption = 0
    nearest: Nearest = False
    samples: Samples = 1
    temperature: Temperature = None
    answer_tokens: AnswerTokens = None
    price_in: PriceIn = None
    price_out: PriceOut = None
    budget: BudgetOption = None
    most_tokens: MostTokens = None
    concurrency: Concurrency = 8
    timeout: Timeout = 60.0
    patience: Patience = 300.0
    cache: CacheOption = None
    no_cache: NoCache = False
    seed: Seed = 0


@dataclass(frozen=True, slots=True)
class Ready:
    """An LLM that is ready to label."""

    labeler: Labeler
    price: Price | None
    budget: Budget
    cache: Cache | None


@contextmanager
def ready(
    llm: str, wanted: Wanted, asked: Asked, options: ReadOptions, kept_apart: str | None = None
) -> Iterator[Ready]:
    """Yield the labeler that the options describe; say how to go on where a run is ended before its end.

    No row of `kept_apart`, a file, is shown as an example.

    Raises:
        InvalidSetting: an option is missing, or outside what is allowed.
        DataError: a file cannot be read.
    """
    from tamis.labelers.asking import Asking
    from tamis.labelers.budget import Budget, Price
    from tamis.labelers.cache import Cache
    from tamis.labelers.descriptions import read_descriptions
    from tamis.labelers.endpoint import parse_llm
    from tamis.labelers.labeler import Labeler
    from tamis.settings import load_settings

    settings = load_settings()
    endpoint = parse_llm(llm, key=settings.llm_api_key.get_secret_value(), default_url=settings.llm_base_url)
    task = _task(wanted, options)
    priced = asked.price_in is not None or asked.price_out is not None
    price = Price(asked.price_in or 0.0, asked.price_out or 0.0) if priced else None
    budget = Budget(price, asked.budget, asked.most_tokens)
    asking = Asking(
        descriptions={**task.descriptions, **(read_descriptions(asked.descriptions) if asked.descriptions else {})},
        context=asked.context,
        shots=_shots(wanted, asked, task, options, kept_apart),
        samples=asked.samples,
        temperature=asked.temperature,
        answer_tokens=asked.answer_tokens,
        concurrency=asked.concurrency,
        timeout_s=asked.timeout,
        patience_s=asked.patience,
    )
    cache = None if asked.no_cache else Cache.of(asked.cache or settings.home / CACHE_FOLDER, endpoint)
    try:
        labeler = Labeler(endpoint, task.targets, asking=asking, cache=cache, budget=budget)
        yield Ready(labeler, price, budget, cache)
    except (UpstreamFailed, KeyboardInterrupt):
        if cache is not None and len(cache):
            err.print(NOT_FINISHED, soft_wrap=True)
        raise
    finally:
        if cache is not None:
            cache.close()


def files(wanted: Wanted, asked: Asked) -> tuple[str | Path | None, ...]:
    """Return the files that are read beside what is labelled."""
    return asked.examples, wanted.like, wanted.targets, asked.descriptions


def refuse_taken(place: Path, *, force: bool) -> None:
    """Refuse to write over a file.

    Raises:
        OutputExists: it is there, and may not be replaced.
    """
    if place.is_file() and not force:
        raise OutputExists(
            f"{place} is already there: choose another --output, or replace it with --force.", path=str(place)
        )


def _task(wanted: Wanted, options: ReadOptions) -> Task:
    from tamis.labelers.tasks import Task, read_task, task_of_names

    given = [name for name in ("labels", "targets", "like") if getattr(wanted, name) is not None]
    if len(given) != 1:
        raise typer.BadParameter("Say what to label by one of --labels, --targets and --like.")
    if wanted.labels is not None:
        return task_of_names(wanted.labels.split(","), wanted.target, several=wanted.several)
    if wanted.targets is not None:
        return read_task(wanted.targets)
    like = str(wanted.like)
    if _is_data(like):
        return Task(_rows(like, options).targets)
    return Task(load_model(like).targets)


def _is_data(like: str) -> bool:
    """Whether --like names labelled rows: a file, or a folder that holds no model."""
    from tamis.ml.registry import folder_at

    return Path(like).exists() and folder_at(like) is None


def _rows(given: str, options: ReadOptions) -> Dataset:
    from tamis.data.loading import load_splits

    return load_splits(given, options=options, max_bad_share=1.0).train


def _same(one: str, other: str) -> bool:
    try:
        return Path(one).samefile(other)
    except OSError:
        return one == other


def _shots(wanted: Wanted, asked: Asked, task: Task, options: ReadOptions, kept_apart: str | None) -> Shots | None:
    from tamis.data.loading import load
    from tamis.labelers.shots import DrawnShots, NearestShots

    if not asked.shots:
        if asked.nearest or asked.examples:
            raise typer.BadParameter("Say with --shots how many examples to show.")
        return None
    given = asked.examples or (wanted.like if wanted.like and _is_data(wanted.like) else None)
    if given is None:
        raise InvalidSetting("--shots shows labelled rows: name a file that has some with --examples.", setting="shots")
    if kept_apart is not None and _same(given, kept_apart):
        raise InvalidSetting(
            f"{given} is what the LLM is measured on: no row of it may be shown. Name other rows with --examples.",
            setting="examples",
        )
    rows = load(given, task.targets, options, max_bad_share=1.0).data
    if not asked.nearest:
        return DrawnShots(rows, asked.shots, asked.seed)
    from tamis.ml.cards import CARDS
    from tamis.ml.static.base_model import load_packaged

    return NearestShots(rows, asked.shots, load_packaged(CARDS["static-en"]))
