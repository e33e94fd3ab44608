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
from tamis.evaluation.comparison_verdict import WORDS
from tamis.evaluation.conditions import parse_all
from tamis.evaluation.gate import GateReport
from tamis.jobs.aside import Bounds, Check, run_aside
from tamis.jobs.choosing import choices_of
from tamis.settings import Settings
from tamis.store.records import ModelRecord, OperationRecord
from tamis.workspace.aliases import Aliases
from tamis.workspace.files import Files
from tamis.workspace.models import Models
from tamis.workspace.operations import NewOperation, Operations

KIND = "promote"
"""Of the operations that measure in the background."""

FIGURE_WORDS: Mapping[str, str] = WORDS
"""What figures of conditions are called."""

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
        allow_unmeasured: conditions may hold though the rows say nothing of one of the candidate's targets.
        dry_run: measure and judge, but move nothing.
        by: who asks.
    """

    alias: str
    model: str
    conditions: Sequence[str]
    data: str
    first: bool = False
    allow_label_changes: bool = False
    allow_unmeasured: bool = False
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


@dataclass(frozen=True, slots=True)
class _Rivals:
    """What is measured: the candidate, and the model behind the alias, as it stood after so many moves."""

    candidate: ModelRecord
    former: ModelRecord | None
    number: int


class Promotions:
    """The promotions of a workspace."""

    def __init__(
        self, aliases: Aliases, models: Models, files: Files, operations: Operations, settings: Settings
    ) -> None:
        """Take the aliases that are moved, and where models and uploaded rows are."""
        self._aliases, self._models, self._files = aliases, models, files
        self._operations, self._settings = operations, settings
        self._measuring = threading.BoundedSemaphore(settings.max_dry_runs)
        operations.finish_with(KIND, self._finish)

    def promote(self, asked: Asked, measure: Measure) -> Outcome:
        """Measure, judge and, if the conditions hold, move the alias.

        Raises:
            UnknownModel: there is no such model, or it is archived.
            InvalidSetting: a condition cannot be read or judged, or the alias's name is none.
            Conflict: there is no current model, conditions need one, and `first` is not given.
            AliasMoved: the alias was moved while the models were measured.
            DataError: the rows cannot be used.
        """
        rivals = self._rivals(asked)
        if rivals.former is not None and rivals.former.id == rivals.candidate.id:
            return _nothing_to_do(asked, rivals.candidate)
        return self._settled(asked, rivals, measure(rivals.candidate, rivals.former))

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
        asked = replace(asked, data=self._files.get(file_id).name)

        def measure(candidate: ModelRecord, current: ModelRecord | None) -> GateReport:
            told = _told(asked, candidate, current) | {"file": file_id, "max_bad_share": max_bad_share}
            return GateReport.model_validate(self._aside(told, check))

        return self.promote(asked, measure)

    def begin(self, asked: Asked, file_id: str) -> OperationRecord | Outcome:
        """Begin to do the same in the background, or say that there is nothing to do.

        The operation's result is a `GateReport`; its summary says whether it `passed`, the alias `moved`, and `why`.

        Raises:
            UnknownFile: there is no such file.
            TamisError: as `promote` before it measures, and as `Operations.create`.
        """
        asked = replace(asked, data=self._files.get(file_id).name)
        rivals = self._rivals(asked)
        if rivals.former is not None and rivals.former.id == rivals.candidate.id:
            return _nothing_to_do(asked, rivals.candidate)
        more = {"file": file_id, "max_bad_share": 0.0, "number": rivals.number}
        more |= {"alias": asked.alias, "data": asked.data, "dry_run": asked.dry_run}
        new = NewOperation(
            kind=KIND,
            title=f"{asked.alias} to {name_of(rivals.candidate)}",
            told=_told(asked, rivals.candidate, rivals.former) | more,
            model_id=rivals.candidate.id,
            created_by=asked.by,
        )
        return self._operations.create(new)

    def report(self, record: OperationRecord) -> GateReport:
        """Return what an operation of `begin` that is done has measured.

        Raises:
            Conflict: it is not done.
        """
        return GateReport.model_validate_json(b"".join(self._operations.read(record.id)))

    def _finish(self, record: OperationRecord, result: bytes) -> dict[str, Any]:
        """Move the alias, if what was measured in the background allows it, and what is asked."""
        told = record.told
        rivals = _Rivals(self._models.answering(told["candidate"]), None, told["number"])
        asked = Asked(
            alias=told["alias"],
            model=told["candidate"],
            conditions=told["conditions"],
            data=told["data"],
            allow_label_changes=told["allow_label_changes"],
            allow_unmeasured=bool(told.get("allow_unmeasured")),
            dry_run=told["dry_run"],
            by=record.created_by,
        )
        outcome = self._settled(asked, rivals, GateReport.model_validate_json(result))
        return {"passed": outcome.passed, "moved": outcome.moved, "why": outcome.why}

    def _rivals(self, asked: Asked) -> _Rivals:
        """Return what is to be measured, unless the conditions forbid to begin."""
        conditions = parse_all(asked.conditions)
        candidate = self._models.answering(asked.model)
        standing = self._aliases.standing(asked.alias)
        needing = next((each.text for each in conditions if each.bound.needs_current), None)
        if standing.model is None and needing is not None and not asked.first:
            raise _nothing_behind(asked.alias, needing)
        return _Rivals(candidate, standing.model, standing.number)

    def _settled(self, asked: Asked, rivals: _Rivals, report: GateReport) -> Outcome:
        """Move the alias, if that is what the report and the request say."""
        moves = report.passed and not asked.dry_run
        if moves:
            figures = report.model_dump(mode="json") | {"data": asked.data}
            self._aliases.promote(asked.alias, rivals.candidate.id, figures, after=rivals.number, by=asked.by)
        why = _why(asked, report)
        return Outcome(asked.alias, rivals.candidate, rivals.former, report, passed=report.passed, moved=moves, why=why)

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


def _told(asked: Asked, candidate: ModelRecord, current: ModelRecord | None) -> dict[str, Any]:
    """What the process that measures is told, but for the rows."""
    return {
        "candidate": candidate.id,
        "candidate_name": name_of(candidate),
        "current": None if current is None else current.id,
        "current_name": None if current is None else name_of(current),
        "conditions": list(asked.conditions),
        "allow_label_changes": asked.allow_label_changes,
        "allow_unmeasured": asked.allow_unmeasured,
    }


def _nothing_to_do(asked: Asked, candidate: ModelRecord) -> Outcome:
    why = f"{asked.alias} points at {name_of(candidate)} already: nothing was measured, and nothing moved."
    return Outcome(asked.alias, candidate, candidate, None, passed=True, moved=False, why=why)


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
