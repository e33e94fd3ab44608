"""Comparing: which models, baselines and LLMs on which file; how far it is; what came of it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastapi import Response

from tamis.errors import InvalidRequest, UnknownFile, UnknownModel
from tamis.web.auth import TRAIN
from tamis.web.dashboard.downloads import download
from tamis.web.dashboard.failures import in_words
from tamis.web.dashboard.formats import plain
from tamis.web.dashboard.listing import ON_A_PAGE, Asked, Listing
from tamis.web.dashboard.lists import ModelRow
from tamis.web.dashboard.pages import Pages
from tamis.web.dashboard.visits import Visit
from tamis.workspace.background import LIVE, STATES, SUCCESS
from tamis.workspace.comparisons import AskedLlm, EarlierLlm, NewComparison

if TYPE_CHECKING:
    from tamis.store.records import FileRecord, OperationFilters, OperationRecord

OFFERED_MODELS, OFFERED_FILES, OFFERED_ANSWERS = 12, 100, 20
LLM_LINES = 3
"""LLMs that the form has room for."""

MOST_CHOSEN = 20
BASELINES = (
    ("tfidf", "TF-IDF baseline", "counts words and weighs them: the usual simple classifier, a fair peer"),
    ("majority", "Most frequent label", "always says the same: what no model may be worse than"),
    ("random", "Guessing", "draws labels by how frequent they are: what luck reaches"),
)

pages = Pages()


@dataclass(slots=True)
class Form:
    """What is filled in so far."""

    models: Sequence[str] = ()
    file: str = ""
    train: str = ""
    baselines: Sequence[str] = ()
    llms: Sequence[tuple[str, str, str]] = ()
    earlier: Sequence[str] = ()
    limit: str = ""
    budget: str = ""
    shots: str = ""
    context: str = ""
    oos_label: str = ""
    find_models: str = ""
    find_files: str = ""
    wrong: dict[str, str] = field(default_factory=dict)

    @classmethod
    def sent(cls, visit: Visit) -> Form:
        """Read what a form sent."""
        form = cls(
            models=list(dict.fromkeys(visit.form.get("model", ())))[: MOST_CHOSEN + 1],
            baselines=visit.form.get("baseline", ()),
            earlier=visit.form.get("earlier", ())[: MOST_CHOSEN + 1],
            llms=[
                (_part(visit, "llm", line), _part(visit, "price_in", line), _part(visit, "price_out", line))
                for line in range(LLM_LINES)
            ],
        )
        for name in TEXTS:
            setattr(form, name, visit.sent(name).strip()[:4000])
        return form

    @classmethod
    def told(cls, told: Mapping[str, Any]) -> Form:
        """Fill in what an earlier comparison was asked."""
        return cls(
            models=[model["id"] for model in told["models"]],
            file=told["file"],
            train=told["train"] or "",
            baselines=told["baselines"],
            earlier=[f"{each['comparison']}:{each['number']}" for each in told.get("earlier", ())],
            llms=[(llm["asked"], _written(llm["price_in"]), _written(llm["price_out"])) for llm in told["llms"]],
            limit=_written(told["limit"]),
            budget=_written(told["budget"]),
            shots=_written(told["shots"] or None),
            context=told["context"],
            oos_label=told["oos_label"] or "",
        )

    def asked(self, by: str | None) -> NewComparison:
        """Return the comparison that the form asks for.

        Raises:
            InvalidRequest: something is missing, or is no number.
        """
        if not self.file:
            raise InvalidRequest("Choose the file that all of them are asked about.", loc=["body", "file"])
        return NewComparison(
            file=self.file,
            models=self.models,
            baselines=self.baselines,
            llms=[
                AskedLlm(name, _number(one, "llms"), _number(other, "llms")) for name, one, other in self.llms if name
            ],
            earlier=self.earlier,
            train=self.train or None,
            limit=_whole(self.limit, "limit"),
            budget=_number(self.budget, "budget"),
            shots=_whole(self.shots, "shots") or 0,
            context=self.context,
            oos_label=self.oos_label or None,
            created_by=by,
        )


TEXTS = ("file", "train", "limit", "budget", "shots", "context", "oos_label", "find_models", "find_files")


@pages.get("/compare", TRAIN)
def comparisons(visit: Visit) -> Response:
    """Show the comparisons so far."""
    asked = Asked.of(visit, STATES)
    filters: OperationFilters = {"search": asked.search or None, "status": asked.state or None}
    found = visit.workspace.comparisons.list(asked.page - 1, ON_A_PAGE, filters)
    return visit.page("comparisons.html", listing=Listing(asked, *found), states=STATES, live=LIVE)


@pages.get("/compare/new", TRAIN)
def new(visit: Visit) -> Response:
    """Show the form, filled in with what the address or an earlier comparison says."""
    if again := visit.asked("again"):
        return _form(visit, Form.told(visit.workspace.comparisons.get(again).told))
    chosen = visit.request.query_params.getlist("model")
    return _form(visit, Form(models=chosen[:MOST_CHOSEN], file=visit.asked("file"), train=visit.asked("train")))


@pages.post("/compare/new", TRAIN)
def begin(visit: Visit) -> Response:
    """Begin a comparison; or only look for models and files, where that button was pressed."""
    form = Form.sent(visit)
    if visit.sent("act") != "compare":
        return _form(visit, form)
    try:
        record = visit.workspace.comparisons.create(form.asked(visit.caller))
    except InvalidRequest as error:
        form.wrong[_field_of(error)] = in_words(error.for_callers)
    except UnknownModel as error:
        form.wrong["contenders"] = in_words(error.for_callers)
    except UnknownFile:
        form.wrong["file"] = "A file was deleted meanwhile: choose again."
    else:
        return visit.go(f"/ui/compare/{record.id}")
    return _form(visit, form)


@pages.get("/compare/{comparison_id}", TRAIN)
def comparison(visit: Visit) -> Response:
    """Show how far a comparison is, and then its report."""
    record = _record(visit)
    if record.status != SUCCESS:
        return visit.page("comparison.html", record=record, is_live=record.status in LIVE, report=None)
    report = visit.workspace.comparisons.report(record.id)
    return visit.page("comparison.html", charts=True, record=record, is_live=False, report=report.outline)


@pages.get("/compare/{comparison_id}/report.html", TRAIN)
def page(visit: Visit) -> Response:
    """Hand out the report as one file that needs no network."""
    report = visit.workspace.comparisons.report(_record(visit).id)
    return download([report.html.encode()], "comparison.html")


@pages.get("/compare/{comparison_id}/comparison.json", TRAIN)
def figures(visit: Visit) -> Response:
    """Hand out all figures, as `tamis compare --json` writes them."""
    report = visit.workspace.comparisons.report(_record(visit).id)
    content = json.dumps(report.comparison, ensure_ascii=False, indent=1).encode("utf-8", "replace")
    return download([content], "comparison.json")


@pages.post("/compare/{comparison_id}/cancel", TRAIN)
def cancel(visit: Visit) -> Response:
    """End a comparison."""
    record = visit.workspace.comparisons.cancel(_record(visit).id)
    return visit.go(f"/ui/compare/{record.id}", "The comparison is ended. LLMs are asked nothing more.")


@pages.post("/compare/{comparison_id}/delete", TRAIN)
def delete(visit: Visit) -> Response:
    """Delete a comparison."""
    visit.workspace.comparisons.delete(_record(visit).id)
    return visit.go("/ui/compare", "The comparison is deleted.")


def _part(visit: Visit, name: str, line: int) -> str:
    """A field that is there several times."""
    values = visit.form.get(name, ())
    return values[line].strip()[:300] if line < len(values) else ""


def _field_of(error: InvalidRequest) -> str:
    place = error.context.get("loc")
    return str(place[-1]) if isinstance(place, list) and place else ""


def _record(visit: Visit) -> OperationRecord:
    return visit.workspace.comparisons.get(visit.request.path_params["comparison_id"])


def _form(visit: Visit, form: Form) -> Response:
    workspace = visit.workspace
    return visit.page(
        "compare.html",
        status=422 if form.wrong else 200,
        form=form,
        models=_offered_models(visit, form),
        files=_offered_files(visit, form),
        baselines=BASELINES,
        earlier=_offered_answers(visit, form),
        has_llms=workspace.comparisons.has_llms,
        known_llms=workspace.comparisons.llms,
        llm_lines=[*form.llms, *[("", "", "")] * LLM_LINES][:LLM_LINES],
    )


def _offered_models(visit: Visit, form: Form) -> list[tuple[ModelRow, bool]]:
    """Models to choose from: those that are chosen, then the newest that are looked for."""
    models = visit.workspace.models
    chosen = {}
    for reference in form.models:
        try:
            record = models.answering(reference)
        except UnknownModel:
            continue
        chosen[record.id] = record
    found, _ = models.page(0, OFFERED_MODELS, {"search": form.find_models or None, "archived": False})
    offered = chosen | {record.id: record for record in found}
    return [(ModelRow(record), record.id in chosen) for record in offered.values()]


def _offered_files(visit: Visit, form: Form) -> list[FileRecord]:
    files = visit.workspace.files
    found, _ = files.list(0, OFFERED_FILES, {"purpose": "fine-tune", "search": form.find_files or None})
    there = {record.id for record in found}
    for file_id in {form.file, form.train} - there - {""}:
        try:
            found.insert(0, files.get(file_id))
        except UnknownFile:
            continue
    return found


def _offered_answers(visit: Visit, form: Form) -> list[EarlierLlm]:
    """LLMs whose answers on the chosen file are kept: the newest ones, and those that are chosen."""
    found = visit.workspace.comparisons.earlier(form.file) if form.file else []
    return [each for n, each in enumerate(found) if n < OFFERED_ANSWERS or each.id in form.earlier]


def _whole(said: str, name: str) -> int | None:
    if not said:
        return None
    digits = said.replace(",", "").replace("\N{NARROW NO-BREAK SPACE}", "")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10):
        raise InvalidRequest("Give a whole number, or leave it empty.", loc=["body", name])
    return int(digits)


def _number(said: str, name: str) -> float | None:
    """A number as people write it: `0.15` or `0,15`."""
    if not said:
        return None
    try:
        value = float(said.replace(",", "."))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InvalidRequest(f"“{plain(said)[:40]}” is no number: write it like 0.15.", loc=["body", name])
    return value


def _written(value: float | None) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
