"""One row of the review queue as its page shows it: the text, why it is there, and labels to choose from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tamis.errors import TamisError
from tamis.web.dashboard.formats import plain
from tamis.workspace.looks import input_of

if TYPE_CHECKING:
    from tamis.store.records import LookRecord, ModelRecord
    from tamis.workspace.workspace import Workspace

NUMBERED = 9
"""Labels that a key picks."""

MOST_LISTED = 300
"""Labels of a target that are listed; of more, the rest is typed."""

MOST_SUGGESTED = 2_000
"""Labels that are suggested while one types."""

DOUBTED = ("suspect", "correction")
"""Reasons for which what is proposed goes before what the file has."""

Form = Mapping[str, Sequence[str]]
Scores = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Choice:
    """A label to choose: what the model says of it, whether it is proposed, whether the file has it."""

    label: str
    score: float | None
    proposed: bool
    given: bool
    chosen: bool


@dataclass(frozen=True, slots=True)
class ShownTarget:
    """A question about a row: the labels that come first, the others, and what was typed.

    `several` labels may be chosen. `unlisted` is how many are neither among the first nor the others. The model is
    `unsure` of it.
    """

    name: str
    several: bool
    first: tuple[Choice, ...]
    others: tuple[Choice, ...]
    suggested: tuple[str, ...]
    unlisted: int
    typed: str = ""
    none: bool = False
    unsure: bool = False


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A row to look at: `text`, or the `turns` of a chat as (role, content)."""

    look: LookRecord
    text: str
    turns: tuple[tuple[str, str], ...]
    targets: tuple[ShownTarget, ...]
    differing: tuple[tuple[str, tuple[tuple[str, tuple[str, ...]], ...]], ...] = ()
    unscored: str = ""


def shown_row(
    workspace: Workspace, model: ModelRecord, look: LookRecord, form: Mapping[str, Sequence[str]]
) -> ShownRow:
    """Return a row as its page shows it; what a form says that could not be taken stays chosen."""
    scores, trouble = _scores(workspace, model, look)
    is_chat = not isinstance(look.input, str)
    targets = [
        _target(place, target, look, scores.get(str(target["name"]), {}), form)
        for place, target in enumerate(model.targets)
    ]
    return ShownRow(
        look=look,
        text="" if is_chat else look.input,
        turns=tuple((str(each["role"]), str(each["content"])) for each in look.input) if is_chat else (),
        targets=tuple(targets),
        differing=_differing(look),
        unscored=trouble,
    )


def answered_labels(model: ModelRecord, form: Form) -> dict[str, list[str]]:
    """Return what a form says of each of a model's targets; those that it says nothing of are left out."""
    found: dict[str, list[str]] = {}
    for place, target in enumerate(model.targets):
        name = str(target["name"])
        picked = list(form.get(f"label-{place}", ()))
        typed = next(iter(form.get(f"typed-{place}", ())), "").strip()
        said = f"none-{place}" in form
        several = target.get("kind") == "multi_label"
        if typed:
            picked = [*picked, typed] if several else [typed]
        if picked:
            known = {plain(label): str(label) for label in target.get("labels", ())}
            found[name] = [known.get(label, label) for label in picked]
        elif said:
            found[name] = []
    return found


def _target(
    place: int,
    target: Mapping[str, Any],
    look: LookRecord,
    scores: Mapping[str, float],
    form: Mapping[str, Sequence[str]],
) -> ShownTarget:
    name, labels = str(target["name"]), [str(label) for label in target.get("labels", ())]
    several = target.get("kind") == "multi_label"
    proposed, given = set(look.proposed.get(name, ())), set(look.given.get(name, ()))
    before = look.answer.get(name) if look.answer else None
    start = before if before is not None else _start(name, look)
    typed = next(iter(form.get(f"typed-{place}", ())), "")
    sent = form.get(f"label-{place}")
    chosen = set(sent or ()) if sent or typed.strip() else set(start or ())
    if typed.strip() and not several:
        chosen = set()  # what is typed goes before what was picked
    urgent = proposed | given | chosen
    ranked = sorted(labels, key=lambda label: (label not in urgent, -scores.get(label, 0.0)))[:MOST_LISTED]
    shown = [
        Choice(label, scores.get(label), label in proposed, label in given, plain(label) in chosen or label in chosen)
        for label in ranked
    ]
    head = shown[:NUMBERED]
    head.sort(key=lambda choice: -(choice.score or 0.0))
    return ShownTarget(
        name=name,
        several=several,
        first=tuple(head),
        others=tuple(sorted(shown[NUMBERED:], key=lambda choice: choice.label.lower())),
        suggested=tuple(labels[:MOST_SUGGESTED]),
        unlisted=max(0, len(labels) - MOST_LISTED),
        typed=typed,
        none=(f"none-{place}" in form) or (not several and start is not None and not start and not typed),
        unsure=name in look.source.get("unsure", ()),
    )


def _start(name: str, look: LookRecord) -> Sequence[str] | None:
    """What is chosen to begin with: what the file has, unless that is what somebody or something doubts."""
    both = (look.proposed.get(name), look.given.get(name))
    first, second = both if look.reason in DOUBTED else both[::-1]
    return first if first is not None else second


def _scores(workspace: Workspace, model: ModelRecord, look: LookRecord) -> tuple[dict[str, Scores], str]:
    """What the newest version says of the row now; nothing where it cannot be asked, and why."""
    try:
        served = workspace.classifier.served(model.id)
        found = served.scores([input_of(look.input)])
    except TamisError as error:
        return {}, error.for_callers
    return {
        target.name: dict(zip(target.labels, (float(score) for score in found[target.name][0]), strict=True))
        for target in served.predictor.targets
    }, ""


def _differing(look: LookRecord) -> tuple[tuple[str, tuple[tuple[str, tuple[str, ...]], ...]], ...]:
    """What the two versions said that do not agree, by version."""
    versions, said = look.source.get("versions"), look.source.get("said")
    if not isinstance(versions, list) or not isinstance(said, list):
        return ()
    return tuple(
        (str(version), tuple((str(name), tuple(map(str, labels))) for name, labels in each.items()))
        for version, each in zip(versions, said, strict=False)
        if isinstance(each, dict)
    )
