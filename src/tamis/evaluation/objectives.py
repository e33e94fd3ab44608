"""What thresholds are wanted for, as people write it: `f1`, `precision>=0.95`, `cost:fp=1,fn=5`, `toxic=recall>=0.9`.

A strict reading with messages that name the place and the cure. How thresholds are found is in `purposes`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from math import isfinite

from tamis.errors import InvalidSetting, UndeclaredLabel
from tamis.schema import Target

SHARED = "shared:"
"""How an objective begins that asks for one threshold for all labels."""

MOST_COST = 1e6
MOST_EQUALS = 3
"""Signs = of `LABEL=OBJECTIVE` from the label on: `toxic=cost:fp=1,fn=5`. Those before are the label's."""

Place = tuple[str, int]
"""A target, and a label's place in it."""

FORMS = "f1, micro-f1, macro-f1, precision>=0.95, recall>=0.9 or cost:fp=1,fn=5"
_FLOOR = re.compile(r"(?P<goal>precision|recall)\s*>=\s*(?P<floor>\S+)")
_COST = re.compile(r"cost:\s*fp\s*=\s*(?P<fp>[^,\s]+)\s*,\s*fn\s*=\s*(?P<fn>[^,\s]+)")


class Goal(StrEnum):
    """What a threshold is to make high, or low."""

    F1 = "f1"
    MICRO_F1 = "micro-f1"
    MACRO_F1 = "macro-f1"
    PRECISION = "precision"
    RECALL = "recall"
    COST = "cost"


@dataclass(frozen=True, slots=True)
class Objective:
    """What thresholds are chosen for.

    Attributes:
        goal: F1 means micro-F1 and macro-F1 together, as training does by default. PRECISION and RECALL mean: the other
            one as high as can be while this one is at least `floor`. COST means: as cheap as can be.
        floor: of precision or recall.
        fp: what a label costs that is given wrongly.
        fn: what a label costs that is missing.
    """

    goal: Goal
    floor: float | None = None
    fp: float = 1.0
    fn: float = 1.0

    def __str__(self) -> str:
        """As it is written."""
        if self.floor is not None:
            return f"{self.goal}>={self.floor:g}"
        return f"cost:fp={self.fp:g},fn={self.fn:g}" if self.goal is Goal.COST else self.goal.value


DEFAULT = Objective(Goal.F1)
"""What training chooses thresholds for."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of one target's thresholds, by the places of its labels.

    Attributes:
        objective: of all labels that are not named; None leaves them as they are.
        shared: those labels get one threshold.
        by_label: objectives of single labels.
        fixed: thresholds that are given, not found.
    """

    objective: Objective | None = None
    shared: bool = False
    by_label: Mapping[int, Objective] = field(default_factory=dict)
    fixed: Mapping[int, float] = field(default_factory=dict)

    def __str__(self) -> str:
        """The objective of labels that are not named, as it is written."""
        return "" if self.objective is None else f"{SHARED if self.shared else ''}{self.objective}"


@dataclass(frozen=True, slots=True)
class Purpose:
    """What is wanted of a model's thresholds: an objective for all labels, others for some, some thresholds by hand.

    Labels are written as they are called, or as `TARGET/LABEL` where several targets have one of that name.
    """

    objective: Objective | None = None
    shared: bool = False
    labels: Mapping[str, Objective] = field(default_factory=dict)
    fixed: Mapping[str, float] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anything is wanted."""
        return self.objective is not None or bool(self.labels) or bool(self.fixed)

    def of(self, targets: Sequence[Target], only: str | None = None) -> dict[str, Wanted]:
        """Return what is wanted of each target that it concerns.

        Args:
            targets: those of the model.
            only: the one target that is meant; None: all that have thresholds.

        Raises:
            InvalidSetting: a target that is meant is single-label, or a label's name is that of several.
            UndeclaredLabel: there is no such label or target.
        """
        meant = with_thresholds(targets, only)
        objectives: dict[str, dict[int, Objective]] = {target.name: {} for target in meant}
        fixed: dict[str, dict[int, float]] = {target.name: {} for target in meant}
        places, asked = _places(meant), dict[Place, str]()
        for name in (*self.labels, *self.fixed):
            target, place = _find(name, places, meant, targets)
            if (other := asked.setdefault((target, place), name)) != name:
                raise InvalidSetting(f"{other!r} and {name!r} are the same label: give one.", setting="optimise")
            if name in self.labels:
                objectives[target][place] = self.labels[name]
            else:
                fixed[target][place] = self.fixed[name]
        wanted = {
            target.name: Wanted(self.objective, self.shared, objectives[target.name], fixed[target.name])
            for target in meant
        }
        return {name: each for name, each in wanted.items() if each.objective or each.by_label or each.fixed}


def with_thresholds(targets: Sequence[Target], only: str | None = None) -> list[Target]:
    """Return the targets whose labels have thresholds; `only`: the one that is meant.

    Raises:
        InvalidSetting: there is none, or that one has none.
        UndeclaredLabel: there is no such target.
    """
    several = [target for target in targets if target.is_multi]
    names = {target.name for target in targets}
    if only is not None and only not in names:
        raise UndeclaredLabel(f"There is no target {only!r}: there are {', '.join(sorted(names))}.", setting="target")
    meant = [target for target in several if only in (None, target.name)]
    if not meant:
        name = only or targets[0].name
        raise InvalidSetting(
            f"Target {name!r} is single-label: it answers with the label of the highest score, so there is no "
            "threshold to choose. To have no answer where the model is not sure, train it with --abstain-loss 0.03. "
            "Thresholds are for targets whose rows may have several labels (write the labels as lists).",
            for_callers=f"Target {name!r} is single-label: it answers with the label of the highest score, so there is "
            "no threshold to choose. To have no answer where the model is not sure, use its abstain rule.",
            setting="optimise" if only is None else "target",
            target=name,
        )
    return meant


def parse_objective(text: str) -> Objective:
    """Return the objective that a text writes.

    Raises:
        InvalidSetting: it writes none; the message says what is wrong, and what to write.
    """
    found = _parsed(text)
    if isinstance(found, str):
        raise _bad(text, found)
    return found


def _parsed(text: str) -> Objective | str:
    """The objective, or why there is none."""
    plain = " ".join(text.lower().replace("≥", ">=").split())
    if plain in (Goal.F1, Goal.MICRO_F1, Goal.MACRO_F1):
        return Objective(Goal(plain))
    if found := _FLOOR.fullmatch(plain):
        floor = _number(found["floor"])
        if 0 < floor < 1:
            return Objective(Goal(found["goal"]), floor=floor)
        cure = f", such as {floor / 100:g}" if 1 < floor < 100 else ", such as 0.95"
        return f"a floor is a share between 0 and 1, not {found['floor']}: give one{cure}"
    if found := _COST.fullmatch(plain):
        fp, fn = _number(found["fp"]), _number(found["fn"])
        if 0 < fp <= MOST_COST and 0 < fn <= MOST_COST:
            return Objective(Goal.COST, fp=fp, fn=fn)
        return f"each cost is a number above 0 and up to {MOST_COST:,.0f}; only their proportion matters"
    for goal in (Goal.PRECISION, Goal.RECALL):
        if plain.startswith(goal):
            return f"{goal} takes a floor, with >= before it: {goal}>=0.95"
    if plain.startswith(Goal.COST):
        return "a cost says what a wrong label and a missing one cost: cost:fp=1,fn=5"
    return f"write {FORMS}"


def _number(text: str) -> float:
    """The number that is written, NaN where none is."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def parse_purpose(
    optimise: str | Sequence[str] | None = None, fixed: Mapping[str, float] | None = None, *, shared: bool = False
) -> Purpose:
    """Return what texts ask for.

    Args:
        optimise: objectives: one for all labels (after `shared:`, one threshold for all of them) and, as
            `LABEL=OBJECTIVE`, others for single labels.
        fixed: thresholds by label.
        shared: as if `shared:` stood before the objective.

    Raises:
        InvalidSetting: one cannot be read, or two say different things of the same label.
    """
    whole: Objective | None = None
    labels: dict[str, Objective] = {}
    for text in (optimise,) if isinstance(optimise, str) else optimise or ():
        label, objective, is_shared = _read(text)
        if label is not None:
            if label in labels:
                raise _bad(text, f"the label {label!r} has an objective already: leave one out")
            labels[label] = objective
        elif whole is not None:
            raise _bad(
                text, f"all labels have the objective {whole} already: leave one out, or write LABEL={objective}"
            )
        else:
            whole, shared = objective, shared or is_shared
    if shared and whole is None:
        raise InvalidSetting(
            f"One threshold for all labels needs an objective for all of them: {SHARED}f1.", setting="optimise"
        )
    by_hand = {name: _threshold(name, value) for name, value in (fixed or {}).items()}
    if both := sorted(labels.keys() & by_hand.keys()):
        raise InvalidSetting(
            f"The label {both[0]!r} has an objective and a threshold by hand: give one of them.", setting="optimise"
        )
    return Purpose(whole, shared, labels, by_hand)


def require_purpose(purpose: Purpose) -> Purpose:
    """Return a purpose that asks for something.

    Raises:
        InvalidSetting: it asks for nothing.
    """
    if not purpose:
        raise InvalidSetting(
            f"Nothing is asked for: say what thresholds are to do with --optimise ({FORMS}), or set some with "
            "--set LABEL=0.4.",
            for_callers=f"Nothing is asked for: give `optimise` ({FORMS}), or thresholds by label as `set`.",
            setting="optimise",
        )
    return purpose


def parse_fixed(texts: Sequence[str]) -> dict[str, float]:
    """Return thresholds by label from texts like `LABEL=0.4`.

    Raises:
        InvalidSetting: one is not of that form, or a label is there twice.
    """
    found: dict[str, float] = {}
    for text in texts:
        label, equals, number = text.rpartition("=")
        if not label.strip() or not equals:
            raise InvalidSetting(f"{text!r}: give LABEL=THRESHOLD, such as toxic=0.4.", setting="set")
        if label.strip() in found:
            raise InvalidSetting(f"{text!r}: the label {label.strip()!r} has a threshold already.", setting="set")
        try:
            found[label.strip()] = float(number)
        except ValueError:
            raise InvalidSetting(
                f"{text!r}: {number.strip()!r} is no number: give one from 0 to 1.", setting="set"
            ) from None
    return found


def _read(text: str) -> tuple[str | None, Objective, bool]:
    """The label that a text is about, if any; the objective; whether it is for one threshold of all labels."""
    plain = text.strip()
    if plain.lower().startswith(SHARED):
        return None, parse_objective(plain[len(SHARED) :]), True
    whole = _parsed(plain)
    if isinstance(whole, Objective):
        return None, whole, False
    for equals in [found.start() for found in re.finditer("=", plain)][-MOST_EQUALS:]:
        objective = _parsed(plain[equals + 1 :])
        if isinstance(objective, Objective) and plain[:equals].strip():
            return plain[:equals].strip(), objective, False
    label, equals_sign, rest = plain.partition("=")
    of_label = equals_sign and label.strip() and label[-1] != ">"
    if of_label and not re.match(r"(precision|recall|cost)\b", plain.lower()):
        raise _bad(text, f"of the label {label.strip()!r}, {_parsed(rest)}")
    raise _bad(text, whole)


def _threshold(label: str, value: float) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not isfinite(value) or not 0 <= value <= 1:
        raise InvalidSetting(f"The threshold {value!r} of {label!r} is not from 0 to 1.", setting="set")
    return float(value)


def _bad(text: str, why: str) -> InvalidSetting:
    return InvalidSetting(f"--optimise {text!r}: {why}.", setting="optimise", for_callers=f"optimise {text!r}: {why}.")


def _places(meant: Sequence[Target]) -> dict[str, list[Place]]:
    """Where labels are, by their names and by `TARGET/LABEL`."""
    found: dict[str, list[Place]] = {}
    for target in meant:
        for at, label in enumerate(target.labels):
            for name in (label, f"{target.name}/{label}"):
                found.setdefault(name, []).append((target.name, at))
    return found


def _find(
    name: str, places: Mapping[str, Sequence[Place]], meant: Sequence[Target], targets: Sequence[Target]
) -> Place:
    """The target and the place of a label by its name, or by `TARGET/LABEL`."""
    found = places.get(name, ())
    if len(found) == 1:
        return found[0]
    if found:
        there = " and ".join(sorted({target for target, _ in found}))
        raise InvalidSetting(
            f"The label {name!r} is one of {there}: write TARGET/LABEL, such as {found[0][0]}/{name}.",
            setting="optimise",
        )
    elsewhere = next((t.name for t in targets if not t.is_multi and name in (*t.labels, t.name)), None)
    if elsewhere is not None:
        raise InvalidSetting(
            f"{name!r} belongs to the single-label target {elsewhere!r}, which has no thresholds: it answers with the "
            "label of the highest score.",
            setting="optimise",
        )
    labels = [label for target in meant for label in target.labels]
    alike = get_close_matches(name, labels, n=1)
    there = f"did you mean {alike[0]!r}?" if alike else f"there are {', '.join(labels[:10])}."
    raise UndeclaredLabel(f"There is no label {name!r} with a threshold: {there}", label=name)
