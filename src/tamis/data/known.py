"""Targets that are known before the data is read, and that the data may add to: those of a model that grows.

A known target keeps its kind and its labels in their order; labels that only the data has come behind them, sorted, and
so do targets that only the data has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tamis.data.rows import BadRow
from tamis.data.truth import Bools, SingleTruth, Truth
from tamis.schema import Example, Kind, Target


@dataclass(frozen=True, slots=True)
class Added:
    """What data adds to known targets.

    Attributes:
        labels: by known target, its new labels; targets without new ones are not mentioned.
        targets: the names of new targets.
    """

    labels: Mapping[str, tuple[str, ...]]
    targets: tuple[str, ...]

    @classmethod
    def between(cls, known: Sequence[Target], now: Sequence[Target]) -> Added:
        """Return what `now` has that `known` does not."""
        before = {target.name: target for target in known}
        grown = {
            target.name: new
            for target in now
            if target.name in before and (new := _others(target.labels, before[target.name].labels))
        }
        return cls(grown, tuple(target.name for target in now if target.name not in before))

    def told(self) -> str:
        """Return it in words."""
        said = [f"{_counted(len(labels), 'label')} to {name} ({_some(labels)})" for name, labels in self.labels.items()]
        said += [f"the target {name}" for name in self.targets]
        return "; ".join(said) or "no label and no target, only rows"


def grown_targets(known: Sequence[Target], inferred: Sequence[Target]) -> tuple[Target, ...]:
    """Return the known targets with what the data adds, then the targets that only the data has.

    Args:
        known: in the order that they keep.
        inferred: as the rows have them, known targets with their known kinds.
    """
    found = {target.name: target for target in inferred}
    kept = [_grown(target, found.pop(target.name, None)) for target in known]
    return (*kept, *(target for target in found.values() if target.labels))


def of_old_labels(truth: Truth, n_old: int) -> Bools:
    """(rows,) which say something of a target, and nothing of labels behind the first `n_old`."""
    if isinstance(truth, SingleTruth):
        return (truth.codes >= 0) & (truth.codes < n_old)
    return truth.known & ~truth.indicator()[:, n_old:].any(axis=1)


def refuse_several(known: Sequence[Target], example: Example) -> None:
    """Do nothing with a row that has one label at most of each known single-label target.

    Raises:
        BadRow: it has several of one.
    """
    for target in known:
        labels = example.labels.get(target.name, ())
        if target.kind is Kind.SINGLE_LABEL and len(set(labels)) > 1:
            cause = f"The row has {len(set(labels))} labels for {target.name!r}, which is single-label in the model"
            raise BadRow("several_labels", cause)


def _grown(target: Target, found: Target | None) -> Target:
    out_of_scope = () if target.oos_label is None else (target.oos_label,)
    new = _others(found.labels, (*target.labels, *out_of_scope)) if found else ()
    if not new:
        return target
    usual = Target.of(target.name, target.kind, new).none_labels
    return target.model_copy(
        update={"labels": (*target.labels, *new), "none_labels": (*target.none_labels, *usual)},
    )


def _others(labels: Sequence[str], before: Sequence[str]) -> tuple[str, ...]:
    there = frozenset(before)
    return tuple(label for label in labels if label not in there)


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _some(labels: Sequence[str]) -> str:
    shown = ", ".join(labels[:5])
    return shown if len(labels) <= 5 else f"{shown}, …"
