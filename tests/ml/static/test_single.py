from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml.static.odd_words import ODD_WORDS
from tamis.ml.static.run_memory import RunReader
from tamis.ml.static.single import MOST_CHARACTERS, MOST_LABELS, OneByOne
from tamis.schema import Message

WORDS = [*ODD_WORDS, "  "]
texts = st.one_of(st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join), st.text(max_size=40))
turns = st.lists(st.builds(Message, st.sampled_from(["user", "assistant", "system"]), texts), max_size=5).map(tuple)


def assert_as_in_a_batch(static, reader, one):
    """Compare one input with the same one in a batch, before and after its runs are remembered."""
    batch = static.logits([one, "something else", one])
    for _ in range(2):
        alone = reader.logits(one)
        assert alone.keys() == batch.keys()
        for name, logits in alone.items():
            assert logits.dtype == np.float32
            np.testing.assert_allclose(logits[0], batch[name][0], atol=5e-6)
            np.testing.assert_allclose(logits[0], batch[name][2], atol=5e-6)


@pytest.mark.parametrize("model", ["tiny_model", "chat_model"])
@pytest.mark.parametrize("remembered_bytes", [1 << 20, 0])
@given(one=st.one_of(texts, turns))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_alone_is_as_in_a_batch(request, model, remembered_bytes, one):
    static = request.getfixturevalue(model)._scorer.model
    assert_as_in_a_batch(static, OneByOne(RunReader(static, remembered_bytes)), one)


def test_what_was_remembered_of_other_inputs_is_as_if_it_were_looked_at(tiny_model, chat_model, hostile):
    for static in (tiny_model._scorer.model, chat_model._scorer.model):
        reader = OneByOne(RunReader(static))
        for one in [*hostile, *(" ".join(WORDS[i:] + WORDS[:i]) for i in range(6)), *hostile]:
            if reader.suits(one):
                assert_as_in_a_batch(static, reader, one)


def test_threads_that_share_a_small_memory_do_not_disturb_each_other(tiny_model):
    static = tiny_model._scorer.model
    reader = OneByOne(RunReader(static, 20_000))
    random = np.random.default_rng(0)
    inputs = [" ".join(random.choice([*WORDS, *map(str, range(60))], 8)) for _ in range(200)]
    wanted = static.logits(inputs)

    def read(order):
        return [(row, reader.logits(inputs[row])) for row in order]

    with ThreadPoolExecutor(4) as threads:
        for found in threads.map(read, [random.permutation(len(inputs)) for _ in range(8)]):
            for row, logits in found:
                for name in wanted:
                    np.testing.assert_allclose(logits[name][0], wanted[name][row], atol=5e-6)


def test_what_is_long_is_not_looked_at_alone(tiny_model):
    reader = OneByOne(RunReader(tiny_model._scorer.model))
    assert reader.suits("a" * MOST_CHARACTERS)
    assert not reader.suits("a" * (MOST_CHARACTERS + 1))
    assert not reader.suits((Message("user", "a" * MOST_CHARACTERS),))
    assert MOST_LABELS > 4
