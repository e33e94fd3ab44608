"""A distilled model in the terminal: what was learnt from, teacher and student side by side, what each costs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.text import Text

from tamis.cli.compare_view import show as show_comparison
from tamis.cli.label_view import cost_lines, outcome_lines
from tamis.cli.layout import cut, figures_table, marked, title
from tamis.cli.train_view import say_where
from tamis.evaluation.verdict import percent

if TYPE_CHECKING:
    from tamis.cli.llm_options import Ready
    from tamis.labelers.distilling import Distilled

NAME = 24


def show(found: Distilled, ready: Ready, console: Console) -> None:
    """Print it."""
    console.print(title("Labels", ready.labeler.endpoint.name), *outcome_lines(found.labelled), sep="\n")
    console.print(*cost_lines(found.labelled, ready), *_training(found), sep="\n")
    console.print(title("On the rows that people labelled"))
    show_comparison(found.comparison, console)
    console.print(
        title("Agreement", "rows on which the student says what the teacher says"), _agreement(found), sep="\n"
    )
    console.print(title("A million such texts"), *_costs(found), sep="\n")
    say_where(found.model, None, console)


def _training(found: Distilled) -> Iterator[RenderableType]:
    data = found.model.manifest.data
    yield marked("ok", f"{found.model.manifest.base_model.id} learnt from {data.train_rows:,} of these rows.")
    if found.leaks:
        stand = "1 row stands" if found.leaks == 1 else f"{found.leaks:,} rows stand"
        yield marked("info", f"{stand} in the test data too: not labelled, and not learnt from.")


def _agreement(found: Distilled) -> RenderableType:
    table = figures_table("target", "rows", "the same", "95% interval", "kappa", text=1)
    for name, each in found.agreement.items():
        span = "" if each.low is None else f"{percent(each.low)[:-1]} to {percent(each.high)}"
        kappa = "" if each.kappa is None else f"{each.kappa:.2f}"
        table.add_row(Text(cut(name, NAME)), f"{each.n:,}", percent(each.share), span, kappa)
    return table


def _costs(found: Distilled) -> Iterator[RenderableType]:
    if found.teacher_tokens:
        prompt, answers = found.teacher_tokens
        money = "" if found.teacher_cost is None else f", which cost {found.teacher_cost:,.2f}"
        yield marked("info", f"teacher: {prompt:,.0f} tokens of questions, {answers:,.0f} of answers{money}.")
    yield marked("info", f"student: {found.student_seconds:,.0f} s of this machine, and no tokens.")
