"""The factorised matrix beside a plain one that loops in Python build, n-gram by n-gram."""

from collections import Counter
from itertools import pairwise
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from tamis.ml.static.lexical import count_grams, fit_vocabulary
from tamis.ml.static.ngrams import fold_case, grams_of_runs, word_pairs
from tamis.ml.static.runs import FIELDS_OF_CHAT, FIELDS_OF_TEXT, WORD, code_points, split_runs, stretches
from tamis.schema import Message

MANY = 100_000
TEXTS = [
    "Where is my card? card, card!",
    "my card was lost aaaa",
    "where is the parcel, the small parcel",
    "I lost my my parcel",
    "",
    "?!",
    "ñandú 我喜欢 猫 card",
    "a b a b a b",
]
CHATS = [
    (Message("system", "be kind"), Message("user", "where is my card"), Message("assistant", "which card?")),
    (Message("user", "my card"), Message("assistant", "lost?"), Message("user", "lost my card card")),
    (Message("user", "be kind"), Message("assistant", "kind of a card")),
    (),
]
NEW = ["the card is lost lost", "zzz qqq", "", "Parcel parcel parcel", "card zzz card"]


def words_of(string):
    _, classes = code_points(string)
    return [string[a:b] for a, b in zip(*(edge.tolist() for edge in stretches(classes == WORD)), strict=True)]


class Plain:
    """TF-IDF by the book: for each input, {(block, field, n-gram): value}; each single is a column of its own."""

    def __init__(self, inputs, n_fields, fitted=None):
        self.runs = split_runs(inputs, n_fields)
        self.groups = [self._group(number) for number in range(len(inputs) * n_fields)]
        self.n_fields = n_fields
        known = fitted or self
        if fitted is None:
            self.frequency, self.n = self._frequencies(), len(self.groups)
        rows = [{} for _ in inputs]
        for number, group in enumerate(self.groups):
            rows[number // n_fields] |= known.values(group)
        self.rows = rows

    def _group(self, number):
        """What stands in a field of an input: each different run with its n-grams, and the pairs."""
        own = self.runs.run[self.runs.group == number].tolist()
        field = number % self.runs.n_fields
        runs = []
        for run, times in Counter(own).items():
            folded = fold_case(self.runs.strings[run])
            padded = f" {folded} "
            grams = [padded[i : i + k] for k in (2, 3, 4) for i in range(len(padded) - k + 1)]
            runs.append((1 + log(times), Counter(grams), Counter(words_of(folded))))
        pairs = Counter()
        for segment in sorted(set(self.runs.segment[self.runs.group == number].tolist())):
            at = self.runs.run[(self.runs.segment == segment)].tolist()
            words = [word for run in at for word in words_of(fold_case(self.runs.strings[run]))]
            pairs.update(pairwise(words))
        return field, runs, pairs

    def _frequencies(self):
        """In how many groups an n-gram stands, a run at a time."""
        found = Counter()
        for field, runs, pairs in self.groups:
            for _, characters, words in runs:
                found.update({("characters", field, gram): n for gram, n in characters.items()})
                found.update({("words", field, word): n for word, n in words.items()})
            found.update({("pairs", field, pair): 1 for pair in pairs})
        return found

    def idf(self, key):
        return log((1 + self.n) / (1 + min(max(self.frequency[key], 1), self.n))) + 1

    def values(self, group):
        field, runs, pairs = group
        values, squares = Counter(), {"characters": 0.0, "words": 0.0}
        for times, characters, words in runs:
            for block, grams in (("characters", characters), ("words", words)):
                for gram, n in grams.items():
                    key = (block, field, gram)
                    values[key] += times * n * self.idf(key)
                    squares[block] += times**2 * n * self.idf(key) ** 2
        for pair, n in pairs.items():
            key = ("pairs", field, pair)
            damped = 1 + log(n) if self.frequency[key] > 1 else n
            values[key] += damped * self.idf(key)
            squares["words"] += n * self.idf(key) ** 2
        lengths = {"characters": squares["characters"] ** 0.5, "words": squares["words"] ** 0.5}
        lengths["pairs"] = lengths["words"]
        return {key: value / lengths[key[0]] for key, value in values.items()}

    def dense(self, keys):
        return np.array([[row.get(key, 0.0) for key in keys] for row in self.rows]).reshape(len(self.rows), -1)


def names_of(inputs, n_fields):
    """{(block, hash): (block, field, n-gram)} for every n-gram of the inputs."""
    runs = split_runs(inputs, n_fields)
    grams, names = grams_of_runs(runs), {}
    strings = [fold_case(string) for string in runs.strings]
    plain = [
        (number, f" {string} "[at : at + k])
        for k in (2, 3, 4)
        for number, string in enumerate(strings)
        for at in range(len(string) + 3 - k)
    ]
    for (number, gram), hash_ in zip(plain, grams.characters.hashes.tolist(), strict=True):
        names["characters", hash_] = ("characters", int(runs.run_fields[number]), gram)
    words = [(number, word) for number, string in enumerate(strings) for word in words_of(string)]
    for (number, word), hash_ in zip(words, grams.words.hashes.tolist(), strict=True):
        names["words", hash_] = ("words", int(runs.run_fields[number]), word)
    sequence = []
    for run, segment, group in zip(runs.run.tolist(), runs.segment.tolist(), runs.group.tolist(), strict=True):
        sequence += [(segment, group % n_fields, word) for word in words_of(strings[run])]
    pairs = [(a[1], (a[2], b[2])) for a, b in pairwise(sequence) if a[0] == b[0]]
    for (field, pair), hash_ in zip(pairs, word_pairs(runs, grams.words).hashes.tolist(), strict=True):
        names["pairs", hash_] = ("pairs", field, pair)
    return names


def dense_of(matrix):
    return matrix.dot(np.eye(sum(matrix.widths), dtype=np.float32)).astype(np.float64)


def keys_of(vocabulary, names):
    """The n-gram of each column but the private ones; None for the empty column of a block without terms."""
    keys = []
    for block, terms in zip(("characters", "words", "pairs"), vocabulary.blocks, strict=True):
        keys += [names[block, hash_] for hash_ in terms.hashes.tolist()] or [None]
    return keys


@pytest.mark.parametrize(("inputs", "n_fields"), [(TEXTS, FIELDS_OF_TEXT), ([*CHATS, *TEXTS], FIELDS_OF_CHAT)])
class TestBesideLoops:
    @pytest.fixture
    def plain(self, inputs, n_fields):
        return Plain(inputs, n_fields)

    @pytest.fixture
    def vocabulary(self, inputs, n_fields):
        return fit_vocabulary(count_grams(split_runs(inputs, n_fields)), MANY)

    def test_terms_are_what_two_inputs_share_and_singles_the_rest(self, inputs, n_fields, plain, vocabulary):
        names = names_of(inputs, n_fields)
        shared = {key for key, count in plain.frequency.items() if count > 1}
        assert {key for key in keys_of(vocabulary, names) if key} == shared
        singles = {}
        for block, terms in zip(("characters", "words", "pairs"), vocabulary.blocks, strict=True):
            assert np.all(terms.hashes[1:] > terms.hashes[:-1])
            assert np.all(terms.single_hashes[1:] > terms.single_hashes[:-1])
            for hash_, owner in zip(terms.single_hashes.tolist(), terms.single_owners.tolist(), strict=True):
                singles[names[block, hash_]] = owner
        assert singles.keys() == plain.frequency.keys() - shared
        for key, owner in singles.items():
            assert key in plain.rows[owner]

    @pytest.mark.parametrize("new", [False, True])
    def test_values_are_those_of_loops(self, inputs, n_fields, plain, vocabulary, new):
        names = names_of(inputs, n_fields)
        asked = NEW + CHATS[:2] * (n_fields > 1) if new else inputs
        there = Plain(asked, n_fields, plain)
        matrix = vocabulary.matrix(count_grams(split_runs(asked, n_fields)))
        dense, keys = dense_of(matrix), keys_of(vocabulary, names)
        np.testing.assert_allclose(dense[:, : len(keys)], there.dense(keys), atol=1e-6)
        assert np.abs(dense[:, : len(keys)]).sum() > 1
        owned = self._private(plain, there)
        np.testing.assert_allclose(dense[:, len(keys) :], owned, atol=1e-6)

    def _private(self, plain, there):
        """What each input has of the singles of each training input: the product with their values, of length 1."""
        owned = np.zeros((len(there.rows), len(plain.rows)))
        for owner, row in enumerate(plain.rows):
            singles = {key: value for key, value in row.items() if plain.frequency[key] == 1}
            length = sum(value**2 for value in singles.values()) ** 0.5
            for number, other in enumerate(there.rows):
                product = sum(value * other.get(key, 0.0) for key, value in singles.items())
                owned[number, owner] = product / length if length else 0.0
        return owned

    def test_private_columns_decide_as_a_column_a_single_would(self, inputs, n_fields, plain, vocabulary):
        """Minimising the same penalised loss over either matrix gives the same answers, on new texts too."""
        every = sorted(plain.frequency, key=repr)
        matrix = dense_of(vocabulary.matrix(count_grams(split_runs(inputs, n_fields))))
        truth = np.arange(len(inputs)) % 3
        mine, book = fit(matrix, truth), fit(plain.dense(every), truth)
        np.testing.assert_allclose(matrix @ mine, plain.dense(every) @ book, atol=1e-4)
        asked = [*NEW, *inputs[:3]]
        new = dense_of(vocabulary.matrix(count_grams(split_runs(asked, n_fields))))
        there = Plain(asked, n_fields, plain).dense(every)
        np.testing.assert_allclose(new @ mine, there @ book, atol=1e-4)
        assert np.abs(there @ book).max() > 0.5


def fit(matrix, truth, strength=30.0):
    """Weights that minimise strength x cross-entropy + |W|² / 2, to convergence."""
    shape, wanted = (matrix.shape[1], truth.max() + 1), np.eye(truth.max() + 1)[truth]

    def value(flat):
        weights = flat.reshape(shape)
        logits = matrix @ weights
        logits -= logits.max(axis=1, keepdims=True)
        chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        loss = -np.log(chances[np.arange(len(truth)), truth]).sum()
        gradient = strength * matrix.T @ (chances - wanted) + weights
        return strength * loss + 0.5 * (flat**2).sum(), gradient.ravel()

    options = {"maxiter": 3000, "maxfun": 6000, "ftol": 1e-15, "gtol": 1e-9}
    return minimize(value, np.zeros(np.prod(shape)), jac=True, method="L-BFGS-B", options=options).x.reshape(shape)


def matrix_of(inputs, n_fields=FIELDS_OF_TEXT, fitted_to=None):
    vocabulary = fit_vocabulary(count_grams(split_runs(fitted_to or inputs, n_fields)), MANY)
    return vocabulary.matrix(count_grams(split_runs(inputs, n_fields)))


class TestProducts:
    @given(st.lists(st.text(alphabet="abc é", max_size=15), min_size=1, max_size=6), st.integers(0, 99))
    @settings(max_examples=25, deadline=None)
    def test_products_are_those_of_the_dense_matrix(self, texts, seed):
        matrix = matrix_of(texts)
        dense, random = dense_of(matrix), np.random.default_rng(seed)
        weights = random.standard_normal((dense.shape[1], 3)).astype(np.float32)
        values = random.standard_normal((len(texts), 3)).astype(np.float32)
        np.testing.assert_allclose(matrix.dot(weights), dense @ weights, atol=1e-5)
        np.testing.assert_allclose(matrix.transposed_dot(values), dense.T @ values, atol=1e-5)

    def test_some_inputs_and_some_columns(self):
        matrix = matrix_of([*CHATS, *TEXTS], FIELDS_OF_CHAT)
        rows = np.array([6, 1, 1])
        chosen = matrix.select(rows)
        np.testing.assert_array_equal(dense_of(chosen), dense_of(matrix)[rows])
        narrow, columns = chosen.narrow()
        np.testing.assert_allclose(dense_of(narrow), dense_of(matrix)[rows][:, columns], atol=1e-7)
        others = np.setdiff1d(np.arange(sum(matrix.widths)), columns)
        assert not dense_of(chosen)[:, others].any()
        assert len(others) > 30

    def test_squares_of_columns(self):
        """Exact where no two runs of a text share an n-gram, and never far above."""
        texts = ["card", "cards", "lost", "parcel", "parcels"]
        matrix = matrix_of(texts)
        np.testing.assert_allclose(matrix.column_squares(), (dense_of(matrix) ** 2).sum(axis=0), atol=1e-6)

    def test_emphasis_of_words_and_pairs(self):
        matrix = matrix_of(TEXTS)
        plain, louder = dense_of(matrix), dense_of(matrix.emphasised(1.5))
        a, _, c, _ = np.cumsum(matrix.widths)
        np.testing.assert_allclose(louder[:, a:c], 1.5 * plain[:, a:c], rtol=1e-6)
        np.testing.assert_array_equal(louder[:, :a], plain[:, :a])
        np.testing.assert_array_equal(louder[:, c:], plain[:, c:])

    def test_inputs_of_length_one(self):
        matrix = matrix_of(["parcel of the king", "parcel of the king"])
        dense, widths = dense_of(matrix), matrix.widths
        words = dense[:, widths[0] : sum(widths[:3])]
        np.testing.assert_allclose((words**2).sum(axis=1), 1, rtol=1e-5)

    def test_a_strange_text_says_little(self):
        known = matrix_of(["card lost", "card found"], fitted_to=["card lost", "card found"])
        strange = matrix_of(["card qwrtz zxcvb hjklp"], fitted_to=["card lost", "card found"])
        assert (dense_of(strange) ** 2).sum() < 0.5 * (dense_of(known)[0] ** 2).sum()


class TestVocabulary:
    def test_the_most_frequent_terms_are_kept(self):
        counted = count_grams(split_runs(["card"] * 9 + ["parcel"] * 5 + ["lost"] * 2, FIELDS_OF_TEXT))
        every, few = fit_vocabulary(counted, MANY), fit_vocabulary(counted, 30)
        sizes = [sum(map(len, vocabulary.blocks)) for vocabulary in (every, few)]
        assert sizes[0] > 30 >= sizes[1] > 0
        kept = few.matrix(count_grams(split_runs(["card", "parcel", "lost"], FIELDS_OF_TEXT)))
        strength = np.abs(dense_of(kept)).sum(axis=1)
        assert strength[0] > 0 == strength[2]

    def test_without_private_columns_singles_are_left_out(self):
        counted = count_grams(split_runs(TEXTS, FIELDS_OF_TEXT))
        vocabulary = fit_vocabulary(counted, MANY, private=False)
        assert vocabulary.n_owners == 0
        assert not any(len(terms.single_hashes) for terms in vocabulary.blocks)
        matrix = vocabulary.matrix(counted)
        assert matrix.widths[3] == 1
        assert matrix.private.nnz == 0
        full = fit_vocabulary(counted, MANY).matrix(counted)
        a = sum(matrix.widths[:3])
        np.testing.assert_array_equal(dense_of(matrix)[:, :a], dense_of(full)[:, :a])

    @pytest.mark.parametrize("texts", [["", ""], ["\0", " "], ["!", "?"], ["one"], ["\ud800", "👋"]])
    def test_next_to_nothing_in_the_texts(self, texts):
        matrix = matrix_of(texts)
        assert np.isfinite(dense_of(matrix)).all()
        assert dense_of(matrix).shape == (len(texts), sum(matrix.widths))

    def test_runs_of_inputs_that_are_not_there_count_nothing(self):
        """A selection keeps the list of runs; what only the others say must leave no trace."""
        runs = split_runs([*TEXTS, *TEXTS, "unheard of words"], FIELDS_OF_TEXT)
        some = np.arange(len(TEXTS))
        mine, plain = (
            fit_vocabulary(count_grams(each), MANY) for each in (runs.select(some), split_runs(TEXTS, FIELDS_OF_TEXT))
        )
        for a, b in zip(mine.blocks, plain.blocks, strict=True):
            for name in ("hashes", "idf", "single_hashes", "single_owners"):
                np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
            np.testing.assert_allclose(a.single_shares, b.single_shares, rtol=1e-6)
