"""The seam: what a tracker is told of a training run. It knows no jobs, no database and no tracker's library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


class Outcome(StrEnum):
    """How a run ended."""

    FINISHED = "finished"
    FAILED = "failed"
    KILLED = "killed"  # the user cancelled it
    HANDED_BACK = "handed back"  # another process goes on with the same run


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedRun:
    """A run as a tracker has to know it.

    Attributes:
        tracker: its name in `tamis.ml.trackers.builtin.TRACKERS`.
        id: of the run: who begins one of the same id again goes on with it. The job's id.
        project: what the tracker files the run under.
        title: the name that people see.
        address: of the tracker's server; empty: the library's default.
        mode: "online", "offline", "disabled", or empty: online where that is possible.
        folder: where the tracker may write on this machine; it is its own.
        key: for the tracker's server.
        config: the run's settings, as JSON has them.
    """

    tracker: str
    id: str
    project: str
    title: str
    folder: str
    address: str = ""
    mode: str = ""
    key: str = field(default="", repr=False)
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Started:
    """A run that was begun: where people find it, and what they should know of how it is kept."""

    url: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A confusion matrix as a table: its columns are `columns`, and no cell is a text that was classified.

    Attributes:
        target: what was asked.
        columns: `actual`, `given` and `rows` for a single-label target; else `label` and counts of rows.
        rows: the cells that are not zero; those with the most rows, where there are very many.
        labels: of the target.
        square: whether it is a matrix of labels by labels.
    """

    target: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | int, ...], ...]
    labels: tuple[str, ...]
    square: bool


@dataclass(frozen=True, slots=True)
class Results:
    """What is known of a run only at its end: figures of held-out rows, tables, and facts on the model."""

    figures: Mapping[str, float] = field(default_factory=dict)
    tables: tuple[Table, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


class Tracker(Protocol):
    """Reports one run. Each method may take its time and may fail: it is called where neither matters."""

    def start(self) -> Started:
        """Begin the run, or go on with one of the same id.

        Raises:
            TamisError: it cannot be; the message says why, and what to do.
        """

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Report the figures of a step. Steps grow; one that was reported already may come again."""

    def report(self, results: Results) -> None:
        """Report what is known at the end."""

    def end(self, outcome: Outcome) -> str:
        """End the run, and send what was not sent yet; return what people should know of that, if anything."""
