import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml.static.odd_words import ODD_WORDS
from tamis.ml.static.long import LEAST_CHARACTERS
from tamis.ml.static.run_memory import RunReader
from tamis.ml.static.several import MOST_CHARACTERS, MOST_INPUTS, Several
from tamis.schema import Message

WORDS = [*ODD_WORDS, "\0"]
texts = st.one_of(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join), st.text(max_size=40))
turns = st.lists(st.builds(Message, st.sampled_from(["user", "assistant", "system"]), texts), max_size=4).map(tuple)


def assert_as_in_a_batch(static, several, inputs):
    batch = static.logits(inputs)
    for _ in range(2):
        found = several.logits(inputs)
        assert found.keys() == batch.keys()
        for name, logits in found.items():
            assert logits.dtype == np.float32
            np.testing.assert_allclose(logits, batch[name], atol=5e-6)


@pytest.mark.parametrize("model", ["tiny_model", "chat_model"])
@pytest.mark.parametrize("remembered_bytes", [1 << 20, 0])
@given(inputs=st.lists(st.one_of(texts, turns), max_size=6))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_several_are_as_in_a_batch(request, model, remembered_bytes, inputs):
    static = request.getfixturevalue(model)._scorer.model
    assert_as_in_a_batch(static, Several(RunReader(static, remembered_bytes)), inputs)


def test_hostile_texts_are_as_in_a_batch(tiny_model, chat_model, hostile):
    for static in (tiny_model._scorer.model, chat_model._scorer.model):
        assert_as_in_a_batch(static, Several(RunReader(static)), hostile)


def test_what_is_much_or_long_is_left_to_the_batch(tiny_model):
    several = Several(RunReader(tiny_model._scorer.model))
    assert several.suits(["a"] * MOST_INPUTS)
    assert not several.suits(["a"] * (MOST_INPUTS + 1))
    many = MOST_CHARACTERS // 10_000
    assert several.suits(["a" * 10_000] * many)
    assert not several.suits([*["a" * 10_000] * many, "b"])
    assert not several.suits([*[(Message("user", "a" * 10_000),)] * many, "b"])
    assert not several.suits(["a", "a" * LEAST_CHARACTERS])


@pytest.mark.parametrize("model", ["tiny_model", "chat_model"])
@pytest.mark.parametrize("way", ["several", "batch"])
def test_the_others_and_their_order_change_no_bit(request, model, way, hostile):
    static = request.getfixturevalue(model)._scorer.model
    logits = static.logits if way == "batch" else Several(RunReader(static, 0)).logits
    sentences = [" ".join(WORDS[i : i + 5] + WORDS[i % 3 : i % 3 + 2]) for i in range(11)]
    inputs = [*(text for text in hostile if len(text) < 1000), *sentences]
    random, whole = np.random.default_rng(0), logits(inputs)
    for n in (1, 2, 3, 8, len(inputs)):
        some = random.permutation(len(inputs))[:n].tolist()
        for name, found in logits([inputs[i] for i in some]).items():
            np.testing.assert_array_equal(found, whole[name][some])
