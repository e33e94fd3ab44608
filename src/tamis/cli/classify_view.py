"""What a model says of one input, in the terminal: labels with their scores as bars, those given marked."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tamis.cli.layout import bar, cut
from tamis.cli.rows_out import highest
from tamis.schema import Answer, Input, Prediction, Target, plain_text

BAR = 20
LABEL, TARGET = 28, 18
FAINT = 0.05  # labels below it are not shown where the model says that none of them is meant
EXCERPT = 2000  # characters of an input that are looked at for its line


def show_answers(
    given: Input, prediction: Prediction, targets: Sequence[Target], *, top: int, console: Console
) -> None:
    """Print the input on one line, and below it a few labels of each target.

    Args:
        given: the input.
        prediction: what the model says of it.
        targets: of the model.
        top: labels a target that are shown; those that the model gives are shown in any case.
        console: where to print.
    """
    console.print(Text(cut(plain_text(given)[:EXCERPT], max(20, console.width - 1)) or "(empty)", style="bold"))
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0), pad_edge=False)
    for _ in range(5):
        table.add_column(no_wrap=True, overflow="ellipsis")
    for target in targets:
        _add(table, target, prediction[target.name], top)
    console.print(table)
    console.print()


def _add(table: Table, target: Target, answer: Answer, top: int) -> None:
    name = Text("  " + cut(target.name, TARGET), style="dim")
    none = 0.0 if target.is_multi else 1 - sum(answer.scores.values())  # of a model that learnt rows out of scope
    ruled_out = answer.abstained and none > max(answer.scores.values(), default=0.0)
    if ruled_out:
        said = Text("none of these", style="yellow")
        table.add_row(name, Text("–", style="yellow"), said, f"{none:.2f}", bar(none, BAR, "yellow"))
        name = Text("")
    elif answer.abstained:
        table.add_row(name, Text("–", style="yellow"), Text("none of these: not sure enough", style="yellow"), "", "")
        name = Text("")
    elif not answer.labels:
        table.add_row(name, Text("–", style="dim"), Text("none of the labels", style="dim"), "", "")
        name = Text("")
    ranked = [pair for pair in highest(answer.scores) if not ruled_out or pair[1] >= FAINT]
    shown = [pair for at, pair in enumerate(ranked) if at < top or pair[0] in answer.labels]
    for label, score in shown:
        given = label in answer.labels
        mark = Text("✓" if given else " ", style="bold green")
        line = Text(cut(label, LABEL), style="bold" if given else "dim")
        table.add_row(name, mark, line, f"{score:.2f}", bar(score, BAR, "green" if given else "dim"))
        name = Text("")
