"""Small ONNX graphs, put together node by node; and what all ONNX exports have: scores a target, labels.json.

It does not know which model a graph is of.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamis.errors import ModelError
from tamis.extras import require
from tamis.ml.manifest import Manifest, TargetManifest
from tamis.ml.scorer import Floats
from tamis.schema import Kind

MODEL = "model.onnx"
OPSET, IR_VERSION = 17, 8
"""Of 2022, so that every ONNX Runtime since 1.12 reads the file."""

MOST_BYTES = 2_000_000_000
"""A file of ONNX may not be larger."""


class Graph:
    """Nodes, weights, inputs and outputs, in the order in which they are added."""

    def __init__(self, prefix: str = "") -> None:
        """Begin with nothing; `prefix` keeps names apart from those of a graph that this is to continue."""
        self._onnx: Any = require("onnx", "export")
        self._prefix = prefix
        self._nodes: list[Any] = []
        self._arrays: dict[str, NDArray[Any]] = {}
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def input(self, name: str, kind: str, rank: int) -> str:
        """Add an input of so many dimensions, the first of which is the batch."""
        shape = ["batch", *(f"{name}_{n}" for n in range(1, rank))]
        self._inputs.append(self._onnx.helper.make_tensor_value_info(name, self._type(kind), shape))
        return name

    def output(self, name: str, value: str, n_labels: int) -> None:
        """Give a value out under a name."""
        self._nodes.append(self._onnx.helper.make_node("Identity", [value], [name]))
        shape = ["batch", n_labels]
        self._outputs.append(self._onnx.helper.make_tensor_value_info(name, self._type("float32"), shape))

    def array(self, name: str, values: NDArray[Any]) -> str:
        """Add weights, and return their name."""
        self._arrays[self._prefix + name] = np.ascontiguousarray(values)
        return self._prefix + name

    def number(self, name: str, value: float) -> str:
        """Add one number."""
        return self.array(name, np.array(value, dtype=np.float32))

    def whole(self, value: int) -> str:
        """Add one whole number."""
        return self.array(f"whole_{value}", np.array(value, dtype=np.int64))

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:  # noqa: ANN401  as ONNX has them
        """Add a node, and return the name of what it gives."""
        if "to" in attributes:
            attributes["to"] = self._type(attributes["to"])
        name = f"{self._prefix}{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(operator, [*inputs], [name], name=name, **attributes))
        return name

    def unsqueeze(self, value: str, axis: int) -> str:
        """Add a dimension of 1."""
        return self.add("Unsqueeze", value, self._axes(axis))

    def squeeze(self, value: str, axis: int) -> str:
        """Take a dimension of 1 away."""
        return self.add("Squeeze", value, self._axes(axis))

    def slice(self, value: str, axis: int, start: int, stop: int) -> str:
        """Take a part of a dimension."""
        return self.add("Slice", value, self._axes(start), self._axes(stop), self._axes(axis))

    def reshape(self, value: str, shape: Sequence[int]) -> str:
        """Arrange anew."""
        name = self.array(f"shape_{len(self._nodes)}", np.array(shape, dtype=np.int64))
        return self.add("Reshape", value, name)

    def _axes(self, value: int) -> str:
        return self.array(f"axis_{value}", np.array([value], dtype=np.int64))

    def _type(self, kind: str) -> int:
        return int(self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(kind)))

    def save(self, folder: Path) -> None:
        """Write model.onnx.

        Raises:
            ModelError: it would be larger than such a file may be.
        """
        size = sum(values.nbytes for values in self._arrays.values())
        if size > MOST_BYTES:
            raise ModelError(
                f"The model has {size / 1e9:,.1f} GB of weights, and a file of ONNX holds 2 GB: it cannot be exported. "
                "Train it with fewer labels or rows, or use the model's own folder.",
            )
        helper = self._onnx.helper
        graph = helper.make_graph(self._nodes, "tamis", self._inputs, self._outputs, self._weights())
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="tamis")
        (folder / MODEL).write_bytes(model.SerializeToString(deterministic=True))

    def continue_file(self, source: Path, folder: Path) -> None:
        """Write the graph of another model.onnx with this one behind it, whose outputs take the place of its own."""
        proto = self._onnx.load(str(source), load_external_data=False)
        proto.graph.node.extend(self._nodes)
        proto.graph.initializer.extend(self._weights())
        del proto.graph.output[:]
        proto.graph.output.extend(self._outputs)
        (folder / MODEL).write_bytes(proto.SerializeToString(deterministic=True))

    def _weights(self) -> list[Any]:
        return [self._onnx.numpy_helper.from_array(values, name) for name, values in self._arrays.items()]


class OnnxModel:
    """A model.onnx, opened with ONNX Runtime on the CPU."""

    def __init__(self, folder: Path) -> None:
        """Open it."""
        runtime: Any = require("onnxruntime", "export")
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        options.add_session_config_entry("session.x64quantprecision", "1")
        self._session = runtime.InferenceSession(str(folder / MODEL), options, providers=["CPUExecutionProvider"])

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[Floats]:
        """Return these outputs."""
        found: list[Floats] = self._session.run([*outputs], dict(inputs))
        return found


def names_of_targets(targets: Sequence[TargetManifest]) -> dict[str, str]:
    """Return by target a name that a program can have: letters, digits and underscores, each once."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for number, target in enumerate(targets):
        plain = re.sub(r"[^A-Za-z0-9]+", "_", target.name).strip("_")[:60] or "target"
        name = plain
        while name.lower() in taken:
            name = f"{plain}_{number}" if name == plain else f"{name}_"
        names[target.name] = name
        taken.add(name.lower())
    return names


def add_scores(graph: Graph, logits: str, targets: Sequence[TargetManifest]) -> None:
    """Add for each target its calibrated logits and its scores, as `NAME_logits` and `NAME_scores`."""
    at, names = 0, names_of_targets(targets)
    for number, target in enumerate(targets):
        n_labels, name = len(target.computed.labels), names[target.name]
        own = graph.slice(logits, 1, at, at + n_labels)
        scale = np.broadcast_to(np.array(target.calibration.scale, dtype=np.float32), n_labels)
        bias = np.broadcast_to(np.array(target.calibration.bias, dtype=np.float32), n_labels)
        own = graph.add("Mul", own, graph.array(f"target_{number}.scale", scale))
        own = graph.add("Add", own, graph.array(f"target_{number}.bias", bias))
        graph.output(f"{name}_logits", own, n_labels)
        single = target.kind is Kind.SINGLE_LABEL
        scores = graph.add("Softmax", own, axis=1) if single else graph.add("Sigmoid", own)
        if n_labels > len(target.labels):  # what was learnt of rows out of scope is what the scores lack to 1
            scores = graph.slice(scores, 1, 0, len(target.labels))
        graph.output(f"{name}_scores", scores, len(target.labels))
        at += n_labels


def label_file(manifest: Manifest, **more: object) -> str:
    """Return labels.json: for each target its labels in the order of the scores, and how scores become answers."""
    names = names_of_targets(manifest.targets)
    targets = [
        {
            "name": target.name,
            "kind": target.kind.value,
            "scores": f"{names[target.name]}_scores",
            "logits": f"{names[target.name]}_logits",
            "labels": [*target.labels],
            "thresholds": None if target.thresholds is None else [*target.thresholds],
            "abstain_below": None if target.abstain is None else target.abstain.threshold,
            "abstain_by": None if target.abstain is None else target.abstain.evidence or "the highest score",
        }
        for target in manifest.targets
    ]
    return json.dumps({"model": manifest.name, "targets": targets, **more}, indent=2, ensure_ascii=False) + "\n"
