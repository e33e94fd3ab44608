"""The thresholds of a model's labels: what each gives, moved by hand or chosen for a purpose, kept as a new version."""

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
from tamis.workspace.thresholds import NewThresholds

if TYPE_CHECKING:
    from tamis.store.records import ModelRecord

DIGITS = 3
"""Of thresholds as forms have them."""

MOST_OBJECTIVE, MOST_LABELS = 200, 300

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
    """Keep the model with these thresholds as its next version."""
    model = model_of(visit)
    said = visit.sent("target")
    place = int(said) if said.isascii() and said.isdigit() and len(said) < 8 else 0
    asked = Asked(place, visit.sent("optimise").strip()[:MOST_OBJECTIVE])
    names = _multi(model)
    if asked.place >= len(names):
        raise InvalidRequest("There is no such target.", loc=["body", "target"])
    name = names[asked.place]
    try:
        fixed = _moved(visit, model, asked, name)
        if not fixed and not asked.objective:
            return _page(visit, model, asked, wrong="No threshold was moved: move one, or choose a purpose.")
        new = NewThresholds(optimise=[asked.objective] if asked.objective else [], fixed=fixed, target=name)
        made = visit.workspace.thresholds.change(model.id, new, created_by=visit.caller).model
    except InvalidRequest as error:
        return _page(visit, model, asked, wrong=plainly(error))
    if made is None:  # only a dry run makes nothing
        return _page(visit, model, asked)
    told = f"{made.name}@{made.version} has these thresholds. Aliases stay where they are."
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
    if names:
        try:
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
        curves=curves,
        objective=objective,
        purposes=PURPOSES,
        sent=visit.form,
        wrong=wrong,
        status=400 if wrong and visit.request.method == "POST" else 200,
    )


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
