import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info

from tamis.ml.schedule import hyperparameters
from tamis.ml.scorer import FAMILIAR
from tamis.ml.static import model as module
from tamis.ml.static.model import LENGTH, Centring, TunedEmbeddings, architecture_of, one_blas_thread, tensors_of
from tamis.ml.static.network import Network
from tamis.ml.static.training import StaticTrainer
from tamis.schema import Message

SOME = ("badegi lost", "?", "\ud800", "我喜欢 猫", "a\0b", "")


@pytest.fixture(scope="module")
def texts(texts_about, data_of, semantics):
    """A model of texts with a single-label and a multi-label target."""
    rows = [(text, {"t": label, "m": [label[-1], "all"]}) for text, label in texts_about(200, 4)]
    return StaticTrainer(semantics, hyperparameters(epochs=6), {}).train(data_of(rows)).scorer.model


@pytest.fixture(scope="module")
def chats(texts_about, data_of, semantics):
    """A model of chats: what the user says last decides."""
    rows = [
        ((Message("user", "hello"), Message("assistant", noise), Message("user", text)), {"t": label})
        for (text, label), (noise, _) in zip(texts_about(120, 4), texts_about(120, 4, seed=5)[::-1], strict=True)
    ]
    return StaticTrainer(semantics, hyperparameters(epochs=6), {}).train(data_of(rows)).scorer.model


def own(words):
    return st.lists(st.sampled_from([*words[:12], "unheard", *SOME]), max_size=9).map(" ".join)


class TestLogits:
    def test_one_row_an_input_and_one_column_a_label(self, texts):
        for inputs in ([], ["one"], ["one", "two", ""]):
            found = texts.logits(inputs)
            assert {name: logits.shape for name, logits in found.items()} == {
                FAMILIAR: (len(inputs), 1),
                "t": (len(inputs), 4),
                "m": (len(inputs), 5),
            }
            assert all(logits.dtype == np.float32 for logits in found.values())

    def test_it_learnt(self, texts, texts_about):
        found = texts.logits([text for text, _ in texts_about(60, 4, seed=9)])
        assert (found["t"].argmax(axis=1) == np.arange(60) % 4).mean() > 0.9

    @pytest.mark.parametrize("which", ["texts", "chats"])
    def test_a_row_does_not_depend_on_the_batch(self, request, words, which):
        model = request.getfixturevalue(which)
        turns = st.lists(st.builds(Message, st.sampled_from(["user", "assistant"]), own(words)), max_size=4)
        inputs = st.one_of(own(words), turns.map(tuple))

        @given(inputs, st.lists(inputs, max_size=6), st.integers(0, 6))
        @settings(max_examples=50, deadline=None)
        def holds(one, others, place):
            batch = [*others[:place], one, *others[place:]]
            alone, among = model.logits([one]), model.logits(batch)
            for name, logits in alone.items():
                np.testing.assert_allclose(logits[0], among[name][min(place, len(others))], atol=1e-5)

        holds()

    @pytest.mark.parametrize(
        ("bound", "size"), [("BATCH_INPUTS", 2), ("BATCH_CHARACTERS", 15), ("BATCH_SCORES", 20), ("BATCH_SCORES", 1)]
    )
    def test_neither_on_how_batches_are_cut(self, texts, texts_about, monkeypatch, bound, size):
        inputs = [*(text for text, _ in texts_about(9, 4)), *SOME, "long " * 20]
        whole = texts.logits(inputs)
        monkeypatch.setattr(module, bound, size)
        cuts = list(module._batches(inputs, 9))
        assert len(cuts) > 5
        assert [i for cut in cuts for i in range(len(inputs))[cut]] == list(range(len(inputs)))
        for name, logits in texts.logits(inputs).items():
            np.testing.assert_allclose(logits, whole[name], atol=1e-5)

    @pytest.mark.parametrize("which", ["texts", "chats"])
    def test_hostile_texts_get_finite_logits(self, request, hostile, which):
        model = request.getfixturevalue(which)
        for inputs in (list(hostile), [(Message("user", text),) for text in hostile], [(), ()]):
            for logits in model.logits(inputs).values():
                assert np.isfinite(logits).all()

    def test_white_space_and_case_make_no_difference(self, texts, words):
        plain, odd = texts.logits([f"{words[0]} {words[5]}", f"\n {words[0].upper()}\t\u2003{words[5]}\0"])["t"]
        np.testing.assert_allclose(plain, odd, atol=1e-5)

    def test_the_order_of_words_counts_little_and_words_much(self, texts, words):
        same, turned, other = texts.logits([f"{words[0]} {words[9]}", f"{words[9]} {words[0]}", words[2]])["t"]
        assert np.abs(same - turned).max() < np.abs(same - other).max()


class TestChats:
    def logits(self, model, *turns):
        return model.logits([tuple(Message(role, content) for role, content in turns)])["t"][0]

    def test_who_says_it_matters(self, chats, words):
        label_1 = words[1]
        said = self.logits(chats, ("assistant", "hello"), ("user", label_1))
        heard = self.logits(chats, ("assistant", label_1), ("user", "hello"))
        assert said.argmax() == 1
        assert np.abs(said - heard).max() > 0.5

    def test_what_is_said_last_matters(self, chats, words):
        first, second = (
            self.logits(chats, ("user", words[a]), ("assistant", "well"), ("user", words[b]))
            for a, b in ((1, 2), (2, 1))
        )
        assert (first.argmax(), second.argmax()) == (2, 1)

    def test_a_text_is_what_a_user_said(self, chats, words):
        text = chats.logits([words[3]])["t"][0]
        np.testing.assert_allclose(text, self.logits(chats, ("user", words[3])), atol=1e-6)

    def test_a_model_of_texts_reads_all_turns_as_text(self, texts, words):
        turns = [("user", words[0]), ("assistant", words[1])]
        again = self.logits(
            texts, *[(role, content) for (role, _), (_, content) in zip(turns[::-1], turns, strict=True)]
        )
        np.testing.assert_allclose(self.logits(texts, *turns), again, atol=1e-6)


class TestCentring:
    def test_mean_nothing_and_typical_length(self):
        pooled = np.random.default_rng(0).standard_normal((200, 5)).astype(np.float32) + 3
        centred = Centring.of(pooled).apply(pooled.reshape(100, 2, 5).reshape(200, 5), 1)
        every = (pooled - Centring.of(pooled).centre) * Centring.of(pooled).scale
        assert np.abs(every.mean(axis=0)).max() < 1e-5
        assert (every**2).sum(axis=1).mean() == pytest.approx(LENGTH**2, rel=1e-4)
        np.testing.assert_allclose(centred, every[::2], atol=1e-6)

    def test_fields_without_a_known_token_stay_nothing(self):
        pooled = np.ones((8, 3), dtype=np.float32)
        pooled[1] = 0
        centred = Centring(np.full(3, 0.5, dtype=np.float32), 2.0).apply(pooled, 3)
        assert centred.shape == (2, 9)
        np.testing.assert_array_equal(centred[0], [1, 1, 1, 0, 0, 0, 1, 1, 1])

    @pytest.mark.parametrize("value", [0.0, 1.0])
    def test_without_any_spread_nothing_is_scaled(self, value):
        centring = Centring.of(np.full((6, 3), value, dtype=np.float32))
        assert centring.scale == 1
        np.testing.assert_allclose(centring.centre, value)


def test_embeddings_that_training_moved_and_those_it_did_not():
    base = np.arange(12, dtype=np.float16).reshape(6, 2)
    moved = np.full((2, 2), -1, dtype=np.float32)
    network = Network(moved, *(np.zeros((1, 1), dtype=np.float32) for _ in range(4)))
    both = TunedEmbeddings(base, 2.0, np.array([1, 4]), network)
    np.testing.assert_array_equal(both[np.array([0, 1, 4, 5])], [[0, 2], [-1, -1], [-1, -1], [20, 22]])
    assert both[np.array([3])].dtype == np.float32
    assert both.shape == (6, 2)
    none = TunedEmbeddings(base, 1.0, np.zeros(0, dtype=np.int64), network)
    np.testing.assert_array_equal(none[np.array([4])], [[8, 9]])


def test_what_is_stored_of_it(texts, semantics):
    tensors, facts = tensors_of(texts), architecture_of(texts)
    assert tensors["base.embeddings"] is semantics.matrix
    assert sum(facts["terms"].values()) + facts["private_columns"] + facts["dimensions"] + 1 == len(
        tensors["lexical.weights"]
    )
    assert (facts["fields"], facts["unknown_token"], facts["private_columns"]) == (1, 0, 200)
    assert tensors["network.hidden"].shape == (2 * facts["dimensions"], facts["hidden"])
    for block, count in facts["terms"].items():
        assert len(tensors[f"lexical.{block}.hashes"]) == count > 0
        assert tensors[f"lexical.{block}.single_owners"].dtype == np.int32


def test_products_use_one_thread_until_the_last_one_is_out():
    def threads():
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    before = threads()
    first, second = one_blas_thread(), one_blas_thread()
    with first:
        assert threads() == {1}
        with second:
            assert threads() == {1}
        assert threads() == {1}
    assert threads() == before
