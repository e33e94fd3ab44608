import copy
import json

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file
from scipy.sparse import csr_matrix, issparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import f1_score, log_loss, roc_auc_score
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import estimator_checks_generator
from sklearn.utils.validation import check_is_fitted, validate_data
from threadpoolctl import threadpool_limits
from tokenizers import Tokenizer, models, pre_tokenizers

import tamis
from tamis.errors import InvalidSetting, NothingToLearn, TooManyBadRows, UnknownBaseModel
from tamis.ml.estimator import TextClassifier
from tamis.schema import Message

TOPICS = {
    "animal": ["cat", "dog", "horse", "cow", "sheep", "goat", "hen", "duck", "goose", "pig"],
    "colour": ["red", "blue", "green", "black", "white", "pink", "grey", "brown", "orange", "violet"],
    "number": ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"],
}
BINS = 8


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Small matrices: more threads only wait for each other."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A base model of 200 tokens."""
    words = [word for topic in TOPICS.values() for word in topic]
    vocabulary = ["[UNK]", *words, *(f"c{column}v{value}" for column in range(20) for value in range(BINS))]
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    folder = tmp_path_factory.mktemp("tiny")
    tokenizer.save(str(folder / "tokenizer.json"))
    matrix = np.random.default_rng(0).standard_normal((len(vocabulary), 16)).astype(np.float32)
    save_file({"embeddings": matrix}, str(folder / "model.safetensors"))
    (folder / "config.json").write_text(json.dumps({"normalize": False}))
    return str(folder)


@pytest.fixture
def quick(tiny):
    return TextClassifier(base=tiny, epochs=2)


def some_texts(rows, seed=0, of=1):
    """Texts about one topic, or up to `of` topics, and lists of their names."""
    random = np.random.default_rng(seed)
    texts, topics = [], []
    for _ in range(rows):
        chosen = sorted(random.choice(list(TOPICS), size=random.integers(1, of + 1), replace=False).tolist())
        words = [word for topic in chosen for word in random.choice(TOPICS[topic], size=4)]
        texts.append(" ".join(random.permutation(words)))
        topics.append(chosen)
    return texts, topics


X, LISTS = some_texts(90)
Y = [topics[0] for topics in LISTS]
X_MULTI, LISTS_MULTI = some_texts(120, of=2)
NAMES = sorted(TOPICS)
TABLE = np.array([[int(name in topics) for name in NAMES] for topics in LISTS_MULTI])


# One label a row


def test_it_learns_and_gives_what_it_was_given(quick):
    quick.fit(X, Y)
    new, topics = some_texts(30, seed=1)
    truth = np.array([names[0] for names in topics], dtype=object)
    found = quick.predict(new)
    assert quick.classes_.tolist() == NAMES
    assert (found == truth).mean() >= 0.95
    assert quick.score(new, truth) == (found == truth).mean()
    assert (found.shape, found.dtype, quick.multi_label_) == ((30,), object, False)


def test_probabilities_sum_to_one_and_follow_classes(quick):
    numbers = [{"animal": 10, "colour": 9, "number": 2}[topic] for topic in Y]
    quick.fit(X, numbers)
    assert quick.classes_.tolist() == [2, 9, 10]  # the model's own order is that of the names: 10, 2, 9
    found = quick.predict_proba(X)
    assert found.shape == (90, 3)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-12)
    assert np.array_equal(quick.predict(X), quick.classes_[found.argmax(axis=1)])
    assert log_loss(numbers, found) < 0.3
    assert quick.predict(X).dtype.kind == "i"


def test_it_agrees_with_the_model_it_makes(quick, tmp_path):
    quick.fit(X, Y)
    model = quick.to_model()
    told = [prediction["label"] for prediction in model.classify(X[:10])]
    found = quick.predict_proba(X[:10])
    for row, answer in zip(found, told, strict=True):
        np.testing.assert_allclose(row, [answer.scores[name] for name in NAMES], atol=1e-6)
    stored = quick.save(tmp_path / "model")
    assert stored.folder == tmp_path / "model"
    again = tamis.load(tmp_path / "model").classify(X[:10])
    assert [answer["label"].labels for answer in again] == [answer.labels for answer in told]
    with pytest.raises(tamis.errors.OutputExists):
        quick.save(tmp_path / "model")
    quick.save(tmp_path / "model", overwrite=True)


def test_texts_come_in_many_containers(quick):
    quick.fit(np.array(X), pd.Series(Y))
    expected = quick.predict(X).tolist()
    frame = pd.DataFrame({"text": X}, index=range(100, 190))
    for given in (np.array(X, dtype=object), np.array(X)[:, None], frame, frame["text"], tuple(X)):
        assert quick.predict(given).tolist() == expected
    assert clone(quick).fit(frame, Y).predict(X).tolist() == expected
    odd = ["", " ", "\ud800", "x" * 100_000, "مرحبا 你好 🙂"]
    assert quick.predict_proba(odd).shape == (5, 3)
    assert quick.predict([]).shape == (0,)


def test_chats(quick):
    chats = [[{"role": "user", "content": text}] for text in X]
    quick.fit(chats, Y)
    assert quick.score(chats, Y) > 0.9
    as_messages = [(Message("user", text),) for text in X[:5]]
    assert quick.predict(as_messages).tolist() == quick.predict(chats[:5]).tolist()
    with pytest.raises(InvalidSetting, match="X is one chat"):
        quick.predict(chats[0])


def test_the_packaged_base_is_the_default():
    model = TextClassifier(epochs=1).fit(X, Y).to_model()
    assert model.manifest.base_model.id == "static-en"
    assert model.name == "text-classifier"


# Several labels a row


@pytest.mark.parametrize("form", ["array", "bool", "frame", "sparse", "lists"])
def test_several_labels_in_every_form(quick, form):
    y = {
        "array": TABLE,
        "bool": TABLE.astype(bool),
        "frame": pd.DataFrame(TABLE, columns=NAMES),
        "sparse": csr_matrix(TABLE),
        "lists": LISTS_MULTI,
    }[form]
    quick.fit(X_MULTI, y)
    new, topics = some_texts(40, seed=2, of=2)
    truth = np.array([[int(name in given) for name in NAMES] for given in topics])
    found, scores = quick.predict(new), quick.predict_proba(new)
    assert quick.multi_label_
    assert quick.classes_.tolist() == (NAMES if form in ("frame", "lists") else [0, 1, 2])
    assert scores.shape == (40, 3)
    assert not np.allclose(scores.sum(axis=1), 1.0)
    assert roc_auc_score(truth, scores) > 0.95
    if form == "lists":
        assert all(type(row) is list and set(row) <= set(NAMES) for row in found)
        dense = np.array([[int(name in given) for name in NAMES] for given in found])
        right = [set(a) == set(b) for a, b in zip(found, topics, strict=True)]
        assert quick.score(new, topics) == np.mean(right)
        assert quick.score(new, topics, sample_weight=np.array(right, dtype=float)) == 1.0
    else:
        assert issparse(found) == (form == "sparse")
        dense = found.toarray() if form == "sparse" else found
        assert dense.dtype.kind == "i"
        assert quick.score(new, truth) == (dense == truth).all(axis=1).mean()
    assert f1_score(truth, dense, average="macro") > 0.9
    thresholds = quick.to_model().manifest.targets[0].thresholds
    assert np.array_equal(dense, (scores >= np.float32(thresholds)).astype(int))


def test_a_label_without_rows_is_never_given(quick):
    wider = np.column_stack([TABLE[:, :1], np.zeros(120, dtype=int), TABLE[:, 1:]])
    quick.fit(X_MULTI, wider)
    assert quick.predict_proba(X_MULTI).shape == (120, 4)
    assert not quick.predict_proba(X_MULTI)[:, 1].any()
    assert not quick.predict(X_MULTI)[:, 1].any()
    assert f1_score(wider[:, [0, 2, 3]], quick.predict(X_MULTI)[:, [0, 2, 3]], average="micro") > 0.9


def test_scoring_lists_with_labels_never_seen(quick):
    quick.fit(X_MULTI, LISTS_MULTI)
    assert quick.score(X_MULTI[:4], [["never seen"]] * 4) == 0.0
    with pytest.raises(ValueError, match="inconsistent numbers"):
        quick.score(X_MULTI[:4], [["never seen"]] * 3)


# In scikit-learn


def test_in_a_pipeline_with_cross_validation_and_search(quick):
    pipeline = make_pipeline(FunctionTransformer(lambda texts: [text.lower() for text in texts]), quick)
    assert cross_val_score(pipeline, X, Y, cv=3).mean() > 0.85
    search = GridSearchCV(quick, {"epochs": [0.1, 2], "learning_rate": [1e-4]}, cv=2, scoring="neg_log_loss")
    search.fit(np.array(X), Y)
    assert set(search.best_params_) == {"epochs", "learning_rate"}
    assert search.best_estimator_.predict(X[:3]).shape == (3,)


def test_cross_validation_of_several_labels(quick):
    assert cross_val_score(quick, X_MULTI, TABLE, cv=2, scoring="f1_macro").mean() > 0.8
    assert cross_val_score(quick, X_MULTI, LISTS_MULTI, cv=KFold(2)).mean() > 0.5


def test_parameters_are_scikit_learns(quick):
    assert TextClassifier().get_params() == {
        "base": "static-en",
        "epochs": None,
        "learning_rate": None,
        "max_bad_share": 0.0,
        "multi_label": None,
        "random_state": None,
        "seed": 0,
        "training_steps": None,
        "weight_decay": None,
    }
    assert clone(quick.set_params(seed=3)).seed == 3
    assert repr(TextClassifier(epochs=2)) == "TextClassifier(epochs=2)"
    tags = get_tags(quick)
    assert (tags.estimator_type, tags.input_tags.string, tags.input_tags.two_d_array) == ("classifier", True, False)
    assert tags.classifier_tags.multi_label
    with pytest.raises(NotFittedError):
        quick.predict(X)
    with pytest.raises(NotFittedError):
        quick.save("nowhere")


def test_the_seed_decides(quick):
    def scores(**parameters):
        return clone(quick).set_params(**parameters).fit(X, Y).predict_proba(X)

    first = scores()
    assert np.array_equal(first, scores(random_state=0))
    assert not np.array_equal(first, scores(seed=1))
    assert np.array_equal(scores(seed=1), scores(random_state=1))
    drawn = scores(random_state=np.random.RandomState(5))
    assert np.array_equal(drawn, scores(random_state=np.random.RandomState(5)))
    assert not np.array_equal(drawn, first)


def test_a_copy_answers_alike(quick):
    quick.fit(X, Y)
    assert np.array_equal(copy.deepcopy(quick).predict_proba(X), quick.predict_proba(X))


def test_validation_data_is_used(quick):
    quick.fit(X, Y, validation=(X[:20] * 3, Y[:20] * 3))
    assert quick.model_.run.held_out_rows == "the validation data"
    quick.fit(X_MULTI, TABLE, validation=(X_MULTI[:20], TABLE[:20]))
    with pytest.raises(InvalidSetting, match="is a list of labels"):
        quick.fit(X, Y, validation=(X[:20], LISTS[:20]))
    with pytest.raises(InvalidSetting, match="other columns"):
        quick.fit(X_MULTI, TABLE, validation=(X_MULTI[:20], TABLE[:20, :2]))


# What is refused


def test_bad_rows_are_named_or_left_out(quick):
    texts, labels = [*X, "", "a\x00b"], [*Y, "animal", "colour"]
    with pytest.raises(TooManyBadRows, match=r"X\[90\]: The text is empty(.|\n)*X\[91\]: Control character"):
        quick.fit(texts, labels)
    quick.set_params(max_bad_share=0.1).fit(texts, labels)
    assert [tally.rejected for tally in quick.model_.run.tallies] == [2]
    gone = [*["rare"], *Y[1:]]
    quick.fit(["", *X[1:]], gone)
    assert quick.classes_.tolist() == [*NAMES, "rare"]
    assert not quick.predict_proba(X)[:, 3].any()
    np.testing.assert_allclose(quick.predict_proba(X).sum(axis=1), 1.0)


@pytest.mark.parametrize(
    ("texts", "labels", "error", "message"),
    [
        (X, Y[:-1], ValueError, "inconsistent numbers of samples"),
        ("one text", ["a"], InvalidSetting, "X is of type str"),
        (np.eye(3), ["a", "b", "a"], InvalidSetting, r"X has the shape \(3, 3\), and must be one column of texts"),
        (pd.DataFrame({"a": X, "b": X}), Y, InvalidSetting, r"X has the shape \(90, 2\)"),
        (CountVectorizer().fit_transform(X), Y, InvalidSetting, "leave out what turns texts into numbers"),
        ([1, 2, 3], ["a", "b", "a"], TooManyBadRows, r"X\[0\]: The text is a number"),
        (X, ["a"] * 90, NothingToLearn, "1 class"),
        (X, None, InvalidSetting, "requires y"),
        (X, [None, *Y[1:]], ValueError, r"y\[0\] is None: the label of this row is unknown. Leave the row out"),
        (X_MULTI, np.zeros((120, 2)), NothingToLearn, "label"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(quick, texts, labels, error, message):
    with pytest.raises(error, match=message):
        quick.fit(texts, labels)


def test_settings_are_checked_in_fit():
    for parameters, error in (
        ({"epochs": -1}, InvalidSetting),
        ({"learning_rate": 7}, InvalidSetting),
        ({"epochs": 1, "training_steps": 1}, InvalidSetting),
        ({"base": "no such base"}, UnknownBaseModel),
        ({"max_bad_share": 2}, InvalidSetting),
    ):
        with pytest.raises(error):
            TextClassifier(**parameters).fit(X, Y)


def test_inputs_that_are_no_texts_are_refused(quick):
    quick.fit(X, Y)
    with pytest.raises(InvalidSetting, match="Input 1 is None"):
        quick.predict(["text", None])
    with pytest.raises(InvalidSetting, match="Input 0 is of type float"):
        quick.predict_proba([float("nan")])


# scikit-learn's own checks. They need a table of numbers, so numbers are spelt as words on the way.


class OfNumbers(TextClassifier):
    """Takes tables of numbers: each column in eighths, a word a cell."""

    def fit(self, X, y, validation=None):
        X = validate_data(self, X)
        self.cuts_ = np.unique(np.quantile(X, np.linspace(0, 1, BINS + 1)[1:-1], axis=0), axis=0)
        texts = self._spelt(X)
        return super().fit(texts, y, (texts, y))  # one fit instead of six: these checks are many

    def predict_proba(self, X):
        check_is_fitted(self)
        return super().predict_proba(self._spelt(validate_data(self, X, reset=False)))

    def _spelt(self, X):
        bins = (X[:, None, :] > self.cuts_[None]).sum(axis=1)
        return [" ".join(f"c{column}v{value}" for column, value in enumerate(row)) for row in bins]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.one_d_array = False
        tags.input_tags.two_d_array = True
        return tags


def checks():
    for estimator, check in estimator_checks_generator(OfNumbers(epochs=1)):
        name = str(check).partition("check_")[2].partition(" ")[0].partition(",")[0]
        yield pytest.param(estimator, check, id=name)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("estimator", "check"), list(checks()))
def test_scikit_learns_checks_pass(estimator, check, tiny):
    check(estimator.set_params(base=tiny))
