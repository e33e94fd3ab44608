"""What a comparison means, in sentences, and how its figures are written: the same on the terminal and on the page."""

from __future__ import annotations

from collections.abc import Iterator

from tamis.evaluation.comparison import (
    LOWER_IS_BETTER,
    Comparison,
    ContenderFigures,
    ContenderReport,
    Cost,
    PairReport,
    TargetComparison,
)
from tamis.evaluation.paired import LOSSES
from tamis.evaluation.verdict import FEW_ROWS, Remark, listed, percent, span

WORDS = {
    "accuracy": "accuracy",
    "subset_accuracy": "whole rows right",
    "micro_f1": "micro-F1",
    "macro_f1": "macro-F1",
    "weighted_f1": "weighted F1",
    "samples_jaccard": "samples Jaccard",
    "mean_average_precision": "mean average precision",
    "ece": "calibration error",
    "log_loss": "log loss",
    "brier": "Brier score",
    "coverage": "coverage",
    "selective_accuracy": "right of those answered",
    "oos_recall": "out-of-scope rows turned away",
}
DASH = "–"


def verdict(target: TargetComparison, comparison: Comparison) -> list[Remark]:
    """Return what a reader should take from one target, the most important first."""
    if not target.n:
        return [Remark("error", "No row says anything about this target: nothing was compared.")]
    return [_headline(target), *_others(target), *_doubts(target), *_failures(target, comparison), *_lacking(target)]


def value_text(figure: str, figures: ContenderFigures) -> str:
    """A figure of a contender; a dash where it has none."""
    measured = figures.figures.get(figure)
    return DASH if measured is None or measured.value is None else figure_text(figure, measured.value)


def figure_text(figure: str, value: float) -> str:
    """A share as a percentage, a loss with three digits."""
    return f"{value:.3f}" if figure in LOSSES else percent(value)


def interval_text(figure: str, figures: ContenderFigures) -> str:
    """The 95 % interval of a figure; empty where there is none."""
    measured = figures.figures.get(figure)
    if measured is None or measured.low is None or measured.high is None:
        return ""
    return span((measured.low, measured.high), share=figure not in LOSSES)


def difference_text(pair: PairReport) -> str:
    """A difference with its sign: in points of a percentage, or as it is for losses."""
    return _signed(pair.figure, pair.value)


def difference_span(pair: PairReport) -> str:
    """The 95 % interval of a difference."""
    return f"{_signed(pair.figure, pair.low)} to {_signed(pair.figure, pair.high)}"


def _signed(figure: str, value: float | None) -> str:
    if value is None:
        return DASH
    told = f"{value:+.3f}" if figure in LOSSES else f"{100 * value:+.1f}"
    return told.replace("-", "−") if float(told) else told.lstrip("+-")


def p_text(p: float) -> str:
    """A p-value: three digits, and no more than that where it is small."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def seconds_text(seconds: float | None) -> str:
    """Some seconds in the unit that people would say them in; a dash where there are none."""
    if seconds is None:
        return DASH
    if seconds < 1:
        milliseconds = 1000 * seconds
        return f"{milliseconds:.2g} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


def rate_text(per_second: float | None) -> str:
    """Texts a second; a dash where that is not known."""
    if per_second is None:
        return DASH
    return f"{per_second:,.0f}" if per_second >= 10 else f"{per_second:.2g}"


def money_text(amount: float | None) -> str:
    """An amount; a dash where no price is known."""
    if amount is None:
        return DASH
    return f"{amount:,.2f}" if amount >= 0.01 or not amount else f"{amount:.2g}"


def million_text(cost: Cost) -> str:
    """What a million texts cost; of what computes here and has no price, how long they take."""
    if cost.million_texts is None and cost.million_texts_hours is not None:
        return seconds_text(cost.million_texts_hours * 3600)
    return money_text(cost.million_texts)


def failures_text(contender: ContenderReport) -> str:
    """Rows without a usable answer, by what became of them."""
    failed = {outcome: rows for outcome, rows in contender.outcomes.items() if outcome != "answered" and rows}
    return ", ".join(f"{rows:,} {outcome.replace('_', ' ')}" for outcome, rows in failed.items())


def is_better(figure: str, difference: float) -> bool:
    """Whether a difference is in favour of the first."""
    return difference < 0 if figure in LOWER_IS_BETTER else difference > 0


def best_of(target: TargetComparison, figure: str) -> set[str]:
    """The contenders with the best value of a figure, as it is shown; none where all have the same."""
    shown = {name: value_text(figure, figures) for name, figures in target.contenders.items()}
    values = {
        name: measured.value
        for name, figures in target.contenders.items()
        if (measured := figures.figures.get(figure)) is not None and measured.value is not None
    }
    if not values or len({shown[name] for name in values}) < 2:
        return set()
    best = (min if figure in LOWER_IS_BETTER else max)(values, key=lambda name: values[name])
    return {name for name in values if shown[name] == shown[best]}


def _headline(target: TargetComparison) -> Remark:
    figure, best = target.main_figure, target.best
    mine = target.contenders[best]
    reached = f"{WORDS[figure]} {value_text(figure, mine)} ({interval_text(figure, mine)})"
    second = next((name for name in target.ranked() if name != best), None)
    pair = target.pair(figure, best, second) if second is not None else None
    if pair is None or second is None:
        return Remark("ok", f"{best} is best: {reached}.")
    if not pair.value:
        return Remark("warning", f"{best} and {second} are level: {reached}; difference {difference_span(pair)}.")
    points = difference_text(pair).lstrip("+")
    ahead = f"{reached}, {points} points above {second} (95% interval {difference_span(pair)})"
    if pair.significant:
        return Remark("ok", f"{best} is best: {ahead}, which is more than chance (p {_p(pair)}).")
    return Remark("warning", f"{best} is ahead: {ahead}, which may be chance (p {_p(pair)}); more rows would tell.")


def _p(pair: PairReport) -> str:
    told = p_text(pair.p_corrected)
    return told if told.startswith("<") else f"= {told}"


def _others(target: TargetComparison) -> Iterator[Remark]:
    """Who else cannot be told from the one that all are shown against, and who is clearly worse."""
    pairs = {name: target.pair(target.main_figure, name, target.against) for name in target.contenders}
    alike = [name for name, pair in pairs.items() if pair is not None and not pair.significant]
    if len(alike) > 1 or (alike and len(pairs) > 2 and target.against != target.best):
        yield Remark("info", f"Not to be told from {target.against} on these rows: {listed(alike)}.")
    behind = [
        name
        for name, pair in pairs.items()
        if pair is not None and pair.significant and not is_better(pair.figure, pair.value or 0.0)
    ]
    if len(behind) > 1 or (behind and target.against != target.best):
        yield Remark("info", f"Clearly behind {target.against}: {listed(behind)}.")


def _doubts(target: TargetComparison) -> Iterator[Remark]:
    if target.n < FEW_ROWS:
        yield Remark("warning", f"Only {target.n:,} rows were measured: read the intervals, not the figures.")
    if target.unseen_rows:
        carry = "row carries" if target.unseen_rows == 1 else "rows carry"
        yield Remark(
            "warning",
            f"{target.unseen_rows:,} {carry} a label that no contender has ({listed(target.unseen_labels)}): a miss of "
            "all of them.",
        )
    if target.oos_rows:
        yield Remark("info", _turned_away(target))
    if target.unknown:
        say = "row says" if target.unknown == 1 else "rows say"
        yield Remark("info", f"{target.unknown:,} {say} nothing about this target, and counted nowhere.")


def _turned_away(target: TargetComparison) -> str:
    shares = [
        f"{name} {value_text('oos_recall', figures)}"
        for name, figures in target.contenders.items()
        if "oos_recall" in figures.figures
    ]
    rows = "1 row is" if target.oos_rows == 1 else f"{target.oos_rows:,} rows are"
    told = f". Given no answer: {', '.join(shares)}" if shares else ""
    return f"{rows} out of scope, and neither right nor wrong{told}."


def _failures(target: TargetComparison, comparison: Comparison) -> Iterator[Remark]:
    for name, figures in target.contenders.items():
        if figures.failed:
            why = failures_text(comparison.contender(name))
            told = f" ({why} of all {comparison.n:,})" if why else ""
            rows, count = ("1 row", "it counts") if figures.failed == 1 else (f"{figures.failed:,} rows", "they count")
            yield Remark("warning", f"{name} gave no usable answer to {rows}{told}: {count} as wrong.")


def _lacking(target: TargetComparison) -> Iterator[Remark]:
    for name, figures in target.contenders.items():
        own = [label for label in figures.lacking if label not in target.unseen_labels]
        if not own:
            continue
        lacks = f"{name} lacks {len(own):,} of the labels ({listed(own)})"
        if figures.lacking_rows > target.unseen_rows:
            yield Remark("warning", f"{lacks}: the rows that carry one count as its misses.")
        else:
            yield Remark("info", f"{lacks}; no row carries them.")
