"""`tamis fix`: labelled rows with what a review suggests applied, as a new file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from tamis.cli.app import app
from tamis.cli.console import AsJson, out, print_json
from tamis.cli.layout import figures_table, plain
from tamis.cli.option_groups import grouped
from tamis.cli.reading import MaxBadShare, Reading
from tamis.cli.reading_view import say_left_out

if TYPE_CHECKING:
    from tamis.data.fixing import Outcome
    from tamis.data.loading import Loaded
    from tamis.data.review.fixes import Chosen, Context

File = Annotated[str, typer.Argument(metavar="FILE", help="Labelled rows: one file. It is not changed.")]
Apply = Annotated[
    str,
    typer.Option(
        metavar="FIXES",
        help="What to apply: labels, none-labels, suspects, personal, empty, languages, conflicts, dedupe, "
        "near-duplicates, leaks, drop-rare=ROWS, cap-label=ROWS, cap-none=SHARE; with commas between. "
        "NAME:TARGET for one target.",
    ),
]
Output = Annotated[Path, typer.Option(metavar="FILE", help="The new file, in the same format.")]
Log = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Where to write what was changed (default: OUTPUT.changes.jsonl).")
]
Validation = Annotated[list[str] | None, typer.Option(metavar="FILE", help="Validation data, for leaks; repeatable.")]
Test = Annotated[list[str] | None, typer.Option(metavar="FILE", help="Test data, for leaks; repeatable.")]
Base = Annotated[str | None, typer.Option(metavar="NAME", help="Base model that judges labels, for suspects.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would change and write nothing.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the output of an earlier run.")]


@app.command()
@grouped
def fix(
    file: File,
    apply: Apply,
    output: Output,
    log: Log = None,
    validation: Validation = None,
    test: Test = None,
    base: Base = None,
    dry_run: DryRun = False,
    force: Force = False,
    max_bad_share: MaxBadShare = 0.0,
    as_json: AsJson = False,
    *,
    reading: Reading,
) -> None:
    """Apply suggested changes to labelled rows: a new file, and a log with a line for every row that changed.

    The fixes are applied in the order in which they are listed at --apply. `tamis check --review` suggests some.
    """
    from tamis.data.fixing import Places, apply_fixes, refuse_places
    from tamis.data.loading import load_splits
    from tamis.data.review.fixes import fixed, parse

    read = reading.options()
    chosen = parse(apply)
    places = Places(Path(file), output, log, overwrite=force)
    refuse_places(places, *(validation or []), *(test or []))
    loaded = load_splits(file, validation or None, test or None, read, max_bad_share=max_bad_share)
    result = fixed(loaded.train, chosen, _context(loaded, chosen, base))
    outcome = apply_fixes(result, chosen, places, read, loaded.tallies, write=not dry_run)
    if as_json:
        print_json(outcome.to_json())
        return
    say_left_out(loaded.tallies, {"train": loaded.notes["train"]})
    _show(outcome, chosen, places)


def _context(loaded: Loaded, chosen: Sequence[Chosen], base: str | None) -> Context:
    """What the fixes look at: other splits, and how doubtful labels are, if that is asked for."""
    from tamis.data.review.fixes import Context

    measured = {"validation": loaded.validation, "test": loaded.test}
    proposals = {}
    if any(each.name == "suspects" for each in chosen):
        from tamis.cli.progress_bar import progress_bar
        from tamis.ml.review import doubtful_labels
        from tamis.settings import load_settings

        with progress_bar(only_live=True) as listener:
            proposals = doubtful_labels(loaded.train, load_settings().resolve_base(base), listener=listener)
    return Context({name: data for name, data in measured.items() if data is not None}, proposals)


def _show(outcome: Outcome, chosen: Sequence[Chosen], places: object) -> None:
    counts = Counter(change.fix for change in outcome.changes)
    table = figures_table("fix", "changes")
    for each in chosen:
        count = counts[str(each)]
        table.add_row(Text(plain(str(each))), Text(f"{count:,}", "" if count else "dim"))
    out.print(table)
    out.print()
    kept = f"{outcome.rows_after:,} of {outcome.rows_before:,} rows"
    if outcome.output is None:
        out.print(f"[bold yellow]Nothing was written[/] (--dry-run): {kept} would be left.")
        return
    out.print(f"[bold green]{kept}[/] written to", end=" ")
    out.print(str(outcome.output), markup=False, soft_wrap=True)
    out.print("[dim]What was changed, row by row:[/]", end=" ")
    out.print(str(outcome.log), markup=False, soft_wrap=True)
