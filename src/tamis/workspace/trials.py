"""What a model says of a few inputs, for people to look at: bars, the answer, the words that moved it.

It does not know HTML, nor who asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tamis.endpoints import InputLimits
from tamis.evaluation.highlights import Highlight, marked_parts
from tamis.ml.explaining import Asked, Explanation, LabelExplanation, Piece
from tamis.ml.manifest import TargetManifest
from tamis.schema import Answer, Input, Prediction
from tamis.workspace.classifying import Served

ROOM = 4_000
"""Characters of an input that are shown with its words marked; of a longer one, what stands around them."""

MOST_MARKED = 40
STEPS = (0.08, 0.3, 0.65)
"""How a word weighs beside the strongest one, from which it is marked a little, more, most."""

LEAST = 0.05
"""Log-odds below which a word moves nothing that is worth a mark."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A label with its score; from which score it is given (of several labels); whether it is."""

    label: str
    score: float
    cut: float | None
    given: bool


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a text: `strength` 1 to 3 where it speaks for the label, -1 to -3 against it, 0 where not marked."""

    text: str
    strength: int = 0


@dataclass(frozen=True, slots=True)
class Passage:
    """A text, or a message of a chat with who says it, in parts."""

    role: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Why:
    """The words that moved the score of a label, marked where they stand."""

    label: str
    given: bool
    passages: tuple[Passage, ...]

    @property
    def is_marked(self) -> bool:
        """Whether any word moved it."""
        return any(part.strength for passage in self.passages for part in passage.parts)


@dataclass(frozen=True, slots=True)
class Said:
    """What a model says of one input for one target.

    Attributes:
        name: of the target.
        several: whether any number of its labels may be given.
        labels: those given.
        abstained: whether it gives no answer.
        cut: from which score it answers, where that decides; None where more than the score does.
        none: the score of "none of these", where the model learnt it.
        bars: all labels, the highest score first.
        whys: what moved the labels' scores; empty where that was not asked for.
        evidence: that the text is of a kind that the model knows, where that decides, not the score; else None.
        line: the evidence from which it answers.
    """

    name: str
    several: bool
    labels: tuple[str, ...]
    abstained: bool
    cut: float | None
    none: float
    bars: tuple[Bar, ...]
    whys: tuple[Why, ...] = ()
    evidence: float | None = None
    line: float | None = None

    @property
    def best(self) -> Bar:
        """The label with the highest score."""
        return self.bars[0]

    @property
    def is_out(self) -> bool:
        """Whether "none of these" is likelier than any label."""
        return self.abstained and self.none > self.best.score


@dataclass(frozen=True, slots=True)
class Trial:
    """What a model says of one input.

    Attributes:
        given: the input.
        said: by target, in the model's order.
        is_cut: whether the model reads only a part of it.
        notes: what is to be known of how its words were looked at.
    """

    given: Input
    said: tuple[Said, ...]
    is_cut: bool = False
    notes: tuple[str, ...] = field(default=())


def may_explain(inputs: Sequence[Input], limits: InputLimits) -> bool:
    """Return whether the words of so much may be looked at: each takes work of its own."""
    size = sum(len(given) if isinstance(given, str) else sum(len(each.content) for each in given) for given in inputs)
    return len(inputs) <= limits.explained and size <= limits.explained_chars


def trials(inputs: Sequence[Input], served: Served) -> list[Trial]:
    """Return what a model says of inputs that are known to be right."""
    return _trials(inputs, served, [None] * len(inputs))


def explained_trials(inputs: Sequence[Input], served: Served) -> list[Trial]:
    """Return the same with the words that moved the scores: it takes long."""
    return _trials(inputs, served, served.predictor.explain(inputs, Asked()))


def _trials(inputs: Sequence[Input], served: Served, explained: Sequence[Explanation | None]) -> list[Trial]:
    predictor = served.predictor
    predictions = predictor.predictions(served.scores(inputs))
    cut = set(served.too_long(inputs))
    return [
        Trial(given, _said_of(given, predictor.entries, prediction, why), at in cut, why.notes if why else ())
        for at, (given, prediction, why) in enumerate(zip(inputs, predictions, explained, strict=True))
    ]


def _said_of(
    given: Input, entries: Sequence[TargetManifest], prediction: Prediction, why: Explanation | None
) -> tuple[Said, ...]:
    found = []
    for entry in entries:
        mine = [each for each in why.labels if each.target == entry.name] if why else []
        mine.sort(key=lambda each: -each.score)
        found.append(_said(entry, prediction[entry.name], tuple(_why(given, each) for each in mine)))
    return tuple(found)


def _said(entry: TargetManifest, answer: Answer, whys: tuple[Why, ...]) -> Said:
    cuts = entry.thresholds or [None] * len(entry.labels)
    bars = [
        Bar(label, answer.scores[label], cut, label in answer.labels)
        for label, cut in zip(entry.labels, cuts, strict=True)
    ]
    bars.sort(key=lambda bar: -bar.score)
    several, rule = entry.target.is_multi, entry.abstain
    by_evidence = rule is not None and rule.evidence is not None
    return Said(
        name=entry.name,
        several=several,
        labels=tuple(bar.label for bar in bars if bar.given),
        abstained=answer.abstained,
        cut=rule.threshold if rule is not None and not by_evidence else None,
        none=0.0 if several else max(0.0, 1 - sum(bar.score for bar in bars)),
        bars=tuple(bars),
        whys=whys,
        evidence=answer.evidence if by_evidence else None,
        line=rule.threshold if rule is not None and by_evidence else None,
    )


def _why(given: Input, found: LabelExplanation) -> Why:
    strongest = max((abs(piece.weight) for piece in found.pieces), default=0.0)
    marked = [piece for piece in found.pieces[:MOST_MARKED] if _strength(piece.weight, strongest)]
    if isinstance(given, str):
        return Why(found.label, found.given, (Passage("", _parts(given, marked, strongest)),))
    passages = tuple(
        Passage(message.role, _parts(message.content, [piece for piece in marked if piece.message == at], strongest))
        for at, message in enumerate(given)
    )
    return Why(found.label, found.given, passages)


def _parts(text: str, marked: Sequence[Piece], strongest: float) -> tuple[Part, ...]:
    highlights = [Highlight(piece.start, piece.end, piece.weight) for piece in marked]
    return tuple(Part(said, _strength(weight, strongest)) for said, weight in marked_parts(text, highlights, ROOM))


def _strength(weight: float, strongest: float) -> int:
    """How strongly a word is marked, -3 to 3."""
    if abs(weight) < LEAST or strongest == 0:
        return 0
    steps = sum(abs(weight) / strongest >= step for step in STEPS)
    return steps if weight > 0 else -steps
