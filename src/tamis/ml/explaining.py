"""Why a model says what it says of an input: how much each word moves the score of a label.

The weight of a word is what the log-odds of the label's calibrated score lose when the word is left out of the input
and all else is kept: above 0, the word speaks for the label; below, against it. That is the model's own answer to the
shortened input, no estimate (leave-one-out, or occlusion: Zeiler and Fergus 2014; Li et al. 2016). Weights of several
words need not add up: of two words that say the same, neither is missed.

Cost is bounded: an input of more words than a tier affords is looked at in groups of neighbours, and the strongest
groups a word at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tamis.errors import InvalidSetting, UndeclaredLabel
from tamis.ml.manifest import TargetManifest
from tamis.ml.omissions import Floats, Omissions
from tamis.ml.pieces import Span, joined, leave_out, text_of, together, words_of
from tamis.schema import Input, Kind, Prediction

if TYPE_CHECKING:
    from tamis.ml.predictor import Predictor

DIGITS = 6

Doubles = NDArray[np.float64]
Group = list[Span]


@dataclass(frozen=True, slots=True)
class Piece:
    """A word, or neighbouring words that were left out together, and how much they move a label's score.

    Attributes:
        text: the characters.
        start: where they begin in the text, or in the content of the chat's message number `message`.
        end: where they end: `text == given[start:end]`.
        weight: what the log-odds of the label's score lose without the piece.
        score: the label's score without the piece.
        message: of a chat, which message, counted from 0; None in a text.
    """

    text: str
    start: int
    end: int
    weight: float
    score: float
    message: int | None = None

    def to_json(self) -> dict[str, object]:
        """Plain types; `message` only in a chat."""
        place = {} if self.message is None else {"message": self.message}
        numbers = {"weight": round(self.weight, DIGITS), "score_without": round(self.score, DIGITS)}
        return {"text": self.text, **place, "start": self.start, "end": self.end, **numbers}


@dataclass(frozen=True, slots=True)
class LabelExplanation:
    """What moves the score of one label.

    Attributes:
        target: of the label.
        label: which is explained.
        given: whether the model gives it.
        score: its calibrated score.
        score_of_nothing: its score where all is left out: what the model says of an empty input.
        pieces: the strongest first, whichever way they move it.
    """

    target: str
    label: str
    given: bool
    score: float
    score_of_nothing: float
    pieces: tuple[Piece, ...]

    def to_json(self) -> dict[str, object]:
        """Plain types."""
        return {
            "label": self.label,
            "given": self.given,
            "score": round(self.score, DIGITS),
            "score_of_nothing": round(self.score_of_nothing, DIGITS),
            "pieces": [piece.to_json() for piece in self.pieces],
        }


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a model says what it says of one input.

    Attributes:
        labels: an explanation a label, by target in the model's order; of a target, the labels that the model gives,
            or where it gives none, the one that comes first.
        notes: what is to be known of how far it goes: words looked at together, or not at all.
    """

    labels: tuple[LabelExplanation, ...]
    notes: tuple[str, ...] = ()

    def __getitem__(self, target: str) -> LabelExplanation:
        """The explanation of a target's first label.

        Raises:
            KeyError: the target was not explained.
        """
        for found in self.labels:
            if found.target == target:
                return found
        raise KeyError(target)

    def to_json(self) -> dict[str, object]:
        """Plain types: `targets`, a list of labels each, and `notes`."""
        targets: dict[str, list[object]] = {}
        for found in self.labels:
            targets.setdefault(found.target, []).append(found.to_json())
        return {"targets": targets, "notes": list(self.notes)}


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be explained; None: all targets, the labels that are given, all pieces."""

    target: str | None = None
    label: str | None = None
    top: int | None = None


EVERYTHING = Asked()


def explain(predictor: Predictor, given: Input, asked: Asked = EVERYTHING) -> Explanation:
    """Return why the model says what it says of an input that is known to be right.

    Raises:
        InvalidSetting: the model has no such target, or `top` is below 1.
        UndeclaredLabel: the target has no such label.
    """
    reading = _Reading(predictor, given, asked)
    words, notes = _looked_at(given, reading.omissions)
    groups, weights, scores = _strongest(reading.weigh, words, reading.omissions.most)
    if len(groups) < len(words):
        notes.append(
            f"Of {len(words):,} words, neighbours were left out together, in {len(groups):,} groups: single words "
            "where they move the scores most."
        )
    return Explanation(tuple(reading.found(groups, weights, scores)), tuple(notes))


class _Reading:
    """One input on its way to an explanation: which labels are asked for, and what the model says without words."""

    def __init__(self, predictor: Predictor, given: Input, asked: Asked) -> None:
        entries = _entries(predictor.entries, asked)
        self._said = predictor.predict([given])[0]
        self._columns = [_Columns(entry, _labels(entry, self._said, asked)) for entry in entries]
        self._predictor, self._given, self._top = predictor, given, asked.top
        self.omissions = predictor.omissions(given)
        self._odds, _ = self._read(predictor.logits([given]))

    def weigh(self, groups: Sequence[Group]) -> tuple[Doubles, Doubles]:
        """Return (groups, labels asked for) weights, and the scores without each group."""
        odds, scores = self._read(self.omissions.logits([joined(group) for group in groups]))
        return self._odds - odds, scores

    def found(self, groups: Sequence[Group], weights: Doubles, scores: Doubles) -> Iterator[LabelExplanation]:
        """Yield an explanation a label."""
        _, nothing = self._read(self._predictor.logits([_emptied(self._given)]))
        columns = ((column, label) for column in self._columns for label in column.labels)
        for at, (column, label) in enumerate(columns):
            answer = self._said[column.name]
            pieces = _pieces(self._given, groups, weights[:, at], scores[:, at])[: self._top]
            score, of_nothing = float(answer.scores[label]), float(nothing[0, at])
            yield LabelExplanation(column.name, label, label in answer.labels, score, of_nothing, pieces)

    def _read(self, logits: Mapping[str, Floats]) -> tuple[Doubles, Doubles]:
        """(inputs, labels asked for) log-odds and scores."""
        scores = self._predictor.scores_of(logits)
        odds = [column.log_odds(logits[column.name]) for column in self._columns]
        return np.hstack(odds), np.hstack([scores[c.name][:, c.codes].astype(np.float64) for c in self._columns])


class _Columns:
    """The labels of a target that are explained."""

    def __init__(self, entry: TargetManifest, labels: Sequence[str]) -> None:
        self.name, self.labels = entry.name, labels
        self.codes = [entry.labels.index(label) for label in labels]
        self._is_single = entry.kind is Kind.SINGLE_LABEL
        self._scale, self._bias = np.array(entry.calibration.scale), np.array(entry.calibration.bias)

    def log_odds(self, logits: Floats) -> Doubles:
        """(inputs, labels) of the calibrated scores, log(p / (1 - p)), which does not run out of digits near 1."""
        calibrated: Doubles = logits.astype(np.float64) * self._scale + self._bias
        if not self._is_single:
            return np.take(calibrated, self.codes, axis=1)
        if calibrated.shape[1] == 1:
            return np.zeros_like(calibrated)  # the only label there is: nothing moves it
        columns = [calibrated[:, code] - _log_sum(np.delete(calibrated, code, axis=1)) for code in self.codes]
        return np.column_stack(columns)


def _log_sum(values: Doubles) -> Doubles:
    """(rows,) log of the sum of exponentials."""
    highest = values.max(axis=1)
    found: Doubles = highest + np.log(np.exp(values - highest[:, None]).sum(axis=1))
    return found


def _entries(entries: Sequence[TargetManifest], asked: Asked) -> list[TargetManifest]:
    """The targets that are explained."""
    if asked.top is not None and asked.top < 1:
        raise InvalidSetting(f"top is {asked.top}: explain at least 1 piece.", setting="top")
    names = ", ".join(entry.name for entry in entries)
    found = [entry for entry in entries if asked.target in (None, entry.name)]
    if not found:
        message = f"There is no target {asked.target!r} to explain. The model has {names}."
        raise InvalidSetting(message, setting="target", target=asked.target)
    found = [entry for entry in found if asked.label is None or asked.label in entry.labels]
    if not found:
        where = f"target {asked.target!r}" if asked.target is not None else f"the targets {names}"
        raise UndeclaredLabel(f"There is no label {asked.label!r} to explain in {where}.", label=asked.label)
    return found


def _labels(entry: TargetManifest, said: Prediction, asked: Asked) -> Sequence[str]:
    """The labels of a target that are explained: the one asked for, those given, or the one that comes first."""
    if asked.label is not None:
        return (asked.label,)
    answer = said[entry.name]
    return answer.labels or (max(answer.scores, key=lambda label: answer.scores[label]),)


def _looked_at(given: Input, omissions: Omissions) -> tuple[list[Span], list[str]]:
    """The words that are left out in turn, and what is to be said of the others."""
    words, reads = words_of(given), omissions.reads
    if isinstance(given, str):
        if reads is None or reads >= len(given):
            return words, []
        note = f"The model reads the first {reads:,} of {len(given):,} characters: no others are looked at."
        return [word for word in words if word.start < reads], [note]
    messages = sorted({word.message or 0 for word in words})
    kept = set(messages[-(omissions.most // 2) :])
    if len(kept) == len(messages):
        return words, []
    note = f"The words of the last {len(kept):,} of {len(messages):,} messages are looked at."
    return [word for word in words if word.message in kept], [note]


def _strongest(
    weigh: Callable[[Sequence[Group]], tuple[Doubles, Doubles]], words: Sequence[Span], most: int
) -> tuple[list[Group], Doubles, Doubles]:
    """Return at most `most` groups of neighbouring words in reading order, and what `weigh` says of them.

    Where there are more words, half of that is groups of all, and half words of the groups that weigh most.
    """
    groups = together(words, most if len(words) <= most else most // 2)
    weights, scores = weigh(groups)
    if len(groups) == len(words):
        return groups, weights, scores
    left, opened = most - len(groups), dict[int, list[Group]]()
    for at in np.argsort(-np.abs(weights).max(axis=1), kind="stable").tolist():
        if left < 2:
            break
        if len(groups[at]) > 1:
            opened[at] = together(groups[at], left)
            left -= len(opened[at])
    more_weights, more_scores = weigh([part for parts in opened.values() for part in parts])
    closed = [at for at in range(len(groups)) if at not in opened]
    made = [groups[at] for at in closed] + [part for parts in opened.values() for part in parts]
    order = sorted(range(len(made)), key=lambda at: (made[at][0].message or 0, made[at][0].start))
    weights, scores = np.vstack([weights[closed], more_weights]), np.vstack([scores[closed], more_scores])
    return [made[at] for at in order], weights[order], scores[order]


def _pieces(given: Input, groups: Sequence[Group], weights: Doubles, scores: Doubles) -> tuple[Piece, ...]:
    """The strongest first."""
    found = []
    for at in np.argsort(-np.abs(weights), kind="stable").tolist():
        span = joined(groups[at])
        numbers = float(weights[at]), float(scores[at])
        found.append(Piece(text_of(given, span), span.start, span.end, *numbers, span.message))
    return tuple(found)


def _emptied(given: Input) -> Input:
    """The input without anything; a chat keeps its messages' roles."""
    if isinstance(given, str):
        return leave_out(given, [Span(0, len(given))])
    return leave_out(given, [Span(0, len(message.content), at) for at, message in enumerate(given)])
