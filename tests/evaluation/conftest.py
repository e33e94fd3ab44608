"""Targets, truth and scores to report on."""

import numpy as np
import pytest

from tamis.data.dataset import Dataset, build
from tamis.data.truth import MultiTruth, SingleTruth, multi_truth
from tamis.evaluation.report import EvaluationReport, evaluate_target
from tamis.schema import Example, Kind, Target

HOSTILE = "<script>alert(1)</script>\x1b[31m"


def make_single(rows: int = 300, labels: int = 4, seed: int = 0) -> tuple[Target, SingleTruth, np.ndarray]:
    """A target, its truth with unknown rows and one unseen label, and scores."""
    rng = np.random.default_rng(seed)
    target = Target(
        name="intent", kind=Kind.SINGLE_LABEL, labels=(HOSTILE, *(f"label {at}" for at in range(1, labels)))
    )
    codes = rng.integers(0, labels, rows).astype(np.int32)
    logits = rng.normal(size=(rows, labels))
    logits[np.arange(rows), codes] += 2
    codes[rng.random(rows) < 0.1] = -1
    codes[rng.random(rows) < 0.05] = labels
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return target, SingleTruth(codes, labels, ("unseen",)), scores.astype(np.float32)


def make_multi(rows: int = 300, labels: int = 4, seed: int = 0) -> tuple[Target, MultiTruth, np.ndarray]:
    """The same for a multi-label target."""
    rng = np.random.default_rng(seed)
    names = (HOSTILE, *(f"label {at}" for at in range(1, labels)))
    target = Target(name="topics", kind=Kind.MULTI_LABEL, labels=names)
    scores = rng.random((rows, labels)).astype(np.float32) ** 2
    carried = rng.random((rows, labels)) < scores
    lists = [np.flatnonzero(row).tolist() for row in carried]
    for row in range(0, rows, 20):
        lists[row].append(labels)
    truth = multi_truth([None if row % 10 == 3 else lists[row] for row in range(rows)], labels, ("unseen",))
    return target, truth, scores


def dataset_of(target: Target, truth: SingleTruth | MultiTruth) -> Dataset:
    """Rows with hostile texts whose lines start at 101."""
    texts = [f"text {row} {HOSTILE} " + "long " * (200 if row % 5 == 0 else 1) for row in range(len(truth))]
    examples = [Example(input=text, labels={}, line=101 + row) for row, text in enumerate(texts)]
    return build(examples, [target])


@pytest.fixture(scope="session")
def single_case():
    return make_single


@pytest.fixture(scope="session")
def multi_case():
    return make_multi


@pytest.fixture(scope="session")
def mixed() -> tuple[EvaluationReport, Dataset]:
    """A report of two targets, with the rows it is about."""
    target, truth, scores = make_single()
    topics, topic_truth, topic_scores = make_multi()
    abstained = scores.max(axis=1) < 0.4
    report = EvaluationReport(
        n=300,
        targets={
            "intent": evaluate_target(target, truth, scores, abstained=abstained, resamples=100),
            "topics": evaluate_target(topics, topic_truth, topic_scores, np.full(4, 0.4, np.float32), resamples=100),
        },
        seconds=0.25,
    )
    return report, dataset_of(target, truth)
