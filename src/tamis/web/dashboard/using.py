"""Use it: the calls that other programs make, ready to copy, with this server's address and this model's names."""

from __future__ import annotations

from fastapi import Response

from tamis.web.auth import INFER
from tamis.web.dashboard.pages import Pages
from tamis.web.dashboard.questions import CHAT, MODES, TEXT, facts_of
from tamis.web.dashboard.visits import Visit
from tamis.workspace.snippets import KEY, MOST_TEXT, Asking, is_local, names_of, snippets
from tamis.workspace.snippets import TEXT as SAMPLE

pages = Pages()


@pages.get("/models/{model_id}/use", INFER)
def use(visit: Visit) -> Response:
    """Show the calls; the address may say for which name of the model, and which text."""
    model = visit.workspace.models.find(visit.request.path_params["model_id"])
    names = names_of(model, visit.workspace.models.aliases(model.id))
    asked, mode = visit.asked("name"), visit.asked("as")
    name = asked if asked in {each.reference for each in names} else ""
    if mode not in MODES:
        mode = CHAT if facts_of(visit, model.id).chats else TEXT
    asking = Asking(
        url=visit.address,
        model=model,
        name=name,
        text=visit.asked("text").strip()[:MOST_TEXT] or SAMPLE,
        chat=mode == CHAT,
        keys=not visit.open,
    )
    return visit.page(
        "use.html",
        model=model,
        names=names,
        name=name,
        mode=mode,
        text=asking.text,
        snippets=snippets(asking),
        url=asking.url,
        local=is_local(asking.url),
        keys=asking.keys,
        variable=KEY,
        most=MOST_TEXT,
    )
