"""`TextClassifier`: training and prediction behind scikit-learn's interface.

Owns the translation only: `X` and `y` in, their forms out. This module loads scikit-learn, so it is imported when the
class is first used; `tamis.train` and models do without.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin  # noqa: TID253  what this module is for
from sklearn.utils import check_random_state  # noqa: TID253
from sklearn.utils.validation import check_consistent_length, check_is_fitted  # noqa: TID253

from tamis.data.formats import ReadOptions
from tamis.errors import InvalidSetting, NothingToLearn
from tamis.ml.given import HeldSource, column_values, labelled
from tamis.ml.label_forms import Form, LabelForm, read_labels
from tamis.ml.training import DEFAULT_BASE, train

if TYPE_CHECKING:
    from tamis.ml.model import Model

NAME = "text-classifier"
"""The name of a model that was trained by an estimator."""


class TextClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A scikit-learn classifier of texts and chats.

    `X` is a list, array, Series or one-column DataFrame of texts, or a list of chats, each a list of
    `{"role": ..., "content": ...}`. `y` holds one label a row (strings or numbers), or any number: as a 0/1 table with
    a column a label (array, DataFrame, sparse matrix) or as a list of labels a row. Predictions have the form of `y`.

    Args:
        base: the base model: an id, a folder or a repository.
        training_steps: at most so many steps of 65,536 tokens. Neither these nor epochs given: chosen by data size.
        epochs: at most so many passes over the data.
        learning_rate: relative: 1e-4 is the base model's own rate.
        weight_decay: relative to 0.1.
        multi_label: whether a row may have any number of labels; None tells it from `y`, once, in `fit`.
        max_bad_share: share of unusable rows (an empty text, control characters) up to which `fit` leaves them out
            instead of refusing the data; `model_.run.tallies` says which.
        seed: the same data, settings, seed and thread count give the same model.
        random_state: scikit-learn's name for the seed; used instead of `seed` where it is not None.

    Attributes:
        classes_: (n_classes,) the labels, sorted, of the dtype that was given; of a table the columns' names, or their
            numbers.
        multi_label_: whether a row may have any number of labels.
        model_: the trained `tamis.Model`, to save, serve or evaluate.
    """

    def __init__(  # noqa: PLR0913  (scikit-learn's convention: all parameters in one flat list)
        self,
        *,
        base: str = DEFAULT_BASE,
        training_steps: int | None = None,
        epochs: float | None = None,
        learning_rate: float | None = None,
        weight_decay: float | None = None,
        multi_label: bool | None = None,
        max_bad_share: float = 0.0,
        seed: int = 0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        """Keep the parameters; they are looked at in `fit`."""
        self.base = base
        self.training_steps = training_steps
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.multi_label = multi_label
        self.max_bad_share = max_bad_share
        self.seed = seed
        self.random_state = random_state

    def fit(self, X: Any, y: Any, validation: tuple[Any, Any] | None = None) -> Self:  # noqa: ANN401
        """Train on texts and their labels.

        Args:
            X: (n,) texts or chats.
            y: (n,) labels, or (n, n_labels) of 0 and 1, or n lists of labels.
            validation: further `(X, y)` to choose and calibrate on; without it rows are held out of these.

        Raises:
            InvalidSetting: a parameter, `X` or `y` cannot be used.
            TooManyBadRows: rows cannot be used; the message names them, `X[3]`.
            NothingToLearn: there are fewer than two classes.
        """
        texts = _texts(X)
        form, names = read_labels(y, self.multi_label)
        if len(form.classes) == 1 and not form.is_multi:
            raise NothingToLearn(f"y has 1 class ({form.names[0]!r}): give rows of at least two.", target="label")
        self.model_: Model = train(
            _source(texts, names, "X"),
            None if validation is None else self._further(validation, form),
            base=self.base,
            name=NAME,
            training_steps=self.training_steps,
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            seed=self._seed(),
            max_bad_share=self.max_bad_share,
        )
        self.classes_, self.multi_label_, self._form = form.classes, form.is_multi, form
        return self

    def predict(self, X: Any) -> Any:  # noqa: ANN401
        """Return labels in the form of the `y` of `fit`: (n,) classes, (n, n_labels) of 0 and 1, or n lists.

        One label a row: the most probable class (models may abstain; this does not). Any number: the labels whose
        probability reaches the threshold that was fitted on held-out rows.
        """
        found = self.predict_proba(X)
        if not self.multi_label_:
            return self.classes_[found.argmax(axis=1)]
        return self._form.given(found >= self._thresholds())

    def predict_proba(self, X: Any) -> NDArray[np.float64]:  # noqa: ANN401
        """Return (n, n_classes) calibrated probabilities, in the order of `classes_`.

        One label a row: each row sums to 1. Any number: each label has a probability of its own.
        A class without a training row has the probability 0.
        """
        check_is_fitted(self)
        scores = self.model_.scores(_texts(X))[self._target.name]
        places = self._places()
        found = np.zeros((len(scores), len(places)))
        found[:, places >= 0] = scores[:, places[places >= 0]]
        return found if self.multi_label_ else found / found.sum(axis=1, keepdims=True)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:  # noqa: ANN401
        """Return the share of rows whose labels are all right: accuracy; of several labels the subset accuracy."""
        check_is_fitted(self)
        if self._form.form is not Form.LISTS:
            return float(super().score(X, y, sample_weight))
        _, truth = read_labels(y, multi_label=True)
        names = dict(zip(self.classes_.tolist(), self._form.names, strict=True))
        given = [{names[label] for label in row} for row in self.predict(X)]
        check_consistent_length(given, truth)
        return float(np.average([set(a) == b for a, b in zip(truth, given, strict=True)], weights=sample_weight))

    def to_model(self) -> Model:
        """Return the trained model."""
        check_is_fitted(self)
        return self.model_

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Model:
        """Write the trained model to a folder, for `tamis.load`, `tamis evaluate` and the like, and return it."""
        return self.to_model().save(folder, overwrite=overwrite)

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401
        """Say that `X` is one column of strings, and that `y` may hold several labels."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.classifier_tags.multi_label = True
        return tags

    @property
    def _target(self) -> Any:  # noqa: ANN401
        return self.model_.targets[0]

    def _places(self) -> NDArray[np.intp]:
        """(n_classes,) where the model has each class; -1 for one that had no training row."""
        there = {name: place for place, name in enumerate(self._target.labels)}
        return np.array([there.get(name, -1) for name in self._form.names], dtype=np.intp)

    def _thresholds(self) -> NDArray[np.float64]:
        fitted, places = self.model_.manifest.targets[0].thresholds or (), self._places()
        return np.array([np.float32(fitted[place]) if place >= 0 else 2.0 for place in places])  # 2: never reached

    def _further(self, validation: tuple[Any, Any], form: LabelForm) -> HeldSource:
        X, y = validation
        other, names = read_labels(y, multi_label=form.is_multi)
        if form.form in (Form.TABLE, Form.SPARSE) and other.names != form.names:
            raise InvalidSetting("The y of validation has other columns than y.", setting="validation")
        return _source(_texts(X), names, "validation")

    def _seed(self) -> int:
        if self.random_state is None or isinstance(self.random_state, int | np.integer):
            return int(self.seed if self.random_state is None else self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))


def _source(texts: list[Any], names: list[Any], name: str) -> HeldSource:
    check_consistent_length(texts, names)
    return labelled(texts, names, ReadOptions(), name)


def _texts(X: Any) -> list[Any]:  # noqa: ANN401
    """The column of texts that `X` is."""
    shape = tuple(getattr(X, "shape", ()))
    if hasattr(X, "toarray") or len(shape) > 2 or (len(shape) == 2 and shape[1] != 1):
        raise InvalidSetting(
            f"X has the shape {shape}, and must be one column of texts: leave out what turns texts into numbers, or "
            'choose a column, X["text"].',
            setting="X",
        )
    if len(shape) == 2 and isinstance(X, np.ndarray):
        X = X.ravel()
    texts = column_values(X, "X")
    if texts and isinstance(texts[0], dict) and "role" in texts[0]:
        raise InvalidSetting("X is one chat: give a list of chats, [chat].", setting="X")
    return texts
