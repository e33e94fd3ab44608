"""The words that moved a score, in the terminal: marked in the text, and as signed bars below it.

Nothing is told by colour alone: words that speak for a label have a + and a full bar, those against it a − and a
broken one; where output is no terminal, bars and numbers are all there is.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tamis.cli.layout import cut, plain
from tamis.evaluation.highlights import Highlight, marked_parts, plain_offset
from tamis.ml.explaining import Explanation, LabelExplanation, Piece
from tamis.schema import Input, plain_text

WORDS = 5
ROOM = 600  # characters of a text that are shown whole
BAR, WORD = 12, 32
FOR, AGAINST = "bold green underline", "red italic underline"


def show_explanation(given: Input, explanation: Explanation, console: Console) -> None:
    """Print, for each label that is explained, which words moved its score."""
    for found in explanation.labels:
        strongest = [piece for piece in found.pieces[:WORDS] if piece.weight]
        head = f"  why {plain(found.target)}: {plain(found.label)}"
        console.print(Text.assemble((head, "bold"), (f"  {_scores(found)}", "dim")), soft_wrap=True)
        if not strongest:
            console.print(Text("    no word moves it", style="dim"))
            continue
        if console.is_terminal:
            console.print(Padding(_text(given, strongest), (0, 0, 0, 4)))
        console.print(_bars(given, strongest, found.score))
    for note in explanation.notes:
        console.print(Padding(Text(note, style="dim"), (0, 0, 0, 2)))
    console.print()


def _scores(found: LabelExplanation) -> str:
    given = "" if found.given else ", not given"
    return f"{found.score:.2f}{given}; without any word {found.score_of_nothing:.2f}"


def _text(given: Input, pieces: Sequence[Piece]) -> Text:
    marks = []
    for piece in pieces:
        offset = plain_offset(given, piece.message)
        marks.append(Highlight(offset + piece.start, offset + piece.end, piece.weight))
    made = Text()
    for part, weight in marked_parts(plain_text(given), marks, ROOM):
        edges = " " if part[:1].isspace() else "", " " if len(part) > 1 and part[-1:].isspace() else ""
        made.append(f"{edges[0]}{plain(part)}{edges[1]}", style=FOR if weight > 0 else AGAINST if weight else None)
    return made


def _bars(given: Input, pieces: Sequence[Piece], score: float) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0), pad_edge=False)
    for _ in range(4):
        table.add_column(no_wrap=True, overflow="ellipsis")
    most = max(abs(piece.weight) for piece in pieces)
    for piece in pieces:
        speaks_for = piece.weight > 0
        style = "green" if speaks_for else "red"
        length = max(1, round(BAR * abs(piece.weight) / most))
        number = f"    {'+' if speaks_for else '−'}{abs(piece.weight):.2f}"
        where = "" if piece.message is None else f" (message {piece.message + 1}, {plain(_role(given, piece))})"
        word = Text.assemble((cut(piece.text, WORD), "bold"), (where, "dim"))
        bar = Text(("━" if speaks_for else "╌") * length, style=style)
        table.add_row(Text(number, style=style), bar, word, Text(f"{_change(score, piece.score)} without", style="dim"))
    return table


def _change(before: float, after: float) -> str:
    """Two scores with as many digits as tell them apart, four at most."""
    digits = next((digits for digits in (2, 3) if round(before, digits) != round(after, digits)), 4)
    return f"{before:.{digits}f} → {after:.{digits}f}"


def _role(given: Input, piece: Piece) -> str:
    return "" if isinstance(given, str) or piece.message is None else given[piece.message].role
