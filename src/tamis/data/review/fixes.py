"""Changes of a whole dataset by name: `dedupe`, `conflicts`, `drop-rare=200`, `cap-none=0.1` and their kin.

They are applied one after the other in the order of `FIXES`, whatever order they were asked for in: labels first, rows
that should not be there next, numbers of rows last. Every row that changes leaves a line of the log. Nothing is drawn
at random: where rows must go, those with the highest hash go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tamis.data.dataset import Dataset, require_learnable
from tamis.data.review.corpus import TRAIN, Corpus
from tamis.data.review.doubtful import LIKELY, Proposal
from tamis.data.review.edits import Edit, MaskText, RemoveRow, RenameLabel, SetLabels, applied
from tamis.data.review.labels import beside_none, merged_names, none_labels_of
from tamis.data.review.repeats import (
    conflict_groups,
    decided,
    duplicate_rows,
    find_repeats,
    leaked_rows,
    near_duplicate_rows,
)
from tamis.data.review.scores import Rows
from tamis.data.review.texts import empty_rows, find_traits, other_language_rows
from tamis.data.truth import MultiTruth
from tamis.errors import InvalidSetting
from tamis.schema import Input, Target

MOST_COUNT = 10_000_000


@dataclass(frozen=True, slots=True)
class Chosen:
    """A fix that was asked for: its name, its number if it takes one, the target it is for (None: all)."""

    name: str
    number: float | None = None
    target: str | None = None

    def __str__(self) -> str:
        """As it is written."""
        number = "" if self.number is None else f"={self.number:g}"
        return f"{self.name}{f':{self.target}' if self.target else ''}{number}"


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """What fixes look at beside the rows: data to measure on, and what is proposed for doubtful rows, by target."""

    measured: Mapping[str, Dataset] = field(default_factory=dict)
    proposals: Mapping[str, Sequence[Proposal]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """An edit, the fix that made it, and why."""

    fix: str
    why: str
    edit: Edit


Reason = tuple[Edit, str]
Fix = Callable[["_Now", Chosen], Iterator[Reason]]


@dataclass(frozen=True, slots=True, eq=False)
class _Now:
    """The rows as they are between two fixes; `origin` (n,) is which row of the file each was."""

    data: Dataset
    origin: Rows
    context: Context

    def corpus(self) -> Corpus:
        return Corpus({TRAIN: self.data, **self.context.measured})

    def targets(self, chosen: Chosen) -> list[Target]:
        """The targets that a fix is for."""
        return [target for target in self.data.targets if chosen.target in (None, target.name)]

    def line(self, row: int) -> int:
        return int(self.data.lines[row])


@dataclass(frozen=True, slots=True)
class Kind:
    """A fix: what it does in words, how, and what number it takes (None: none)."""

    told: str
    run: Fix
    number: str | None = None
    default: float | None = None


def parse(text: str) -> list[Chosen]:
    """Return the fixes that `dedupe,drop-rare=200,cap-label:intent=600` asks for, in the order they are applied.

    Raises:
        InvalidSetting: a name is unknown, a number is missing, superfluous or out of range, or a fix stands twice.
    """
    chosen = [_parsed(piece.strip()) for piece in text.split(",") if piece.strip()]
    if not chosen:
        raise InvalidSetting(f"Nothing is to be applied: name one or more of {', '.join(FIXES)}.", setting="apply")
    twice = [str(each) for place, each in enumerate(chosen) if (each.name, each.target) in _named(chosen[:place])]
    if twice:
        raise InvalidSetting(f"{twice[0]} stands twice: ask for it once.", setting="apply")
    return sorted(chosen, key=lambda each: list(FIXES).index(each.name))


def _named(chosen: Sequence[Chosen]) -> set[tuple[str, str | None]]:
    return {(each.name, each.target) for each in chosen}


def _parsed(piece: str) -> Chosen:
    head, equals, number = piece.rpartition("=") if "=" in piece else (piece, "", "")
    name, _, target = head.partition(":")
    kind = FIXES.get(name)
    if kind is None:
        raise InvalidSetting(f"There is no fix {name!r}: there are {', '.join(FIXES)}.", setting="apply")
    if kind.number is None and equals:
        raise InvalidSetting(f"{name} takes no number: write {name} alone.", setting="apply")
    if not equals and kind.number is not None and kind.default is None:
        example = {"a share": "0.1"}.get(kind.number, "200")
        raise InvalidSetting(f"{name} needs {kind.number}: write {name}={example}.", setting="apply")
    return Chosen(name, _number(name, kind, number) if equals else kind.default, target or None)


def _number(name: str, kind: Kind, written: str) -> float:
    try:
        number = float(written)
    except ValueError:
        number = float("nan")
    share = kind.number == "a share"
    right = 0 <= number <= 1 if share else 1 <= number <= MOST_COUNT and number == int(number)
    if not right:
        wanted = "a number from 0 to 1" if share else f"a whole number from 1 to {MOST_COUNT:,}"
        raise InvalidSetting(f"{name}={written}: give {wanted}.", setting="apply")
    return number


@dataclass(frozen=True, slots=True, eq=False)
class Fixed:
    """What fixes made of a dataset.

    Attributes:
        before: the data as it was.
        data: the data as it is now.
        rows: (len(data),) which of the former rows each row is.
        changes: every change, with rows numbered as before, in the order they were made.
    """

    before: Dataset
    data: Dataset
    rows: Rows
    changes: tuple[Change, ...]

    def altered(self) -> dict[int, Altered]:
        """Return the rows that are left and are not as they were, by their former number."""
        masked = {change.edit.row for change in self.changes if isinstance(change.edit, MaskText)}
        edited = {change.edit.row for change in self.changes if isinstance(change.edit, SetLabels)}
        everywhere = any(isinstance(change.edit, RenameLabel) for change in self.changes)
        found: dict[int, Altered] = {}
        for row, former in enumerate(self.rows.tolist()):
            if not (everywhere or former in edited or former in masked):
                continue
            labels = {}
            for target in self.before.targets:
                after = self._labels(target.name, row)
                if after != self.before.labels_of(target.name, former):
                    labels[target.name] = after
            if labels or former in masked:
                found[former] = Altered(labels, self.data.inputs[row] if former in masked else None)
        return found

    def then(self, other: Fixed) -> Fixed:
        """Return both, one after the other: `other` began with this data."""
        moved = (replace(change, edit=_moved(change.edit, self.rows)) for change in other.changes)
        return Fixed(self.before, other.data, self.rows[other.rows], (*self.changes, *moved))

    def _labels(self, target: str, row: int) -> tuple[str, ...] | None:
        return self.data.labels_of(target, row)


@dataclass(frozen=True, slots=True)
class Altered:
    """What is new in a row: labels by target (None: unknown), and its input, if that changed."""

    labels: Mapping[str, tuple[str, ...] | None]
    input: Input | None = None


def fixed(data: Dataset, chosen: Sequence[Chosen], context: Context | None = None) -> Fixed:
    """Return the data after the fixes, and every change.

    Args:
        data: the training data.
        chosen: what to apply; see `parse`.
        context: what some fixes look at.

    Raises:
        InvalidSetting: a target is named that is not there, or a fix lacks what it looks at.
    """
    context = context or Context()
    for each in chosen:
        _check(each, data, context)
    now, changes = _Now(data, np.arange(len(data)), context), list[Change]()
    for each in chosen:
        reasons = list(FIXES[each.name].run(now, each))
        changes += [Change(str(each), why, _moved(edit, now.origin)) for edit, why in reasons]
        if reasons:
            after, rows = applied(now.data, (edit for edit, _ in reasons))
            now = replace(now, data=after, origin=now.origin[rows])
    return Fixed(data, now.data, now.origin, tuple(changes))


def accepted(data: Dataset, edits: Iterable[tuple[str, Edit]]) -> Fixed:
    """Return the data after edits that a person accepted, each with the finding it belongs to.

    What contradicts is settled by the order: a row that is removed stays removed, later labels count.
    """
    changes = tuple(Change(finding, "accepted", edit) for finding, edit in edits)
    after, rows = applied(data, (change.edit for change in changes))
    return Fixed(data, after, rows, changes)


def _check(chosen: Chosen, data: Dataset, context: Context) -> None:
    names = [target.name for target in data.targets]
    if chosen.target is not None and chosen.target not in names:
        raise InvalidSetting(
            f"{chosen}: there is no target {chosen.target!r}; there are {', '.join(names)}.", setting="apply"
        )
    if chosen.name == "leaks" and not context.measured:
        raise InvalidSetting("leaks needs data to compare with: give it with --test or --validation.", setting="apply")
    if chosen.name in ("cap-label",) and chosen.target is None and len(names) > 1:
        raise InvalidSetting(
            f"{chosen}: there are several targets: name one, like {chosen.name}:{names[0]}={chosen.number:g}.",
            setting="apply",
        )


def _moved(edit: Edit, origin: Rows) -> Edit:
    """The same edit with the row's number in the file."""
    if isinstance(edit, RenameLabel):
        return edit
    return edit.model_copy(update={"row": int(origin[edit.row])})


def _labels(now: _Now, chosen: Chosen) -> Iterator[Reason]:
    for target in now.targets(chosen):
        for label, into in merged_names(target, now.data.truth[target.name].counts()).items():
            yield RenameLabel(target=target.name, label=label, into=into), "differs only in case, spaces or plural"


def _none_labels(now: _Now, chosen: Chosen) -> Iterator[Reason]:
    for target in now.targets(chosen):
        truth, none = now.data.truth[target.name], none_labels_of(target)
        for row in beside_none(target, truth).tolist() if isinstance(truth, MultiTruth) else ():
            others = tuple(label for label in now.data.labels_of(target.name, row) or () if label not in none)
            yield SetLabels(row=row, target=target.name, labels=others), "a none label stood beside others"


def _suspects(now: _Now, chosen: Chosen) -> Iterator[Reason]:
    least = LIKELY if chosen.number is None else chosen.number
    for target in now.targets(chosen):
        for each in now.context.proposals.get(target.name, ()):
            if each.score >= least and each.labels != now.data.labels_of(target.name, each.row):
                why = f"likely to be wrong ({each.score:.2f})"
                yield SetLabels(row=each.row, target=target.name, labels=each.labels), why


def _conflicts(now: _Now, chosen: Chosen) -> Iterator[Reason]:
    corpus = now.corpus()
    for group in conflict_groups(find_repeats(corpus, near=False), corpus):
        removed, clear = decided(now.data, group)
        why = "most rows of this text say otherwise" if clear else "rows of this text disagree, none has the majority"
        for row in removed.tolist():
            yield RemoveRow(row=row), why


def _dedupe(now: _Now, chosen: Chosen) -> Iterator[Reason]:
    corpus = now.corpus()
    for row, earlier in zip(*duplicate_rows(find_repeats(corpus, near=False), corpus), strict=True):
        yield RemoveRow(row=int(row)), f"repeats line {now.line(int(earlier))}"


def _near_duplicates(now: _Now, chosen: Chosen) -> Iterator[Reason]:
    corpus = now.corpus()
    for row, earlier in zip(*near_duplicate_rows(find_repeats(corpus), corpus), strict=True):
        yield RemoveRow(row=int(row)), f"nearly repeats line {now.line(int(earlier))}"


def _leaks(now: _Now, chosen: Chosen) -> Iterator[Reason]:
    corpus = now.corpus()
    for row, other in zip(*leaked_rows(find_repeats(corpus, near=False), corpus), strict=True):
        split, data, number = corpus.locate(int(other))
        yield RemoveRow(row=int(row)), f"stands in the {split} data too, line {int(data.lines[number])}"


def _empty(now: _Now, chosen: Chosen) -> Iterator[Reason]:
    for row in empty_rows(now.data).tolist():
        yield RemoveRow(row=row), "the text says nothing"


def _languages(now: _Now, chosen: Chosen) -> Iterator[Reason]:
    main, others = other_language_rows(now.data)
    for row, code in others.items():
        yield RemoveRow(row=row), f"seems to be {code}, not {main}"


def _personal(now: _Now, chosen: Chosen) -> Iterator[Reason]:
    for row, kinds in find_traits(now.data).personal.items():
        yield MaskText(row=row), f"holds personal data ({', '.join(sorted(kinds))})"


def _drop_rare(now: _Now, chosen: Chosen) -> Iterator[Reason]:
    """Rare labels are taken from their rows: what such a row then is, is unknown, not "none of them"."""
    least, lost = int(chosen.number or 0), dict[int, dict[str, tuple[str, ...] | None]]()
    why: dict[int, str] = {}
    for target in now.targets(chosen):
        counts = now.data.truth[target.name].counts()
        rare = {label for label, rows in zip(target.labels, counts.tolist(), strict=True) if 0 < rows < least}
        for row in _carrying(now.data, target, rare):
            own = now.data.labels_of(target.name, row) or ()
            kept = tuple(label for label in own if label not in rare)
            lost.setdefault(row, {})[target.name] = kept or None
            first = next(label for label in own if label in rare)
            why[row] = f"the label {first!r} has fewer than {least:,} rows"
    for row, targets in lost.items():
        others = (now.data.labels_of(each.name, row) for each in now.data.targets if each.name not in targets)
        if any(labels is not None for labels in (*targets.values(), *others)):
            for name, labels in targets.items():
                yield SetLabels(row=row, target=name, labels=labels), why[row]
        else:
            yield RemoveRow(row=row), why[row]


def _carrying(data: Dataset, target: Target, labels: set[str]) -> list[int]:
    truth = data.truth[target.name]
    codes = [code for code, label in enumerate(target.labels) if label in labels]
    if isinstance(truth, MultiTruth):
        row = np.repeat(np.arange(len(truth)), np.diff(truth.offsets))
        return [int(each) for each in np.unique(row[np.isin(truth.codes, codes)])]
    return [int(each) for each in np.flatnonzero(np.isin(truth.codes, codes))]


def _cap_label(now: _Now, chosen: Chosen) -> Iterator[Reason]:
    """Rows in the order of their hashes are kept while a label of theirs has fewer than so many."""
    most = int(chosen.number or 0)
    for target in now.targets(chosen):
        kept: dict[str, int] = dict.fromkeys(target.labels, 0)
        for row in _by_hash(now.data):
            own = now.data.labels_of(target.name, row)
            if not own:
                continue
            if all(kept.get(label, 0) >= most for label in own):
                yield RemoveRow(row=row), f"{own[0]!r} has {most:,} rows already"
                continue
            for label in own:
                kept[label] = kept.get(label, 0) + 1


def _by_hash(data: Dataset) -> list[int]:
    return [int(row) for row in np.lexsort((np.arange(len(data)), data.keys))]


def _cap_none(now: _Now, chosen: Chosen) -> Iterator[Reason]:
    """Rows of which nothing applies are kept up to a share of all rows that are left."""
    share = float(chosen.number or 0.0)
    for target in now.targets(chosen):
        none = none_labels_of(target)
        said = {row: now.data.labels_of(target.name, row) for row in _by_hash(now.data)}
        bare = [
            row for row, own in said.items() if own is not None and not set(own) - none and (own or target.is_multi)
        ]
        others = len(now.data) - len(bare)
        most = len(bare) if share >= 1 else int(share * others / (1 - share))
        for row in bare[most:] if others else ():
            yield RemoveRow(row=row), f"rows of which nothing applies are to be {share:.0%} at most"


FIXES: dict[str, Kind] = {
    "suspects": Kind("likely wrong labels become the proposed ones", _suspects, "a share", LIKELY),
    "labels": Kind("label names that differ only in case, spaces or plural become one", _labels),
    "none-labels": Kind("none labels beside other labels are taken away", _none_labels),
    "personal": Kind("personal data is masked", _personal),
    "empty": Kind("texts that say nothing are left out", _empty),
    "languages": Kind("rows in another language than the rest are left out", _languages),
    "conflicts": Kind("one text, different labels: the majority stays", _conflicts),
    "dedupe": Kind("of equal rows the first stays", _dedupe),
    "near-duplicates": Kind("of nearly equal rows the first stays", _near_duplicates),
    "leaks": Kind("training rows that stand in the test or validation data are left out", _leaks),
    "drop-rare": Kind("labels with fewer rows are dropped", _drop_rare, "a number of rows"),
    "cap-label": Kind("at most so many rows a label", _cap_label, "a number of rows"),
    "cap-none": Kind("at most this share of rows of which nothing applies", _cap_none, "a share"),
}
"""Every fix by its name, in the order they are applied."""


def require_left(before: Dataset, after: Dataset) -> None:
    """Refuse a result that nothing can be learnt from, where something could be learnt before.

    Raises:
        NothingToLearn: a target has too few labels left.
    """
    if before.targets:
        require_learnable(after)


def log_rows(data: Dataset, changes: Iterable[Change]) -> Iterator[dict[str, Any]]:
    """Yield a line of the log for every row that a change concerns."""
    for change in changes:
        edit = change.edit
        line: dict[str, Any] = {"fix": change.fix, "why": change.why, **edit.model_dump(mode="json")}
        if isinstance(edit, RenameLabel):
            rows = _carrying(data, data.target(edit.target), {edit.label})
            yield {**line, "lines": [int(data.lines[row]) for row in rows]}
            continue
        line["line"] = int(data.lines[edit.row])
        if isinstance(edit, SetLabels):
            before = data.labels_of(edit.target, edit.row)
            line["before"] = None if before is None else list(before)
        yield line
