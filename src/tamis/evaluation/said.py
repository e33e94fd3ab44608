"""What one contender says of all rows for one target: answers, scores where it has them, and where it failed.

Whatever answered (a model, a baseline, an LLM), this is all that a comparison looks at. It knows no contender.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tamis.data.truth import Rows
from tamis.evaluation.metrics import Bools, Floats


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What one contender says of n rows, for one target.

    Attributes:
        given: (n, n_labels) the labels it gives, whether or not it would rather abstain; none in a failed row.
        scores: (n, n_labels) calibrated probabilities; None where it has none (an LLM that was asked once).
        failed: (n,) rows without a usable answer: they count as wrong, and are never left out.
        abstained: (n,) rows it would rather not answer; None where it never abstains. Accuracy and F1 ignore it.
    """

    given: Bools
    scores: Floats | None
    failed: Bools
    abstained: Bools | None = None

    def __len__(self) -> int:
        """Rows."""
        return len(self.given)

    def select(self, rows: Rows) -> Said:
        """The same for some rows."""
        return Said(
            given=self.given[rows],
            scores=None if self.scores is None else self.scores[rows],
            failed=self.failed[rows],
            abstained=None if self.abstained is None else self.abstained[rows],
        )

    @classmethod
    def joined(cls, parts: Sequence[Said]) -> Said:
        """What one contender says of rows that it was given in parts, in their order."""
        scores = [part.scores for part in parts if part.scores is not None]
        silent = [part.abstained for part in parts if part.abstained is not None]
        return cls(
            given=np.concatenate([part.given for part in parts]),
            scores=np.concatenate(scores) if scores else None,
            failed=np.concatenate([part.failed for part in parts]),
            abstained=np.concatenate(silent) if silent else None,
        )

    def among(self, mine: Sequence[str], labels: Sequence[str]) -> Said:
        """The same with the columns of `labels` in place of `mine`: a label that it does not have is never given.

        Args:
            mine: the labels of the columns now.
            labels: the labels of the columns wanted; all of `mine` are among them.
        """
        if tuple(mine) == tuple(labels):
            return self
        place = {label: at for at, label in enumerate(labels)}
        to = np.array([place[label] for label in mine], dtype=np.intp)
        given = np.zeros((len(self), len(labels)), dtype=bool)
        given[:, to] = self.given
        scores = None
        if self.scores is not None:
            scores = np.zeros((len(self), len(labels)), dtype=np.float32)
            scores[:, to] = self.scores
        return Said(given, scores, self.failed, self.abstained)

    def told(self, *, multi: bool) -> Floats | None:
        """(n, n_labels) its scores; in a failed row every label the same (one of n; multi-label: a half)."""
        if self.scores is None or not self.failed.any():
            return self.scores
        told = self.scores.copy()
        told[self.failed] = 0.5 if multi else 1 / max(1, told.shape[1])
        return told
