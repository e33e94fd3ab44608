"""The pool: loaded once however many ask, evicted by use, and failures are not kept."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tamis.serving.pool import Pool


def test_a_model_is_loaded_once_however_many_ask_at_the_same_time():
    loads = []

    def load(model_id: str) -> tuple[object, int]:
        loads.append(model_id)
        time.sleep(0.05)
        return object(), 1

    pool = Pool(load, 100)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(pool.get, ["a"] * 8))
    assert loads == ["a"]
    assert len(set(map(id, found))) == 1


def test_loading_one_does_not_hold_up_another():
    go = threading.Event()

    def load(model_id: str) -> tuple[str, int]:
        if model_id == "slow":
            assert go.wait(10)
        return model_id, 1

    pool = Pool(load, 100)
    with ThreadPoolExecutor(2) as threads:
        slow = threads.submit(pool.get, "slow")
        assert threads.submit(pool.get, "quick").result(5) == "quick"
        go.set()
        assert slow.result(5) == "slow"


def test_the_least_recently_used_go_first_and_one_always_stays():
    pool = Pool(lambda model_id: (model_id, 40), 100)
    for model_id in ("a", "b", "a", "c"):
        pool.get(model_id)
    assert (pool.ready("a"), pool.ready("b"), pool.ready("c")) == ("a", None, "c")
    figures = pool.figures()
    assert (figures.models, figures.bytes, figures.loads, figures.evictions) == (2, 80, 3, 1)
    large = Pool(lambda model_id: (model_id, 1000), 100)
    assert large.get("x") == "x"
    assert large.ready("x") == "x"


def test_what_fails_to_load_is_tried_again():
    answers = iter([OSError("away"), ("there", 1)])

    def load(model_id: str) -> tuple[str, int]:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    pool = Pool(load, 100)
    with pytest.raises(OSError, match="away"):
        pool.get("a")
    assert pool.get("a") == "there"


def test_a_forgotten_model_is_loaded_anew():
    pool = Pool(lambda model_id: (object(), 1), 100)
    first = pool.get("a")
    pool.forget("a")
    assert pool.ready("a") is None
    assert pool.get("a") is not first


def test_one_that_is_forgotten_while_it_is_loaded_is_not_kept():
    begun, go = threading.Event(), threading.Event()

    def load(model_id: str) -> tuple[str, int]:
        begun.set()
        assert go.wait(10)
        return model_id, 1

    pool = Pool(load, 100)
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(pool.get, "a")
        assert begun.wait(10)
        assert pool.known() == ("a",)
        pool.forget("a")
        go.set()
        assert answer.result(10) == "a"  # who asked before is answered
    assert (pool.ready("a"), pool.known()) == (None, ())
    assert pool.get("a") == pool.ready("a") == "a"


def test_what_was_asked_for_is_told_once():
    pool: Pool[str] = Pool(lambda model_id: (model_id, 1), 10)
    pool.get("a")
    pool.get("b")
    assert pool.asked() == {"a", "b"}
    assert (pool.ready("b"), pool.ready("c")) == ("b", None)
    assert pool.asked() == {"b"}
    assert pool.asked() == set()


def test_what_failed_to_load_is_not_known():
    pool: Pool[str] = Pool(lambda model_id: ({}[model_id], 1), 100)
    with pytest.raises(KeyError):
        pool.get("a")
    assert pool.known() == ()
