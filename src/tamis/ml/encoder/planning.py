"""How an encoder reads and learns: what its base model says, what the user chose, and what follows from the data.

It looks at a base model's configuration and the headers of its weights; torch is not needed for that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log2

import numpy as np

from tamis.data.dataset import Dataset
from tamis.errors import InvalidSetting
from tamis.ml.encoder.base_model import POOLED, EncoderBase
from tamis.ml.encoder.bounds import MOST_TOKENS
from tamis.ml.encoder.inputs import MOST_WINDOWS, Encoding
from tamis.ml.encoder.options import EncoderOptions
from tamis.ml.encoder.templates import ChatTemplate
from tamis.ml.schedule import (
    DEFAULT_DECAY,
    DEFAULT_RATE,
    DEFAULT_WARMUP,
    MOST_TIMES,
    Hyperparameters,
    Plan,
    allowed_epochs,
    batch_within,
)

USUAL_LENGTH = 512
"""Tokens of an input that are read unless `seq_len` says otherwise: attention's cost grows with the square."""

WIDTH, RATE = 384, 3.5e-4
"""The rate that suits a network of this width; wider ones learn slower."""

NARROWER = 2.3
LORA_RATE, LORA_RANK = 3e-4, 16
DECAY, WARMUP = 0.01, 0.1
LARGE = 1_000_000_000
"""Weights from which a model is trained by LoRA unless it is said otherwise."""

USUAL_UPDATES, UPDATES_PER_LABEL, MOST_PASSES = 100, 3, 2
"""Updates that are usual at least, and of a label of the target with most: a new head learns one after the other. For
these, at most so many times the passes that are usual for the rows (`docs/log.md`)."""

BATCHES = (8, 32)
MANY_ROWS = 3_000
"""From here on weights are averaged, and a second head teaches the layers too (`docs/log.md`)."""

ROWS_TO_TEACH_LAYERS = 1_000
"""Of a label. From here on a third of the layers is frozen at most: so much can teach lower ones what the base model
does not know, as what is meant well and what ill (`docs/log.md`)."""

WORTH_BEGINNING_AGAIN = 3_000
"""Rows below which a last fit learns all of them from the beginning: a fifth that was held out then tells."""

AVERAGED = 0.7
"""Of a pass over the rows: the updates whose weights are averaged."""

EPOCHS = ((MANY_ROWS, 5), (30_000, 4), (100_000, 3), (1_000_000, 2))
"""Rows below which so many passes are usual; above, one."""


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """How inputs become tokens: what the manifest keeps of it, and the template for chats."""

    max_length: int
    windows: int
    pad_id: int
    empty_id: int
    template: ChatTemplate

    def facts(self) -> dict[str, object]:
        """For the manifest."""
        return {
            "max_length": self.max_length,
            "windows": self.windows,
            "pad_id": self.pad_id,
            "empty_id": self.empty_id,
            "chat_template": self.template.is_usable,
        }

    def encoding(self, tokenizer_json: bytes) -> Encoding:
        """Return what turns inputs into tokens."""
        return Encoding(
            tokenizer_json,
            max_length=self.max_length,
            windows=self.windows,
            template=self.template,
            empty_id=self.empty_id,
        )


def reading_of(base: EncoderBase, chosen: Hyperparameters, options: EncoderOptions) -> Reading:
    """Return how a base model's inputs are read."""
    longest = base.longest
    wanted = USUAL_LENGTH if chosen.seq_len is None else chosen.seq_len
    windows = MOST_WINDOWS if options.long_texts == "windows" else 1
    return Reading(min(wanted, longest, MOST_TOKENS), windows, base.pad_id, base.empty_id, base.template)


@dataclass(frozen=True, slots=True)
class Method:
    """How the weights are trained.

    Attributes:
        n_frozen: the lowest layers that stay as they are.
        lora: whether by LoRA.
        tuned: rates by name.
        updates: of the target with most labels, so many updates are usual.
        pools: whether a layer on top averages the tokens.
    """

    n_frozen: int
    lora: bool
    tuned: Mapping[str, float]
    updates: int = 0
    pools: bool = False


def method_of(base: EncoderBase, options: EncoderOptions, data: Dataset) -> Method:
    """Return how a base model is trained on some rows; its card's own rates count before the usual ones.

    Raises:
        InvalidSetting: more layers are to be frozen than there are, or the architecture cannot average its tokens.
    """
    lora = base.n_weights >= LARGE if options.lora is None else options.lora
    tuned = base.card.tuned
    third = base.n_layers // 3
    usual = int(tuned.get("freeze_layers", third))
    if rows_of_a_label(data) >= ROWS_TO_TEACH_LAYERS:
        usual = min(usual, third)
    if not lora and (options.freeze_layers or 0) > base.n_layers:
        raise InvalidSetting(
            f"freeze_layers = {options.freeze_layers} is more than the {base.n_layers:,} layers of the base model "
            f"{base.card.id}. Give 0 to {base.n_layers:,}, or leave it out: {usual} are usual for these rows.",
            setting="freeze_layers",
        )
    wanted = usual if options.freeze_layers is None else options.freeze_layers
    rate = LORA_RATE if lora else RATE * (WIDTH / max(base.card.dimensions, 64)) ** NARROWER
    rates = {"learning_rate": min(rate, 1e-3), "weight_decay": DECAY, "warmup": WARMUP}
    if not lora:
        rates |= {name: value for name, value in tuned.items() if name in rates}
    most_labels = max((len(target.labels) for target in data.targets), default=0)
    return Method(0 if lora else wanted, lora, rates, UPDATES_PER_LABEL * most_labels, _pools(base, options))


def _pools(base: EncoderBase, options: EncoderOptions) -> bool:
    if options.pooling == "mean" and not base.can_pool:
        raise InvalidSetting(
            f"pooling = mean: no layer that averages the tokens is known for a base model of the architecture "
            f"{base.config.get('model_type')} ({', '.join(sorted(POOLED))} have one). Leave it out.",
            setting="pooling",
        )
    return options.pooling == "mean" or (options.pooling == "auto" and base.can_pool and base.is_averaged)


def rows_of_a_label(data: Dataset) -> float:
    """Return how many rows a label has on average, in the target where it has the fewest."""
    return min((len(data) / max(len(target.labels), 1) for target in data.targets), default=0.0)


def ignored(base: EncoderBase, options: EncoderOptions, method: Method, n_frozen: int) -> list[str]:
    """Return what is to be said of options that do nothing, as `n_frozen` layers are frozen."""
    told, freeze = [], options.freeze_layers or 0
    if freeze and method.lora:
        told.append(
            f"freeze_layers = {freeze} does nothing: a base model of so many weights is trained by LoRA, with which "
            "all its weights stay as they are. Leave it out, or add lora=false."
        )
    elif freeze and not n_frozen:
        told.append(
            f"freeze_layers = {freeze} does nothing: the layers of this base model share their weights. Leave it out."
        )
    if options.lora_rank is not None and not method.lora:
        told.append(
            f"lora_rank = {options.lora_rank} does nothing: the weights themselves are trained. Leave it out, or add "
            "lora=true."
        )
    return told


def plan_of(n_rows: int, data_tokens: int, chosen: Hyperparameters, options: EncoderOptions, method: Method) -> Plan:
    """Return the run for so many rows and tokens."""
    allowed = allowed_epochs(chosen, data_tokens)
    wished = options.batch_rows or int(np.clip(2 ** round(log2(max(n_rows, 1) / 20)), *BATCHES))
    batch = batch_within(wished, n_rows, allowed)
    per_epoch = max(1, -(-n_rows // batch))
    passes = usual_epochs(n_rows) * per_epoch
    usual = max(USUAL_UPDATES, passes, min(method.updates, MOST_PASSES * passes))
    tuned = method.tuned
    wanted = usual if allowed is None else max(1, int(allowed * per_epoch + 1e-6))
    updates = min(wanted, MOST_TIMES * usual)
    return Plan(
        n_rows=n_rows,
        data_tokens=data_tokens,
        batch=batch,
        updates=updates,
        rate=tuned["learning_rate"] * chosen.learning_rate / DEFAULT_RATE,
        embedding_rate=0.0,
        decay=tuned["weight_decay"] * chosen.weight_decay / DEFAULT_DECAY,
        warmup=min(1.0, tuned["warmup"] * chosen.warmup_fraction / DEFAULT_WARMUP),
        allowed_epochs=allowed,
        capped=updates < wanted,
        least=min(usual, updates),
    )


def usual_epochs(n_rows: int) -> int:
    """Return how many passes over so many rows are usual."""
    return next((epochs for most, epochs in EPOCHS if n_rows < most), 1)
