"""What a run of the static tier will take, before it starts: steps, epochs, tokens, time, memory.

Tokens are exact. Time and memory are rough fits to runs on the sets of `benchmarks/` (two cores, 200
to 1,000,000 rows: memory within a third, time within a factor of two): good enough to say "seconds", "minutes" or "more
than this machine has", not to plan by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from tamis.data.dataset import Dataset
from tamis.ml.estimates import Estimate
from tamis.ml.holding_out import FEW_ROWS
from tamis.ml.progress import Check, nothing
from tamis.ml.schedule import STEP_TOKENS, Hyperparameters, Plan, epochs_of_steps, plan, steps_of_epochs
from tamis.ml.static.base_model import StaticBase
from tamis.ml.static.cutting import cut_inputs
from tamis.ml.static.encoded import MOST_WHOLE
from tamis.ml.static.fitting import LEAST_TERMS, MOST_PACKED_AT_ONCE, MOST_PACKED_TERM_WEIGHTS, MOST_TERMS
from tamis.ml.static.runs import split_runs
from tamis.ml.static.tokens import RunTokenizer
from tamis.ml.static.training import TUNED, are_many, folds_of
from tamis.schema import Input

COUNTED_AT_ONCE = 20_000

SECONDS = 0.6
SECONDS_PER_TOKEN = 0.3e-6
SECONDS_PER_SCORE = 6.7e-8
SECONDS_PER_UPDATE = 2e-3
SECONDS_PER_ROW_SEEN = 1e-5
"""Of each fit: a token; a token times a label, in the linear part; a mini-batch, and a row in it."""

MEGABYTES = 118.0
BYTES_PER_TOKEN = 98.0
BYTES_PER_SCORE = 44.0
BYTES_PER_ROW = 11_500.0
BYTES_PER_CHARACTER = 133.0
BYTES_PER_WEIGHT = 34.0
"""Of the whole run: a token, a row times a label, a row, a character of all different words, a linear weight."""

BYTES_PER_PACKED_TOKEN = 10.0
BYTES_PER_PACKED_SCORE = 45.0
BYTES_PER_PACKED_WEIGHT = 85.0
TERMS_PER_TOKEN = 0.035
"""The same where rows are packed: scores are those of the target with the most labels; n-grams that are kept."""

MOST_SCORES_HELD = 10_000_000
MOST_WEIGHTS = 6_000_000
WEIGHTS_PER_LABEL = 2_000
"""Bounds that the trainer keeps to where there are very many labels."""


def estimate_run(
    data: Dataset,
    base: StaticBase,
    chosen: Hyperparameters,
    validation: Dataset | None = None,
    *,
    check: Check = nothing,
) -> Estimate:
    """Return what training on `data` will take; `check` is called between portions of the counting."""
    tokenizer = RunTokenizer(base.tokenizer_json, base.unknown_id)
    size = size_of(data.inputs, tokenizer, chosen.seq_len, check)
    held = None if validation is None else size_of(validation.inputs, tokenizer, chosen.seq_len, check)
    planned = plan(len(data), size.tokens, chosen, {**TUNED, **base.card.tuned})
    steps = chosen.training_steps or max(1, ceil(steps_of_epochs(_epochs(chosen, planned), size.tokens) - 1e-9))
    n_labels = sum(len(target.labels) for target in data.targets)
    texts = Size(size.tokens + (held.tokens if held else 0), size.characters + (held.characters if held else 0))
    if len(data) > MOST_WHOLE:
        megabytes = _packed_megabytes(texts, len(data), [len(target.labels) for target in data.targets])
    else:
        megabytes = _megabytes(texts, n_labels) + BYTES_PER_ROW * len(data) / 1e6 + _scores(len(data), n_labels)
    return Estimate(
        rows=len(data),
        data_tokens=size.tokens,
        train_tokens_per_step=STEP_TOKENS,
        training_steps=steps,
        train_tokens=steps * STEP_TOKENS,
        epochs=epochs_of_steps(steps, size.tokens),
        expected_duration_seconds=ceil(_seconds(size.tokens, n_labels, planned, given=held is not None)),
        peak_memory_mb=round(megabytes + base.matrix.nbytes / 1e6, 1),
    )


@dataclass(frozen=True, slots=True)
class Size:
    """How much text there is: tokens, and characters of all different words."""

    tokens: int
    characters: int


def size_of(
    inputs: Sequence[Input], tokenizer: RunTokenizer, seq_len: int | None = None, check: Check = nothing
) -> Size:
    """Return how many tokens of the base model the inputs have, as the trainer counts them, and how many characters."""
    tokens, seen = 0, set[str]()
    for start in range(0, len(inputs), COUNTED_AT_ONCE):
        check()
        some: Sequence[Input] = inputs[start : start + COUNTED_AT_ONCE]
        if seq_len is not None:
            some, _ = cut_inputs(some, tokenizer, seq_len, check)
        runs = split_runs(some, 1)
        tokens += int(tokenizer(runs.strings).lengths[runs.run].sum())
        seen.update(runs.strings)
    return Size(tokens, sum(map(len, seen)) + 2 * len(seen))


def _epochs(chosen: Hyperparameters, planned: Plan) -> float:
    return chosen.epochs if chosen.epochs is not None else planned.epochs_at(planned.updates)


def _seconds(tokens: int, n_labels: int, planned: Plan, *, given: bool) -> float:
    linear = SECONDS_PER_TOKEN * tokens + SECONDS_PER_SCORE * tokens * n_labels
    network = planned.updates * (SECONDS_PER_UPDATE + SECONDS_PER_ROW_SEEN * planned.batch)
    return SECONDS + _fits(planned.n_rows, n_labels, given=given) * (linear + network)


def _fits(n_rows: int, n_labels: int, *, given: bool) -> float:
    """How many fits to all rows the work comes to."""
    if given or n_rows < FEW_ROWS:
        return 1.0
    if are_many(n_rows, n_labels):
        return 2.0
    folds = folds_of(n_rows)
    return (folds - 1) + 1.0  # each fold learns from all other folds; in the end there is a fit to all rows


def _megabytes(texts: Size, n_labels: int) -> float:
    weights = min(texts.characters * n_labels, max(MOST_WEIGHTS, WEIGHTS_PER_LABEL * n_labels))
    tokens = BYTES_PER_TOKEN * texts.tokens
    return MEGABYTES + (tokens + BYTES_PER_CHARACTER * texts.characters + BYTES_PER_WEIGHT * weights) / 1e6


def _packed_megabytes(texts: Size, n_rows: int, labels: Sequence[int]) -> float:
    """Memory of packed rows, but for the base model."""
    most_terms = min(MOST_TERMS, max(LEAST_TERMS, MOST_PACKED_TERM_WEIGHTS // max(labels)))
    weights = min(TERMS_PER_TOKEN * texts.tokens, most_terms) * sum(labels)
    scores = min(n_rows * max(labels), MOST_PACKED_AT_ONCE)
    held = BYTES_PER_PACKED_TOKEN * texts.tokens + BYTES_PER_CHARACTER * texts.characters
    return MEGABYTES + (held + BYTES_PER_PACKED_SCORE * scores + BYTES_PER_PACKED_WEIGHT * weights) / 1e6


def _scores(n_rows: int, n_labels: int) -> float:
    return BYTES_PER_SCORE * (min(n_rows * n_labels, MOST_SCORES_HELD) + n_rows * n_labels / 4) / 1e6
