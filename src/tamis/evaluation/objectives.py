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
MOST_LOSS = 0.5
"""The largest share of answers that an abstain rule may cost."""

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
    `abstain_loss` is the share of answers that single-label targets may leave out, of all or by target.
    """

    objective: Objective | None = None
    shared: bool = False
    labels: Mapping[str, Objective] = field(default_factory=dict)
    fixed: Mapping[str, float] = field(default_factory=dict)
    abstain_loss: float | Mapping[str, float] | None = None

    def __bool__(self) -> bool:
        """Whether anything is wanted."""
        return self.of_labels or (self.abstain_loss is not None and self.abstain_loss != {})

    @property
    def of_labels(self) -> bool:
        """Whether anything is wanted of the thresholds of labels."""
        return self.objective is not None or bool(self.labels) or bool(self.fixed)

    def losses(self, targets: Sequence[Target], only: str | None = None) -> dict[str, float]:
        """Return the share of its answers that each single-label target may leave out, where that is said.

        Args:
            targets: those of the model.
            only: the one target that is meant where a share is for all; None: all that answer with one label.

        Raises:
            InvalidSetting: a target that is meant is multi-label, or none is single-label.
            UndeclaredLabel: there is no such target.
        """
        if self.abstain_loss is None:
            return {}
        if isinstance(self.abstain_loss, Mapping):
            return {_single(targets, name).name: loss for name, loss in self.abstain_loss.items()}
        meant = [target for target in targets if not target.is_multi] if only is None else [_single(targets, only)]
        return {target.name: self.abstain_loss for target in meant or [_single(targets, targets[0].name)]}

    def of(self, targets: Sequence[Target], only: str | None = None) -> dict[str, Wanted]:
        """Return what is wanted of each target that it concerns.

        Args:
            targets: those of the model.
            only: the one target that is meant; None: all that have thresholds.

        Raises:
            InvalidSetting: a target that is meant is single-label, or a label's name is that of several.
            UndeclaredLabel: there is no such label or target.
        """
        if not self.of_labels:
            return {}
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
    if only is not None:
        require_target(targets, only)
    meant = [target for target in targets if target.is_multi and only in (None, target.name)]
    if not meant:
        name = only or targets[0].name
        raise InvalidSetting(
            f"Target {name!r} is single-label: it answers with the label of the highest score, so there is no "
            "threshold to choose. To have no answer where the model is not sure, give --abstain-loss 0.03. "
            "Thresholds are for targets whose rows may have several labels (write the labels as lists).",
            for_callers=f"Target {name!r} is single-label: it answers with the label of the highest score, so there is "
            "no threshold to choose. To have no answer where the model is not sure, give `abstain_loss`.",
            setting="optimise" if only is None else "target",
            target=name,
        )
    return meant


def require_target(targets: Sequence[Target], name: str, setting: str = "target") -> Target:
    """Return the target of that name; `setting`: what named it.

    Raises:
        UndeclaredLabel: there is none.
    """
    found = next((target for target in targets if target.name == name), None)
    if found is None:
        names = ", ".join(sorted(target.name for target in targets))
        raise UndeclaredLabel(f"There is no target {name!r}: there are {names}.", setting=setting)
    return found


def _single(targets: Sequence[Target], name: str) -> Target:
    target = require_target(targets, name, "abstain_loss")
    if target.is_multi:
        raise InvalidSetting(
            f"Target {name!r} is multi-label: it says 'none of these' by giving no label, from the thresholds of its "
            "labels on. An abstain loss is for targets that answer with one label.",
            setting="abstain_loss",
            target=name,
        )
    return target


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
    optimise: str | Sequence[str] | None = None,
    fixed: Mapping[str, float] | None = None,
    *,
    shared: bool = False,
    abstain_loss: float | Mapping[str, float] | None = None,
) -> Purpose:
    """Return what texts ask for.

    Args:
        optimise: objectives: one for all labels (after `shared:`, one threshold for all of them) and, as
            `LABEL=OBJECTIVE`, others for single labels.
        fixed: thresholds by label.
        shared: as if `shared:` stood before the objective.
        abstain_loss: the share of answers that single-label targets may leave out, of all or by target.

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
    return Purpose(whole, shared, labels, by_hand, _losses(abstain_loss))


def require_purpose(purpose: Purpose) -> Purpose:
    """Return a purpose that asks for something.

    Raises:
        InvalidSetting: it asks for nothing.
    """
    if not purpose:
        raise InvalidSetting(
            f"Nothing is asked for: say what thresholds are to do with --optimise ({FORMS}), set some with --set "
            "LABEL=0.4, or say with --abstain-loss 0.05 what single-label targets may leave unanswered.",
            for_callers=f"Nothing is asked for: give `optimise` ({FORMS}), thresholds by label as `set`, or "
            "`abstain_loss`.",
            setting="optimise",
        )
    return purpose


def parse_fixed(texts: Sequence[str]) -> dict[str, float]:
    """Return thresholds by label from texts like `LABEL=0.4`.

    Raises:
        InvalidSetting: one is not of that form, or a label is there twice.
    """
    return _numbers(texts, "set", ("label", "LABEL=THRESHOLD, such as toxic=0.4", "threshold"))


def parse_losses(texts: Sequence[str]) -> float | Mapping[str, float] | None:
    """Return the abstain loss that texts write: `0.05` for all single-label targets, or `TARGET=0.05` for one each.

    Raises:
        InvalidSetting: one is not of that form, or they contradict each other.
    """
    if len(texts) == 1 and "=" not in texts[0]:
        return _losses(_written(texts[0], texts[0], "abstain_loss"))
    return _numbers(texts, "abstain_loss", ("target", "TARGET=SHARE each, or one share for all", "share")) or None


def _numbers(texts: Sequence[str], setting: str, words: tuple[str, str, str]) -> dict[str, float]:
    """Numbers by name; `words`: what the names are of, what is to be given, what the numbers are."""
    of, form, what = words
    found: dict[str, float] = {}
    for text in texts:
        name, equals, number = text.rpartition("=")
        if not name.strip() or not equals:
            raise InvalidSetting(f"{text!r}: give {form}.", setting=setting)
        if name.strip() in found:
            raise InvalidSetting(f"{text!r}: the {of} {name.strip()!r} has a {what} already.", setting=setting)
        found[name.strip()] = _written(text, number, setting)
    return found


def _written(text: str, number: str, setting: str) -> float:
    try:
        return float(number)
    except ValueError:
        raise InvalidSetting(
            f"{text!r}: {number.strip()!r} is no number: give one from 0 to {1 if setting == 'set' else MOST_LOSS:g}.",
            setting=setting,
        ) from None


def _losses(given: float | Mapping[str, float] | None) -> float | Mapping[str, float] | None:
    """The same, where all are shares that a rule may cost."""
    for loss in given.values() if isinstance(given, Mapping) else () if given is None else (given,):
        if not isinstance(loss, int | float) or isinstance(loss, bool) or not 0 <= loss <= MOST_LOSS:
            raise InvalidSetting(
                f"The abstain loss {loss!r} is not from 0 to {MOST_LOSS:g}: it is the share of answers that may be "
                "left out, such as 0.05.",
                setting="abstain_loss",
            )
    return given


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
