"""What runs where: a small question is answered on the event loop, a large one in a thread, too many of these later.

A thread costs more than a short text takes; a thousand texts would hold up everyone else. A slow model is never asked
on the event loop: what is asked of it while it computes is gathered, and computed together. The only asynchronous
module outside `web`. It does not know models: they are asked for by name, and answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, Protocol, TypeVar
from weakref import WeakKeyDictionary

import anyio
import anyio.to_thread
import numpy as np
from numpy.typing import NDArray

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

ROUND = 4_000
"""Characters that a slow model is given at a time: enough for it to be quick, and few enough not to wait for long."""

LONGEST = 2_000
"""Characters that an input counts as at most, since a slow model reads no more of it."""

EACH = 20
"""Characters that it counts beside its own."""

LONG_WAITING = 16
"""Requests that take long and wait for the one that is at work."""

APART, APART_WAITING = 4, 32
"""Threads for what no loaded model is needed for, and how much may wait for one."""

MOST_GATHERED = 1_024
"""Requests that wait for a slow model."""

T = TypeVar("T")
S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True)

Scores = Mapping[str, NDArray[np.float32]]
"""(inputs, labels) by target."""


class Slow(Protocol[S_co]):
    """A model whose scores take long."""

    def scores(self, inputs: Sequence[Input]) -> Scores:
        """Compute them."""

    def knowing(self, scores: Scores) -> S_co:
        """Return the same model with the scores that it will be asked for next."""


class Models(Protocol[S]):
    """Loaded models, and what they say."""

    def ready(self, reference: str) -> S | None:
        """Return a model that is loaded, at once, or None."""

    def served(self, reference: str) -> S:
        """Return a model, found and loaded first if need be."""

    def labels(self, served: S) -> int:
        """Return how many scores an input gets from it."""

    def slow(self, served: S) -> Slow[S] | None:
        """Return the model if its scores take long, else None."""


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
        self._gatherings: WeakKeyDictionary[Slow[S], Gathering] = WeakKeyDictionary()
        self._long = Dispatcher(1, LONG_WAITING)
        self._apart = Dispatcher(APART, APART_WAITING)
        self._reading = Dispatcher(1)

    async def ask(self, reference: str, inputs: Sequence[Input], work: Callable[[S], T]) -> T:
        """Return what `work` makes of the model and the inputs: it runs where that holds up nobody.

        Raises:
            UnknownModel: there is no model of this name.
            Overloaded: too much is going on.
        """
        served = self._models.ready(reference)
        if served is None:
            served = await self._dispatcher.aside(partial(self._models.served, reference))
        slow = self._models.slow(served)
        if slow is not None and inputs:
            if (gathering := self._gatherings.get(slow)) is None:
                gathering = self._gatherings[slow] = Gathering(self._dispatcher)
            served = slow.knowing(await gathering.scores(inputs, slow.scores))
        if cost_of(inputs, self._models.labels(served)) <= SMALL:
            return work(served)
        return await self._dispatcher.aside(partial(work, served))

    async def ask_long(self, reference: str, work: Callable[[S], T]) -> T:
        """Return what `work` makes of the model, where it takes long: one at a time, so that no other request waits.

        Raises:
            UnknownModel: there is no model of this name.
            Overloaded: too much of the kind is going on.
        """
        served = self._models.ready(reference)
        if served is None:
            served = await self._dispatcher.aside(partial(self._models.served, reference))
        return await self._long.aside(partial(work, served))

    async def read(self, work: Callable[[], T]) -> T:
        """Read a large question in a thread: one at a time, since each takes memory, and the interpreter.

        Raises:
            Overloaded: too much is going on.
        """
        return await self._reading.aside(work)

    async def aside(self, work: Callable[[], T]) -> T:
        """Do what no loaded model is needed for, in a thread, where no classification waits for it.

        Raises:
            Overloaded: too much is going on.
        """
        return await self._apart.aside(work)


@dataclass(slots=True, eq=False)
class _Request:
    """Inputs that wait; `turn` is set when they are done, or when it is on whoever asked to see to the next round."""

    inputs: Sequence[Input]
    taken: int = 0
    found: list[Scores] = field(default_factory=list)
    error: Exception | None = None
    turn: anyio.Event = field(default_factory=anyio.Event)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to compute."""
        return self.error is not None or self.taken == len(self.inputs)

    def scores(self) -> Scores:
        """What was found, all rounds together."""
        if self.error is not None:
            raise self.error
        first = self.found[0]
        if len(self.found) == 1:
            return first
        return {name: np.concatenate([part[name] for part in self.found]) for name in first}


class Gathering:
    """The requests to one slow model.

    One caller at a time sees to a round: some inputs of everyone who waits, in turn, so that a text need not wait for
    the thousand of somebody else. Callers who leave are skipped.
    """

    def __init__(self, dispatcher: Dispatcher) -> None:
        """Take who runs the rounds."""
        self._dispatcher = dispatcher
        self._waiting: dict[_Request, None] = {}
        self._at_work = False

    async def scores(self, inputs: Sequence[Input], compute: Callable[[Sequence[Input]], Scores]) -> Scores:
        """Return the scores of at least one input.

        Raises:
            Overloaded: too many wait already.
        """
        if len(self._waiting) >= MOST_GATHERED:
            raise Overloaded("The server has as much to classify as it can: try again in a moment.", retry_after=1)
        mine = _Request(inputs)
        self._waiting[mine] = None
        try:
            while not mine.is_done:
                if self._at_work:
                    await mine.turn.wait()
                    mine.turn = anyio.Event()
                else:
                    await self._round(compute)
            return mine.scores()
        finally:
            self._waiting.pop(mine, None)
            if not self._at_work and self._waiting:
                next(iter(self._waiting)).turn.set()

    async def _round(self, compute: Callable[[Sequence[Input]], Scores]) -> None:
        self._at_work = True
        counts = self._next()
        inputs = [given for one, count in counts.items() for given in one.inputs[one.taken : one.taken + count]]
        try:
            found = await self._dispatcher.aside(partial(compute, inputs))
            start = 0
            for one, count in counts.items():
                one.found.append({name: rows[start : start + count] for name, rows in found.items()})
                one.taken += count
                start += count
        except Exception as error:  # noqa: BLE001  whatever a model raises is for all who asked it
            for one in counts:
                one.error = error
        finally:
            self._at_work = False
            for one in counts:
                if one.is_done:
                    self._waiting.pop(one, None)
                    one.turn.set()

    def _next(self) -> dict[_Request, int]:
        """How many inputs of each request the next round has: one of each in turn, until it is full."""
        counts = dict.fromkeys(self._waiting, 0)
        room = ROUND
        while room > 0 and (left := [one for one, count in counts.items() if one.taken + count < len(one.inputs)]):
            for one in left:
                given = one.inputs[one.taken + counts[one]]
                room -= EACH + min(cost_of([given]) - OVERHEAD, LONGEST)
                counts[one] += 1
                if room <= 0:
                    break
        return {one: count for one, count in counts.items() if count}


def cost_of(inputs: Sequence[Input], n_labels: int = 0) -> int:
    """Return about how many characters of work the inputs are for a model of so many labels."""
    texts = (text for given in inputs for text in ([given] if isinstance(given, str) else _contents(given)))
    characters = sum(len(text) if text.isascii() else UNUSUAL * len(text) for text in texts)
    return characters + (OVERHEAD + n_labels // LABELS_A_CHARACTER) * len(inputs)


def _contents(chat: Sequence[Message]) -> list[str]:
    return [message.content for message in chat]
