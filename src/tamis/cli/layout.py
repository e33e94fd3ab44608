"""What terminal views are made of: titles, tables without lines, marks, bars, text that cannot steer the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tamis.data.rows import printable
from tamis.pages import Severity

MARKS: dict[Severity, tuple[str, str]] = {
    "ok": ("✓", "bold green"),
    "info": ("·", "bold blue"),
    "warning": ("!", "bold yellow"),
    "error": ("✗", "bold red"),
}
_SPARKS = "▁▂▃▄▅▆▇█"


def plain(text: str) -> str:
    """Return the text as one line that cannot steer the terminal."""
    return " ".join(printable(text).split())


def cut(text: str, width: int) -> str:
    """Return the plain text, with an ellipsis where it is longer than `width` characters."""
    flat = plain(text)
    return flat if len(flat) <= width else flat[: width - 1] + "…"


def title(name: str, remark: str = "") -> RenderableType:
    """A heading after an empty line, with a remark beside it."""
    told = ("  " + plain(remark) if remark else "", "dim")
    return Padding(Text.assemble((plain(name), "bold"), told), (1, 0, 0, 0))


def marked(severity: Severity, text: str | Text) -> RenderableType:
    """A remark behind the mark of its gravity."""
    mark, style = MARKS[severity]
    line = Table.grid(padding=(0, 1, 0, 0))
    line.add_row(Text(mark, style=style), Text(plain(text)) if isinstance(text, str) else text)
    return line


def figures_table(*columns: str, text: int = 1) -> Table:
    """A table without lines; the first `text` columns are words, the others figures."""
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    for at, name in enumerate(columns):
        table.add_column(name, justify="left" if at < text else "right", no_wrap=True, overflow="ellipsis")
    return table


def bar(share: float, width: int, style: str) -> Text:
    """A bar of at most `width` characters; something is seen of whatever is not next to nothing."""
    return Text("━" * max(round(width * share), 1 if share >= 0.005 else 0), style=style)


def commands(typed: Mapping[str, str]) -> Text:
    """Commands to type, a line each, and what each is for; print them with `soft_wrap`, so that they can be copied."""
    width = max(map(len, typed), default=0)
    lines = [Text.assemble("  ", (each.ljust(width), "cyan"), (f"  {why}", "dim")) for each, why in typed.items()]
    return Text("\n").join(lines)


def sparkline(values: Sequence[float], width: int) -> str:
    """The course of some numbers in at most `width` characters, the lowest as ▁ and the highest as █."""
    count = min(width, len(values))
    taken = [values[round(at * (len(values) - 1) / max(count - 1, 1))] for at in range(count)]
    low, high = min(taken, default=0.0), max(taken, default=0.0)
    span = (high - low) or 1.0
    return "".join(_SPARKS[round((value - low) / span * (len(_SPARKS) - 1))] for value in taken)
