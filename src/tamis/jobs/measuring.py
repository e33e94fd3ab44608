"""A dry run: a job's files are read in a process of their own, which takes no more than it may and outlives nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tamis.jobs.aside import Bounds, Check, answered, run_aside
from tamis.jobs.tools import Tools
from tamis.jobs.validation import Measured, measure
from tamis.store.records import JobRecord
from tamis.store.rows import record_of

TOO_MUCH = (
    "Its files take more time or memory to read than a dry run may: create the job, without auto_start, and read its "
    "metadata once it is VALIDATED."
)


def measure_aside(job: JobRecord, home: Path, bounds: Bounds, check: Check) -> Measured:
    """Return what a job would come to. Blocks until that is known, and leaves no process behind.

    Raises:
        LimitExceeded: it takes more time or memory than it may.
        TamisError: the job cannot be trained; the message says why. Or what `check` raised.
    """
    told = run_aside("measure", asdict(job), home, replace(bounds, too_much=TOO_MUCH), check)
    return Measured(tuple(told["targets"]), told["metadata"], told["hyperparameters"])


def answer(tools: Tools, told: Mapping[str, Any]) -> bytes:
    """Return what the process says: what the job comes to, or why it cannot be trained."""

    def work() -> dict[str, Any]:
        return asdict(measure(tools.store, tools.choices, record_of(JobRecord, told), lambda: False))

    return answered(work, tools.choices.home)
