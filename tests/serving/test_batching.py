"""Small questions are answered on the event loop, large ones in threads, and too many are turned away."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial

import anyio
import numpy as np
import pytest

from tamis.errors import DamagedArtifact, Overloaded
from tamis.schema import Input, Message
from tamis.serving.batching import OVERHEAD, SMALL, Answerer, Dispatcher, Gathering, cost_of


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

    def slow(self, served: str) -> None:
        return None

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


def test_classification_does_not_wait_for_what_is_apart():
    models, go = Models(loaded=True), threading.Event()
    answerer: Answerer[str] = Answerer(models)
    told: list[bytes] = []

    async def run() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(answerer.aside, lambda: go.wait(30))
            await anyio.sleep(0)
            try:
                with anyio.fail_after(20):
                    inputs = ["x"] * 1000
                    work = partial(models.answer, "/v1/classifications", "m", inputs)
                    told.append(await answerer.ask("m", inputs, work))
            finally:
                go.set()

    anyio.run(run)
    assert told == [b"/v1/classifications m 1000"]


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


class Encoder:
    """A slow model: computes in a thread, waits until it may, and remembers what it was given together."""

    def __init__(self, *, fails: bool = False) -> None:
        self.may, self.began, self.fails = threading.Event(), threading.Event(), fails
        self.rounds: list[list[Input]] = []
        self.threads: set[int] = set()

    def scores(self, inputs: Sequence[Input]) -> dict[str, np.ndarray]:
        self.rounds.append(list(inputs))
        self.threads.add(threading.get_ident())
        self.began.set()
        assert self.may.wait(10)
        if self.fails:
            raise DamagedArtifact("broken")
        return {"t": np.array([[len(given)] for given in inputs], dtype=np.float32)}

    def knowing(self, scores):
        return scores


class SlowModels(Models):
    """Its models are slow, each the same one."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(loaded=True)
        self.encoder = encoder

    def slow(self, served):
        return self.encoder


async def until(true) -> None:
    while not true():
        await anyio.sleep(0.001)


def asked_together(encoder: Encoder, asked: list[list[str]], leaves: int | None = None) -> dict[int, object]:
    """Ask everything while the first is being computed; one of them may leave before."""
    answerer, found = Answerer(SlowModels(encoder)), {}

    async def one(number: int, scope: anyio.CancelScope) -> None:
        with scope:
            try:
                found[number] = await answerer.ask("m", asked[number], lambda scores: scores["t"][:, 0].tolist())
            except DamagedArtifact as error:
                found[number] = error

    async def main() -> None:
        scopes = [anyio.CancelScope() for _ in asked]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one, 0, scopes[0])
            await until(encoder.began.is_set)
            for number in range(1, len(asked)):
                tasks.start_soon(one, number, scopes[number])
            await anyio.sleep(0.02)
            if leaves is not None:
                scopes[leaves].cancel()
                await anyio.sleep(0.01)
            encoder.may.set()

    anyio.run(main)
    return found


def test_what_is_asked_of_a_slow_model_while_it_computes_is_computed_together():
    encoder = Encoder()
    asked = [["a"], ["bb", "ccc"], ["dddd"]]
    assert asked_together(encoder, asked) == {0: [1], 1: [2, 3], 2: [4]}
    assert [sorted(each) for each in encoder.rounds] == [["a"], ["bb", "ccc", "dddd"]]
    assert threading.get_ident() not in encoder.threads


def test_a_short_request_need_not_wait_for_all_of_a_long_one():
    encoder = Encoder()
    many = ["x" * 100] * 500
    found = asked_together(encoder, [["a"], many, ["bb"]])
    assert found == {0: [1], 1: [100] * 500, 2: [2]}
    assert "bb" in encoder.rounds[1]
    assert len(encoder.rounds) > 3
    assert max(len(each) for each in encoder.rounds) < 100


def test_callers_who_leave_are_skipped_and_the_others_answered():
    for leaves in (0, 1):
        encoder = Encoder()
        found = asked_together(encoder, [["a"], ["bb"], ["ccc"]], leaves=leaves)
        assert found == {number: [number + 1] for number in (0, 1, 2) if number != leaves} | (
            {0: [1]} if leaves == 0 and 0 in found else {}
        )
        assert ("bb" in [text for each in encoder.rounds for text in each]) is (leaves == 0)


def test_what_a_slow_model_raises_reaches_all_who_asked():
    found = asked_together(Encoder(fails=True), [["a"], ["bb"]])
    assert [type(error) for error in found.values()] == [DamagedArtifact] * 2


def test_too_many_requests_to_a_slow_model_are_turned_away(monkeypatch):
    monkeypatch.setattr("tamis.serving.batching.MOST_GATHERED", 0)
    with pytest.raises(Overloaded):
        anyio.run(partial(Gathering(Dispatcher()).scores, ["a"], Encoder().scores))


@pytest.mark.parametrize("loaded", [True, False])
def test_what_takes_long_never_runs_on_the_event_loop(loaded: bool):
    models = Models(loaded=loaded)
    work = partial(models.answer, "/v1/classifications", "m", ["short"])
    assert anyio.run(partial(Answerer(models).ask_long, "m", work)) == b"/v1/classifications m 1"
    assert models.threads[-1][0] == "answer"
    assert threading.get_ident() not in [thread for _, thread in models.threads]


def test_what_takes_long_goes_one_at_a_time_and_holds_up_nothing_else():
    models, go, at_work = Models(loaded=True), threading.Event(), []

    def long(_: str) -> None:
        at_work.append(1)
        assert go.wait(10)

    async def main() -> None:
        answerer = Answerer(models)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(answerer.ask_long, "m", long)
            tasks.start_soon(answerer.ask_long, "m", long)
            await until(lambda: at_work)
            for _ in range(3):
                many = ["x"] * 1000
                await answerer.ask("m", many, partial(models.answer, "/v1/classifications", "m", many))
            assert at_work == [1]
            go.set()
        assert at_work == [1, 1]

    anyio.run(main)
