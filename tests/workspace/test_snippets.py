"""Calls to copy: whole programs, whatever the text and the names hold. tests/wire runs them."""

import ast
import json
import shlex
from dataclasses import replace

import pytest

from tamis.store.records import ModelRecord
from tamis.workspace.snippets import Asking, is_local, names_of, snippets

MODEL = ModelRecord(
    id="b2c94ac3-7a74-4de7-a11a-9808a3b8ef59",
    name="shop",
    version=3,
    ft="ft:classifier:ministral-3b-latest:tamis:20260101:shop:12ab34cd",
    root="r",
    base="b",
    place="folder:/x",
    created_at=1,
    targets=({"name": "topic", "kind": "single_label", "labels": ["a"]},),
)
FLAGS = replace(MODEL, targets=({"name": "flags", "kind": "multi_label", "labels": ["a"]},))
HOSTILE = "a'b\"c\\ $(touch x) `id` \n{0} %s </script> 🙂 \x07\u2028 ';import os#"


def codes(asking: Asking) -> dict[str, str]:
    return {snippet.id: snippet.code for snippet in snippets(asking)}


def test_each_sdk_has_the_name_that_it_knows() -> None:
    found = codes(Asking(url="http://h:1", model=FLAGS))
    assert f'MODEL = "{MODEL.ft}"' in found["mistralai"]
    assert f'model="{MODEL.id}-ft"' in found["cohere"]
    assert 'model="shop@3"' in found["openai"]
    assert 'tamis.load("shop-3")' in found["python"]
    assert "installed as its README says" in found["python"]
    assert 'server_url="http://h:1"' in found["mistralai"]
    assert 'base_url="http://h:1/v1"' in found["openai"]


def test_an_answer_that_is_none_is_told_of_where_the_sdk_cannot() -> None:
    single, several = (codes(Asking(url="http://h:1", model=model)) for model in (MODEL, FLAGS))
    for id in ("mistralai", "mistralai-1", "cohere"):
        assert "gives no answer" in single[id]
        assert "gives no answer" not in several[id]
    assert "# no labels: no answer" in single["python"]
    assert "# no labels: no answer" not in several["python"]


def test_a_chosen_name_is_everywhere() -> None:
    found = codes(Asking(url="http://h:1", model=FLAGS, name="production"))
    assert all('"production"' in code for id, code in found.items() if id != "python")


def test_a_key_is_read_from_the_environment_where_one_is_needed() -> None:
    found, open_ = codes(Asking(url="http://h", model=FLAGS)), codes(Asking(url="http://h", model=FLAGS, keys=False))
    for id in ("mistralai", "mistralai-1", "cohere", "openai", "curl"):
        assert "TAMIS_API_KEY" in found[id]
        assert "TAMIS_API_KEY" not in open_[id]


def test_what_a_model_cannot_do_is_said_instead() -> None:
    by_id = {each.id: each for each in snippets(Asking(url="http://h", model=MODEL))}
    assert by_id["openai"].code == ""
    assert "one label" in by_id["openai"].instead
    chats = {each.id: each for each in snippets(Asking(url="http://h", model=FLAGS, chat=True))}
    assert chats["cohere"].code == chats["openai"].code == ""
    assert "classify_chat(model=MODEL, input=[" in chats["mistralai"].code
    assert "classify_chat(model=MODEL, inputs=[" in chats["mistralai-1"].code


@pytest.mark.parametrize("chat", [False, True])
def test_nothing_breaks_out_of_its_quotes(chat: bool) -> None:
    asking = Asking(url="http://h:1", model=replace(FLAGS, name=HOSTILE, ft=None), text=HOSTILE, chat=chat)
    for snippet in snippets(asking):
        if snippet.id == "curl":
            words = shlex.split(snippet.code.replace("\\\n", " "))
            body = json.loads(words[words.index("-d") + 1])
            assert body["model"] == f"{HOSTILE}@3"
            given = body["input"][0]
            assert (given["messages"][0]["content"] if chat else given) == HOSTILE
        elif snippet.code:
            texts = [node.value for node in ast.walk(ast.parse(snippet.code)) if isinstance(node, ast.Constant)]
            assert HOSTILE in texts


def test_names_are_told_with_what_they_stand_for() -> None:
    found = names_of(MODEL, ["production"])
    assert [name.reference for name in found] == ["production", MODEL.ft, "shop@3", "shop", f"{MODEL.id}-ft"]
    assert all(name.meaning for name in found)


def test_addresses_of_this_machine_are_known() -> None:
    assert is_local("http://127.0.0.1:8000")
    assert is_local("http://[::1]:8000")
    assert is_local("http://localhost")
    assert not is_local("https://tamis.example.org")
    assert not is_local("http://10.0.0.7:8000")
