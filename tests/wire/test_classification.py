"""Classification of texts and chats through every release of the SDK."""

from __future__ import annotations

from typing import Any

import pytest

from wire.client_process import CallFailed, Client, Json
from wire.sdk_environments import MISTRAL
from wire.training_rows import TOPICS

EXPECTED = {text: topic for topic, said in TOPICS.items() for text in said}


def best(result: Json, target: str) -> str:
    """Return the label with the highest score."""
    scores = result[target]["scores"]
    return max(scores, key=scores.get)


def classify_chat(client: Client, model: str, chats: Any, method: str = "classifiers.classify_chat") -> Json:
    """Call with the argument's name of the release: `inputs` in 1.x, `input` later."""
    return client.call(method, model=model, **{"inputs" if client.sdk.major == 1 else "input": chats})


def chat(*turns: tuple[str, str]) -> Json:
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


def test_answers_come_in_the_order_of_the_inputs(client: Client, topic_model: str) -> None:
    answer = client.call("classifiers.classify", model=topic_model, inputs=list(EXPECTED))
    assert answer["model"] == topic_model
    assert len(answer["id"]) == 32
    assert int(answer["id"], 16)
    assert [best(result, "topic") for result in answer["results"]] == list(EXPECTED.values())
    for result in answer["results"]:
        assert list(result) == ["topic"]
        assert sum(result["topic"]["scores"].values()) == pytest.approx(1, abs=1e-4)


def test_one_text_is_answered_by_a_list_of_one(client: Client, topic_model: str) -> None:
    (result,) = client.call("classifiers.classify", model=topic_model, inputs="my password does not work")["results"]
    assert best(result, "topic") == "account"
    (listed,) = client.call("classifiers.classify", model=topic_model, inputs=["my password does not work"])["results"]
    assert listed == result


def test_labels_come_in_the_order_of_the_model(client: Client, trained: Any) -> None:
    job = trained("two_moderations")
    answer = client.call("classifiers.classify", model=job["fine_tuned_model"], inputs=["have a lovely day"])
    order = {target["name"]: target["labels"] for target in job["classifier_targets"]}
    assert {name: list(found["scores"]) for name, found in answer["results"][0].items()} == order


def test_scores_of_several_labels_are_independent(client: Client, moderation_model: str) -> None:
    both = "you are an idiot, I will find you and hurt you"
    answer = client.call("classifiers.classify", model=moderation_model, inputs=[both, "have a lovely day"])
    rude, kind = (result["moderation"]["scores"] for result in answer["results"])
    assert rude["insult"] > 0.5
    assert rude["threat"] > 0.5  # both at once: they do not share a sum of one
    assert rude["safe"] < 0.5
    assert kind["safe"] > 0.5
    assert max(kind["insult"], kind["threat"]) < 0.5


@pytest.mark.parametrize("text", ["", " ", "🙂" * 50, "\x00", "a" * 20_000, "\u202e rtl", "x\ny\tz"], ids=ascii)
def test_odd_texts_have_scores(client: Client, topic_model: str, text: str) -> None:
    (result,) = client.call("classifiers.classify", model=topic_model, inputs=[text])["results"]
    assert sum(result["topic"]["scores"].values()) == pytest.approx(1, abs=1e-4)


def test_many_texts_in_one_call(client: Client, topic_model: str) -> None:
    texts = [f"{text} {n}" for n in range(100) for text in EXPECTED]
    answer = client.call("classifiers.classify", model=topic_model, inputs=texts)
    hits = [
        best(result, "topic") == EXPECTED[text.rsplit(" ", 1)[0]]
        for result, text in zip(answer["results"], texts, strict=True)
    ]
    assert sum(hits) > 0.98 * len(texts)


@pytest.mark.parametrize("client", MISTRAL[1:], ids=str, indirect=True)
def test_metadata_may_be_sent(client: Client, topic_model: str) -> None:
    answer = client.call("classifiers.classify", model=topic_model, inputs=["x"], metadata={"a": "b"})
    assert len(answer["results"]) == 1


class TestChats:
    """`classify_chat`, on models of texts and of chats."""

    def test_roles_matter(self, client: Client, chat_model: str) -> None:
        """The same words, said by the other one."""
        chats = [
            chat(("assistant", "hello there"), ("user", "please a refund of the money")),
            chat(("user", "hello there"), ("assistant", "please a refund of the money")),
        ]
        answer = classify_chat(client, chat_model, chats)
        assert answer["model"] == chat_model
        assert [best(result, "who") for result in answer["results"]] == ["customer", "agent"]

    def test_one_chat_is_answered_by_a_list_of_one(self, client: Client, chat_model: str) -> None:
        one = chat(("assistant", "good morning"), ("user", "the money back"))
        (result,) = classify_chat(client, chat_model, one)["results"]
        assert result == classify_chat(client, chat_model, [one])["results"][0]
        assert best(result, "who") == "customer"

    def test_content_in_pieces(self, client: Client, chat_model: str) -> None:
        turns = (("assistant", "one moment"), ("user", "my money, a refund"))
        pieces = {
            "messages": [{"role": role, "content": [{"type": "text", "text": content}]} for role, content in turns]
        }
        whole, parts = classify_chat(client, chat_model, [chat(*turns), pieces])["results"]
        assert parts == whole

    def test_every_role_is_taken(self, client: Client, chat_model: str) -> None:
        turns = chat(("system", "be kind"), ("user", "the money back"), ("assistant", "I am here"))
        turns["messages"].append({"role": "tool", "content": "42", "tool_call_id": "call00001", "name": "count"})
        (result,) = classify_chat(client, chat_model, [turns])["results"]
        assert sum(result["who"]["scores"].values()) == pytest.approx(1, abs=1e-4)

    def test_a_model_of_texts_takes_chats(self, client: Client, topic_model: str) -> None:
        answer = classify_chat(client, topic_model, [chat(("user", text)) for text in EXPECTED])
        assert [best(result, "topic") for result in answer["results"]] == list(EXPECTED.values())

    def test_a_model_of_chats_takes_texts(self, client: Client, chat_model: str) -> None:
        (result,) = client.call("classifiers.classify", model=chat_model, inputs=["a refund of the money"])["results"]
        assert set(result["who"]["scores"]) == {"customer", "agent"}


def test_the_async_methods(client: Client, topic_model: str, chat_model: str) -> None:
    answer = client.call("classifiers.classify_async", model=topic_model, inputs=["where is my parcel"])
    assert best(answer["results"][0], "topic") == "delivery"
    chats = [chat(("assistant", "one moment"), ("user", "the money back"))]
    answer = classify_chat(client, chat_model, chats, "classifiers.classify_chat_async")
    assert best(answer["results"][0], "who") == "customer"


class TestErrors:
    """What a user of the SDK sees of a wrong use."""

    def test_an_unknown_model(self, client: Client) -> None:
        with pytest.raises(CallFailed) as caught:
            client.call("classifiers.classify", model="no-such-model", inputs=["x"])
        assert (caught.value.type, caught.value.status) == ("SDKError", 400)
        assert "no-such-model" in caught.value.message
        with pytest.raises(CallFailed) as caught:
            classify_chat(client, "no-such-model", [chat(("user", "x"))])
        assert caught.value.status == 400

    def test_a_base_model_is_no_classifier(self, client: Client) -> None:
        with pytest.raises(CallFailed) as caught:
            client.call("classifiers.classify", model="ministral-3b-latest", inputs=["x"])
        assert (caught.value.type, caught.value.status) == ("SDKError", 400)
        assert "ministral-3b-latest" in caught.value.message

    def test_too_many_inputs(self, client: Client, topic_model: str) -> None:
        """A 422 must have a list in `detail`: every release turns a string into an error of its own."""
        with pytest.raises(CallFailed) as caught:
            client.call("classifiers.classify", model=topic_model, inputs=["x"] * 5000)
        assert caught.value.type == "HTTPValidationError"
        (detail,) = caught.value.detail
        assert "2048" in detail["msg"].replace(",", "")
        assert "2048" in caught.value.message.replace(",", "")

    def test_a_text_that_is_too_long(self, client: Client, topic_model: str) -> None:
        with pytest.raises(CallFailed) as caught:
            client.call("classifiers.classify", model=topic_model, inputs=["x", "y" * 250_000])
        assert caught.value.type == "HTTPValidationError"
        assert "200000" in caught.value.detail[0]["msg"].replace(",", "")
        assert caught.value.detail[0]["loc"][:2] == ["body", "input"]

    def test_a_chat_with_too_many_messages(self, client: Client, chat_model: str) -> None:
        with pytest.raises(CallFailed) as caught:
            classify_chat(client, chat_model, [chat(*[("user", "x")] * 1500)])
        assert caught.value.type == "HTTPValidationError"
        assert "1024" in caught.value.detail[0]["msg"].replace(",", "")
