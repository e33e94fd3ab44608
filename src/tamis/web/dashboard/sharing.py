"""Share: links that let whoever has one try one model, and the page behind such a link, which leads nowhere else."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import Response

from tamis.errors import InvalidSetting, NotFound, Overloaded, TamisError, UnknownShare
from tamis.web.auth import TRAIN
from tamis.web.dashboard.listing import Asked, Listing
from tamis.web.dashboard.pages import NOBODY, Pages
from tamis.web.dashboard.questions import CHAT, MODES, TEXT, Question, facts_of
from tamis.web.dashboard.trying import NOTHING_RIGHT, keep_correction, question_of, shown_answers
from tamis.web.dashboard.visits import Visit
from tamis.workspace.shares import DAYS, MOST_PER_MINUTE, PER_MINUTE, STATES, NewShare
from tamis.workspace.snippets import is_local

LASTING = ((1, "1 day"), (DAYS, "7 days"), (30, "30 days"), (90, "90 days"))

pages = Pages()


@pages.get("/models/{model_id}/share", TRAIN)
def share(visit: Visit) -> Response:
    """Show the links to a model, and the form for another one."""
    return _links(visit)


@pages.post("/models/{model_id}/share", TRAIN)
def create(visit: Visit) -> Response:
    """Make a link, and show it this once."""
    model = visit.workspace.models.find(visit.request.path_params["model_id"])
    days, per_minute = visit.sent("days", str(DAYS)), visit.sent("per_minute", str(PER_MINUTE)).strip()
    new = NewShare(
        model_id=model.id,
        title=visit.sent("title"),
        days=_whole(days),
        per_minute=_whole(per_minute),
        created_by=visit.caller,
    )
    try:
        record, token = visit.workspace.shares.create(new)
    except InvalidSetting as error:
        return _links(visit, status=422, wrong={str(error.context.get("setting")): error.for_callers})
    url = f"{visit.address}/ui/shared/{quote(token)}"
    return visit.page("share_made.html", model=model, share=record, url=url, local=is_local(url))


@pages.post("/models/{model_id}/share/{share_id}/revoke", TRAIN)
def revoke(visit: Visit) -> Response:
    """Make a link useless."""
    model = visit.workspace.models.find(visit.request.path_params["model_id"])
    record = visit.workspace.shares.get(visit.request.path_params["share_id"])
    if record.model_id != model.id:
        raise UnknownShare("There is no such link to this model.")
    visit.workspace.shares.revoke(record.id)
    return visit.go(f"/ui/models/{model.id}/share", f"The link {record.title} no longer works.")


@pages.get("/shared/{token}", NOBODY)
def shared(visit: Visit) -> Response:
    """Show the page behind a link."""
    return _shared(visit, None)


@pages.post("/shared/{token}", NOBODY)
def ask(visit: Visit) -> Response:
    """Show what the model says, as often a minute as the link allows."""
    return _shared(visit, Question.sent(visit))


def _links(visit: Visit, status: int = 200, wrong: dict[str, str] | None = None) -> Response:
    model, asked = visit.workspace.models.find(visit.request.path_params["model_id"]), Asked.of(visit, STATES)
    return visit.page(
        "share.html",
        status=status,
        model=model,
        listing=Listing.of(asked, visit.workspace.shares.list(model.id, asked.search, asked.state)),
        states=STATES,
        lasting=LASTING,
        days=visit.sent("days", str(DAYS)),
        per_minute=visit.sent("per_minute", str(PER_MINUTE)),
        title=visit.sent("title"),
        most=MOST_PER_MINUTE,
        wrong=wrong or {},
        local=is_local(visit.address),
    )


def _shared(visit: Visit, question: Question | None) -> Response:
    try:
        link, model = visit.workspace.shares.open(visit.request.path_params["token"])
    except NotFound as error:
        model_id = error.context.get("model") if visit.may(TRAIN) else None
        makes = f"/ui/models/{model_id}/share" if model_id else ""
        return _bare(visit, visit.page("shared_over.html", status=404, why=error.for_callers, makes=makes))
    facts = facts_of(visit, model.id)
    mode = visit.asked("as")
    shown = question or Question(mode if mode in MODES else CHAT if facts.chats else TEXT)
    asked = question if visit.sent("act") != "add" and not facts.trouble else None
    refused: TamisError | None = None
    kept: bool | None = None
    try:
        if asked and not asked.wrong:
            visit.workspace.shares.take(link, len(asked.inputs))
            if visit.sent("act") == "correct":
                kept = keep_correction(visit, model, asked, shared=True)
        answers = shown_answers(visit, model, asked)
    except Overloaded as error:
        refused, answers = error, shown_answers(visit, model, None)
    status = 429 if refused else 422 if answers["wrong"] or kept is False else 200
    page = visit.page(
        "shared.html",
        status=status,
        link=link,
        model=model,
        facts=facts,
        refused=refused.for_callers if refused else "",
        place=visit.request.url.path,
        kept=bool(kept),
        wrong_correction=NOTHING_RIGHT if kept is False else "",
        **{**question_of(shown), **answers},
    )
    if refused:
        page.headers["retry-after"] = str(refused.context.get("retry_after", 60))
    return _bare(visit, page)


def _bare(visit: Visit, page: Response) -> Response:
    """The page, kept out of search engines.

    Its address stays out of other sites' logs as that of every page does: with the policy `no-referrer`, browsers would
    say of its form that it comes from nowhere, which is refused.
    """
    page.headers["x-robots-tag"] = "noindex, nofollow"
    return page


def _whole(said: str) -> int:
    """A whole number as people write it; what is none is out of every range."""
    return int(said) if said.isascii() and said.isdigit() and len(said) < 8 else -1
