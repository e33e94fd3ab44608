"""The tiers of base models, each behind the same functions; the module of one is imported when it is needed.

A new tier is a line here and a module with these functions.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tamis.ml.artifact import Artifact
    from tamis.ml.cards import Tier
    from tamis.ml.estimates import Estimate
    from tamis.ml.progress import Check
    from tamis.ml.scorer import Scorer
    from tamis.ml.trained import Attended, Start, Task, Trained

TIERS: dict[Tier, str] = {"static": "tamis.ml.static.tier", "encoder": "tamis.ml.encoder.tier"}
"""By a tier's name, its module."""


class TierModule(Protocol):
    """What a tier does; `base` is a base model of its own."""

    def train(self, base: Any, task: Task, attended: Attended) -> Trained:  # noqa: ANN401
        """Return what training comes to."""

    def grow(self, start: Start, task: Task, attended: Attended) -> Trained:
        """Return what adding labels and targets to a model comes to."""

    def restore(self, artifact: Artifact) -> Scorer:
        """Return what an artifact of this tier holds."""

    def tokens_read(self, architecture: Mapping[str, object]) -> int | None:
        """Return how many tokens of an input are read by a model whose manifest has this; None for all of them."""

    def estimate(self, base: Any, task: Task, check: Check) -> Estimate:  # noqa: ANN401
        """Return what a run will take, before it starts."""


def tier(name: Tier) -> TierModule:
    """Return a tier."""
    return cast("TierModule", import_module(TIERS[name]))
