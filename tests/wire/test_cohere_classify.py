"""`co.classify` with models that other doors made, and after examples, through each release."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wire.client_process import CallFailed, Client, Json
from wire.training_rows import ABUSE, TOPICS

EXAMPLES = [{"text": text, "label": topic} for topic, said in TOPICS.items() for text in said]


def refused(cohere: Client, kind: str, **arguments: Any) -> str:
    """Return the message of the exception that a call must raise."""
    with pytest.raises(CallFailed) as caught:
        cohere.call("classify", **arguments)
    assert caught.value.type == kind
    assert isinstance(caught.value.body, dict)
    return caught.value.body["message"]


def test_a_model_of_another_door(cohere: Client, trained: Callable[[str], Json]) -> None:
    job = trained("topics")  # made through Mistral's API
    for model in (f"{job['id']}-ft", job["fine_tuned_model"]):
        answer = cohere.call(
            "classify", model=model, inputs=["where is my parcel", "the invoice is wrong"], examples=None
        )
        first, second = answer["classifications"]
        assert (first["prediction"], first["predictions"], first["input"]) == (
            "delivery",
            ["delivery"],
            "where is my parcel",
        )
        assert (second["prediction"], second["classification_type"]) == ("payment", "single-label")
        assert first["confidence"] == first["confidences"][0] == first["labels"]["delivery"]["confidence"]
        assert sum(label["confidence"] for label in first["labels"].values()) == pytest.approx(1, abs=1e-5)
    assert answer["meta"]["billed_units"]["classifications"] == 2


def test_several_labels_or_none(cohere: Client, moderation_model: str) -> None:
    both = f"{ABUSE['insult'][0]}, {ABUSE['threat'][0]}"
    answer = cohere.call("classify", model=moderation_model, inputs=[both, ABUSE["insult"][0]], examples=[])
    assert set(answer["classifications"][0]["predictions"]) == {"insult", "threat"}
    assert answer["classifications"][1]["predictions"] == ["insult"]
    assert answer["classifications"][1]["classification_type"] == "multi-label"


def test_after_examples(cohere: Client) -> None:
    answer = cohere.call("classify", inputs=["my parcel did not come", "a password that I forgot"], examples=EXAMPLES)
    assert [one["prediction"] for one in answer["classifications"]] == ["delivery", "account"]


def test_the_second_and_the_asynchronous_client(cohere: Client, topic_model: str) -> None:
    for client in ("second", "asynchronous"):
        answer = cohere.call(f"{client}.classify", model=topic_model, inputs=["where is my parcel"])
        assert answer["classifications"][0]["prediction"] == "delivery"


def test_what_is_wrong_is_a_bad_request(cohere: Client, topic_model: str) -> None:
    assert "96 are allowed" in refused(cohere, "BadRequestError", model=topic_model, inputs=["a"] * 97)
    assert "index 1" in refused(cohere, "BadRequestError", model=topic_model, inputs=["a", ""])
    assert "at least 2 labels" in refused(cohere, "BadRequestError", inputs=["a"], examples=EXAMPLES[:4])
    assert "fewer of 'payment'" in refused(cohere, "BadRequestError", inputs=["a"], examples=EXAMPLES[:5])
    assert "name a model" in refused(cohere, "BadRequestError", inputs=["a"])
    assert "UUID" in refused(cohere, "BadRequestError", model="mine-ft", inputs=["a"])


def test_what_is_not_there_is_not_found(cohere: Client) -> None:
    unknown = "00000000-0000-0000-0000-000000000000-ft"
    assert unknown in refused(cohere, "NotFoundError", model=unknown, inputs=["a"])


def test_models_tokens_and_the_key(cohere: Client, topic_model: str) -> None:
    cards = cohere.call("models.list", page_size=1000, endpoint="classify")["models"]
    card = next(card for card in cards if card["name"] == topic_model)
    assert card["finetuned"] is True
    assert all(card["endpoints"] == ["classify"] for card in cards)
    assert cohere.call("models.get", model=topic_model)["name"] == topic_model
    tokens = cohere.call("tokenize", text="where is my parcel", model=topic_model, offline=False)
    assert len(tokens["tokens"]) == len(tokens["token_strings"]) >= 4
    assert cohere.call("tokenize", text="where is my parcel", model="english")["tokens"] == tokens["tokens"]
    assert cohere.call("check")["valid"] is True
