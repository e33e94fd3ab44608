"""Targets that a caller declares instead of having them inferred, and rows that do not fit them.

A declared target may leave its labels or its kind open: these are inferred from the rows. Rows are left as they are; a
label that is not declared makes a row bad, a target that is not declared is not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from tamis.data.rows import BadRow
from tamis.errors import InvalidSetting
from tamis.schema import Example, Kind, Target

MOST_WEIGHT = 1e6


@dataclass(frozen=True, slots=True)
class DeclaredTarget:
    """What a caller says of a target.

    Attributes:
        name: as the rows have it.
        labels: in the order that scores will have; none: those of the training rows, sorted.
        kind: None: multi-label where any row has a list.
        weight: of its loss in the part of the network that all targets share, beside the other targets' (0 or more).
            With 0 that part learns nothing from it; its own linear head is trained all the same.
        none_labels: labels that mean "nothing applies"; None: those with the usual names.
    """

    name: str
    labels: tuple[str, ...] = ()
    kind: Kind | None = None
    weight: float = 1.0
    none_labels: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            InvalidSetting: an empty name or label, a label twice, a none label that is no label, a negative weight.
        """
        if not self.name.strip():
            raise InvalidSetting("A declared target has no name.", setting="targets")
        if not all(label.strip() for label in self.labels):
            raise InvalidSetting(f"Target {self.name!r} declares a label without a name.", setting="targets")
        if len(set(self.labels)) < len(self.labels):
            twice = next(label for label in self.labels if self.labels.count(label) > 1)
            raise InvalidSetting(f"Target {self.name!r} declares the label {twice!r} twice.", setting="targets")
        if not isfinite(self.weight) or not 0 <= self.weight <= MOST_WEIGHT:
            raise InvalidSetting(
                f"Target {self.name!r} has the weight {self.weight}: give a number from 0 to {MOST_WEIGHT:,.0f}.",
                setting="targets",
            )
        if self.labels and not set(self.none_labels or ()) <= set(self.labels):
            raise InvalidSetting(f"Target {self.name!r} has a none label that is not one of its labels.")

    @classmethod
    def of(cls, target: Target | DeclaredTarget) -> DeclaredTarget:
        """Return a target as a declaration of its name, kind and labels."""
        if isinstance(target, DeclaredTarget):
            return target
        return cls(target.name, target.labels, target.kind, none_labels=target.none_labels)


class Declarations:
    """All targets that a caller declared, by name."""

    def __init__(self, targets: Iterable[Target | DeclaredTarget], oos_label: str | None = None) -> None:
        """Take them in their order; rows with `oos_label` fit whether or not it is declared.

        Raises:
            InvalidSetting: none, two of one name, or all weights are 0.
        """
        declared = [DeclaredTarget.of(target) for target in targets]
        self.targets: Mapping[str, DeclaredTarget] = {target.name: target for target in declared}
        more = [] if oos_label is None else [oos_label]
        self._labels = {target.name: frozenset([*target.labels, *more]) for target in declared if target.labels}
        if not declared:
            raise InvalidSetting("No target is declared: leave targets out to have them inferred.", setting="targets")
        if len(self.targets) < len(declared):
            raise InvalidSetting("Two declared targets have the same name.", setting="targets")
        if not any(target.weight for target in declared):
            raise InvalidSetting("All declared targets have the weight 0: one must weigh something.", setting="targets")

    @property
    def kinds(self) -> dict[str, Kind]:
        """The kinds that are declared."""
        return {name: target.kind for name, target in self.targets.items() if target.kind is not None}

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each target."""
        return {name: target.weight for name, target in self.targets.items()}

    def refuse(self, example: Example) -> None:
        """Do nothing with a row that fits.

        Raises:
            BadRow: it has a label that is not declared, or several of a single-label target.
        """
        for name, labels in example.labels.items():
            known = self._labels.get(name)
            if known is not None and not known.issuperset(labels):
                odd = next(label for label in labels if label not in known)
                raise BadRow("undeclared_label", f"The label {odd!r} is not one of those declared for {name!r}")
        self.refuse_several(example)

    def refuse_several(self, example: Example) -> None:
        """Do nothing with a row that has one label at most of each single-label target.

        Raises:
            BadRow: it has several of one.
        """
        for name, labels in example.labels.items():
            target = self.targets.get(name)
            if target is not None and target.kind is Kind.SINGLE_LABEL and len(set(labels)) > 1:
                cause = f"The row has {len(set(labels))} labels for {name!r}, which is declared to be single-label"
                raise BadRow("several_labels", cause)

    def complete(self, inferred: Sequence[Target]) -> tuple[Target, ...]:
        """Return the declared targets with what was left open taken from the inferred ones, in declared order."""
        by_name = {target.name: target for target in inferred}
        return tuple(self._completed(declared, by_name.get(name)) for name, declared in self.targets.items())

    def _completed(self, declared: DeclaredTarget, inferred: Target | None) -> Target:
        kind = declared.kind or (inferred.kind if inferred else Kind.SINGLE_LABEL)
        labels = declared.labels or (inferred.labels if inferred else ())
        none = declared.none_labels
        return Target.of(declared.name, kind, labels, none)


def with_none_labels(targets: Iterable[Target], marked: Mapping[str, Sequence[str]]) -> tuple[Target, ...]:
    """Return targets with other none labels: those of `marked`, by target; an empty sequence leaves a target without.

    Raises:
        InvalidSetting: a target or a label that is not there, or a single-label target, which has no none labels.
    """
    by_name = {target.name: target for target in targets}
    for name, given in marked.items():
        labels = [given] if isinstance(given, str) else list(given)
        target = by_name.get(name)
        if target is None:
            there = ", ".join(map(repr, list(by_name)[:20]))
            raise InvalidSetting(f"None labels: there is no target {name!r}; there are {there}.", setting="none_labels")
        if not target.is_multi:
            raise InvalidSetting(
                f"None labels: target {name!r} is single-label, where exactly one label applies.", setting="none_labels"
            )
        for label in labels:
            if label not in target.labels:
                raise InvalidSetting(f"None labels: {name!r} has no label {label!r}.", setting="none_labels")
        by_name[name] = target.model_copy(update={"none_labels": tuple(dict.fromkeys(labels))})
    return tuple(by_name.values())


def with_oos_label(targets: Sequence[Target], label: str, carried: Iterable[str]) -> tuple[Target, ...]:
    """Return the targets with a label that means out of scope in the place of one that is learnt.

    Args:
        targets: of the data.
        label: what rows carry that have none of the others.
        carried: the names of the targets for which a row carries it.

    Raises:
        InvalidSetting: no row carries it for a single-label target.
    """
    of = {target.name for target in targets if not target.is_multi} & set(carried)
    if not of:
        raise InvalidSetting(
            f"No row carries the label {label!r} for a single-label target, and it was to mean out of scope: name the "
            "label as the rows have it, or leave it out. (A multi-label target says that with an empty list.)",
            setting="oos_label",
        )
    return tuple(
        target.model_copy(update={"labels": tuple(each for each in target.labels if each != label), "oos_label": label})
        if target.name in of
        else target
        for target in targets
    )
