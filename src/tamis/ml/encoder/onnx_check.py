"""Graphs that strangers made: only such as Tamis itself writes are let through.

A model.onnx is a program. It can hold loops, make gigabytes of a few numbers, and name any file as the place of its
weights. Only the operators that our own exporter writes may be in it, all values must be in the file or the one beside
it, and nothing is computed from constants alone. It is looked at here as the bytes of a protocol buffer
(https://protobuf.dev/programming-guides/encoding, and onnx.proto for the numbers of its fields), without the library
onnx, which serving does not need. Of what the operators compute it knows only how long shapes may become: `memory`
bounds what computing takes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from tamis.ml.encoder.placement import DATA

MAX_GRAPH = 64 << 20
"""Bytes of a model.onnx without its weights."""

MOST_NODES = 200_000
MAX_ELEMENTS = 1 << 40
MAX_RANK = 64
MAX_KEY = (1 << 32) - 1
MOST_LENGTHS = 1 << 18
"""Of all shapes in a graph: ONNX Runtime writes each down when it opens a file, and takes a hundred bytes a length."""

_BYTES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2}
"""Bytes of an element by the number of a tensor's type."""

_WHOLE = (6, 7)
"""The types among these in which shapes are given."""

_OPERATORS = frozenset({
    *("Attention", "Conv", "CumSum", "Einsum", "Gemm", "LayerNormalization", "MatMul", "MatMulInteger"),
    *("RMSNormalization", "RotaryEmbedding", "ArgMax", "ArgMin", "LogSoftmax", "Softmax", "TopK"),
    *("ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum"),
    *("Cast", "Concat", "Expand", "Gather", "GatherElements", "GatherND", "Identity", "Pad", "Range", "Reshape"),
    *("ScatterElements", "ScatterND", "Shape", "Slice", "Split", "Squeeze", "Tile", "Transpose", "Trilu", "Unsqueeze"),
    "Where",
    *("Abs", "Add", "Ceil", "Clip", "Cos", "Div", "Erf", "Exp", "Floor", "Log", "Max", "Min", "Mod", "Mul", "Neg"),
    *("Pow", "Reciprocal", "Round", "Sign", "Sin", "Sqrt", "Sub"),
    *("And", "Equal", "Greater", "GreaterOrEqual", "IsNaN", "Less", "LessOrEqual", "Not", "Or", "Xor"),
    *("Elu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "Relu", "Selu", "Sigmoid", "Softplus", "Swish"),
    *("Tanh",),
})  # fmt: skip
"""What torch's exporter writes of transformers' classifiers, what `quantise` adds, and others of their kind."""

_LENGTHENING = frozenset({"Einsum", "Expand", "Pad", "Range", "Tile"})
"""What makes more numbers than it is given, how many is known when it runs."""

_OPSETS = (22, 23)
"""The versions of the operators that `onnx_file` writes."""

_MODEL_GRAPH, _MODEL_OPSET, _MODEL_TRAINING, _MODEL_FUNCTIONS = 7, 8, 20, 25
_OPSET_DOMAIN, _OPSET_VERSION = 1, 2
_GRAPH_NODE, _GRAPH_TENSOR, _GRAPH_INPUT, _GRAPH_VALUE, _GRAPH_SPARSE = 1, 5, 11, 13, 15
_NODE_INPUT, _NODE_OUTPUT, _NODE_OPERATOR, _NODE_ATTRIBUTE, _NODE_DOMAIN = 1, 2, 4, 5, 7
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = (5, 10), (6, 11, 22, 23)
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW, _TENSOR_EXTERNAL, _TENSOR_PLACE = 1, 2, 8, 9, 13, 14
_TENSOR_VALUES = (4, 5, 6, 7, 10, 11)
_DIMENSIONS = (2, 1, 2, 1)
"""Of an input: its type, that of a tensor, its shape, and the dimensions of this."""

_INPUT_NAME, _DIMENSION_LENGTH, INPUT_RANK = 1, 1, 2


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
            _check_opset(_part(value))
        elif number == _MODEL_GRAPH:
            n_graphs += 1
            _check_graph(_part(value), n_data)
    if n_graphs != 1:
        raise ValueError(f"it has {n_graphs} graphs")


def _check_graph(graph: memoryview, n_data: int) -> None:
    nodes, constants, sizes, taken = list[memoryview](), set[str](), _Sizes(), 0
    for number, value in _fields(graph):
        if number == _GRAPH_SPARSE:
            raise ValueError("it has sparse tensors")
        if number == _GRAPH_VALUE:
            raise ValueError("it says what shapes it computes")
        if number == _GRAPH_INPUT:
            sizes.of[_check_input(_part(value))] = _Size(INPUT_RANK)
        elif number == _GRAPH_TENSOR:
            tensor = _tensor(_part(value))
            constants.add(tensor.name)
            taken += tensor.check(n_data)
            sizes.of[tensor.name] = tensor.size
        elif number == _GRAPH_NODE:
            nodes.append(_part(value))
    if len(nodes) > MOST_NODES:
        raise ValueError(f"it has {len(nodes):,} operators, and {MOST_NODES:,} are allowed")
    if taken > n_data:
        raise ValueError(f"its tensors have {taken:,} bytes in {DATA}, which has {n_data:,}")
    for node in nodes:
        sizes.follow(*_check_node(node, constants))


def _check_input(given: memoryview) -> str:
    """Refuse an input of a length that is set: what follows from it would be computed when the file is opened."""
    parts, name = [given], ""
    for number, value in _fields(given):
        name = _text(value) if number == _INPUT_NAME else name
    for inner in _DIMENSIONS:
        parts = [_part(value) for part in parts for number, value in _fields(part) if number == inner]
    if any(number == _DIMENSION_LENGTH for part in parts for number, _ in _fields(part)):
        raise ValueError("its inputs have lengths that are set, and any batch and length must be possible")
    if len(parts) > INPUT_RANK:
        raise ValueError(f"its inputs have {len(parts):,} dimensions, and {INPUT_RANK} are given")
    return name


def _check_node(node: memoryview, constants: set[str]) -> tuple[str, list[str], list[str]]:
    """Refuse what may not be run; return the operator, and the names of what it takes and gives."""
    operator, inputs, outputs = "", list[str](), list[str]()
    for number, value in _fields(node):
        if number == _NODE_DOMAIN:
            _check_domain(_text(value))
        elif number == _NODE_OPERATOR:
            operator = _text(value)
        elif number == _NODE_INPUT:
            inputs.append(_text(value))
        elif number == _NODE_OUTPUT:
            outputs.append(_text(value))
        elif number == _NODE_ATTRIBUTE:
            _check_attribute(_part(value))
    if operator not in _OPERATORS:
        raise ValueError(f"it has an operator {operator[:40]!r}, which is none that Tamis writes")
    if set(inputs) <= constants | {""}:  # what comes of it would be written down instead, in the size that it has
        raise ValueError(f"its operator {operator} computes with constants alone")
    return operator, inputs, outputs


@dataclass(frozen=True, slots=True)
class _Size:
    """What is known of a value before anything runs: its dimensions and its numbers at most, None where it is open."""

    rank: int
    numbers: int | None = None


class _Sizes:
    """Bounds from above for all values of a graph: a few operators could make shapes of millions of lengths."""

    def __init__(self) -> None:
        self.of: dict[str, _Size] = {}
        self._lengths = 0

    def follow(self, operator: str, inputs: list[str], outputs: list[str]) -> None:
        """Take in what an operator gives; all that it takes was taken in before."""
        given = [self.of.get(name) for name in inputs if name]
        if None in given:
            raise ValueError(f"its operator {operator} takes what is not there, or comes later")
        sizes = [each for each in given if each is not None]
        made = _Size(_rank_of(operator, sizes), _numbers_of(operator, sizes))
        self._lengths += len(outputs) * (made.rank + (made.numbers or 0))
        if made.rank > MAX_RANK or self._lengths > MOST_LENGTHS:
            raise ValueError(f"its operator {operator} makes a shape that is too long")
        self.of |= dict.fromkeys(outputs, made)


def _rank_of(operator: str, given: list[_Size]) -> int:
    first, *others = given
    if operator in ("Reshape", "Expand") and others:
        if others[0].numbers is None:
            raise ValueError(f"its operator {operator} makes a shape whose length is not known")
        return max(others[0].numbers, first.rank if operator == "Expand" else 0)
    if operator in ("Squeeze", "Unsqueeze") and others:
        axes = others[0].numbers
        if axes is None:
            raise ValueError(f"its operator {operator} makes a shape whose length is not known")
        return first.rank + axes if operator == "Unsqueeze" else max(0, first.rank - axes)
    if operator in ("Gather", "GatherND", "Einsum"):
        return sum(each.rank for each in given) - (operator == "Gather")
    return 1 if operator in ("Shape", "Range") else max(each.rank for each in given)


def _numbers_of(operator: str, given: list[_Size]) -> int | None:
    if operator == "Shape":
        return given[0].rank
    known = [each.numbers for each in given if each.numbers is not None]
    if operator in ("Reshape", "Squeeze", "Unsqueeze", "Slice"):
        return given[0].numbers
    if operator in _LENGTHENING or len(known) < len(given):
        return None
    if operator == "Concat":
        return sum(known)
    if operator == "Gather":
        return known[-1] if given[0].rank <= 1 else None
    return max(known) if all(each.rank <= 1 for each in given) else None


def _check_attribute(attribute: memoryview) -> None:
    for number, value in _fields(attribute):
        if number in _ATTRIBUTE_GRAPHS:
            raise ValueError("it has a graph within the graph")
        if number in _ATTRIBUTE_TENSORS:
            _tensor(_part(value)).check(n_data=0)


def _check_opset(opset: memoryview) -> None:
    version = 0
    for number, value in _fields(opset):
        if number == _OPSET_DOMAIN:
            _check_domain(_text(value))
        elif number == _OPSET_VERSION:
            version = _number(value)
    if version not in _OPSETS:
        raise ValueError(f"its operators are of version {version}, and {', '.join(map(str, _OPSETS))} are known")


def _check_domain(domain: str) -> None:
    if domain not in ("", "ai.onnx"):
        raise ValueError(f"it has operators of {domain[:40]!r}, and only those of the standard are known")


@dataclass(slots=True, eq=False)
class _Tensor:
    """Values and where they are: in the graph (`n_raw` bytes) or beside it (`entries`)."""

    name: str = ""
    shape: list[int] = field(default_factory=list)
    kind: int = 0
    n_raw: int = 0
    is_external: bool = False
    entries: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> _Size:
        """What may be known of it; shapes are whole numbers in a row."""
        is_shape = self.kind in _WHOLE and len(self.shape) <= 1
        return _Size(len(self.shape), math.prod(self.shape) if is_shape else None)

    def check(self, n_data: int) -> int:
        """Refuse what is larger than its bytes, or elsewhere than it may be; return the bytes that it has beside."""
        shape = self.shape
        if len(shape) > MAX_RANK or any(size >= MAX_ELEMENTS for size in shape) or math.prod(shape) >= MAX_ELEMENTS:
            raise ValueError("it has a tensor of a size that no machine can hold")
        if self.kind not in _BYTES:
            raise ValueError("it has a tensor of a type that is not known")
        wanted = math.prod(shape) * _BYTES[self.kind]
        if self.is_external or self.entries:
            _check_place(self.entries, wanted, n_data)
            return wanted
        if self.n_raw != wanted:
            raise ValueError(f"it has a tensor of {wanted:,} bytes by its shape, and {self.n_raw:,} are there")
        return 0


def _tensor(message: memoryview) -> _Tensor:
    made = _Tensor()
    for number, value in _fields(message):
        if number == _TENSOR_DIMS:
            made.shape += [value] if isinstance(value, int) else _packed(_part(value))
        elif number == _TENSOR_TYPE:
            made.kind = _number(value)
        elif number == _TENSOR_NAME:
            made.name = _text(value)
        elif number == _TENSOR_RAW:
            made.n_raw = len(_part(value))  # of several the last counts
        elif number == _TENSOR_PLACE:
            made.is_external = _number(value) != 0
        elif number == _TENSOR_EXTERNAL:
            pair = {place: _text(each) for place, each in _fields(_part(value))}
            if pair.get(1, "") in made.entries:
                raise ValueError(f"it has a tensor with two places in {DATA}")
            made.entries[pair.get(1, "")] = pair.get(2, "")
        elif number in _TENSOR_VALUES:
            raise ValueError("it has a tensor with values that are not in bytes")
    return made


def _check_place(entries: dict[str, str], wanted: int, n_data: int) -> None:
    if entries.get("location") != DATA or not entries.keys() <= {"location", "offset", "length"}:
        raise ValueError(f"it wants weights from {entries.get('location', '')[:60]!r}, and only {DATA} is read")
    offset, length = entries.get("offset", "0"), entries.get("length", "")
    if not (_is_number(offset) and _is_number(length)) or int(length) != wanted or int(offset) + wanted > n_data:
        raise ValueError(f"it has a tensor whose place in {DATA} is not there, or does not fit its shape")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 16


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview | bytes]]:
    """The fields of a message: their numbers, with an integer, with a part of the message, or with a fixed number.

    Of the key of a field, ONNX Runtime reads 32 bits and drops the others: one that has more would be another field
    there than here.
    """
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        if key > MAX_KEY:
            raise ValueError("it has a field whose number is none of a protocol buffer")
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
        part = message[place : place + size]
        yield number, part if kind == 2 else bytes(part)
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


def _part(value: int | memoryview | bytes) -> memoryview:
    if not isinstance(value, memoryview):
        raise ValueError("it is not a protocol buffer of a model")
    return value


def _number(value: int | memoryview | bytes) -> int:
    if not isinstance(value, int):
        raise ValueError("it is not a protocol buffer of a model")
    return value


def _text(value: int | memoryview | bytes) -> str:
    return _part(value).tobytes().decode("utf-8", "replace")
