"""A graph in 8-bit integers: tables of tokens scaled by row, and, if wanted, matrices by column and tokens by token.

The scale of a token's numbers comes from these alone, so that a text's scores do not depend on what else is in the
batch, as they would with one scale for all; products are summed as integers, exactly. Attention, norms and the head
stay as they are. It does not know whether that is good enough: see `variants`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamis.extras import require
from tamis.ml.encoder.onnx_file import write
from tamis.ml.encoder.placement import MODEL

Array = NDArray[Any]

LARGE = 1_024
"""Elements from which a matrix is worth it."""

MANY_ROWS = 64
"""Rows from which a table is one of tokens, or the like."""

HIGHEST, MIDDLE = 127, 128
"""Numbers go from -127 to 127; those of tokens are stored with 128 added, which processors multiply fastest."""

TINY = 1e-12
"""Added to no scale, but no scale is less: a token may be all zeros."""


def quantise(source: Path, folder: Path, *, products: bool) -> None:
    """Write the graph that is in `source` to `folder`, in 8-bit integers: its tables, and its `products` too."""
    onnx = require("onnx", "encoder")
    proto = onnx.load(source / MODEL)
    graph = proto.graph
    made = _Quantised(onnx, {tensor.name: tensor for tensor in graph.initializer}, products)
    uses = Counter(name for node in graph.node for name in node.input)
    for node in graph.node:
        made.take(node, uses)
    left = [tensor for tensor in graph.initializer if tensor.name not in made.replaced]
    del graph.node[:]
    del graph.initializer[:]
    graph.node.extend(made.nodes)
    graph.initializer.extend([*left, *made.tensors])
    write(proto, folder)


@dataclass(slots=True, eq=False)
class _Quantised:
    """A graph in the making."""

    onnx: Any
    given: dict[str, Any]
    products: bool
    nodes: list[Any] = field(default_factory=list)
    tensors: list[Any] = field(default_factory=list)
    replaced: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)

    def take(self, node: Any, uses: Counter[str]) -> None:  # noqa: ANN401  a third party's object
        """Add an operator, or what does its work with integers."""
        if self.products and node.op_type == "MatMul" and self._is_float_matrix(node.input[1]):
            self._product(node)
        elif node.op_type == "Gather" and self._is_table(node) and uses[node.input[0]] == 1:
            self._lookup(node)
        else:
            self.nodes.append(node)

    def _is_float_matrix(self, name: str) -> bool:
        tensor = self.given.get(name)
        if tensor is None or tensor.data_type != self.onnx.TensorProto.FLOAT or len(tensor.dims) != 2:
            return False
        return int(np.prod(tensor.dims)) >= LARGE

    def _is_table(self, node: Any) -> bool:  # noqa: ANN401
        axes = [attribute.i for attribute in node.attribute if attribute.name == "axis"]
        by_row = not axes or axes == [0]
        return by_row and self._is_float_matrix(node.input[0]) and self.given[node.input[0]].dims[0] >= MANY_ROWS

    def _product(self, node: Any) -> None:  # noqa: ANN401
        given, weights = node.input[0], node.input[1]
        tokens = self._tokens(given)
        self._store(weights, axis=0)
        name = node.output[0] + "/int8"
        self._add("MatMulInteger", [f"{tokens}/bytes", f"{weights}/bytes", self._constant(MIDDLE, np.uint8)], name)
        self._add("Cast", [name], f"{name}/float", to=self.onnx.TensorProto.FLOAT)
        self._add("Mul", [f"{name}/float", f"{tokens}/scale"], f"{name}/by_token")
        self._add("Mul", [f"{name}/by_token", f"{weights}/scale"], node.output[0])

    def _tokens(self, given: str) -> str:
        """What is multiplied, as bytes with a scale for each token."""
        name = f"{given}/int8"
        if name in self.tokens:
            return name
        self.tokens.add(name)
        highest = self._constant(HIGHEST, np.float32)
        self._add("Abs", [given], f"{name}/size")
        self._add("ReduceMax", [f"{name}/size", self._constant(-1, np.int64, 1)], f"{name}/most", keepdims=1)
        self._add("Max", [f"{name}/most", self._constant(TINY, np.float32)], f"{name}/bound")
        self._add("Div", [f"{name}/bound", highest], f"{name}/scale")
        self._add("Div", [highest, f"{name}/bound"], f"{name}/inverse")
        self._add("Mul", [given, f"{name}/inverse"], f"{name}/scaled")
        self._add("Round", [f"{name}/scaled"], f"{name}/rounded")
        self._add("Add", [f"{name}/rounded", self._constant(MIDDLE, np.float32)], f"{name}/shifted")
        self._add("Cast", [f"{name}/shifted"], f"{name}/bytes", to=self.onnx.TensorProto.UINT8)
        return name

    def _lookup(self, node: Any) -> None:  # noqa: ANN401
        table, name = node.input[0], node.output[0] + "/int8"
        self._store(table, axis=1)
        self._add("Gather", [f"{table}/bytes", node.input[1]], f"{name}/row")
        self._add("Gather", [f"{table}/scale", node.input[1]], f"{name}/scale")
        self._add("Cast", [f"{name}/row"], f"{name}/float", to=self.onnx.TensorProto.FLOAT)
        self._add("Mul", [f"{name}/float", f"{name}/scale"], node.output[0])

    def _store(self, name: str, axis: int) -> None:
        """Replace a matrix by bytes and a scale for each column (axis 0) or row (axis 1)."""
        if name in self.replaced:
            return
        self.replaced.add(name)
        matrix = self.onnx.numpy_helper.to_array(self.given[name])
        scale = (np.abs(matrix).max(axis=axis, keepdims=axis == 1) / HIGHEST).astype(np.float32)
        scale[scale == 0] = 1
        self._keep(np.round(matrix / scale).astype(np.int8), f"{name}/bytes")
        self._keep(scale, f"{name}/scale")

    def _constant(self, value: float, kind: type[np.generic], rank: int = 0) -> str:
        name = f"int8/{value}/{kind.__name__}/{rank}"
        if name not in self.tokens:
            self.tokens.add(name)
            self._keep(np.full((1,) * rank, value, dtype=kind), name)
        return name

    def _keep(self, array: Array, name: str) -> None:
        self.tensors.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))

    def _add(self, operator: str, inputs: list[str], output: str, **attributes: int) -> None:
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, [output], name=output, **attributes))
