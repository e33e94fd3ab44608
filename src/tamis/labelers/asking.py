"""How an LLM is to be asked: what a caller may choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING

from tamis.errors import InvalidSetting

if TYPE_CHECKING:
    from tamis.labelers.shots import Shots

MOST_SAMPLES = 100
MOST_CONCURRENCY = 256
SAMPLING_TEMPERATURE = 0.7
"""How freely an LLM answers where it is asked several times."""


@dataclass(frozen=True, slots=True)
class Asking:
    """How an LLM is to be asked.

    Attributes:
        descriptions: what labels mean, by target and label; those that are not there are told by their names alone.
        context: what the texts are and where they come from, in the caller's words.
        shots: where examples come from that are shown before each input; None for none.
        samples: how often each input is asked about; with more than 1, scores are shares of the votes.
        temperature: how freely it answers; None takes 0 for one sample, 0.7 for several.
        answer_tokens: the most tokens of an answer; None takes what the labels need, and more where an LLM that thinks
            before it answers turns out to need it.
        concurrency: requests at a time at most; fewer where the endpoint limits them.
        timeout_s: the longest that one request may take, from its first byte to the answer's last.
        retries: how often a request is sent again that failed for reasons that may pass.
        patience_s: how long an endpoint may refuse everything for its limits before the run is ended.
        backoff_s: the first wait before a request is sent again; each next one is twice as long, up to a minute.
    """

    descriptions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    context: str = ""
    shots: Shots | None = None
    samples: int = 1
    temperature: float | None = None
    answer_tokens: int | None = None
    concurrency: int = 8
    timeout_s: float = 60.0
    retries: int = 4
    patience_s: float = 300.0
    backoff_s: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            InvalidSetting: a number is outside what is allowed.
        """
        bounds = {
            "samples": (self.samples, 1, MOST_SAMPLES),
            "temperature": (self.temperature, 0, 2),
            "answer_tokens": (self.answer_tokens, 1, 1_000_000),
            "concurrency": (self.concurrency, 1, MOST_CONCURRENCY),
            "timeout_s": (self.timeout_s, 0.001, 86_400),
            "retries": (self.retries, 0, 100),
            "patience_s": (self.patience_s, 0, 86_400),
            "backoff_s": (self.backoff_s, 0, 60),
        }
        for name, (value, least, most) in bounds.items():
            if value is not None and not (isfinite(value) and least <= value <= most):
                raise InvalidSetting(f"{name} is {value}: give {least} to {most:,}.", setting=name)

    @property
    def freedom(self) -> float:
        """The temperature that is asked for."""
        if self.temperature is not None:
            return self.temperature
        return 0.0 if self.samples == 1 else SAMPLING_TEMPERATURE
