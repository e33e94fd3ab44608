"""What an LLM said in an earlier comparison, row by row: it enters another one on these rows, and is asked nothing.

Rows are known by hashes of their inputs: texts are not kept here. It knows neither how LLMs are asked nor where what it
said is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tamis.data.dataset import Dataset, input_key
from tamis.data.loading import Check
from tamis.data.truth import Bools
from tamis.evaluation.comparison import ContenderKind, Cost, Speed
from tamis.evaluation.figures import Record
from tamis.evaluation.said import Said
from tamis.labelers.contenders import Contender, Spoken, Told
from tamis.labelers.labeler import Outcome
from tamis.schema import Input, Target


class EarlierTarget(Record):
    """What it said for one target: `given`, for each row, the places of labels in `target.labels`; null: no answer."""

    target: Target
    given: tuple[tuple[int, ...] | None, ...]


class EarlierAnswers(Record):
    """What an LLM said of all rows that it was asked about, and what that took.

    `rows` are hashes of their inputs, `became` what became of each.
    """

    name: str
    about: str
    rows: tuple[int, ...]
    became: tuple[Outcome, ...]
    targets: tuple[EarlierTarget, ...]
    speed: Speed
    cost: Cost
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, contender: Contender, spoken: Spoken, rows: Dataset) -> EarlierAnswers:
        """Return what a contender said of rows, but for those that it was not asked about for want of budget."""
        became = [Outcome(each) for each in spoken.became]
        asked = np.array([each is not Outcome.OVER_BUDGET for each in became], dtype=bool)
        return cls(
            name=contender.name,
            about=contender.about,
            rows=tuple(rows.keys[asked].tolist()),
            became=tuple(each for each in became if each is not Outcome.OVER_BUDGET),
            targets=tuple(
                EarlierTarget(target=target, given=_given(spoken.said[target.name], asked))
                for target in contender.targets
            ),
            speed=spoken.speed,
            cost=spoken.cost,
            notes=spoken.notes,
        )


@dataclass(slots=True)
class EarlierContender:
    """An LLM that says what it said; `when` it did, in words."""

    name: str
    answers: EarlierAnswers
    when: str
    kind: ContenderKind = ContenderKind.LLM

    @property
    def about(self) -> str:
        """What the LLM is, and that it is not asked now."""
        return f"{self.answers.about}; its answers of {self.when}"

    @property
    def targets(self) -> tuple[Target, ...]:
        """What it was asked."""
        return tuple(each.target for each in self.answers.targets)

    def knows(self, keys: NDArray[np.uint64]) -> Bools:
        """(n,) which of these inputs it was asked about."""
        return np.isin(keys, np.array(self.answers.rows, dtype=np.uint64))

    def answer(self, inputs: Sequence[Input], told: Told, check: Check) -> Spoken:
        """Return what it said of each input; it must know all of them."""
        place = {key: at for at, key in enumerate(self.answers.rows)}
        rows = [place[input_key(given)] for given in inputs]
        told(len(inputs), len(inputs))
        paid = self.answers.cost.million_texts is not None
        return Spoken(
            said={each.target.name: _said(each, rows) for each in self.answers.targets},
            speed=self.answers.speed,
            cost=Cost(million_texts=self.answers.cost.million_texts, this_run=0.0 if paid else None),
            became=[self.answers.became[row] for row in rows],
            cached=len(inputs),
            notes=(f"It said this on {self.when}, and was asked nothing now.", *self.answers.notes),
        )

    def cuts(self, target: str) -> tuple[Sequence[float] | None, str | None]:
        """No thresholds: it has no scores."""
        return None, None


def _given(said: Said, asked: Bools) -> tuple[tuple[int, ...] | None, ...]:
    return tuple(
        None if failed else tuple(np.flatnonzero(row).tolist())
        for row, failed in zip(said.given[asked], said.failed[asked], strict=True)
    )


def _said(known: EarlierTarget, rows: Sequence[int]) -> Said:
    target = known.target
    given = np.zeros((len(rows), len(target.labels)), dtype=bool)
    failed = np.zeros(len(rows), dtype=bool)
    for at, row in enumerate(rows):
        labels = known.given[row]
        if labels is None:
            failed[at] = True
        else:
            given[at, list(labels)] = True
    silent = None if target.is_multi or target.oos_label is None else ~given.any(axis=1) & ~failed
    return Said(given, None, failed, silent)
