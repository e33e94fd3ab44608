"""The gate: figures of two models on the same rows, and what becomes of conditions."""

import numpy as np
import pytest

from tamis.data.truth import OUT_OF_SCOPE, SingleTruth, multi_truth
from tamis.errors import InvalidSetting
from tamis.evaluation.calibration import ece
from tamis.evaluation.conditions import parse
from tamis.evaluation.gate import Ballot, asked_of, better, compared, judge, weigh
from tamis.evaluation.paired import difference
from tamis.evaluation.report import evaluate_target
from tamis.evaluation.said import Said
from tamis.schema import Kind, Target

TOPIC = Target.of("topic", Kind.SINGLE_LABEL, ("a", "b", "c"))
TAGS = Target.of("tags", Kind.MULTI_LABEL, ("x", "y"))
CODES = np.array([0, 1, 2, 0, 1, 2, 0, 1, -1, 0] * 6, dtype=np.int32)
TRUTH = SingleTruth(CODES, 3)


def single(wrong, seed=0):
    """What a model says that is wrong in these rows."""
    rng = np.random.default_rng(seed)
    codes = np.where(CODES < 0, 0, CODES)
    codes = np.where(np.isin(np.arange(len(codes)), wrong), (codes + 1) % 3, codes)
    given = np.eye(3, dtype=bool)[codes]
    scores = np.where(given, 0.8, 0.1) + rng.uniform(0, 0.05, given.shape)
    return Said(given, (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32), np.zeros(len(codes), bool))


def multi(seed):
    rng = np.random.default_rng(seed)
    scores = rng.uniform(size=(60, 2)).astype(np.float32)
    return Said(scores >= 0.5, scores, np.zeros(60, bool))


def verdicts(text, candidate, current=None, target=TOPIC, truth=TRUTH):
    conditions = parse(text)
    return judge(conditions, [weigh(Ballot(target, truth, candidate, current), conditions)], {})


def test_figures_are_those_of_an_evaluation():
    said = single([0, 3, 7])
    report = evaluate_target(TOPIC, TRUTH, said.scores)
    conditions = parse(
        "weighted_f1 >= 0 and brier <= 2 and recall of topic/b > 0 and f1 of topic/a > 0 and precision of topic/c > 0"
    )
    table = {
        (each.figure, each.label): each.candidate
        for each in compared(weigh(Ballot(TOPIC, TRUTH, said, None), conditions), conditions)
    }
    for figure in ("accuracy", "macro_f1", "weighted_f1", "log_loss", "brier", "ece"):
        assert table[figure, None] == pytest.approx(getattr(report, figure), abs=2e-6), figure
    labels = {each.label: each for each in report.per_label}
    assert table["recall", "b"] == labels["b"].recall
    assert table["f1", "a"] == labels["a"].f1
    assert table["precision", "c"] == labels["c"].precision


def test_those_of_a_multi_label_target_too():
    rng = np.random.default_rng(5)
    truth = multi_truth([None if n % 7 == 0 else [c for c in (0, 1) if rng.uniform() < 0.5] for n in range(60)], 2)
    said = multi(1)
    report = evaluate_target(TAGS, truth, said.scores)
    conditions = parse("subset_accuracy >= 0 and recall of tags/y >= 0")
    table = {
        (each.figure, each.label): each
        for each in compared(weigh(Ballot(TAGS, truth, said, multi(2)), conditions), conditions)
    }
    for figure in ("subset_accuracy", "micro_f1", "macro_f1", "samples_jaccard", "ece"):
        assert table[figure, None].candidate == pytest.approx(getattr(report, figure), abs=2e-6), figure
    assert table["recall", "y"].candidate == report.per_label[1].recall
    assert table["subset_accuracy", None].p is not None
    known = truth.known
    assert report.ece == pytest.approx(ece(said.scores[known], truth.indicator()[known]), abs=1e-6)


def test_differences_are_those_of_paired_rows():
    candidate, current = single([0]), single([0, 3, 7, 11])
    (row,) = [
        each for each in compared(weigh(Ballot(TOPIC, TRUTH, candidate, current), ()), ()) if each.figure == "accuracy"
    ]
    expected = difference("accuracy", TRUTH, candidate, current)
    assert row.difference == pytest.approx(expected.value, abs=1e-6)
    assert row.difference_ci == pytest.approx((expected.low, expected.high), abs=1e-6)
    assert row.p == pytest.approx(expected.p, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("accuracy >= current - 2pp", True),
        ("accuracy >= current - 1.8pp", False),
        ("accuracy >= current * 0.98", True),
        ("accuracy >= current", False),
        ("accuracy < current", True),
        ("accuracy >= 90%", True),
        ("accuracy >= 95%", False),
        ("log_loss <= current + 0.5", True),
        ("macro_f1 of topic > 0.9", True),
    ],
)
def test_conditions_hold_or_do_not(text, holds):
    """Of 54 known rows the candidate is right in 51 (94.4 %), the current model in 52 (96.3 %)."""
    (found,) = verdicts(text, single([0, 3, 7]), single([0, 3]))
    assert found.holds is holds
    assert found.condition == text
    assert found.target == "topic"


def test_surely_asks_for_the_worse_end_of_the_interval():
    candidate, current = single([0, 3, 7]), single([1, 3, 7])
    plain, surely = verdicts("accuracy >= current - 1pp and accuracy >= current - 1pp surely", candidate, current)
    assert plain.holds
    assert not surely.holds
    assert "more rows would tell" in surely.why
    low, high = surely.beyond_ci
    assert low < 0 < high
    (wide,) = verdicts("accuracy >= current - 20pp surely", candidate, current)
    assert wide.holds
    (upper,) = verdicts("ece <= 99% surely", candidate)
    assert upper.holds


def test_a_perfect_score_on_few_rows_is_not_sure():
    said = single([])
    (found,) = verdicts("accuracy >= 99% surely", said)
    assert not found.holds
    assert found.value == 1
    (found,) = verdicts("accuracy >= 90% surely", said)
    assert found.holds
    (found,) = verdicts("recall of topic/c >= 90% surely", said)
    assert not found.holds, "12 rows of 12"
    assert verdicts("accuracy >= current surely", said, said)[0].holds is False, (
        "equal on these rows is not surely equal"
    )


def test_without_a_current_model_it_holds_and_says_so():
    (found,) = verdicts("accuracy >= current", single([]))
    assert found.holds
    assert "no current model" in found.why
    assert found.needed is None
    assert not verdicts("accuracy >= 0.9", single(range(50)))[0].holds


def test_a_label_that_no_row_carries_holds_nothing():
    truth = SingleTruth(np.where(CODES == 2, 0, CODES), 3)
    for text in ("recall of topic/c >= 0", "f1 of topic/c >= current - 1pp"):
        (found,) = verdicts(text, single([]), single([]), truth=truth)
        assert not found.holds
        assert found.why == "no row carries c"


def test_rows_that_say_nothing_hold_nothing():
    (found,) = verdicts("accuracy >= 0", single([]), truth=SingleTruth(np.full(60, -1, dtype=np.int32), 3))
    assert not found.holds
    assert "no row" in found.why


def test_rows_out_of_scope_are_to_be_left_without_an_answer():
    codes = np.where(np.arange(60) % 6 == 5, OUT_OF_SCOPE, CODES).astype(np.int32)
    truth = SingleTruth(codes, 3)
    outside = np.flatnonzero(codes == OUT_OF_SCOPE)

    def silent(in_these):
        said = single([])
        return Said(said.given, said.scores, said.failed, np.isin(np.arange(60), in_these))

    good, poor = silent(outside[:8]), silent(outside[:3])
    found = verdicts(
        "oos_recall >= 80% and oos_recall > current surely and oos_recall >= 80% surely and coverage >= 1",
        good,
        poor,
        truth=truth,
    )
    assert [each.holds for each in found] == [True, True, False, True]
    assert found[0].value == 0.8
    low, high = found[1].beyond_ci
    assert 0 < low < 0.5 < high
    assert verdicts("oos_recall >= 0 surely", single([]), truth=truth)[0].holds, "a model that never abstains has 0"
    (none,) = verdicts("oos_recall >= 0", good)
    assert (none.holds, none.why) == (False, "no row is known to be out of scope")


def test_latencies_are_compared_too():
    conditions = parse("p50_ms <= current * 1.5 and p50_ms <= 1 ms")
    first, second = judge(conditions, [], {"candidate": 1.4, "current": 1.0})
    assert (first.holds, second.holds, first.target) == (True, False, None)
    assert judge(conditions, [], {"candidate": 1.4})[0].why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("samples_jaccard of topic >= 0", "topic has no samples_jaccard"),
        ("accuracy of tags >= 0", "tags has no accuracy, but subset_accuracy"),
        ("accuracy of other >= 0", "no target 'other', but topic, tags"),
        ("recall of topic/z >= 0", "topic has no label 'z', but a, b, c"),
        ("micro_f1 of tags >= 0", "the data says nothing about tags"),
        ("samples_jaccard >= 0", "the data says nothing about tags"),
    ],
)
def test_what_cannot_be_judged_is_refused_before_measuring(text, why):
    with pytest.raises(InvalidSetting) as refused:
        asked_of(parse(text), [TOPIC, TAGS], ["topic"])
    assert why in str(refused.value)


def test_a_condition_without_a_target_is_about_all_that_have_the_figure():
    asked_of(parse("micro_f1 >= 0 and accuracy >= 0 and p50_ms <= 1"), [TOPIC, TAGS], ["topic"])
    conditions = parse("micro_f1 >= 0 and accuracy >= 0")
    truth = multi_truth([[0]] * 60, 2)
    weighed = [
        weigh(Ballot(TOPIC, TRUTH, single([]), None), conditions),
        weigh(Ballot(TAGS, truth, multi(1), None), conditions),
    ]
    found = [(each.condition, each.target) for each in judge(conditions, weighed, {})]
    assert found == [("micro_f1 >= 0", "topic"), ("micro_f1 >= 0", "tags"), ("accuracy >= 0", "topic")]
    with pytest.raises(InvalidSetting, match="no target has samples_jaccard: topic has accuracy"):
        asked_of(parse("samples_jaccard >= 0"), [TOPIC], ["topic"])


def test_what_is_better():
    assert better("accuracy", 0.1)
    assert better("log_loss", -0.1)
    assert not better("ece", 0.1)
