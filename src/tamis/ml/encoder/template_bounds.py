"""The sandbox of chat templates that strangers made: every loop, call and string costs, and what one may spend is set.

A template is a program: it can loop without saying anything, call itself, or double a string until memory is gone. What
it may do is counted rather than timed, so that the same chat becomes the same string on every machine; the clock is
looked at for what a count does not foresee. Only calls, filters, tests and methods that are known here are made, and
each pays for what it is given before it begins. It does not know chats; the prices are in `template_meter`.
"""

from __future__ import annotations

from typing import Any

from jinja2 import nodes, pass_context
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from tamis.ml.encoder.template_meter import FILTERS, Meter, refuse

_TAKE, _LIST, _SPREAD, _JOIN = "tamis take", "tamis list", "tamis spread", "tamis join"
"""Filters that no template can name, since names have no spaces."""


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """Compiles templates that pay with a meter."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, meter: Meter) -> None:
        """Have every template pay with `meter`."""

        @pass_context  # so that nothing is put out while the template is compiled
        def shown(_: Any, value: Any) -> Any:  # noqa: ANN401
            return meter.plain(value)

        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.loopcontrols", Generation],
            finalize=shown,
            optimized=False,  # else some is done while it is compiled
        )
        self._meter = meter
        self.filters = {
            name: meter.paying(name, does) if name in FILTERS else _unknown for name, does in self.filters.items()
        }
        self.filters |= {"tojson": meter.to_json, "replace": meter.replace, "join": meter.join, "round": meter.round}
        self.filters |= {_TAKE: meter.take, _LIST: meter.looped, _SPREAD: meter.listed, _JOIN: meter.join}
        self.tests = {name: meter.testing(name, does) for name, does in dict[str, Any](self.tests).items()}
        self.globals = {**meter.functions}

    def _parse(self, *given: Any) -> nodes.Template:  # noqa: ANN401
        marked: nodes.Template = _Marking().visit(super()._parse(*given))
        return marked

    def call(self, context: Any, does: Any, *given: Any, **named: Any) -> Any:  # noqa: ANN401  as jinja2 has it
        """Call what may be called, paid for."""

        def make(*given: Any, **named: Any) -> Any:  # noqa: ANN401
            return super(BoundedEnvironment, self).call(context, does, *given, **named)

        return self._meter.call(does, make, given, named)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401  as jinja2 has it
        """Return what an operator makes, paid for."""
        if operator == "**" or (operator == "%" and isinstance(left, str)):
            refuse(f"there is no {operator} here")
        if operator == "*":
            self._meter.times(left, right)
        return self._meter.take(super().call_binop(context, operator, left, right))


class Generation(Extension):
    """A tag that marks what the assistant said: transformers knows it, here its content is all that counts."""

    tags = {"generation"}  # noqa: RUF012  that is how jinja2 wants it

    def parse(self, parser: Any) -> list[nodes.Node]:  # noqa: ANN401  as jinja2 has it
        """Return what is between the tag and its end."""
        next(parser.stream)
        found: list[nodes.Node] = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return found


class _Marking(NodeTransformer):
    """Puts these filters where a template loops, joins, compares, or makes something without a call."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        if node.recursive:
            refuse("a loop that calls itself")
        self.generic_visit(node)
        node.iter = _through(_LIST, node.iter)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _through(_JOIN, nodes.List(node.nodes))

    def visit_AssignBlock(self, node: nodes.AssignBlock) -> nodes.Node:
        self.generic_visit(node)
        node.filter = _through(_TAKE, node.filter)
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        self.generic_visit(node)
        node.expr = _through(_TAKE, node.expr)
        for one in node.ops:
            one.expr = _through(_TAKE, one.expr)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        self.generic_visit(node)
        if not isinstance(node.arg, nodes.Const | nodes.Slice):
            node.arg = _through(_TAKE, node.arg)
        return _through(_TAKE, node)

    def visit_Pair(self, node: nodes.Pair) -> nodes.Node:
        self.generic_visit(node)
        node.key = _through(_TAKE, node.key)
        return node

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        self.generic_visit(node)
        return _through(_TAKE, node) if node.ctx == "load" else node

    def visit_made(self, node: nodes.Expr) -> nodes.Node:
        self.generic_visit(node)
        return _through(_TAKE, node)

    def visit_called(self, node: nodes.Call | nodes.Filter | nodes.Test) -> nodes.Node:
        self.generic_visit(node)
        if node.dyn_args is not None:
            node.dyn_args = _through(_SPREAD, node.dyn_args)
        return node

    visit_List = visit_Dict = visit_made
    visit_Call = visit_Filter = visit_Test = visit_called


def _through(name: str, node: Any) -> nodes.Filter:  # noqa: ANN401
    return nodes.Filter(node, name, [], [], None, None)


def _unknown(*_: object, **__: object) -> None:
    refuse("a filter that is not known here")
