"""The report of a review: findings, the rows of each, and what is suggested. Plain data, for every door."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from tamis.data.checks.report import Severity
from tamis.data.review.edits import Edit

MOST_ITEMS = 1_000
"""Rows of a finding that a report keeps; `count` says how many there are."""

GRAVITY: dict[Severity, int] = {"error": 0, "warning": 1, "info": 2}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Place(_Part):
    """A row: the split it is in, its number there from 0, its file and line, how it begins, its labels by target.

    `source_file` and `source_line` are those that the row was read from, where its file was written anew.
    """

    split: str
    row: int
    file: str
    line: int
    text: str
    labels: Mapping[str, tuple[str, ...]] = {}
    source_file: str | None = None
    source_line: int | None = None


class Item(_Part):
    """One thing to decide on: a row, or the name of a label.

    Attributes:
        rows: what it is about, first; then the rows that it repeats, contradicts, or that speak for the suggestion.
        told: what is special about it, in a few words.
        score: how likely the label is wrong, 0 to 1; None where that is not the question.
        proposed: the labels that are suggested instead.
        edits: what accepting it changes; none where a person has to look.
    """

    rows: tuple[Place, ...] = ()
    told: str = ""
    score: float | None = None
    proposed: tuple[str, ...] | None = None
    edits: tuple[Edit, ...] = ()


class Finding(_Part):
    """Something that deserves a look.

    Attributes:
        id: names it within its review: its code, and the target where it is about one.
        code: what kind of thing it is.
        severity: error, warning or info.
        target: the target it is about, if any.
        message: what was found, in a sentence.
        why: why it matters.
        suggestion: what accepting it does, in a sentence.
        fix: the name under which `tamis fix --apply` does that to all rows of the data; None where nothing can be done
            without looking.
        count: rows (texts that contradict themselves, labels) concerned: how many items there are, kept or not.
        items: the first of them, the most doubtful or most frequent first.
    """

    id: str
    code: str
    severity: Severity
    target: str | None = None
    message: str
    why: str
    suggestion: str
    fix: str | None = None
    count: int
    items: tuple[Item, ...] = ()


class Scored(_Part):
    """How the out-of-fold scores were made; `accuracy` by target is how often they agree with the labels given."""

    folds: int
    rounds: int
    fitted_rows: int
    seconds: float
    agreement: Mapping[str, float] = {}


class CurvePoint(_Part):
    """How good a model of so many rows is on rows that were held out, by target."""

    rows: int
    share: float
    scores: Mapping[str, float]


class LabelNeed(_Part):
    """A label that more rows would help most: how many it has, how well it is recognised on held-out rows."""

    target: str
    label: str
    rows: int
    f1: float
    gain: float


class LearningCurve(_Part):
    """Would more rows help?

    Attributes:
        metric: by target, what is measured: accuracy (single-label) or micro-F1.
        held_out: rows that it is measured on.
        points: the measures, by rising number of rows.
        doubled: by target, the measure to be expected with twice the rows, by a power law through the points.
        verdict: a sentence.
        needs: the labels that need rows most.
    """

    metric: Mapping[str, str]
    held_out: int
    points: tuple[CurvePoint, ...]
    doubled: Mapping[str, float]
    verdict: str
    needs: tuple[LabelNeed, ...] = ()


class Review(_Part):
    """All that a review found."""

    rows: Mapping[str, int]
    version: str
    findings: tuple[Finding, ...]
    scored: Scored | None = None
    curve: LearningCurve | None = None
    remarks: tuple[str, ...] = ()
    seconds: float = 0.0

    def finding(self, id_: str) -> Finding | None:
        """Return the finding of that id."""
        return next((finding for finding in self.findings if finding.id == id_), None)


def ranked(findings: list[Finding]) -> tuple[Finding, ...]:
    """Return findings with the gravest first, else in the order they came in."""
    return tuple(sorted(findings, key=lambda finding: GRAVITY[finding.severity]))
