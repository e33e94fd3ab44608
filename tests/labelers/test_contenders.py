"""Contenders: what each says, what it took, and that nothing is made up where nothing was said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tamis.data.dataset import build
from tamis.data.loading import Check
from tamis.evaluation.comparison import ContenderKind
from tamis.labelers import contenders
from tamis.labelers.budget import Budget, Price
from tamis.labelers.contenders import BaselineContender, LlmContender, ModelContender
from tamis.labelers.labeler import Labelled, Outcome
from tamis.labelers.votes import vote
from tamis.ml.baselines import fit_baseline
from tamis.schema import Example, Input, Kind, Target
from tamis.testing import ScriptedLabeler

INTENT = Target(name="intent", kind=Kind.SINGLE_LABEL, labels=("delivery", "payment"))
TOPICS = Target(name="topics", kind=Kind.MULTI_LABEL, labels=("urgent", "angry"))


def nothing(*_: object) -> None:
    """Listen to nothing."""


class Fixed:
    """A labeler with these answers."""

    def __init__(self, *labelled: Labelled) -> None:
        self.labelled = list(labelled)

    def label(self, inputs: Sequence[Input], *, told: Any = nothing, check: Check = nothing) -> list[Labelled]:
        return self.labelled


def answered(
    *samples: dict[str, tuple[str, ...]], targets: tuple[Target, ...] = (INTENT, TOPICS), **more: Any
) -> Labelled:
    usual = {"seconds": 0.5, "prompt_tokens": 1000, "completion_tokens": 100, "samples": len(samples)}
    return Labelled(vote(targets, samples), more.pop("outcome", Outcome.ANSWERED), **usual | more)


def llm(*labelled: Labelled, targets: tuple[Target, ...] = (INTENT, TOPICS), **more: Any) -> LlmContender:
    return LlmContender("llm:x", Fixed(*labelled), targets, "an LLM", **more)


def test_an_llm_that_is_asked_once_has_no_scores() -> None:
    one = answered({"intent": ("payment",), "topics": ()})
    said = llm(one).answer(["a"], nothing, nothing).said
    assert said["intent"].given.tolist() == [[False, True]]
    assert said["intent"].scores is None
    assert not said["topics"].given.any()
    assert not said["topics"].failed.any()
    assert said["intent"].abstained is None


def test_votes_are_scores() -> None:
    votes = [{"intent": ("payment",), "topics": ("angry",)}, {"intent": ("delivery",), "topics": ("angry", "urgent")}]
    contender = llm(answered(*votes, votes[1]), samples=3)
    said = contender.answer(["a"], nothing, nothing).said
    assert said["intent"].scores is not None
    assert said["intent"].scores[0] == pytest.approx([2 / 3, 1 / 3])
    assert said["topics"].given.tolist() == [[True, True]]
    assert contender.cuts("topics")[0] == [0.5, 0.5]
    assert "more than half" in str(contender.cuts("topics")[1])
    assert contender.cuts("intent") == (None, None)


def test_failures_are_rows_without_an_answer() -> None:
    refused = Labelled(None, Outcome.REFUSED, "it would rather not")
    half = answered({"intent": ("payment",)}, outcome=Outcome.INVALID, why="no topics")
    spoken = llm(refused, half, refused).answer(["a", "b", "c"], nothing, nothing)
    assert spoken.said["intent"].failed.tolist() == [True, False, True]
    assert spoken.said["topics"].failed.tolist() == [True, True, True]
    assert not spoken.said["intent"].given[0].any()
    assert spoken.outcomes == {"refused": 2, "invalid": 1}
    assert spoken.notes == ("2 rows refused: it would rather not", "1 row invalid: no topics")


def test_none_of_the_labels_is_abstaining() -> None:
    target = INTENT.model_copy(update={"oos_label": "oos"})
    one = answered({"intent": ("oos",)}, targets=(target,))
    failed = Labelled(None, Outcome.FAILED, "no answer")
    said = llm(one, failed, targets=(target,)).answer(["a", "b"], nothing, nothing).said["intent"]
    assert said.abstained is not None
    assert said.abstained.tolist() == [True, False]
    assert not said.given.any()


def test_costs_count_what_was_paid_and_what_a_million_would_cost() -> None:
    told = answered({"intent": ("payment",), "topics": ()})
    kept = answered({"intent": ("payment",), "topics": ()}, cached=True)
    over = Labelled(None, Outcome.OVER_BUDGET, "the budget is used up")
    spoken = llm(told, kept, over, price=Price(1.0, 10.0)).answer(["a", "b", "c"], nothing, nothing)
    assert spoken.cost.prompt_tokens == 2000
    assert spoken.cost.this_run == pytest.approx(0.002)
    assert spoken.cost.million_texts == pytest.approx(2000)
    assert spoken.cached == 1
    assert (spoken.speed.latency_rows, spoken.speed.p50) == (1, 0.5)
    unpriced = llm(told).answer(["a"], nothing, nothing).cost
    assert (unpriced.this_run, unpriced.million_texts, unpriced.completion_tokens) == (None, None, 100)


def test_what_was_lost_is_paid_too() -> None:
    budget = Budget(price=Price(1.0, 1.0))
    reserved = budget.reserve(1_000_000, 0)
    assert reserved is not None
    budget.lose(reserved)
    one = answered({"intent": ("payment",), "topics": ()}, cached=True)
    assert llm(one, price=budget.price, budget=budget).answer(["a"], nothing, nothing).cost.this_run == 1.0


def test_an_llm_of_which_all_is_cached_has_no_speed() -> None:
    one = answered({"intent": ("payment",), "topics": ()}, cached=True, seconds=0.0)
    speed = llm(one).answer(["a"], nothing, nothing).speed
    assert (speed.p50, speed.texts_per_second, speed.latency_rows) == (None, None, 0)


def test_shares_of_votes_are_chosen_on_other_rows() -> None:
    few = answered(*({"topics": ("angry",)} if n < 1 else {"topics": ()} for n in range(4)), targets=(TOPICS,))
    none = answered(*({"topics": ()} for _ in range(4)), targets=(TOPICS,))
    rows = build(
        [Example(str(n), {"topics": ("angry",) if n % 2 else ()}, n, frozenset({"topics"})) for n in range(20)],
        [TOPICS],
    )
    contender = llm(*([none, few] * 10), targets=(TOPICS,), samples=4)
    assert not contender.answer(rows.inputs, nothing, nothing).said["topics"].given.any()
    contender.choose(rows, nothing, nothing)
    assert 0 < contender.chosen["topics"] <= 0.25
    given = contender.answer(rows.inputs, nothing, nothing).said["topics"].given
    assert given[:, 1].tolist() == [False, True] * 10
    assert "20 rows of the validation data" in str(contender.cuts("topics")[1])


def test_rows_that_all_failed_choose_nothing() -> None:
    rows = build([Example("a", {"topics": ("angry",)}, 1, frozenset({"topics"}))], [TOPICS])
    contender = llm(Labelled(None, Outcome.FAILED), targets=(TOPICS,), samples=3)
    contender.choose(rows, nothing, nothing)
    assert contender.chosen == {}


def test_a_scripted_labeler_is_a_contender_too() -> None:
    labeler = ScriptedLabeler((INTENT,), lambda text: {"intent": ["payment"]} if "pay" in str(text) else None)
    spoken = LlmContender("llm:s", labeler, (INTENT,), "a script").answer(["pay", "other"], nothing, nothing)
    assert spoken.said["intent"].failed.tolist() == [False, True]
    assert LlmContender("llm:s", labeler, (INTENT,), "a script").kind is ContenderKind.LLM


def test_a_model_says_what_it_classifies(model) -> None:
    contender = ModelContender("shop", model, hour_price=2.0)
    texts = ["where is my parcel", "refund the invoice now", "", "where is the van"] * 3
    seen: list[tuple[int, int]] = []
    spoken = contender.answer(texts, lambda done, rows: seen.append((done, rows)), nothing)
    labels = model.targets[0].labels
    said = [labels[row.argmax()] for row in spoken.said["topic"].given]
    assert said == [labels[row.argmax()] for row in model.scores(texts)["topic"]]
    flagged = [tuple(np.array(model.targets[1].labels)[row]) for row in spoken.said["all"].given]
    assert flagged == [prediction["all"].labels for prediction in model.classify(texts)]
    silent = spoken.said["topic"].abstained
    assert silent is None or silent.tolist() == [answer["topic"].abstained for answer in model.classify(texts)]
    assert seen[-1] == (12, 12)
    assert spoken.outcomes == {"answered": 12}
    assert spoken.speed.latency_rows == 12
    assert spoken.speed.p50 is not None
    assert spoken.cost.million_texts == pytest.approx(2 * (spoken.cost.million_texts_hours or 0), rel=1e-3)
    assert contender.cuts("topic") == (None, None)
    assert contender.cuts("all")[1] == "stored in the model"


def test_rows_are_answered_in_parts(model, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"where is parcel {n}" for n in range(23)]
    whole = ModelContender("m", model).answer(texts, nothing, nothing).said["topic"]
    monkeypatch.setattr(contenders, "AT_ONCE", 5)
    parts = ModelContender("m", model).answer(texts, nothing, nothing).said["topic"]
    assert parts.scores is not None
    assert whole.scores is not None
    assert np.abs(parts.scores - whole.scores).max() < 1e-6
    assert len(parts) == 23


def test_a_baseline_says_what_it_learnt() -> None:
    examples = [Example(f"text {n}", {"intent": (("payment",) if n % 3 else ("delivery",))}, n) for n in range(30)]
    contender = BaselineContender("baseline:majority", fit_baseline("majority", build(examples, [INTENT])), "constant")
    spoken = contender.answer(["a", "b"], nothing, nothing)
    assert spoken.said["intent"].given.tolist() == [[False, True]] * 2
    assert spoken.said["intent"].scores is not None
    assert contender.cuts("intent") == (None, None)
    drawn = BaselineContender("baseline:random", fit_baseline("random", build(examples, [INTENT])), "luck")
    assert drawn.answer(["a"], nothing, nothing).said["intent"].scores is None
