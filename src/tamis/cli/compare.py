"""`tamis compare`: models, baselines and LLMs on the same rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tamis.cli import llm_options as llm
from tamis.cli.app import app
from tamis.cli.console import AsJson, err, out, print_json
from tamis.cli.given_model import load_model
from tamis.cli.option_groups import grouped
from tamis.cli.reading import MaxBadShare, Reading, RejectsFile

if TYPE_CHECKING:
    from tamis.evaluation.comparison import Comparison
    from tamis.labelers.budget import Price
    from tamis.labelers.entering import Llms
    from tamis.ml.model import Model

_LLM = "How the LLM is asked, and what it costs"  # the panel of `llm_options`

Contenders = Annotated[
    list[str],
    typer.Argument(
        metavar="CONTENDER...",
        help="Two or more: MODEL (folder, name, alias, OWNER/NAME), baseline:majority, baseline:random, "
        "baseline:tfidf, llm:MODEL@URL.",
    ),
]
DataFile = Annotated[
    list[str], typer.Option("--data", metavar="FILE", help="Labelled rows that all are asked about; repeatable.")
]
Train = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Rows that baselines learn from, and that examples for LLMs come from."),
]
Validation = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Rows to choose thresholds on; without them baselines hold some of --train out."),
]
Limit = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Ask about so many rows only: a simple random sample.")
]
Against = Annotated[
    str | None,
    typer.Option(metavar="CONTENDER", help="Show the others against this one (default: the best of each target)."),
]
Seed = Annotated[int, typer.Option(min=0, metavar="N", help="Of the sample, the bootstrap and random baselines.")]
Resamples = Annotated[
    int, typer.Option(min=100, max=100_000, metavar="N", help="Of the bootstrap, for intervals and p-values.")
]
HourPrice = Annotated[
    float | None,
    typer.Option(min=0.0, metavar="X", help="Price of an hour of this machine, for the costs of what runs on it."),
]
ReportFile = Annotated[Path | None, typer.Option("--report", metavar="FILE", help="Write an HTML page here.")]
OosLabel = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="What rows carry that are out of scope: neither right nor wrong (default: that of the models).",
    ),
]

Prices = Annotated[
    list[str] | None,
    typer.Option(
        "--price", metavar="MODEL=IN,OUT", help="The same of one LLM among several; repeatable.", rich_help_panel=_LLM
    ),
]
BudgetOption = Annotated[
    float | None,
    typer.Option(
        "--budget",
        min=0.0,
        metavar="X",
        help="What all LLMs together may cost: nothing is asked that could exceed it.",
        rich_help_panel=_LLM,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How the LLMs are asked, as it was typed."""

    shots: llm.ShotsOption = 0
    nearest: llm.Nearest = False
    samples: llm.Samples = 1
    descriptions: llm.Descriptions = None
    context: llm.Context = ""
    price_in: llm.PriceIn = None
    price_out: llm.PriceOut = None
    price: Prices = None
    budget: BudgetOption = None
    concurrency: llm.Concurrency = 8
    timeout: llm.Timeout = 60.0
    cache: llm.CacheOption = None
    no_cache: llm.NoCache = False

    def asked(self) -> llm.Asked:
        """Return the same as for one LLM; prices of single ones are left out."""
        return llm.Asked(**{each.name: getattr(self, each.name) for each in fields(self) if each.name != "price"})


@app.command()
@grouped
def compare(
    contenders: Contenders,
    data: DataFile,
    train: Train = None,
    validation: Validation = None,
    limit: Limit = None,
    against: Against = None,
    oos_label: OosLabel = None,
    seed: Seed = 0,
    resamples: Resamples = 2000,
    hour_price: HourPrice = None,
    report: ReportFile = None,
    *,
    wanted: Wanted,
    max_bad_share: MaxBadShare = 0.0,
    rejects: RejectsFile = None,
    as_json: AsJson = False,
    reading: Reading,
) -> None:
    """Compare classifiers on the same rows: which is better, is the difference real, what does each cost.

    Any mix of models, baselines that learn from --train, and LLMs behind OpenAI-compatible endpoints. Answers that are
    refused, invalid or never come count as wrong.
    """
    from tamis.cli.comparison_progress import comparison_progress
    from tamis.data.loading import refuse_overwriting
    from tamis.labelers.comparing import compare as run_comparison
    from tamis.labelers.entering import names_of

    options = reading.options()
    refuse_overwriting((report,), data, train, validation)
    named = names_of(contenders)
    entered = {name: _opened(str(given)) for name, given in named.items()}
    with comparison_progress(shown=not as_json) as told, _kept(entered.values(), no_cache=wanted.no_cache):
        comparison = run_comparison(
            entered,
            data[0] if len(data) == 1 else data,
            train=train,
            validation=validation,
            limit=limit,
            against=_named(against, named),
            llms=_llms(wanted.asked(), _prices(wanted.price)),
            hour_price=hour_price,
            resamples=resamples,
            seed=seed,
            options=options,
            max_bad_share=max_bad_share,
            rejects=rejects,
            oos_label=oos_label,
            told=told,
        )
    _tell(comparison, report, as_json=as_json)


@contextmanager
def _kept(contenders: Collection[object], *, no_cache: bool) -> Iterator[None]:
    """Say that a comparison that ends early can be gone on with, where answers were paid for."""
    from tamis.errors import UpstreamFailed
    from tamis.labelers.endpoint import is_llm

    try:
        yield
    except (UpstreamFailed, KeyboardInterrupt):
        if not no_cache and any(isinstance(given, str) and is_llm(given) for given in contenders):
            err.print(llm.NOT_FINISHED, soft_wrap=True)
        raise


def _tell(comparison: Comparison, report: Path | None, *, as_json: bool) -> None:
    from tamis.cli.compare_view import show

    if report is not None:
        from tamis.evaluation.comparison_page import write_page

        write_page(comparison, report)
    if as_json:
        print_json(comparison.model_dump(mode="json"))
        return
    show(comparison, out)
    if report is not None:
        out.print("[dim]Report written to[/]", end=" ")
        out.print(str(report), markup=False, soft_wrap=True)


def _opened(given: str) -> str | Model:
    """A model where the reference names one: only the command line knows the home's names."""
    from tamis.labelers.endpoint import is_llm
    from tamis.labelers.entering import is_baseline

    return given if is_llm(given) or is_baseline(given) else load_model(given)


def _named(against: str | None, named: dict[str, object]) -> str | None:
    """The contender that --against means: by its name in the comparison, or as it was typed."""
    return next((name for name, given in named.items() if against in (name, given)), against)


def _llms(asked: llm.Asked, prices: Mapping[str, Price]) -> Llms:
    """How LLMs are asked, as it was typed; the key and where answers are kept are settings."""
    from tamis.labelers.asking import Asking
    from tamis.labelers.descriptions import read_descriptions
    from tamis.labelers.entering import Llms
    from tamis.settings import load_settings

    if asked.nearest and not asked.shots:
        raise typer.BadParameter("Say with --shots how many examples to show.")
    settings = load_settings()
    return Llms(
        asking=Asking(
            descriptions=read_descriptions(asked.descriptions) if asked.descriptions else {},
            context=asked.context,
            samples=asked.samples,
            concurrency=asked.concurrency,
            timeout_s=asked.timeout,
        ),
        shots=asked.shots,
        nearest=asked.nearest,
        prices=prices,
        price=_price(asked.price_in, asked.price_out),
        most_cost=asked.budget,
        cache=None if asked.no_cache else asked.cache or settings.home / llm.CACHE_FOLDER,
        key=settings.llm_api_key.get_secret_value(),
        default_url=settings.llm_base_url,
    )


def _price(price_in: float | None, price_out: float | None) -> Price | None:
    from tamis.labelers.budget import Price

    return None if price_in is None and price_out is None else Price(price_in or 0.0, price_out or 0.0)


def _prices(given: list[str] | None) -> dict[str, Price]:
    """The prices by LLM, from `MODEL=IN,OUT`.

    Raises:
        InvalidSetting: one of them is not of that form.
    """
    from tamis.errors import InvalidSetting
    from tamis.labelers.budget import Price

    found: dict[str, Price] = {}
    for each in given or ():
        model, _, numbers = each.rpartition("=")
        try:
            of_prompt, of_answer = map(float, numbers.split(","))
        except ValueError:
            of_prompt = of_answer = -1.0
        if not model or of_prompt < 0:
            raise InvalidSetting(
                f"--price {each!r}: give MODEL=IN,OUT, the prices of a million prompt tokens and answer tokens.",
                setting="price",
            )
        found[model] = Price(of_prompt, of_answer)
    return found
