"""Comparisons to look at: contenders that answer made-up rows with so many mistakes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tamis.data.truth import SingleTruth, multi_truth
from tamis.evaluation.comparison import (
    Comparison,
    ContenderKind,
    ContenderReport,
    Cost,
    Speed,
    TargetComparison,
    TargetContest,
)
from tamis.evaluation.said import Said
from tamis.schema import Kind, Target

HOSTILE = "<script>alert(1)</script>\x1b[31m"


def labels_of(count: int) -> tuple[str, ...]:
    return (HOSTILE, *(f"label {at}" for at in range(1, count)))


def single_contest(mistakes: Mapping[str, float], labels: int = 4, rows: int = 200) -> TargetComparison:
    """Contenders that are wrong of so many rows; an llm has no scores, and fails now and then."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, labels, rows).astype(np.int32)
    codes[:5] = -1
    target = Target(name="intent", kind=Kind.SINGLE_LABEL, labels=labels_of(labels))
    contest = TargetContest(target, SingleTruth(codes, labels), resamples=200)
    for name, share in mistakes.items():
        wrong = rng.random(rows) < share
        scores = rng.random((rows, labels)).astype(np.float32) * 0.5
        scores[np.arange(rows), np.where(wrong, (codes + 1) % labels, codes)] += 1
        scores /= scores.sum(axis=1, keepdims=True)
        contest.add(name, _said(name, scores, scores == scores.max(axis=1, keepdims=True)), target.labels)
    return contest.finish()


def multi_contest(mistakes: Mapping[str, float], labels: int = 4, rows: int = 200) -> TargetComparison:
    """The same for a multi-label target."""
    rng = np.random.default_rng(1)
    carried = rng.random((rows, labels)) < 0.3
    target = Target(name="topics", kind=Kind.MULTI_LABEL, labels=labels_of(labels))
    truth = multi_truth([np.flatnonzero(row).tolist() for row in carried], labels)
    contest = TargetContest(target, truth, resamples=200)
    for name, share in mistakes.items():
        turned = rng.random((rows, labels)) < share
        scores = np.where(carried ^ turned, 0.8, 0.1).astype(np.float32)
        cuts = None if name.startswith("llm") else [0.5] * labels
        contest.add(name, _said(name, scores, scores > 0.5), target.labels, cuts=cuts, thresholds="the validation rows")
    return contest.finish()


def _said(name: str, scores: np.ndarray, given: np.ndarray) -> Said:
    failed = np.zeros(len(scores), dtype=bool)
    if name.startswith("llm"):
        failed[10:14] = True
        return Said(given & ~failed[:, None], None, failed)
    return Said(given, scores, failed)


def comparison_of(*targets: TargetComparison) -> Comparison:
    """The whole of it: LLMs cost money and fail, the others are quick."""
    names = list(targets[0].contenders)
    return Comparison(
        title=f"{len(names)} classifiers",
        n=200,
        rows=300,
        sampled="a simple random sample of the 300 rows (seed 0)",
        seed=0,
        contenders=tuple(_contender(at, name) for at, name in enumerate(names)),
        targets=dict(zip(("intent", "topics"), targets, strict=False)),
        used=("Measured on 200 rows of test.jsonl.",),
        warnings=("3 of the 200 texts are in the training data too.",),
        notes=("1 row could not be used.",),
        seconds=12.5,
    )


def _contender(at: int, name: str) -> ContenderReport:
    llm = name.startswith("llm")
    money = Cost(prompt_tokens=1000, completion_tokens=50, this_run=0.001, million_texts=12.5)
    median = (at + 1) * 1e-4 * (900 if llm else 1)
    return ContenderReport(
        name=name,
        kind=ContenderKind.LLM if llm else ContenderKind.MODEL,
        about="an LLM" if llm else "static-en, trained on 500 rows",
        speed=Speed(seconds=3, texts_per_second=70, latency_of="one text", latency_rows=100, p50=median, p99=0.5),
        cost=money if llm else Cost(million_texts_hours=0.02),
        outcomes={"answered": 196, "refused": 3, "over_budget": 1} if llm else {"answered": 200},
        notes=("3 rows refused: I would rather not <b>",) if llm else (),
    )
