"""Calibration: turning logits into probabilities that mean what they say, and measuring whether they do.

Everything is affine in the logits, `z' = scale * z + bias`, so that an export can fold it into its last layer.
Fitted on held-out rows only. It knows arrays, not models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat
from math import exp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamis.evaluation.metrics import Bools, Doubles, Floats, Ints

Singles = NDArray[np.float32]

BINS = 15
FEW = 32  # labels of one row that plain arithmetic is quicker for
BLOCK = 1_000_000  # numbers held in double precision at a time
CELLS = 2_000_000  # rows x labels that a fit looks at: a few numbers are fitted, more rows change nothing
BIAS_CELLS = 200_000  # the same for biases, which take a hundred passes
LOG_SCALE = (float(np.log(1e-3)), float(np.log(1e3)))
BIAS_PRIOR = 10.0  # held-out rows that speak for a bias of 0
FOLDS = 5
BIAS_FOLDS = 3
MOST_STEPS, MOST_HALVINGS = 50, 12
MOST_BIAS = 10.0
SCALE_WITHIN, GAIN_WITHIN = 1e-4, 1e-7  # where a fit stops: the last move of the log scale, what is left to gain
DOUBTED_ROWS, LEAST_GAIN = 200, 5.0  # rows, and nats that they gain in all, from which on labels are held to be wrong
LOT_AT_FIRST, LOT_WITHIN = 0.05, 5e-4  # the share of labels drawn by lot: where its fit begins, and where it stops
MOST_LOT = 0.15  # a model that is wrong about more than this is not right about the rest: it is too sure
MOST_EXPONENT = 700.0  # exp of more overflows
LOWEST, TINY = np.float32(-1e6), 1e-9
SCALE_SPREAD, BIAS_SPREAD = 0.25, 0.5  # how far one label's Platt parameters are expected to stray from the shared ones
NO_SPREAD = 1e-6  # of a bias that is to be none


@dataclass(frozen=True, slots=True, eq=False)
class SingleCalibration:
    """Softmax of `scale * logits + bias`; `bias` (n_labels,) sums to 0."""

    scale: float
    bias: Doubles


@dataclass(frozen=True, slots=True, eq=False)
class MultiCalibration:
    """Sigmoid of `scale * logits + bias`, both (n_labels,)."""

    scale: Doubles
    bias: Doubles


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """Rows by confidence, in bins of equal width over [0, 1]: each (bins,), the sums not yet divided."""

    rows: Doubles
    confidence: Doubles
    correct: Doubles

    def __add__(self, other: Bins) -> Bins:
        """The bins of both sets of rows together."""
        return Bins(self.rows + other.rows, self.confidence + other.confidence, self.correct + other.correct)

    def error(self) -> float:
        """Return the expected calibration error (Naeini et al. 2015): mean gap of confidence and accuracy, or NaN."""
        rows = float(self.rows.sum())
        return float(np.abs(self.confidence - self.correct).sum()) / rows if rows else float("nan")


def reliability_bins(confidence: Floats, correct: NDArray[Any], bins: int = BINS) -> Bins:
    """Sort answers into bins by confidence.

    Args:
        confidence: (n,) the probability that each answer was given.
        correct: (n,) whether it was right.
        bins: how many; a confidence of exactly 1 is in the last.
    """
    values = confidence.ravel().astype(np.float64)
    right = correct.ravel()
    place = np.minimum((values * bins).astype(np.int64), bins - 1)
    return Bins(
        rows=np.bincount(place, minlength=bins).astype(np.float64),
        confidence=np.bincount(place, weights=values, minlength=bins).astype(np.float64),
        correct=np.bincount(place, weights=right, minlength=bins).astype(np.float64),
    )


def ece(confidence: Floats, correct: NDArray[Any], bins: int = BINS) -> float:
    """Return the expected calibration error; see `reliability_bins` and `Bins.error`."""
    return reliability_bins(confidence, correct, bins).error()


def probabilities_single(logits: Floats, calibration: SingleCalibration) -> NDArray[np.float32]:
    """(n, n_labels) calibrated probabilities; each row sums to 1. `logits`: (n, n_labels)."""
    if logits.size <= FEW and len(logits) == 1:
        return _share_of_few(logits, calibration)
    if logits.size <= BLOCK:
        return _shares(_calibrated(logits, calibration)).astype(np.float32)
    found = np.empty(logits.shape, dtype=np.float32)
    for rows in _blocks(logits):
        found[rows] = _shares(_calibrated(logits[rows], calibration))
    return found


def probabilities_multi(logits: Floats, calibration: MultiCalibration) -> NDArray[np.float32]:
    """(n, n_labels) calibrated probabilities, independent of one another. `logits`: (n, n_labels)."""
    if logits.size <= BLOCK:
        return _sigmoid(_calibrated(logits, calibration)).astype(np.float32)
    found = np.empty(logits.shape, dtype=np.float32)
    for rows in _blocks(logits):
        found[rows] = _sigmoid(_calibrated(logits[rows], calibration))
    return found


def _share_of_few(logits: Floats, calibration: SingleCalibration) -> NDArray[np.float32]:
    """(1, n_labels) the same for one row of few labels: plain arithmetic is quicker than a dozen small arrays."""
    scale, bias = float(calibration.scale), calibration.bias.tolist()
    biases = bias if len(bias) > 1 else repeat(bias[0])
    shifted = [scale * logit + each for logit, each in zip(logits[0].tolist(), biases, strict=False)]
    highest = max(shifted)
    odds = [exp(each - highest) for each in shifted]
    total = sum(odds)
    return np.array([[each / total for each in odds]], dtype=np.float32)


def cross_fitted_single(
    logits: Floats, codes: Ints, *, seed: int = 0, weights: Floats | None = None, shift: bool = True
) -> NDArray[np.float32]:
    """(n, n_labels) probabilities of held-out rows, each row's calibration fitted on the other folds.

    These tell what calibration does for rows that it was not fitted on; arguments as `fit_single`.
    """
    found = np.empty(logits.shape, dtype=np.float32)
    for held_out, rest in folds(len(logits), seed):
        fitted = fit_single(logits[rest], codes[rest], seed=seed, weights=_of(weights, rest), shift=shift)
        found[held_out] = probabilities_single(logits[held_out], fitted)
    return found


def cross_fitted_multi(
    logits: Floats, indicator: Bools, known: Bools | None = None, *, seed: int = 0, weights: Floats | None = None,
    shift: bool = True,
) -> NDArray[np.float32]:  # fmt: skip
    """(n, n_labels) the same for a multi-label target; arguments as `fit_multi`."""
    asked = np.ones(len(logits), dtype=bool) if known is None else known
    found = np.empty(logits.shape, dtype=np.float32)
    for held_out, rest in folds(len(logits), seed):
        fitted = fit_multi(logits[rest], indicator[rest], asked[rest], _of(weights, rest), shift=shift)
        found[held_out] = probabilities_multi(logits[held_out], fitted)
    return found


def _of(weights: Floats | None, rows: NDArray[np.intp]) -> Floats | None:
    return None if weights is None else weights[rows]


def _relative(weights: Floats | None, rows: NDArray[np.intp]) -> Doubles | None:
    """(rows,) weights over their mean; None where all are the same."""
    if weights is None:
        return None
    chosen = weights[rows].astype(np.float64)
    mean = chosen.mean() if len(chosen) else 0.0
    return chosen / mean if mean > 0 else None


def _mean(values: NDArray[Any], weights: Doubles | None) -> Any:  # noqa: ANN401  one number or one a column
    """Return the mean over the rows, of which each counts by its weight (mean 1)."""
    return values.mean(axis=0, dtype=np.float64) if weights is None else weights @ values / len(values)


def _sum(values: Doubles, weights: Doubles | None) -> Doubles:
    total: Doubles = values.sum(axis=0) if weights is None else weights @ values
    return total


def _weighted(values: NDArray[Any], weights: Doubles | None) -> NDArray[Any]:
    return values if weights is None else values * weights[:, None]


def _blocks(logits: Floats) -> Iterator[slice]:
    step = max(1, BLOCK // max(1, logits.shape[1]))
    for start in range(0, len(logits), step):
        yield slice(start, start + step)


def _log_softmax(logits: Doubles) -> Doubles:
    shifted: Doubles = logits - logits.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted


def _calibrated(logits: Floats, calibration: SingleCalibration | MultiCalibration) -> Doubles:
    found: Doubles = logits.astype(np.float64)
    found *= calibration.scale
    found += calibration.bias
    return found


def _shares(logits: Doubles) -> Doubles:
    """(n, n_labels) the softmax, in place of `logits`."""
    logits -= np.maximum.reduce(logits, axis=1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= np.add.reduce(logits, axis=1, keepdims=True)
    return logits


def _sigmoid(logits: Doubles) -> Doubles:
    odds_against: Doubles = np.exp(np.minimum(-logits, MOST_EXPONENT))
    odds_against += 1
    return np.reciprocal(odds_against, out=odds_against)


def fit_single(
    logits: Floats, codes: Ints, *, seed: int = 0, weights: Floats | None = None, shift: bool = True
) -> SingleCalibration:
    """Fit a temperature, and a bias a label where cross-validation finds that it lowers the log loss.

    Labels are smoothed by one row in all (Platt 1999), which keeps the scale finite however well the rows are
    separated. A bias is kept only when it is better by more than one standard error on rows it was not fitted on.
    Where some labels are plainly wrong, rows count by how probable it is that theirs is right: no scale says that a
    share of labels is drawn by lot, and the one that comes closest is too unsure of all rows.

    Args:
        logits: (n, n_labels) of held-out rows.
        codes: (n,) their labels; unknown rows (-1) and unseen labels (>= n_labels) are left out.
        seed: of the folds, and of the rows taken where there are very many.
        weights: (n,) how much each row counts beside the others; None: all the same.
        shift: whether there may be a bias.
    """
    n_labels = logits.shape[1]
    rows = np.flatnonzero((codes >= 0) & (codes < n_labels))
    if not len(rows):
        return SingleCalibration(1.0, np.zeros(n_labels))
    rows = _some(rows, max(1, CELLS // n_labels), seed)
    scale = _fit_scale(_lowered(logits[rows]), codes[rows], weights=_relative(weights, rows))
    rows = _some(rows, max(1, BIAS_CELLS // n_labels), seed)
    lowered, actual, relative = _lowered(logits[rows]), codes[rows], _relative(weights, rows)
    if (trusted := _trusted(lowered, actual, scale, relative)) is not None:
        scale, relative = _fit_scale(lowered, actual, scale, trusted), trusted
    plain = SingleCalibration(scale, np.zeros(n_labels))
    if not shift or n_labels < 2 or len(rows) < max(2 * n_labels, 2 * FOLDS):
        return plain
    helps, start = _bias_helps(lowered, actual, plain, seed, relative)
    return _fit_bias(lowered, actual, start, relative) if helps else plain


def _some(rows: NDArray[np.intp], most: int, seed: int) -> NDArray[np.intp]:
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def _lowered(logits: Floats) -> Singles:
    """Return logits less each row's highest, which no softmax notices, and none so low that its square overflows."""
    lowered: Singles = np.subtract(logits, logits.max(axis=1, keepdims=True), dtype=np.float32)
    return np.maximum(lowered, LOWEST, out=lowered)


def _fit_scale(logits: Singles, codes: Ints, start: float = 1.0, weights: Doubles | None = None) -> float:
    """Minimise the smoothed log loss over the scale alone; 1 where there is nothing to learn from.

    The loss is convex: Newton's steps from `start`, or the middle of the bracket where one leaves it.
    """
    if not logits.any():
        return 1.0
    wanted, (low, high), scale = _wanted(logits, codes, weights)[0], LOG_SCALE, start
    for _ in range(MOST_STEPS):
        mean, variance = _moments(_softmax(logits * np.float32(scale))[0], logits)
        slope, at = float(_mean(mean, weights)) - wanted, float(np.log(scale))
        low, high = (low, at) if slope > 0 else (at, high)
        newton = scale - slope / max(float(_mean(variance, weights)), TINY)
        inside = newton > 0 and low < np.log(newton) < high
        scale = newton if inside else float(np.exp((low + high) / 2))
        if abs(np.log(scale) - at) < SCALE_WITHIN:
            break
    return scale


def _trusted(logits: Singles, codes: Ints, scale: float, weights: Doubles | None) -> Doubles | None:
    """(n,) what each row counts, mean 1, where labels are wrong; None where they are as the scale has it.

    A share of the labels is taken to be drawn by lot, and found with the scale by expectation-maximisation (Dempster,
    Laird and Rubin 1977): a row counts by how probable it is that its label is none of these. A large share speaks of
    a model that is too sure, which looks alike, and changes nothing.
    """
    (n_rows, n_labels), place = logits.shape, np.arange(len(logits))
    if n_rows < DOUBTED_ROWS or n_labels < 2:
        return None

    def own(scale: float) -> Doubles:
        return np.maximum(_softmax(logits * np.float32(scale))[0][place, codes].astype(np.float64), TINY)

    before, share, counted, trusted = own(scale), LOT_AT_FIRST, own(scale), weights
    if float(_mean(1 / (n_labels * before), weights)) <= 1:  # no share is better than none
        return None
    for _ in range(MOST_STEPS):
        mixed = (1 - share) * counted + share / n_labels
        right = (1 - share) * counted / mixed
        last, share = share, 1 - float(_mean(right, weights))
        trusted = right if weights is None else right * weights
        trusted /= trusted.mean()
        scale = _fit_scale(logits, codes, scale, trusted)
        counted = own(scale)
        if abs(share - last) < LOT_WITHIN:
            break
    gain = n_rows * float(_mean(np.log((1 - share) * counted + share / n_labels) - np.log(before), weights))
    return trusted if gain > LEAST_GAIN and share <= MOST_LOT else None


def _wanted(logits: Singles, codes: Ints, weights: Doubles | None) -> tuple[float, Doubles]:
    """Return the mean logit that the smoothed labels ask for, and (n_labels,) the mean of these labels."""
    n_rows, n_labels = logits.shape
    smoothing = 1 / (n_rows + 2)
    own = float(_mean(logits[np.arange(n_rows), codes], weights))
    mean = (1 - smoothing) * own + smoothing * float(logits.mean(dtype=np.float64))
    return mean, smoothing / n_labels + (1 - smoothing) * np.bincount(codes, weights, n_labels) / n_rows


def _softmax(logits: Singles, weights: Doubles | None = None) -> tuple[Singles, float]:
    """Return probabilities, in the place of the logits, and the mean log of the sums they were divided by."""
    top = logits.max(axis=1)
    logits -= top[:, None]
    np.exp(logits, out=logits)
    total = logits.sum(axis=1)
    logits *= (1 / total)[:, None]
    return logits, float(_mean(np.log(total) + top, weights))


def _moments(probability: Singles, logits: Singles) -> tuple[Singles, Singles]:
    """Return the mean and the variance of each row's logits, both (n,)."""
    weighted = probability * logits
    mean = weighted.sum(axis=1)
    return mean, np.maximum(np.einsum("ij,ij->i", weighted, logits) - mean**2, 0)


def _fit_bias(
    logits: Singles, codes: Ints, start: SingleCalibration, weights: Doubles | None = None
) -> SingleCalibration:
    """Minimise the smoothed log loss over the scale and a bias a label; labels without a row keep the mean bias.

    Convex too: Newton's steps from `start`, halved until they lead down.
    """
    n_rows, n_labels = logits.shape
    wanted = np.append(*_wanted(logits, codes, weights))
    prior = np.append(0.0, np.full(n_labels, BIAS_PRIOR / n_rows))
    moves = np.append(True, np.bincount(codes, minlength=n_labels) > 0)
    free = np.ix_(np.flatnonzero(moves), np.flatnonzero(moves))
    lowest, highest = (np.append(np.exp(LOG_SCALE[i]), np.full(n_labels, (-MOST_BIAS, MOST_BIAS)[i])) for i in range(2))

    def look(at: Doubles) -> tuple[float, Singles]:
        probability, mean = _softmax(logits * np.float32(at[0]) + at[1:].astype(np.float32), weights)
        return mean - float(wanted @ at) + float(prior @ np.square(at)) / 2, probability

    at = np.where(moves, np.append(start.scale, start.bias), 0)
    value, probability = look(at)
    for _ in range(MOST_STEPS):
        slope, curvature = _derivatives(probability, logits, weights)
        slope += prior * at - wanted
        curvature[np.diag_indices_from(curvature)] += prior + TINY
        step = np.zeros_like(at)
        step[moves] = np.linalg.solve(curvature[free], slope[moves])
        if slope @ step < GAIN_WITHIN:
            break
        tried, found, probability = _downhill(look, at, step, value, (lowest, highest))
        if found >= value:
            break
        at, value = tried, found
    return SingleCalibration(float(at[0]), at[1:] - at[1:].mean())


def _downhill(
    look: Callable[[Doubles], tuple[float, Singles]],
    at: Doubles,
    step: Doubles,
    value: float,
    bounds: tuple[Doubles, Doubles],
) -> tuple[Doubles, float, Singles]:
    """Return `at - step`, the step halved until it is better than `value`, and what is seen from there."""
    for halving in range(MOST_HALVINGS):
        tried = np.clip(at - step / 2**halving, *bounds)
        found, probability = look(tried)
        if found < value:
            break
    return tried, found, probability


def _derivatives(probability: Singles, logits: Singles, weights: Doubles | None) -> tuple[Doubles, Doubles]:
    """Return the first (1 + n_labels,) and the second derivatives of the mean log sum, by the scale and the biases."""
    n_rows, n_labels = logits.shape
    mean, variance = _moments(probability, logits)
    by_bias, weighted = _mean(probability, weights), _weighted(probability, weights)
    curvature = np.empty((1 + n_labels, 1 + n_labels))
    curvature[0, 0] = _mean(variance, weights)
    curvature[1:, 1:] = np.diag(by_bias) - (weighted.T @ probability) / n_rows
    across = np.einsum("ij,ij->j", weighted, logits - mean[:, None]) / n_rows
    curvature[0, 1:] = curvature[1:, 0] = across
    return np.append(_mean(mean, weights), by_bias), curvature


def _bias_helps(
    logits: Singles, codes: Ints, start: SingleCalibration, seed: int, weights: Doubles | None
) -> tuple[bool, SingleCalibration]:
    """Return whether a bias a label is better on rows that it was not fitted on, and one to start from."""
    gains = np.empty(len(codes))
    for held_out, rest in folds(len(codes), seed, BIAS_FOLDS):
        relative = _relative(weights, rest)
        scale = _fit_scale(logits[rest], codes[rest], start.scale, relative)
        start = _fit_bias(logits[rest], codes[rest], start, relative)
        row, actual = np.arange(len(held_out)), codes[held_out]
        wide = logits[held_out].astype(np.float64)
        plain = _log_softmax(scale * wide)[row, actual]
        gains[held_out] = _log_softmax(start.scale * wide + start.bias)[row, actual] - plain
    gain = _mean(gains, weights)
    away = gains - gain if weights is None else (gains - gain) * weights
    error = np.sqrt(np.square(away).mean()) / np.sqrt(len(gains))
    return bool(gain > max(error, 1e-4)), start


def folds(n_rows: int, seed: int, count: int = FOLDS) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield (held out, rest) rows `count` times; every row is held out once."""
    order = np.random.default_rng(seed).permutation(n_rows)
    for part in np.array_split(order, max(1, min(count, n_rows))):
        rest = np.ones(n_rows, dtype=bool)
        rest[part] = False
        yield np.sort(part), np.flatnonzero(rest)


def fit_multi(
    logits: Floats, indicator: Bools, known: Bools | None = None, weights: Floats | None = None, *, shift: bool = True
) -> MultiCalibration:
    """Fit Platt scaling a label, drawn towards the one shared by all labels as far as a label's rows are few.

    The shared scale and bias are fitted first on all cells with Platt's smoothed targets; each label then minimises
    its own log loss plus a Gaussian prior around them.

    Args:
        logits: (n, n_labels) of held-out rows.
        indicator: (n, n_labels) whether the row carries the label.
        known: (n,) rows that say anything about the target; all, if not given.
        weights: (n,) how much each row counts beside the others; None: all the same.
        shift: whether there may be a bias.
    """
    n_labels = logits.shape[1]
    rows = np.flatnonzero(known) if known is not None else np.arange(len(logits))
    if not len(rows) or not n_labels:
        return MultiCalibration(np.ones(n_labels), np.zeros(n_labels))
    some, bias_spread = _some(rows, max(1, CELLS // n_labels), seed=0), BIAS_SPREAD if shift else NO_SPREAD
    shared = _fit_shared(logits, indicator, some, weights, shift=shift)
    parameters = np.repeat(shared[:, None], n_labels, axis=1)
    width = max(1, CELLS // len(rows))
    for start in range(0, n_labels, width):
        part = slice(start, start + width)
        wide = logits[rows, part].astype(np.float64)
        wanted = indicator[rows, part].astype(np.float64)
        spread = (SCALE_SPREAD, bias_spread)
        parameters[:, part] = _platt(wide, wanted, shared, spread, weights=_relative(weights, rows))
    return MultiCalibration(np.exp(parameters[0]), parameters[1] if shift else np.zeros(n_labels))


def _fit_shared(
    logits: Floats, indicator: Bools, rows: NDArray[np.intp], weights: Floats | None, *, shift: bool
) -> Doubles:
    """(2,) log scale and bias fitted to all labels at once, as if they were one label."""
    wide, actual = logits[rows].astype(np.float64).reshape(-1, 1), indicator[rows].reshape(-1, 1)
    relative = _relative(weights, rows)
    relative = None if relative is None else np.repeat(relative, logits.shape[1])
    carried = float(_sum(actual[:, 0].astype(np.float64), relative))
    others = actual.size - carried
    smooth = np.where(actual, (carried + 1) / (carried + 2), 1 / (others + 2))
    found: Doubles = _platt(wide, smooth, np.zeros(2), (3.0, 10.0 if shift else NO_SPREAD), relative)[:, 0]
    return found


def _platt(
    logits: Doubles,
    wanted: Doubles,
    centre: Doubles,
    spread: tuple[float, float] = (SCALE_SPREAD, BIAS_SPREAD),
    weights: Doubles | None = None,
) -> Doubles:
    """(2, n_labels) log scale and bias of each column, by Fisher scoring with step halving.

    Args:
        logits: (n, n_labels).
        wanted: (n, n_labels) targets in [0, 1].
        centre: (2,) where the Gaussian prior is centred and the search starts.
        spread: standard deviations of the prior.
        weights: (n,) of the rows, 1 on average; None: all the same.
    """
    asked = _weighted(wanted, weights)
    precision = 1 / np.square(np.array(spread))[:, None]
    centres = np.repeat(centre[:, None], logits.shape[1], axis=1)

    def objective(parameters: Doubles) -> Doubles:
        """(n_labels,) minus the log posterior."""
        shifted = np.exp(parameters[0]) * logits + parameters[1]
        softplus = np.log1p(np.exp(-np.abs(shifted)))  # with the maximum below: logaddexp(0, z), twice as fast
        softplus += np.maximum(shifted, 0)
        loss: Doubles = _sum(softplus, weights) - np.einsum("ij,ij->j", asked, shifted)
        loss += (precision * np.square(parameters - centres)).sum(axis=0) / 2
        return loss

    found = centres
    for _ in range(MOST_STEPS):
        scaled = np.exp(found[0]) * logits
        probability = _sigmoid(scaled + found[1])
        beyond = probability - wanted
        slope = np.stack([_sum(beyond * scaled, weights), _sum(beyond, weights)])
        weight = _weighted(probability * (1 - probability), weights)
        step = _fisher_step(scaled, weight, slope + precision * (found - centres), precision)
        before, found = found, _descend(objective, found, step)
        if np.abs(found - before).max(initial=0.0) < 1e-6:
            break
    return found


def _descend(objective: Callable[[Doubles], Doubles], start: Doubles, step: Doubles) -> Doubles:
    """Return `start - step`, the step of a column halved until it is no worse; a column that never gets there stays."""
    best, size = objective(start), np.ones(start.shape[1])
    for _ in range(MOST_HALVINGS):
        tried = start - size * step
        tried[0] = np.clip(tried[0], *LOG_SCALE)
        worse = objective(tried) > best + 1e-12 * np.abs(best)
        if not worse.any():
            return tried
        size = np.where(worse, size / 2, size)
    return np.where(worse, start, tried)


def _fisher_step(scaled: Doubles, weight: Doubles, gradient: Doubles, precision: Doubles) -> Doubles:
    """(2, n_labels) the solution of each label's 2x2 Fisher system.

    `scaled`, `weight` (p times 1 - p): (n, n_labels); `gradient`: (2, n_labels); `precision` of the prior: (2, 1).
    """
    aa = (weight * np.square(scaled)).sum(axis=0) + precision[0]
    ab = (weight * scaled).sum(axis=0)
    bb = weight.sum(axis=0) + precision[1]
    step: Doubles = np.stack([bb * gradient[0] - ab * gradient[1], aa * gradient[1] - ab * gradient[0]])
    step /= aa * bb - np.square(ab)
    return step
