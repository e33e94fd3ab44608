"""The sandbox of chat templates that strangers made: every loop, call and string costs, and what one may spend is set.

A template is a program: it can loop without saying anything, call itself, or double a string until memory is gone. What
it may do is counted rather than timed, so that the same chat becomes the same string on every machine.
"""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from tamis.extras import require

MOST_STEPS = 1 << 21
"""What a template may spend on a chat: a second or two. Going once through a thousand messages takes some thousands."""

CHARACTERS = 64
"""Of a string cost one."""

CALL = 8
"""What a call costs beside what it is given and returns."""

WIDEST_INDENT = 16

_FILTERS = frozenset({
    *("abs", "capitalize", "count", "d", "default", "dictsort", "e", "escape", "first", "float", "int", "items"),
    *("last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "round", "safe"),
    *("select", "selectattr", "sort", "string", "title", "trim", "unique", "upper"),
})  # fmt: skip
"""Those whose work grows as what they are given; others refuse where they are used."""

_GROWING = frozenset({"center", "expandtabs", "format", "format_map", "ljust", "rjust", "translate", "zfill"})
"""Methods of strings that make much of little."""


class Meter(threading.local):
    """What is left to spend, for each thread."""

    left = 0

    def take(self, value: Any) -> Any:  # noqa: ANN401  whatever a template makes
        """Return the value, all of which is paid for.

        Raises:
            ValueError: nothing is left.
        """
        waiting = [value]
        while waiting:
            one = waiting.pop()
            self.spend(1 + (len(one) // CHARACTERS if isinstance(one, str) else 0))
            if isinstance(one, dict):
                waiting += one.values()
            elif isinstance(one, list | tuple):
                waiting += one
            elif isinstance(one, int) and one.bit_length() > 64:
                refuse("the template makes a number that is too large")
        return value

    def spend(self, amount: int) -> None:
        """Take so much away."""
        self.left -= amount
        if self.left < 0:
            refuse("the template does too much")

    def replace(self, text: str, old: str, new: str, count: int | None = None) -> str:
        """Return the text with one string in place of another; paid for beforehand."""
        text = self.take(str(text))
        self.spend(text.count(old) * len(new) // CHARACTERS)
        return str(self.take(text.replace(old, new, -1 if count is None else count)))

    def join(self, values: Iterable[object], between: str = "", attribute: str | None = None) -> str:
        """Return strings joined; paid for beforehand."""
        if attribute is not None:
            refuse("join of an attribute")
        texts = self.take([str(value) for value in values])
        self.spend(len(texts) * len(between) // CHARACTERS)
        return str(between).join(texts)

    def paying(self, does: Callable[..., Any]) -> Callable[..., Any]:
        """Return the same function, what is given to it and what it returns paid for."""

        @functools.wraps(does)
        def done(*given: Any, **named: Any) -> Any:  # noqa: ANN401
            self.take([one for one in given if isinstance(one, str)])
            return self.take(does(*given, **named))

        return done


def bounded_environment(meter: Meter, extensions: list[Any]) -> Any:  # noqa: ANN401  a third party's object
    """Return what compiles templates that pay with the meter.

    Raises:
        MissingExtra: jinja2 is not installed.
    """
    sandbox = require("jinja2.sandbox", "onnx")
    marked = _marking()

    class Bounded(sandbox.ImmutableSandboxedEnvironment):  # type: ignore[name-defined,misc]
        intercepted_binops = frozenset({"+", "*", "**", "%"})

        def _parse(self, *given: Any) -> Any:  # noqa: ANN401
            return marked.visit(super()._parse(*given))

        def call(self, context: Any, does: Any, *given: Any, **named: Any) -> Any:  # noqa: ANN401
            name, owner = getattr(does, "__name__", ""), getattr(does, "__self__", None)
            if isinstance(owner, str) and name in _GROWING:
                refuse(f"strings have no {name} here")
            if isinstance(owner, str) and name in ("replace", "join"):
                return meter.replace(owner, *given) if name == "replace" else meter.join(given[0], owner)
            meter.spend(CALL)
            meter.take([one for one in (owner, *given) if isinstance(one, str)])
            return meter.take(super().call(context, does, *given, **named))

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401
            if operator == "**" or (operator == "%" and isinstance(left, str)):
                refuse(f"there is no {operator} here")
            if operator == "*":
                sizes = [len(one) for one in (left, right) if isinstance(one, str | list | tuple)]
                meter.spend(
                    sum(sizes) * max([0, *(one for one in (left, right) if isinstance(one, int))]) // CHARACTERS
                )
            return meter.take(super().call_binop(context, operator, left, right))

    made = Bounded(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", *extensions])
    made.filters = {name: meter.paying(does) if name in _FILTERS else _unknown for name, does in made.filters.items()}
    made.filters |= {"tojson": meter.paying(_to_json), "replace": meter.replace, "join": meter.join}
    made.filters |= {_TAKE: meter.take, _LIST: lambda values: meter.take(list(values)), _JOIN: meter.join}
    made.globals = {name: each for name, each in made.globals.items() if name != "lipsum"} | {"raise_exception": refuse}
    return made


_TAKE, _LIST, _JOIN = "tamis take", "tamis list", "tamis join"
"""Filters that no template can name, since names have no spaces."""


def _marking() -> Any:  # noqa: ANN401
    """What puts these filters where a template loops, joins, compares, or makes something without a call."""
    nodes = require("jinja2.nodes", "onnx")
    visitor = require("jinja2.visitor", "onnx")

    def through(name: str, node: Any) -> Any:  # noqa: ANN401
        return nodes.Filter(node, name, [], [], None, None)

    class Marking(visitor.NodeTransformer):  # type: ignore[name-defined,misc]
        def visit_For(self, node: Any) -> Any:  # noqa: ANN401
            if node.recursive:
                refuse("a loop that calls itself")
            self.generic_visit(node)
            node.iter = through(_LIST, node.iter)
            return node

        def visit_Concat(self, node: Any) -> Any:  # noqa: ANN401
            return through(_JOIN, nodes.List(self.generic_visit(node).nodes))

        def visit_AssignBlock(self, node: Any) -> Any:  # noqa: ANN401
            self.generic_visit(node)
            node.filter = through(_TAKE, node.filter)
            return node

        def visit_Compare(self, node: Any) -> Any:  # noqa: ANN401
            self.generic_visit(node)
            for one in (node, *node.ops):
                one.expr = through(_TAKE, one.expr)
            return node

        def visit_made(self, node: Any) -> Any:  # noqa: ANN401
            self.generic_visit(node)
            plain = getattr(node, "ctx", "load") == "load"
            return through(_TAKE, node) if plain else node

        visit_List = visit_Dict = visit_Tuple = visit_Getitem = visit_made

    return Marking()


def _to_json(value: object, indent: int | None = None, **_: object) -> str:
    if indent is not None and not (isinstance(indent, int) and 0 <= indent <= WIDEST_INDENT):
        refuse("an indent that is too wide")
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _unknown(*_: object, **__: object) -> NoReturn:
    refuse("a filter that is not known here")


def refuse(message: str) -> NoReturn:
    """Refuse the chat.

    Raises:
        ValueError: always.
    """
    raise ValueError(message)
