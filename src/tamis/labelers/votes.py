"""One answer or several for an input, made a prediction: the labels with the most votes, their shares as scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from tamis.labelers.answer_schema import choices
from tamis.schema import Answer, Prediction, Target

Labels = Mapping[str, tuple[str, ...]]
"""Labels by target, as one answer gives them."""


class Shares(Mapping[str, float]):
    """A score for each label of a target, of which only those that are not 0 take room."""

    __slots__ = ("_given", "_labels")

    def __init__(self, labels: Sequence[str], given: Mapping[str, float]) -> None:
        """Take all labels, and the scores of some."""
        self._labels, self._given = labels, dict(given)

    def __getitem__(self, label: str) -> float:
        """The score of a label."""
        if label not in self._labels:
            raise KeyError(label)
        return self._given.get(label, 0.0)

    def __iter__(self) -> Iterator[str]:
        """The labels, in the target's order."""
        return iter(self._labels)

    def __len__(self) -> int:
        """How many labels there are."""
        return len(self._labels)

    def __repr__(self) -> str:
        """As a dict's."""
        return repr(dict(self))


def vote(targets: Sequence[Target], answers: Sequence[Labels]) -> Prediction | None:
    """Return what the answers say together; targets that none of them answers are not in it.

    Of a single-label target the label with the most votes is given, of several the one that stands first among the
    target's labels; of a multi-label one each that more than half give. The confidence is the share of the label that
    is given, or of the least sure decision about a label. Where "none of the labels" has the most votes, none is
    given: that is abstaining.
    """
    found = {target.name: _of(target, given) for target in targets if (given := _for(target, answers))}
    return Prediction(found) if found else None


def _for(target: Target, answers: Sequence[Labels]) -> list[tuple[str, ...]]:
    return [answer[target.name] for answer in answers if target.name in answer]


def _of(target: Target, given: Sequence[tuple[str, ...]]) -> Answer:
    counts = Counter(label for labels in given for label in labels)
    shares = {label: count / len(given) for label, count in counts.items()}
    scores = Shares(target.labels, shares)
    if target.is_multi:
        labels = tuple(label for label in target.labels if shares.get(label, 0.0) > 0.5)
        return Answer(labels, scores, confidence=min((max(share, 1 - share) for share in shares.values()), default=1.0))
    best = max(choices(target), key=lambda label: shares.get(label, 0.0))
    if best not in target.labels:
        return Answer((), scores, abstained=True, confidence=shares[best])
    return Answer((best,), scores, confidence=shares[best])
