"""A network judged on held-out rows while it is trained.

It does not know how the rows were held out.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tamis.data.dataset import Dataset, columns_of
from tamis.data.thinning import evenly
from tamis.ml.encoder.loop import Material, Trainee, all_logits
from tamis.ml.encoder.losses import relative
from tamis.ml.encoder.machine import Machine
from tamis.ml.holding_out import judged_rows
from tamis.ml.progress import Check
from tamis.ml.schedule import Plan
from tamis.ml.static.judging import loss_at_best_temperature, macro_rates, means, metric
from tamis.ml.static.losses import loss_of

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

SHARE = 0.15
"""Of the time that training takes, so much may go into judging."""

BACKWARD = 3
"""A row that is learnt from takes so many times as long as one that is judged."""

LEAST_JUDGED, MOST_JUDGED = 50, 2_000


def rows_to_judge(data: Dataset, plan: Plan) -> Ints:
    """Return the held-out rows that every evaluation looks at: all, or evenly so many that it takes little time."""
    known = np.zeros(len(data), dtype=bool)
    for truth in data.truth.values():
        known |= judged_rows(truth)
    rows = np.flatnonzero(known)
    evaluations = sum(plan.evaluates_at(update) for update in range(1, min(plan.updates, 10_000) + 1))
    affordable = SHARE * BACKWARD * plan.updates * plan.batch / max(evaluations, 1)
    most = int(np.clip(affordable, LEAST_JUDGED, MOST_JUDGED))
    return rows[evenly(len(rows), most)]


class Watcher:
    """Judges a network on held-out rows."""

    def __init__(
        self, data: Dataset, material: Material, target_weights: Mapping[str, float], machine: Machine
    ) -> None:
        """Remember the rows; all of them are looked at each time."""
        self._material, self._machine, self._rows = material, machine, data.weights
        self._weights = relative(data, target_weights)
        self._targets = [
            (name, columns, data.truth[name], np.flatnonzero(judged_rows(data.truth[name])))
            for name, columns in columns_of(data).items()
        ]

    def __call__(self, trainee: Trainee, check: Check) -> dict[str, float]:
        """Return the loss at the temperature that suits best, over all targets, and a metric a target."""
        logits = all_logits(trainee, self._material, self._machine, check)
        loss, metrics = 0.0, dict[str, float]()
        for name, columns, truth, rows in self._targets:
            if not len(rows):
                continue
            some, wanted = logits[rows, columns], truth.select(rows)
            counted = loss_of(wanted, 0.0, row_weights=None if self._rows is None else self._rows[rows])
            of_rows = loss_at_best_temperature(some, counted, np.arange(len(rows)))
            loss += self._weights[name] * of_rows / len(rows)
            metrics |= metric(name, some, wanted) | macro_rates(name, some, wanted)
        return {"valid_loss": loss, **metrics, **means(metrics)}
