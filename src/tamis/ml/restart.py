"""Restart points: what a training run needs to go on from where it was killed, kept in a folder.

A restart point is an index, `restart.json`, and a safetensors file for each state that it names. States are written
once; the index is written last, in one step, so that the folder holds a whole restart point or the one before it. What
is damaged, or belongs to another run (its fingerprint differs), is not used: the run starts afresh and says so. It does
not know what the states mean. No pickles, no class names.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import cast

from pydantic import JsonValue

from tamis.errors import InvalidSetting, ModelError
from tamis.ml.folder_swap import sync
from tamis.ml.processes import is_first
from tamis.ml.tensors import Tensor, parse_tensors, write_tensors
from tamis.ml.untrusted import damaged, map_file, parse_object

FORMAT = 1
INDEX = "restart.json"
EVERY = 10.0
"""Seconds between two restart points at least."""

SHARE = 0.05
"""Share of the time that writing may take: where it takes long, restart points are farther apart."""

MAX_INDEX = 64 << 20

_STATE = re.compile(r"state-(\d{1,9})\.safetensors")
_HALF = re.compile(r"\.tmp\w{6}|restart\.json\.partial")  # the first is what the safetensors package writes to


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Something to remember: arrays by name, and facts as JSON has them. It is not changed after it was handed over."""

    arrays: Mapping[str, Tensor] = field(default_factory=dict)
    facts: Mapping[str, JsonValue] = field(default_factory=dict)


Running = Callable[[], Mapping[str, State]]
"""Makes the states of what is going on, as they are now. States that did not change are the same objects again."""

_Entry = dict[str, JsonValue]


class RestartPoints:
    """The restart points of one run, in a folder of their own.

        points = RestartPoints("job-7/restart")
        tamis.train("train.jsonl", out="model", restart=points)   # again after a kill: goes on from there

    `resumed` says whether the run goes on from one; `remarks` what there is to say of them; `writes` whether this
    process keeps them: of several that are one run, the first does.
    """

    def __init__(self, folder: str | Path | None, *, every: float = EVERY) -> None:
        """Remember where to keep them (None: nowhere), and how many seconds to wait between two; 0 is for tests."""
        if not every >= 0:
            raise InvalidSetting(f"every = {every}: give seconds, from 0.", setting="every")
        self.folder = None if folder is None else Path(folder)
        self.resumed = False
        self.remarks: list[str] = []
        self.writes = is_first()
        self._every, self._next = every, monotonic() + every
        self._fingerprint, self._number = "", 0
        self._kept: dict[str, State] = {}
        self._found: dict[str, State] = {}
        self._written: dict[str, tuple[State, _Entry]] = {}
        self._changed = False

    @property
    def goes_on(self) -> bool:
        """Whether this run wrote restart points, or went on from them, and the same run would go on from there."""
        return self.folder is not None and bool(self._written) and (self.folder / INDEX).exists()

    def begin(self, fingerprint: str) -> None:
        """Read what is in the folder, if it was left by a run with this fingerprint."""
        self._fingerprint = fingerprint
        self._kept, self._found, self._written, self.resumed = {}, {}, {}, False
        self._next = monotonic() + self._every
        if self.folder is None or not self.folder.exists():
            return
        with self._or_without():
            if (self.folder / INDEX).exists():
                try:
                    self._read(self.folder)
                except (ModelError, KeyError, TypeError, ValueError, AttributeError) as error:
                    self._kept, self._found, self._written = {}, {}, {}
                    cause = str(getattr(error, "context", {}).get("cause", error))
                    self.remarks.append(f"The restart points in {self.folder} were not used: {cause}. Started afresh.")
            self.resumed = bool(self._found)
            numbers = [int(match[1]) for path in self.folder.iterdir() if (match := _STATE.fullmatch(path.name))]
            self._number = max(numbers, default=0)

    def recall(self, name: str) -> State | None:
        """Return a state that an earlier attempt left under this name; its arrays are read-only."""
        return self._found.pop(name, None)

    def keep(self, name: str, state: State) -> None:
        """Remember a state from now on; it is written with the next restart point."""
        if self.folder is not None:
            self._kept[name] = state
            self._changed = True

    def forget(self, prefix: str) -> None:
        """Let go of the states whose names begin so."""
        for name in [name for name in self._kept if name.startswith(prefix)]:
            del self._kept[name]
            self._changed = True

    def offer(self, running: Running | None = None) -> None:
        """Write a restart point if it is time for one: what is kept, and what is going on."""
        if self.folder is None or not self.writes or monotonic() < self._next or not (self._changed or running):
            return
        begin = monotonic()
        with self._or_without():
            self._write(self.folder, {**self._kept, **(running() if running else {})})
        now = monotonic()
        self._next = now + (max(self._every, (now - begin) / SHARE) if self._every else 0)

    def clear(self) -> None:
        """Remove them: the run has ended well."""
        self._kept, self._found, self._written = {}, {}, {}
        if self.folder is not None and self.writes and self.folder.is_dir():
            (self.folder / INDEX).unlink(missing_ok=True)
            self._remove_others(self.folder, set())
            with suppress(OSError):  # what is not ours stays
                self.folder.rmdir()

    def _or_without(self) -> _OrWithout:
        return _OrWithout(self)

    def _read(self, folder: Path) -> None:
        path = folder / INDEX
        sealed = parse_object(map_file(path, limit=MAX_INDEX).tobytes(), path)
        index = sealed["index"]
        if not isinstance(index, dict) or sealed["sha256"] != _seal(index):
            raise damaged(path, f"{INDEX} is damaged")
        if index["format"] != FORMAT or index["fingerprint"] != self._fingerprint:
            raise damaged(path, "they belong to other data, hyperparameters, base model or version")
        entries = cast("dict[str, _Entry]", index["states"])
        for name, entry in entries.items():
            state = State(_arrays(folder, str(entry["file"]), entry), cast("dict[str, JsonValue]", entry["facts"]))
            self._found[name] = state
            self._written[name] = state, entry
            if not entry["running"]:
                self._kept[name] = state

    def _write(self, folder: Path, states: Mapping[str, State]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        entries: dict[str, _Entry] = {}
        for name, state in states.items():
            before = self._written.get(name)
            entry = before[1] if before and before[0] is state else self._entry(folder, state)
            entries[name] = {**entry, "running": name not in self._kept}
        sync(folder)
        index: _Entry = {"format": FORMAT, "fingerprint": self._fingerprint, "states": cast("JsonValue", entries)}
        partial = folder / f"{INDEX}.partial"
        partial.write_text(json.dumps({"sha256": _seal(index), "index": index}, allow_nan=False), encoding="utf-8")
        sync(folder)
        os.replace(partial, folder / INDEX)
        sync(folder)
        self._written = {name: (state, entries[name]) for name, state in states.items()}
        self._changed = False
        self._remove_others(folder, {str(entry["file"]) for entry in entries.values()})

    def _entry(self, folder: Path, state: State) -> _Entry:
        self._number += 1
        path = folder / f"state-{self._number}.safetensors"
        write_tensors(path, state.arrays)
        return {"file": path.name, "sha256": _sha256(path), "facts": dict(state.facts)}

    def _remove_others(self, folder: Path, used: set[str]) -> None:
        for path in folder.iterdir():
            if path.name not in used and (_STATE.fullmatch(path.name) or _HALF.fullmatch(path.name)):
                with suppress(OSError):  # some systems do not remove what is mapped
                    path.unlink()


class _OrWithout:
    """A full disk ends the restart points, not the run."""

    def __init__(self, points: RestartPoints) -> None:
        self._points = points

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, OSError | ValueError):  # JSON has no NaN: a run that diverged is not gone on with
            return False
        reason = getattr(error, "strerror", None) or str(error)
        self._points.remarks.append(f"No restart points could be kept in {self._points.folder}: {reason}.")
        self._points.folder = None
        return True


def _arrays(folder: Path, file: str, entry: _Entry) -> dict[str, Tensor]:
    path = folder / file
    if not _STATE.fullmatch(file):
        raise damaged(path, "the index names a file that is not one of theirs")
    raw = map_file(path)
    if hashlib.sha256(raw.data).hexdigest() != entry["sha256"]:
        raise damaged(path, f"{file} is damaged")
    return parse_tensors(raw, path)


def _seal(index: _Entry) -> str:
    return hashlib.sha256(json.dumps(index, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Stage:
    """One part of a run: its states among the restart points, and what is checked while it goes on."""

    def __init__(self, name: str, points: RestartPoints, check: Callable[[], None]) -> None:
        """Name it; states are called `NAME/PART`."""
        self._name, self._points, self.check = name, points, check

    def recall(self, part: str) -> State | None:
        """Return what an earlier attempt left of a part."""
        return self._points.recall(f"{self._name}/{part}")

    def keep(self, part: str, state: State) -> None:
        """Remember a part that is done."""
        self._points.keep(f"{self._name}/{part}", state)

    def forget(self) -> None:
        """Let go of all parts."""
        self._points.forget(f"{self._name}/")

    def pulse(self, running: Running | None = None) -> None:
        """Check whether to go on, and write a restart point if it is time; `running` gives states by part."""
        self.check()
        if running is None:
            self._points.offer()
        else:
            made = running
            self._points.offer(lambda: {f"{self._name}/{part}": state for part, state in made().items()})
