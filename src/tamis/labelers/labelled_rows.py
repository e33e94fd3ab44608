"""Rows of a file with what an LLM said of each, as rows to train on.

A row has the form of labelled data, with keys of its own for how labels came about: `confidence` by target, `outcome`,
and `why` where something is missing. A target without a usable answer is unknown; no row is lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from tamis.data.formats import ReadOptions
from tamis.data.loading import Given, Reading, RejectsFile, Tally
from tamis.data.rows import RAW_LIMIT, Rejected, printable
from tamis.errors import NoRows
from tamis.labelers.budget import Price
from tamis.labelers.labeler import Labelled, Outcome
from tamis.ml.progress import Check, nothing
from tamis.schema import Answer, Example, Input, Target, plain_text

Row = dict[str, object]
Told = Callable[[int, int], None]


CURES = {
    Outcome.ANSWERED: "",
    Outcome.REFUSED: "Label it by hand, or ask another LLM.",
    Outcome.INVALID: "Label it by hand, or say what the labels mean.",
    Outcome.FAILED: "Give the same command again: only what has no answer yet is asked.",
    Outcome.OVER_BUDGET: "Give the same command again, with a larger budget.",
}
"""What to do about a row without labels."""


class LabelsInputs(Protocol):
    """Whatever labels inputs: an LLM, or a script in tests."""

    @property
    def targets(self) -> tuple[Target, ...]:
        """What it labels."""
        ...

    def label(self, inputs: Sequence[Input], *, told: Told = ..., check: Check = ...) -> list[Labelled]:
        """Return the inputs labelled, in their order."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Unlabelled:
    """Rows that were read: inputs with their lines, and what became of each file."""

    examples: Sequence[Example]
    tallies: tuple[Tally, ...]

    @property
    def name(self) -> str:
        """What was read."""
        return ", ".join(tally.file for tally in self.tallies)

    @property
    def rejected(self) -> int:
        """Rows that could not be read."""
        return sum(tally.rejected for tally in self.tallies)


@dataclass(frozen=True, slots=True, eq=False)
class LabelledRows:
    """Rows with what was said of each."""

    targets: tuple[Target, ...]
    examples: Sequence[Example]
    labelled: Sequence[Labelled]

    def __len__(self) -> int:
        """Rows."""
        return len(self.examples)

    def rows(self, *, without_labels: bool = True) -> Iterator[Row]:
        """Yield the rows as plain types, in the order of the file; those of which nothing is known too, unless told."""
        for example, found in zip(self.examples, self.labelled, strict=True):
            known = _labels(self.targets, found)
            if not known and not without_labels:
                continue
            nothing_known: Row = {target.name: None for target in self.targets}
            answers = found.prediction.answers if found.prediction else {}
            row: Row = {**_input(example.input), "labels": known or nothing_known}
            row["confidence"] = {name: round(answer.confidence, 4) for name, answer in answers.items()}
            row |= {"line": example.line, "outcome": found.outcome.value}
            yield row | ({"why": found.why} if found.why else {})

    def rejected(self, file: str) -> Iterator[Rejected]:
        """Yield the rows of which nothing is known as rejected rows of a file."""
        for example, found in zip(self.examples, self.labelled, strict=True):
            if not _labels(self.targets, found):
                text = printable(plain_text(example.input)[:RAW_LIMIT])
                yield Rejected(file, example.line, f"llm_{found.outcome}", found.why, CURES[found.outcome], text)

    @property
    def without_labels(self) -> int:
        """Rows of which nothing is known."""
        return sum(not _labels(self.targets, found) for found in self.labelled)

    def training(self, least_confidence: float = 0.0, *, oos_label: str | None = None) -> list[Example]:
        """Return the rows of which something is known, to learn from; labels that are less sure are not known.

        Rows out of a target's scope are there as rows with its `oos_label`, where that is the one that is given.
        """
        listed = frozenset(target.name for target in self.targets if target.is_multi)
        made = []
        for example, found in zip(self.examples, self.labelled, strict=True):
            answers = found.prediction.answers if found.prediction else {}
            known = {
                name: labels
                for name, labels in _labels(self.targets, found).items()
                if answers[name].confidence >= least_confidence
                and not (answers[name].abstained and labels != oos_label)
            }
            if known:
                labels = {name: tuple(each) if isinstance(each, list) else (str(each),) for name, each in known.items()}
                made.append(Example(example.input, labels, example.line, listed & labels.keys()))
        return made

    def outcomes(self) -> dict[str, int]:
        """How many rows came to what."""
        counts = Counter(found.outcome for found in self.labelled)
        return {outcome.value: counts[outcome] for outcome in Outcome}

    def counts(self) -> dict[str, dict[str, int]]:
        """How many rows got each label, by target; the most frequent first, those that none got last."""
        found: dict[str, dict[str, int]] = {}
        for target in self.targets:
            answers = [each.prediction.answers.get(target.name) for each in self.labelled if each.prediction]
            count = Counter(label for answer in answers if answer for label in _given(target, answer))
            found[target.name] = dict(count.most_common()) | {name: 0 for name in target.labels if name not in count}
        return found

    def tokens(self) -> tuple[int, int]:
        """Tokens of all questions and of all answers, those of earlier runs included; equal inputs are asked once."""
        asked = {example.input: found for example, found in zip(self.examples, self.labelled, strict=True)}
        prompt, answers = (
            sum(found.prompt_tokens for found in asked.values()),
            sum(found.completion_tokens for found in asked.values()),
        )
        return prompt, answers

    def cost(self, price: Price | None) -> float | None:
        """What all labels cost, in this run and before it; None without a price."""
        return None if price is None else price.of(*self.tokens())

    @property
    def cached(self) -> int:
        """Rows about which nothing had to be asked."""
        return sum(found.cached for found in self.labelled)


def read_unlabelled(
    given: Given,
    options: ReadOptions | None = None,
    *,
    max_bad_share: float = 0.0,
    rejects: RejectsFile | None = None,
    limit: int | None = None,
) -> Unlabelled:
    """Read rows whose labels, if they have any, do not matter: the first `limit` of them.

    Raises:
        TooManyBadRows: too large a share cannot be read.
        NoRows: there is none.
        DataError: the file cannot be read.
    """
    reading = Reading(given, "unlabelled", replace(options or ReadOptions(), labelled=False), rejects)
    examples = list(reading)[:limit]
    reading.refuse_above(max_bad_share)
    if not examples:
        raise NoRows("There is no row to label: give a file with texts.")
    return Unlabelled(examples, tuple(reading.tallies))


def label_rows(
    examples: Sequence[Example], labeler: LabelsInputs, *, told: Told = lambda done, rows: None, check: Check = nothing
) -> LabelledRows:
    """Return rows with what a labeler says of each.

    Raises:
        UpstreamFailed: its endpoint answers nothing.
    """
    found = labeler.label([example.input for example in examples], told=told, check=check)
    return LabelledRows(tuple(labeler.targets), examples, found)


def _labels(targets: Sequence[Target], found: Labelled) -> Row:
    """The labels by target, as labelled data has them; what is not known is not there."""
    answers: Mapping[str, Answer] = found.prediction.answers if found.prediction else {}
    known: Row = {}
    for target in targets:
        answer = answers.get(target.name)
        if answer is not None:
            given = _given(target, answer)
            known[target.name] = list(given) if target.is_multi else given[0]
    return known


def _given(target: Target, answer: Answer) -> tuple[str, ...]:
    """The labels that are given; where none of them fits, the one that says so."""
    if answer.abstained and target.oos_label is not None:
        return (target.oos_label,)
    return answer.labels


def _input(given: Input) -> Row:
    if isinstance(given, str):
        return {"text": given}
    return {"messages": [{"role": message.role, "content": message.content} for message in given]}
