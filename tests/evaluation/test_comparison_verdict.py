"""What a comparison is said to mean, and how its figures are written."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.comparisons import comparison_of, multi_contest, single_contest
from tamis.data.truth import SingleTruth
from tamis.evaluation.comparison import Cost, TargetContest
from tamis.evaluation.comparison_verdict import (
    best_of,
    difference_span,
    difference_text,
    failures_text,
    million_text,
    money_text,
    p_text,
    rate_text,
    seconds_text,
    value_text,
    verdict,
)
from tamis.evaluation.said import Said
from tamis.schema import Kind, Target


def told(target) -> list[str]:
    return [remark.text for remark in verdict(target, comparison_of(target))]


def test_a_clear_winner_and_those_behind_are_named() -> None:
    first, *others = told(single_contest({"shop": 0.02, "old": 0.4, "older": 0.5}))
    assert first.startswith("shop is best: accuracy 9")
    assert "points above old (95% interval +" in first
    assert "more than chance (p < 0.001)" in first
    assert "Clearly behind shop: “old”, “older”." in others


def test_what_may_be_chance_is_said_to_be() -> None:
    made = single_contest({"one": 0.2, "other": 0.21, "worst": 0.9})
    remark = verdict(made, comparison_of(made))[0]
    assert remark.severity == "warning"
    assert "is ahead" in remark.text
    assert "may be chance" in remark.text


def test_equal_figures_are_no_lead() -> None:
    first = told(single_contest({"one": 0.0, "same": 0.0, "worst": 0.9}))[0]
    assert first.startswith("one and same are level: accuracy 100.0%")


def test_failures_say_what_became_of_the_rows() -> None:
    texts = told(multi_contest({"shop": 0.02, "llm:x": 0.1}))
    assert "llm:x gave no usable answer to 4 rows (3 refused, 1 over budget of all 200): they count as wrong." in texts
    assert not any("shop gave" in text for text in texts)


def test_few_rows_unknown_rows_and_missing_labels_are_told() -> None:
    target = Target(name="t", kind=Kind.SINGLE_LABEL, labels=("a", "b", "c"))
    contest = TargetContest(target, SingleTruth(np.array([0, 1, 2, 3, -1], np.int32), 3, ("d",)), resamples=50)
    contest.add("whole", Said(np.eye(3, dtype=bool)[[0, 1, 2, 0, 0]], None, np.zeros(5, bool)), target.labels)
    contest.add("part", Said(np.eye(2, dtype=bool)[[0, 1, 1, 0, 0]], None, np.zeros(5, bool)), ("a", "b"))
    texts = " ".join(told(contest.finish()))
    assert "Only 4 rows were measured" in texts
    assert "1 row carries a label that no contender has (“d”)" in texts
    assert "1 row says nothing" in texts
    assert "part lacks 1 of the labels (“c”): the rows that carry one count as its misses." in texts
    assert "whole lacks" not in texts


def test_nothing_measured_is_no_victory() -> None:
    target = Target(name="t", kind=Kind.SINGLE_LABEL, labels=("a", "b"))
    contest = TargetContest(target, SingleTruth(np.full(3, -1, np.int32), 2))
    for name in ("one", "other"):
        contest.add(name, Said(np.zeros((3, 2), bool), None, np.zeros(3, bool)), target.labels)
    made = contest.finish()
    assert [remark.severity for remark in verdict(made, comparison_of(made))] == ["error"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (3.1e-5, "0.031 ms"), (0.25, "250 ms"), (1.5, "1.5 s"), (600, "10 min"), (9e3, "2.5 h")],
)
def test_seconds_are_said_in_their_unit(seconds: float | None, text: str) -> None:
    assert seconds_text(seconds) == text


def test_amounts_and_rates() -> None:
    assert [money_text(x) for x in (None, 0, 0.0012, 0.25, 1234.5)] == ["–", "0.00", "0.0012", "0.25", "1,234.50"]
    assert [rate_text(x) for x in (None, 0.25, 12345.6)] == ["–", "0.25", "12,346"]
    assert million_text(Cost(million_texts_hours=0.5)) == "30 min"
    assert million_text(Cost(million_texts=3.5, million_texts_hours=0.5)) == "3.50"
    assert million_text(Cost(prompt_tokens=10)) == "–"
    assert [p_text(p) for p in (0.0004, 0.0123, 1.0)] == ["< 0.001", "0.012", "1.000"]


def test_differences_are_points_with_a_sign_and_losses_are_not() -> None:
    made = single_contest({"shop": 0.05, "old": 0.3})
    pair, loss = made.pair("accuracy", "old", "shop"), made.pair("log_loss", "old", "shop")
    assert pair is not None
    assert loss is not None
    assert difference_text(pair).startswith("−2")
    assert difference_span(pair).count("−") == 2
    assert difference_text(loss).startswith("+0.")
    assert difference_text(pair.model_copy(update={"value": -0.00001})) == "0.0"


def test_the_best_are_those_that_look_best() -> None:
    made = single_contest({"shop": 0.05, "old": 0.3, "llm:x": 0.1})
    assert best_of(made, "accuracy") == {"shop"}
    assert best_of(made, "log_loss") == {"shop"}
    assert best_of(made, "coverage") == set()
    assert value_text("log_loss", made.contenders["llm:x"]) == "–"
    twins = single_contest({"one": 0.0, "other": 0.0})
    assert best_of(twins, "accuracy") == set()


def test_outcomes_in_words() -> None:
    made = comparison_of(single_contest({"shop": 0.1, "llm:x": 0.1}))
    assert failures_text(made.contender("llm:x")) == "3 refused, 1 over budget"
    assert failures_text(made.contender("shop")) == ""
