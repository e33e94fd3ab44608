"""An encoder's answers to shortened inputs: a bounded number, each computed once."""

import numpy as np
import pytest

import tamis
from tamis.ml.encoder import omitting
from tamis.ml.encoder.omitting import EncoderOmissions
from tamis.ml.pieces import leave_out, words_of
from tamis.schema import Ending, Message


@pytest.fixture(scope="module")
def scorer(stored):
    return tamis.load(stored)._scorer


@pytest.mark.parametrize(
    "given", ["baba dada gaga", "", (Message("user", "baba dada"), Message("assistant", "gaga")), "baba " * 60]
)
def test_words_left_out_are_as_if_they_had_never_been_there(scorer, given):
    spans = words_of(given)
    plain = scorer.logits([leave_out(given, [span]) for span in spans])
    for name, logits in scorer.omissions(given).logits(spans).items():
        np.testing.assert_allclose(logits, plain[name], atol=1e-5)


def test_the_same_tokens_are_computed_once(scorer):
    seen = []

    def of_tokens(encoded):
        seen.append(len(encoded))
        return scorer.of_tokens(encoded)

    text = "baba baba baba dada"
    EncoderOmissions(scorer.reader, of_tokens, text).logits(words_of(text))
    assert seen == [2]


def test_long_inputs_get_fewer_words_and_what_is_not_read_is_known(scorer, monkeypatch):
    assert scorer.omissions("baba").most == omitting.MOST_WORDS
    assert scorer.omissions("baba").reads == 4
    long = "baba " * 100  # a byte is a token
    read = scorer.omissions(long).reads
    assert 100 < read < len(long)
    plain, cut = scorer.reader.encoding.encode([long, long[:read]]).tokens_of_inputs.tolist()
    assert plain == cut
    monkeypatch.setattr(omitting, "TOKENS", 0)
    assert scorer.omissions(long).most == omitting.LEAST_WORDS


def test_what_keeps_its_end_and_chats_are_looked_at_whole(scorer):
    assert scorer.omissions(Ending("baba " * 100)).reads is None
    assert scorer.omissions((Message("user", "baba"),)).reads is None


def test_a_filler_stands_for_a_word(scorer):
    text = "baba dada"
    found = EncoderOmissions(scorer.reader, scorer.of_tokens, text, filler="x").logits(words_of(text))
    plain = scorer.logits(["x dada", "baba x"])
    for name, logits in found.items():
        np.testing.assert_allclose(logits, plain[name], atol=1e-5)
