"""The graph of a network with the weights of another of the same architecture: in no time, where writing takes seconds.

It does not know what the networks are for.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamis.extras import require
from tamis.ml.encoder.onnx_file import write
from tamis.ml.encoder.placement import MODEL

Array = NDArray[Any]
Key = tuple[tuple[int, ...], bytes]


def reweighted(source: Path, folder: Path, old: Mapping[str, Array], new: Mapping[str, Array]) -> bool:
    """Write the graph in `source` to `folder`, with other weights, and return whether that could be done.

    Weights are known by their numbers, as they are or turned. It cannot be done where one that is to change is not
    there, or is not to be told from another.

    Args:
        source: has the graph of a network.
        folder: where to.
        old: all weights of that network, by name.
        new: those that are to be others.
    """
    onnx = require("onnx", "encoder")
    changed = {name for name, array in new.items() if not np.array_equal(old[name], array)}
    names: dict[Key, list[tuple[str, bool]]] = {}
    for name, array in old.items():
        names.setdefault(_key(array), []).append((name, False))
        if array.ndim == 2:
            names.setdefault(_key(array.T), []).append((name, True))
    proto, found = onnx.load(source / MODEL), set[str]()
    for tensor in proto.graph.initializer:
        known = names.get(_key(onnx.numpy_helper.to_array(tensor)), [])
        if not any(name in changed for name, _ in known):
            continue
        if len(known) > 1:
            return False
        for name, turned in known:
            array = new[name].T if turned else new[name]
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(array), tensor.name))
            found.add(name)
    if found != changed:
        return False
    write(proto, folder)
    return True


def _key(array: Array) -> Key:
    return array.shape, blake2b(np.ascontiguousarray(array).tobytes(), digest_size=16).digest()
