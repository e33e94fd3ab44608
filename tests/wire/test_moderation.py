"""Moderation by one's own multi-label classifiers, through every release of the SDK."""

from __future__ import annotations

import pytest

from wire.client_process import CallFailed, Client, Json

RUDE, THREAT, KIND = "you are an idiot", "I will find you and hurt you", "have a lovely day"
BOTH = f"{RUDE}, {THREAT}"


def flagged(result: Json) -> set[str]:
    """Return the categories that are true."""
    return {name for name, yes in result["categories"].items() if yes}


def test_labels_are_categories(client: Client, moderation_model: str) -> None:
    answer = client.call("classifiers.moderate", model=moderation_model, inputs=[RUDE, THREAT, BOTH, KIND])
    assert answer["model"] == moderation_model
    assert [flagged(result) for result in answer["results"]] == [{"insult"}, {"threat"}, {"insult", "threat"}, set()]
    for result in answer["results"]:
        assert {"insult", "threat"} <= set(result["categories"]) == set(result["category_scores"])


def test_a_none_label_never_flags(client: Client, moderation_model: str) -> None:
    (result,) = client.call("classifiers.moderate", model=moderation_model, inputs=[KIND])["results"]
    classified = client.call("classifiers.classify", model=moderation_model, inputs=[KIND])
    assert classified["results"][0]["moderation"]["scores"]["safe"] > 0.8  # the model is sure of it,
    assert flagged(result) == set()  # and yet nothing is flagged
    assert result["categories"].get("safe", False) is False


def test_scores_are_the_classifiers_own(client: Client, moderation_model: str) -> None:
    moderated = client.call("classifiers.moderate", model=moderation_model, inputs=[BOTH, KIND])["results"]
    classified = client.call("classifiers.classify", model=moderation_model, inputs=[BOTH, KIND])["results"]
    for one, other in zip(moderated, classified, strict=True):
        scores = other["moderation"]["scores"]
        assert one["category_scores"] == pytest.approx(
            {name: scores[name] for name in one["category_scores"]}, abs=1e-6
        )


def test_one_text_is_answered_by_a_list_of_one(client: Client, moderation_model: str) -> None:
    (result,) = client.call("classifiers.moderate", model=moderation_model, inputs=RUDE)["results"]
    assert flagged(result) == {"insult"}


def test_several_targets_give_categories_with_their_name(client: Client, two_moderations_model: str) -> None:
    texts = [f"{RUDE}. buy cheap pills now", f"{KIND}. see you at the meeting", f"{KIND}. win a free prize click here"]
    answer = client.call("classifiers.moderate", model=two_moderations_model, inputs=texts)
    assert [flagged(result) for result in answer["results"]] == [
        {"abuse/insult", "adverts/spam"},
        set(),
        {"adverts/spam"},
    ]
    assert {"abuse/insult", "abuse/threat", "adverts/spam"} <= set(answer["results"][0]["categories"])


def test_a_chat(client: Client, moderation_model: str) -> None:
    chat = [{"role": "user", "content": RUDE}, {"role": "assistant", "content": "Please calm down."}]
    (result,) = client.call("classifiers.moderate_chat", model=moderation_model, inputs=chat)["results"]
    assert set(result["categories"]) >= {"insult", "threat"}


def test_several_chats(client: Client, moderation_model: str) -> None:
    chats = [[{"role": "user", "content": RUDE}], [{"role": "user", "content": KIND}]]
    answer = client.call("classifiers.moderate_chat", model=moderation_model, inputs=chats)
    assert [flagged(result) for result in answer["results"]] == [{"insult"}, set()]


def test_the_async_methods(client: Client, moderation_model: str) -> None:
    answer = client.call("classifiers.moderate_async", model=moderation_model, inputs=[THREAT])
    assert flagged(answer["results"][0]) == {"threat"}
    chats = [[{"role": "user", "content": RUDE}]]
    answer = client.call("classifiers.moderate_chat_async", model=moderation_model, inputs=chats)
    assert flagged(answer["results"][0]) == {"insult"}


def test_an_unknown_model(client: Client) -> None:
    with pytest.raises(CallFailed) as caught:
        client.call("classifiers.moderate", model="no-such-model", inputs=["x"])
    assert (caught.value.type, caught.value.status) == ("SDKError", 400)
    assert "no-such-model" in caught.value.message


def test_a_model_without_several_labels_cannot_moderate(client: Client, topic_model: str) -> None:
    """The message says what kind of model can."""
    for method in ("classifiers.moderate", "classifiers.moderate_chat"):
        inputs = ["x"] if method.endswith("moderate") else [{"role": "user", "content": "x"}]
        with pytest.raises(CallFailed) as caught:
            client.call(method, model=topic_model, inputs=inputs)
        assert "multi-label" in caught.value.message + caught.value.body
        assert caught.value.type in ("SDKError", "HTTPValidationError")


def test_too_many_inputs(client: Client, moderation_model: str) -> None:
    with pytest.raises(CallFailed) as caught:
        client.call("classifiers.moderate", model=moderation_model, inputs=["x"] * 5000)
    assert caught.value.type == "HTTPValidationError"
    assert "2048" in caught.value.detail[0]["msg"].replace(",", "")
