import numpy as np
import pytest

from tamis.ml.static.run_memory import FEW_RUNS, RUNS_AT_ONCE, KnownRun, RunMemory, RunReader
from tamis.ml.static.runs import split, split_runs

PLAIN = KnownRun(np.zeros(1, dtype=np.float32), np.zeros(0, dtype=np.uint64))


def test_runs_are_split_as_for_a_batch():
    for text in ("a\0b c", "\x1c\x1d\x85\xa0\u2003x\u200by\ufeff", "", " \0 ", "a\u2028b", "\ud800 x"):
        runs = split_runs([text], 1)
        assert split(text) == [runs.strings[run] for run in runs.run]


def test_a_memory_forgets_what_was_not_used_lately():
    memory = RunMemory(4)
    for run in "abcdefgh":
        memory.keep(run, PLAIN)
        assert memory.get("a") is not None  # used all the time
        assert len(memory) <= 4
    assert memory.get("b") is None
    assert memory.get("h") is PLAIN


def test_what_stays_does_not_hold_on_to_what_it_came_with():
    memory = RunMemory(2)
    together = np.arange(12, dtype=np.float32).reshape(3, 4)
    memory.keep("a", KnownRun(together[1], PLAIN.words))
    memory.keep("b", PLAIN)
    kept = memory.get("a")
    assert kept.row.base is None
    np.testing.assert_array_equal(kept.row, together[1])


def test_runs_too_long_to_come_again_are_not_remembered(tiny_model):
    reader = RunReader(tiny_model._scorer.model)
    assert list(reader.known(["a" * 1000], 0)) == ["a" * 1000]
    assert len(reader.memories[0]) == 0
    reader.known(["where", "is", "a" * 1000, "is"], 0)
    assert len(reader.memories[0]) == 2


def test_runs_are_the_same_alone_and_among_many(tiny_model):
    words = [f"{word}{n}" for n in range(RUNS_AT_ONCE // 2) for word in ("where", "parcel", "é", "包裹")] + [
        "card",
        "?",
    ]
    many = RunReader(tiny_model._scorer.model).known([*words, *words], 0)
    assert list(many) == words
    assert len(words) > RUNS_AT_ONCE > FEW_RUNS
    alone = RunReader(tiny_model._scorer.model, 0)
    for word in words[:: len(words) // 40] + words[-2:]:
        (one,) = alone.known([word], 0).values()
        np.testing.assert_allclose(one.row, many[word].row, atol=1e-6)
        np.testing.assert_array_equal(one.words, many[word].words)


@pytest.mark.parametrize("fields", [1, 3])
def test_memory_is_bounded_in_bytes(request, fields):
    static = request.getfixturevalue("tiny_model" if fields == 1 else "chat_model")._scorer.model
    reader = RunReader(static, 100_000)
    for field in range(fields):
        reader.known(map(str, range(3000)), field)
    rows = [known.row for memory in reader.memories for known in memory._young.values()]
    assert 0 < sum(row.nbytes for row in rows) < 100_000
    assert sum(map(len, reader.memories)) < 150
