"""The most memory that model.onnx files may take in this process: one that asks for more ends with an error.

A graph of plain operators can still make tensors of any size, by doubling one thirty times. What is computed is taken
from one pool for all graphs, which is bounded. It does not know graphs.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from tamis.extras import require

SHARE = 0.75
"""Of the memory of the machine, or of what this process may have of it."""

LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Where Linux says how much a container may have."""


def bound_memory(options: Any) -> None:  # noqa: ANN401  a third party's object
    """Let a session take its memory from the pool."""
    if _has_pool():
        options.add_session_config_entry("session.use_env_allocators", "1")


def most_memory() -> int:
    """Return the bytes that the pool may have."""
    import psutil

    limits = [psutil.virtual_memory().total]
    for place in LIMITS:
        try:
            limits.append(int(place.read_text()))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return int(SHARE * min(limits))


@cache
def _has_pool() -> bool:
    """Make the pool, once; False where another library of this process has made one, which is not ours to bound."""
    runtime = require("onnxruntime", "onnx")
    place = runtime.OrtMemoryInfo("Cpu", runtime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, runtime.OrtMemType.DEFAULT)
    usual = ("arena_extend_strategy", "initial_chunk_size_bytes", "max_dead_bytes_per_chunk")
    how = runtime.OrtArenaCfg({"max_mem": most_memory(), **dict.fromkeys(usual, -1)})
    try:
        runtime.create_and_register_allocator(place, how)
    except Exception:  # noqa: BLE001  of the library's own types, which share no parent
        return False
    return True
