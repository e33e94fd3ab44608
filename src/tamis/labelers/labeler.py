"""Inputs labelled by an LLM: predictions with how each came about, what it took and what it cost.

Everything that is asked is put together here; a request's own life is in `asker`, what is said in `prompts`, how answers are
read in `parsing`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tamis.schema import Prediction


class Outcome(StrEnum):
    """What became of one input."""

    ANSWERED = "answered"  # every target has an answer
    REFUSED = "refused"  # the LLM, or a filter before it, declined to answer
    INVALID = "invalid"  # it answered, and for some target not with one of its labels
    FAILED = "failed"  # the endpoint did not answer, or cannot answer this input
    OVER_BUDGET = "over_budget"  # not asked: it could have exceeded the budget


@dataclass(frozen=True, slots=True)
class Labelled:
    """One input as an LLM labelled it.

    Attributes:
        prediction: the answers; None where there is none. After INVALID it may have the answers of some of the targets:
            those that are missing are unknown.
        outcome: what became of the input.
        why: for people, where the outcome is not ANSWERED, or where some of several samples had none.
        seconds: how long the endpoint took, without waits for limits; of several samples the sum.
        prompt_tokens: as the endpoint counted them, or an estimate where it does not; of all samples and repetitions.
        completion_tokens: the same of the answers.
        cached: whether nothing was asked: all of it was known from an earlier run, or from the same input in this one.
        samples: usable answers that the prediction is made of. Scores are shares of their votes where more than one was
            asked for, and no probabilities where one was (1 for what is given, 0 for what is not).
    """

    prediction: Prediction | None
    outcome: Outcome
    why: str = ""
    seconds: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached: bool = False
    samples: int = 0
