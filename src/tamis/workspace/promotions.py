"""Promotions: an alias moves to a model that was measured against the one behind it, if the conditions hold.

Owns the rules: what is compared with nothing on a first promotion, that labels are not lost unnoticed, that an alias
which moved meanwhile is left alone, and what the alias's history keeps. Who measures is up to the caller: the command
line does it in its own process, the server in one aside.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from shutil import rmtree
from typing import Any
from uuid import uuid4

from tamis.data.loading import MOST_BAD_SHARE
from tamis.errors import Conflict, InvalidRequest, Overloaded
from tamis.evaluation.conditions import parse_all
from tamis.evaluation.gate import GateReport
from tamis.jobs.aside import Bounds, Check, run_aside
from tamis.jobs.choosing import choices_of
from tamis.settings import Settings
from tamis.store.opening import Store
from tamis.store.records import ModelRecord
from tamis.workspace.aliases import Aliases
from tamis.workspace.files import Files
from tamis.workspace.models import Models

TOO_MUCH = "The rows take more time or memory to measure than they may: give fewer rows."
LEAST_S = 60.0
"""Seconds that measuring may take, where the setting `request_timeout_s` is less."""

Measure = Callable[[ModelRecord, ModelRecord | None], GateReport]
"""Measures a candidate against the model behind an alias (None: there is none)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A promotion as it is asked for.

    Attributes:
        alias: what is to be moved.
        model: where to; any of its names.
        conditions: what must hold, in the language of `tamis.evaluation.conditions`.
        data: what the rows are called, for the history.
        first: let conditions about the current model hold where there is none.
        allow_label_changes: the candidate may lack labels that the current model has.
        dry_run: measure and judge, but move nothing.
        by: who asks.
    """

    alias: str
    model: str
    conditions: Sequence[str]
    data: str
    first: bool = False
    allow_label_changes: bool = False
    dry_run: bool = False
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: the table (None: the alias pointed there already), whether it passed, whether it moved."""

    alias: str
    candidate: ModelRecord
    former: ModelRecord | None
    report: GateReport | None
    passed: bool
    moved: bool
    why: str


class Promotions:
    """The promotions of a workspace."""

    def __init__(self, store: Store, models: Models, aliases: Aliases, files: Files, settings: Settings) -> None:
        """Take the aliases that are moved, and where models and uploaded rows are."""
        self._store, self._models, self._aliases = store, models, aliases
        self._files, self._settings = files, settings
        self._measuring = threading.BoundedSemaphore(settings.max_dry_runs)

    def promote(self, asked: Asked, measure: Measure) -> Outcome:
        """Measure, judge and, if the conditions hold, move the alias.

        Raises:
            UnknownModel: there is no such model, or it is archived.
            InvalidSetting: a condition cannot be read or judged, or the alias's name is none.
            Conflict: there is no current model, conditions need one, and `first` is not given.
            AliasMoved: the alias was moved while the models were measured.
            DataError: the rows cannot be used.
        """
        conditions = parse_all(asked.conditions)
        candidate = self._models.answering(asked.model)
        standing = self._aliases.standing(asked.alias)
        former = standing.model
        if former is not None and former.id == candidate.id:
            why = f"{asked.alias} points at {name_of(candidate)} already: nothing was measured, and nothing moved."
            return Outcome(asked.alias, candidate, former, None, passed=True, moved=False, why=why)
        needing = next((each.text for each in conditions if each.bound.needs_current), None)
        if former is None and needing is not None and not asked.first:
            raise _nothing_behind(asked.alias, needing)
        report = measure(candidate, former)
        moves = report.passed and not asked.dry_run
        if moves:
            figures = report.model_dump(mode="json") | {"data": asked.data}
            self._aliases.promote(asked.alias, candidate.id, figures, after=standing.number, by=asked.by)
        why = _why(asked, report)
        return Outcome(asked.alias, candidate, former, report, passed=report.passed, moved=moves, why=why)

    def promote_by_file(
        self, asked: Asked, file_id: str, max_bad_share: float = 0.0, check: Check = lambda: None
    ) -> Outcome:
        """Do the same on an uploaded file, measured in a process of its own.

        Raises:
            UnknownFile: there is no such file.
            InvalidRequest: a larger share of bad rows than callers may leave out.
            Overloaded: others are at it.
            LimitExceeded: it takes more time or memory than a request may.
            TamisError: as `promote`.
        """
        if not 0 <= max_bad_share <= MOST_BAD_SHARE:
            message = f"body.max_bad_share: give a share from 0 to {MOST_BAD_SHARE}."
            raise InvalidRequest(message, loc=["body", "max_bad_share"])
        file = self._files.get(file_id)

        def measure(candidate: ModelRecord, current: ModelRecord | None) -> GateReport:
            told = {
                "candidate": candidate.id,
                "candidate_name": name_of(candidate),
                "current": None if current is None else current.id,
                "current_name": None if current is None else name_of(current),
                "file": file_id,
                "conditions": list(asked.conditions),
                "allow_label_changes": asked.allow_label_changes,
                "max_bad_share": max_bad_share,
            }
            return GateReport.model_validate(self._aside(told, check))

        return self.promote(replace(asked, data=file.name), measure)

    def _aside(self, told: Mapping[str, Any], check: Check) -> dict[str, Any]:
        """Have a process of its own measure, unless too many do."""
        if not self._measuring.acquire(blocking=False):
            raise Overloaded(
                "Other promotions are being measured (max_dry_runs): try again in a moment.", retry_after=5
            )
        choices = choices_of(self._settings)
        work = choices.work / f"promote-{uuid4().hex}"
        try:
            bounds = Bounds(max(self._settings.request_timeout_s, LEAST_S), choices.memory_mb, TOO_MUCH)
            return run_aside("promote", {**told, "work": str(work)}, self._settings.home, bounds, check)
        finally:
            self._measuring.release()
            rmtree(work, ignore_errors=True)


def name_of(model: ModelRecord) -> str:
    """Return `shop@3`."""
    return f"{model.name}@{model.version}"


def _nothing_behind(alias: str, condition: str) -> Conflict:
    why = f"{alias} points at no model yet, so that “{condition}” has nothing to compare with"
    return Conflict(
        f"{why}. Give --first to let such conditions pass the first time.",
        for_callers=f'{why}. Send "first": true to let such conditions pass the first time.',
        alias=alias,
    )


def _why(asked: Asked, report: GateReport) -> str:
    """What came of it, in a sentence."""
    if report.passed:
        before = f" (before: {report.current})" if report.current else ""
        if asked.dry_run:
            return f"{asked.alias} would be moved to {report.candidate}{before}: this was a dry run."
        return f"{asked.alias} points at {report.candidate} now{before}."
    stays = f"{asked.alias} stays at {report.current}" if report.current else f"{asked.alias} points at nothing yet"
    failed = sum(not each.holds for each in report.conditions)
    reasons = [f"{failed} of {len(report.conditions)} conditions did not hold"] if failed else []
    if report.lost and not asked.allow_label_changes:
        reasons.append(f"{report.candidate} lacks labels that {report.current} has")
    return f"{stays}: {', and '.join(reasons)}."
