"""Versions of a model and the aliases that point at them: moved, if that is asked for only where it is no worse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import Response

from tamis.errors import Conflict, DataError, InvalidRequest, InvalidSetting, ModelError, NotFound
from tamis.web.auth import INFER, TRAIN
from tamis.web.dashboard.listing import ON_A_PAGE, Asked, Listing
from tamis.web.dashboard.lists import ModelRow
from tamis.web.dashboard.model import model_of, model_page, plainly
from tamis.web.dashboard.model_quality import data_files
from tamis.web.dashboard.pages import Pages
from tamis.web.dashboard.visits import Visit
from tamis.workspace.promotions import Asked as Promotion
from tamis.workspace.promotions import Outcome, name_of

if TYPE_CHECKING:
    from tamis.store.records import ModelRecord
    from tamis.workspace.aliases import History

MOST_MOVES, MOST_ALIASES, MOST_VERSIONS = 10, 50, 200
MOST_CONDITIONS = 4000

NOW, OWN = "now", "own"
RULES = (
    ("not-worse", "Only if it is not worse", "at most 0.5 points lower than the one before, on the file below"),
    ("surely", "Only if it is surely not worse", "the same, and by so much that it is no accident of these rows"),
    ("better", "Only if it is surely better", "higher, and by so much that it is no accident of these rows"),
    (OWN, "By conditions of your own", "written below"),
    (NOW, "In any case", "nothing is measured"),
)
CONDITIONS = {
    "not-worse": "{figure} >= current - 0.5pp",
    "surely": "{figure} >= current - 0.5pp surely",
    "better": "{figure} > current surely",
}

pages = Pages()


@dataclass(frozen=True, slots=True)
class Pointing:
    """An alias, the version that it points at, and its last moves."""

    name: str
    model: ModelRecord
    history: History

    @property
    def can_go_back(self) -> bool:
        """Whether it may have pointed elsewhere before."""
        return self.history.total > 1


@pages.get("/models/{model_id}/versions", INFER)
def versions(visit: Visit) -> Response:
    """Show the versions, the aliases and their history, and what moves one."""
    return _page(visit, model_of(visit))


@pages.post("/models/{model_id}/versions", TRAIN)
def point(visit: Visit) -> Response:
    """Point an alias at this version, if what is asked holds; `act` is "try" to only find out whether it does."""
    model = model_of(visit)
    alias, rule = visit.sent("alias").strip(), visit.sent("rule")
    try:
        if rule == NOW:
            visit.workspace.aliases.set(alias, model.id, by=visit.caller)
            return visit.go(f"/ui/models/{model.id}/versions", f"{alias} points at {name_of(model)} now.")
        if not visit.sent("file"):
            raise InvalidRequest("Choose a file with labelled texts: the versions are measured on it.")
        asked = Promotion(
            alias=alias,
            model=model.id,
            conditions=conditions_of(model, rule, visit.sent("conditions")),
            data="",
            first=True,
            allow_label_changes=visit.sent("allow_label_changes") == "yes",
            dry_run=visit.sent("act") == "try",
            by=visit.caller,
        )
        outcome = visit.workspace.promotions.promote_by_file(asked, visit.sent("file"))
    except (InvalidSetting, InvalidRequest, Conflict, NotFound, DataError, ModelError) as error:
        return _page(visit, model, wrong=plainly(error))
    if outcome.moved:
        return visit.go(f"/ui/models/{model.id}/versions", outcome.why)
    return _page(visit, model, outcome=outcome)


def conditions_of(model: ModelRecord, rule: str, own: str) -> list[str]:
    """Return the conditions that a choice of the form stands for.

    Raises:
        InvalidRequest: it stands for none.
    """
    if rule == OWN:
        return [line.strip() for line in own[:MOST_CONDITIONS].splitlines() if line.strip()]
    if rule not in CONDITIONS:
        raise InvalidRequest("Say under which condition the alias is to be moved.", loc=["body", "rule"])
    several = any(target.get("kind") == "multi_label" for target in model.targets)
    return [CONDITIONS[rule].format(figure="micro_f1" if several else "accuracy")]


@pages.post("/models/{model_id}/roll-back", TRAIN)
def roll_back(visit: Visit) -> Response:
    """Point an alias at the model that it pointed at before."""
    model = model_of(visit)
    try:
        moved = visit.workspace.aliases.roll_back(visit.sent("alias"), by=visit.caller)
    except (Conflict, NotFound) as error:
        return _page(visit, model, wrong=plainly(error))
    return visit.go(f"/ui/models/{model.id}/versions", f"{moved.name} points at {name_of(moved.model)} again.")


@pages.post("/models/{model_id}/aliases/{alias}/drop", TRAIN)
def drop(visit: Visit) -> Response:
    """Delete an alias."""
    model, alias = model_of(visit), visit.request.path_params["alias"]
    try:
        visit.workspace.aliases.drop(alias, by=visit.caller)
    except NotFound as error:
        return _page(visit, model, wrong=plainly(error))
    return visit.go(f"/ui/models/{model.id}/versions", f"{alias} is dropped.")


def _page(visit: Visit, model: ModelRecord, wrong: str = "", outcome: Outcome | None = None) -> Response:
    models, asked = visit.workspace.models, Asked.of(visit)
    found, total = models.page(asked.page - 1, ON_A_PAGE, {"name": model.name})
    names = models.alias_names()
    trains = visit.may(TRAIN)
    latest = visit.workspace.evaluations.latest(model.id) if trains else None
    return model_page(
        visit,
        model,
        "model_versions.html",
        listing=Listing(asked, [ModelRow(each, names.get(each.id, ())) for each in found], total),
        pointing=_pointing(visit, model, names),
        all_aliases=sorted(name for each in names.values() for name in each)[:MOST_ALIASES],
        files=data_files(visit) if trains else [],
        wanted=visit.sent("file") or (str(latest.told.get("file", "")) if latest else ""),
        rules=RULES,
        rule=visit.sent("rule") or RULES[0][0],
        wrong=wrong,
        outcome=outcome,
        status=400 if wrong else 200,
    )


def _pointing(visit: Visit, model: ModelRecord, names: dict[str, tuple[str, ...]]) -> list[Pointing]:
    """The aliases that point at a version of a name."""
    if not names:
        return []
    line = {each.id: each for each in visit.workspace.models.page(0, MOST_VERSIONS, {"name": model.name})[0]}
    found: list[Pointing] = []
    for model_id, aliases in names.items():
        for alias in aliases if model_id in line else ():
            if len(found) < MOST_ALIASES:
                found.append(Pointing(alias, line[model_id], visit.workspace.aliases.history(alias, 0, MOST_MOVES)))
    return sorted(found, key=lambda each: each.name)
