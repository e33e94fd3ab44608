import json

import numpy as np
import pytest

from tamis.data.truth import SingleTruth
from tamis.evaluation import charts
from tamis.evaluation.report import evaluate_target
from tamis.schema import Kind, Target


def many_labels(labels: int):
    """A report where label 2k is often taken for label 2k + 1, the more often the higher k."""
    target = Target(name="t", kind=Kind.SINGLE_LABEL, labels=tuple(f"label {at}" for at in range(labels)))
    codes = np.repeat(np.arange(labels), np.arange(labels) + 2).astype(np.int32)
    answers = np.where((codes % 2 == 0) & (np.arange(len(codes)) % 2 == 0), np.minimum(codes + 1, labels - 1), codes)
    return evaluate_target(target, SingleTruth(codes, labels), np.eye(labels, dtype=np.float32)[answers], resamples=0)


def test_few_labels_are_all_in_the_matrix_and_many_leave_the_most_confused():
    assert len(charts.confusion_labels(many_labels(10))) == 10
    shown = charts.confusion_labels(many_labels(100))
    assert 30 <= len(shown) <= charts.MOST_LABELS
    assert {"label 98", "label 99"} <= {figures.label for figures in shown}


def test_matrix_shows_every_row_once():
    report = many_labels(10)
    figure = json.loads(charts.confusion_matrix(report, charts.confusion_labels(report)).to_json())
    right, wrong = (np.array(layer["z"], dtype=float) for layer in figure["data"])
    assert np.nansum(right) + np.nansum(wrong) == report.n
    assert np.isnan(right[~np.eye(10, dtype=bool)]).all()
    assert np.isnan(wrong[np.eye(10, dtype=bool)]).all()
    assert wrong[8, 9] == next(c.rows for c in report.confusions if c.actual == "label 8")


def test_reliability_shows_only_bins_with_rows(mixed):
    report = mixed[0].targets["intent"]
    _, measured, rows = json.loads(charts.reliability(report).to_json())["data"]
    filled = [part for part in report.reliability if part.rows]
    assert measured["y"] == [part.correct for part in filled]
    assert sum(rows["y"]) == report.n
    assert all(low >= 0 for low in measured["error_y"]["arrayminus"])


def test_wilson_interval_of_a_share():
    below, above = charts._wilson(0.5, 100)
    assert (0.5 - below, 0.5 + above) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    assert charts._wilson(1.0, 10)[1] == pytest.approx(0, abs=1e-9)


def test_f1_curve_is_the_harmonic_mean_and_unknown_without_rows(mixed):
    curve = mixed[0].targets["topics"].curves[0]
    found = charts.f1_curve(curve)
    expected = 2 * curve.precision[0] * curve.recall[0] / (curve.precision[0] + curve.recall[0])
    assert found[0] == pytest.approx(expected, abs=1e-4)
    assert charts.f1_curve(curve.model_copy(update={"precision": (None, 0.5), "recall": (0.0, None)})) == [0.0, None]


def test_threshold_map_marks_the_threshold_in_use(mixed):
    report = mixed[0].targets["topics"]
    grid, marks = json.loads(charts.threshold_map(report).to_json())["data"]
    assert len(grid["z"]) == len(marks["x"]) == 4
    assert set(marks["x"]) == {0.4}


def test_each_label_has_its_curves_with_the_threshold_in_use(mixed):
    report = mixed[0].targets["topics"]
    figure = json.loads(charts.label_thresholds(report).to_json())
    assert [trace["name"] for trace in figure["data"]] == ["precision", "recall", "F1", "threshold in use"]
    buttons = figure["layout"]["updatemenus"][0]["buttons"]
    curves = [curve for curve in report.curves if curve.label is not None]
    assert [button["label"] for button in buttons] == [f"{each.label} ({each.support} rows)" for each in curves]
    for button, curve in zip(buttons, curves, strict=True):
        drawn = button["args"][0]
        assert drawn["y"][0] == list(curve.precision)
        assert drawn["y"][1] == list(curve.recall)
        assert drawn["y"][2] == charts.f1_curve(curve)
        assert drawn["x"][3] == [0.4, 0.4]
    assert figure["data"][1]["y"] == buttons[0]["args"][0]["y"][1]


def test_the_map_shows_what_its_buttons_say(mixed):
    report = mixed[0].targets["topics"]
    buttons = json.loads(charts.threshold_map(report).to_json())["layout"]["updatemenus"][0]["buttons"]
    curves = [curve for curve in report.curves if curve.label is not None]
    shown = {button["label"]: button["args"][0]["z"][0] for button in buttons}
    assert shown["precision"] == [list(curve.precision) for curve in curves]
    assert shown["recall"] == [list(curve.recall) for curve in curves]
    assert shown["F1"] == [charts.f1_curve(curve) for curve in curves]


def test_coverage_chart_shows_what_is_right_of_what_is_answered(mixed):
    report = mixed[0].targets["intent"]
    (right,) = json.loads(charts.coverage(report).to_json())["data"]
    assert right["x"] == sorted(right["x"], reverse=True)
    assert len(right["y"]) == len(right["x"])
    told = report.model_copy(update={"oos_rows": 3, "coverage": 0.9})
    chart = json.loads(charts.coverage(told).to_json())
    assert [trace["name"] for trace in chart["data"]][1:] == ["out of scope, turned away"]
    assert chart["layout"]["shapes"][0]["x0"] == 0.9
