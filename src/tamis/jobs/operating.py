"""Operations, in a process of their own: an act works on what it is told and leaves one result, which is stored here.

It does not know who asked, nor what becomes of the result; `workspace.operations` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from time import monotonic
from typing import Any

from tamis.errors import InvalidRequest, UnknownOperation
from tamis.jobs.aside import answered
from tamis.jobs.tools import Tools, require_disk
from tamis.store.records import OperationRecord

TELL_S = 0.5
"""Seconds between two words about progress, at least."""

PIECE = 1 << 20

Tell = Callable[[float, str], None]
"""Takes the share of 1 that is done, and what is done now."""

ACTS: dict[str, str] = {
    "classify": "tamis.jobs.labelling:classify",
    "prepare": "tamis.jobs.preparing:prepare",
    "evaluate": "tamis.jobs.evaluating:evaluate",
    "export": "tamis.jobs.exporting:write_export",
    "compare": "tamis.jobs.comparing:act",
    "queue": "tamis.jobs.queueing:fill",
    "relabel": "tamis.jobs.relabelling:relabel",
    "gain": "tamis.jobs.relabelling:gain",
    "promote": "tamis.jobs.promoting:measure",
}
"""By kind: the module and the function that does it."""


@dataclass(frozen=True, slots=True)
class Acting:
    """What an act works with.

    Attributes:
        tools: the store and the operator's choices.
        record: the operation as it was asked for.
        work: a folder of its own, which is removed afterwards.
        tell: is told how far it is, as often as the act likes.
    """

    tools: Tools
    record: OperationRecord
    work: Path
    tell: Tell

    @property
    def told(self) -> Mapping[str, Any]:
        """What to work on."""
        return self.record.told


@dataclass(frozen=True, slots=True)
class Done:
    """What an act leaves.

    Attributes:
        content: the result, or the file that holds it.
        name: what a download of it is called.
        media_type: what it is.
        summary: a few figures for lists and pages, in JSON.
    """

    content: bytes | Path
    name: str = "result.json"
    media_type: str = "application/json"
    summary: Mapping[str, Any] = field(default_factory=dict)


Act = Callable[[Acting], Done]


def answer(tools: Tools, told: Mapping[str, Any]) -> bytes:
    """Return what the process says: where the result is, or why there is none."""

    def work() -> dict[str, Any]:
        record = tools.store.operations.find(str(told["id"]))
        if record is None:
            raise UnknownOperation("The operation was deleted.")
        work = tools.choices.work / record.id
        work.mkdir(parents=True, exist_ok=True)
        done = act_of(record.kind)(Acting(tools, record, work, _teller(tools, record.id)))
        return _kept(tools, record, done)

    return answered(work, tools.choices.home)


def act_of(kind: str) -> Act:
    """Return what does operations of a kind.

    Raises:
        InvalidRequest: there is no such kind.
    """
    place = ACTS.get(kind)
    if place is None:
        raise InvalidRequest(f"There are no operations of the kind {kind[:80]!r}: there are {', '.join(sorted(ACTS))}.")
    module, _, name = place.partition(":")
    act: Act = getattr(import_module(module), name)
    return act


def _teller(tools: Tools, operation_id: str) -> Tell:
    next_told = 0.0

    def tell(share: float, stage: str) -> None:
        nonlocal next_told
        if monotonic() >= next_told:
            next_told = monotonic() + TELL_S
            require_disk(tools.choices)  # a small file may be packed rows without end
            tools.store.operations.change(operation_id, progress=round(min(max(share, 0.0), 1.0), 3), stage=stage)

    return tell


def _kept(tools: Tools, record: OperationRecord, done: Done) -> dict[str, Any]:
    """Store the result; return the columns that tell of it."""
    key = f"operations/{record.id}/result"
    require_disk(tools.choices, len(done.content) if isinstance(done.content, bytes) else done.content.stat().st_size)
    with tools.store.objects.writer(key) as writer:
        if isinstance(done.content, bytes):
            writer.write(done.content)
        else:
            with done.content.open("rb") as stream:
                for piece in iter(partial(stream.read, PIECE), b""):
                    writer.write(piece)
        written = writer.commit()
    return {
        "result_key": key,
        "bytes": written.bytes,
        "result_name": done.name,
        "media_type": done.media_type,
        "summary": dict(done.summary),
    }
