"""Self-contained HTML pages: reports that open from disk, in a mail, or behind a strict proxy.

A page fetches nothing: its style and scripts (those in `design`; plotly.js from the installed package, once a page, and
only where there is a chart) are inside it, and its Content-Security-Policy lets nothing else run. Every text is
escaped, in charts too, whatever a data file holds. It knows nothing of datasets, models or reports.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from importlib import resources
from math import isfinite, isnan
from numbers import Real
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, Self

from tamis.errors import InvalidSetting

Severity = Literal["error", "warning", "info", "ok"]


class Cell(NamedTuple):
    """A table cell that is shown as `text` and sorted by `key`."""

    text: str
    key: float


class Marked(NamedTuple):
    """A table cell with marked words: parts of a text with their weights, 0 for plain ones, and a line below it."""

    parts: Sequence[tuple[str, float]]
    caption: str = ""


class Narrow(NamedTuple):
    """How a figure is drawn on a narrow screen: parts of its layout, its least width in pixels, a further caption."""

    layout: Mapping[str, Any]
    min_width: int
    caption: str = ""


class PlotlyFigure(Protocol):
    """What a page needs of a `plotly.graph_objects.Figure`."""

    def to_json(self) -> str | None:
        """The figure as plotly.js reads it."""


CellValue = str | int | float | Cell | Marked | None

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_CHART_TEXT = frozenset(
    [
        "x",
        "y",
        "z",
        "text",
        "hovertext",
        "customdata",
        "label",
        "labels",
        "tickvals",
        "ticktext",
        "categoryarray",
        "name",
    ]
)
_WORDS, _PROSE = 20, 80  # characters from which a cell keeps room to be read on a narrow screen: some, and much
_LONG_TABLE = 15  # rows from which a table scrolls inside its frame


class Page:
    """One HTML page, built from top to bottom; every method that adds something returns the page."""

    def __init__(self, title: str, subtitle: str = "") -> None:
        """Start an empty page."""
        self.title = title
        self.subtitle = subtitle
        self._sections: list[tuple[str, str]] = []  # anchor, title
        self._parts: list[str] = []
        self._blocks: list[dict[str, Any]] = []
        self._has_figures = False
        self._open = False

    def section(self, title: str, intro: str = "") -> Self:
        """Start a section: what is added from here on belongs to it."""
        anchor = f"section-{len(self._sections) + 1}"
        self._sections.append((anchor, title))
        self._blocks.append({"kind": "section", "anchor": anchor, "title": title, "intro": intro})
        self._close_section()
        self._parts.append(f'<section id="{anchor}"><h2>{_text(title)}</h2>')
        if intro:
            self._parts.append(f'<p class="intro">{_text(intro)}</p>')
        self._open = True
        return self

    def facts(self, facts: Sequence[tuple[str, CellValue]]) -> Self:
        """Add a row of figures, each a label and a value."""
        self._blocks.append({"kind": "facts", "facts": [[label, _shown(value)] for label, value in facts]})
        items = "".join(f"<div><dt>{_text(label)}</dt><dd>{_text(_shown(value))}</dd></div>" for label, value in facts)
        self._parts.append(f'<dl class="facts">{items}</dl>')
        return self

    def note(self, text: str, severity: Severity = "info") -> Self:
        """Add a remark."""
        self._blocks.append({"kind": "note", "text": text, "severity": severity})
        self._parts.append(f'<p class="note {severity}" role="note"><b>{severity}</b> {_text(text)}</p>')
        return self

    def paragraph(self, text: str) -> Self:
        """Add plain text."""
        self._blocks.append({"kind": "paragraph", "text": text})
        self._parts.append(f"<p>{_text(text)}</p>")
        return self

    def table(
        self,
        headers: Sequence[str],
        rows: Sequence[Sequence[CellValue]],
        *,
        numeric: Collection[int] = (),
        sortable: bool = True,
        caption: str = "",
    ) -> Self:
        """Add a table.

        Args:
            headers: a name a column.
            rows: the cells; numbers are shown with thousands separators, floats with three digits; for anything else
                give a `Cell`. None is an empty cell.
            numeric: columns that are aligned right and sorted as numbers.
            sortable: whether a click on a header sorts.
            caption: a line above the table.
        """
        self._blocks.append(
            {
                "kind": "table",
                "headers": list(headers),
                "rows": [[_plain_cell(value) for value in row] for row in rows],
                "numeric": sorted(numeric),
                "sortable": sortable,
                "caption": caption,
            }
        )
        head = "".join(_header(name, index in numeric) for index, name in enumerate(headers))
        body = "".join(f"<tr>{''.join(_cell(v, i in numeric) for i, v in enumerate(row))}</tr>" for row in rows)
        frame = "frame long" if len(rows) > _LONG_TABLE else "frame"
        title = f"<caption>{_text(caption)}</caption>" if caption else ""
        self._parts.append(
            f'<div class="{frame}" tabindex="0"><table{" data-sorts" if sortable else ""}>{title}'
            f"<thead><tr>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table></div>"
        )
        return self

    def figure(
        self,
        figure: PlotlyFigure,
        caption: str = "",
        *,
        height: int | None = None,
        min_width: int = 0,
        narrow: Narrow | None = None,
    ) -> Self:
        """Add a plotly figure.

        Texts inside it (`x`, `y`, `text`, `customdata`, names, tick texts, titles) are shown literally: markup in them
        is not interpreted. `hovertemplate` is left alone: write it yourself and put data in through `%{…}`. The page
        colours text, grid and background by the reader's light or dark scheme, so set no template.

        Args:
            figure: a `plotly.graph_objects.Figure`.
            caption: what the reader should see in it, one sentence.
            height: pixels, in place of the figure's own.
            min_width: pixels below which the figure is not squeezed: it scrolls on a narrow screen.
            narrow: what is different on a narrow screen.
        """
        spec = figure_spec(figure, height)
        self._blocks.append({"kind": "figure", "spec": spec, "caption": caption, "min_width": int(min_width)})
        self._has_figures = True
        spec = {**spec, "min_width": int(min_width), "bar": True}
        described = f"<figcaption>{_text(caption)}</figcaption>" if caption else ""
        if narrow is not None:
            spec["narrow"] = {"layout": _literal(dict(narrow.layout)), "min_width": narrow.min_width}
            described += f'<figcaption class="narrow">{_text(narrow.caption)}</figcaption>' if narrow.caption else ""
        self._parts.append(
            f'<figure><div class="wide"><div class="plot" data-figure></div></div>{described}'
            f'<script type="application/json">{_json(spec)}</script></figure>'
        )
        return self

    @contextmanager
    def details(self, summary: str, *, opened: bool = False) -> Iterator[Self]:
        """Put what is added inside the `with` block behind a line that unfolds it."""
        outside, self._blocks = self._blocks, []
        self._parts.append(f"<details{' open' if opened else ''}><summary>{_text(summary)}</summary>")
        yield self
        self._parts.append("</details>")
        outside.append({"kind": "details", "summary": summary, "opened": opened, "blocks": self._blocks})
        self._blocks = outside

    def render(self) -> str:
        """Return the whole page as one string."""
        scripts = [(' type="module"', _design("tables.js"))]
        if self._has_figures:
            scripts += [("", _plotly_source()), (' type="module"', _design("charts.js"))]
        allowed = " ".join(_script_hash(script) for _, script in scripts)
        policy = (
            f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
            "base-uri 'none'; form-action 'none'"
        )
        links = "".join(f'<a href="#{anchor}">{_text(title)}</a>' for anchor, title in self._sections)
        navigation = f'<nav aria-label="Sections">{links}</nav>' if len(self._sections) > 1 else ""
        subtitle = f'<p class="subtitle">{_text(self.subtitle)}</p>' if self.subtitle else ""
        body = "\n".join(self._parts) + ("</section>" if self._open else "")
        tail = "\n".join(f"<script{kind}>{script}</script>" for kind, script in scripts)
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">\n'
            f"<title>{_text(self.title)}</title>\n<style>{_design('report.css')}</style></head>\n<body>\n"
            f"<header><h1>{_text(self.title)}</h1>{subtitle}{navigation}</header>\n<main>\n{body}\n</main>\n"
            f"{tail}\n</body></html>\n"
        )

    def outline(self) -> dict[str, Any]:
        """Return the same as plain JSON, for another page to show in its own way: texts are as they were given.

        `title`, `subtitle` and `blocks`; a block's `kind` says what it is: section, facts, note, paragraph, table,
        figure (its `spec` as plotly.js reads it), details (with `blocks` of its own).
        """
        return {"title": self.title, "subtitle": self.subtitle, "blocks": self._blocks}

    def write(self, path: str | Path) -> Path:
        """Write the page, with its folder where that is missing, and return its path.

        Raises:
            InvalidSetting: the place cannot be written to.
        """
        place = Path(path)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(self.render(), encoding="utf-8")
        except OSError as error:
            message = f"The page cannot be written to {place}: {error.strerror}. Name another place."
            raise InvalidSetting(message) from error
        return place

    def _close_section(self) -> None:
        if self._open:
            self._parts.append("</section>")


def figure_spec(figure: PlotlyFigure, height: int | None = None) -> dict[str, Any]:
    """Return a figure as plotly.js draws it: its texts literal, without a template, so that the page colours it."""
    spec = json.loads(figure.to_json() or "{}")
    layout = {key: value for key, value in spec.get("layout", {}).items() if key != "template"}
    layout["height"] = height or layout.get("height") or 360
    return {"data": _literal(spec.get("data", [])), "layout": _literal(layout)}


def _text(value: str) -> str:
    return escape(_UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", value))


def _shown(value: CellValue) -> str:
    if isinstance(value, Cell):
        return value.text
    if isinstance(value, Marked):
        return "".join(part for part, _ in value.parts)
    if value is None:
        return ""
    if isinstance(value, float) and isnan(value):
        return "–"
    if isinstance(value, float):
        return f"{value:,.3f}"
    return value if isinstance(value, str) else f"{value:,}"


def _plain_cell(value: CellValue) -> dict[str, Any]:
    """A cell as JSON: its text, what it is sorted by where that is a number, and the parts of a marked one."""
    key = value.key if isinstance(value, Cell) else value
    plain: dict[str, Any] = {"text": _shown(value)}
    if isinstance(key, Real) and isfinite(key):
        plain["key"] = float(key)
    if isinstance(value, Marked):
        plain |= {"parts": [[part, weight] for part, weight in value.parts], "caption": value.caption}
    return plain


def _header(name: str, numeric: bool) -> str:
    kind = ' class="number"' if numeric else ""
    return f'<th scope="col"{kind}>{_text(name)}</th>'


def _cell(value: CellValue, numeric: bool) -> str:
    key = value.key if isinstance(value, Cell) else value
    shown = _shown(value)
    long = "prose" if len(shown) > _PROSE else "words" if len(shown) > _WORDS else ""
    kind = ' class="number"' if numeric else f' class="{long}"' if long else ""
    order = f' data-key="{key}"' if isinstance(key, Real) and isfinite(key) else ""
    content = _marked(value) if isinstance(value, Marked) else _text(shown)
    return f'<td dir="auto"{kind}{order}>{content}</td>'


def _marked(value: Marked) -> str:
    most = max((abs(weight) for _, weight in value.parts), default=0.0) or 1.0
    made = "".join(_mark(part, weight, abs(weight) / most) if weight else _text(part) for part, weight in value.parts)
    return f"{made}<small>{_text(value.caption)}</small>" if value.caption else made


def _mark(part: str, weight: float, strength: float) -> str:
    """A marked word: its colour and its underline tell which way it moves, its depth how much."""
    kind = f"{'for' if weight > 0 else 'against'} s{3 if strength > 2 / 3 else 2 if strength > 1 / 3 else 1}"
    return f'<mark class="{kind}" title="{weight:+.2f}">{_text(part)}</mark>'


def _json(value: object) -> str:
    """JSON that is safe inside a script element: ASCII, and no character that HTML looks at."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _literal(value: object, *, shown: bool = False) -> object:
    """Escape the strings that plotly would read as its own small markup."""
    if isinstance(value, Mapping):
        return {key: _literal(item, shown=key in _CHART_TEXT) for key, item in value.items()}
    if isinstance(value, list):
        return [_literal(item, shown=shown) for item in value]
    if shown and isinstance(value, str):
        return escape(_UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", value), quote=False)
    return value


def _design(name: str) -> str:
    return (resources.files("tamis") / "design" / name).read_text(encoding="utf-8")


def _plotly_source() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs()).replace("\r\n", "\n").replace("\r", "\n")  # as the HTML parser does, before it hashes


def _script_hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
