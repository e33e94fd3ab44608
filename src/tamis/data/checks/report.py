"""The report of a data check: what the terminal, the HTML page, `--json` and the dashboard show.

Only the shape: how the numbers are found stands in the other modules of this package.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, computed_field

from tamis.schema import Kind

Severity = Literal["error", "warning", "info"]
Counts = Mapping[str, int]
"""Rows by split."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Place(_Part):
    """A row, how its text begins, and its labels by target."""

    file: str
    line: int
    text: str = ""
    labels: Mapping[str, tuple[str, ...]] = {}

    def __str__(self) -> str:
        """`file:line`."""
        return f"{self.file}:{self.line}"


Group = tuple[Place, ...]
"""Rows that belong together: one, or two that contradict or repeat each other."""


class Finding(_Part):
    """Something a person should know: how grave, what, where (some of the rows), and what will be done about it."""

    severity: Severity
    code: str
    message: str
    action: str
    count: int = 0
    where: tuple[Group, ...] = ()


class FileReport(_Part):
    """One file (or folder, or hub dataset) of a split. `error` says why it could not be read to its end."""

    name: str
    split: str
    rows: int = 0
    rejected: int = 0
    detected: str = ""
    detection: Mapping[str, object] = {}
    notes: tuple[Mapping[str, object], ...] = ()
    error: str | None = None


class RejectedRow(_Part):
    """A row that cannot be used, and why."""

    file: str
    line: int
    code: str
    cause: str
    cure: str
    raw: str = ""


class Rejects(_Part):
    """All rejected rows in numbers, and the first of each kind."""

    count: int = 0
    by_code: Counts = {}
    by_split: Counts = {}
    first: tuple[RejectedRow, ...] = ()


class LabelCount(_Part):
    """A label and the rows that carry it, by split."""

    label: str
    rows: Counts


class Cooccurrence(_Part):
    """How many rows carry both of two labels: `rows[i][j]` for `labels[i]` and `labels[j]`, `rows[i][i]` for one."""

    labels: tuple[str, ...]
    rows: tuple[tuple[int, ...], ...]
    of: int  # labels of the target, shown or not


class TargetReport(_Part):
    """One target: its kind, its labels, and what the rows say about it.

    `ratio` is the rows of the most frequent label over those of the rarest, `effective_labels` the exponential of the
    entropy of the labels' shares (as many equally frequent labels would be as varied), both in the training data.
    `as_list` and `as_string` say in how many rows the value was written as a list or as a plain label, `other_names`
    what the target is called in other splits.
    """

    name: str
    kind: Kind
    labels: tuple[LabelCount, ...]
    none_labels: tuple[str, ...] = ()
    known: Counts
    unknown: Counts
    without_label: Counts
    labels_per_row: Mapping[str, Mapping[int, int]] = {}
    as_list: int = 0
    as_string: int = 0
    ratio: float | None = None
    effective_labels: float | None = None
    more_labels: bool = False
    other_names: tuple[str, ...] = ()
    cooccurrence: Cooccurrence | None = None

    @property
    def is_multi(self) -> bool:
        """Whether a row may carry any number of the labels."""
        return self.kind is Kind.MULTI_LABEL


class Lengths(_Part):
    """How long the texts of a split are, in one unit.

    `measured` rows were looked at (tokens are counted on a sample of large files); quantiles above 255 are rounded by
    at most 3 %. `bins` are (from, to, rows), `to` not included.
    """

    split: str
    unit: Literal["characters", "words", "tokens"]
    measured: int
    mean: float
    p5: int
    median: int
    p95: int
    p99: int
    longest: int
    bins: tuple[tuple[int, int, int], ...] = ()


class Window(_Part):
    """How many rows a base model cannot see whole. `tokens` is None for a base model without a window."""

    base: str
    tokens: int | None
    rows_over: int = 0
    share_over: float = 0.0


class Repeats(_Part):
    """Rows of a split whose text an earlier row of the same split has already.

    `exact` the same text; `loose` the same but for case and spaces (exact ones not counted again); `near` about four
    fifths of the character sequences in common (estimated).
    """

    split: str
    exact: int = 0
    loose: int = 0
    near: int = 0


class Overlap(_Part):
    """Rows of `split` whose text stands in `other` too (but for case and spaces), or nearly does."""

    split: str
    other: str
    same: int = 0
    near: int = 0
    share: float = 0.0


class Likeness(_Part):
    """Texts that are equal or nearly so.

    `conflicts` counts texts that carry different labels in different rows, `conflict_rows` those rows,
    `near_conflicts` the rows whose near duplicate carries different labels.
    """

    repeats: tuple[Repeats, ...] = ()
    overlaps: tuple[Overlap, ...] = ()
    conflicts: int = 0
    conflict_rows: int = 0
    near_conflicts: int = 0


class Languages(_Part):
    """Hints on the languages of a split: the share of each among the rows looked at, `und` where none could be told."""

    split: str
    measured: int
    shares: Mapping[str, float]


class CheckReport(_Part):
    """Everything a data check found. `more_targets` says that the files name more targets than are told apart."""

    splits: tuple[str, ...]
    rows: Counts
    files: tuple[FileReport, ...]
    rejects: Rejects
    targets: tuple[TargetReport, ...]
    lengths: tuple[Lengths, ...]
    window: Window | None
    likeness: Likeness
    languages: tuple[Languages, ...]
    findings: tuple[Finding, ...]
    more_targets: bool = False

    @computed_field  # type: ignore[prop-decorator]
    @property
    def ready(self) -> bool:
        """Whether nothing stands in the way of training."""
        return not self.of_severity("error")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def verdict(self) -> str:
        """One sentence: may it be trained on, and how much is there to look at."""
        errors, warnings = len(self.of_severity("error")), len(self.of_severity("warning"))
        noticed = _counted(warnings, "warning") if warnings else "nothing to warn about"
        if not errors:
            return f"Ready to train: {noticed}."
        bad = next((finding.count for finding in self.findings if finding.code == "bad_rows"), 0)
        wrong = (
            f"{_counted(bad, 'row')} must be fixed or left out" if errors == 1 and bad else _counted(errors, "error")
        )
        return f"Not ready: {wrong}{f', {noticed}' if warnings else ''}."

    def of_severity(self, severity: Severity) -> list[Finding]:
        """The findings of one severity."""
        return [finding for finding in self.findings if finding.severity == severity]


def differences(group: Group) -> list[str]:
    """Return for each row of a group the labels that the others do not have, as `target: label + label`."""
    told: list[list[str]] = [[] for _ in group]
    for target in dict.fromkeys(target for place in group for target in place.labels):
        sets = [set(place.labels[target]) for place in group if target in place.labels]
        common = set.intersection(*sets)
        if all(labels == common for labels in sets):
            continue
        for place, parts in zip(group, told, strict=True):
            if target in place.labels:
                own = [label for label in place.labels[target] if label not in common]
                parts.append(f"{target}: {' + '.join([*own, *(['…'] if common else [])]) or '(none)'}")
    return [", ".join(parts) for parts in told]


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
