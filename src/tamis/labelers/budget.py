"""What labelling costs, and a limit that stops it before it is exceeded.

Before a request goes out, the most that it may cost is reserved; when its answer is there, what it did cost is taken
instead. So many requests may be in flight at once and the limit still holds. A token is at least one byte of what is
sent, which bounds the first requests; once answers have said how many tokens their bytes were, the bound is closer. How
long an answer may be is said in the request. An endpoint that counts otherwise, or answers at greater length than it
was asked to, can go over the limit by the requests in flight, and by no more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite

from tamis.errors import InvalidSetting

MARGIN = 1.25
"""How much more tokens a byte than were seen so far may be."""

LEAST_SEEN = 3
"""Answers after which the bound is taken from what was seen."""

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """What a million tokens cost, in whatever currency."""

    prompt: float = 0.0
    completion: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no price.

        Raises:
            InvalidSetting: a price is negative or no number.
        """
        for price in (self.prompt, self.completion):
            if not isfinite(price) or price < 0:
                raise InvalidSetting(f"The price of a million tokens is {price}: give 0 or more.", setting="price")

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Return what so many tokens cost."""
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / MILLION


@dataclass(frozen=True, slots=True)
class Reserved:
    """The most that one request may take."""

    prompt_tokens: int
    completion_tokens: int


@dataclass(slots=True)
class Budget:
    """Counts tokens and what they cost; refuses a request that could exceed a limit.

    One budget serves one run. Answers from the cache were paid for before, and are not counted.

    Attributes:
        price: of the tokens; None where it is not known, and then there can be no limit on the cost.
        most_cost: the limit in money.
        most_tokens: the limit in tokens, those of requests and of answers together.
        prompt_tokens, completion_tokens: taken so far by answers that came.
        lost_prompt_tokens, lost_completion_tokens: the most that requests may have taken whose answers never came.
    """

    price: Price | None = None
    most_cost: float | None = None
    most_tokens: int | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    lost_prompt_tokens: int = 0
    lost_completion_tokens: int = 0
    _waiting: list[int] = field(default_factory=lambda: [0, 0])
    _answers: int = 0
    _most_a_byte: float = 0.0

    def __post_init__(self) -> None:
        """Refuse limits that cannot be kept.

        Raises:
            InvalidSetting: a limit is not above 0, or there is one in money and no price.
        """
        if self.most_cost is not None and (not isfinite(self.most_cost) or self.most_cost <= 0):
            raise InvalidSetting(f"The budget is {self.most_cost}: give more than 0.", setting="budget")
        if self.most_tokens is not None and self.most_tokens <= 0:
            raise InvalidSetting(f"The budget is {self.most_tokens:,} tokens: give more than 0.", setting="budget")
        if self.most_cost is not None and (self.price is None or not self.price.of(1, 1)):
            raise InvalidSetting(
                "A budget in money needs the price of a million tokens (--price-in, --price-out): give it, or limit "
                "the tokens instead (--most-tokens).",
                setting="budget",
            )

    def reserve(self, prompt_bytes: int, completion_tokens: int) -> Reserved | None:
        """Return what was set aside for a request, or None where it could exceed a limit."""
        wanted = Reserved(self.prompt_bound(prompt_bytes), completion_tokens)
        prompt = self.prompt_tokens + self.lost_prompt_tokens + self._waiting[0] + wanted.prompt_tokens
        completion = self.completion_tokens + self.lost_completion_tokens + self._waiting[1] + wanted.completion_tokens
        over_tokens = self.most_tokens is not None and prompt + completion > self.most_tokens
        over_cost = self.most_cost is not None and self.price and self.price.of(prompt, completion) > self.most_cost
        if over_tokens or over_cost:
            return None
        self._wait(wanted, 1)
        return wanted

    def prompt_bound(self, prompt_bytes: int) -> int:
        """Return the most tokens that so many bytes of a request may be."""
        seen = self._answers >= LEAST_SEEN
        return max(1, round(prompt_bytes * (min(1.0, self._most_a_byte * MARGIN) if seen else 1.0)))

    def take(self, reserved: Reserved, prompt_bytes: int, prompt_tokens: int, completion_tokens: int) -> None:
        """Count an answer that came, instead of what was reserved for it."""
        self._wait(reserved, -1)
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens
        self._answers += 1
        self._most_a_byte = max(self._most_a_byte, prompt_tokens / max(prompt_bytes, 1))

    def give_back(self, reserved: Reserved) -> None:
        """Free what was reserved for a request that cost nothing, since the endpoint refused it."""
        self._wait(reserved, -1)

    def lose(self, reserved: Reserved) -> None:
        """Count all that was reserved for a request that was sent and not answered: it may have to be paid for."""
        self._wait(reserved, -1)
        self.lost_prompt_tokens += reserved.prompt_tokens
        self.lost_completion_tokens += reserved.completion_tokens

    @property
    def cost(self) -> float | None:
        """What the answers cost that came; None without a price."""
        return None if self.price is None else self.price.of(self.prompt_tokens, self.completion_tokens)

    @property
    def lost_cost(self) -> float | None:
        """The most that requests may have cost whose answers never came; None without a price."""
        return None if self.price is None else self.price.of(self.lost_prompt_tokens, self.lost_completion_tokens)

    def _wait(self, reserved: Reserved, sign: int) -> None:
        self._waiting[0] += sign * reserved.prompt_tokens
        self._waiting[1] += sign * reserved.completion_tokens
