"""Tensors on disk: safetensors files, read as views of a memory map and written with the same bytes every time.

The numpy loader of the safetensors package copies; these views share pages between processes. It does not know what
the tensors are for.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from tamis.errors import UnsupportedArtifact
from tamis.ml.untrusted import Bytes, damaged, map_file, parse_object

DTYPES = {
    "BOOL": np.dtype(np.bool_),
    "U8": np.dtype("u1"),
    "I8": np.dtype("i1"),
    "U16": np.dtype("<u2"),
    "I16": np.dtype("<i2"),
    "F16": np.dtype("<f2"),
    "U32": np.dtype("<u4"),
    "I32": np.dtype("<i4"),
    "F32": np.dtype("<f4"),
    "U64": np.dtype("<u8"),
    "I64": np.dtype("<i8"),
    "F64": np.dtype("<f8"),
}
MAX_HEADER = 8 << 20
MAX_RANK = 8
MAX_ELEMENTS = 1 << 56
_SYSTEM_ERROR = re.compile(r"\(os error (\d+)\)")  # in what the package says of a full disk

Tensor = NDArray[Any]


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a safetensors file without metadata (whose order is random): the same tensors give the same bytes.

    Raises:
        TypeError: a tensor has a dtype that `read_tensors` does not read.
        OSError: the disk is full, or the place may not be written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    _require_dtypes(tensors)
    path.touch()
    mode = path.stat().st_mode  # the package makes files that nobody else may read, whatever the umask says
    try:
        save_file({name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)}, path)
    except SafetensorError as error:
        code = _SYSTEM_ERROR.search(str(error))
        raise (OSError(int(code[1]), os.strerror(int(code[1])), str(path)) if code else OSError(str(error))) from error
    path.chmod(mode)


def tensor_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Return the bytes of a small safetensors file without metadata: the same tensors give the same bytes.

    Raises:
        TypeError: a tensor has a dtype that `read_tensors` does not read.
    """
    from safetensors.numpy import save

    _require_dtypes(tensors)
    return save({name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)})


def _require_dtypes(tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if tensor.dtype not in DTYPES.values():
            raise TypeError(f"Tensor {name!r} is of {tensor.dtype}: only {', '.join(DTYPES)} can be stored.")


def read_tensors(path: Path, *, follow_links: bool = False) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file as read-only views of its memory map.

    Raises:
        DamagedArtifact: the file is not there, or breaks the format anywhere.
        UnsupportedArtifact: a tensor has a dtype that numpy does not have.
    """
    return parse_tensors(map_file(path, follow_links=follow_links), path)


def parse_tensors(raw: Bytes, path: Path) -> dict[str, Tensor]:
    """Return the tensors in the bytes of a safetensors file, `raw` (size,) uint8, as views of it.

    The format: 8 bytes with the length of the header (little-endian), the header (JSON: dtype, shape and data_offsets
    of each tensor), then the tensors' bytes, without holes. See https://github.com/huggingface/safetensors#format.

    Raises:
        DamagedArtifact: any of that does not hold.
        UnsupportedArtifact: a tensor has a dtype that numpy does not have.
    """
    start = _data_start(raw, path)
    header = parse_object(raw[8:start].tobytes(), path)
    _check_metadata(header.pop("__metadata__", {}), path)
    entries = {name: _Entry(name, entry, path) for name, entry in header.items()}
    position = 0
    for entry in sorted(entries.values(), key=lambda entry: (entry.begin, entry.end)):
        if entry.begin != position:
            raise damaged(path, f"there is a hole or an overlap before tensor {entry.name!r}")
        position = entry.end
    if position != len(raw) - start:
        raise damaged(path, f"its tensors take {position:,} bytes, and {len(raw) - start:,} are there")
    return {name: entry.view(raw[start:]) for name, entry in entries.items()}


def _data_start(raw: Bytes, path: Path) -> int:
    if len(raw) < 8:
        raise damaged(path, f"it has {len(raw)} bytes, too few for a safetensors file")
    length = int.from_bytes(raw[:8].tobytes(), "little")
    if length > min(len(raw) - 8, MAX_HEADER):
        raise damaged(path, "its header is longer than the file, or than allowed")
    return 8 + length


def _check_metadata(metadata: JsonValue, path: Path) -> None:
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise damaged(path, "its metadata are not texts by name")


class _Entry:
    """One tensor of the header, checked."""

    def __init__(self, name: str, entry: JsonValue, path: Path) -> None:
        if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
            raise damaged(path, f"the entry of tensor {name!r} does not have dtype, shape and data_offsets")
        self.name = name
        self.dtype = _dtype(name, entry["dtype"], path)
        self.shape = _naturals(entry["shape"])
        offsets = _naturals(entry["data_offsets"])
        if self.shape is None or len(self.shape) > MAX_RANK or offsets is None or len(offsets) != 2:
            raise damaged(path, f"the shape or the data_offsets of tensor {name!r} make no sense")
        self.begin, self.end = offsets
        if math.prod(max(size, 1) for size in self.shape) > MAX_ELEMENTS:  # numpy counts so where a size is 0, too
            raise damaged(path, f"the shape of tensor {name!r} is beyond what numpy can have")
        if self.end - self.begin != math.prod(self.shape) * self.dtype.itemsize:
            raise damaged(path, f"the shape of tensor {name!r} does not fit its data_offsets")

    def view(self, data: Bytes) -> Tensor:
        return data[self.begin : self.end].view(self.dtype).reshape(self.shape)


def _dtype(name: str, code: JsonValue, path: Path) -> np.dtype[Any]:
    if isinstance(code, str) and code in DTYPES:
        return DTYPES[code]
    raise UnsupportedArtifact(
        f"{path}: tensor {name!r} is of type {str(code)[:20]!r}, and Tamis reads only {', '.join(DTYPES)}. "
        "Convert it, for example to F32.",
        path=str(path),
        tensor=name,
    )


def _naturals(value: JsonValue) -> tuple[int, ...] | None:
    if not isinstance(value, list):
        return None
    numbers = tuple(item for item in value if isinstance(item, int) and not isinstance(item, bool) and item >= 0)
    return numbers if len(numbers) == len(value) else None
