import numpy as np
import pytest

from tamis.data.truth import SingleTruth
from tamis.evaluation.report import evaluate_target
from tamis.evaluation.verdict import listed, main_figure, percent, span, verdict, weakest
from tamis.schema import Kind, Target

TARGET = Target(name="t", kind=Kind.SINGLE_LABEL, labels=("a", "b", "c"))


def report_of(codes: list[int], answers: list[int], sure: float = 0.98, unseen: tuple[str, ...] = ()):
    scores = np.full((len(codes), 3), (1 - sure) / 2, dtype=np.float32)
    scores[np.arange(len(codes)), answers] = sure
    return evaluate_target(TARGET, SingleTruth(np.array(codes, dtype=np.int32), 3, unseen), scores, resamples=200)


def texts(report, severity: str) -> str:
    return " ".join(remark.text for remark in verdict(report) if remark.severity == severity)


def test_good_answers_are_praised_with_their_interval_and_the_constant_answer():
    codes = [0, 1, 2] * 60
    report = report_of(codes, codes)
    assert "Right for 100.0% of 180 rows (95% interval 98.0 to 100.0)" in texts(report, "ok")
    assert "always answering “a” would be right for 33.3%" in texts(report, "ok")
    assert "Scores mean what they say: off by 2.0 points" in texts(report, "ok")
    assert not texts(report, "warning") + texts(report, "error")


def test_what_is_no_better_than_a_constant_is_an_error():
    report = report_of([0] * 90 + [1] * 30, [1] * 60 + [0] * 60)
    assert "Not clearly better than a constant answer" in texts(report, "error")


def test_doubts_are_told():
    codes = [0, 1, 0, 1, -1, 3]
    report = report_of(codes, [0, 1, 0, 0, 0, 0], unseen=("new",))
    warned = texts(report, "warning")
    assert "Only 5 rows" in warned
    assert "1 row carries a label that the model does not have (“new”)" in warned
    assert "Of the other 4, 75.0% are right" in warned
    assert "Scores are not to be taken at their word" in warned
    told = texts(report, "info")
    assert "1 row says nothing about this target" in told
    assert "1 label has no row here" in told
    assert "“c”" in told


def test_badly_found_labels_are_named_weakest_first():
    report = report_of([0] * 50 + [1] * 40 + [2] * 30, [0] * 80 + [1] * 10 + [0] * 30)
    assert [figures.label for figures in weakest(report)] == ["c", "b", "a"]
    assert "2 labels are found badly (F1 under 0.5): “c”, “b”" in texts(report, "warning")


def test_calibration_before_is_told_where_known():
    codes = [0, 1, 2] * 60
    report = report_of(codes, codes).model_copy(update={"ece_before": 0.192})
    assert "(before calibration: 19.2)" in texts(report, "ok")


def test_calibration_that_made_scores_worse_is_no_praise():
    codes = [0, 1, 2] * 60
    report = report_of(codes, codes).model_copy(update={"ece": 0.025, "ece_before": 0.015})
    told = texts(report, "info")
    assert "calibration made them a little worse on these rows: off by 2.5 points on average" in told
    assert "(before calibration: 1.5)" in told
    assert "Scores" not in texts(report, "ok")


def test_nothing_measured_says_so():
    report = report_of([-1] * 3, [0] * 3)
    assert [remark.severity for remark in verdict(report)] == ["error"]


def test_abstaining_is_told():
    target_codes, scores = np.array([0, 1], np.int32), np.array([[0.9, 0.1, 0], [0.4, 0.3, 0.3]], np.float32)
    report = evaluate_target(TARGET, SingleTruth(target_codes, 3), scores, abstained=np.array([False, True]))
    assert "50.0% of the rows got an answer, and 100.0% of those answers are right." in texts(report, "info")


def test_multi_label_is_judged_by_micro_f1(multi_case):
    target, truth, scores = multi_case()
    report = evaluate_target(target, truth, scores, np.full(4, 0.3, np.float32), resamples=50)
    name, value, interval, baseline = main_figure(report)
    assert (name, value) == ("micro-F1", report.micro_f1)
    assert interval == report.micro_f1_ci
    assert baseline == report.baseline.micro_f1
    assert verdict(report)[0].text.startswith(("Micro-F1", "Not clearly"))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (percent(0.98765), "98.8%"),
        (percent(None), "–"),
        (span((0.1, 0.25)), "10.0 to 25.0"),
        (span((0.1, 0.25), share=False), "0.100 to 0.250"),
        (span(None), ""),
        (listed(["a", "b", "c"], 2), "“a”, “b” and 1 more"),
        (listed(["x" * 99]), f"“{'x' * 39}…”"),
    ],
)
def test_words(found, expected):
    assert found == expected
