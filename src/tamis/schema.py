"""The nouns of Tamis: targets, inputs, examples, predictions.

Owns their shapes only. It does not know how they are read from files, trained on or served.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

NONE_LABELS = frozenset({"safe", "none", "ok", "neutral", "clean"})
"""Default names (lower case) of labels that mean "nothing applies"."""


class Kind(StrEnum):
    """Whether a target takes one label of an example or any number of them."""

    SINGLE_LABEL = "single_label"  # softmax: scores sum to 1
    MULTI_LABEL = "multi_label"  # sigmoid: one independent probability a label


class Target(BaseModel):
    """One question asked of every example."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: Kind
    labels: tuple[str, ...]
    none_labels: tuple[str, ...] = ()
    oos_label: str | None = None
    """What rows of data carry that are out of a single-label target's scope: none of its labels."""

    @model_serializer(mode="wrap")
    def _without_unset(self, plain: SerializerFunctionWrapHandler) -> dict[str, object]:
        """As it was before there were such rows, where there are none: hashes of data stay what they were."""
        made: dict[str, object] = plain(self)
        if self.oos_label is None:
            made.pop("oos_label", None)
        return made

    @classmethod
    def of(cls, name: str, kind: Kind, labels: tuple[str, ...], none_labels: tuple[str, ...] | None = None) -> Target:
        """Return a target; None takes the labels with the usual names as none labels, where it is multi-label."""
        if none_labels is None:
            usual = tuple(label for label in labels if label.lower() in NONE_LABELS)
            none_labels = usual if kind is Kind.MULTI_LABEL else ()
        return cls(name=name, kind=kind, labels=labels, none_labels=none_labels)

    @property
    def is_multi(self) -> bool:
        """Whether an example may carry any number of the labels."""
        return self.kind is Kind.MULTI_LABEL


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat."""

    role: str
    content: str


Input = str | tuple[Message, ...]
"""A text, or a chat: its messages in order."""


class Ending(str):
    """A text that keeps its end where a model reads only a part of it; any other keeps its beginning."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Example:
    """One input with its labels, as read from `line` (1-based) of a file.

    A target that `labels` does not mention is unknown. `listed` names the targets whose value was a list. `weight` says
    how much the example counts in training beside others.
    """

    input: Input
    labels: Mapping[str, tuple[str, ...]]
    line: int = 0
    listed: frozenset[str] = frozenset()
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model says of one input for one target.

    `labels` are those given (one for single-label; any number for multi-label; none when it abstains);
    `scores` maps every label to its calibrated probability, `confidence` is the highest of them. `evidence` is what the
    abstain rule looks at; None without a rule.
    """

    labels: tuple[str, ...]
    scores: Mapping[str, float]
    abstained: bool = False
    confidence: float = 1.0
    evidence: float | None = None

    @property
    def label(self) -> str | None:
        """The first label given, or None."""
        return self.labels[0] if self.labels else None


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answers for one input, by target."""

    answers: Mapping[str, Answer] = field(default_factory=dict)

    def __getitem__(self, target: str) -> Answer:
        """The answer for `target`."""
        return self.answers[target]

    def to_json(self) -> dict[str, object]:
        """Plain types, for a line of JSON."""
        return {
            name: {
                "labels": list(answer.labels),
                "scores": {label: round(float(score), 6) for label, score in answer.scores.items()},
                "abstained": answer.abstained,
            }
            for name, answer in self.answers.items()
        }


def as_chat(messages: Sequence[Mapping[str, str]]) -> tuple[Message, ...]:
    """Return `[{"role": …, "content": …}]` as an input."""
    return tuple(Message(role=message["role"], content=message["content"]) for message in messages)


def plain_text(given: Input) -> str:
    """Return the input as one string: a text as it is, a chat as `role: content` lines."""
    if isinstance(given, str):
        return given
    return "\n".join(f"{message.role}: {message.content}" for message in given)
