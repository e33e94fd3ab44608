"""Inputs in, calibrated scores and answers out: a model with its decision rules.

Texts or chats, one or a million. It does not know files, artifacts or training.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast

import numpy as np

from tamis.data.truth import Bools
from tamis.errors import InvalidSetting
from tamis.evaluation.thresholds import abstains, decide
from tamis.ml.decisions import Floats, calibrated
from tamis.ml.manifest import Manifest, TargetManifest
from tamis.ml.static.model import StaticModel
from tamis.ml.static.single import logits_of_one, suits
from tamis.schema import Answer, Input, Message, Prediction, Target

Chat = Sequence[Message | Mapping[str, object]]
"""A chat as callers have it: messages, or `{"role": …, "content": …}` objects."""

Inputs = Iterable[str | Chat]

AT_ONCE = 16_384
"""Inputs whose scores `predict` holds at a time."""


class Predictor:
    """Answers with a model. Scores of an input do not depend on what else is in the batch."""

    def __init__(self, model: StaticModel, manifest: Manifest) -> None:
        """Take the model and the decision rules of its manifest."""
        self.targets: tuple[Target, ...] = tuple(entry.target for entry in manifest.targets)
        self._model = model
        self._rules = tuple(_Rule(entry) for entry in manifest.targets)

    def scores(self, inputs: Inputs) -> dict[str, Floats]:
        """Return (inputs, labels) calibrated probabilities for each target: float32, labels in the target's order.

        Raises:
            InvalidSetting: an input is neither a text nor a chat; the message names its index.
        """
        return self.checked_scores(checked(inputs))

    def checked_scores(self, inputs: Sequence[Input]) -> dict[str, Floats]:
        """Return the same for inputs that are known to be right, such as those of a dataset."""
        return self.scores_of(self.logits(inputs))

    def logits(self, inputs: Sequence[Input]) -> Mapping[str, Floats]:
        """(inputs, labels) for each target, before calibration; the inputs are known to be right."""
        alone = len(inputs) == 1 and suits(self._model, inputs[0])
        return logits_of_one(self._model, inputs[0]) if alone else self._model.logits(inputs)

    def scores_of(self, logits: Mapping[str, Floats]) -> dict[str, Floats]:
        """Return the calibrated scores that logits come to."""
        return {rule.name: rule.scores(logits[rule.name]) for rule in self._rules}

    def labels(self, inputs: Inputs) -> dict[str, list[tuple[str, ...]]]:
        """Return the labels given to each input for each target, none where the model abstains: `predict`, quicker."""
        scores = self.scores(inputs)
        return {rule.name: rule.given(scores[rule.name], rule.abstained(scores[rule.name])) for rule in self._rules}

    def predict(self, inputs: Inputs) -> list[Prediction]:
        """Return what the model says of each input.

        Raises:
            InvalidSetting: an input is neither a text nor a chat; the message names its index.
        """
        wanted = checked(inputs)
        found: list[Prediction] = []
        for start in range(0, len(wanted), AT_ONCE):
            found += self.predictions(self.checked_scores(wanted[start : start + AT_ONCE]))
        return found

    def predictions(self, scores: Mapping[str, Floats]) -> list[Prediction]:
        """Return what scores, as `scores` returns them, come to."""
        answers = [rule.answers(scores[rule.name]) for rule in self._rules]
        names = [rule.name for rule in self._rules]
        return [Prediction(dict(zip(names, row, strict=True))) for row in zip(*answers, strict=True)]

    def abstained(self, scores: Mapping[str, Floats]) -> dict[str, Bools | None]:
        """(n,) for each target whether the model gives no answer; None where it has no abstain rule."""
        return {rule.name: rule.abstained(scores[rule.name]) for rule in self._rules}

    def thresholds(self, target: str) -> Floats | None:
        """(n_labels,) from which score each label is given; None for a single-label target."""
        return next(rule.thresholds for rule in self._rules if rule.name == target)


class LabelScores(Mapping[str, float]):
    """The scores of one input by label: a view of an array, so that thousands of labels cost nothing until read."""

    __slots__ = ("_places", "_row")

    def __init__(self, places: Mapping[str, int], row: Floats) -> None:
        """Take the labels' places and the (n_labels,) scores."""
        self._places, self._row = places, row

    def __getitem__(self, label: str) -> float:
        """The score of a label."""
        return float(self._row[self._places[label]])

    def __iter__(self) -> Iterator[str]:
        """Yield the labels in the target's order."""
        return iter(self._places)

    def __len__(self) -> int:
        """Labels."""
        return len(self._places)

    def __repr__(self) -> str:
        """As a dictionary."""
        return repr(dict(self))


class _Rule:
    """How one target's logits become scores and answers."""

    def __init__(self, entry: TargetManifest) -> None:
        self.name, self.labels = entry.name, entry.labels
        self.thresholds = None if entry.thresholds is None else np.array(entry.thresholds, dtype=np.float32)
        self._entry = entry
        self._places = {label: place for place, label in enumerate(entry.labels)}

    def scores(self, logits: Floats) -> Floats:
        return calibrated(self._entry.kind, self._entry.calibration, logits)

    def abstained(self, scores: Floats) -> Bools | None:
        if self._entry.abstain is None:
            return None
        return abstains(scores.max(axis=1), self._entry.abstain.threshold)

    def given(self, scores: Floats, abstained: Bools | None) -> list[tuple[str, ...]]:
        given: list[tuple[str, ...]]
        if self.thresholds is None:
            given = [(self.labels[code],) for code in scores.argmax(axis=1).tolist()]
        else:
            given = self._several(decide(scores, self.thresholds))
        if abstained is not None:
            for row in np.flatnonzero(abstained).tolist():
                given[row] = ()
        return given

    def _several(self, given: Bools) -> list[tuple[str, ...]]:
        codes = np.nonzero(given)[1]
        ends = np.cumsum(given.sum(axis=1)).tolist()
        names = [self.labels[code] for code in codes.tolist()]
        return [tuple(names[start:end]) for start, end in zip([0, *ends], ends, strict=False)]

    def answers(self, scores: Floats) -> list[Answer]:
        abstained = self.abstained(scores)
        silent = abstained.tolist() if abstained is not None else [False] * len(scores)
        rows = zip(self.given(scores, abstained), scores, silent, scores.max(axis=1).tolist(), strict=True)
        return [Answer(given, LabelScores(self._places, row), no, sure) for given, row, no, sure in rows]


def is_one(given: object) -> bool:
    """Return whether this is one input (a text, or a chat with at least one message) rather than several."""
    if isinstance(given, str):
        return True
    return isinstance(given, list | tuple) and len(given) > 0 and isinstance(given[0], Message | Mapping)


def checked(inputs: Inputs) -> list[Input]:
    """Return the inputs as texts and tuples of messages.

    Raises:
        InvalidSetting: one is neither a text nor a chat; the message names its index.
    """
    if isinstance(inputs, str | bytes | Mapping) or not isinstance(inputs, Iterable):
        raise InvalidSetting(
            f"The inputs are {_named(inputs)}, not a list: give a list of texts, or of chats.", setting="inputs"
        )
    return [given if type(given) is str else _checked(given, index) for index, given in enumerate(inputs)]


def _checked(given: object, index: int) -> Input:
    if isinstance(given, str):
        return str(given)
    if not isinstance(given, list | tuple):
        raise InvalidSetting(
            f"Input {index} is {_named(given)}: give a text, or a chat as a list of "
            '{"role": "user", "content": "…"} messages.',
            setting="inputs",
            index=index,
        )
    return tuple(_message(message, index, place) for place, message in enumerate(given))


def _message(given: object, index: int, place: int) -> Message:
    if isinstance(given, Mapping):
        read = cast("Mapping[str, object]", given)
        role, content = read.get("role"), read.get("content")
    else:
        role, content = getattr(given, "role", None), getattr(given, "content", None)
    if isinstance(role, str) and isinstance(content, str):
        return given if isinstance(given, Message) else Message(role, content)
    what = _named(given) if not isinstance(given, Mapping | Message) else "without a role and a content that are texts"
    raise InvalidSetting(
        f'Input {index} is a chat, and its message {place} is {what}: give {{"role": "user", "content": "…"}}.',
        setting="inputs",
        index=index,
    )


def _named(given: object) -> str:
    if given is None:
        return "None"
    return f"of type {type(given).__name__}"
