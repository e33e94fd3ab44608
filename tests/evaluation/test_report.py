import json

import numpy as np
import pytest
from sklearn import metrics as reference

from tamis.data.truth import OUT_OF_SCOPE, UNKNOWN, SingleTruth, multi_truth
from tamis.evaluation import report as module
from tamis.evaluation.calibration import ece
from tamis.evaluation.figures import MultiReport, SingleReport
from tamis.evaluation.report import EvaluationReport, evaluate_target, start
from tamis.schema import Kind, Target

MINIMUM = {
    Kind.SINGLE_LABEL: "kind accuracy accuracy_ci macro_f1 macro_f1_ci weighted_f1 ece log_loss brier coverage "
    "selective_accuracy n unknown unseen_labels per_label baseline",
    Kind.MULTI_LABEL: "kind micro_f1 micro_f1_ci macro_f1 macro_f1_ci weighted_f1 samples_jaccard "
    "mean_average_precision ece log_loss brier subset_accuracy n unknown unseen_labels per_label baseline",
}


def test_single_label_figures_are_those_of_scikit_learn(single_case):
    target, truth, scores = single_case()
    report = evaluate_target(target, truth, scores, resamples=50)
    known = truth.codes >= 0
    actual, given = truth.codes[known], scores[known].argmax(axis=1)
    assert isinstance(report, SingleReport)
    assert report.n == known.sum()
    assert report.unknown == (~known).sum()
    assert report.accuracy == pytest.approx(reference.accuracy_score(actual, given), abs=1e-6)
    for average, found in (("macro", report.macro_f1), ("weighted", report.weighted_f1)):
        expected = reference.f1_score(actual, given, average=average, zero_division=0)
        assert found == pytest.approx(expected, abs=1e-6)
    seen = actual < 4
    expected = reference.log_loss(actual[seen], scores[known][seen], labels=range(4))
    assert report.log_loss == pytest.approx(expected, abs=1e-5)
    assert report.ece == pytest.approx(ece(scores[known].max(axis=1), actual == given), abs=1e-6)
    first, last = report.per_label[0], report.per_label[-1]
    expected = reference.average_precision_score(actual == 0, scores[known][:, 0])
    assert first.average_precision == pytest.approx(expected, abs=1e-6)
    assert (last.label, last.unseen, last.f1, last.support) == ("unseen", True, 0, (actual == 4).sum())
    assert report.unseen_rows == last.support
    for low, high in (report.accuracy_ci, report.macro_f1_ci, report.log_loss_ci):
        assert low < high


def test_multi_label_figures_are_those_of_scikit_learn(multi_case):
    target, truth, scores = multi_case()
    thresholds = np.array([0.3, 0.4, 0.5, 0.6], dtype=np.float32)
    report = evaluate_target(target, truth, scores, thresholds, resamples=50)
    actual = truth.indicator(with_unseen=True)[truth.known]
    given = np.column_stack([scores[truth.known] >= thresholds, np.zeros(truth.known.sum(), dtype=bool)])
    assert isinstance(report, MultiReport)
    for average, found in (("micro", report.micro_f1), ("macro", report.macro_f1), ("weighted", report.weighted_f1)):
        expected = reference.f1_score(actual, given, average=average, zero_division=0)
        assert found == pytest.approx(expected, abs=1e-6)
    assert report.samples_jaccard == pytest.approx(
        reference.jaccard_score(actual, given, average="samples", zero_division=1), abs=1e-6
    )
    assert report.subset_accuracy == pytest.approx((actual == given).all(axis=1).mean(), abs=1e-6)
    seen = actual[:, :4]
    expected = reference.average_precision_score(seen, scores[truth.known], average="macro")
    assert report.mean_average_precision == pytest.approx(expected, abs=1e-6)
    assert report.ece == pytest.approx(ece(scores[truth.known], seen), abs=1e-6)
    assert report.per_label[1].threshold == pytest.approx(0.4)
    assert report.unknown == 30
    low, high = report.mean_average_precision_ci
    assert low < report.mean_average_precision < high


@pytest.mark.parametrize("case", ["single_case", "multi_case"])
def test_chunks_of_any_size_give_the_same_report(case, request, monkeypatch):
    target, truth, scores = request.getfixturevalue(case)()
    abstained = scores.max(axis=1) < 0.5
    whole = evaluate_target(target, truth, scores, abstained=abstained, resamples=20)
    evaluation = start(target, truth)
    for first in range(0, len(scores), 37):
        evaluation.add(scores[first : first + 37], abstained[first : first + 37])
    monkeypatch.setattr(module, "BLOCK", 64)
    assert evaluation.finish(resamples=20) == whole
    assert evaluate_target(target, truth, scores, abstained=abstained, resamples=20) == whole


def test_json_holds_what_was_promised_and_no_nan(mixed):
    plain = mixed[0].to_json()
    text = json.dumps(plain, allow_nan=False)
    assert plain["n"] == 300
    assert plain["seconds"] == 0.25
    for target in plain["targets"].values():
        assert set(MINIMUM[target["kind"]].split()) <= set(target)
        per_label = set(target["per_label"][0])
        assert {
            "label",
            "precision",
            "recall",
            "f1",
            "support",
            "jaccard",
            "average_precision",
            "threshold",
        } <= per_label
        assert len(target["confusions"]) <= 50
    assert "single_label" in text


def test_a_report_survives_being_written(mixed):
    assert EvaluationReport.model_validate_json(mixed[0].model_dump_json()) == mixed[0]


def test_accuracy_ignores_abstaining_and_coverage_stands_beside():
    target = Target(name="t", kind=Kind.SINGLE_LABEL, labels=("a", "b"))
    truth = SingleTruth(np.array([0, 0, 1, 2], dtype=np.int32), 2, ("out",))
    scores = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.5, 0.5]], dtype=np.float32)
    silent = np.array([False, True, False, True])
    report = evaluate_target(target, truth, scores, abstained=silent, resamples=10)
    assert (report.accuracy, report.coverage, report.selective_accuracy) == (0.5, 0.5, 1.0)
    assert report.unseen_abstained == 1
    without = evaluate_target(target, truth, scores, resamples=10)
    assert (without.accuracy, without.coverage, without.selective_accuracy) == (0.5, None, None)


@pytest.mark.parametrize("kind", Kind)
def test_a_target_that_no_row_mentions_has_no_figures(kind):
    target = Target(name="t", kind=kind, labels=("a", "b"))
    none = SingleTruth(np.full(5, -1, dtype=np.int32), 2) if not target.is_multi else multi_truth([None] * 5, 2)
    report = evaluate_target(target, none, np.full((5, 2), 0.5, dtype=np.float32))
    assert (report.n, report.unknown, report.ece, report.macro_f1) == (0, 5, None, None)
    json.dumps(EvaluationReport(n=5, targets={"t": report}).to_json(), allow_nan=False)


def test_one_row_is_enough():
    target = Target(name="t", kind=Kind.SINGLE_LABEL, labels=("a", "b"))
    report = evaluate_target(target, SingleTruth(np.array([0], np.int32), 2), np.array([[0.9, 0.1]], np.float32))
    assert report.accuracy == 1
    assert report.accuracy_ci == pytest.approx((0.025, 1))
    assert report.per_label[1].average_precision is None


def test_mistakes_are_the_surest_first_and_point_at_rows(single_case):
    target, truth, scores = single_case()
    report = evaluate_target(target, truth, scores, resamples=0)
    names = (*target.labels, "unseen")
    sureness = [scores[mistake.row].max() for mistake in report.mistakes]
    assert sureness == sorted(sureness, reverse=True)
    for mistake in report.mistakes:
        assert mistake.actual == (names[truth.codes[mistake.row]],)
        assert mistake.given == (names[scores[mistake.row].argmax()],)
        assert mistake.scores[mistake.given[0]] == pytest.approx(sureness.pop(0), abs=1e-6)
    wrong = (truth.codes >= 0) & (scores.argmax(axis=1) != truth.codes)
    assert report.mistakes[0].row == np.flatnonzero(wrong)[scores[wrong].max(axis=1).argmax()]


def test_confusions_of_a_multi_label_target_pair_what_is_missing_with_what_is_wrong():
    target = Target(name="t", kind=Kind.MULTI_LABEL, labels=("a", "b", "c"))
    truth = multi_truth([[0], [0], [0, 2], [1]], 3)
    scores = np.array([[0, 1, 0], [0, 1, 0], [1, 0, 1], [0, 1, 1]], dtype=np.float32)
    report = evaluate_target(target, truth, scores, resamples=0)
    assert [(c.actual, c.given, c.rows) for c in report.confusions] == [("a", "b", 2)]
    assert {mistake.row for mistake in report.mistakes} == {0, 1, 3}


def test_baselines_are_the_best_constant_answers():
    target = Target(name="t", kind=Kind.SINGLE_LABEL, labels=("a", "b", "c"))
    codes = np.array([0, 0, 0, 1, 2], dtype=np.int32)
    scores = np.eye(3, dtype=np.float32)[codes]
    found = evaluate_target(target, SingleTruth(codes, 3), scores, resamples=0).baseline
    assert (found.answer, found.accuracy) == (("a",), 0.6)
    assert found.macro_f1 == pytest.approx(reference.f1_score(codes, np.zeros(5), average="macro"), abs=1e-6)
    beside = evaluate_target(target, SingleTruth(codes.clip(max=1), 3), scores, resamples=0).baseline
    same = reference.f1_score(codes.clip(max=1), np.zeros(5), labels=[0, 1, 2], average="macro", zero_division=0)
    assert beside.macro_f1 == pytest.approx(same, abs=1e-6), "over the labels that the model's is over, c too"
    many = Target(name="t", kind=Kind.MULTI_LABEL, labels=("a", "b", "c"))
    truth = multi_truth([[0, 1], [0, 1], [0], [2]], 3)
    found = evaluate_target(many, truth, np.zeros((4, 3), dtype=np.float32), resamples=0).baseline
    assert found.answer == ("a", "b")
    assert found.micro_f1 == pytest.approx(2 * 5 / (8 + 6), abs=1e-6)


@pytest.mark.parametrize("case", ["single_case", "multi_case"])
def test_average_precision_of_very_many_scores_comes_from_a_sample_that_is_told(case, request, monkeypatch):
    target, truth, scores = request.getfixturevalue(case)(rows=3000)
    whole = evaluate_target(target, truth, scores, resamples=0)
    monkeypatch.setattr(module, "RANKED", 4000)
    sampled = evaluate_target(target, truth, scores, resamples=0)
    assert (whole.ranked_rows, sampled.ranked_rows) == (whole.n, 1000)
    for one, other in zip(whole.per_label, sampled.per_label, strict=True):
        assert one.f1 == other.f1
        if one.average_precision is not None:
            assert other.average_precision == pytest.approx(one.average_precision, abs=0.12)


def test_curves_meet_the_figures(multi_case):
    target, truth, scores = multi_case()
    report = evaluate_target(target, truth, scores, np.full(4, 0.5, np.float32), resamples=0)
    at = np.abs(np.array(report.cuts) - 0.5).argmin()
    label = report.curves[1]
    expected = next(figures for figures in report.per_label if figures.label == label.label)
    assert label.precision[at] == pytest.approx(expected.precision, abs=1e-4)
    assert label.recall[at] == pytest.approx(expected.recall, abs=1e-4)
    assert [curve.support for curve in report.curves[1:]] == sorted(
        (curve.support for curve in report.curves[1:]), reverse=True
    )


def test_coverage_curve_starts_with_every_row_answered(single_case):
    target, truth, scores = single_case()
    report = evaluate_target(target, truth, scores, resamples=0)
    assert report.coverage_curve[0].coverage == 1
    assert report.coverage_curve[0].accuracy == report.accuracy
    half = report.coverage_curve[50]
    assert half.coverage == pytest.approx((scores[truth.codes >= 0].max(axis=1) >= half.cut).mean(), abs=1e-6)
    assert half.coverage == pytest.approx(0.5, abs=0.01)
    assert half.accuracy > report.accuracy
    assert half.oos_recall is None


def test_rows_out_of_scope_count_where_abstaining_is_measured_and_nowhere_else(single_case):
    target, truth, scores = single_case()
    outside = np.arange(len(truth)) % 5 == 0
    hidden = SingleTruth(np.where(outside, UNKNOWN, truth.codes).astype(np.int32), truth.n_labels, truth.unseen)
    told = SingleTruth(np.where(outside, OUT_OF_SCOPE, truth.codes).astype(np.int32), truth.n_labels, truth.unseen)
    evidence = np.where(outside, -1, 1) * np.linspace(0.1, 1, len(truth))
    abstained = evidence < -0.5
    plain = evaluate_target(target, hidden, scores, None, abstained, evidence=evidence, resamples=20)
    found = evaluate_target(target, told, scores, None, abstained, evidence=evidence, resamples=20)
    assert (found.oos_rows, found.oos_auroc) == (outside.sum(), 1.0)
    assert found.oos_recall == pytest.approx(abstained[outside].mean(), abs=1e-6)
    assert found.oos_recall_ci[0] < found.oos_recall < found.oos_recall_ci[1]
    assert found.unknown == plain.unknown - outside.sum()
    same = {"n", "accuracy", "macro_f1", "ece", "coverage", "log_loss", "accuracy_ci"}
    assert found.model_dump(include=same) == plain.model_dump(include=same)
    assert found.coverage_curve[0].oos_recall == 1.0  # all are below the least of the others


def test_scores_that_do_not_fit_the_truth_are_refused(single_case):
    target, truth, scores = single_case()
    with pytest.raises(ValueError, match="shape"):
        evaluate_target(target, truth, scores[:, :2])
    with pytest.raises(ValueError, match="299 rows of scores for 300"):
        evaluate_target(target, truth, scores[:-1])
    with pytest.raises(ValueError, match="600 rows of scores for 300"):
        evaluate_target(target, truth, np.vstack([scores, scores]))


def test_five_thousand_labels_in_chunks():
    rng = np.random.default_rng(0)
    target = Target(name="t", kind=Kind.SINGLE_LABEL, labels=tuple(map(str, range(5000))))
    truth = SingleTruth(rng.integers(0, 5000, 60).astype(np.int32), 5000)
    evaluation = start(target, truth)
    for _ in range(3):
        evaluation.add(rng.random((20, 5000), dtype=np.float32) / 5000)
    report = evaluation.finish(resamples=20)
    assert len(report.per_label) == 5000
    assert len(report.confusions) <= 60


def test_a_report_in_a_shell_is_a_line(single_case, multi_case):
    single = evaluate_target(*single_case(), resamples=50)
    multi = evaluate_target(*multi_case(), resamples=0)
    report = EvaluationReport(n=7, targets={"intent": single, "topics": multi})
    low, high = single.accuracy_ci
    told = f"intent: accuracy {100 * single.accuracy:.1f}% ({100 * low:.1f} to {100 * high:.1f})"
    assert repr(report).startswith(f"<EvaluationReport of 7 rows; {told}, topics: micro-F1 ")
    assert str(report) == repr(report)
    assert f"accuracy={single.accuracy}" in repr(single)
    assert len(repr(report)) < 200
    assert len(repr(single)) < 600
    many = EvaluationReport(n=7, targets={f"t{n}": multi for n in range(12)})
    assert repr(many).endswith(", and 2 targets more>")
