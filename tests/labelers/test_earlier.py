"""What an LLM said once stands beside others again: the same figures on the same rows, and nothing is asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labelers.conftest import example_rows, write_rows
from tamis.data.dataset import Dataset
from tamis.errors import DataError
from tamis.evaluation.comparison import Comparison, Cost
from tamis.labelers.budget import Price
from tamis.labelers.comparing import compare
from tamis.labelers.contenders import Contender, LlmContender, Spoken
from tamis.labelers.earlier import EarlierAnswers, EarlierContender
from tamis.labelers.labeler import Outcome
from tamis.ml.model import Model
from tamis.schema import Input
from tamis.testing import ScriptedLabeler

WHEN = "2026-11-22"


def said(given: Input) -> dict[str, list[str]] | None:
    """Refuses every tenth, and is wrong now and then."""
    number = int(str(given).split()[4])
    topic = "delivery" if "parcel" in str(given) or number % 7 == 0 else "payment"
    return None if number % 10 == 0 else {"topic": [topic], "all": [topic, "urgent"]}


def asked(model: Model, rows: Path, **more: Any) -> tuple[Comparison, EarlierContender]:
    """A comparison, and its LLM as it is kept."""
    kept: list[EarlierAnswers] = []

    def heard(contender: Contender, spoken: Spoken, data: Dataset) -> None:
        if isinstance(contender, LlmContender):
            kept.append(EarlierAnswers.of(contender, spoken, data))

    llm = LlmContender("mini", ScriptedLabeler(model.targets, said), model.targets, "an LLM", price=Price(1, 1))
    made = compare({"small": model, "mini": llm}, str(rows), resamples=100, heard=heard, **more)
    (answers,) = kept
    return made, EarlierContender("mini then", EarlierAnswers.model_validate_json(answers.model_dump_json()), WHEN)


def test_the_figures_are_those_of_then_and_nothing_is_paid(model: Model, rows: Path) -> None:
    before, earlier = asked(model, rows)
    again = compare({"small": model, "mini then": earlier}, str(rows), resamples=100)
    for name, target in before.targets.items():
        figures, known = again.targets[name].contenders["mini then"], target.contenders["mini"]
        assert (figures.figures, figures.failed, figures.per_label) == (known.figures, known.failed, known.per_label)
    was, now = before.contender("mini"), again.contender("mini then")
    assert now.outcomes == was.outcomes == {"answered": 36, "refused": 4}
    assert (now.cached, now.speed) == (40, was.speed)
    assert now.cost == Cost(million_texts=was.cost.million_texts, this_run=0.0)
    assert (WHEN in now.about, "was asked nothing now" in now.notes[0]) == (True, True)


def test_all_are_measured_on_the_rows_that_it_was_asked_about(model: Model, rows: Path) -> None:
    before, earlier = asked(model, rows, limit=12)
    again = compare({"small": model, "mini then": earlier}, str(rows), resamples=100)
    assert (again.n, again.rows, again.sampled) == (12, 40, None)
    assert "28 rows were left out that mini then was not asked about then." in again.notes
    assert again.targets["topic"].contenders["small"] == before.targets["topic"].contenders["small"]
    fewer = compare({"small": model, "mini then": earlier}, str(rows), resamples=100, limit=5)
    assert (fewer.n, "12 rows" in str(fewer.sampled)) == (5, True)


def test_rows_that_the_budget_did_not_reach_were_not_asked_about(model: Model, rows: Path) -> None:
    kept: list[EarlierAnswers] = []

    def heard(contender: Contender, spoken: Spoken, data: Dataset) -> None:
        became = [Outcome.OVER_BUDGET if row % 2 else each for row, each in enumerate(spoken.became)]
        kept.append(EarlierAnswers.of(contender, replace(spoken, became=became), data))

    _, earlier = asked(model, rows, limit=9)
    compare({"small": model, "mini": earlier}, str(rows), resamples=100, heard=heard)
    (left,) = kept[1:]
    assert left.rows == earlier.answers.rows[::2]
    assert [each.given for each in left.targets] == [each.given[::2] for each in earlier.answers.targets]


def test_of_other_rows_it_knows_nothing(model: Model, rows: Path, tmp_path: Path) -> None:
    _, earlier = asked(model, rows)
    others = write_rows(tmp_path / "others.jsonl", example_rows(6, first=5000))
    with pytest.raises(DataError, match="ask them anew"):
        compare({"small": model, "mini then": earlier}, str(others))
