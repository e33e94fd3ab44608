"""What may be chosen for an encoder beyond what every tier has. None lets the trainer choose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tamis.errors import InvalidSetting


class EncoderOptions(BaseModel):
    """How an encoder is trained.

    Attributes:
        freeze_layers: so many of the lowest layers stay as they are, with the embeddings below them; 0 trains all.
        gradient_checkpointing: compute activations twice instead of keeping them: less memory, a third more time.
        pooling: what the classifier reads of a text: its first token, or the mean of all, by a layer on top. auto: the
            mean where the base model was trained to be averaged (sentence-transformers), and its classifier reads the
            first token.
        long_texts: cut texts that are longer than the model reads, or read them in up to 8 windows whose logits are
            averaged. A chat always keeps its end.
        lora: train low-rank additions to the weights (LoRA, Hu et al. 2021) instead of the weights; they are added up
            in the end. By default for models of more than a billion weights.
        lora_rank: the rank of these, by default 16.
        ensemble: let a static model of the same rows answer together with the network. By default where there are
            50 rows and more, and the loss of held-out rows falls by more than one standard error and a hundredth.
            Exports to other programs hold the network alone, which has a calibration of its own for that.
        batch_rows: rows of an update; fewer where so many would allow fewer than twenty updates.
        precision: of the computation on a GPU; on a CPU it is always float32.
        int8: serve 8-bit integers on a CPU where held-out answers stay the same; False: always 32-bit numbers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    freeze_layers: int | None = Field(default=None, ge=0, le=1_000)
    gradient_checkpointing: bool = False
    pooling: Literal["auto", "first", "mean"] = "auto"
    long_texts: Literal["cut", "windows"] = "cut"
    lora: bool | None = None
    lora_rank: int | None = Field(default=None, ge=1, le=1_024)
    ensemble: bool | None = None
    batch_rows: int | None = Field(default=None, ge=1, le=4_096)
    precision: Literal["auto", "float32", "bf16", "fp16"] = "auto"
    int8: bool = True


def encoder_options(given: Mapping[str, object] | EncoderOptions | None) -> EncoderOptions:
    """Return the options; what is not given keeps its default.

    Raises:
        InvalidSetting: there is no such option, a value is of the wrong type or out of range, or two contradict each
            other.
    """
    made = given if isinstance(given, EncoderOptions) else _validated(given or {})
    if made.lora and made.freeze_layers:
        raise InvalidSetting(
            f"The encoder options lora = true and freeze_layers = {made.freeze_layers} contradict each other: with "
            "LoRA all weights of the base model stay as they are. Leave one of them out.",
            setting="freeze_layers",
        )
    if made.lora is False and made.lora_rank is not None:
        raise InvalidSetting(
            f"The encoder options lora = false and lora_rank = {made.lora_rank} contradict each other: without LoRA "
            "there is nothing of that rank. Leave one of them out.",
            setting="lora_rank",
        )
    return made


def _validated(given: Mapping[str, object]) -> EncoderOptions:
    try:
        return EncoderOptions.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            told = f"There is no encoder option {name!r}: there are {', '.join(EncoderOptions.model_fields)}."
            raise InvalidSetting(told, setting=name) from None
        raise InvalidSetting(
            f"The encoder option {name} = {first['input']!r}: give {_wanted(name)}.", setting=name
        ) from None


def _wanted(name: str) -> str:
    """What an option may be, in words."""
    field = EncoderOptions.model_fields[name]
    of = field.annotation
    kinds = [kind for kind in get_args(of) if kind is not type(None)]
    if get_origin(of) is Literal:
        return f"{', '.join(kinds[:-1])} or {kinds[-1]}"
    if bool in (of, *kinds):
        return "true or false"
    least = next(rule.ge for rule in field.metadata if hasattr(rule, "ge"))
    most = next(rule.le for rule in field.metadata if hasattr(rule, "le"))
    return f"a whole number from {least:,} to {most:,}"


def parsed_options(pairs: Sequence[str]) -> EncoderOptions | None:
    """Return the options of `NAME=VALUE` pairs; None without any.

    Raises:
        InvalidSetting: a pair is not of that form, names an option twice or one that there is not, or its value is out
            of range.
    """
    given: dict[str, object] = {}
    for pair in pairs:
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not name or not equals or name in given:
            trouble = "is given twice" if name in given else "is not of the form NAME=VALUE"
            raise InvalidSetting(f"The encoder option {pair!r} {trouble}.", setting=name or pair)
        given[name] = value
    return encoder_options(given) if given else None
