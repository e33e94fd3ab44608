"""An evaluation report as trackers show it: each row of a target is in its table once, and no text is."""

from __future__ import annotations

import numpy as np
import pytest

from tamis.data.truth import SingleTruth, multi_truth
from tamis.evaluation.report import EvaluationReport, evaluate_target
from tamis.ml.trackers.results import results_of
from tamis.schema import Kind, Target

TOPIC = Target(name="topic", labels=("a", "b", "c"), kind=Kind.SINGLE_LABEL)
FLAGS = Target(name="flags", labels=("x", "y"), kind=Kind.MULTI_LABEL)


@pytest.fixture(scope="module")
def report() -> EvaluationReport:
    random = np.random.default_rng(0)
    truth = SingleTruth(random.integers(0, 3, 40).astype(np.int32), 3)
    scores = random.dirichlet([1, 1, 1], 40).astype(np.float32)
    flags = multi_truth([[0], [], [0, 1], [1], None] * 8, 2)
    given = random.random((40, 2)).astype(np.float32)
    targets = {
        "topic": evaluate_target(TOPIC, truth, scores, resamples=0),
        "flags": evaluate_target(FLAGS, flags, given, resamples=0),
    }
    return EvaluationReport(n=40, targets=targets)


def test_the_figures_are_those_of_the_report(report: EvaluationReport):
    figures = results_of(report, {}).figures
    assert figures["held_out/rows"] == 40
    assert figures["held_out/topic/accuracy"] == report.targets["topic"].accuracy
    assert figures["held_out/flags/micro_f1"] == report.targets["flags"].micro_f1
    assert all(isinstance(value, float) for value in figures.values())


def test_a_single_label_target_has_a_matrix_of_all_its_rows(report: EvaluationReport):
    table = results_of(report, {}).tables[0]
    assert (table.target, table.square, table.labels) == ("topic", True, ("a", "b", "c"))
    assert sum(rows for _, _, rows in table.rows) == 40
    right = sum(rows for actual, given, rows in table.rows if actual == given)
    assert right / 40 == pytest.approx(report.targets["topic"].accuracy)
    assert len({cell[:2] for cell in table.rows}) == len(table.rows)


def test_a_multi_label_target_has_a_row_a_label_that_adds_up(report: EvaluationReport):
    table = results_of(report, {}).tables[1]
    assert not table.square
    assert len(table.rows) == 2
    for label, right, missed, wrongly, rightly_not in table.rows:
        assert right + missed + wrongly + rightly_not == 32, label
        assert right + missed == 16


def test_without_a_report_there_are_the_facts_alone():
    results = results_of(None, {"data_sha256": "ab"})
    assert (results.figures, results.tables, results.facts) == ({}, (), {"data_sha256": "ab"})
