"""Texts and chats of the page, their limits, and examples."""

from __future__ import annotations

import json

import pytest

from tamis.demo.inputs import MOST_EXAMPLES, MOST_MESSAGES, as_messages, checked_input, made_examples, read_examples
from tamis.demo.inputs import takes_chats as chats
from tamis.errors import DataError, InvalidSetting, LimitExceeded
from tamis.schema import Message

SAYS = {"role": "user", "content": "hello"}


class TestInput:
    def test_texts_and_chats(self) -> None:
        assert checked_input(" a text\n", 100) == " a text\n"
        assert checked_input([SAYS], 100) == (Message("user", "hello"),)
        parts = {"role": "user", "content": [{"type": "text", "text": "hello"}], "metadata": None}
        assert checked_input([parts], 100) == (Message("user", "hello"),)

    @pytest.mark.parametrize("empty", ["", "  \n", None, []])
    def test_nothing(self, empty: object) -> None:
        assert checked_input(empty, 100) is None

    def test_limits_are_told(self) -> None:
        assert checked_input("x" * 10_000, 10_000)
        with pytest.raises(LimitExceeded, match="10,001 characters long; this demo takes up to 10,000"):
            checked_input("x" * 10_001, 10_000)
        with pytest.raises(LimitExceeded, match="15 characters"):
            checked_input([SAYS] * 3, 14)
        with pytest.raises(LimitExceeded, match="messages"):
            checked_input([SAYS] * (MOST_MESSAGES + 1), 10_000)

    @pytest.mark.parametrize("sent", [3, {"role": "user"}, [{"role": "user"}], [1], b"x", [{"role": 1, "content": ""}]])
    def test_what_is_neither(self, sent: object) -> None:
        with pytest.raises(InvalidSetting):
            checked_input(sent, 100)

    def test_a_text_is_what_the_user_says(self) -> None:
        assert as_messages("hello") == [SAYS]
        assert as_messages((Message("system", "x"),)) == [{"role": "system", "content": "x"}]


class TestExamples:
    def test_label_names_in_words(self, model, chat_model) -> None:
        assert made_examples(model.manifest)[:2] == ["delivery", "img src x onerror alert 1 alert 2 3 3"]
        assert not chats(model.manifest)
        assert chat_model.manifest.training["chats"] is True
        assert "chats" not in model.manifest.training
        assert chats(chat_model.manifest)
        assert chats(model.manifest, [(Message("user", "x"),)])

    def test_all_targets_have_some(self, model) -> None:
        manifest = model.manifest
        entry = manifest.targets[0].model_copy(update={"labels": tuple(f"card_arrival{n}" for n in range(77))})
        many = manifest.model_copy(update={"targets": (entry, manifest.targets[1])})
        made = made_examples(many)
        assert made[0] == "card arrival0"
        assert "payment" in made
        assert len(made) == 6

    def test_of_a_file(self, tmp_path) -> None:
        lines = tmp_path / "lines.txt"
        lines.write_text("".join(f"text {n}\n" for n in range(50)))
        assert read_examples(lines) == [f"text {n}" for n in range(MOST_EXAMPLES)]
        mixed = tmp_path / "mixed.jsonl"
        mixed.write_text(json.dumps({"messages": [SAYS], "label": "x"}) + "\n")
        assert read_examples(mixed) == [(Message("user", "hello"),)]

    @pytest.mark.parametrize("content", ["", '{"text": 3}\n', "{broken\n"])
    def test_of_a_bad_file(self, tmp_path, content: str) -> None:
        path = tmp_path / "bad.jsonl"
        path.write_text(content)
        with pytest.raises(DataError, match=r"bad\.jsonl"):
            read_examples(path)
