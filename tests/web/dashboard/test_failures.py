"""What is said of work that failed: every code that it can end with has a cause and a cure of its own."""

import ast
from pathlib import Path

import pytest

import tamis
from tamis import errors
from tamis.store.records import JobRecord, OperationRecord
from tamis.web.dashboard.failures import FAILURES, UNKNOWN, failure_of

KINDS = {each.__name__: each.code for each in vars(errors).values() if hasattr(each, "code")}
WITHOUT_ERROR = {"killed", "out_of_memory", "system_error", "interrupted"}
"""Codes of what no code of ours raised."""

OF_REQUESTS = {"cancelled", "alias_moved", "illegal_transition", "in_use", "similar_job"}
"""What only who asks for a change meets: no work ends so."""


def test_failures_are_those_that_there_are() -> None:
    assert set(FAILURES) <= set(KINDS.values()) | WITHOUT_ERROR
    assert all(each.title.endswith(".") for each in FAILURES.values())
    assert all(each.cures for code, each in FAILURES.items() if code != "too_many_bad_rows"), (
        "its sentence has the cure"
    )


def test_whatever_work_can_end_with_has_words_of_its_own() -> None:
    root = Path(tamis.__file__).parent
    found = dict.fromkeys(WITHOUT_ERROR, "jobs")
    for part in ("jobs", "ml", "data", "labelers", "evaluation", "store"):
        for file in (root / part).rglob("*.py"):
            nodes = list(ast.walk(ast.parse(file.read_text("utf-8"))))
            named = [each.func for each in nodes if isinstance(each, ast.Call)]
            named += [each.exc for each in nodes if isinstance(each, ast.Raise) and each.exc is not None]
            names = {each.id for each in named if isinstance(each, ast.Name)} & set(KINDS)
            found |= {KINDS[name]: file.name for name in names}
    assert len(found) > 30
    assert {code: file for code, file in found.items() if code not in FAILURES and code not in OF_REQUESTS} == {}


@pytest.mark.parametrize("code", [*FAILURES, "never_heard_of", None])
def test_jobs_and_operations_that_failed_are_told_of_alike(code: str | None) -> None:
    usual = {"id": "x", "created_at": 1, "modified_at": 1, "error_code": code}
    job = JobRecord(**usual, status="FAILED_VALIDATION", model="b", base="b", name="shop", fingerprint="")
    operation = OperationRecord(**usual, status="FAILED", kind="compare", title="t")
    assert failure_of(job) == failure_of(operation) == FAILURES.get(str(code), UNKNOWN)
    assert failure_of(OperationRecord(**usual, status="CANCELLED", kind="compare", title="t")) is None
