"""`tamis check`: the data gate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tamis.cli.app import app
from tamis.cli.console import AsJson, err, out, print_json
from tamis.cli.option_groups import grouped
from tamis.cli.reading import READING, MaxBadShare, Reading, RejectsFile, typed_again

if TYPE_CHECKING:
    from tamis.data.checks.report import CheckReport
    from tamis.data.checks.survey import BaseFacts
    from tamis.data.formats.options import ReadOptions
    from tamis.data.review.report import Review
    from tamis.ml.base_models import Base as Loaded

Files = Annotated[list[str], typer.Argument(metavar="FILE...", help="Training data: files, folders, or hub datasets.")]
Validation = Annotated[list[str] | None, typer.Option(metavar="FILE", help="Validation data; repeatable.")]
Test = Annotated[list[str] | None, typer.Option(metavar="FILE", help="Test data; repeatable.")]
Base = Annotated[str | None, typer.Option(metavar="NAME", help="Base model whose tokens are counted.")]
ReportFile = Annotated[Path | None, typer.Option("--report", metavar="FILE", help="Write an HTML page here.")]
Reviewed = Annotated[
    bool,
    typer.Option(
        "--review", help="Look at every row and label too: likely errors, repeats, personal data, what to change."
    ),
]
Curve = Annotated[bool, typer.Option("--learning-curve", help="With --review: would more rows help, and of which?")]


@app.command()
@grouped
def check(
    context: typer.Context,
    files: Files,
    validation: Validation = None,
    test: Test = None,
    base: Base = None,
    review: Reviewed = False,
    learning_curve: Curve = False,
    max_bad_share: MaxBadShare = 0.0,
    rejects: RejectsFile = None,
    report: ReportFile = None,
    as_json: AsJson = False,
    *,
    reading: Reading,
) -> None:
    """Look at labelled data before it is trained on: what it holds, what is wrong with it, what to do.

    Exits with 1 where something must be fixed first.
    """
    from tamis.cli.check_view import show
    from tamis.data.loading import refuse_overwriting

    read = reading.options()
    sources = {"train": files, "validation": validation or [], "test": test or []}
    refuse_overwriting((rejects, report), *sources.values())
    given = {name: named for name, named in sources.items() if named}
    found = _surveyed(given, read, max_bad_share, base, rejects)
    reviewed = _reviewed(given, read, found, base, curve=learning_curve) if review or learning_curve else None
    if report:
        from tamis.data.check_page import check_page

        check_page(found, reviewed).write(report)
    if as_json:
        print_json(found.model_dump(mode="json") | ({"review": reviewed.model_dump(mode="json")} if reviewed else {}))
    else:
        show(found, out)
        _show_review(reviewed, files, context, found)
        _say_where(rejects, report)
    if not found.ready:
        raise typer.Exit(1)


def _surveyed(
    sources: Mapping[str, list[str]], read: ReadOptions, max_bad_share: float, base: str | None, rejects: Path | None
) -> CheckReport:
    """Walk over the files once."""
    from tamis.data.checks.survey import CheckOptions, Listeners
    from tamis.data.checks.survey import check as survey
    from tamis.data.loading import RejectsFile
    from tamis.settings import load_settings

    with ExitStack() as stack:
        rejects_file = stack.enter_context(RejectsFile(rejects))
        progress = stack.enter_context(_progress())
        return survey(
            sources,
            CheckOptions(read, max_bad_share),
            base=base_facts(load_settings().resolve_base(base)),
            listeners=Listeners(rejects_file.write, progress),
        )


def _reviewed(
    sources: Mapping[str, list[str]], read: ReadOptions, found: CheckReport, base: str | None, *, curve: bool
) -> Review | None:
    """Review the readable rows; None where there is nothing that could be reviewed."""
    from tamis.cli.progress_bar import progress_bar
    from tamis.data.loading import load_splits
    from tamis.ml.review import ReviewOptions, review
    from tamis.settings import load_settings

    if any(file.error for file in found.files) or not found.rows.get("train"):
        err.print("[yellow]No review:[/] the files must be readable first.")
        return None
    loaded = load_splits(sources["train"], sources.get("validation"), sources.get("test"), read, max_bad_share=1.0)
    options = ReviewOptions(base=load_settings().resolve_base(base), learning_curve=curve)
    with progress_bar(only_live=True) as listener:
        return review(loaded, options, listener=listener)


def _show_review(reviewed: Review | None, files: list[str], context: typer.Context, found: CheckReport) -> None:
    if reviewed is not None:
        from tamis.cli.review_view import show_review, to_apply

        fixes = to_apply(reviewed)
        measured = ("validation", "test") if "leaks" in fixes else ()
        judge = ("base",) if any(fix.startswith("suspects") for fix in fixes) else ()
        again = typed_again(context, *READING, *measured, *judge)
        show_review(reviewed, files, out, [*_leaving_out(found, context.params["max_bad_share"]), *again])


def _leaving_out(found: CheckReport, allowed: float) -> list[str]:
    """The option without which a command would refuse these files for their bad rows."""
    bad, good = dict.fromkeys(found.splits, 0), dict.fromkeys(found.splits, 0)
    for file in found.files:
        bad[file.split] += file.rejected
        good[file.split] += file.rows
    share = max((bad[split] / (bad[split] + good[split]) for split in bad if bad[split]), default=0.0)
    return ["--max-bad-share", f"{max(allowed, math.ceil(share * 100) / 100):g}"] if share else []


def base_facts(name: str) -> BaseFacts:
    """Return what a data check needs to know of a base model.

    Raises:
        UnknownBaseModel: there is none of that name.
    """
    from tokenizers import Tokenizer

    from tamis.data.checks.survey import BaseFacts
    from tamis.ml.base_models import load_base

    loaded = load_base(name)
    tokenizer = Tokenizer.from_buffer(loaded.tokenizer_json)
    tokenizer.no_padding()
    tokenizer.no_truncation()

    def count_tokens(texts: list[str]) -> list[int]:
        return [len(encoding) for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    return BaseFacts(loaded.card.id, count_tokens, window=_window_of(loaded), languages=loaded.card.languages)


def _window_of(base: Loaded) -> int | None:
    """How many tokens of a text training reads, unless it is told otherwise; None: all."""
    from tamis.ml.encoder.planning import USUAL_LENGTH
    from tamis.ml.static.base_model import StaticBase

    return None if isinstance(base, StaticBase) else min(USUAL_LENGTH, base.longest)


@contextmanager
def _progress() -> Iterator[Callable[[int], None] | None]:
    """Count the rows on stderr while they are read, where a person is looking."""
    if not err.is_terminal:
        yield None
        return
    with err.status("Reading …") as status:
        yield lambda rows: status.update(f"Reading … {rows:,} rows")


def _say_where(rejects: Path | None, report: Path | None) -> None:
    for what, path in (("Rejected rows", rejects), ("Report", report)):
        if path:
            out.print(f"[dim]{what} written to[/]", end=" ")
            out.print(str(path), markup=False, soft_wrap=True)
