"""A fine-tuned network as model.onnx: any batch, any length, the same bytes every time, checked against torch.

The graph is in model.onnx, its weights are in model.onnx.data, so that they can be mapped into memory and may be larger
than 2 GB. It does not know labels, tokenizers or artifacts.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tamis.errors import first_line
from tamis.extras import require
from tamis.ml.encoder.first_token import first_token_alone, reads_first_token
from tamis.ml.encoder.placement import DATA, MODEL
from tamis.ml.encoder.session import Session

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

OPSETS = (23, 22)
"""In the first, attention is one operator, and quicker; so are rotary embeddings, which fails for several texts."""

NEAR = 1e-3
"""How far a logit may be off torch's, by the size of the largest: orders of summation differ, nothing else."""

SHAPES = ((1, 1), (1, 9), (3, 16), (2, 40))
"""Texts and tokens of the inputs that the file is checked on, beside those that are given."""

EXAMPLE = (2, 11)
"""Texts and tokens of the input that the network is looked at with."""

SMALL = 256
"""Bytes up to which a tensor stays in the graph, since operators look at its values before anything is computed."""

ALIGNMENT = 64
"""Tensors begin at multiples of this many bytes, as processors like it."""


class NotExportable(Exception):
    """The network cannot be written as model.onnx: the message says why; it is served by torch."""


class _LogitsOnly(nn.Module):
    """The network as a function of two arrays."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return cast("torch.Tensor", self.network(input_ids=input_ids, attention_mask=attention_mask).logits.float())


def export(network: nn.Module, folder: Path, rows: Sequence[Sequence[int]], pad_id: int) -> None:
    """Write model.onnx and model.onnx.data to a folder.

    Args:
        network: a classifier of transformers, on the CPU, in float32.
        folder: where to.
        rows: token ids of a few texts that the file is checked on, beside made up ones.
        pad_id: the token that short texts are filled up with.

    Raises:
        NotExportable: the architecture cannot be written, or what was written computes something else.
    """
    training = network.training
    network.eval()
    try:
        with torch.no_grad(), _silence():
            with first_token_alone(network) if reads_first_token(network, pad_id) else contextlib.nullcontext():
                proto = _translated(network)
            write(proto, folder)
            check(network, folder, rows, pad_id)
    except NotExportable:
        raise
    except Exception as error:  # whatever torch's exporter raises of a network that it cannot follow
        raise NotExportable(first_line(error)) from error
    finally:
        network.train(training)


def write(proto: Any, folder: Path) -> None:  # noqa: ANN401  a third party's object
    """Write a graph, with the values of its larger tensors in a file beside it."""
    with (folder / DATA).open("wb") as file:
        for tensor in proto.graph.initializer:
            _put_aside(tensor, file)
    (folder / MODEL).write_bytes(proto.SerializeToString(deterministic=True))


def check(network: nn.Module, folder: Path, rows: Sequence[Sequence[int]], pad_id: int) -> None:
    """Make sure that the file computes what the network does, alone and in batches, at any length.

    Raises:
        NotExportable: it does not.
    """
    session = Session(folder, threads=1)
    for ids, mask in _batches(network, rows, pad_id):
        wanted = network(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).logits.float().numpy()
        found = session.run(ids, mask)
        most = NEAR * max(1.0, float(np.abs(wanted).max(initial=0.0)))
        off = float(np.abs(found - wanted).max(initial=0.0)) if found.shape == wanted.shape else float("inf")
        if not off <= most:  # NaN is not either
            raise NotExportable(f"what was written is off by {off:.2g} for texts of {ids.shape[1]} tokens")


def _translated(network: nn.Module) -> Any:  # noqa: ANN401
    require("onnxscript", "encoder")
    ids = torch.ones(EXAMPLE, dtype=torch.int64)
    dynamic = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    program = torch.onnx.export(
        _LogitsOnly(network),
        (ids, torch.ones_like(ids)),
        dynamo=True,
        verbose=False,
        opset_version=OPSETS[any("Rotary" in type(module).__name__ for module in network.modules())],
        input_names=["input_ids", "attention_mask"],
        output_names=["logits"],
        dynamic_shapes={"input_ids": dynamic, "attention_mask": dynamic},
    )
    if program is None:
        raise NotExportable("torch gives no program")
    return _bare(program.model_proto)


def _bare(proto: Any) -> Any:  # noqa: ANN401
    """The graph without what tells where and by whom it was made, and with names for its free dimensions."""
    proto.producer_version = proto.doc_string = ""
    del proto.metadata_props[:]
    graph = proto.graph
    graph.name = "classifier"
    graph.doc_string = ""
    del graph.metadata_props[:]
    del graph.value_info[:]
    for part in (*graph.node, *graph.initializer, *graph.input, *graph.output):
        part.doc_string = ""
        del part.metadata_props[:]
    for value, names in (*((each, ("batch", "length")) for each in graph.input), (graph.output[0], ("batch",))):
        for dimension, name in zip(value.type.tensor_type.shape.dim, names, strict=False):
            dimension.dim_param = name
    return proto


def _put_aside(tensor: Any, file: io.BufferedWriter) -> None:  # noqa: ANN401
    onnx = require("onnx", "encoder")
    if len(tensor.raw_data) <= SMALL:
        return
    file.write(bytes(-file.tell() % ALIGNMENT))
    onnx.external_data_helper.set_external_data(tensor, DATA, file.tell(), len(tensor.raw_data))
    file.write(tensor.raw_data)
    tensor.ClearField("raw_data")


def _batches(network: nn.Module, rows: Sequence[Sequence[int]], pad_id: int) -> Iterator[tuple[Ints, Ints]]:
    """The given texts together, then each alone, and arbitrary ones of several lengths together."""
    if rows:
        yield _padded(rows, pad_id)
    for row in rows:
        yield _padded([row], pad_id)
    vocabulary = int(cast("Any", network).config.get_text_config().vocab_size)
    random = np.random.default_rng(0)
    for count, length in SHAPES:
        ids = random.integers(0, vocabulary, (count, length))
        lengths = random.integers(1, length + 1, count)
        lengths[0] = length
        yield _padded([row[:end].tolist() for row, end in zip(ids, lengths.tolist(), strict=True)], pad_id)


def _padded(rows: Sequence[Sequence[int]], pad_id: int) -> tuple[Ints, Ints]:
    ids = np.full((len(rows), max(map(len, rows))), pad_id, dtype=np.int64)
    mask = np.zeros_like(ids)
    for place, row in enumerate(rows):
        ids[place, : len(row)], mask[place, : len(row)] = row, 1
    return ids, mask


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep the exporter from telling how it is getting on."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
