"""The language of conditions: what must hold before a model takes another's place.

    conditions = condition { "and" condition }
    condition  = FIGURE [ "of" TARGET [ "/" LABEL ] ] OP bound [ "surely" ]
    OP         = ">=" | ">" | "<=" | "<"
    bound      = NUMBER [ "%" | "ms" ]
               | "current" [ "*" NUMBER [ "%" ] ] [ ( "+" | "-" ) NUMBER [ "pp" | "ms" ] ]

`accuracy >= current - 0.5pp`, `recall of toxicity/insult >= 0.9 surely`, `p50_ms <= current * 1.1`. Names that hold
spaces or signs stand in double quotes, with a backslash before a quote. Whatever cannot be read is refused with the
place where reading stopped; nothing is guessed. It knows neither models nor rows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tamis.errors import InvalidSetting

SHARES = (
    *("accuracy", "subset_accuracy", "macro_f1", "weighted_f1", "micro_f1", "samples_jaccard"),
    *("ece", "coverage", "selective_accuracy", "oos_recall"),
)
LOSSES = ("log_loss", "brier")
OF_A_LABEL = ("precision", "recall", "f1")
P50 = "p50_ms"
FIGURES = (*SHARES, *LOSSES, *OF_A_LABEL, P50)

LOWER_IS_BETTER = frozenset({"ece", *LOSSES, P50})
LONGEST = 2000
"""Characters of a condition."""

MOST = 100
"""Conditions of one gate."""

EQUAL = 1e-9
"""Figures that are closer than this are the same: 0.895 is not below 0.9 - 0.005."""

_TOKEN = re.compile(
    r"\s*(?:(?P<op>>=|<=|≥|≤|>|<)|(?P<number>\d{1,12}(?:\.\d{1,12})?|\.\d{1,12})|(?P<sign>[-+*%])|(?P<word>[A-Za-z_]\w*))"
)
_NAME = re.compile(r'\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^\s"/<>=≥≤]+))')
_OPS = {"≥": ">=", "≤": "<="}


class Op(StrEnum):
    """How a figure is compared with its bound."""

    AT_LEAST = ">="
    ABOVE = ">"
    AT_MOST = "<="
    BELOW = "<"

    @property
    def wants_more(self) -> bool:
        """Whether a higher figure passes."""
        return self in (Op.AT_LEAST, Op.ABOVE)

    def holds(self, left: float, right: float) -> bool:
        """Return whether the comparison holds; NaN never does."""
        beyond = left - right if self.wants_more else right - left
        return beyond >= -EQUAL if self in (Op.AT_LEAST, Op.AT_MOST) else beyond > EQUAL


@dataclass(frozen=True, slots=True)
class Bound:
    """`times` the current model's figure, plus `plus`; `times` 0 asks for no current model."""

    times: float
    plus: float

    @property
    def needs_current(self) -> bool:
        """Whether there must be a current model to know it."""
        return self.times != 0


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison. `text` is how it was written; without a target it is about every target that has the figure."""

    text: str
    figure: str
    target: str | None
    label: str | None
    op: Op
    bound: Bound
    surely: bool


def parse_all(texts: Sequence[str]) -> tuple[Condition, ...]:
    """Return the conditions of several texts, in their order.

    Raises:
        InvalidSetting: there are none, or very many, or one cannot be read.
    """
    found = tuple(condition for text in texts for condition in parse(text))
    if not found:
        raise InvalidSetting("There is no condition: give one, like “accuracy >= current - 0.5pp”.", setting="if")
    if len(found) > MOST:
        raise InvalidSetting(f"There are {len(found)} conditions: give {MOST} at most.", setting="if")
    return found


def parse(text: str) -> tuple[Condition, ...]:
    """Return the conditions of a text.

    Raises:
        InvalidSetting: it cannot be read; the message has the text with a mark below the place.
    """
    if len(text) > LONGEST:
        raise InvalidSetting(f"A condition has {len(text):,} characters: give {LONGEST:,} at most.", setting="if")
    return _Parser(text).conditions()


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


class _Parser:
    """Reads a text from left to right, a token at a time."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def conditions(self) -> tuple[Condition, ...]:
        found = [self._condition()]
        while (token := self._next()) is not None:
            if token.text != "and":
                raise self._no("expected “and”, “surely” or the end", token.at)
            found.append(self._condition())
        return tuple(found)

    def _condition(self) -> Condition:
        self._skip()
        start = self._at
        figure = self._figure()
        target, label = self._place(figure)
        op = self._op()
        bound = self._bound(figure)
        end = self._at
        surely = self._take("surely")
        if surely is not None:
            end = self._at
            if figure == P50:
                raise self._no("a latency has no interval: leave “surely” out", surely.at)
        return Condition(self._text[start:end], figure, target, label, op, bound, surely is not None)

    def _figure(self) -> str:
        token = self._next()
        if token is None or token.text not in FIGURES:
            raise self._no(f"expected a figure, one of {', '.join(FIGURES)}", self._place_of(token))
        return token.text

    def _place(self, figure: str) -> tuple[str | None, str | None]:
        """The target and the label that the figure is of."""
        of = self._take("of")
        self._skip()
        if figure in OF_A_LABEL and of is None:
            raise self._no(f"{figure} is of one label: {figure} of TARGET/LABEL", self._at)
        if of is None:
            return None, None
        if figure == P50:
            raise self._no(f"{P50} is of the whole model: leave “of” out", of.at)
        target = self._name("a target")
        self._skip()
        if not self._text.startswith("/", self._at):
            if figure in OF_A_LABEL:
                raise self._no(f"expected “/” and a label: {figure} of TARGET/LABEL", self._at)
            return target, None
        if figure not in OF_A_LABEL:
            raise self._no(f"{figure} is of a whole target: leave the label out, or ask for its f1", self._at)
        self._at += 1
        return target, self._name("a label")

    def _op(self) -> Op:
        token = self._next()
        if token is None or token.kind != "op":
            raise self._no("expected >=, >, <= or <", self._place_of(token))
        return Op(_OPS.get(token.text, token.text))

    def _bound(self, figure: str) -> Bound:
        token = self._next()
        if token is not None and token.kind == "number":
            return Bound(0.0, self._alone(float(token.text), figure, token.at))
        if token is None or token.text != "current":
            raise self._no("expected a number or “current”", self._place_of(token))
        times = 1.0
        if self._take("*") is not None:
            times = self._number() / (1.0 if self._take("%") is None else 100.0)
            if not times:
                raise self._no("“current” times nothing is 0: write a number instead", token.at)
        sign = self._take("+") or self._take("-")
        if sign is None:
            return Bound(times, 0.0)
        plus = self._step(figure)
        return Bound(times, plus if sign.text == "+" else -plus)

    def _alone(self, value: float, figure: str, at: int) -> float:
        """A number that is the whole bound."""
        if figure == P50:
            self._take("ms")
            return value
        if figure in LOSSES:
            return value
        if self._take("%") is not None:
            value /= 100
        if value > 1:
            raise self._no(f"{figure} is a share from 0 to 1: write 0.9, or 90%", at)
        return value

    def _step(self, figure: str) -> float:
        """A number that is added to, or taken from, the current model's figure."""
        value = self._number()
        if figure == P50:
            self._take("ms")
            return value
        if figure in LOSSES:
            return value
        if self._take("pp") is None:
            raise self._no("say how many percentage points: 0.5pp is half a point", self._at)
        return value / 100

    def _number(self) -> float:
        token = self._next()
        if token is None or token.kind != "number":
            raise self._no("expected a number", self._place_of(token))
        return float(token.text)

    def _name(self, what: str) -> str:
        found = _NAME.match(self._text, self._at)
        if found is None or not (found["quoted"] or found["bare"]):
            self._skip()
            raise self._no(f"expected {what}; one with spaces or signs stands in double quotes", self._at)
        self._at = found.end()
        return found["bare"] or re.sub(r"\\(.)", r"\1", found["quoted"])

    def _take(self, text: str) -> _Token | None:
        """Return the next token and go past it, if it is this one."""
        before = self._at
        token = self._next(strict=False)
        if token is not None and token.text == text:
            return token
        self._at = before
        return None

    def _next(self, *, strict: bool = True) -> _Token | None:
        """Return the next token and go past it; None at the end, and, unless strict, where there is none."""
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            self._skip()
            if strict and self._at < len(self._text):
                raise self._no("this cannot be read", self._at)
            return None
        self._at = found.end()
        kind = str(found.lastgroup)
        return _Token(kind, found[kind], found.start(kind))

    def _skip(self) -> None:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1

    def _place_of(self, token: _Token | None) -> int:
        return len(self._text) if token is None else token.at

    def _no(self, why: str, at: int) -> InvalidSetting:
        """The error that says what is wrong, and where, below the text."""
        flat = "".join(" " if each.isspace() or not each.isprintable() else each for each in self._text)
        return InvalidSetting(
            f"The condition cannot be read at character {at + 1}: {why}.\n  {flat}\n  {' ' * at}^", setting="if"
        )
