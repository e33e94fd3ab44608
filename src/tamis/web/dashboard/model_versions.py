"""Versions of a model and the aliases that point at them: moved, if that is asked for only where it is no worse."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import Response

from tamis.errors import Conflict, InvalidRequest, InvalidSetting, ModelError, NotFound, UnknownOperation
from tamis.web.auth import INFER, TRAIN
from tamis.web.dashboard.listing import ON_A_PAGE, Asked, Listing
from tamis.web.dashboard.lists import ModelRow
from tamis.web.dashboard.model import model_of, model_page, plainly
from tamis.web.dashboard.model_quality import data_files
from tamis.web.dashboard.pages import Pages
from tamis.web.dashboard.visits import Visit
from tamis.workspace.background import LIVE, SUCCESS
from tamis.workspace.promotions import FIGURE_WORDS, KIND, Outcome, name_of
from tamis.workspace.promotions import Asked as Promotion

if TYPE_CHECKING:
    from tamis.store.records import ModelRecord, OperationRecord
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
    place = f"/ui/models/{model.id}/versions"
    alias, rule = visit.sent("alias").strip(), visit.sent("rule")
    try:
        if rule == NOW:
            visit.workspace.aliases.set(alias, model.id, by=visit.caller)
            return visit.go(place, f"{alias} points at {name_of(model)} now.")
        if not visit.sent("file"):
            raise InvalidRequest("Choose a file with labelled texts: the versions are measured on it.")
        asked = Promotion(
            alias=alias,
            model=model.id,
            conditions=conditions_of(model, rule, visit.sent("conditions")),
            data="",
            first=True,
            allow_label_changes=visit.sent("allow_label_changes") == "yes",
            allow_unmeasured=visit.sent("allow_unmeasured") == "yes",
            dry_run=visit.sent("act") == "try",
            by=visit.caller,
        )
        begun = visit.workspace.promotions.begin(asked, visit.sent("file"))
    except (InvalidSetting, InvalidRequest, Conflict, NotFound, ModelError) as error:
        return _page(visit, model, wrong=plainly(error))
    if isinstance(begun, Outcome):
        return visit.go(place, begun.why, "info")
    return visit.go(f"{place}?promotion={begun.id}#outcome")


@pages.post("/models/{model_id}/promotions/{promotion_id}/stop", TRAIN)
def stop(visit: Visit) -> Response:
    """End the measuring: nothing moves."""
    model = model_of(visit)
    record = visit.workspace.operations.get(visit.request.path_params["promotion_id"], KIND, model.id)
    visit.workspace.operations.cancel(record.id)
    return visit.go(f"/ui/models/{model.id}/versions?promotion={record.id}#outcome")


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


def _promotion(visit: Visit, model: ModelRecord) -> OperationRecord | None:
    """Return the promotion that the address names, or one that goes on."""
    operations = visit.workspace.operations
    if asked := visit.asked("promotion"):
        with suppress(UnknownOperation):
            return operations.get(asked, KIND, model.id)
    found, _ = operations.list(0, 1, {"kind": KIND, "model_id": model.id, "status": LIVE})
    return next((each for each in found if each.status in LIVE), None)


def _choice(visit: Visit, model: ModelRecord, promotion: OperationRecord | None) -> dict[str, str]:
    """Return what the form says at first: what was sent, or asked of the promotion that is shown."""
    told = promotion.told if promotion else {}
    conditions = list(told.get("conditions", ()))
    rules = [rule for rule in CONDITIONS if conditions_of(model, rule, "") == conditions]
    known = {"rule": next(iter(rules), OWN if conditions else RULES[0][0])}
    known |= {"conditions": "" if rules else "\n".join(conditions)}
    known |= {"alias": str(told.get("alias", "")), "file": str(told.get("file", ""))}
    known |= {name: "yes" if told.get(name) else "" for name in ("allow_label_changes", "allow_unmeasured")}
    return {name: visit.sent(name) or value for name, value in known.items()}


def _page(visit: Visit, model: ModelRecord, wrong: str = "") -> Response:
    models, asked = visit.workspace.models, Asked.of(visit)
    found, total = models.page(asked.page - 1, ON_A_PAGE, {"name": model.name})
    names = models.alias_names()
    trains = visit.may(TRAIN)
    latest = visit.workspace.evaluations.latest(model.id) if trains else None
    promotion = _promotion(visit, model) if trains else None
    choice = _choice(visit, model, promotion)
    return model_page(
        visit,
        model,
        "model_versions.html",
        listing=Listing(asked, [ModelRow(each, names.get(each.id, ())) for each in found], total),
        pointing=_pointing(visit, model, names),
        all_aliases=sorted(name for each in names.values() for name in each)[:MOST_ALIASES],
        files=data_files(visit) if trains else [],
        wanted=choice["file"] or (str(latest.told.get("file", "")) if latest else ""),
        rules=RULES,
        choice=choice,
        figure_words=FIGURE_WORDS,
        in_figures=in_figures,
        wrong=wrong,
        promotion=promotion,
        measures=promotion is not None and promotion.status in LIVE,
        report=visit.workspace.promotions.report(promotion) if promotion and promotion.status == SUCCESS else None,
        status=400 if wrong else 200,
    )


def in_figures(condition: str) -> str:
    """Return a condition with its figure in words, and beside what it is compared with."""
    figure, _, rest = condition.partition(" ")
    rest = re.sub(r"([<>]=?) current\b", r"\1 the one before", rest)
    rest = re.sub(r"(?<=[0-9])pp\b", " points", rest)
    return f"{FIGURE_WORDS.get(figure, figure)} {rest}"


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
