"""The form of an answer as a JSON schema: one object with a key for each target, its labels as an enumeration.

It keeps to what endpoints of all makes take in their strict mode: every key is required, none may be added, and there
are no lengths or bounds. The limits are the narrower ones of those that OpenAI has had.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tamis.schema import Target

Json = dict[str, Any]

MOST_VALUES = 500
"""Labels of all enumerations together."""

MANY_VALUES, MOST_CHARS_OF_MANY = 250, 7_500
"""From how many labels on the characters of one enumeration are limited, and to how many."""

MOST_CHARS = 15_000
"""Characters of all names and labels together."""

MOST_KEYS = 100


def choices(target: Target) -> tuple[str, ...]:
    """Return what may be answered: the labels, and the one that says that none of them fits where there is one."""
    outside = target.oos_label
    return target.labels if outside is None or outside in target.labels else (*target.labels, outside)


def answer_schema(targets: Sequence[Target]) -> Json:
    """Return the schema of the object that holds the labels of each target."""
    return {
        "type": "object",
        "properties": {target.name: _of(target) for target in targets},
        "required": [target.name for target in targets],
        "additionalProperties": False,
    }


def _of(target: Target) -> Json:
    one = {"type": "string", "enum": list(choices(target))}
    return {"type": "array", "items": one} if target.is_multi else one


def fits_strict_mode(targets: Sequence[Target]) -> bool:
    """Whether strict mode takes the schema: beyond these limits labels are told in the prompt alone."""
    sizes = [(len(choices(target)), sum(map(len, choices(target)))) for target in targets]
    names = sum(len(target.name) for target in targets)
    return (
        len(targets) <= MOST_KEYS
        and sum(count for count, _ in sizes) <= MOST_VALUES
        and names + sum(chars for _, chars in sizes) <= MOST_CHARS
        and all(count <= MANY_VALUES or chars <= MOST_CHARS_OF_MANY for count, chars in sizes)
    )


def largest_answer(targets: Sequence[Target]) -> int:
    """Return the bytes of the largest answer that is likely: of multi-label targets, the twenty longest labels."""
    longest: dict[str, object] = {}
    for target in targets:
        labels = sorted(choices(target), key=len, reverse=True)
        longest[target.name] = labels[:20] if target.is_multi else labels[0]
    return len(json.dumps(longest))


def answer_json(labels: Mapping[str, Sequence[str]], targets: Sequence[Target]) -> str:
    """Return the answer that gives these labels, as an LLM is to write it."""
    said = {target.name: list(labels[target.name]) if target.is_multi else labels[target.name][0] for target in targets}
    return json.dumps(said, ensure_ascii=False)
