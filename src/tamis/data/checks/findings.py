"""What the figures of a check mean: findings, each with its gravity and with what will be done about it.

One function a subject, each reading the finished figures; nothing here looks at rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from tamis.data.checks.report import CheckReport, Finding, Group, Place, Severity, TargetReport
from tamis.data.label_names import same_names
from tamis.data.languages import NAMES, UNDETERMINED
from tamis.data.rows import NOTES

Places = Mapping[tuple[str, ...], tuple[Group, ...]]

FEW_ROWS = 10
"""Rows of a label below which calibration and early stopping are cross-validated."""

_SKEWED, _VERY_SKEWED = 10, 100  # most frequent label over rarest
_MANY_REPEATS = 0.05  # share of rows
_ENOUGH_TEXTS = 20  # to say something of their languages
_TRAIN = "train"
_GRAVITY: dict[Severity, int] = {"error": 0, "warning": 1, "info": 2}
_SEPARATE_NOTES = ("mixed_values", "unknown_label")  # told by a finding of their own


def judge(
    report: CheckReport, places: Places, *, max_bad_share: float, base_languages: Sequence[str]
) -> tuple[Finding, ...]:
    """Return the findings for a report, the gravest first.

    Args:
        report: the figures; its own findings are not looked at.
        places: example rows by the code of the finding, with the splits for overlaps.
        max_bad_share: the share of rejected rows, of a split, that is allowed.
        base_languages: codes of the languages that the base model was made for; empty where not known.
    """
    found = [*_unreadable(report), *_bad_rows(report, max_bad_share), *_rows(report)]
    for target in report.targets if not report.more_targets else ():
        rules = (_untrained,) if _is_untrained(target, report) else _TARGET_RULES
        found += [finding for rule in rules for finding in rule(target, report)]
    found += [*_conflicts(report, places), *_overlaps(report, places), *_repeats(report, places)]
    found += [*_window(report), *_languages(report, base_languages), *_notes(report)]
    return tuple(sorted(found, key=lambda finding: _GRAVITY[finding.severity]))


def _unreadable(report: CheckReport) -> Iterator[Finding]:
    for file in report.files:
        if file.error:
            until = f" ({_rows_of(file.rows)} were read before.)" if file.rows else ""
            yield Finding(
                severity="error",
                code="unreadable",
                message=f"{file.error}{until}",
                action="Nothing is trained until it can be read.",
                count=1,
            )


def _bad_rows(report: CheckReport, allowed: float) -> Iterator[Finding]:
    first = tuple(
        (Place(file=row.file, line=row.line, text=f"{row.cause}. {row.cure}"),) for row in report.rejects.first
    )
    over = {
        split: count
        for split, count in report.rejects.by_split.items()
        if count and count > allowed * (count + report.rows.get(split, 0))
    }
    if over:
        causes = ", ".join(f"{code} {count:,}" for code, count in report.rejects.by_code.items())
        yield Finding(
            severity="error",
            code="bad_rows",
            message=f"{_rows_of(sum(over.values()))} cannot be used ({causes}); {_allowed(allowed)}.",
            action="Correct them, or allow a share of them with --max-bad-share; --rejects FILE writes them all.",
            count=sum(over.values()),
            where=first,
        )
    elif report.rejects.count:
        yield Finding(
            severity="warning",
            code="bad_rows_left_out",
            message=f"{_rows_of(report.rejects.count)} cannot be used; {_allowed(allowed)}.",
            action="They are left out of training and measuring.",
            count=report.rejects.count,
            where=first,
        )


def _rows(report: CheckReport) -> Iterator[Finding]:
    readable = {file.split for file in report.files if not file.error}
    for split, rows in report.rows.items():
        if not rows and split in readable:
            yield _finding("error", "no_rows", f"The {split} data has no usable row.", "Give labelled rows.")
    rows = report.rows.get(_TRAIN, 0)
    if rows and not report.targets:
        yield _finding("error", "nothing_to_learn", "No row has a label.", "Label the rows, or name the label column.")
    if report.more_targets:
        yield _finding(
            "error",
            "too_many_targets",
            f"The rows name more than {len(report.targets):,} targets.",
            "Give each row a label for the same few targets: texts or identifiers seem to stand as their names.",
        )
    if 0 < rows < 5 * FEW_ROWS:
        yield _finding(
            "warning",
            "few_rows",
            f"There are only {rows} rows to learn from.",
            "Training goes on; every figure of quality will be rough.",
        )


def _is_untrained(target: TargetReport, report: CheckReport) -> bool:
    return bool(report.rows.get(_TRAIN)) and not target.known.get(_TRAIN)


def _untrained(target: TargetReport, report: CheckReport) -> Iterator[Finding]:
    """A target that only other splits have; one that shares no target with the training data cannot be measured on."""
    for split in [split for split, known in target.known.items() if known]:
        shared = [other for other in report.targets if other.known.get(split) and other.known.get(_TRAIN)]
        yield _finding(
            "warning" if shared else "error",
            "ignored_target" if shared else "no_common_target",
            f"Target {target.name!r} of the {split} data is not in the training data.",
            "It is not read." if shared else "Name the columns or targets alike: nothing could be measured there.",
            count=target.known[split],
        )


def _renamed(target: TargetReport, report: CheckReport) -> Iterator[Finding]:
    for name in target.other_names:
        yield _finding(
            "info",
            "target_renamed",
            f"The only target of another split is called {name!r}, that of the training data {target.name!r}.",
            "Taken as the same target.",
        )


def _learnable(target: TargetReport, report: CheckReport) -> Iterator[Finding]:
    labels = [label for label in target.labels if label.rows.get(_TRAIN)]
    least = 1 if target.is_multi else 2
    if report.rows.get(_TRAIN) and len(labels) < least:
        has = f"only the label {labels[0].label!r}" if labels else "no label"
        yield _finding(
            "error",
            "nothing_to_learn",
            f"Target {target.name!r} has {has} in the training data.",
            "A single-label target needs two different labels, a multi-label target one: add rows, or leave it out.",
        )
    if target.more_labels:
        yield _finding(
            "error",
            "too_many_labels",
            f"Target {target.name!r} has more than {len(target.labels):,} labels.",
            "Name the right label column: this one seems to hold texts or numbers.",
        )


def _text_as_label(target: TargetReport, report: CheckReport) -> Iterator[Finding]:
    known = sum(target.known.values())
    if len(target.labels) > 50 and 2 * len(target.labels) > known:
        yield _finding(
            "warning",
            "labels_like_texts",
            f"Target {target.name!r} has {len(target.labels):,} labels in {known:,} rows.",
            "Training goes on. Look whether the label column holds texts, names or numbers that never repeat.",
        )


def _mixed(target: TargetReport, report: CheckReport) -> Iterator[Finding]:
    if target.as_list and target.as_string:
        yield _finding(
            "warning",
            "mixed_values",
            f"Target {target.name!r} is a list in {_rows_of(target.as_list)}, a plain label in {target.as_string:,}.",
            "It is taken as multi-label. Write all values the same way.",
            count=min(target.as_list, target.as_string),
        )
    widths = target.labels_per_row.get(_TRAIN, {})
    if target.is_multi and set(widths) == {1} and len(target.labels) > 1:
        yield _finding(
            "warning",
            "lists_of_one",
            f"Target {target.name!r} is written as lists, and every row has exactly one label.",
            "It is taken as multi-label: each label gets a probability of its own. Write plain labels if only one "
            "can apply (in tables --label-separator COLUMN=TEXT for the others alone).",
        )


def _rare(target: TargetReport, report: CheckReport) -> Iterator[Finding]:
    counts = {label.label: label.rows.get(_TRAIN, 0) for label in target.labels}
    lonely = [label for label, rows in counts.items() if rows == 1]
    few = [label for label, rows in counts.items() if 1 < rows < FEW_ROWS]
    if lonely:
        yield _finding(
            "warning",
            "lonely_labels",
            f"{_labels_of(lonely)} of {target.name!r} {_have(lonely)} a single training row: {_named(lonely)}.",
            "Learnt, but how well cannot be measured. Add rows, or merge it with another label.",
            count=len(lonely),
        )
    if few:
        yield _finding(
            "info",
            "few_rows_of_label",
            f"{_labels_of(few)} of {target.name!r} {_have(few)} fewer than {FEW_ROWS} training rows: {_named(few)}.",
            "Calibration and early stopping are cross-validated, so that no row is held out for good.",
            count=len(few),
        )


def _unseen(target: TargetReport, report: CheckReport) -> Iterator[Finding]:
    if not report.rows.get(_TRAIN):
        return
    unseen = [label for label in target.labels if not label.rows.get(_TRAIN)]
    if unseen:
        rows = sum(sum(label.rows.values()) for label in unseen)
        yield _finding(
            "warning",
            "unseen_labels",
            f"{_labels_of(unseen)} of {target.name!r} {_have(unseen)} no training row: "
            f"{_named([label.label for label in unseen])} ({_rows_of(rows)} elsewhere).",
            "Cannot be learnt: such a row counts as a miss when quality is measured.",
            count=len(unseen),
        )
    for split in [split for split, rows in report.rows.items() if split != _TRAIN and rows]:
        untested = [label.label for label in target.labels if label.rows.get(_TRAIN) and not label.rows.get(split)]
        if untested:
            yield _finding(
                "info",
                "untested_labels",
                f"{_labels_of(untested)} of {target.name!r} {_have(untested)} no {split} row: {_named(untested)}.",
                f"Learnt, but not measured on the {split} data.",
                count=len(untested),
            )


def _balance(target: TargetReport, report: CheckReport) -> Iterator[Finding]:
    if target.ratio is None or target.ratio < _SKEWED:
        return
    trained = [label for label in target.labels if label.rows.get(_TRAIN)]
    most = max(trained, key=lambda label: label.rows[_TRAIN])
    least = min(trained, key=lambda label: label.rows[_TRAIN])
    yield _finding(
        "warning" if target.ratio >= _VERY_SKEWED else "info",
        "imbalance",
        f"The labels of {target.name!r} are uneven: {most.label!r} has {most.rows[_TRAIN]:,} training rows, "
        f"{least.label!r} {least.rows[_TRAIN]:,} ({target.ratio:,.0f} times fewer); as varied as "
        f"{target.effective_labels:.1f} even labels.",
        "Read the macro F1 beside the accuracy: the rare labels gain most from more rows.",
    )


def _unknown(target: TargetReport, report: CheckReport) -> Iterator[Finding]:
    for split, unknown in target.unknown.items():
        rows = report.rows.get(split, 0)
        if unknown:
            yield _finding(
                "warning" if 2 * unknown > rows else "info",
                "unknown_target",
                f"{_rows_of(unknown)} of {rows:,} ({unknown / rows:.1%}) in the {split} data "
                f"{'says' if unknown == 1 else 'say'} nothing about {target.name!r}.",
                "Unknown is not “no”: left out of learning and measuring for this target."
                + (" [] says none; in tables, an empty cell with --empty-means-none." if target.is_multi else ""),
                count=unknown,
            )


def _similar_names(target: TargetReport, report: CheckReport) -> Iterator[Finding]:
    alike = same_names([label.label for label in target.labels])
    if alike:
        shown = "; ".join(" and ".join(map(repr, names[:4])) for names in alike[:5])
        yield _finding(
            "warning",
            "similar_label_names",
            f"Labels of {target.name!r} whose names differ only in case, spaces or plural: {shown}"
            f"{f' and {len(alike) - 5} more' if len(alike) > 5 else ''}.",
            "Taken as different labels. Give them one name if they mean the same.",
            count=len(alike),
        )


_TARGET_RULES: tuple[Callable[[TargetReport, CheckReport], Iterator[Finding]], ...] = (
    _renamed,
    _learnable,
    _text_as_label,
    _mixed,
    _rare,
    _unseen,
    _balance,
    _unknown,
    _similar_names,
)


def _conflicts(report: CheckReport, places: Places) -> Iterator[Finding]:
    like = report.likeness
    if like.conflicts:
        texts = f"{like.conflicts:,} text{'s carry' if like.conflicts > 1 else ' carries'}"
        yield _finding(
            "warning",
            "conflicting_labels",
            f"{texts} different labels in different rows ({like.conflict_rows:,} rows).",
            "All rows are kept, and the model learns to be unsure there. Decide which label is right.",
            count=like.conflicts,
            where=places.get(("conflicting_labels",), ()),
        )
    if like.near_conflicts:
        yield _finding(
            "info",
            "near_conflicts",
            f"{_rows_of(like.near_conflicts)} nearly {_repeat(like.near_conflicts)} a row that is labelled otherwise.",
            "Kept. Worth a look: some of them are likely to be label errors.",
            count=like.near_conflicts,
            where=places.get(("near_conflicts",), ()),
        )


def _overlaps(report: CheckReport, places: Places) -> Iterator[Finding]:
    for overlap in report.likeness.overlaps:
        splits = (overlap.split, overlap.other)
        if overlap.same:
            yield _finding(
                "warning",
                "overlap",
                f"{_rows_of(overlap.same)} of the {overlap.split} data ({overlap.share:.1%}) "
                f"{_repeat(overlap.same)} a text of the {overlap.other} data.",
                f"Kept. Figures measured on the {overlap.split} data will flatter: remove them from one of the two.",
                count=overlap.same,
                where=places.get(("overlap", *splits), ()),
            )
        if overlap.near:
            yield _finding(
                "info",
                "near_overlap",
                f"About {_rows_of(overlap.near)} of the {overlap.split} data nearly {_repeat(overlap.near)} a text of "
                f"the {overlap.other} data.",
                f"Kept. Where they are copies, figures measured on the {overlap.split} data will flatter.",
                count=overlap.near,
                where=places.get(("near_overlap", *splits), ()),
            )


def _repeats(report: CheckReport, places: Places) -> Iterator[Finding]:
    kinds = (
        ("duplicates", "exact", "repeat an earlier text exactly"),
        ("loose_duplicates", "loose", "repeat an earlier text but for case and spaces"),
        ("near_duplicates", "near", "nearly repeat an earlier text (an estimate)"),
    )
    for code, attribute, doing in kinds:
        counts = {repeat.split: getattr(repeat, attribute) for repeat in report.likeness.repeats}
        count = sum(counts.values())
        if count:
            by_split = ", ".join(f"{split} {rows:,}" for split, rows in counts.items() if rows)
            many = code != "near_duplicates" and count > _MANY_REPEATS * sum(report.rows.values())
            yield _finding(
                "warning" if many else "info",
                code,
                f"{_rows_of(count)} {doing if count > 1 else doing.replace('repeat', 'repeats', 1)} ({by_split}).",
                "Kept: a repeated row weighs more. Splits that Tamis makes keep equal texts together."
                if code != "near_duplicates"
                else "Kept.",
                count=count,
                where=places.get((code,), ()),
            )


def _window(report: CheckReport) -> Iterator[Finding]:
    window = report.window
    if window and window.tokens and window.rows_over:
        yield _finding(
            "warning" if window.share_over > 0.05 else "info",
            "over_window",
            f"{window.share_over:.1%} of the texts are over the {window.tokens:,} tokens that {window.base} sees.",
            "They are cut: what comes later in a text is not seen.",
            count=window.rows_over,
        )


def _languages(report: CheckReport, base_languages: Sequence[str]) -> Iterator[Finding]:
    """Languages that the base model was not made for, in the first split that has a worthwhile share of them."""
    base = report.window.base if report.window else ""
    for languages in report.languages if base_languages else ():
        told = {code: share for code, share in languages.shares.items() if code != UNDETERMINED and share >= 0.01}
        foreign = [(share, NAMES[code]) for code, share in told.items() if code not in base_languages]
        if languages.measured >= _ENOUGH_TEXTS and sum(share for share, _ in foreign) > 0.05:
            seem = ", ".join(f"{name} ({share:.0%})" for share, name in sorted(foreign, reverse=True)[:5])
            more = f" and {len(foreign) - 5} more languages" if len(foreign) > 5 else ""
            made_for = ", ".join(NAMES.get(code, code) for code in base_languages)
            yield _finding(
                "warning",
                "other_languages",
                f"{base} was made for {made_for}; the {languages.split} data seems to hold {seem}{more}.",
                "Trained on all the same. A multilingual base model is likely to do better (--base).",
            )
            return


def _notes(report: CheckReport) -> Iterator[Finding]:
    trained = {file.name for file in report.files if file.split == _TRAIN}
    for file in report.files:
        if file.split != _TRAIN and file.name in trained:
            yield _finding(
                "info", "split_found", f"{file.name} has {file.split} data of its own.", "It is used as such."
            )
        for warning in _strings(file.detection.get("warnings")):
            yield _finding("warning", "detection", f"{file.name}: {warning}", "Training goes on as detected.")
    by_code: dict[str, list[tuple[str, Mapping[str, object]]]] = defaultdict(list)
    for file in report.files:
        for note in file.notes:
            by_code[str(note["code"])].append((file.name, note))
    for code, notes in by_code.items():
        if code not in _SEPARATE_NOTES:
            yield _remark(code, notes)


def _remark(code: str, notes: Sequence[tuple[str, Mapping[str, object]]]) -> Finding:
    """One finding for all remarks of a kind: what they are of, how often, and where each began."""
    counts: dict[str, int] = defaultdict(int)
    first: dict[tuple[str, int], None] = {}
    for file, note in notes:
        counts[str(note["detail"])] += _number(note["count"])
        if _number(note["line"]):
            first[file, _number(note["line"])] = None
    details = [detail for detail in counts if detail]
    of = f" ({_named(details)})" if details else ""
    total = sum(counts.values())
    said = NOTES.get(code, code)
    return _finding(
        "info",
        code,
        f"{said[:1].upper()}{said[1:]}{of}, {total:,} time{'' if total == 1 else 's'}.",
        "Nothing to do if that is as you meant it.",
        count=total,
        where=tuple((Place(file=file, line=line),) for file, line in list(first)[:5]),
    )


def _finding(
    severity: Severity, code: str, message: str, action: str, count: int = 0, where: tuple[Group, ...] = ()
) -> Finding:
    return Finding(severity=severity, code=code, message=message, action=action, count=count, where=where)


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _strings(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list | tuple) else []


def _named(labels: Sequence[str], most: int = 5) -> str:
    more = f" and {len(labels) - most:,} more" if len(labels) > most else ""
    return ", ".join(map(repr, labels[:most])) + more


def _allowed(share: float) -> str:
    return f"a share of {share:.1%} is allowed" if share else "none is allowed"


def _rows_of(count: int) -> str:
    return f"{count:,} row" + ("" if count == 1 else "s")


def _labels_of(labels: Sequence[object]) -> str:
    return f"{len(labels):,} label" + ("" if len(labels) == 1 else "s")


def _have(labels: Sequence[object]) -> str:
    return "has" if len(labels) == 1 else "have"


def _repeat(count: int) -> str:
    return "repeats" if count == 1 else "repeat"
