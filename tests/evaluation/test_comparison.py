"""The records of a comparison: figures as those of one model, differences, labels that one lacks, JSON and back."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.comparisons import comparison_of, multi_contest, single_contest
from tamis.data.truth import OUT_OF_SCOPE, SingleTruth, multi_truth
from tamis.evaluation.comparison import Comparison, TargetContest, ranked
from tamis.evaluation.report import evaluate_target
from tamis.evaluation.said import Said
from tamis.schema import Kind, Target

TRIO = {"shop": 0.05, "old": 0.3, "llm:x": 0.1}


@pytest.mark.parametrize("multi", [False, True])
def test_figures_are_those_of_an_evaluation(single_case, multi_case, multi: bool) -> None:
    target, truth, scores = (multi_case if multi else single_case)()
    cuts = np.full(scores.shape[1], 0.5, dtype=np.float32) if multi else None
    given = scores == scores.max(axis=1, keepdims=True) if cuts is None else scores >= cuts
    contest = TargetContest(target, truth, resamples=1000)
    for name in ("a", "b"):
        said = Said(given, scores, np.zeros(len(scores), dtype=bool))
        contest.add(name, said, target.labels, cuts=None if cuts is None else cuts.tolist())
    found = contest.finish().contenders["a"]
    report = evaluate_target(target, truth, scores, cuts)
    for name, measured in found.figures.items():
        assert measured.value == pytest.approx(getattr(report, name), abs=2e-6), name
        pair = getattr(report, f"{name}_ci", None)
        assert (measured.low, measured.high) == (pytest.approx(pair, abs=2e-6) if pair else (None, None)), name
    assert found.figures.keys() > {"macro_f1", "log_loss", "ece"}
    assert found.per_label == report.per_label


def test_a_contender_without_scores_lacks_figures_rather_than_having_none() -> None:
    for made in (single_contest(TRIO), multi_contest(TRIO)):
        assert made.contenders["shop"].figures.keys() >= {"ece", "log_loss", "brier"}
        assert not made.contenders["llm:x"].figures.keys() & {"ece", "log_loss", "brier", "mean_average_precision"}
        assert all(label.average_precision is None for label in made.contenders["llm:x"].per_label)
        assert made.pair("log_loss", "shop", "llm:x") is None
        assert made.pair("log_loss", "shop", "old") is not None
        assert made.contenders["llm:x"].failed in (3, 4)


def test_the_best_is_first_and_differences_turn_round() -> None:
    made = single_contest(TRIO)
    assert (made.best, made.against, made.main_figure) == ("shop", "shop", "accuracy")
    assert made.ranked() == ["shop", "llm:x", "old"]
    one, other = made.pair("accuracy", "shop", "old"), made.pair("accuracy", "old", "shop")
    assert one is not None
    assert other is not None
    assert one.significant
    assert (other.value, other.low, other.high) == (-one.value, -one.high, -one.low)
    assert one.p <= one.p_corrected
    assert made.pair("accuracy", "shop", "nobody") is None
    assert ranked(made.contenders, "log_loss") == ["shop", "old", "llm:x"]


def test_someone_else_may_be_who_the_others_are_shown_against() -> None:
    target = Target(name="t", kind=Kind.SINGLE_LABEL, labels=("a", "b"))
    contest = TargetContest(target, SingleTruth(np.array([0, 1], dtype=np.int32), 2), resamples=50)
    for name, codes in (("good", [0, 1]), ("bad", [1, 0])):
        contest.add(name, Said(np.eye(2, dtype=bool)[codes], None, np.zeros(2, dtype=bool)), target.labels)
    assert contest.finish("bad").against == "bad"
    assert contest.finish("bad").best == "good"


@pytest.mark.parametrize("multi", [False, True])
def test_labels_that_one_lacks_are_its_misses(multi: bool) -> None:
    kind = Kind.MULTI_LABEL if multi else Kind.SINGLE_LABEL
    target = Target(name="t", kind=kind, labels=("a", "b", "c"))
    codes = [0, 1, 2, 2, 3]
    truth = (
        multi_truth([[code] for code in codes], 3, ("d",))
        if multi
        else SingleTruth(np.array(codes, np.int32), 3, ("d",))
    )
    contest = TargetContest(target, truth, resamples=50)
    nothing = np.zeros(5, dtype=bool)
    contest.add("whole", Said(np.eye(4, dtype=bool)[codes][:, :3], None, nothing), ("a", "b", "c"))
    contest.add("part", Said(np.eye(4, dtype=bool)[codes][:, [1, 0]], None, nothing), ("b", "a"))
    found = contest.finish()
    assert found.unseen_rows == 1
    assert found.contenders["whole"].lacking == ("d",)
    assert found.contenders["part"].lacking == ("c", "d")
    assert (found.contenders["whole"].lacking_rows, found.contenders["part"].lacking_rows) == (1, 3)
    accuracy = "subset_accuracy" if multi else "accuracy"
    assert found.contenders["part"].figures[accuracy].value == 0.4
    assert found.contenders["part"].per_label[2].recall == 0
    assert found.contenders["part"].per_label[3].unseen


def test_rows_out_of_scope_count_for_those_who_turn_them_away() -> None:
    target = Target(name="t", kind=Kind.SINGLE_LABEL, labels=("a", "b"), oos_label="oos")
    truth = SingleTruth(np.array([0, 1, OUT_OF_SCOPE, OUT_OF_SCOPE, -1], dtype=np.int32), 2)
    given = np.eye(2, dtype=bool)[[0, 1, 0, 0, 0]]
    contest, no = TargetContest(target, truth, resamples=50), np.zeros(5, dtype=bool)
    contest.add("never", Said(given, None, no), target.labels)
    contest.add("silent", Said(given, None, no, np.array([0, 0, 1, 0, 0], dtype=bool)), target.labels)
    contest.add("empty", Said(given & np.array([[1], [1], [0], [0], [1]], dtype=bool), None, no), target.labels)
    contest.add("broken", Said(given & False, None, ~no), target.labels)
    found = contest.finish()
    assert (found.n, found.unknown, found.oos_rows) == (2, 1, 2)
    recalls = {name: figures.figures["oos_recall"].value for name, figures in found.contenders.items()}
    assert recalls == {"never": 0, "silent": 0.5, "empty": 1, "broken": 0}
    assert found.contenders["silent"].figures["accuracy"].value == 1


def test_a_target_without_rows_has_no_figures() -> None:
    target = Target(name="t", kind=Kind.SINGLE_LABEL, labels=("a", "b"))
    contest = TargetContest(target, SingleTruth(np.full(3, -1, np.int32), 2))
    for name in ("one", "other"):
        contest.add(name, Said(np.zeros((3, 2), bool), np.zeros((3, 2), np.float32), np.zeros(3, bool)), target.labels)
    found = contest.finish()
    assert found.n == 0
    assert found.contenders["one"].figures == {}
    assert found.pairs == ()


def test_many_pairs_are_corrected_together() -> None:
    made = single_contest({f"m{at}": 0.2 for at in range(6)})
    pairs = [pair for pair in made.pairs if pair.figure == "accuracy"]
    assert len(pairs) == 15
    assert min(pair.p_corrected for pair in pairs) == pytest.approx(min(1.0, 15 * min(pair.p for pair in pairs)))


def test_json_and_back() -> None:
    made = comparison_of(single_contest(TRIO), multi_contest(TRIO))
    assert Comparison.model_validate_json(made.model_dump_json()) == made
    assert made.contender("llm:x").failures == 4
