"""An evaluation as it is kept: the report, the rows behind its figures, why mistakes were made, its charts.

One JSON document, bounded whatever the data is like, from which the dashboard's pages and the HTML report are made
again without the model and without the rows. It knows no model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from typing import TYPE_CHECKING

from pydantic import JsonValue

from tamis.evaluation import charts
from tamis.evaluation.behind import Cell
from tamis.evaluation.figures import LabelFigures, Mistake, MultiReport, Record, SingleReport
from tamis.evaluation.highlights import Highlight, Reasons, marked_parts
from tamis.evaluation.page import EXCERPT, FIGURES, READ, build_page
from tamis.evaluation.report import EvaluationReport
from tamis.evaluation.verdict import Remark, span, verdict, weakest
from tamis.schema import Input, plain_text

if TYPE_CHECKING:
    from tamis.pages import Page

LEARNT_FROM = "These are the rows that the model learnt from: other rows will come out worse."
SHOWN = 600
"""Characters of a row that is behind a cell; of a mistake, whose words are marked, `READ` are kept."""

LOSSES = ("log_loss", "brier")
DEPTHS = 5


class KeptRow(Record):
    """A row of the file: its line, and the beginning of its text."""

    line: int
    text: str


class KeptReasons(Record):
    """What moved the score of `label` in a row: (start, end, weight) of stretches of its text."""

    label: str
    highlights: tuple[tuple[int, int, float], ...]


class KeptTarget(Record):
    """What is kept of a target beside its report: by row, why it was mistaken; by name, charts as plotly draws them."""

    cells: tuple[Cell, ...]
    reasons: dict[int, KeptReasons]
    charts: dict[str, dict[str, JsonValue]]


class Evaluation(Record):
    """A model measured on a file.

    Attributes:
        model: what the model was called, like `shop@3`.
        file: the file's name.
        sha256: the content hash of its rows.
        report: the figures.
        rows: those that a cell or a mistake names.
        targets: what is kept beside the report.
        remarks: what else should be known, such as rows that were left out.
    """

    model: str
    file: str
    sha256: str
    report: EvaluationReport
    rows: dict[int, KeptRow]
    targets: dict[str, KeptTarget]
    remarks: tuple[str, ...] = ()


def kept_text(given: Input, most: int = SHOWN) -> str:
    """Return what is kept of a row's text."""
    whole = plain_text(given)
    return whole if len(whole) <= most else whole[:most] + " …"


def kept_reasons(reasons: Reasons) -> KeptReasons:
    """Return the marks of a mistake, as far as its text is kept."""
    marks = (mark for mark in reasons.highlights if mark.end <= READ)
    return KeptReasons(label=reasons.label, highlights=tuple((m.start, m.end, round(m.weight, 4)) for m in marks))


@dataclass(frozen=True, slots=True)
class FigureRow:
    """A figure: what it is, its value (a share of 1, or not), its 95 % interval, what a constant answer reaches."""

    name: str
    value: float
    is_share: bool
    interval: str
    constant: float | None


@dataclass(frozen=True, slots=True)
class ToldMistake:
    """A mistake with its row, and its text in parts with the weights of marked words."""

    mistake: Mistake
    row: KeptRow
    label: str
    parts: list[tuple[str, float]]


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """So many rows; how deep its colour is, 1 to `DEPTHS`; whether they are right; the number of its rows' cell."""

    rows: int
    depth: int
    right: bool
    cell: int | None


@dataclass(frozen=True, slots=True)
class Matrix:
    """Cells by actual label (down) and given label (across); `in_use` labels there are, those shown or more."""

    labels: tuple[str, ...]
    cells: list[list[MatrixCell | None]]
    in_use: int


class ToldTarget:
    """One target of a kept evaluation, as pages tell it."""

    def __init__(self, evaluation: Evaluation, name: str) -> None:
        """Look at the target of this name."""
        self.name, self._evaluation = name, evaluation
        self.report: SingleReport | MultiReport = evaluation.report.targets[name]
        self.kept = evaluation.targets[name]

    @property
    def is_multi(self) -> bool:
        """Whether a row may carry any number of its labels."""
        return isinstance(self.report, MultiReport)

    @property
    def verdict(self) -> list[Remark]:
        """What the figures mean, in sentences."""
        return verdict(self.report)

    def figures(self) -> list[FigureRow]:
        """Return the figures that were measured."""
        rows = []
        for name, word in FIGURES.items():
            value = getattr(self.report, name, None)
            if value is None:
                continue
            share = name not in LOSSES
            constant = getattr(self.report.baseline, name, None)
            interval = span(getattr(self.report, f"{name}_ci", None), share=share)
            rows.append(FigureRow(word, value, share, interval, constant))
        return rows

    @cached_property
    def places(self) -> Mapping[tuple[str | None, str | None], int]:
        """The number of each cell, by its labels."""
        return {(cell.actual, cell.given): at for at, cell in enumerate(self.kept.cells)}

    def cell(self, actual: str | None, given: str | None) -> int | None:
        """Return the number of the cell of these labels; None where no row is in it."""
        return self.places.get((actual, given))

    @cached_property
    def matrix(self) -> Matrix:
        """How often each label was given for each: those in use, or where there are too many the most confused ones."""
        shown = charts.confusion_labels(self.report)
        places = {label.label: at for at, label in enumerate(shown)}
        cells: list[list[MatrixCell | None]] = [[None] * len(shown) for _ in shown]
        for at, label in enumerate(shown):
            if label.hits:
                cells[at][at] = self._matrix_cell(label, label.label, label.hits)
        for confusion in self.report.confusions:
            down, across = places.get(confusion.actual), places.get(confusion.given)
            if down is not None and across is not None:
                cells[down][across] = self._matrix_cell(shown[down], confusion.given, confusion.rows)
        in_use = sum(bool(label.support or label.given) for label in self.report.per_label)
        return Matrix(tuple(label.label for label in shown), cells, in_use)

    def _matrix_cell(self, label: LabelFigures, given: str, rows: int) -> MatrixCell:
        depth = ceil(DEPTHS * min(1.0, rows / max(1, label.support)))
        return MatrixCell(rows, max(1, depth), label.label == given, self.cell(label.label, given))

    def labels(self) -> tuple[LabelFigures, ...]:
        """Return the figures of each label, the weakest first, and last those that no row carries."""
        tested = weakest(self.report)
        return (*tested, *(label for label in self.report.per_label if not label.support))

    def mistakes(self) -> list[ToldMistake]:
        """Return the worst mistakes with their rows."""
        told = []
        for mistake in self.report.mistakes:
            row, reasons = self._evaluation.rows[mistake.row], self.kept.reasons.get(mistake.row)
            marks = [Highlight(*mark) for mark in reasons.highlights] if reasons else []
            parts = marked_parts(row.text, marks, EXCERPT)
            told.append(ToldMistake(mistake, row, reasons.label if reasons and marks else "", parts))
        return told

    def row(self, number: int) -> KeptRow | None:
        """Return a row of a cell."""
        return self._evaluation.rows.get(number)


@dataclass(frozen=True, slots=True)
class _KeptRows:
    """Rows as the report's page asks for them."""

    inputs: Mapping[int, str]
    lines: Mapping[int, int]


def page_of(evaluation: Evaluation) -> Page:
    """Return the HTML report, the same that `tamis evaluate --report` writes."""
    rows = _KeptRows(
        {number: row.text for number, row in evaluation.rows.items()},
        {number: row.line for number, row in evaluation.rows.items()},
    )
    reasons = {
        name: {
            row: Reasons(each.label, tuple(Highlight(*mark) for mark in each.highlights))
            for row, each in target.reasons.items()
        }
        for name, target in evaluation.targets.items()
    }
    return build_page(evaluation.report, rows, title=f"Evaluation of {evaluation.model}", reasons=reasons)
