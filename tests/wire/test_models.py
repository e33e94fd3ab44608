"""Models through every release of the SDK."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wire.client_process import CallFailed, Client, Json
from wire.polling import wait_for
from wire.sdk_environments import MISTRAL
from wire.server_process import Server
from wire.training_rows import topics


def card_of(client: Client, model: str) -> Json:
    return client.call("models.retrieve", model_id=model)


def type_of(card: Json) -> str:
    """Return what a card says that it is; model_dump() of 1.7.0 loses that, and then the other fields show it."""
    return card.get("type") or ("fine-tuned" if "job" in card else "base")


def test_base_models_and_own_models_are_listed(client: Client, topic_model: str) -> None:
    answer = client.call("models.list")
    assert answer["object"] == "list"
    cards = {card["id"]: card for card in answer["data"]}
    assert len(cards) == len(answer["data"])
    (base,) = [card for card in answer["data"] if "ministral-3b-latest" in (card["id"], *card["aliases"])]
    assert (type_of(base), base["capabilities"]["fine_tuning"]) == ("base", True)
    own = cards[topic_model]
    assert (type_of(own), own["root"], own["archived"]) == ("fine-tuned", "ministral-3b-latest", False)
    assert own["capabilities"]["fine_tuning"] is False


def test_a_model_is_found_by_its_name(client: Client, trained: Callable[[str], Json]) -> None:
    job = trained("topics")
    kind, card = client.typed("models.retrieve", model_id=job["fine_tuned_model"])
    assert "FTModelCard" in kind  # not the Unknown… object of a card that does not fit
    assert (card["id"], card["object"], card["job"]) == (job["fine_tuned_model"], "model", job["id"])
    assert (type_of(card), card["root"]) == ("fine-tuned", "ministral-3b-latest")
    assert abs(card["created"] - job["modified_at"]) < 60


def test_a_base_model_is_found_by_its_name(client: Client) -> None:
    kind, card = client.typed("models.retrieve", model_id="ministral-3b-latest")
    assert "BaseModelCard" in kind
    assert (card["id"], type_of(card)) == ("ministral-3b-latest", "base")


@pytest.mark.parametrize("client", MISTRAL[1:], ids=str, indirect=True)  # 1.7.0 has no such capabilities
def test_only_moderators_can_moderate(client: Client, topic_model: str, moderation_model: str) -> None:
    can, cannot = (card_of(client, model)["capabilities"] for model in (moderation_model, topic_model))
    assert (can["classification"], can["moderation"]) == (True, True)
    assert (cannot["classification"], cannot["moderation"]) == (True, False)


def test_name_and_description_can_be_changed(client: Client, trained: Callable[[str], Json]) -> None:
    job = trained("topics")
    name, description = f"name of {client.sdk}", f"described by {client.sdk}"
    kind, found = client.typed("models.update", model_id=job["fine_tuned_model"], name=name, description=description)
    assert "Classifier" in kind
    assert (found["id"], found["name"], found["description"]) == (job["fine_tuned_model"], name, description)
    assert (found["model_type"], found["job"], found["archived"]) == ("classifier", job["id"], False)
    (target,) = found["classifier_targets"]
    assert (target["name"], target["loss_function"]) == ("topic", "single_class")
    assert sorted(target["labels"]) == ["account", "delivery", "payment"]
    assert card_of(client, job["fine_tuned_model"])["description"] == description


def test_one_of_both_leaves_the_other(client: Client, topic_model: str) -> None:
    client.call("models.update", model_id=topic_model, name="kept", description="first")
    found = client.call("models.update", model_id=topic_model, description="second")
    assert (found["name"], found["description"]) == ("kept", "second")


def test_a_model_is_archived_and_taken_back(client: Client, topic_model: str) -> None:
    try:
        assert client.call("models.archive", model_id=topic_model) == {
            "id": topic_model,
            "object": "model",
            "archived": True,
        }
        assert card_of(client, topic_model)["archived"] is True
    finally:
        assert client.call("models.unarchive", model_id=topic_model)["archived"] is False
    assert card_of(client, topic_model)["archived"] is False


def refusal(client: Client, model: str) -> int | None:
    """Return the status with which a classification is refused, or None where it is not."""
    try:
        client.call("classifiers.classify", model=model, inputs=["x"])
    except CallFailed as error:
        return error.status
    return None


def test_what_is_archived_or_deleted_answers_no_more(
    client: Client, server: Server, jsonl: Callable[..., Path]
) -> None:
    """Loaded models too, within moments: servers look at what has changed twice a second."""
    model = server.raw.train(jsonl(topics(3, seed=f"delete {client.sdk}")))["fine_tuned_model"]
    assert refusal(client, model) is None  # it is loaded now
    client.call("models.archive", model_id=model)
    wait_for(lambda: refusal(client, model) == 400, 15)
    client.call("models.unarchive", model_id=model)
    wait_for(lambda: refusal(client, model) is None, 15)
    assert client.call("models.delete", model_id=model) == {"id": model, "object": "model", "deleted": True}
    wait_for(lambda: refusal(client, model) == 400, 15)
    assert model not in [card["id"] for card in client.call("models.list")["data"]]
    for method in ("retrieve", "delete"):
        with pytest.raises(CallFailed) as caught:
            client.call(f"models.{method}", model_id=model)
        assert caught.value.status == 404


@pytest.mark.parametrize(
    ("method", "more"),
    [("retrieve", {}), ("delete", {}), ("update", {"name": "n"}), ("archive", {}), ("unarchive", {})],
)
def test_an_unknown_model_is_not_found(client: Client, method: str, more: dict[str, Any]) -> None:
    unknown = f"ft:classifier:ministral-3b-latest:{uuid.uuid4().hex[:8]}:20250101:{uuid.uuid4().hex[:8]}"
    with pytest.raises(CallFailed) as caught:
        client.call(f"models.{method}", model_id=unknown, **more)
    assert caught.value.status == 404
    assert unknown in caught.value.body


def test_a_base_model_cannot_be_deleted(client: Client) -> None:
    with pytest.raises(CallFailed) as caught:
        client.call("models.delete", model_id="ministral-3b-latest")
    assert caught.value.type == "HTTPValidationError"
    assert "base model" in caught.value.detail[0]["msg"]
    assert type_of(card_of(client, "ministral-3b-latest")) == "base"


def test_the_async_methods(client: Client, topic_model: str) -> None:
    assert topic_model in [card["id"] for card in client.call("models.list_async")["data"]]
    assert client.call("models.retrieve_async", model_id=topic_model)["id"] == topic_model
    assert client.call("models.update_async", model_id=topic_model, name="async")["name"] == "async"
    assert client.call("models.archive_async", model_id=topic_model)["archived"] is True
    assert client.call("models.unarchive_async", model_id=topic_model)["archived"] is False
