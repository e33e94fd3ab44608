"""Models kept loaded: many of them under a memory limit, the least recently used let go of first.

A model is loaded once however many ask for it at the same time. What is let go of goes on answering those who have it.
It does not know what a model is, nor where it comes from.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Figures:
    """What a pool holds, and what it had to do: models, their bytes, loads and evictions so far."""

    models: int
    bytes: int
    loads: int
    evictions: int


class Pool(Generic[M]):
    """Loaded models by id. All methods may be called from any thread."""

    def __init__(self, load: Callable[[str], tuple[M, int]], max_bytes: int) -> None:
        """Take what loads a model, with its size in bytes, and how many bytes to keep; one model is always kept."""
        self._load, self._max_bytes = load, max_bytes
        self._models: OrderedDict[str, tuple[M, int]] = OrderedDict()
        self._lock = threading.Lock()
        self._loading: dict[str, threading.Lock] = {}
        self._unwanted: set[str] = set()
        self._asked: set[str] = set()
        self._loads = self._evictions = 0

    def ready(self, model_id: str) -> M | None:
        """Return the model if it is loaded: quick enough for an event loop."""
        with self._lock:
            found = self._models.get(model_id)
            if found is None:
                return None
            self._models.move_to_end(model_id)
            self._asked.add(model_id)
            return found[0]

    def get(self, model_id: str) -> M:
        """Return the model, loaded first if need be. What loading raises reaches the caller, and is not remembered."""
        found = self.ready(model_id)
        if found is not None:
            return found
        with self._lock:
            loading = self._loading.setdefault(model_id, threading.Lock())
        try:
            with loading:
                found = self.ready(model_id)
                if found is None:
                    with self._lock:
                        self._unwanted.discard(model_id)
                    found, size = self._load(model_id)
                    self._keep(model_id, found, size)
            return found
        finally:
            with self._lock:
                self._loading.pop(model_id, None)

    def known(self) -> tuple[str, ...]:
        """Return the ids of the models that it holds, or is about to."""
        with self._lock:
            return (*self._models, *self._loading.keys() - self._models.keys())

    def asked(self) -> set[str]:
        """Return the ids of the models that were asked for since this was called last."""
        with self._lock:
            asked, self._asked = self._asked, set()
            return asked

    def forget(self, model_id: str) -> None:
        """Let go of a model that is no more; one that is being loaded is not kept."""
        with self._lock:
            self._models.pop(model_id, None)
            if model_id in self._loading:
                self._unwanted.add(model_id)

    def figures(self) -> Figures:
        """Return what it holds."""
        with self._lock:
            held = sum(size for _, size in self._models.values())
            return Figures(len(self._models), held, self._loads, self._evictions)

    def _keep(self, model_id: str, model: M, size: int) -> None:
        with self._lock:
            self._loads += 1
            if model_id in self._unwanted:
                self._unwanted.discard(model_id)
                return
            self._models[model_id] = (model, size)
            self._models.move_to_end(model_id)
            self._asked.add(model_id)
            held = sum(each for _, each in self._models.values())
            while held > self._max_bytes and len(self._models) > 1:
                _, (_, gone) = self._models.popitem(last=False)
                held -= gone
                self._evictions += 1
