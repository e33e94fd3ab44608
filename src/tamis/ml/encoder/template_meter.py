"""What a chat template of a stranger may spend: each value, call and string has a price, paid before it is made.

It does not know how a template is read; `template_bounds` has it pay.
"""

from __future__ import annotations

import functools
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from jinja2 import Undefined
from jinja2.filters import do_round
from jinja2.runtime import BlockReference, LoopContext, Macro, TemplateReference
from jinja2.utils import Cycler, Joiner, Namespace

MOST_STEPS = 1 << 21
"""What a template may spend on a chat: a second or two. Going once through a thousand messages takes some thousands."""

MOST_S = 30.0
"""Seconds after which it is stopped whatever it spent, some twenty times what the steps take."""

LONGEST_STRING = 1 << 26
CHARACTERS = 64
"""Of a string cost one."""

COMPARED = 512
"""Comparisons of one character with another, where a search takes as many as two lengths' product, cost one."""

CALL = 8
"""What a call costs beside what it is given and returns."""

WIDEST_INDENT, MOST_DIGITS = 16, 15

_AT_ONCE = frozenset({"count", "d", "default", "first", "last", "length"})
"""Filters that take as long for much as for little."""

_ONE_BY_ONE = frozenset({
    *("dictsort", "items", "list", "map", "max", "min", "reject", "rejectattr", "select", "selectattr", "sort"),
    *("unique",),
})  # fmt: skip
"""Filters that make something of each character where they are given a string."""

FILTERS = _AT_ONCE | _ONE_BY_ONE | {
    *("abs", "capitalize", "e", "escape", "float", "int", "lower", "reverse", "safe", "string", "title", "trim"),
    "upper",
}  # fmt: skip
"""Those whose work grows as what they are given; others refuse where they are used."""

_TESTS_AT_ONCE = frozenset({
    *("boolean", "callable", "defined", "divisibleby", "escaped", "even", "false", "filter", "float", "integer"),
    *("iterable", "mapping", "none", "number", "odd", "sameas", "sequence", "string", "test", "true", "undefined"),
})  # fmt: skip

_SEARCHES = frozenset({"lstrip", "rfind", "rindex", "rpartition", "rsplit", "rstrip", "strip"})
"""Methods of strings that may look at each character as often as what is searched has characters."""

_PARTS = frozenset({"rsplit", "split", "splitlines"})
"""Methods of strings that make many strings of one."""

_METHODS: dict[type, frozenset[str]] = {
    str: _SEARCHES | _PARTS | {
        *("capitalize", "casefold", "count", "endswith", "find", "index", "isalnum", "isalpha", "isascii"),
        *("isdecimal", "isdigit", "islower", "isnumeric", "isspace", "istitle", "isupper", "join", "lower"),
        *("partition", "removeprefix", "removesuffix", "replace", "startswith", "swapcase", "title", "upper"),
    },
    dict: frozenset({"get", "items", "keys", "values"}),
    list: frozenset({"count", "index"}),
    tuple: frozenset({"count", "index"}),
}  # fmt: skip
"""Methods that can be called; a string's others make much of little (ljust), or bytes."""


OBJECTS = frozenset({BlockReference, Cycler, Joiner, LoopContext, Macro, Namespace, TemplateReference})
"""What a template handles as a whole: it can be called or has attributes, and is never written out."""

_VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()))


class Meter(threading.local):
    """What is left to spend, for each thread."""

    left = 0
    until = 0.0

    def begin(self) -> None:
        """Let a template spend on a chat what it may."""
        self.left, self.until = MOST_STEPS, time.monotonic() + MOST_S

    def take(self, value: Any) -> Any:  # noqa: ANN401  whatever a template makes
        """Return the value, all of which is paid for.

        Raises:
            ValueError: nothing is left; or the value holds something that is neither text, number, list nor mapping.
        """
        if type(value) not in OBJECTS:
            return self.plain(value)
        self.spend(1)
        return value

    def plain(self, value: Any) -> Any:  # noqa: ANN401
        """Return the value, all of which is paid for, where all of it could be written in JSON.

        Raises:
            ValueError: nothing is left, or it is something else.
        """
        if isinstance(value, str):
            return self.text(value)
        waiting = [value]
        while waiting:
            one = waiting.pop()
            self.spend(1)
            if isinstance(one, str):
                self.text(one)
            elif isinstance(one, dict):
                waiting += one
                waiting += one.values()
            elif isinstance(one, list | tuple):
                waiting += one
            elif isinstance(one, int):
                if one.bit_length() > 64:
                    refuse("the template makes a number that is too large")
            elif not (one is None or isinstance(one, float | Undefined)):
                refuse("the template makes something that is no text, number, list or mapping")
        return value

    def text(self, text: str) -> str:
        """Return a string that is paid for.

        Raises:
            ValueError: nothing is left, or it is too long.
        """
        if len(text) > LONGEST_STRING:
            refuse("the template makes a text that is too long")
        self.spend(1 + len(text) // CHARACTERS)
        return text

    def spend(self, amount: int) -> None:
        """Take so much away.

        Raises:
            ValueError: nothing is left, or the time is over.
        """
        self.left -= amount
        if self.left < 0 or time.monotonic() > self.until:
            refuse("the template does too much")

    def listed(self, values: Any) -> list[Any]:  # noqa: ANN401
        """Return the values as a list, each paid for before there is the next.

        Raises:
            ValueError: nothing is left.
        """
        made = []
        for one in values:
            self.spend(1)
            made.append(one)
        return made

    def looped(self, values: Iterable[Any]) -> list[Any]:
        """Return what a template loops over, all of which is paid for."""
        made: list[Any] = self.plain(self.listed(values))
        return made

    def replace(self, text: str, old: str, new: str, count: int | None = None) -> str:
        """Return the text with one string in place of another; paid for beforehand."""
        text, old, new = (str(self.plain(one)) for one in (text, old, new))
        self.spend(text.count(old) * (1 + len(new)) // CHARACTERS)
        return str(self.plain(text.replace(old, new, -1 if count is None else count)))

    def join(self, values: Iterable[object], between: str = "", attribute: str | None = None) -> str:
        """Return strings joined; paid for beforehand."""
        if attribute is not None:
            refuse("join of an attribute")
        texts = self.plain([str(value) for value in self.looped(values)])
        between = str(self.plain(between))
        self.spend(len(texts) * len(between) // CHARACTERS)
        return between.join(texts)

    def search(self, name: str, text: str, given: tuple[Any, ...]) -> None:
        """Pay for a string that is searched, or made many, before that is done."""
        sought = next((one for one in given if isinstance(one, str)), None)
        if name in _SEARCHES:
            self.spend(len(text) * len(sought or " ") // COMPARED)
        if name in _PARTS:
            self.spend(text.count(sought) if sought else len(text) // 2)

    def to_json(self, value: object, indent: int | None = None, **_: object) -> str:
        """Return the value as JSON, each piece paid for as it comes."""
        if indent is not None and not (isinstance(indent, int) and 0 <= indent <= WIDEST_INDENT):
            refuse("an indent that is too wide")
        pieces = json.JSONEncoder(ensure_ascii=False, indent=indent).iterencode(self.plain(value))
        return "".join(self.listed(map(self.text, pieces)))

    def round(self, value: float, precision: int = 0, method: Any = "common") -> Any:  # noqa: ANN401  as jinja2 has it
        """Return a number rounded, as jinja2 does it, to so many digits that this takes no time."""
        if not isinstance(precision, int) or abs(precision) > MOST_DIGITS:
            refuse("a number is rounded to too many digits")
        return do_round(self.plain(value), precision, method)

    def paying(self, name: str, does: Callable[..., Any]) -> Callable[..., Any]:
        """Return the same filter, what is given to it and what it returns paid for."""

        @functools.wraps(does)  # what jinja2 marks it with, too: it may want the context or the environment first
        def done(*given: Any, **named: Any) -> Any:  # noqa: ANN401
            self.spend(1)
            if name not in _AT_ONCE:
                for one in (*own_arguments(does, given), *named.values()):
                    self.plain(one)
                    self.spend(len(one) if isinstance(one, str) and name in _ONE_BY_ONE else 0)
                    self.spend(len(given))
            made = does(*given, **named)
            return self.take(self.listed(made) if hasattr(made, "__next__") else made)

        return done

    def testing(self, name: str, does: Callable[..., Any]) -> Callable[..., Any]:
        """Return the same test, what is given to it paid for."""

        @functools.wraps(does)
        def done(*given: Any, **named: Any) -> Any:  # noqa: ANN401
            self.spend(1)
            if name not in _TESTS_AT_ONCE:
                for one in (*own_arguments(does, given), *named.values()):
                    self.take(one)
            return does(*given, **named)

        return done

    def range(self, *given: Any) -> list[int]:  # noqa: ANN401  as the builtin
        """Return whole numbers as a list: what goes through it is paid for once, not for each question."""
        numbers = range(*given)
        self.spend(len(numbers))
        return list(numbers)

    def call(self, does: Any, make: Callable[..., Any], given: tuple[Any, ...], named: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """Return what `make` makes of a call's arguments, where the template may call `does` with them.

        Raises:
            ValueError: it may not, or nothing is left.
        """
        self.spend(CALL + len(given) + len(named))
        name, owner = getattr(does, "__name__", ""), getattr(does, "__self__", None)
        methods = next((names for kind, names in _METHODS.items() if isinstance(owner, kind)), None)
        if methods is not None and name not in methods:
            refuse(f"there is no {name} here")
        is_known = methods is not None or type(does) in OBJECTS or type(owner) in OBJECTS
        if not is_known and does not in self.functions.values():
            refuse("there is no such call here")
        if methods is not None or does is dict or name == "changed":
            self.plain([*given, *named.values()])
        if isinstance(owner, list | tuple | str):
            self.plain(owner)
        if isinstance(owner, str) and name in ("replace", "join"):
            return self.replace(owner, *given) if name == "replace" else self.join(given[0], owner)
        if isinstance(owner, str):
            self.search(name, owner, (*given, *named.values()))
        made: Any = make(*given, **named)
        return self.take(self.listed(made) if isinstance(made, _VIEWS) else made)

    def times(self, left: Any, right: Any) -> None:  # noqa: ANN401
        """Pay for a string or list that is repeated, before that is done."""
        times = max([0, *(one for one in (left, right) if isinstance(one, int))])
        for one in (left, right):
            if isinstance(one, str | list | tuple):
                self.spend(len(one) * times // (CHARACTERS if isinstance(one, str) else 1))

    @property
    def functions(self) -> dict[str, Callable[..., Any]]:
        """What a template can call by name."""
        kinds = {"dict": dict, "namespace": Namespace, "cycler": Cycler, "joiner": Joiner}
        return {**kinds, "range": self.range, "raise_exception": refuse}


def own_arguments(does: Callable[..., Any], given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what a template gives to a filter or test, without what jinja2 puts before it."""
    return given[1:] if hasattr(does, "jinja_pass_arg") else given


def refuse(message: str) -> NoReturn:
    """Refuse the chat.

    Raises:
        ValueError: always.
    """
    raise ValueError(message)
