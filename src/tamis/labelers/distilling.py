"""Distilling: a model of one's own trained on an LLM's labels, and both measured on rows that people labelled.

Owns the order (the test rows are labelled first, so that a budget that runs out leaves a report), that no test row is
learnt from, and what student and teacher cost. How they are compared is in `comparing`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import cast

import numpy as np
from pydantic import JsonValue

from tamis.data.declared import DeclaredTarget
from tamis.data.duplicates import loose_form
from tamis.data.formats import ReadOptions
from tamis.data.loading import Part, load
from tamis.errors import NoRows, NothingToLearn
from tamis.evaluation.agreement import Agreement, agreement
from tamis.evaluation.comparison import Comparison
from tamis.evaluation.metrics import Bools
from tamis.labelers.budget import Price
from tamis.labelers.comparing import compare
from tamis.labelers.contenders import LlmContender, Spoken
from tamis.labelers.labeler import Labelled
from tamis.labelers.labelled_rows import LabelledRows, LabelsInputs, Unlabelled, label_rows
from tamis.ml.model import Model
from tamis.ml.progress import Check, Listener, Progress, nobody, nothing
from tamis.ml.training import DEFAULT_BASE, train
from tamis.schema import Example, Input, Kind, Prediction, Target, plain_text

TEACHER, STUDENT = "teacher", "student"
MILLION = 1_000_000

Told = Callable[[int, int], None]


def _unheard(done: int, rows: int) -> None:
    """Listen to nothing."""


LABELLING = 0.7
"""Share of a run that is told as labelling."""


@dataclass(frozen=True, slots=True)
class Student:
    """How the student is trained.

    Attributes:
        base: its base model.
        out: where it is written; None leaves it in memory.
        name: what it is called.
        seed: of the training.
        overwrite: replace a model that is there.
        least_confidence: labels that are less sure are unknown to it.
    """

    base: str = DEFAULT_BASE
    out: Path | None = None
    name: str | None = None
    seed: int = 0
    overwrite: bool = False
    least_confidence: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Distilled:
    """What came of it.

    Attributes:
        model: the student.
        labelled: the rows with the teacher's labels, those that were learnt from and the others.
        leaks: rows that stand in the test data too, and were neither labelled nor learnt from.
        comparison: teacher and student on the test rows.
        agreement: by target, how often the student says what the teacher says there.
        student_seconds: that a million texts take on this machine, in the same run as the comparison says.
        teacher_tokens: of questions and of answers for a million texts, by all texts that it was asked about, those
            of the test data too; None where nothing was answered.
        teacher_cost: for a million texts, as the comparison has it; None without a price.
    """

    model: Model
    labelled: LabelledRows
    leaks: int
    comparison: Comparison
    agreement: dict[str, Agreement]
    student_seconds: float
    teacher_tokens: tuple[float, float] | None
    teacher_cost: float | None

    def to_json(self) -> dict[str, JsonValue]:
        """Plain types."""
        prompt, answers = self.teacher_tokens or (None, None)
        return {
            "rows": len(self.labelled),
            "learnt_from": self.model.manifest.data.train_rows,
            "leaks": self.leaks,
            "outcomes": dict(self.labelled.outcomes()),
            "agreement": {name: found.model_dump(mode="json") for name, found in self.agreement.items()},
            "million_texts": {
                TEACHER: {"prompt_tokens": prompt, "completion_tokens": answers, "cost": self.teacher_cost},
                STUDENT: {"seconds": self.student_seconds},
            },
            "comparison": self.comparison.model_dump(mode="json"),
        }


def distil(  # noqa: PLR0913  (the door to distilling)
    unlabelled: Unlabelled,
    test: str,
    labeler: LabelsInputs,
    *,
    student: Student | None = None,
    price: Price | None = None,
    samples: int = 1,
    options: ReadOptions | None = None,
    listener: Listener = nobody,
    check: Check = nothing,
) -> Distilled:
    """Train a model on an LLM's labels and measure both on rows that people labelled.

    Args:
        unlabelled: the rows to label and to learn from; those of the test data are left out.
        test: the file that people labelled; nothing is fitted to it, and no row of it is learnt from.
        labeler: the teacher.
        student: how the model is trained.
        price: of the teacher's tokens.
        samples: how often the teacher is asked about each text.
        options: how to read the test file.
        listener: told what goes on.
        check: called often; what it raises ends the run.

    Raises:
        NoRows: all rows stand in the test data, or none got a label.
        UpstreamFailed: the teacher answers nothing.
        DataError: the test data cannot be read, or has none of the targets.
    """
    student, teacher = student or Student(), _Remembering(labeler)
    part = load(test, teacher.targets, options)
    rows = _without(unlabelled.examples, part)
    told = _telling(listener, len(part.data), len(rows))
    label_rows([Example(given, {}) for given in part.data.inputs], teacher, told=told(0), check=check)
    labelled = label_rows(rows, teacher, told=told(len(part.data)), check=check)
    model = _trained(labelled, student, _after_labelling(listener), check)
    contender = _Teacher(TEACHER, teacher, teacher.targets, f"labelled {len(rows):,} rows", samples, price)
    comparison = compare({TEACHER: contender, STUDENT: model}, test, options=options, against=TEACHER, check=check)
    return Distilled(
        model=model,
        labelled=labelled,
        leaks=len(unlabelled.examples) - len(rows),
        comparison=comparison,
        agreement=_agreement(teacher, model, part.data.inputs),
        student_seconds=round((comparison.contender(STUDENT).cost.million_texts_hours or 0.0) * 3600, 2),
        teacher_tokens=_tokens_a_million(list(teacher.known.values())),
        teacher_cost=comparison.contender(TEACHER).cost.million_texts,
    )


@dataclass(slots=True)
class _Remembering:
    """A labeler that is asked about no input twice, with a cache on disk or without."""

    labeler: LabelsInputs
    known: dict[Input, Labelled] = field(default_factory=dict)
    seconds: float = 0.0  # that labelling took, of a clock
    asked: int = 0  # inputs about which something had to be asked

    @property
    def targets(self) -> tuple[Target, ...]:
        return self.labeler.targets

    def label(
        self,
        inputs: Sequence[Input],
        *,
        told: Told = _unheard,
        check: Check = nothing,
    ) -> list[Labelled]:
        new = [given for given in dict.fromkeys(inputs) if given not in self.known]
        if new:
            begin = perf_counter()
            found = self.labeler.label(new, told=told, check=check)
            self.seconds += perf_counter() - begin
            self.asked += sum(not each.cached for each in found)
            self.known |= dict(zip(new, found, strict=True))
        return [self.known[given] for given in inputs]


class _Teacher(LlmContender):
    """The teacher as a contender: what it took is known from all that it was asked, not from what is remembered."""

    def answer(self, inputs: Sequence[Input], told: Told, check: Check) -> Spoken:
        spoken = super().answer(inputs, told, check)
        remembered = cast("_Remembering", self.labels)
        rate = remembered.asked / remembered.seconds if remembered.asked and remembered.seconds else None
        speed = spoken.speed.model_copy(update={"seconds": remembered.seconds, "texts_per_second": rate})
        tokens = _tokens_a_million(list(remembered.known.values()))
        cost = spoken.cost.model_copy(update={"million_texts": _cost(tokens, self.price)})
        return replace(spoken, speed=speed, cost=cost)


def _without(examples: Sequence[Example], test: Part) -> list[Example]:
    """The rows that are no rows of the test data, by their texts without regard to case and blanks."""
    there = {_loose(given) for given in test.data.inputs}
    kept = [example for example in examples if _loose(example.input) not in there]
    if not kept:
        raise NoRows("Every row stands in the test data too: nothing is left to label and to learn from.")
    return kept


def _loose(given: Input) -> str:
    text = plain_text(given)
    return loose_form(text) or text


def _telling(listener: Listener, first: int, then: int) -> Callable[[int], Told]:
    """What tells how many of all rows are labelled."""

    def after(before: int) -> Told:
        def told(done: int, _: int) -> None:
            share = LABELLING * (before + done) / max(first + then, 1)
            listener(Progress(f"labelled {before + done:,} of {first + then:,} rows", share))

        return told

    return after


def _after_labelling(listener: Listener) -> Listener:
    return lambda told: listener(replace(told, share=LABELLING + (1 - LABELLING) * told.share))


def _trained(labelled: LabelledRows, student: Student, listener: Listener, check: Check) -> Model:
    outside = {target.oos_label for target in labelled.targets if target.oos_label is not None}
    oos_label = outside.pop() if len(outside) == 1 else None  # a model knows one word for it
    examples = labelled.training(student.least_confidence, oos_label=oos_label)
    if not examples:
        raise NothingToLearn(
            f"None of {len(labelled):,} rows got a label that is sure enough: nothing can be learnt. tamis label says "
            "what became of each."
        )
    known = {name for example in examples for name in example.labels}
    declared = [DeclaredTarget(target.name, kind=target.kind) for target in labelled.targets if target.name in known]

    def attend(told: Progress) -> None:
        check()
        listener(told)

    return train(
        examples,
        base=student.base,
        out=student.out,
        name=student.name,
        seed=student.seed,
        overwrite=student.overwrite,
        targets=declared,
        oos_label=oos_label if any((oos_label,) in example.labels.values() for example in examples) else None,
        listener=attend,
    )


def _agreement(teacher: _Remembering, model: Model, inputs: Sequence[Input]) -> dict[str, Agreement]:
    """By target, how often the student says what the teacher says of the test rows."""
    said = [teacher.known[given].prediction for given in inputs]
    learnt = model.predictor.predictions(model.predictor.checked_scores(inputs))
    found = {}
    for target in model.targets:
        whole = next(each for each in teacher.targets if each.name == target.name)
        usable = np.array([each is not None and target.name in each.answers for each in said], dtype=bool)
        first, second = _given(whole, said), _given(whole, learnt)
        found[target.name] = agreement(first, second, usable, single=target.kind is Kind.SINGLE_LABEL)
    return found


def _given(target: Target, predictions: Sequence[Prediction | None]) -> Bools:
    places = {label: place for place, label in enumerate(target.labels)}
    given = np.zeros((len(predictions), len(places)), dtype=bool)
    for row, prediction in enumerate(predictions):
        answer = prediction.answers.get(target.name) if prediction else None
        given[row, [places[label] for label in (answer.labels if answer else ()) if label in places]] = True
    return given


def _tokens_a_million(labelled: Sequence[Labelled]) -> tuple[float, float] | None:
    """Tokens of questions and of answers for a million such texts, by what those that were asked about took."""
    asked = [found for found in labelled if found.prompt_tokens]
    if not asked:
        return None
    prompt, answers = sum(found.prompt_tokens for found in asked), sum(found.completion_tokens for found in asked)
    return prompt / len(asked) * MILLION, answers / len(asked) * MILLION


def _cost(tokens: tuple[float, float] | None, price: Price | None) -> float | None:
    return None if tokens is None or price is None else price.of(round(tokens[0]), round(tokens[1]))
