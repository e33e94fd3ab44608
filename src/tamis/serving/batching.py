"""What runs where: a small question is answered on the event loop, a large one in a thread, too many of these later.

A thread costs more than a short text takes; a thousand texts would hold up everyone else. The only asynchronous module
outside `web`. It does not know models: they are asked for by name, and answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Generic, Protocol, TypeVar

import anyio
import anyio.to_thread

from tamis.errors import Overloaded
from tamis.schema import Input, Message

SMALL = 4_000
"""Characters up to which a question is answered on the event loop: about a millisecond of work."""

OVERHEAD = 100
"""Characters that an input costs beside its own."""

UNUSUAL = 8
"""How much more a text costs that is not all ASCII: its characters may fold into many, and its words are rarer."""

LABELS_A_CHARACTER = 20
"""So many scores of an input cost as much as a character."""

T = TypeVar("T")
S = TypeVar("S")


class Models(Protocol[S]):
    """Loaded models, and what they say."""

    def ready(self, reference: str) -> S | None:
        """Return a model that is loaded, at once, or None."""

    def served(self, reference: str) -> S:
        """Return a model, found and loaded first if need be."""

    def labels(self, served: S) -> int:
        """Return how many scores an input gets from it."""


class Dispatcher:
    """Runs work in threads, a few at a time, and refuses what would wait for too long."""

    def __init__(self, threads: int = 2, waiting: int = 64) -> None:
        """Take the number of threads, and how much work may wait for one."""
        self._threads, self._most = threads, threads + waiting
        self._limiter: anyio.CapacityLimiter | None = None
        self._at_work = 0

    async def aside(self, work: Callable[[], T]) -> T:
        """Do the work in a thread.

        Raises:
            Overloaded: too much waits already.
        """
        if self._at_work >= self._most:
            raise Overloaded("The server has as much to classify as it can: try again in a moment.", retry_after=1)
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(self._threads)
        self._at_work += 1
        try:
            return await anyio.to_thread.run_sync(work, limiter=self._limiter)
        finally:
            self._at_work -= 1

    @property
    def at_work(self) -> int:
        """How much is in threads, or waits for one."""
        return self._at_work


class Answerer(Generic[S]):
    """Answers requests, each where it holds up nobody."""

    def __init__(self, models: Models[S], dispatcher: Dispatcher | None = None) -> None:
        """Ask these models."""
        self._models = models
        self._dispatcher = dispatcher or Dispatcher()

    async def ask(self, reference: str, inputs: Sequence[Input], work: Callable[[S], T]) -> T:
        """Return what `work` makes of the model and the inputs: it runs where that holds up nobody.

        Raises:
            UnknownModel: there is no model of this name.
            Overloaded: too much is going on.
        """
        served = self._models.ready(reference)
        if served is None:
            served = await self._dispatcher.aside(partial(self._models.served, reference))
        if cost_of(inputs, self._models.labels(served)) <= SMALL:
            return work(served)
        return await self._dispatcher.aside(partial(work, served))

    async def aside(self, work: Callable[[], T]) -> T:
        """Do what no loaded model is needed for, in a thread.

        Raises:
            Overloaded: too much is going on.
        """
        return await self._dispatcher.aside(work)


def cost_of(inputs: Sequence[Input], n_labels: int = 0) -> int:
    """Return about how many characters of work the inputs are for a model of so many labels."""
    texts = (text for given in inputs for text in ([given] if isinstance(given, str) else _contents(given)))
    characters = sum(len(text) if text.isascii() else UNUSUAL * len(text) for text in texts)
    return characters + (OVERHEAD + n_labels // LABELS_A_CHARACTER) * len(inputs)


def _contents(chat: Sequence[Message]) -> list[str]:
    return [message.content for message in chat]
