"""A handful of examples is enough to tell texts apart, and scores can be trusted about as far as the examples allow."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from tamis.ml.base_models import load_base
from tamis.ml.few_shot import Embedder, fit
from tamis.ml.static.base_model import StaticBase
from tamis.testing import tiny_base


@pytest.fixture(scope="module")
def embed() -> Embedder:
    base = load_base("static-en")
    assert isinstance(base, StaticBase)
    return Embedder(base)


def test_embeddings_have_length_one_and_do_not_depend_on_company(embed: Embedder) -> None:
    found = embed(["where is my parcel", "", "the invoice is wrong"])
    assert np.linalg.norm(found, axis=1) == pytest.approx([1, 0, 1], abs=1e-6)
    assert np.array_equal(embed(["the invoice is wrong"])[0], found[2])


def test_a_book_takes_no_memory_for_each_of_its_tokens(embed: Embedder) -> None:
    """A token's embedding has a kilobyte: a gathered row each would be 200 MB here, and gigabytes for a request."""
    text = "where is my parcel, please " * 40_000
    tracemalloc.start()
    try:
        found = embed([text])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 60_000_000
    assert found[0] @ embed(["where is my parcel, please where is my parcel, please"])[0] > 0.999


def test_an_unknown_word_is_left_out(tmp_path: Path) -> None:
    base = load_base(str(tiny_base(tmp_path / "base")))
    assert isinstance(base, StaticBase)
    embed = Embedder(base)
    assert np.array_equal(embed(["parcel zzz"]), embed(["parcel"]))


def test_meaning_is_learnt_of_two_examples_a_label(embed: Embedder) -> None:
    examples = ["where is my parcel", "the box is late", "my card was charged twice", "the invoice is wrong"]
    model = fit(embed(examples), ["delivery", "delivery", "payment", "payment"])
    scores = model.scores(embed(["the shipment did not arrive", "a refund of the money, please"]))
    assert model.labels == ("delivery", "payment")
    assert scores.argmax(axis=1).tolist() == [0, 1]
    assert scores.sum(axis=1) == pytest.approx([1, 1], abs=1e-6)


def test_scores_say_how_little_examples_tell() -> None:
    """Examples whose labels have nothing to do with their texts give scores near even."""
    random = np.random.default_rng(0)
    noise = random.standard_normal((60, 16)).astype(np.float32)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    labels = [str(label) for label in random.integers(0, 2, 60)]
    unseen = random.standard_normal((200, 16)).astype(np.float32)
    unseen /= np.linalg.norm(unseen, axis=1, keepdims=True)
    assert fit(noise, labels).scores(unseen).max(axis=1).mean() < 0.75
    clear = np.eye(16, dtype=np.float32)[np.arange(60) % 2]
    assert fit(clear, [str(n % 2) for n in range(60)]).scores(clear[:2]).max(axis=1).min() > 0.95


def test_the_same_examples_give_the_same(embed: Embedder) -> None:
    embedded, labels = embed(["a b", "c d", "e f", "g h"]), ["x", "x", "y", "y"]
    assert np.array_equal(fit(embedded, labels).weights, fit(embedded, labels).weights)
