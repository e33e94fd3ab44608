"""Verdicts and facts as HTML. Every text is escaped, whatever a model's labels or a file hold.

It does not know Gradio; what it writes needs the style in `style.css`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from math import ceil, floor

from pydantic import JsonValue

from tamis.data.rows import printable
from tamis.demo.panels import Bar, Panel, Verdict
from tamis.ml.manifest import Manifest

SHOWN = 8
"""Bars of a target that are seen at once; the others unfold."""

MOST_BARS = 500
_WORD_ENDS = re.compile(r"(?<=[_/])(?=\w)|(?<=[a-z])(?=[A-Z])")
FIGURES = {"accuracy": "accuracy", "micro_f1": "micro-F1"}
"""What a target is judged by: single-label, multi-label."""

SOURCES = {"test": "test data", "held_out": "held-out data"}


def heading(manifest: Manifest, what: str = "text") -> str:
    """Return the top of the page: the model's name, and what it answers of each `what`."""
    asked = ", ".join(f"<b>{_text(entry.name)}</b>" for entry in manifest.targets[:6])
    more = f" and {len(manifest.targets) - 6:,} more" if len(manifest.targets) > 6 else ""
    return (
        f'<header class="tm-head"><h1>{_text(manifest.name)}</h1>'
        f"<p>Says of each {what}: {asked}{more}. Trained with Tamis on {manifest.created:%d %B %Y} "
        f"from {manifest.data.train_rows:,} {'row' if manifest.data.train_rows == 1 else 'rows'}.</p></header>"
    )


def waiting(panel: Panel, manifest: Manifest) -> str:
    """Return a target before there is anything to say of."""
    return _card(panel, manifest, '<p class="tm-words tm-soft">Scores appear here.</p>')


def answer(panel: Panel, verdict: Verdict, manifest: Manifest) -> str:
    """Return a target's verdict: in words, then a bar a label."""
    first, rest = verdict.bars[:SHOWN], verdict.bars[SHOWN:MOST_BARS]
    parts = [_words(panel, verdict), _bars(first)]
    if rest:
        left_out = len(verdict.bars) - MOST_BARS
        end = f'<p class="tm-soft">and {left_out:,} more with lower scores</p>' if left_out > 0 else ""
        parts.append(
            f'<details class="tm-more"><summary>{len(verdict.bars) - SHOWN:,} more '
            f"{'label' if len(rest) == 1 else 'labels'}</summary>{_bars(rest)}{end}</details>"
        )
    return _card(panel, manifest, "".join(parts))


def note(text: str) -> str:
    """Return a remark above the answers; nothing for an empty one."""
    return f'<p class="tm-note" role="alert">{_text(text)}</p>' if text else ""


def conversation(chat: Sequence[Mapping[str, str]]) -> str:
    """Return a chat, message by message."""
    if not chat:
        return '<p class="tm-soft">Messages appear here. The whole chat is classified, each time one is added.</p>'
    said = "".join(
        f'<li class="tm-{escape(message["role"])}"><span class="tm-soft">{escape(message["role"])}</span>'
        f"<p>{escape(printable(message['content']))}</p></li>"
        for message in chat
    )
    return f'<ol class="tm-chat" aria-label="The chat">{said}</ol>'


def about(manifest: Manifest) -> str:
    """Return what is known of the model, for whoever unfolds it."""
    card = manifest.base_model
    facts = [
        ("Base model", f"{card.title} ({card.id}), licence {card.licence}"),
        ("Made", f"{manifest.created:%d %B %Y}, Tamis {manifest.tamis_version}"),
        ("Trained on", f"{manifest.data.train_rows:,} rows, {manifest.data.validation_rows:,} for validation"),
        *((f"Measured: {entry.name}", figure(manifest, entry.name) or "not measured") for entry in manifest.targets),
    ]
    rows = "".join(f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>" for name, value in facts)
    return (
        f'<dl class="tm-facts">{rows}</dl><p class="tm-soft">Scores are calibrated probabilities: of the answers '
        "with 80 % about eight in ten should be right, for texts like those it was trained on. It knows the labels "
        "shown and nothing else. What you type is classified where this page comes from; it is not stored.</p>"
    )


def figure(manifest: Manifest, target: str) -> str:
    """Return how good the model is at a target, with its 95 % interval; empty where nothing was measured."""
    for source, rows in SOURCES.items():
        figures = _object(_object(manifest.metrics.get(source)).get(target))
        for name, shown in FIGURES.items():
            if (value := _share(figures.get(name))) is not None:
                count = figures.get("n")
                on = f"{count:,} rows of {rows}" if isinstance(count, int) else rows
                return f"{shown} {_percent(value)}{_interval(figures.get(f'{name}_ci'))} on {on}"
    return ""


def _card(panel: Panel, manifest: Manifest, inside: str) -> str:
    told = figure(manifest, panel.name)
    measured = f'<span class="tm-soft">{_text(told)}</span>' if told else ""
    return f'<section class="tm-target"><h2>{_text(panel.name)}</h2>{measured}{inside}</section>'


def _words(panel: Panel, verdict: Verdict) -> str:
    if not panel.is_multi:
        best = verdict.bars[0]
        if verdict.abstained and verdict.cut is None:
            return (
                f'<p class="tm-words tm-unsure" role="status">No answer: <b>{_label(best.label)}</b> comes first, '
                "but too little speaks for any of the labels.</p>"
            )
        if verdict.abstained:
            score, cut = _percent(best.score), _percent(verdict.cut or 0, ceil)
            score = _percent(best.score, floor) if score == cut else score
            return (
                f'<p class="tm-words tm-unsure" role="status">No answer: <b>{_label(best.label)}</b> comes first, but '
                f"{escape(score)} is below the {escape(cut)} from which it answers.</p>"
            )
        return f'<p class="tm-words" role="status"><b>{_label(best.label)}</b></p>'
    if not verdict.given:
        return '<p class="tm-words tm-unsure" role="status">None: no label reaches its threshold.</p>'
    chips = "".join(f"<li>{_label(bar.label)}</li>" for bar in verdict.given[:MOST_BARS])
    return f'<ul class="tm-words tm-chips" role="status" aria-label="Labels given">{chips}</ul>'


def _bars(bars: Sequence[Bar]) -> str:
    return f'<ul class="tm-bars">{"".join(map(_bar, bars))}</ul>'


def _bar(bar: Bar) -> str:
    cut = "" if bar.cut is None else f'<i style="left:{100 * bar.cut:.2f}%" title="given from {bar.cut:.3f}"></i>'
    threshold = "" if bar.cut is None else f", given from {bar.cut:.3f}"
    state = "given" if bar.given else "not given"
    return (
        f'<li class="{"tm-given" if bar.given else "tm-not"}"><span class="tm-label">{_label(bar.label)}</span>'
        f'<span class="tm-track" aria-hidden="true"><span style="width:{100 * bar.score:.2f}%"></span>{cut}</span>'
        f'<span class="tm-score">{escape(_percent(bar.score))}</span>'
        f'<span class="tm-unseen">{state}{threshold}</span></li>'
    )


def _percent(share: float, tenths: Callable[[float], int] = round) -> str:
    """A share for people, which says neither 0 nor 100 % of what is not quite that; `tenths` rounds."""
    if 0 < share < 0.001:
        return "<0.1 %"
    if 0.999 < share < 1:
        return ">99.9 %"
    return f"{tenths(round(1000 * share, 6)) / 10:.1f} %"


def _interval(value: JsonValue) -> str:
    if not isinstance(value, list) or len(value) != 2:
        return ""
    low, high = map(_share, value)
    return "" if low is None or high is None else f" ({100 * low:.1f} to {100 * high:.1f})"


def _object(value: JsonValue) -> dict[str, JsonValue]:
    """The metrics are for people, so nothing has checked them."""
    return value if isinstance(value, dict) else {}


def _share(value: JsonValue) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value <= 1 else None  # type: ignore[operator,arg-type]


def _text(text: str) -> str:
    """Text of strangers: escaped, on one line, its direction kept to itself."""
    return f"<bdi>{_escaped(text)}</bdi>"


def _label(label: str) -> str:
    """A label's name, which may be broken where its words end."""
    return f"<bdi>{_WORD_ENDS.sub('<wbr>', _escaped(label))}</bdi>"


def _escaped(text: str) -> str:
    return escape(" ".join(printable(text).split()) or "(empty)")
