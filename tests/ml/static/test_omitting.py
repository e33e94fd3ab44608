"""Taking off what a word added gives the logits of the input without it."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml.static.odd_words import ODD_WORDS
from tamis.ml.pieces import joined, leave_out, together, words_of
from tamis.ml.static import omitting
from tamis.schema import Message

WORDS = [*ODD_WORDS, "\0", "a", "-", "question"]
texts = st.one_of(st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join), st.text(max_size=40))
turns = st.lists(st.builds(Message, st.sampled_from(["user", "assistant", "system"]), texts), max_size=4).map(tuple)


@pytest.fixture(autouse=True)
def always_sums(monkeypatch):
    monkeypatch.setattr(omitting, "FEW_CHARACTERS", 0)


def assert_as_scored_anew(scorer, given, spans):
    found = scorer.omissions(given).logits(spans)
    plain = scorer.model.logits([leave_out(given, [span]) for span in spans])
    for name, logits in found.items():
        assert logits.dtype == np.float32
        np.testing.assert_allclose(logits, plain[name], atol=2e-5)


@pytest.mark.parametrize("model", ["tiny_model", "chat_model"])
@given(given=st.one_of(texts, turns), most=st.integers(1, 20))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_words_left_out_are_as_if_they_had_never_been_there(request, model, given, most):
    scorer = request.getfixturevalue(model)._scorer
    assert_as_scored_anew(scorer, given, [joined(group) for group in together(words_of(given), most)])


def test_hostile_texts_without_each_of_their_words(tiny_model, chat_model, hostile):
    for scorer in (tiny_model._scorer, chat_model._scorer):
        for text in hostile:
            words = words_of(text)
            groups = together(words, 4)
            assert_as_scored_anew(scorer, text, [joined(group) for group in groups])


def test_whole_runs_are_not_scored_anew_and_parts_of_runs_are(tiny_model, monkeypatch):
    scorer = tiny_model._scorer
    monkeypatch.setattr(type(scorer), "logits", lambda *_: pytest.fail("scored anew"))
    scorer.omissions("where is my parcel").logits(words_of("where is my parcel"))
    monkeypatch.setattr(type(scorer.model), "logits", lambda *_: pytest.fail("scored anew"))
    with pytest.raises(pytest.fail.Exception, match="scored anew"):
        scorer.omissions("我的包裹").logits(words_of("我的包裹"))


def test_there_are_fewer_words_where_there_is_more_to_do(tiny_model, monkeypatch):
    scorer = tiny_model._scorer
    assert scorer.omissions("a b").most == omitting.MOST_WORDS
    assert scorer.omissions("我" * 4_000).most == omitting.MOST_CHARACTERS // 4_000
    assert scorer.omissions("我" * 100_000).most == omitting.LEAST_WORDS
    monkeypatch.setattr(omitting, "MOST_ROWS", 0)
    assert scorer.omissions("a " * 10_000).most == omitting.LEAST_WORDS
    assert_as_scored_anew(scorer, "where is my parcel", words_of("where is my parcel"))


def test_few_at_a_time_is_the_same(tiny_model, monkeypatch):
    text = "where is my parcel please and my card"
    whole = tiny_model._scorer.omissions(text).logits(words_of(text))
    monkeypatch.setattr(omitting, "CELLS_AT_ONCE", 1)
    for name, logits in tiny_model._scorer.omissions(text).logits(words_of(text)).items():
        np.testing.assert_allclose(logits, whole[name], atol=1e-6)


def test_what_is_little_is_scored_anew(tiny_model, monkeypatch):
    text = "where is my parcel"
    sums = tiny_model._scorer.omissions(text).logits(words_of(text))
    monkeypatch.setattr(omitting, "FEW_CHARACTERS", 4 * len(text))
    omissions = tiny_model._scorer.omissions(text)
    monkeypatch.setattr(omissions, "_fill", lambda *_: pytest.fail("made of sums"))
    for name, logits in omissions.logits(words_of(text)).items():
        np.testing.assert_allclose(logits, sums[name], atol=1e-5)


def test_nothing_left_out_gives_no_rows(tiny_model):
    assert all(len(logits) == 0 for logits in tiny_model._scorer.omissions("").logits([]).values())
