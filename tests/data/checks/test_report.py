import json

import pytest

from tamis.data.checks.report import CheckReport, Finding, Likeness, Place, Rejects, differences


def report(*findings):
    return CheckReport(
        splits=("train",),
        rows={"train": 3},
        files=(),
        rejects=Rejects(),
        targets=(),
        lengths=(),
        window=None,
        likeness=Likeness(),
        languages=(),
        findings=findings,
    )


def finding(severity, code="c", count=0):
    return Finding(severity=severity, code=code, message="m", action="a", count=count)


@pytest.mark.parametrize(
    ("findings", "ready", "verdict"),
    [
        ([], True, "Ready to train: nothing to warn about."),
        ([finding("info")], True, "Ready to train: nothing to warn about."),
        ([finding("warning")] * 3, True, "Ready to train: 3 warnings."),
        ([finding("error", "bad_rows", 2)], False, "Not ready: 2 rows must be fixed or left out."),
        ([finding("error"), finding("warning")], False, "Not ready: 1 error, 1 warning."),
        ([finding("error", "bad_rows", 2), finding("error")], False, "Not ready: 2 errors."),
    ],
)
def test_the_verdict_says_whether_to_train(findings, ready, verdict):
    made = report(*findings)
    assert (made.ready, made.verdict) == (ready, verdict)
    plain = json.loads(made.model_dump_json())
    assert (plain["ready"], plain["verdict"]) == (ready, verdict)


def place(**labels):
    return Place(file="f", line=1, labels=labels)


def test_differences_name_only_what_differs():
    assert differences((place(y=("a",), z=("k",)), place(y=("b",), z=("k",)))) == ["y: a", "y: b"]
    assert differences((place(m=("a", "b")), place(m=("a",)), place())) == ["m: b + …", "m: …", ""]
    assert differences((place(m=("a",)), place(m=()))) == ["m: a", "m: (none)"]
    assert differences((place(y=("a",)),)) == [""]


def test_a_place_reads_as_editors_jump_to_it():
    assert str(Place(file="data/train.jsonl", line=7)) == "data/train.jsonl:7"
