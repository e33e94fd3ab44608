"""Small questions are answered on the event loop, large ones in threads, and too many are turned away."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial

import anyio
import pytest

from tamis.errors import Overloaded
from tamis.schema import Input, Message
from tamis.serving.batching import OVERHEAD, SMALL, Answerer, Dispatcher, cost_of


class Models:
    """Remembers in which thread it was asked what."""

    def __init__(self, *, loaded: bool, n_labels: int = 8) -> None:
        self.loaded, self.n_labels = loaded, n_labels
        self.threads: list[tuple[str, int]] = []

    def ready(self, reference: str) -> str | None:
        return reference if self.loaded else None

    def served(self, reference: str) -> str:
        self.threads.append(("load", threading.get_ident()))
        return reference

    def labels(self, served: str) -> int:
        return self.n_labels

    def answer(self, endpoint: str, reference: str, inputs: Sequence[Input], served: str) -> bytes:
        self.threads.append(("answer", threading.get_ident()))
        return f"{endpoint} {served} {len(inputs)}".encode()


def ask(models: Models, inputs: Sequence[Input]) -> bytes:
    return anyio.run(
        partial(Answerer(models).ask, "m", inputs, partial(models.answer, "/v1/classifications", "m", inputs))
    )


def test_a_short_text_is_answered_on_the_event_loop_by_a_loaded_model():
    models = Models(loaded=True)
    assert ask(models, ["short"]) == b"/v1/classifications m 1"
    assert models.threads == [("answer", threading.get_ident())]


def test_a_long_text_and_many_texts_are_answered_in_a_thread():
    for inputs in (["x" * (SMALL + 1)], ["x"] * 1000):
        models = Models(loaded=True)
        ask(models, inputs)
        assert [what for what, _ in models.threads] == ["answer"]
        assert models.threads[0][1] != threading.get_ident()


def test_what_folds_into_more_or_has_very_many_labels_is_answered_in_a_thread():
    for models, inputs in (
        (Models(loaded=True), ["\ufdfa" * (SMALL // 8)]),
        (Models(loaded=True, n_labels=20_000), ["x"] * 5),
    ):
        ask(models, inputs)
        assert models.threads[0][1] != threading.get_ident()


def test_a_model_is_loaded_in_a_thread():
    models = Models(loaded=False)
    ask(models, ["short"])
    (load, loader), (answer, answerer) = models.threads
    assert (load, answer) == ("load", "answer")
    assert loader != threading.get_ident()
    assert answerer == threading.get_ident()


def test_what_cannot_wait_is_turned_away_and_what_waits_is_done():
    async def main() -> None:
        dispatcher, go, done = Dispatcher(threads=1, waiting=1), threading.Event(), []

        async def work(number: int) -> None:
            await dispatcher.aside(lambda: go.wait(10))
            done.append(number)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work, 1)
            tasks.start_soon(work, 2)
            while dispatcher.at_work < 2:
                await anyio.sleep(0.001)
            with pytest.raises(Overloaded) as refused:
                await dispatcher.aside(lambda: True)
            assert refused.value.context["retry_after"] == 1
            go.set()
        assert sorted(done) == [1, 2]
        assert dispatcher.at_work == 0

    anyio.run(main)


def test_the_cost_counts_characters_of_texts_and_chats_and_something_for_each():
    chat = (Message("user", "abc"), Message("assistant", "de"))
    assert cost_of(["abcd", chat]) == 4 + 5 + 2 * OVERHEAD
