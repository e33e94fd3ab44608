import numpy as np
import pytest

from tamis.data.truth import UNKNOWN, SingleTruth, multi_truth
from tamis.ml.schedule import hyperparameters, plan
from tamis.ml.static import fitting as module
from tamis.ml.static import packed
from tamis.ml.static.encoded import Encoded, Packed, pools_of
from tamis.ml.static.fitting import (
    LOGITS_A_MARGIN,
    assemble,
    columns_of,
    fit_lexical,
    prior_log_odds,
    prior_margins,
    start_semantic,
)
from tamis.ml.static.linear import fit_linear
from tamis.ml.static.runs import FIELDS_OF_CHAT, FIELDS_OF_TEXT
from tamis.ml.static.training import TUNED
from tamis.ml.static.updates import Updates
from tamis.schema import Message


@pytest.fixture(scope="module")
def data(texts_about, data_of):
    """A single-label target that every third row does not mention, and a multi-label one."""
    rows = texts_about(80, 4)
    return data_of(
        [
            (text, {"m": [label[-1]] if row % 5 else []} | ({"t": label} if row % 3 else {}))
            for row, (text, label) in enumerate(rows)
        ]
    )


@pytest.fixture(scope="module")
def rows(data, semantics):
    return Encoded.of(data.inputs, semantics, FIELDS_OF_TEXT)


def plan_of(data, rows, **chosen):
    return plan(len(data), rows.n_tokens, hyperparameters(**chosen), TUNED)


def trained(data, rows, semantics, seed=0, after=lambda *_: False, **chosen):
    random = np.random.default_rng(seed)
    part = start_semantic(rows, sum(len(target.labels) for target in data.targets), semantics, random)
    Updates(data, rows, part, plan_of(data, rows, **({"epochs": 3} | chosen)), random).run(after)
    return part


def test_columns_are_those_of_each_target_in_turn(data):
    assert columns_of(data) == {"m": slice(0, 4), "t": slice(4, 8)}


class TestEncoded:
    @pytest.mark.parametrize("n_fields", [FIELDS_OF_TEXT, FIELDS_OF_CHAT])
    def test_selecting_is_encoding_what_was_selected(self, semantics, words, n_fields):
        chat = (Message("user", words[1]), Message("assistant", words[2]), Message("user", f"{words[3]} ok"))
        inputs = [f"{words[0]} {words[1]}", chat, "", "unheard", words[5]]
        order = np.array([4, 1, 2, 1])
        some = Encoded.of(inputs, semantics, n_fields).select(order)
        again = Encoded.of([inputs[i] for i in order], semantics, n_fields)
        assert len(some) == len(again) == 4
        np.testing.assert_allclose(some.tokens.toarray(), again.tokens.toarray())
        np.testing.assert_allclose(some.pooled, again.pooled, atol=1e-6)

    def test_pools_of_rows(self):
        assert pools_of(np.array([2, 0]), 3).tolist() == [6, 7, 8, 0, 1, 2]

    def test_no_row(self, rows):
        none = rows.select(np.zeros(0, dtype=np.int64))
        assert (len(none), none.n_tokens, none.pooled.shape[0]) == (0, 0, 0)


def without_private(lexical):
    """The weights, with a single empty column where there were private ones."""
    terms = sum(max(len(block), 1) for block in lexical.vocabulary.blocks)
    weights, n_owners = lexical.weights, lexical.vocabulary.n_owners
    return np.concatenate([weights[:terms], np.zeros_like(weights[:1]), weights[terms + n_owners :]])


class TestPackedRows:
    """Very many rows are read a portion at a time; but for private columns, what is fitted is the same."""

    @pytest.fixture
    def many(self, data, semantics, monkeypatch):
        monkeypatch.setattr(packed, "PORTION", 9)
        return Packed.of(data.inputs, semantics, FIELDS_OF_TEXT)

    def test_the_lexical_part(self, data, rows, many, monkeypatch):
        monkeypatch.setattr(module, "ITERATIONS", 80)
        monkeypatch.setattr(module, "WARM_ITERATIONS", 80)
        mine, wanted = fit_lexical(data, many, 0), fit_lexical(data, rows, 0)
        np.testing.assert_allclose(mine.logits(many), mine.logits(rows), atol=1e-5)
        assert np.abs(mine.weights - without_private(wanted)).max() < 1e-3 * np.abs(mine.weights).max()
        mine, again = (fit_lexical(data, each, 0, before=wanted) for each in (many, rows))
        assert mine.centring is wanted.centring
        assert np.abs(mine.weights - without_private(again)).max() < 1e-3 * np.abs(mine.weights).max()

    @pytest.mark.parametrize("most", ["MOST_AT_ONCE", "MOST_PACKED_AT_ONCE"])
    def test_the_lexical_part_by_batches(self, data, many, monkeypatch, most):
        monkeypatch.setattr(module, most, 0)
        logits = fit_lexical(data, many, 0).logits(many)
        codes = data.truth["t"].codes
        assert (logits[:, 4:].argmax(axis=1) == codes)[codes >= 0].mean() > 0.9

    def test_the_semantic_part(self, data, rows, many, semantics):
        mine, wanted = trained(data, many, semantics), trained(data, rows, semantics)
        np.testing.assert_allclose(mine.logits(many, semantics), wanted.logits(rows, semantics), atol=1e-4)


class TestLexical:
    def test_a_target_learns_from_its_own_labels_alone(self, data, rows, data_of):
        """Other labels of the other target, also on rows that this one does not know, change nothing."""
        mine = fit_lexical(data, rows, 0)
        turned = data_of(
            [
                (text, {"m": ["x", "y", "z", "w"][: row % 4]} | ({"t": data.labels_of("t", row)[0]} if row % 3 else {}))
                for row, text in enumerate(data.inputs)
            ]
        )
        other = fit_lexical(turned, rows, 0)
        np.testing.assert_array_equal(mine.weights[:, columns_of(data)["t"]], other.weights[:, columns_of(turned)["t"]])
        assert not np.array_equal(mine.weights[:, :4], other.weights[:, :4])

    def test_a_later_fit_goes_on_from_an_earlier_one(self, data, rows, monkeypatch):
        half = np.arange(0, 80, 2)
        before = fit_lexical(data.select(half), rows.select(half), 0)
        cold = fit_lexical(data, rows, 0)
        monkeypatch.setattr(module, "WARM_ITERATIONS", 0)
        moved = fit_lexical(data, rows, 0, before)
        assert moved.weights.shape == cold.weights.shape
        terms = sum(map(len, cold.vocabulary.blocks))
        assert moved.weights[:terms].any()
        assert not moved.weights[terms : terms + 80].any(), "private columns begin anew"
        np.testing.assert_allclose(moved.weights[-13:], before.weights[-13:], atol=1e-5)
        monkeypatch.setattr(module, "WARM_ITERATIONS", 40)
        warm = fit_lexical(data, rows, 0, before)
        agree = np.corrcoef(warm.logits(rows).ravel(), cold.logits(rows).ravel())[0, 1]
        assert agree > 0.995

    def test_words_go_where_the_same_words_are(self, data, rows):
        half = np.arange(0, 80, 2)
        before = fit_lexical(data.select(half), rows.select(half), 0)
        new = fit_lexical(data, rows, 0).vocabulary
        moved = module._moved(before, new)
        old_words, new_words = before.vocabulary.words.hashes, new.words.hashes
        at_old, at_new = len(before.vocabulary.characters), len(new.characters)
        shared = set(old_words.tolist()) & set(new_words.tolist())
        assert len(shared) > 10
        for hash_ in shared:
            mine = moved[at_new + int(np.searchsorted(new_words, np.uint64(hash_)))]
            theirs = before.weights[at_old + int(np.searchsorted(old_words, np.uint64(hash_)))]
            np.testing.assert_array_equal(mine, theirs)

    def test_too_many_scores_at_once_are_learnt_by_batches(self, data, rows, monkeypatch):
        exact = fit_lexical(data, rows, 0)
        monkeypatch.setattr(module, "MOST_AT_ONCE", 10)
        batches = fit_lexical(data, rows, 0)
        assert batches.vocabulary.n_owners == 0 < exact.vocabulary.n_owners
        known = np.flatnonzero(data.truth["t"].known)
        for part in (exact, batches):
            right = part.logits(rows)[:, 4:].argmax(axis=1)[known] == data.truth["t"].codes[known]
            assert right.mean() > 0.8


class TestSemantic:
    def test_it_learns_and_an_unknown_target_stays_silent(self, data, rows, semantics, data_of):
        part = trained(data, rows, semantics, epochs=20)
        known = np.flatnonzero(data.truth["t"].known)
        right = part.logits(rows, semantics)[:, 4:].argmax(axis=1)[known] == data.truth["t"].codes[known]
        assert right.mean() > 0.8
        silent = data_of([(text, {"t": "a"} if row % 2 else {"t": "b"}) for row, text in enumerate(data.inputs)])
        known_nowhere = data_of([(text, {}) for text in data.inputs], [*silent.targets, *data.targets[:1]])
        both = trained(known_nowhere, rows, semantics)
        assert not both.network.heads.any()
        for name, columns in columns_of(known_nowhere).items():
            prior = prior_log_odds(known_nowhere.truth[name])
            np.testing.assert_array_equal(both.network.head_bias[columns], prior)

    def test_rows_that_do_not_know_a_target_do_not_move_its_head(self, data, rows, semantics, data_of):
        """What else these rows say may move what lies below, never the head: one step, from heads of zero."""
        half = data_of(
            [
                (text, {"t": data.labels_of("t", row)[0] if row % 3 else "label 0"} if row % 2 else {"u": "x"})
                for row, text in enumerate(data.inputs)
            ],
        )
        even = np.arange(0, 80, 2)
        part = trained(half.select(even), rows.select(even), semantics)
        t = columns_of(half)["t"]
        assert not part.network.heads[:, t].any()
        assert not part.network.head_bias[t].any()

    def test_the_random_numbers_decide(self, data, rows, semantics):
        one, same, other = (trained(data, rows, semantics, seed) for seed in (0, 0, 1))
        for a, b in zip(one.network.parameters, same.network.parameters, strict=True):
            np.testing.assert_array_equal(a, b)
        assert not np.array_equal(one.network.heads, other.network.heads)

    def test_it_tells_and_may_be_stopped(self, data, rows, semantics):
        told = []
        trained(data, rows, semantics, after=lambda update, learnt: told.append((update, learnt)) or len(told) == 3)
        planned = plan_of(data, rows, epochs=3)
        evaluated = [update for update in range(1, planned.updates + 1) if planned.evaluates_at(update)]
        assert [update for update, _ in told] == evaluated[:3]
        assert all(np.isfinite(value) for _, learnt in told for value in learnt.values())
        assert all({"train_loss", "m.train_micro_f1", "t.train_accuracy"} <= learnt.keys() for _, learnt in told)
        every = []
        trained(data, rows, semantics, after=lambda update, _: bool(every.append(update)))
        assert every[-1] == planned.updates
        assert len(every) == len(set(every))

    def test_no_known_token(self, data_of, semantics):
        data = data_of([(f"unheard{row}", {"t": "ab"[row % 2]}) for row in range(12)])
        rows = Encoded.of(data.inputs, semantics, FIELDS_OF_TEXT)
        part = trained(data, rows, semantics)
        assert np.isfinite(part.logits(rows, semantics)).all()


def test_the_whole_is_the_lexical_part_and_each_targets_share_of_the_semantic_one(data, rows, semantics):
    lexical, semantic = fit_lexical(data, rows, 0), trained(data, rows, semantics, epochs=5)
    shares = {"t": 0.3, "m": 1.5}
    model = assemble(lexical, semantic, shares, semantics, columns_of(data), FIELDS_OF_TEXT)
    first, second = lexical.logits(rows), semantic.logits(rows, semantics)
    found = model.logits(data.inputs)
    for name, place in columns_of(data).items():
        logits = found[name]
        np.testing.assert_allclose(logits, first[:, place] + shares[name] * second[:, place], atol=1e-4)
        assert np.abs(second[:, place]).max() > 0.1


class TestPrior:
    def test_log_odds_of_the_known_rows(self):
        truth = multi_truth([[0], [0, 1], None, []], 2)
        share = np.array([(2 + 0.5) / (3 + 1), (1 + 0.5) / (3 + 1)])
        np.testing.assert_allclose(prior_log_odds(truth), np.log(share / (1 - share)), rtol=1e-6)

    def test_single_label_targets_start_even(self):
        assert not prior_log_odds(SingleTruth(np.array([0, 0, 1], dtype=np.int32), 2)).any()


class TestPriorMargins:
    def test_shares_of_the_known_rows_from_minus_one_to_one(self):
        share = (np.array([2, 1, 0]) + 0.5) / 4
        for truth in (
            multi_truth([[0], [0, 1], None, []], 3),
            SingleTruth(np.array([0, UNKNOWN, 0, 1], dtype=np.int32), 3),
        ):
            np.testing.assert_allclose(prior_margins(truth), 2 * share - 1, rtol=1e-6)

    def test_an_input_without_a_word_gets_about_the_share_of_each_label(self, data, rows, semantics):
        nothing = Encoded.of([""], semantics, FIELDS_OF_TEXT)
        found = fit_lexical(data, rows, 0).logits(nothing)[0]
        for name, place in columns_of(data).items():
            prior = LOGITS_A_MARGIN * prior_margins(data.truth[name])
            np.testing.assert_allclose(found[place], prior, atol=1.5)


def test_emphasis_is_in_the_weights_once_they_are_fitted(data, rows, monkeypatch):
    plain, seen = fit_lexical(data, rows, 0), []

    def spy(design, *given, **chosen):
        weights = fit_linear(design, *given, **chosen)
        seen.append((design, weights.copy()))
        return weights

    monkeypatch.setattr("tamis.ml.static.fitting.fit_linear", spy)
    spied = fit_lexical(data, rows, 0)
    np.testing.assert_array_equal(spied.weights, plain.weights)
    for (design, weights), (name, place) in zip(seen, columns_of(data).items(), strict=True):
        expected = LOGITS_A_MARGIN * (design.dot(weights) + prior_margins(data.truth[name]))
        np.testing.assert_allclose(plain.logits(rows)[:, place], expected, atol=1e-4)
