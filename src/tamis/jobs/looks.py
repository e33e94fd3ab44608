"""Looks as the queue keeps them: why a row is worth a person's look, what state it is in, inputs as JSON and back.

Both who fills the queue (`jobs.queueing`) and who empties it (`workspace.looks`) speak of these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import time
from typing import Any
from uuid import uuid4

from tamis.data.dataset import input_key
from tamis.schema import Input, as_chat, plain_text
from tamis.store.records import LookRecord

CORRECTION = "correction"  # somebody said of an answer that it is wrong
SUSPECT = "suspect"  # its label is likely to be wrong
DISAGREEMENT = "disagreement"  # two versions of the model say different things
UNCERTAIN = "uncertain"  # it has labels, of which the model is not sure
UNLABELLED = "unlabelled"  # it has none, and the model is not sure which
REASONS = (CORRECTION, SUSPECT, DISAGREEMENT, UNCERTAIN, UNLABELLED)

RANK = {reason: float(len(REASONS) - 1 - place) for place, reason in enumerate(REASONS)}
"""What is added to a look's own urgency, 0 to 1, so that the reasons come one after the other."""

OPEN, ANSWERED, SKIPPED = "open", "answered", "skipped"
STATES = (OPEN, ANSWERED, SKIPPED)

LONGEST = 100_000
"""Characters of an input that a person is asked about."""

MOST_OPEN = 10_000
"""Open looks under one name."""

Labels = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """A row on its way into the queue; `urgency` is from 0 to 1 among those of its reason."""

    given: Input
    reason: str
    urgency: float
    proposed: Labels = field(default_factory=dict)
    labels: Labels = field(default_factory=dict)
    source: Mapping[str, Any] = field(default_factory=dict)


def look_at(sight: Sight, name: str, model_id: str | None) -> LookRecord:
    """Return an open look under a model's name."""
    return LookRecord(
        id=str(uuid4()),
        name=name,
        input_hash=hash_of(sight.given),
        input=json_of(sight.given),
        reason=sight.reason,
        priority=priority_of(sight.reason, sight.urgency),
        proposed=plain(sight.proposed),
        given=plain(sight.labels),
        source=dict(sight.source),
        model_id=model_id,
        created_at=int(time()),
    )


def priority_of(reason: str, urgency: float) -> float:
    """Return where a look comes among those of its name; the highest is first."""
    return RANK[reason] + min(max(urgency, 0.0), 1.0) * 0.999


def plain(labels: Labels) -> dict[str, list[str]]:
    """Return labels by target as JSON has them."""
    return {name: list(each) for name, each in labels.items()}


def hash_of(given: Input) -> str:
    """Return what tells inputs apart: files know the same number of each of their rows."""
    return f"{input_key(given):016x}"


def json_of(given: Input) -> str | list[dict[str, str]]:
    """Return an input as JSON has it."""
    if isinstance(given, str):
        return str(given)
    return [{"role": message.role, "content": message.content} for message in given]


def input_of(stored: str | Sequence[Mapping[str, str]]) -> Input:
    """Return an input from JSON."""
    return stored if isinstance(stored, str) else as_chat(stored)


def is_readable(given: Input) -> bool:
    """Return whether a person can be asked about an input: it is not empty, and not as long as a book."""
    return 0 < len(plain_text(given)) <= LONGEST
