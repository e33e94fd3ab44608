"""What an LLM labelled, in the terminal: outcomes, labels, what it took."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.text import Text

from tamis.cli.labelled_out import is_table
from tamis.cli.layout import commands, cut, figures_table, marked, title
from tamis.cli.rows_out import STDOUT
from tamis.labelers.labeler import Outcome
from tamis.labelers.labelled_rows import CURES

if TYPE_CHECKING:
    from tamis.cli.llm_options import Ready
    from tamis.labelers.labelled_rows import LabelledRows

SHOWN = 12
NAME = 40
_WORDS = {
    Outcome.ANSWERED: "labelled",
    Outcome.REFUSED: "refused by the LLM",
    Outcome.INVALID: "answered with what is no label",
    Outcome.FAILED: "not answered",
    Outcome.OVER_BUDGET: "not asked: the budget would have been exceeded",
}


def summary(found: LabelledRows, ready: Ready) -> dict[str, object]:
    """Return what there is to know as plain types."""
    prompt, answers = found.tokens()
    budget = ready.budget
    return {
        "llm": ready.labeler.endpoint.name,
        "rows": len(found),
        "outcomes": found.outcomes(),
        "without_labels": found.without_labels,
        "cached": found.cached,
        "labels": found.counts(),
        "tokens": {"prompt": prompt, "completion": answers},
        "cost": found.cost(ready.price),
        "this_run": {
            "tokens": {"prompt": budget.prompt_tokens, "completion": budget.completion_tokens},
            "cost": budget.cost,
            "perhaps_lost": budget.lost_cost,
        },
    }


def show(found: LabelledRows, ready: Ready, place: Path, console: Console) -> None:
    """Print it."""
    console.print(title("Labels", ready.labeler.endpoint.name), *outcome_lines(found), sep="\n")
    console.print(_table(found), *cost_lines(found, ready), sep="\n")
    if place != STDOUT:
        console.print(title("Rows"))
        console.print(Text(f"  {place}", style="bold"), soft_wrap=True)
        console.print(title("Next"), commands(_next(found, place)), sep="\n", soft_wrap=True)


def outcome_lines(found: LabelledRows) -> Iterator[RenderableType]:
    """How many rows came to what, and what to do about those without labels."""
    counts = found.outcomes()
    for outcome in Outcome:
        count = counts[outcome]
        if outcome is Outcome.ANSWERED:
            yield marked("ok", f"{count:,} of {len(found):,} rows {_WORDS[outcome]}.")
        elif count:
            first = next(each.why for each in found.labelled if each.outcome is outcome)
            told = cut(first, 160).rstrip(".")
            yield marked("warning", f"{count:,} {_WORDS[outcome]} (the first: “{told}”). {_cure(outcome, count)}")


def _cure(outcome: Outcome, count: int) -> str:
    return CURES[outcome] if count == 1 else CURES[outcome].replace("Label it", "Label them")


def cost_lines(found: LabelledRows, ready: Ready) -> Iterator[RenderableType]:
    """What it took: tokens, money where a price is known, what was known before."""
    prompt, answers = found.tokens()
    budget = ready.budget
    price = "" if ready.price is None else f", which cost {found.cost(ready.price) or 0.0:,.4f}"
    yield marked("info", f"{prompt:,} tokens of questions and {answers:,} of answers{price}.")
    if found.cached:
        paid = "" if budget.cost is None else f" This run cost {budget.cost:,.4f}."
        were = "1 row was" if found.cached == 1 else f"{found.cached:,} rows were"
        yield marked("info", f"{were} not asked about: known from earlier runs, or there twice.{paid}")
    if budget.lost_prompt_tokens:
        lost = f"{budget.lost_prompt_tokens + budget.lost_completion_tokens:,} tokens"
        money = "" if budget.lost_cost is None else f" ({budget.lost_cost:,.4f})"
        yield marked("warning", f"Requests without an answer may have cost up to {lost}{money} more.")


def _table(found: LabelledRows) -> RenderableType:
    table = figures_table("target", "label", "rows", "share", text=2)
    for target, counts in found.counts().items():
        shown = list(counts.items())[:SHOWN]
        for at, (label, count) in enumerate(shown):
            name = Text(cut(target, NAME)) if at == 0 else ""
            table.add_row(name, Text(cut(label, NAME)), f"{count:,}", f"{count / max(len(found), 1):.1%}")
        if len(counts) > SHOWN:
            table.add_row("", Text(f"and {len(counts) - SHOWN:,} more", style="dim"), "", "")
    return table


def _next(found: LabelledRows, place: Path) -> dict[str, str]:
    how = ""
    if is_table(place):
        how = " --text-column text" + "".join(f" --label-column {shlex.quote(each.name)}" for each in found.targets)
    file = shlex.quote(str(place))
    return {
        f"tamis check {file} --review{how}": "look at labels that are likely to be wrong",
        f"tamis train {file}{how}": "train a classifier of your own on them",
    }
