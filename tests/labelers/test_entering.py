"""From references to contenders: names, common targets, what each may learn from, prices and budgets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tamis.data.dataset import Dataset, build
from tamis.errors import DataError, InvalidSetting
from tamis.labelers.asking import Asking
from tamis.labelers.budget import Price
from tamis.labelers.endpoint import parse_llm
from tamis.labelers.entering import (
    LEAST_COST,
    MOST,
    THRESHOLD_ROWS,
    Learning,
    Llms,
    all_targets,
    common_targets,
    enter_baseline,
    enter_llm,
    is_baseline,
    names_of,
    threshold_rows,
)
from tamis.schema import Example, Kind, Target

LLM = "llm:gpt@https://llm.example.org/v1"
ENDPOINT = parse_llm(LLM)


def single(name: str, *labels: str, **more: object) -> Target:
    return Target(name=name, kind=Kind.SINGLE_LABEL, labels=labels, **more)


def multi(name: str, *labels: str) -> Target:
    return Target(name=name, kind=Kind.MULTI_LABEL, labels=labels)


def rows(count: int = 30) -> Dataset:
    return build(
        Example(f"text {n}", {"t": (("a", "b")[n % 2],), "m": ("x",) if n % 3 else ()}, n, frozenset({"m"}))
        for n in range(count)
    )


def test_names_are_short_and_each_is_there_once() -> None:
    given = [Path("models/shop/"), LLM, "llm:gpt@http://localhost:1/v1", "llm:other@http://localhost:1", "shop", "shop"]
    assert list(names_of(given)) == [
        "models/shop",
        LLM,
        "llm:gpt@http://localhost:1/v1",
        "llm:other",
        "shop",
        "shop (2)",
    ]
    assert names_of({"mine": "shop", "theirs": LLM}) == {"mine": "shop", "theirs": LLM}


@pytest.mark.parametrize("count", [0, 1, MOST + 1])
def test_two_at_least_and_not_too_many(count: int) -> None:
    with pytest.raises(InvalidSetting, match=f"{count} contender"):
        names_of([f"m{at}" for at in range(count)])


def test_baselines_are_known_by_their_names() -> None:
    assert is_baseline("baseline:tfidf")
    assert not is_baseline("shop")
    assert not is_baseline(Path("baseline:tfidf"))
    with pytest.raises(InvalidSetting, match="baseline:majority, baseline:random"):
        is_baseline("baseline:best")


def test_targets_that_all_have_carry_the_labels_of_all() -> None:
    named = {
        "one": [single("t", "a", "b"), single("alone", "x")],
        "other": [multi("m", "x"), single("t", "c", "a", oos_label="oos")],
    }
    (found,) = common_targets(named)
    assert (found.name, found.labels, found.oos_label) == ("t", ("a", "b", "c"), "oos")
    assert [target.name for target in all_targets(named)] == ["t", "alone", "m"]


def test_targets_that_differ_are_refused_with_who_has_what() -> None:
    with pytest.raises(DataError, match="one has t; other has u"):
        common_targets({"one": [single("t", "a")], "other": [single("u", "a")]})
    with pytest.raises(DataError, match="single-label for one and multi-label for other"):
        common_targets({"one": [single("t", "a")], "other": [multi("t", "a")]})


def test_a_baseline_needs_rows_to_learn_from() -> None:
    with pytest.raises(InvalidSetting, match="--train"):
        enter_baseline("b", "baseline:tfidf", Learning(), [single("t", "a")], 0, lambda: None)
    made = enter_baseline("b", "baseline:majority", Learning(rows()), [single("t", "a", "b")], 0, lambda: None)
    assert [target.name for target in made.targets] == ["t"]
    assert "30 rows" in made.about


def test_an_llm_is_told_the_labels_and_where_it_is(tmp_path: Path) -> None:
    targets = [single("t", "a", "b")]
    llms = Llms(asking=Asking(samples=3), prices={"gpt": Price(1, 2)}, key="secret", cache=tmp_path)
    made = enter_llm("llm:gpt", ENDPOINT, llms, Learning(), targets, 0.0)
    assert made.targets == tuple(targets)
    assert (made.samples, made.price) == (3, Price(1, 2))
    assert made.about == "gpt at https://llm.example.org/v1, asked 3 times about each text"
    assert "secret" not in repr(llms)
    assert list(tmp_path.glob("gpt-*.jsonl"))
    made.close()


def test_the_key_of_one_host_is_not_shown_to_another() -> None:
    here, there = "llm:a@https://HERE.example.org/v1", "llm:b@https://there.example.org"
    assert Llms(key="k").keyless([here, "llm:c@https://here.example.org/v2"]) == frozenset()
    both = Llms(key="k").keyless([here, there])
    assert both == {"https://here.example.org", "https://there.example.org"}
    named = Llms(key="k", default_url="https://there.example.org/v1")
    assert named.keyless([here, there, "llm:c"]) == {"https://here.example.org"}
    assert Llms().keyless([here, there]) == frozenset()


def test_a_budget_is_what_is_left_and_needs_a_price() -> None:
    targets = [single("t", "a")]
    llms = Llms(most_cost=5.0, price=Price(1, 1))
    for spent, left in ((0.0, 5.0), (2.0, 3.0), (9.0, LEAST_COST)):
        budget = enter_llm("llm:gpt", ENDPOINT, llms, Learning(), targets, spent).budget
        assert budget is not None
        assert budget.most_cost == pytest.approx(left)
    with pytest.raises(InvalidSetting, match="--price gpt=IN,OUT"):
        enter_llm("llm:gpt", ENDPOINT, Llms(most_cost=5.0), Learning(), targets, 0.0)


@pytest.mark.parametrize("nearest", [False, True])
def test_examples_come_from_the_training_rows(nearest: bool) -> None:
    llms = Llms(shots=2, nearest=nearest)
    with pytest.raises(InvalidSetting, match="--train"):
        enter_llm("llm:gpt", ENDPOINT, llms, Learning(), [single("t", "a", "b")], 0.0)
    made = enter_llm("llm:gpt", ENDPOINT, llms, Learning(rows()), [single("t", "a", "b")], 0.0)
    shots = made.labels.asking.shots.of("text 3")  # type: ignore[attr-defined]
    assert len(shots) in (2, 4)
    assert all(shot.labels.keys() == {"t"} and shot.input != "text 3" for shot in shots)
    assert ("nearest" in made.about) == nearest


def test_thresholds_are_chosen_on_some_validation_rows() -> None:
    targets = [single("t", "a", "b"), multi("m", "x")]
    assert threshold_rows(Learning(rows()), targets, 0) is None
    assert threshold_rows(Learning(rows(), rows()), targets[:1], 0) is None
    assert len(threshold_rows(Learning(rows(), rows(20)), targets, 0) or []) == 20
    some = threshold_rows(Learning(rows(), rows(500)), targets, 1)
    assert some is not None
    assert len(some) == THRESHOLD_ROWS
    assert sorted(some.lines.tolist()) == some.lines.tolist()
