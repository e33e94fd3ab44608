"""What a training run tells while it goes on: stages, checkpoints, remarks. It does not know who listens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Progress:
    """One thing that happened.

    `stage` says in a few words what is being done; `share` (0 to 1) how much of the whole run is behind;
    `checkpoint` holds the metrics of an evaluation; `remark` is for the report.
    """

    stage: str
    share: float
    checkpoint: Mapping[str, float] = field(default_factory=dict)
    remark: str = ""


Listener = Callable[[Progress], None]


def nobody(_: Progress) -> None:
    """Listen to nothing."""
