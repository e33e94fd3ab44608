"""A static model as ONNX: a graph with all weights, and a small script that makes its inputs of texts.

ONNX has no operators for n-grams by hash, nor for a tokenizer, so what turns texts into numbers is `features.py`, which
goes along. The graph is made of plain operators; a text's scores do not depend on what else is in the batch.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamis.ml.artifact import TOKENIZER, Artifact
from tamis.ml.export import features as features_script
from tamis.ml.export.onnx_card import static_card
from tamis.ml.export.onnx_graph import Graph, OnnxModel, add_scores, label_file, names_of_targets
from tamis.ml.manifest import Manifest
from tamis.ml.scorer import Floats
from tamis.ml.static.lexical import BLOCKS
from tamis.ml.static.model import StaticModel
from tamis.ml.static.stored import restore
from tamis.schema import Input

SCRIPT = "features.py"
SAME = 1e-5


def write(artifact: Artifact, folder: Path) -> None:
    """Write the files of the export to a folder.

    Raises:
        ModelError: the model is larger than an ONNX file may be.
        MissingExtra: onnx is not installed.
    """
    model = restore(artifact)
    graph = Graph()
    add_scores(graph, _logits(graph, model), artifact.manifest.targets)
    graph.save(folder)
    np.savez_compressed(folder / "features.npz", allow_pickle=False, **_arrays(model))
    settings = json.dumps(_settings(model), indent=2)
    (folder / "features.json").write_text(settings + "\n", encoding="utf-8", newline="\n")
    (folder / SCRIPT).write_bytes(Path(features_script.__file__).read_bytes())
    (folder / TOKENIZER).write_bytes(artifact.tokenizer_json)
    (folder / "labels.json").write_text(label_file(artifact.manifest), encoding="utf-8", newline="\n")
    (folder / "README.md").write_text(static_card(artifact.manifest), encoding="utf-8", newline="\n")


def scores(artifact: Artifact, folder: Path, inputs: Sequence[Input]) -> dict[str, Floats]:
    """Return what the export says of inputs, (inputs, labels) by target, the way its users would compute it."""
    features, model = features_script.Features(folder), OnnxModel(folder)
    made = features([given if isinstance(given, str) else [_plain(message) for message in given] for given in inputs])
    outputs = names_of_targets(artifact.manifest.targets)
    return dict(zip(outputs, model.run([f"{name}_scores" for name in outputs.values()], made), strict=True))


def allowed(manifest: Manifest) -> float:
    """Return how far a score may be from the model's."""
    return max(SAME, manifest.tolerance)


def _plain(message: Any) -> dict[str, str]:  # noqa: ANN401
    return {"role": message.role, "content": message.content}


def _arrays(model: StaticModel) -> dict[str, NDArray[Any]]:
    """What the script looks n-grams up in."""
    return {
        f"{block}.{name}": getattr(terms, name)
        for block, terms in zip(BLOCKS, model.vocabulary.blocks, strict=True)
        for name in ("hashes", "idf", "single_hashes", "single_owners", "single_shares")
    }


def _settings(model: StaticModel) -> dict[str, object]:
    """Where the columns of each kind of n-gram begin, and what else the script has to know."""
    widths = [max(len(terms), 1) for terms in model.vocabulary.blocks]
    starts = np.cumsum([0, *widths]).tolist()
    unknown = {block: terms.unknown for block, terms in zip(BLOCKS, model.vocabulary.blocks, strict=True)}
    return {
        "fields": model.n_fields,
        "unknown_token": model.semantics.tokenizer.unknown_id,
        "unknown_idf": unknown,
        "first_columns": dict(zip((*BLOCKS, "private"), starts, strict=True)),
    }


def _logits(graph: Graph, model: StaticModel) -> str:
    """Add all that comes before calibration; return the name of the (texts, all labels) logits."""
    rows = graph.add("Gather", _base(graph, model), graph.input("tokens", "int64", 3))
    rows = graph.add("Cast", rows, to="float32")  # (texts, pools, tokens, d)
    shares = graph.unsqueeze(graph.input("shares", "float32", 3), 2)
    values = graph.unsqueeze(graph.input("values", "float32", 2), 1)
    d, n_pooled = model.centring.centre.shape[0], model.n_fields * model.centring.centre.shape[0]
    n_terms = len(model.weights) - n_pooled - 1
    weights = graph.add("Gather", graph.array("lexical", model.weights[:n_terms]), graph.input("columns", "int64", 2))
    lexical = graph.squeeze(graph.add("MatMul", values, weights), 1)
    pooled = graph.add(
        "MatMul", _pooled(graph, model, shares, rows, d), graph.array("pooled", model.weights[n_terms:-1])
    )
    linear = graph.add("Add", graph.add("Add", lexical, pooled), graph.array("bias", model.weights[-1]))
    return graph.add("Add", linear, _network(graph, model, shares, rows, d))


def _base(graph: Graph, model: StaticModel) -> str:
    return graph.array("embeddings", np.asarray(model.semantics.matrix))


def _pooled(graph: Graph, model: StaticModel, shares: str, rows: str, d: int) -> str:
    """The base model's average embeddings of each field, of length 1, centred; 0 for a field without a known token."""
    pools = graph.squeeze(graph.add("MatMul", shares, rows), 2)
    fields = graph.slice(pools, 1, 0, model.n_fields)
    length = graph.add("ReduceL2", fields, axes=[2], keepdims=1)
    present = graph.add("Greater", length, graph.number("least_length", 1e-6))
    unit = graph.add("Div", fields, graph.add("Max", length, graph.number("divisor", 1e-6)))
    away = graph.add("Sub", unit, graph.array("centre", model.centring.centre))
    centred = graph.add("Mul", away, graph.number("pooled_scale", model.centring.scale))
    kept = graph.add("Where", present, centred, graph.number("nothing", 0.0))
    return graph.reshape(kept, (-1, model.n_fields * d))


def _network(graph: Graph, model: StaticModel, shares: str, rows: str, d: int) -> str:
    """The hidden layer over averages of the embeddings, with the rows that training moved in their place."""
    network = model.network
    scaled = graph.add("Mul", rows, graph.number("embedding_scale", model.embedding_scale))
    if len(model.tuned_tokens):
        place = np.full(model.semantics.matrix.shape[0], -1, dtype=np.int64)
        place[model.tuned_tokens] = np.arange(len(model.tuned_tokens))
        at = graph.add("Gather", graph.array("tuned_place", place), "tokens")
        tuned = graph.add("Gather", graph.array("tuned", network.embeddings), graph.add("Max", at, graph.whole(0)))
        moved = graph.unsqueeze(graph.add("GreaterOrEqual", at, graph.whole(0)), 3)
        scaled = graph.add("Where", moved, tuned, scaled)
    pools = graph.reshape(graph.add("MatMul", shares, scaled), (-1, (model.n_fields + 1) * d))
    hidden = graph.add(
        "Gemm", pools, graph.array("hidden", network.hidden), graph.array("hidden_bias", network.hidden_bias)
    )
    active = graph.add("Relu", hidden)
    return graph.add("Gemm", active, graph.array("heads", network.heads), graph.array("head_bias", network.head_bias))
