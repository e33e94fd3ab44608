"""OpenAI's moderation over one's own models, and what its SDK shares with the others."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from wire.client_process import CallFailed, Client
from wire.conftest import MODERATION
from wire.server_process import Server

RUDE, KIND = "you are an idiot", "have a lovely day"


@pytest.fixture(scope="module")
def standing_in(server: Server, moderation_model: str) -> str:
    """The model that the server's setting names, by way of an alias."""
    command = [sys.executable, "-m", "tamis", "alias", "set", MODERATION, moderation_model]
    subprocess.run(command, env=os.environ | {"TAMIS_HOME": str(server.home)}, check=True, capture_output=True)
    return MODERATION


def test_no_model_need_be_named(openai: Client, standing_in: str) -> None:
    for more in ({}, {"model": "omni-moderation-latest"}):
        answer = openai.call("moderations.create", input=[RUDE, KIND], **more)
        assert answer["model"] == more.get("model", standing_in)
        rude, kind = answer["results"]
        assert (rude["flagged"], kind["flagged"]) == (True, False)
        assert rude["categories"]["insult"] is True
        assert rude["category_scores"]["insult"] > 0.5
        assert rude["category_applied_input_types"]["insult"] == ["text"]
        assert kind["category_scores"]["safe"] > 0.5
        assert kind["categories"]["safe"] is False  # a none label never flags


def test_parts_are_one_input(openai: Client, standing_in: str) -> None:
    parts = [{"type": "text", "text": KIND}, {"type": "text", "text": RUDE}]
    (result,) = openai.call("moderations.create", input=parts)["results"]
    assert result["flagged"] is True
    image = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    with pytest.raises(CallFailed) as caught:
        openai.call("moderations.create", input=[*parts, image])
    assert (caught.value.type, caught.value.status) == ("UnprocessableEntityError", 422)
    assert "images" in caught.value.message


def test_one_text_and_a_model_that_cannot(openai: Client, moderation_model: str, topic_model: str) -> None:
    (result,) = openai.call("moderations.create", input=RUDE, model=moderation_model)["results"]
    assert result["flagged"] is True
    with pytest.raises(CallFailed, match="multi-label"):
        openai.call("moderations.create", input=RUDE, model=topic_model)
    with pytest.raises(CallFailed) as caught:
        openai.call("moderations.create", input=RUDE, model="gone")
    assert (caught.value.type, caught.value.status) == ("BadRequestError", 400)


def test_models_are_cards_that_it_reads(openai: Client, moderation_model: str) -> None:
    assert moderation_model in [card["id"] for card in openai.call("models.list")["data"]]
    assert openai.call("models.retrieve", model=moderation_model)["object"] == "model"
    with pytest.raises(CallFailed) as caught:
        openai.call("models.retrieve", model="gone")
    assert (caught.value.type, caught.value.status) == ("NotFoundError", 404)
