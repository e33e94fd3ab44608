"""A report as one self-contained HTML page.

Texts and label names are whatever users' files hold; `tamis.pages` escapes them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, SupportsInt, TypeVar

from tamis.evaluation import charts
from tamis.evaluation.figures import LabelFigures, Mistake, MultiReport, SingleReport
from tamis.evaluation.highlights import Reasons, marked_parts
from tamis.evaluation.report import EvaluationReport
from tamis.evaluation.verdict import main_figure, percent, span, verdict
from tamis.pages import Cell, CellValue, Marked, Page
from tamis.schema import Input, plain_text

EXCERPT = 300  # characters of a text that are shown
MOST_CONFUSIONS = 25
FIGURES = {
    "accuracy": "Accuracy: rows answered right",
    "subset_accuracy": "Rows with every label right",
    "micro_f1": "Micro-F1: over all decisions",
    "macro_f1": "Macro-F1: mean over labels",
    "weighted_f1": "Weighted F1: mean over labels by their rows",
    "samples_jaccard": "Samples Jaccard: shared labels, mean over rows",
    "mean_average_precision": "Mean average precision",
    "coverage": "Coverage: rows that got an answer",
    "selective_accuracy": "Right of those that got an answer",
    "oos_recall": "Rows out of scope that got none",
    "oos_auroc": "Out of scope told apart (AUROC)",
    "ece_before": "Expected calibration error before calibration",
    "ece": "Expected calibration error",
    "log_loss": "Log loss",
    "brier": "Brier score",
}
WORD = 30  # characters of a word, or of neighbouring ones, that stand below a text
MATRIX_WIDTH = 640  # pixels that a confusion matrix needs, even where it must scroll
READ = 4000  # characters of a text that are looked at for its excerpt

T_co = TypeVar("T_co", covariant=True)


class ByRow(Protocol[T_co]):
    """Something for each row."""

    def __getitem__(self, row: int, /) -> T_co:
        """Return it; rows count from 0."""


class Rows(Protocol):
    """What a page shows of the rows that were evaluated: a `Dataset`, or what was kept of one."""

    @property
    def inputs(self) -> ByRow[Input]:
        """The texts or chats."""

    @property
    def lines(self) -> ByRow[SupportsInt]:
        """Where they stand in their file, from 1."""


ReasonsByRow = Mapping[str, Mapping[int, Reasons]]
"""By target, and by row counted from 0."""


def write_page(
    report: EvaluationReport,
    path: str | Path,
    rows: Rows | None = None,
    *,
    title: str = "Evaluation",
    reasons: ReasonsByRow | None = None,
) -> Path:
    """Write the page and return its path.

    Args:
        report: what was measured.
        path: where to write; an existing file is replaced.
        rows: the rows that were evaluated, for the texts and lines of the mistakes.
        title: what stands on top.
        reasons: by target and row, the words that moved the score of a mistake's label; they are marked.

    Raises:
        InvalidSetting: the place cannot be written to.
    """
    return build_page(report, rows, title=title, reasons=reasons).write(path)


def build_page(
    report: EvaluationReport,
    rows: Rows | None = None,
    *,
    title: str = "Evaluation",
    reasons: ReasonsByRow | None = None,
) -> Page:
    """Return the page; arguments as `write_page`."""
    took = f" in {report.seconds:.1f} s" if report.seconds is not None else ""
    page = Page(title, f"{report.n:,} rows evaluated{took}.")
    for name, target in report.targets.items():
        prefix = f"{name}: " if len(report.targets) > 1 else ""
        _summary(page, name, target)
        if target.n:
            _labels(page, prefix, target)
            _confusions(page, prefix, target)
            _scores(page, prefix, target)
            _mistakes(page, prefix, target, rows, (reasons or {}).get(name, {}))
    return page


def _summary(page: Page, name: str, report: SingleReport | MultiReport) -> None:
    kind = "one label a row" if isinstance(report, SingleReport) else "any number of labels a row"
    page.section(name, f"{kind[0].upper()}{kind[1:]}, {len(report.per_label):,} labels.")
    for remark in verdict(report):
        page.note(remark.text, remark.severity)
    if report.n:
        page.facts(_facts(report))
        headers = ["Figure", "Value", "95% interval", "Constant answer"]
        page.table(headers, _figures(report), numeric=(1, 2, 3), sortable=False)


def _facts(report: SingleReport | MultiReport) -> list[tuple[str, CellValue]]:
    figure, value, _, _ = main_figure(report)
    facts: list[tuple[str, CellValue]] = [
        (figure[0].upper() + figure[1:], percent(value)),
        ("Macro-F1", percent(report.macro_f1)),
        ("Calibration error", percent(report.ece)),
        ("Rows", report.n),
    ]
    if report.coverage is not None:
        facts.insert(3, ("Coverage", percent(report.coverage)))
    if isinstance(report, SingleReport) and report.oos_recall is not None:
        facts.insert(4, ("Out of scope, turned away", percent(report.oos_recall)))
    return facts


def _figures(report: SingleReport | MultiReport) -> list[list[CellValue]]:
    rows: list[list[CellValue]] = []
    for name, word in FIGURES.items():
        value = getattr(report, name, None)
        if value is None:
            continue
        share = name not in ("log_loss", "brier")
        constant = getattr(report.baseline, name, None)
        rows.append(
            [
                word,
                percent(value) if share else f"{value:.3f}",
                span(getattr(report, f"{name}_ci", None), share=share),
                "" if constant is None else percent(constant),
            ]
        )
    return rows


def _labels(page: Page, prefix: str, report: SingleReport | MultiReport) -> None:
    page.section(
        f"{prefix}Labels",
        "Precision: how many of the rows given the label carry it. Recall: how many of the rows that carry it were "
        "given it. Jaccard: rows where both agree over rows where either has it.",
    )
    headers = ["Label", "F1", "Precision", "Recall", "Rows", "Given", "Jaccard", "Average precision"]
    if isinstance(report, MultiReport):
        headers.append("Threshold")
    rows = [_label_row(figures, len(headers)) for figures in report.per_label]
    page.table(headers, rows, numeric=range(1, len(headers)))
    if report.ranked_rows < report.n:
        page.note(f"Average precision is taken from a sample of {report.ranked_rows:,} of the {report.n:,} rows.")


def _label_row(figures: LabelFigures, width: int) -> list[CellValue]:
    untested = not figures.support
    name = f"{figures.label} (not in the model)" if figures.unseen else figures.label
    shares = [
        None if untested and not figures.given else figures.f1,
        figures.precision if figures.given else None,
        None if untested else figures.recall,
    ]
    jaccard = None if untested and not figures.given else figures.jaccard
    cells: list[CellValue] = [name, *map(_share, shares), figures.support, figures.given]
    cells += [_share(jaccard), _share(figures.average_precision), figures.threshold]
    return cells[:width]


def _share(value: float | None) -> CellValue:
    return Cell("–", -1) if value is None else Cell(percent(value), value)


def _confusions(page: Page, prefix: str, report: SingleReport | MultiReport) -> None:
    multi = isinstance(report, MultiReport)
    meaning = (
        "How often a row lacked one of its labels (actual) and had a wrong one (answered) at the same time."
        if multi
        else "Which label rows carry, and which they were given. Right answers lie on the diagonal."
    )
    page.section(f"{prefix}Confusions", meaning)
    if not report.confusions:
        page.note("No confusion at all.", "ok")
        return
    labels = charts.confusion_labels(report)
    used = sum(bool(figures.support or figures.given) for figures in report.per_label)
    shown = f"The {len(labels)} labels of the most frequent confusions, out of {used:,}." if len(labels) < used else ""
    page.figure(charts.confusion_matrix(report, labels), shown, min_width=MATRIX_WIDTH if len(labels) > 12 else 0)
    top = report.confusions[:MOST_CONFUSIONS]
    support = {figures.label: figures.support for figures in report.per_label}
    rows = [(c.actual, c.given, c.rows, _share(c.rows / max(1, support[c.actual]))) for c in top]
    page.table(["Actual", "Answered", "Rows", "Share of the actual label's rows"], rows, numeric=(2, 3))


def _scores(page: Page, prefix: str, report: SingleReport | MultiReport) -> None:
    page.section(
        f"{prefix}Scores",
        "Whether scores can be taken at their word, and what other decision rules would give.",
    )
    thing = "answers" if isinstance(report, SingleReport) else "labels"
    page.figure(
        charts.reliability(report),
        f"Reliability: of the {thing} scored 80%, 80% should be right. Points on the dotted line are.",
    )
    if isinstance(report, SingleReport):
        page.figure(
            charts.coverage(report),
            "Answering only where there is evidence enough: fewer answers, more of them right. The dotted line is "
            "where the model's own rule stands.",
        )
    else:
        page.figure(charts.thresholds(report.curves[0], report.cuts), "One threshold for all labels.")
        if any(curve.label is not None and curve.support for curve in report.curves):
            page.figure(
                charts.label_thresholds(report),
                "One label at a time, chosen above: what each threshold gives. The dotted line is the one in use.",
            )
            page.figure(
                charts.threshold_map(report),
                "Each label over its threshold, most frequent label first; marks are the thresholds in use. "
                "The command tamis thresholds chooses others, for a precision, a recall or a cost.",
            )


def _mistakes(
    page: Page,
    prefix: str,
    report: SingleReport | MultiReport,
    rows: Rows | None,
    reasons: Mapping[int, Reasons],
) -> None:
    order = "surest first" if isinstance(report, SingleReport) else "highest loss first"
    page.section(
        f"{prefix}Worst mistakes",
        f"Wrong answers, {order}. Where the answer looks right to you, the label in the file may be wrong.",
    )
    if not report.mistakes:
        page.note("Every answer is right.", "ok")
        return
    if reasons:
        page.paragraph(
            "Marked words moved the score of the label below the text most: underlined straight, they speak for it; "
            "underlined in waves, against it. The numbers are what the log-odds of its score lose without the word."
        )
    where = "Row" if rows is None else "Line"
    headers = [where, "Text", "Actual", "Answered", "Scores"]
    page.table(
        headers, [_mistake_row(mistake, rows, reasons.get(mistake.row)) for mistake in report.mistakes], numeric=(0,)
    )


def _mistake_row(mistake: Mistake, rows: Rows | None, reasons: Reasons | None) -> list[CellValue]:
    text = "" if rows is None else _told(plain_text(rows.inputs[mistake.row]), reasons)
    given = ", ".join(mistake.given) or "(none)"
    return [
        mistake.row + 1 if rows is None else int(rows.lines[mistake.row]),
        text,
        ", ".join(mistake.actual) or "(none)",
        f"{given} (abstained)" if mistake.abstained else given,
        " · ".join(f"{label} {percent(score)}" for label, score in mistake.scores.items()),
    ]


def _told(text: str, reasons: Reasons | None) -> CellValue:
    """The text, with the words that moved a score where these are known."""
    if reasons is None or not reasons.highlights:
        return excerpt(text)
    words = [(excerpt(text[mark.start : mark.end], WORD), mark.weight) for mark in reasons.highlights]
    told = " · ".join(f"{word} {'+' if weight > 0 else '−'}{abs(weight):.2f}" for word, weight in words)
    return Marked(marked_parts(text, reasons.highlights, EXCERPT), f"{reasons.label}: {told}")


def excerpt(text: str, width: int = EXCERPT) -> str:
    """The beginning of a text on one line."""
    line = " ".join(text[:READ].split())
    return line if len(line) <= width and len(text) <= READ else line[:width].rstrip() + " …"
