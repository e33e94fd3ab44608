"""Few-shot classification: logistic regression on a base model's embeddings of a handful of examples.

An input is the average of its tokens' embeddings, of length 1; what was compared with it, and how well it does, is in
docs/log.md. Nothing is stored: a fit takes milliseconds. Static base models alone can do it, since no other is loaded
in a server.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tamis.ml.static.base_model import StaticBase
from tamis.ml.static.tokens import RunTokenizer

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

STRENGTH = 10.0
"""How much an example counts against the penalty on the weights; 1 to 100 hardly differ."""

USUAL_SCALE, CAUTION = 2.0, 4.0
"""What logits are stretched by where the examples say nothing of it, and how many examples' worth that is."""

MANY = 200
"""Labels beyond which logits are stretched as usual, without a look at the examples."""

LEAST_STEPS, MOST_STEPS = 10, 100
BUDGET = 1e10
"""Multiplications that a fit may take before its steps become fewer: a second or two, but for very many labels."""

TINY = 1e-9


class Embedder:
    """Averages of token embeddings: the base model alone, without anything that was learnt."""

    def __init__(self, base: StaticBase) -> None:
        """Take the base model."""
        self._base = base
        self._tokenizer = RunTokenizer(base.tokenizer_json, base.unknown_id)

    def __call__(self, texts: Sequence[str]) -> Floats:
        """Return (texts, dimensions), each of length 1; a text without a known token is all zeros."""
        tokens = self._tokenizer.few(list(texts))
        found = np.zeros((len(texts), self._base.matrix.shape[1]), dtype=np.float32)
        for row in range(len(texts)):
            ids = tokens.ids[tokens.offsets[row] : tokens.offsets[row + 1]]
            if len(ids):
                each, counts = np.unique(ids, return_counts=True)  # of a book, too, there are not many
                found[row] = counts.astype(np.float32) @ np.asarray(self._base.matrix[each], dtype=np.float32)
        found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), TINY)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class FewShotModel:
    """What was learnt of some examples: `weights` (dimensions, labels) and `bias` (labels)."""

    labels: tuple[str, ...]
    weights: Floats
    bias: Floats

    def scores(self, embedded: Floats) -> Floats:
        """Return (inputs, labels) probabilities of (inputs, dimensions) embeddings; they sum to 1."""
        return _softmax(embedded.astype(np.float64) @ self.weights + self.bias).astype(np.float32)


def fit(embedded: Floats, labels: Sequence[str]) -> FewShotModel:
    """Learn from (examples, dimensions) embeddings and the label of each; labels keep the order they came in.

    The penalty keeps scores modest, so they are stretched as far as two halves of the examples, each judged by the
    other, say that they may be.
    """
    names = tuple(dict.fromkeys(labels))
    places = {name: place for place, name in enumerate(names)}
    codes = np.array([places[label] for label in labels])
    weights, bias = _regression(embedded, codes, len(names))
    scale = _scale(embedded, codes, len(names)) if len(names) <= MANY else USUAL_SCALE
    return FewShotModel(names, (scale * weights).astype(np.float32), (scale * bias).astype(np.float32))


def _regression(x: Floats, codes: NDArray[np.intp], n_labels: int) -> tuple[Doubles, Doubles]:
    from scipy.optimize import minimize

    wanted = np.eye(n_labels)[codes]
    n_weights = x.shape[1] * n_labels

    def loss(at: Doubles) -> tuple[float, Doubles]:
        weights, bias = at[:n_weights].reshape(-1, n_labels), at[n_weights:]
        scores = _softmax(x @ weights.astype(np.float32) + bias)
        off = STRENGTH * (scores - wanted)
        missed = -STRENGTH * np.log(np.maximum(scores[np.arange(len(codes)), codes], TINY)).sum()
        slope = np.concatenate([(x.T @ off.astype(np.float32) + weights).ravel(), off.sum(axis=0)])
        return float(missed + 0.5 * (weights * weights).sum()), slope

    start = np.zeros(n_weights + n_labels)
    steps = int(np.clip(BUDGET / (2 * x.size * n_labels), LEAST_STEPS, MOST_STEPS))
    best = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": steps}).x
    return best[:n_weights].reshape(-1, n_labels), best[n_weights:]


def _scale(x: Floats, codes: NDArray[np.intp], n_labels: int) -> float:
    """How much logits are to be stretched: the most likely factor, given that it is usually about `USUAL_SCALE`."""
    from scipy.optimize import minimize_scalar

    half = _halves(codes)
    logits = np.empty((len(codes), n_labels))
    for judged in (0, 1):
        weights, bias = _regression(x[half != judged], codes[half != judged], n_labels)
        logits[half == judged] = x[half == judged].astype(np.float64) @ weights + bias

    def unlikely(log_scale: float) -> float:
        scores = _softmax(logits * np.exp(log_scale))[np.arange(len(codes)), codes]
        return float(-np.log(np.maximum(scores, TINY)).sum() + CAUTION * (log_scale - np.log(USUAL_SCALE)) ** 2)

    return float(np.exp(minimize_scalar(unlikely, bounds=(-1.5, 2.0), method="bounded").x))


def _halves(codes: NDArray[np.intp]) -> NDArray[np.intp]:
    """0 or 1 for each example, so that the examples of a label are shared out evenly."""
    order = np.argsort(codes, kind="stable")
    first = np.searchsorted(codes[order], codes[order])
    half = np.empty(len(codes), dtype=np.intp)
    half[order] = (np.arange(len(codes)) - first) % 2
    return half


def _softmax(logits: Doubles) -> Doubles:
    raised: Doubles = np.exp(logits - logits.max(axis=1, keepdims=True))
    raised /= raised.sum(axis=1, keepdims=True)
    return raised
