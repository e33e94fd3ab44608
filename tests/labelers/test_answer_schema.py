"""The schema of answers: what strict modes take, and when they do not."""

import json

from tamis.labelers.answer_schema import answer_json, answer_schema, fits_strict_mode, largest_answer
from tamis.schema import Kind, Target

INTENT = Target.of("intent", Kind.SINGLE_LABEL, ("refund", "delivery"))
TOPICS = Target.of("topics", Kind.MULTI_LABEL, ("billing", "damage", "none"))


def test_all_targets_stand_in_one_object_with_their_labels() -> None:
    assert answer_schema([INTENT, TOPICS]) == {
        "type": "object",
        "properties": {
            "intent": {"type": "string", "enum": ["refund", "delivery"]},
            "topics": {"type": "array", "items": {"type": "string", "enum": ["billing", "damage", "none"]}},
        },
        "required": ["intent", "topics"],
        "additionalProperties": False,
    }


def many(count: int, width: int = 8) -> Target:
    return Target.of("t", Kind.SINGLE_LABEL, tuple(f"{at:0{width}d}" for at in range(count)))


def test_very_many_labels_are_too_much_for_a_strict_mode() -> None:
    assert fits_strict_mode([INTENT, TOPICS])
    assert fits_strict_mode([many(500)])
    assert not fits_strict_mode([many(501)])
    assert not fits_strict_mode([many(300), many(201)])
    assert not fits_strict_mode([many(251, width=40)])
    assert fits_strict_mode([many(250, width=40)])


def test_the_largest_answer_bounds_every_likely_one() -> None:
    said = answer_json({"intent": ("delivery",), "topics": ("billing", "damage", "none")}, [INTENT, TOPICS])
    assert json.loads(said) == {"intent": "delivery", "topics": ["billing", "damage", "none"]}
    assert len(said) <= largest_answer([INTENT, TOPICS])
