"""What an endpoint is found not to understand is asked for in another way."""

from dataclasses import replace

import pytest

from tamis.labelers.dialect import Dialect, Form, is_filtered, is_too_long, is_unpaid
from tamis.schema import Kind, Target

TARGETS = [Target.of("t", Kind.SINGLE_LABEL, ("a", "b"))]
FIRST = Dialect()


def test_the_first_request_asks_for_everything() -> None:
    made = FIRST.request(TARGETS, 256, 0.0)
    assert made["response_format"]["type"] == "json_schema"
    assert made["response_format"]["json_schema"]["strict"] is True
    assert made["response_format"]["json_schema"]["schema"]["properties"]["t"]["enum"] == ["a", "b"]
    assert made["temperature"] == 0.0
    assert made["max_tokens"] == 256


@pytest.mark.parametrize(
    ("complaint", "change"),
    [
        ("This response_format type is unavailable now", {"form": Form.OBJECT}),
        ("Invalid schema for response_format 'labels': at most 500 enum values", {"form": Form.OBJECT}),
        ("json_schema is not supported", {"form": Form.OBJECT}),
        ("failed to parse grammar", {"form": Form.OBJECT}),
        ("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", {"cap": "max_completion_tokens"}),
        ("Unsupported value: 'temperature' does not support 0 with this model.", {"temperature": False}),
        ("System role not supported", {"system": False}),
    ],
)
def test_complaints_change_what_they_name(complaint: str, change: dict[str, object]) -> None:
    assert FIRST.after(complaint) == replace(FIRST, **change)


def test_an_endpoint_without_json_objects_gets_text() -> None:
    complaint = "'response_format.type' must be 'json_schema' or 'text'"
    assert replace(FIRST, form=Form.OBJECT).after(complaint) == replace(FIRST, form=Form.TEXT)
    assert "response_format" not in replace(FIRST, form=Form.TEXT).request(TARGETS, 1, 0.0)


def test_a_complaint_that_names_nothing_changes_nothing() -> None:
    assert FIRST.after("Bad Request") is None
    assert replace(FIRST, form=Form.TEXT).after("response_format") is None


def test_ways_to_ask_become_simpler_and_end() -> None:
    tried, at = [FIRST], FIRST.simpler()
    while at:
        assert at not in tried
        tried.append(at)
        at = at.simpler()
    assert tried[-1].request(TARGETS, 256, 0.0) == {}
    assert not tried[-1].system


def test_room_grows_up_to_a_bound() -> None:
    dialect, rooms = FIRST, []
    while dialect := dialect.roomier():
        rooms.append(dialect.room)
    assert rooms == [8, 64]


def test_a_dialect_comes_back_as_it_was_kept() -> None:
    known = Dialect(Form.OBJECT, "", temperature=False, system=False, room=8)
    assert Dialect.of(known.to_json()) == known
    for damaged in (
        {},
        {"form": "yaml", "room": 1},
        {"form": "text", "room": "x"},
        {"form": "text", "room": 1, "x": 2},
    ):
        assert Dialect.of(damaged) is None


@pytest.mark.parametrize(
    "damage",
    [
        *({"cap": "messages"}, {"cap": ["max_tokens"]}, {"temperature": "no"}, {"system": 1}),
        *({"room": float("inf")}, {"room": -3}, {"room": 10**9}),
    ],
)
def test_a_damaged_dialect_is_none(damage: dict[str, object]) -> None:
    assert Dialect.of(FIRST.to_json() | damage) is None


def test_what_complaints_mean() -> None:
    assert is_too_long("This model's maximum context length is 4096 tokens.")
    assert is_too_long("Prompt is too long")
    assert not is_too_long("Invalid schema for response_format: too many tokens")
    assert is_filtered("The response was filtered (content_filter)")
    assert is_unpaid("You exceeded your current quota (insufficient_quota)")
    assert not is_unpaid("Rate limit reached. You can add a payment method at https://example.org/account/billing")
