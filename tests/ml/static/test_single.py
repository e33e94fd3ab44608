import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tamis.ml.static.single import MOST_CHARACTERS, MOST_LABELS, logits_of_one, suits
from tamis.schema import Message

WORDS = [
    "parcel",
    "card",
    "refund",
    "where",
    "WHERE",
    "is",
    "my",
    "?",
    "now.",
    "é",
    "包裹",
    "👋🏽",
    "parcel,card",
    "\n",
    "  ",
]
texts = st.one_of(st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join), st.text(max_size=40))
turns = st.lists(st.builds(Message, st.sampled_from(["user", "assistant", "system"]), texts), max_size=5).map(tuple)


@pytest.mark.parametrize("model", ["tiny_model", "chat_model"])
@given(one=st.one_of(texts, turns))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_alone_is_as_in_a_batch(request, model, one):
    static = request.getfixturevalue(model)._static
    alone, batch = logits_of_one(static, one), static.logits([one, "something else", one])
    assert alone.keys() == batch.keys()
    for name, logits in alone.items():
        assert logits.dtype == np.float32
        np.testing.assert_allclose(logits[0], batch[name][0], atol=2e-5)
        np.testing.assert_allclose(logits[0], batch[name][2], atol=2e-5)


def test_what_is_long_is_not_looked_at_alone(tiny_model):
    assert suits(tiny_model._static, "a" * MOST_CHARACTERS)
    assert not suits(tiny_model._static, "a" * (MOST_CHARACTERS + 1))
    assert not suits(tiny_model._static, (Message("user", "a" * MOST_CHARACTERS),))
    assert MOST_LABELS > 4
