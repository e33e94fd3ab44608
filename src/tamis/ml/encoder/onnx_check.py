"""Graphs that strangers made: only those that end, and that read no files but the one beside them, are let through.

A model.onnx is a program. It can hold loops, and name any file as the place of its weights. It is looked at here as the
bytes of a protocol buffer (https://protobuf.dev/programming-guides/encoding, and onnx.proto for the numbers of its
fields), without the library onnx, which serving does not need. It does not know what the operators compute.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from tamis.ml.encoder.placement import DATA

MAX_GRAPH = 64 << 20
"""Bytes of a model.onnx without its weights."""

MOST_NODES = 200_000
MAX_ELEMENTS = 1 << 40
MAX_RANK = 64

_BYTES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2}
"""Bytes of an element by the number of a tensor's type."""

_REFUSED_OPERATORS = frozenset({
    *("If", "Loop", "Scan", "SequenceMap"),
    *("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"),
})  # fmt: skip
"""What need not end, and what gives other scores each time."""

_MODEL_GRAPH, _MODEL_OPSET, _MODEL_TRAINING, _MODEL_FUNCTIONS = 7, 8, 20, 25
_GRAPH_NODE, _GRAPH_TENSOR, _GRAPH_SPARSE = 1, 5, 15
_NODE_OPERATOR, _NODE_ATTRIBUTE, _NODE_DOMAIN = 4, 5, 7
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = (5, 10), (6, 11, 22, 23)
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_EXTERNAL, _TENSOR_PLACE = 1, 2, 13, 14
_EXTERNAL = 1


def refuse_hostile(graph: bytes, n_data: int) -> None:
    """Do nothing where the graph is one that may be run.

    Args:
        graph: the content of model.onnx.
        n_data: the bytes of model.onnx.data.

    Raises:
        ValueError: it is not; the message says what is wrong with it.
    """
    if len(graph) > MAX_GRAPH:
        raise ValueError(f"it has {len(graph):,} bytes beside its weights, and {MAX_GRAPH:,} are allowed")
    n_graphs = 0
    for number, value in _fields(memoryview(graph)):
        if number in (_MODEL_TRAINING, _MODEL_FUNCTIONS):
            raise ValueError("it has functions of its own or is made for training")
        if number == _MODEL_OPSET:
            _check_domain(next((_text(each) for field, each in _fields(_part(value)) if field == 1), ""))
        elif number == _MODEL_GRAPH:
            n_graphs += 1
            _check_graph(_part(value), n_data)
    if n_graphs != 1:
        raise ValueError(f"it has {n_graphs} graphs")


def _check_graph(graph: memoryview, n_data: int) -> None:
    n_nodes = 0
    for number, value in _fields(graph):
        if number == _GRAPH_SPARSE:
            raise ValueError("it has sparse tensors")
        if number == _GRAPH_TENSOR:
            _check_tensor(_part(value), n_data)
        elif number == _GRAPH_NODE:
            n_nodes += 1
            _check_node(_part(value))
    if n_nodes > MOST_NODES:
        raise ValueError(f"it has {n_nodes:,} operators, and {MOST_NODES:,} are allowed")


def _check_node(node: memoryview) -> None:
    for number, value in _fields(node):
        if number == _NODE_DOMAIN:
            _check_domain(_text(value))
        elif number == _NODE_OPERATOR and _text(value) in _REFUSED_OPERATORS:
            raise ValueError(f"it has an operator {_text(value)}, which need not end, or ends otherwise each time")
        elif number == _NODE_ATTRIBUTE:
            for field, inner in _fields(_part(value)):
                if field in _ATTRIBUTE_GRAPHS:
                    raise ValueError("it has a graph within the graph")
                if field in _ATTRIBUTE_TENSORS:
                    _check_tensor(_part(inner), n_data=0)


def _check_domain(domain: str) -> None:
    if domain not in ("", "ai.onnx"):
        raise ValueError(f"it has operators of {domain[:40]!r}, and only those of the standard are known")


def _check_tensor(tensor: memoryview, n_data: int) -> None:
    """Refuse a tensor whose values are elsewhere than in the one file beside the graph, at a place that fits."""
    shape: list[int] = []
    kind, is_external, entries = 0, False, dict[str, str]()
    for number, value in _fields(tensor):
        if number == _TENSOR_DIMS:
            shape += [value] if isinstance(value, int) else _packed(value)
        elif number == _TENSOR_TYPE:
            kind = _number(value)
        elif number == _TENSOR_PLACE:
            is_external = _number(value) == _EXTERNAL
        elif number == _TENSOR_EXTERNAL:
            pair = {field: _text(each) for field, each in _fields(_part(value))}
            entries[pair.get(1, "")] = pair.get(2, "")
    if len(shape) > MAX_RANK or any(size >= MAX_ELEMENTS for size in shape) or math.prod(shape) >= MAX_ELEMENTS:
        raise ValueError("it has a tensor of a size that no machine can hold")
    if is_external or entries:
        _check_place(entries, math.prod(shape) * _BYTES.get(kind, 0), n_data)


def _check_place(entries: dict[str, str], wanted: int, n_data: int) -> None:
    if entries.get("location") != DATA or not entries.keys() <= {"location", "offset", "length"}:
        raise ValueError(f"it wants weights from {entries.get('location', '')[:60]!r}, and only {DATA} is read")
    offset, length = entries.get("offset", "0"), entries.get("length", "")
    if not (_is_number(offset) and _is_number(length)) or int(length) != wanted or int(offset) + wanted > n_data:
        raise ValueError(f"it has a tensor whose place in {DATA} is not there, or does not fit its shape")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 16


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The fields of a message: their numbers, with an integer or with their bytes."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, place = _varint(message, place)
            yield number, value
            continue
        if kind == 2:
            size, place = _varint(message, place)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError("it is not a protocol buffer")
        if place + size > len(message):
            raise ValueError("it is cut off")
        yield number, message[place : place + size]
        place += size


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(message) and shift < 70:
        byte = message[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7
    raise ValueError("it is cut off, or not a protocol buffer")


def _packed(values: memoryview) -> list[int]:
    found, place = list[int](), 0
    while place < len(values) and len(found) <= MAX_RANK:
        value, place = _varint(values, place)
        found.append(value)
    return found


def _part(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("it is not a protocol buffer of a model")
    return value


def _number(value: int | memoryview) -> int:
    if not isinstance(value, int):
        raise ValueError("it is not a protocol buffer of a model")
    return value


def _text(value: int | memoryview) -> str:
    return _part(value).tobytes().decode("utf-8", "replace")
