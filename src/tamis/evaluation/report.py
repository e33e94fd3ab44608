"""From truth and scores to a report, in one call or a chunk of scores at a time.

What is kept a row is small (its answer and six numbers), so rows x labels need never be in memory at once. Average
precision alone needs whole columns of scores: it is taken from all rows where rows x labels is at most `RANKED`, else
from a seeded sample of the rows, and the report says how many.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tamis.data.truth import MultiTruth, SingleTruth
from tamis.evaluation.calibration import Bins, reliability_bins
from tamis.evaluation.figures import (
    Baseline,
    Confusion,
    CoveragePoint,
    Mistake,
    MultiReport,
    Record,
    ReliabilityBin,
    SingleReport,
    ThresholdCurve,
    label_figures,
)
from tamis.evaluation.intervals import mean_average_precision_interval
from tamis.evaluation.metrics import (
    Bools,
    Doubles,
    Floats,
    Ints,
    LabelCounts,
    average_precision,
    confusion_pairs,
    macro_f1,
    micro_f1,
    precision_recall_f1,
    ratio,
    right_rows,
    row_briers,
    row_jaccards,
    row_log_losses,
    weighted_f1,
)
from tamis.evaluation.out_of_scope import auroc, curve, share_of
from tamis.evaluation.sums import TERMS, RowSums, marks, sparse_marks, terms
from tamis.evaluation.thresholds import CUTS, Curves, decide, threshold_curves
from tamis.evaluation.verdict import main_figure, percent, span
from tamis.schema import Target

RANKED = 8_000_000  # scores kept for average precision
BLOCK = 2_000_000  # scores worked on at a time
MOST_MISTAKES = 50
MOST_CONFUSIONS = 5000
MOST_CURVES = 60
CONFUSIONS_IN_JSON = 50
TARGETS_IN_REPR = 10

TargetReport = SingleReport | MultiReport


class EvaluationReport(Record):
    """The figures of a model on one set of rows, by target."""

    n: int
    targets: dict[str, TargetReport]
    seconds: float | None = None

    def __repr__(self) -> str:
        """The rows, and the figure that each target is judged by; `to_json` has all."""
        told = []
        for name, target in list(self.targets.items())[:TARGETS_IN_REPR]:
            word, value, interval, _ = main_figure(target)
            told.append(f"{name}: {word} {percent(value)} ({span(interval)})")
        more = f", and {len(self.targets) - len(told)} targets more" if len(self.targets) > len(told) else ""
        return f"<EvaluationReport of {self.n:,} rows; {', '.join(told)}{more}>"

    __str__ = __repr__

    def to_json(self) -> dict[str, Any]:
        """Plain types without NaN; curves are left out, and confusions beyond the most frequent ones."""
        left_out = {"coverage_curve", "curves", "cuts"}
        plain = self.model_dump(mode="json", exclude={"targets": {"__all__": left_out}}, exclude_none=False)
        for target in plain["targets"].values():
            target["confusions"] = target["confusions"][:CONFUSIONS_IN_JSON]
        return plain


def evaluate_target(  # noqa: PLR0913  (the last two say how the intervals are made, not what is measured)
    target: Target,
    truth: SingleTruth | MultiTruth,
    scores: Floats,
    thresholds: Floats | None = None,
    abstained: Bools | None = None,
    *,
    evidence: Floats | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> TargetReport:
    """Return the report of one target.

    Args:
        target: what was asked; its labels are the columns of `scores`.
        truth: the labels of the rows; unknown rows are left out.
        scores: (n, n_labels) calibrated probabilities.
        thresholds: (n_labels,) from which score a label is given; multi-label only, 0.5 where not given.
        abstained: (n,) whether the model gave no answer. Accuracy and F1 ignore it; coverage does not.
        evidence: (n,) what it abstains by; None: its confidence.
        resamples: of the bootstrap; 0 for no intervals.
        seed: of the bootstrap and of the sample of rows.
    """
    evaluation = start(target, truth, thresholds, seed=seed)
    evaluation.add(scores, abstained, evidence)
    return evaluation.finish(resamples=resamples)


def start(
    target: Target, truth: SingleTruth | MultiTruth, thresholds: Floats | None = None, *, seed: int = 0
) -> SingleEvaluation | MultiEvaluation:
    """Return an evaluation to `add` scores to, chunk by chunk in the order of the rows, and to `finish`."""
    if isinstance(truth, SingleTruth):
        return SingleEvaluation(target, truth, seed)
    return MultiEvaluation(target, truth, thresholds, seed)


class _Ranked:
    """Rows whose scores are kept for average precision: all, or a sample that is drawn before any score is seen."""

    def __init__(self, known: Bools, n_labels: int, seed: int) -> None:
        rows = np.flatnonzero(known)
        most = max(1, RANKED // max(1, n_labels))
        self.rows = rows
        if len(rows) > most:
            self.rows = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
        self._parts: list[NDArray[np.float32]] = []

    def add(self, first: int, scores: Floats) -> None:
        begin, end = np.searchsorted(self.rows, [first, first + len(scores)])
        self._parts.append(scores[self.rows[begin:end] - first].astype(np.float32))

    def scores(self, n_labels: int) -> NDArray[np.float32]:
        return np.concatenate([np.zeros((0, n_labels), dtype=np.float32), *self._parts])


class _Progress:
    """How far an evaluation is in the rows of its truth."""

    def __init__(self, target: Target, truth: SingleTruth | MultiTruth, seed: int) -> None:
        self.target = target
        self.names = (*target.labels, *truth.unseen)
        self.known = truth.known
        self.out_of_scope = int(truth.out_of_scope.sum()) if isinstance(truth, SingleTruth) else 0
        self.seed = seed
        self.ranked = _Ranked(truth.known, len(target.labels), seed)
        self.next_row = 0
        self.abstained = np.zeros(len(truth), dtype=bool)
        self.has_abstain = False

    def chunks(self, scores: Floats, abstained: Bools | None) -> list[tuple[int, Floats]]:
        """Split what was added into blocks, each with its first row."""
        if scores.ndim != 2 or scores.shape[1] != len(self.target.labels):
            message = f"scores of shape {scores.shape} for the {len(self.target.labels)} labels of {self.target.name!r}"
            raise ValueError(message)
        first = self.next_row
        self.next_row += len(scores)
        if self.next_row > len(self.known):
            raise ValueError(f"{self.next_row} rows of scores for {len(self.known)} rows of truth")
        if abstained is not None:
            self.has_abstain = True
            self.abstained[first : self.next_row] = abstained
        step = max(1, BLOCK // max(1, scores.shape[1]))
        return [(first + at, scores[at : at + step]) for at in range(0, len(scores), step)]

    def require_all(self) -> None:
        """Refuse to finish early."""
        if self.next_row != len(self.known):
            raise ValueError(f"{self.next_row} rows of scores for {len(self.known)} rows of truth")

    def common(self, sums: RowSums, unseen_rows: Bools, resamples: int) -> dict[str, Any]:
        """The figures of both kinds of target, with their intervals. `unseen_rows`: (n known,)."""
        intervals = sums.intervals(resamples, self.seed)
        found: dict[str, Any] = {**sums.figures(), **{f"{name}_ci": pair for name, pair in intervals.items()}}
        if not self.has_abstain:
            found = {name: value for name, value in found.items() if not name.startswith(("coverage", "selective"))}
        silent = self.abstained[self.known][unseen_rows]
        return found | {
            "n": len(sums),
            "unknown": len(self.known) - len(sums) - self.out_of_scope,
            "unseen_labels": self.names[len(self.target.labels) :],
            "unseen_rows": int(unseen_rows.sum()),
            "unseen_abstained": float(silent.mean()) if self.has_abstain and len(silent) else None,
            "ranked_rows": len(self.ranked.rows),
        }


class SingleEvaluation:
    """Gathers what the report of a single-label target needs."""

    def __init__(self, target: Target, truth: SingleTruth, seed: int = 0) -> None:
        """Start with no scores."""
        self._progress = _Progress(target, truth, seed)
        self._truth = truth
        self._given = np.zeros(len(truth), dtype=np.int32)
        self._confidence = np.zeros(len(truth), dtype=np.float32)
        self._evidence = np.zeros(len(truth), dtype=np.float32)
        self._loss = np.zeros(len(truth))
        self._brier = np.zeros(len(truth))
        self._mistakes: list[Mistake] = []

    def add(self, scores: Floats, abstained: Bools | None = None, evidence: Floats | None = None) -> None:
        """Take the scores (m, n_labels) of the next m rows, whether the model gave no answer (m,), and why (m,)."""
        begin, parts = self._progress.next_row, self._progress.chunks(scores, abstained)
        self._evidence[begin : begin + len(scores)] = scores.max(axis=1) if evidence is None else evidence
        for first, part in parts:
            rows = slice(first, first + len(part))
            codes, given = self._truth.codes[rows], part.argmax(axis=1)
            self._given[rows] = given
            self._confidence[rows] = part[np.arange(len(part)), given]
            asked = np.where(codes < 0, len(self._progress.names), codes)  # unknown rows are masked out later
            self._loss[rows] = row_log_losses(part, asked)
            self._brier[rows] = row_briers(part, asked)
            self._progress.ranked.add(first, part)
            self._keep_worst(first, part, np.flatnonzero((codes >= 0) & (codes != given)))

    def _keep_worst(self, first: int, scores: Floats, wrong: NDArray[np.intp]) -> None:
        confidence = self._confidence[first + wrong]
        names = self._progress.names
        found = []
        for at in wrong[np.argsort(-confidence, kind="stable")[:MOST_MISTAKES]].tolist():
            row, actual = first + at, int(self._truth.codes[first + at])
            shown = dict.fromkeys([*_best(scores[at]), actual]) if actual < scores.shape[1] else _best(scores[at])
            found.append(
                Mistake(
                    row=row,
                    actual=(names[actual],),
                    given=(names[self._given[row]],),
                    loss=self._loss[row],
                    scores=_scores(names, scores[at], shown),
                    abstained=bool(self._progress.abstained[row]),
                )
            )
        self._mistakes = heapq.nlargest(
            MOST_MISTAKES, self._mistakes + found, key=lambda mistake: (self._confidence[mistake.row], -mistake.row)
        )

    def finish(self, *, resamples: int = 1000) -> SingleReport:
        """Return the report, once the scores of all rows were added."""
        progress = self._progress
        progress.require_all()
        codes, given = self._truth.codes[progress.known], self._given[progress.known]
        sums = self._sums(codes, given)
        right = right_rows(codes, given)
        confidence = self._confidence[progress.known]
        bins = reliability_bins(confidence, right)
        common = progress.common(sums, codes >= self._truth.n_labels, resamples)
        return SingleReport(
            **{name: value for name, value in common.items() if name in SingleReport.model_fields},
            ece=bins.error(),
            reliability=_reliability(bins),
            coverage_curve=self._coverage_curve(right),
            **self._out_of_scope(),
            baseline=_single_baseline(progress.target, sums.counts()),
            per_label=label_figures(progress.target, progress.names, sums.counts(), self._average_precisions(), None),
            confusions=_named(progress.names, confusion_pairs(codes, given)),
            mistakes=tuple(self._mistakes),
        )

    def _coverage_curve(self, right: Bools) -> tuple[CoveragePoint, ...]:
        outside = self._evidence[self._truth.out_of_scope]
        points = curve(self._evidence[self._progress.known], right, outside)
        return tuple(
            CoveragePoint(cut=at.cut, coverage=at.coverage, accuracy=at.accuracy, oos_recall=at.turned_away)
            for at in points
        )

    def _out_of_scope(self) -> dict[str, Any]:
        """What there is to say of rows that are known to be out of scope."""
        outside, codes = self._truth.out_of_scope, self._truth.codes
        rows = int(outside.sum())
        inside = (codes >= 0) & (codes < self._truth.n_labels)
        silent = int(self._progress.abstained[outside].sum())
        found = {
            "oos_recall": share_of(silent, rows) if self._progress.has_abstain else None,
            "oos_auroc": auroc(self._evidence[inside], self._evidence[outside]),
        }
        told: dict[str, Any] = {"oos_rows": rows}
        for name, share in found.items():
            if share is not None:
                told |= {name: share.value, f"{name}_ci": share.interval}
        return told

    def _sums(self, codes: Ints, given: Ints) -> RowSums:
        known = self._progress.known
        shape = (len(codes), len(self._progress.names))
        right, rows = right_rows(codes, given), np.arange(len(codes))
        answered = ~self._progress.abstained[known]
        return RowSums(
            hits=marks(rows[right], codes[right], shape),
            given=marks(rows, given, shape),
            actual=marks(rows, codes, shape),
            terms=terms(right, self._loss[known], self._brier[known], right.astype(np.float64), answered),
            occurring_only=True,
        )

    def _average_precisions(self) -> Doubles:
        ranked, n_labels = self._progress.ranked, self._truth.n_labels
        scores, codes = ranked.scores(n_labels), self._truth.codes[ranked.rows]
        return np.array([average_precision(scores[:, label], codes == label) for label in range(n_labels)])


class MultiEvaluation:
    """Gathers what the report of a multi-label target needs."""

    def __init__(self, target: Target, truth: MultiTruth, thresholds: Floats | None = None, seed: int = 0) -> None:
        """Start with no scores."""
        self._progress = _Progress(target, truth, seed)
        self._truth = truth
        width = len(target.labels)
        self._thresholds = np.full(width, 0.5, dtype=np.float32) if thresholds is None else thresholds
        self._bins = reliability_bins(np.zeros(0), np.zeros(0))
        self._curves = threshold_curves(np.zeros((0, width), dtype=np.float32), np.zeros((0, width), dtype=bool))
        self._parts: list[tuple[sparse.csr_array, sparse.csr_array, sparse.csr_array, Doubles]] = []
        self._mistakes: list[Mistake] = []

    def add(self, scores: Floats, abstained: Bools | None = None, evidence: Floats | None = None) -> None:
        """Take the scores (m, n_labels) of the next m rows, and whether the model gave no answer (m,).

        `evidence` is of no use here: a multi-label target does not abstain.
        """
        for first, part in self._progress.chunks(scores, abstained):
            self._progress.ranked.add(first, part)
            rows = first + np.flatnonzero(self._progress.known[first : first + len(part)])
            if len(rows):
                self._add_known(rows, part[rows - first])

    def _add_known(self, rows: NDArray[np.intp], scores: Floats) -> None:
        n_labels = scores.shape[1]
        actual = self._truth.select(rows).indicator(with_unseen=True)
        given = np.zeros_like(actual)
        given[:, :n_labels] = decide(scores, self._thresholds)
        seen = actual[:, :n_labels]
        losses = row_log_losses(scores, seen)
        row_terms = terms(
            right_rows(actual, given),
            losses,
            row_briers(scores, seen),
            row_jaccards(actual, given),
            ~self._progress.abstained[rows],
        )
        self._parts.append((sparse_marks(actual & given), sparse_marks(given), sparse_marks(actual), row_terms))
        self._bins += reliability_bins(scores, seen)
        self._curves = Curves(*map(np.add, self._curves, threshold_curves(scores, seen)))
        self._keep_worst(rows, scores, (actual, given), losses)

    def _keep_worst(self, rows: NDArray[np.intp], scores: Floats, labels: tuple[Bools, Bools], losses: Doubles) -> None:
        actual, given = labels
        wrong = np.flatnonzero(~right_rows(actual, given))
        found = []
        for at in wrong[np.argsort(-losses[wrong], kind="stable")[:MOST_MISTAKES]].tolist():
            mine, answer = np.flatnonzero(actual[at]).tolist(), np.flatnonzero(given[at]).tolist()
            shown = dict.fromkeys([*mine, *answer, *_best(scores[at])])
            found.append(
                Mistake(
                    row=int(rows[at]),
                    actual=tuple(self._progress.names[code] for code in mine),
                    given=tuple(self._progress.names[code] for code in answer),
                    loss=losses[at],
                    scores=_scores(self._progress.names, scores[at], [c for c in shown if c < scores.shape[1]]),
                    abstained=bool(self._progress.abstained[rows[at]]),
                )
            )
        self._mistakes = heapq.nlargest(
            MOST_MISTAKES, self._mistakes + found, key=lambda mistake: (mistake.loss or 0.0, -mistake.row)
        )

    def finish(self, *, resamples: int = 1000) -> MultiReport:
        """Return the report, once the scores of all rows were added."""
        progress = self._progress
        progress.require_all()
        sums = self._sums()
        ranked = progress.ranked.scores(self._truth.n_labels)
        truth = self._truth.select(progress.ranked.rows).indicator()
        precisions = np.array([average_precision(ranked[:, at], truth[:, at]) for at in range(truth.shape[1])])
        carried = precisions[~np.isnan(precisions)]
        common = progress.common(sums, _any(sums.actual[:, self._truth.n_labels :]), resamples)
        common |= {f"subset_{name}": common[name] for name in ("accuracy", "accuracy_ci") if name in common}
        return MultiReport(
            **{name: value for name, value in common.items() if name in MultiReport.model_fields},
            mean_average_precision=float(carried.mean()) if len(carried) else None,
            mean_average_precision_ci=mean_average_precision_interval(
                ranked, truth, resamples=resamples, seed=progress.seed
            ),
            ece=self._bins.error(),
            reliability=_reliability(self._bins),
            baseline=_multi_baseline(progress.target, sums.counts(), len(sums)),
            per_label=label_figures(progress.target, progress.names, sums.counts(), precisions, self._thresholds),
            confusions=_named(progress.names, _swapped(sums)),
            mistakes=tuple(self._mistakes),
            cuts=tuple(round(float(cut), 4) for cut in CUTS),
            curves=_curves(progress.target.labels, self._curves),
        )

    def _sums(self) -> RowSums:
        width = len(self._progress.names)
        empty = sparse.csr_array((0, width)), sparse.csr_array((0, width)), sparse.csr_array((0, width))
        hits, given, actual, row_terms = zip(*(self._parts or [(*empty, np.zeros((0, len(TERMS))))]), strict=True)
        return RowSums(
            hits=sparse.csr_array(sparse.vstack(hits)),
            given=sparse.csr_array(sparse.vstack(given)),
            actual=sparse.csr_array(sparse.vstack(actual)),
            terms=np.concatenate(row_terms),
            occurring_only=False,
        )


def _best(scores: Floats, count: int = 3) -> list[int]:
    best: list[int] = np.argsort(-scores, kind="stable")[:count].tolist()
    return best


def _scores(names: Sequence[str], scores: Floats, shown: Sequence[int] | dict[int, None]) -> dict[str, float]:
    return {names[code]: round(float(scores[code]), 6) for code in sorted(shown, key=lambda code: -scores[code])}


def _any(labels: sparse.csr_array) -> Bools:
    found: Bools = np.asarray(labels.sum(axis=1)).ravel() > 0
    return found


def _swapped(sums: RowSums) -> NDArray[np.int64]:
    """(pairs, 3) missing code, wrongly given code and the rows where both happened, most frequent first."""
    pairs = sparse.coo_array((sums.actual - sums.hits).T @ (sums.given - sums.hits))
    table = np.column_stack([*pairs.coords, pairs.data]).astype(np.int64)
    table = table[table[:, 2] > 0]
    return table[np.lexsort((table[:, 1], table[:, 0], -table[:, 2]))]


def _named(names: Sequence[str], pairs: NDArray[np.int64]) -> tuple[Confusion, ...]:
    return tuple(
        Confusion(actual=names[actual], given=names[given], rows=rows)
        for actual, given, rows in pairs[:MOST_CONFUSIONS].tolist()
    )


def _reliability(bins: Bins) -> tuple[ReliabilityBin, ...]:
    confidence, correct = ratio(bins.confidence, bins.rows, np.nan), ratio(bins.correct, bins.rows, np.nan)
    count = len(bins.rows)
    return tuple(
        ReliabilityBin(
            low=round(at / count, 6),
            high=round((at + 1) / count, 6),
            rows=int(bins.rows[at]),
            confidence=confidence[at],
            correct=correct[at],
        )
        for at in range(count)
    )


def _curves(labels: Sequence[str], curves: Curves) -> tuple[ThresholdCurve, ...]:
    order = np.argsort(-curves.actual, kind="stable")[:MOST_CURVES]
    together = _curve(None, curves.hits.sum(axis=0), curves.given.sum(axis=0), float(curves.actual.sum()))
    return together, *(
        _curve(labels[at], curves.hits[at], curves.given[at], float(curves.actual[at])) for at in order.tolist()
    )


def _curve(label: str | None, hits: Doubles, given: Doubles, actual: float) -> ThresholdCurve:
    return ThresholdCurve(
        label=label,
        support=int(actual),
        precision=tuple(ratio(hits, given, np.nan).round(4).tolist()),
        recall=tuple(ratio(hits, np.full(len(hits), actual), np.nan).round(4).tolist()),
    )


def _single_baseline(target: Target, counts: LabelCounts) -> Baseline:
    """Always the most frequent of the labels that the model could give; macro-F1 is over the labels of the model's."""
    answer, n = int(counts.actual[: len(target.labels)].argmax()), float(counts.actual.sum())
    constant = _constant(counts, np.array([answer]), n)
    averaged = float((counts.given + counts.actual > 0).sum())
    return Baseline(
        answer=(target.labels[answer],),
        accuracy=counts.actual[answer] / n if n else None,
        macro_f1=float(precision_recall_f1(constant).f1.sum()) / max(averaged, 1.0),
        weighted_f1=float(weighted_f1(constant)),
    )


def _multi_baseline(target: Target, counts: LabelCounts, n: int) -> Baseline:
    """Always the k most frequent labels, with the k of the highest micro-F1."""
    order = np.argsort(-counts.actual[: len(target.labels)], kind="stable")
    hits = counts.actual[order].cumsum()
    sizes = np.arange(1, len(order) + 1)
    best = int(ratio(2 * hits, n * sizes + counts.actual.sum()).argmax()) + 1
    constant = _constant(counts, order[:best], n)
    return Baseline(
        answer=tuple(target.labels[at] for at in order[:best].tolist()),
        micro_f1=float(micro_f1(constant)),
        macro_f1=float(macro_f1(constant, occurring_only=False)),
        weighted_f1=float(weighted_f1(constant)),
    )


def _constant(counts: LabelCounts, answer: NDArray[np.intp], n: float) -> LabelCounts:
    hits, given = np.zeros_like(counts.actual), np.zeros_like(counts.actual)
    hits[answer], given[answer] = counts.actual[answer], n
    return LabelCounts(hits=hits, given=given, actual=counts.actual)
