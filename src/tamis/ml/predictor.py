"""Inputs in, calibrated scores and answers out: a model with its decision rules.

Texts or chats, one or a million. It does not know files, artifacts or training.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tamis.data.formats.chats import content_text
from tamis.data.rows import BadRow
from tamis.data.truth import Bools
from tamis.errors import DamagedArtifact, InvalidSetting
from tamis.evaluation.calibration import FEW
from tamis.evaluation.said import Said
from tamis.evaluation.thresholds import abstains, decide
from tamis.ml.decisions import Floats, activation, evidence_by
from tamis.ml.manifest import Manifest, TargetManifest
from tamis.ml.scorer import FAMILIAR, Scorer, familiar_of
from tamis.schema import Answer, Input, Message, Prediction, Target

if TYPE_CHECKING:
    from tamis.ml.explaining import Asked, Explanation
    from tamis.ml.omissions import Omissions

Chat = Sequence[Message | Mapping[str, object]]
"""A chat as callers have it: messages, or `{"role": …, "content": …}` objects."""

Inputs = Iterable[str | Chat]

AT_ONCE = 16_384
"""Inputs whose scores `predict` holds at a time."""


class Predictor:
    """Answers with a model. Scores of an input do not depend on what else is in the batch."""

    def __init__(self, scorer: Scorer, manifest: Manifest) -> None:
        """Take what scores, and the decision rules of its manifest."""
        self.targets: tuple[Target, ...] = tuple(entry.target for entry in manifest.targets)
        self._scorer, self._entries, self.manifest = scorer, manifest.targets, manifest
        self._rules = tuple(_Rule(entry, place) for place, entry in enumerate(manifest.targets))

    @property
    def entries(self) -> tuple[TargetManifest, ...]:
        """The targets with their decision rules."""
        return self._entries

    @property
    def quick(self) -> bool:
        """Whether a short text takes less than handing it to a thread does."""
        return self._scorer.quick

    @property
    def tolerance(self) -> float:
        """How far off its scores may be on this machine."""
        return self._scorer.tolerance

    def scores(self, inputs: Inputs) -> dict[str, Floats]:
        """Return (inputs, labels) calibrated probabilities for each target: float32, labels in the target's order.

        Raises:
            InvalidSetting: an input is neither a text nor a chat; the message names its index.
        """
        found = self.checked_scores(checked(inputs))
        return {rule.name: found[rule.name] for rule in self._rules}

    def checked_scores(self, inputs: Sequence[Input]) -> dict[str, Floats]:
        """Return the same, and `FAMILIAR`, for inputs that are known to be right, such as those of a dataset."""
        return self.scores_of(self.logits(inputs))

    def logits(self, inputs: Sequence[Input]) -> Mapping[str, Floats]:
        """(inputs, labels) for each target, before calibration; the inputs are known to be right."""
        return self._scorer.logits(inputs)

    def too_long(self, inputs: Sequence[Input]) -> list[int]:
        """Return the places of inputs, known to be right, of which the model reads only a part."""
        return self._scorer.too_long(inputs)

    def omissions(self, given: Input) -> Omissions:
        """What tells how the logits of one input change where words of it are left out."""
        return self._scorer.omissions(given)

    def explain(self, inputs: Inputs, asked: Asked | None = None) -> list[Explanation]:
        """Return why the model says what it says of each input; None asks for the labels that it gives.

        Raises:
            InvalidSetting: an input is neither a text nor a chat, or what is asked for is not there.
            UndeclaredLabel: there is no such label.
        """
        from tamis.ml.explaining import EVERYTHING, explain

        return [explain(self, given, asked or EVERYTHING) for given in checked(inputs)]

    def scores_of(self, logits: Mapping[str, Floats]) -> dict[str, Floats]:
        """Return the calibrated scores that logits come to, and `FAMILIAR` where it is among these.

        Raises:
            DamagedArtifact: a logit is not a finite number.
        """
        found = {rule.name: rule.scores(logits[rule.name]) for rule in self._rules}
        if FAMILIAR in logits:
            found[FAMILIAR] = logits[FAMILIAR]
        return found

    def labels(self, inputs: Inputs) -> dict[str, list[tuple[str, ...]]]:
        """Return the labels given to each input for each target, none where the model abstains: `predict`, quicker."""
        scores = self.checked_scores(checked(inputs))
        abstained = self.abstained(scores)
        return {rule.name: rule.given(scores[rule.name], abstained[rule.name]) for rule in self._rules}

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
        answers = [rule.answers(scores) for rule in self._rules]
        names = [rule.name for rule in self._rules]
        return [Prediction(dict(zip(names, row, strict=True))) for row in zip(*answers, strict=True)]

    def abstained(self, scores: Mapping[str, Floats]) -> dict[str, Bools | None]:
        """(n,) for each target whether the model gives no answer; None where it has no abstain rule."""
        return {name: None if found is None else found.abstained for name, found in self.judged(scores).items()}

    def judged(self, scores: Mapping[str, Floats]) -> dict[str, Judged | None]:
        """What each target's abstain rule says of scores, as `checked_scores` returns them; None without a rule."""
        return {rule.name: rule.judged(scores) for rule in self._rules}

    def said(self, inputs: Sequence[Input]) -> dict[str, Said]:
        """Return what the model says of inputs that are known to be right, for each target, to be compared."""
        scores = self.checked_scores(inputs)
        silent, none = self.abstained(scores), np.zeros(len(inputs), dtype=bool)
        return {
            rule.name: Said(decide(scores[rule.name], rule.thresholds), scores[rule.name], none, silent[rule.name])
            for rule in self._rules
        }

    def thresholds(self, target: str) -> Floats | None:
        """(n_labels,) from which score each label is given; None for a single-label target."""
        return next(rule.thresholds for rule in self._rules if rule.name == target)


class Judged(NamedTuple):
    """What an abstain rule says of some inputs: (n,) the evidence, and whether it is too little for an answer."""

    evidence: Floats
    abstained: Bools


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

    def __init__(self, entry: TargetManifest, place: int) -> None:
        self.name, self.labels, self._place = entry.name, entry.labels, place
        self.thresholds = None if entry.thresholds is None else np.array(entry.thresholds, dtype=np.float32)
        self._activation = activation(entry.kind, entry.calibration)
        self._abstain, self._computed = entry.abstain, len(entry.computed.labels)
        self._places = {label: place for place, label in enumerate(entry.labels)}

    def scores(self, logits: Floats) -> Floats:
        if not _all_finite(logits):
            row = int(np.flatnonzero(~np.isfinite(logits).all(axis=1))[0])
            raise DamagedArtifact(
                f"The model gives no number for target {self.name!r} (input {row}): its weights are too large to "
                "compute with. Train it again, or get a fresh copy of it.",
                target=self.name,
                index=row,
            )
        scores = self._activation(logits)
        return scores if self._computed == len(self.labels) else scores[:, : len(self.labels)]

    def judged(self, found: Mapping[str, Floats]) -> Judged | None:
        rule = self._abstain
        if rule is None:
            return None
        by = evidence_by(rule.evidence, found[self.name], familiar_of(found, self._place))
        return Judged(by, abstains(by, rule.threshold))

    def given(self, scores: Floats, abstained: Bools | None) -> list[tuple[str, ...]]:
        given: list[tuple[str, ...]]
        if self.thresholds is None:
            given = [(self.labels[code],) for code in scores.argmax(axis=1).tolist()]
        else:
            given = self._several(decide(scores, self.thresholds))
        if abstained is not None:
            for row in abstained.nonzero()[0].tolist():
                given[row] = ()
        return given

    def _several(self, given: Bools) -> list[tuple[str, ...]]:
        rows, codes = given.nonzero()
        ends = np.searchsorted(rows, np.arange(1, len(given) + 1)).tolist()
        names = [self.labels[code] for code in codes.tolist()]
        return [tuple(names[start:end]) for start, end in pairwise([0, *ends])]

    def answers(self, by_target: Mapping[str, Floats]) -> list[Answer]:
        scores = by_target[self.name]
        found, sure = self.judged(by_target), scores.max(axis=1).tolist()
        if found is None:
            rows = zip(self.given(scores, None), scores, sure, strict=True)
            return [Answer(given, LabelScores(self._places, row), False, top) for given, row, top in rows]
        silent, by = found.abstained.tolist(), found.evidence.tolist()
        judged = zip(self.given(scores, found.abstained), scores, silent, sure, by, strict=True)
        return [Answer(given, LabelScores(self._places, row), no, top, why) for given, row, no, top, why in judged]


def _all_finite(logits: Floats) -> bool:
    if logits.size <= FEW:
        return all(map(isfinite, logits.ravel().tolist()))
    return bool(np.isfinite(logits).all())


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
    if isinstance(given, Message) and isinstance(given.role, str) and isinstance(given.content, str):
        return given
    what = f"Input {index} is a chat, and "
    if not isinstance(given, Mapping | Message):
        raise _bad_chat(f"{what}its message {place} is {_named(given)}", index)
    read = given if isinstance(given, Mapping) else {"role": given.role, "content": given.content}
    role = read.get("role")
    if not isinstance(role, str) or "content" not in read:
        raise _bad_chat(f"{what}its message {place} is without a role and a content", index)
    try:
        return Message(role, content_text(read["content"], f"{what}the content of its message {place}"))
    except BadRow as refused:
        raise _bad_chat(refused.cause, index) from None


def _bad_chat(cause: str, index: int) -> InvalidSetting:
    cure = 'give {"role": "user", "content": "…"}, or as content a list of {"type": "text", "text": "…"}.'
    return InvalidSetting(f"{cause}: {cure}", setting="inputs", index=index)


def _named(given: object) -> str:
    if given is None:
        return "None"
    return f"of type {type(given).__name__}"
