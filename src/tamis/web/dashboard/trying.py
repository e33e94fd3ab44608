"""Try it: a text, a text a line or a chat, and what a model says of it; what is wrong is corrected here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import Response

from tamis.errors import InvalidRequest
from tamis.schema import Input, Kind
from tamis.web.auth import INFER, TRAIN
from tamis.web.dashboard.formats import figure_of
from tamis.web.dashboard.pages import Pages
from tamis.web.dashboard.questions import CHAT, MODES, ROLES, TEXT, Question, answers_to, facts_of
from tamis.web.dashboard.visits import Visit
from tamis.workspace.trials import Trial

if TYPE_CHECKING:
    from tamis.store.records import ModelRecord

MOST_PASSED = 2_000
"""Characters of a text that an address may bring."""

SKIP, NONE = "skip", "none"
"""What a correction may say of a target beside a label: nothing; that none of its labels fits."""

NOTHING_RIGHT = "Choose what is right for at least one question."

pages = Pages()


@pages.get("/models/{model_id}/try", INFER)
def trying(visit: Visit) -> Response:
    """Show the box; an address may bring a text."""
    mode, text = visit.asked("as"), visit.asked("text")[:MOST_PASSED]
    return _page(visit, Question(mode if mode in MODES else TEXT, text), chosen=mode in MODES)


@pages.post("/models/{model_id}/try", INFER)
def classify(visit: Visit) -> Response:
    """Show what the model says of what was put in."""
    return _page(visit, Question.sent(visit), asked=visit.sent("act") != "add")


@pages.post("/models/{model_id}/correct", INFER)
def correct(visit: Visit) -> Response:
    """Keep what a person says is right, for the queue of rows to look at, and show the answer again."""
    model = visit.workspace.models.answering(visit.request.path_params["model_id"])
    kept = keep_correction(visit, model, Question.sent(visit))
    return _page(visit, Question.sent(visit), asked=True, kept=kept)


def keep_correction(visit: Visit, model: ModelRecord, question: Question, *, shared: bool = False) -> bool:
    """Keep what the form says is right of a text or chat; return whether it says anything.

    Raises:
        InvalidRequest: it is of no text, or of several, or names a label that the model does not have.
        Overloaded: very many corrections wait already.
    """
    if question.wrong or len(question.inputs) != 1:
        raise InvalidRequest("A correction is of one text or chat: open the text by itself.", loc=["body", "text"])
    labels = corrected(visit, model)
    if labels:
        given = _as_sent(question.inputs[0])
        reopens = not shared and visit.may(TRAIN)  # others cannot undo what was answered
        visit.workspace.looks.add_correction(model.id, given, labels, by=visit.caller, shared=shared, reopens=reopens)
    return bool(labels)


def corrected(visit: Visit, model: ModelRecord) -> dict[str, list[str]]:
    """Return the labels that a correction's form says are right, by target; targets that it leaves open are not there.

    Raises:
        InvalidRequest: it names a label that the model does not have.
    """
    found: dict[str, list[str]] = {}
    for place, target in enumerate(model.targets):
        said = visit.form.get(f"right-{place}", ())
        if not said or SKIP in said:
            continue
        labels = {str(at): str(label) for at, label in enumerate(target.get("labels", ()))}
        chosen = [value for value in dict.fromkeys(said) if value != NONE]
        if not set(chosen) <= labels.keys() or (len(chosen) > 1 and target.get("kind") != Kind.MULTI_LABEL):
            raise InvalidRequest("The form names a label that the model does not have: open it again.", loc=["body"])
        found[str(target["name"])] = [labels[value] for value in chosen]
    return found


def _page(
    visit: Visit,
    question: Question,
    *,
    asked: bool = False,
    chosen: bool = True,
    kept: bool | None = None,
) -> Response:
    model = visit.workspace.models.find(visit.request.path_params["model_id"])
    facts = facts_of(visit, model.id)
    if facts.chats and not chosen:
        question = Question(CHAT)
    shown = shown_answers(visit, model, question if asked and not facts.trouble else None)
    wrong = NOTHING_RIGHT if kept is False else ""
    status = 422 if shown["wrong"] or wrong else 200
    return visit.page(
        "try.html",
        status=status,
        model=model,
        facts=facts,
        wrong_correction=wrong,
        kept=bool(kept),
        **{**question_of(question), **shown},
    )


def question_of(question: Question) -> dict[str, Any]:
    """Return what templates need to show the form again."""
    return {"question": question, "roles": ROLES, "modes": MODES}


def shown_answers(visit: Visit, model: ModelRecord, question: Question | None) -> dict[str, Any]:
    """Return what templates need to show answers; None: nothing was asked."""
    wrong = question.wrong if question else ""
    found: list[Trial] = []
    note = ""
    if question and not wrong:
        found, note = answers_to(visit, model.id, question.inputs, explain=question.explain)
    figures = {str(target["name"]): figure_of(model.metrics, str(target["name"])) for target in model.targets}
    return {"trials": found, "told": note, "wrong": wrong, "figures": figures, "said_of": said_of}


def _as_sent(given: Input) -> str | list[dict[str, object]]:
    """An input as callers of the workspace have it."""
    if isinstance(given, str):
        return given
    return [{"role": message.role, "content": message.content} for message in given]


def said_of(given: Input) -> str:
    """Return an input on one line, for tables."""
    return given if isinstance(given, str) else given[-1].content
