"""model.onnx, opened and run: ids and mask in, logits out. Neither torch nor transformers is needed.

The file is looked at before it is opened, and opened when it is first run. It does not know texts, labels or batches.
"""

from __future__ import annotations

import os
import threading
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from tamis.errors import DamagedArtifact, first_line
from tamis.extras import require
from tamis.ml.encoder.memory import bound_memory
from tamis.ml.encoder.onnx_check import MAX_GRAPH, refuse_hostile
from tamis.ml.encoder.placement import DATA, MODEL
from tamis.ml.untrusted import damaged, map_file

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

_CPU = Path("/proc/cpuinfo")
_EXACT = {"avx512_vnni", "avx_vnni"}
"""What Linux calls that ability; where it does not say, or says neither, the slower way is taken."""

_LEFT_OUT = ["ConstantFolding"]
"""What ONNX Runtime shall not do on opening: it computes whatever follows from shapes that are known, of any size,
with memory that is in no pool. What Tamis writes has nothing of that kind."""

_INPUTS = [("input_ids", "tensor(int64)", 2), ("attention_mask", "tensor(int64)", 2)]
_OUTPUTS = [("logits", "tensor(float)", 2)]


class Session:
    """A graph and its weights. It may be run by several threads at the same time."""

    def __init__(self, folder: Path, threads: int = 0) -> None:
        """Look at the files; `threads` compute one batch, 0: as many as `use_threads` says.

        Raises:
            DamagedArtifact: the graph is not one that may be run.
        """
        self._path, self._threads = folder / MODEL, threads
        self._opened: Any = None
        self._lock = threading.Lock()
        graph = map_file(self._path, limit=MAX_GRAPH, follow_links=True).tobytes()
        try:
            refuse_hostile(graph, len(map_file(folder / DATA, follow_links=True)))
        except ValueError as error:
            raise damaged(self._path, str(error)) from error

    @property
    def threads(self) -> int:
        """Threads that compute: of one batch, and as many batches at the same time."""
        return self._threads or _chosen.threads or cores()

    def run(self, ids: Ints, mask: Ints) -> Floats:
        """Return (texts, labels) logits of (texts, tokens) ids and mask.

        Raises:
            DamagedArtifact: the graph cannot be opened or run, or gives something else.
        """
        opened = self._open()
        try:
            (logits,) = opened.run(["logits"], {"input_ids": ids, "attention_mask": mask})
        except Exception as error:  # of the library's own types, which share no parent
            raise self._refused(error) from error
        if logits.ndim != 2 or len(logits) != len(ids):
            raise damaged(self._path, f"it gives logits of the shape {logits.shape} for {len(ids)} texts")
        return cast("Floats", logits)

    def _open(self) -> Any:  # noqa: ANN401  a third party's object
        if self._opened is None:
            with self._lock:
                if self._opened is None:
                    self._opened = self._new()
        return self._opened

    def _new(self) -> Any:  # noqa: ANN401
        onnxruntime = require("onnxruntime", "onnx")
        options = session_options(self.threads)
        bound_memory(options)
        try:
            opened = onnxruntime.InferenceSession(
                os.fspath(self._path), options, providers=["CPUExecutionProvider"], disabled_optimizers=_LEFT_OUT
            )
        except Exception as error:
            raise self._refused(error) from error
        for found, wanted in ((opened.get_inputs(), _INPUTS), (opened.get_outputs(), _OUTPUTS)):
            if [(each.name, each.type, len(each.shape)) for each in found] != wanted:
                raise damaged(self._path, f"its inputs and outputs are not {wanted}")
        return opened

    def _refused(self, error: Exception) -> DamagedArtifact:
        return damaged(self._path, f"ONNX Runtime cannot run it ({first_line(error)})")


class _Chosen:
    threads = 0


_chosen = _Chosen()


def use_threads(count: int) -> None:
    """Let so many threads of this process compute one batch from now on; 0: as many as there are cores."""
    _chosen.threads = count


def session_options(threads: int) -> Any:  # noqa: ANN401  a third party's object
    """Return how ONNX Runtime is to run a graph, `threads` to a batch."""
    options = require("onnxruntime", "onnx").SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.enable_mem_pattern = False  # remembered for each shape there ever was: it would grow without end
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others may need the cores
    options.add_session_config_entry("session.x64quantprecision", "0" if adds_bytes_exactly() else "1")
    return options


@cache
def adds_bytes_exactly() -> bool:
    """Return whether the processor sums products of bytes in 32 bits: the quick way of others overflows at 16."""
    try:
        flags = next(line for line in _CPU.read_text().splitlines() if line.startswith("flags"))
    except (OSError, StopIteration, UnicodeDecodeError):
        return False
    return not _EXACT.isdisjoint(flags.split())


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
