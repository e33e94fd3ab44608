"""The thresholds of a model's labels, and how sure it must be to answer: what each gives; others, as a new version.

Labels of multi-label targets have thresholds, moved by hand or chosen for a purpose. Single-label targets may leave out
the texts that they are least sure of: by how many, is moved here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import Response

from tamis.errors import InvalidRequest, TamisError
from tamis.web.auth import TRAIN
from tamis.web.dashboard.model import model_of, model_page, plainly
from tamis.web.dashboard.model_quality import number_asked
from tamis.web.dashboard.pages import Pages
from tamis.web.dashboard.visits import Visit
from tamis.workspace.thresholds import Json, NewThresholds

if TYPE_CHECKING:
    from tamis.store.records import ModelRecord

DIGITS = 3
"""Of thresholds as forms have them."""

PERCENT, MOST_PERCENT, PERCENT_DIGITS = 100, 50, 2
"""Shares of texts that may go unanswered, as forms have them."""

MOST_OBJECTIVE, MOST_LABELS, MOST_TARGETS = 200, 300, 50

PURPOSES = (
    ("", "as they are", ""),
    ("f1", "Balanced", "as many right labels as possible, misses and false alarms count alike (F1)"),
    ("precision>=0.95", "Few false alarms", "of the rows given a label, 95 of 100 are to carry it (precision)"),
    ("recall>=0.9", "Few misses", "of the rows that carry a label, 90 of 100 are to be found (recall)"),
    ("cost:fp=1,fn=5", "By cost", "a miss costs five times what a false alarm does"),
)

pages = Pages()


@dataclass(frozen=True, slots=True)
class Asked:
    """Which thresholds a visitor looks at: of the target at this place, for an objective ("": the model's own)."""

    place: int
    objective: str = ""


@pages.get("/models/{model_id}/thresholds", TRAIN)
def thresholds(visit: Visit) -> Response:
    """Show the thresholds; for an objective, those that would be chosen."""
    asked = Asked(number_asked(visit, "target") or 0, visit.asked("optimise").strip()[:MOST_OBJECTIVE])
    return _page(visit, model_of(visit), asked)


@pages.post("/models/{model_id}/thresholds", TRAIN)
def save(visit: Visit) -> Response:
    """Keep the model with these thresholds, and sure to this degree where it answers, as its next version."""
    model = model_of(visit)
    said = visit.sent("target")
    place = int(said) if said.isascii() and said.isdigit() and len(said) < 8 else 0
    asked = Asked(place, visit.sent("optimise").strip()[:MOST_OBJECTIVE])
    names = _multi(model)
    if asked.place >= max(1, len(names)):
        raise InvalidRequest("There is no such target.", loc=["body", "target"])
    name = names[asked.place] if names else None
    optimise = [asked.objective] if asked.objective and name else []
    try:
        fixed = {} if name is None else _moved(visit, model, asked, name)
        losses = _losses(visit, model)
        if not fixed and not losses and not optimise:
            return _page(visit, model, asked, wrong="Nothing was moved: move something, or choose a purpose.")
        new = NewThresholds(optimise=optimise, fixed=fixed, target=name, abstain_loss=losses or None)
        made = visit.workspace.thresholds.change(model.id, new, created_by=visit.caller).model
    except InvalidRequest as error:
        return _page(visit, model, asked, wrong=plainly(error))
    if made is None:  # only a dry run makes nothing
        return _page(visit, model, asked)
    told = f"{made.name}@{made.version} is the model with what you chose. Aliases stay where they are."
    return visit.go(f"/ui/models/{made.id}/thresholds?target={asked.place}", told)


def _multi(model: ModelRecord) -> list[str]:
    return [str(target["name"]) for target in model.targets if target.get("kind") == "multi_label"]


def _moved(visit: Visit, model: ModelRecord, asked: Asked, name: str) -> dict[str, float]:
    """The thresholds of a form that are not those which stood in it when it was shown.

    Raises:
        InvalidRequest: one is no number from 0 to 1.
    """
    shown, moved = _told(visit, model, asked, name), dict[str, float]()
    for place, label in enumerate(shown["labels"]):
        said = visit.sent(f"t-{place}").strip()
        try:
            value = float(said) if said else label["threshold"]
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1:
            raise InvalidRequest(f"The threshold of {label['label']} is no number from 0 to 1.", loc=["body", "set"])
        if round(value, DIGITS) != round(label["threshold"], DIGITS):
            moved[label["label"]] = value
    return moved


def _losses(visit: Visit, model: ModelRecord) -> dict[str, float]:
    """What single-label targets may leave unanswered, where a form says another share than stood in it.

    Raises:
        InvalidRequest: one is no share that may be asked for.
    """
    moved = dict[str, float]()
    for place, (name, rule) in enumerate(visit.workspace.thresholds.rules(model.id).items()):
        said, before = visit.sent(f"a-{place}").strip(), round(PERCENT * rule["loss"], PERCENT_DIGITS)
        try:
            value = float(said) if said else before
        except ValueError:
            value = -1.0
        if not 0 <= value <= MOST_PERCENT:
            raise InvalidRequest(
                f"What {name} may leave unanswered is no share from 0 to {MOST_PERCENT} %.",
                loc=["body", "abstain_loss"],
            )
        if round(value, PERCENT_DIGITS) != before:
            moved[name] = value / PERCENT
    return moved


def _told(visit: Visit, model: ModelRecord, asked: Asked, name: str) -> Mapping[str, Any]:
    """What the thresholds of a target give: the model's own, or those for an objective."""
    if not asked.objective:
        return visit.workspace.thresholds.look(model.id, name).targets[name]
    new = NewThresholds(optimise=[asked.objective], target=name)
    return visit.workspace.thresholds.change(model.id, new, dry_run=True).targets[name]


def _page(visit: Visit, model: ModelRecord, asked: Asked, wrong: str = "") -> Response:
    names = _multi(model)
    place = asked.place if asked.place < len(names) else 0
    told: Mapping[str, Any] | None = None
    curves: Mapping[str, Any] = {}
    places: list[int] = []
    objective = asked.objective
    rules: list[tuple[str, Json]] = []
    try:
        rules = list(visit.workspace.thresholds.rules(model.id).items())
        if names:
            own = visit.workspace.thresholds.look(model.id, names[place]).targets[names[place]]
            places = shown_of(own["labels"])
            told, curves = own, _small(own["curves"], [own["labels"][at] for at in places])
            told = _told(visit, model, Asked(place, objective), names[place]) if objective else own
    except InvalidRequest as error:
        objective, wrong = "", wrong or plainly(error)
    except TamisError as error:
        wrong = wrong or plainly(error)
    return model_page(
        visit,
        model,
        "model_thresholds.html",
        names=names,
        place=place,
        told=told,
        shown=[(at, told["labels"][at]) for at in places] if told else [],
        curves={**curves, "rules": [_points(rule) for _, rule in rules[:MOST_TARGETS]]},
        rules=[_rule(name, rule) for name, rule in rules[:MOST_TARGETS]],
        n_rules=len(rules),
        objective=objective,
        purposes=PURPOSES,
        sent=visit.form,
        wrong=wrong,
        status=400 if wrong and visit.request.method == "POST" else 200,
    )


def _rule(name: str, rule: Mapping[str, Any]) -> dict[str, Any]:
    """An abstain rule as its row has it."""
    every = rule["curve"][0]["accuracy"] if rule["curve"] else None
    return {**rule, "name": name, "percent": f"{PERCENT * rule['loss']:.4g}", "every": every}


def _points(rule: Mapping[str, Any]) -> list[list[float | None]]:
    """What each share that may go unanswered gives: that share in percent, and what its row shows."""
    figures = ("coverage", "accuracy", "oos_recall")
    return [[PERCENT * point["loss"], *_digits([point[name] for name in figures])] for point in rule["curve"]]


def shown_of(labels: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return the places of the labels that a page has room for, in their order: those with the most rows."""
    frequent = sorted(range(len(labels)), key=lambda at: -(labels[at]["support"] or 0))
    return sorted(frequent[:MOST_LABELS])


def _small(curves: Mapping[str, Any], labels: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Curves by the places of labels, with as many digits as can be seen."""
    return {
        "cuts": [round(cut, 4) for cut in curves["thresholds"]],
        "labels": [
            [_digits(curves["labels"][label["label"]][name]) for name in ("precision", "recall")]
            if curves["labels"]
            else None
            for label in labels
        ],
    }


def _digits(values: Sequence[float | None]) -> list[float | None]:
    return [None if value is None else round(value, 3) for value in values]
