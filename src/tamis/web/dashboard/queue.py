"""The review queue: rows worth a person's look, one at a time; what they say becomes data for the next version.

Every key has a button, and every button is part of a form, so that it all works without the script too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import anyio.to_thread
from fastapi import Response

from tamis.errors import InvalidRequest, TamisError, UndeclaredLabel, UnknownModel
from tamis.web.auth import TRAIN
from tamis.web.dashboard.listing import ON_A_PAGE, Asked, Listing
from tamis.web.dashboard.named_columns import COLUMNS, named_columns
from tamis.web.dashboard.pages import Pages
from tamis.web.dashboard.queue_row import ShownRow, answered_labels, shown_row
from tamis.web.dashboard.uploading import received
from tamis.web.dashboard.visits import Visit
from tamis.workspace.background import LIVE, SUCCESS
from tamis.workspace.files import FINE_TUNE, NewFile
from tamis.workspace.looks import DIFFERENCES, MOST_AT_ONCE, OPEN, REASONS, STATES, SUSPECTS, UNSURE, Fill

if TYPE_CHECKING:
    from tamis.store.records import LookRecord, ModelRecord

TEXTS = "texts"
FILE = "file"
MOST_PASTED = 500_000
"""Characters that are pasted at a time; more come as a file."""

KEPT_HOURS = 24 * 30
"""Texts that come to be looked at are deleted then; what is said of them stays."""

USUAL = 50
MOST_CHOICES = 50
MOST_MODELS = 200

pages = Pages()


def place_of(name: str, **asked: str) -> str:
    """Return the address of a queue."""
    query = urlencode({key: value for key, value in asked.items() if value})
    return f"/ui/queue/{quote(name, safe='')}" + (f"?{query}" if query else "")


@pages.get("/queue", TRAIN)
def queues(visit: Visit) -> Response:
    """Show the queues, and the models that one could be begun for."""
    workspace, asked = visit.workspace, Asked.of(visit)
    lines = workspace.looks.lines(asked.search)
    there = {line.name for line in lines}
    models, n_models = workspace.models.page(0, MOST_MODELS, {"search": asked.search or None, "archived": False})
    return visit.page(
        "queues.html",
        listing=Listing.of(asked, lines),
        others=sorted({model.name for model in models} - there),
        more=n_models > len(models),
        place_of=place_of,
    )


@pages.get("/queue/{name}", TRAIN)
def queue(visit: Visit) -> Response:
    """Show the row to look at now, how the queue stands, and the ways to fill it and to learn from it."""
    return _page(visit)


@pages.get("/queue/{name}/rows", TRAIN)
def rows(visit: Visit) -> Response:
    """Show the rows of a queue as a list."""
    name = _name(visit)
    asked = Asked.of(visit, STATES)
    state = asked.state or OPEN
    found = visit.workspace.looks.list(name, asked.page - 1, ON_A_PAGE, state)
    line = visit.workspace.looks.line(name)
    return visit.page(
        "queue_rows.html",
        name=name,
        line=line,
        state=state,
        listing=Listing(asked, *found),
        place_of=place_of,
        text_of=_text_of,
    )


@pages.post("/queue/{name}/answer", TRAIN)
def answer(visit: Visit) -> Response:
    """Take an answer, and go on to the next row."""
    name, looks = _name(visit), visit.workspace.looks
    model = looks.model(name)
    labels = answered_labels(model, visit.form)
    try:
        looks.answer(name, visit.sent("look"), labels, new=visit.sent("new") == "yes", by=visit.caller)
    except (UndeclaredLabel, InvalidRequest) as wrong:
        return _page(visit, look=looks.get(name, visit.sent("look")), wrong=wrong)
    return visit.go(place_of(name, reason=_reason(visit)))


@pages.post("/queue/{name}/skip", TRAIN)
def skip(visit: Visit) -> Response:
    """Put a row aside."""
    name = _name(visit)
    visit.workspace.looks.skip(name, visit.sent("look"), visit.caller)
    return visit.go(place_of(name, reason=_reason(visit)))


@pages.post("/queue/{name}/undo", TRAIN)
def undo(visit: Visit) -> Response:
    """Ask again for the row that was answered or skipped last."""
    name = _name(visit)
    last = visit.workspace.looks.undo(name, visit.caller)
    if last is None:
        return visit.go(place_of(name, reason=_reason(visit)), "There is nothing to take back.", "info")
    return visit.go(place_of(name, reason=_reason(visit), look=last.id))


@pages.post("/queue/{name}/reopen", TRAIN)
def reopen(visit: Visit) -> Response:
    """Ask again for all rows that were skipped."""
    name = _name(visit)
    count = visit.workspace.looks.reopen_skipped(name)
    return visit.go(place_of(name), f"{count:,} skipped row{'s are' if count != 1 else ' is'} in the queue again.")


@pages.post("/queue/{name}/clear", TRAIN)
def clear(visit: Visit) -> Response:
    """Remove what waits or was skipped."""
    name = _name(visit)
    count = visit.workspace.looks.clear(name, answered=visit.sent("answered") == "yes")
    return visit.go("/ui/queue", f"{count:,} rows of {name} are removed from the queue.")


@pages.post("/queue/{name}/fill", TRAIN)
def fill(visit: Visit) -> Response:
    """Look for rows: in a file that is here, in a data check, or in texts that were pasted."""
    name, way = _name(visit), visit.sent("way")
    file = _pasted(visit) if way == TEXTS else visit.sent(FILE)
    asked = Fill(
        name=name,
        way=UNSURE if way == TEXTS else way,
        review=visit.sent("review") or None,
        file=file or None,
        other=visit.sent("other") or None,
        most=_count(visit.sent("most", str(USUAL))),
        sure_too=way == TEXTS,
        by=visit.caller,
        **({} if way == TEXTS else named_columns(visit.sent)),
    )
    visit.workspace.looks.fill(asked)
    return visit.go(place_of(name) + "#find")


@pages.upload("/queue/upload", TRAIN)
async def upload(visit: Visit) -> Response:
    """Take a file of texts, and look for rows in it."""
    name = visit.asked("name")
    said = dict.fromkeys(COLUMNS, "")
    found = await received(visit, [FILE], FINE_TUNE, said)
    columns = named_columns(said.__getitem__)
    asked = Fill(name=name, way=UNSURE, file=found[FILE].id, most=USUAL, by=visit.caller, **columns)
    await anyio.to_thread.run_sync(visit.workspace.looks.fill, asked)
    return visit.go(place_of(name) + "#find")


@pages.post("/queue/{name}/train", TRAIN)
def train(visit: Visit) -> Response:
    """Make a new version of the model out of what was answered."""
    name = _name(visit)
    training, measured = visit.sent("training") or None, visit.sent("measured") or None
    visit.workspace.retraining.begin(name, training, measured, visit.caller)
    return visit.go(place_of(name) + "#train")


def _page(visit: Visit, look: LookRecord | None = None, wrong: TamisError | None = None) -> Response:
    """Show a queue; with the row that could not be answered, where that went wrong."""
    workspace, name = visit.workspace, _name(visit)
    looks = workspace.looks
    line, reason = looks.line(name), _reason(visit)
    try:
        model = looks.model(name)
    except UnknownModel:
        if line.open + line.answered + line.skipped == 0:
            raise
        return visit.page("queue_gone.html", name=name, line=line, place_of=place_of)
    if look is None:
        asked = visit.asked("look")
        look = looks.get(name, asked) if asked else looks.next(name, reason or None)
    fillings, rounds = looks.fillings(name, 3), workspace.retraining.rounds(name, 3)
    return visit.page(
        "queue.html",
        status=422 if wrong else 200,
        name=name,
        model=model,
        line=line,
        reason=reason,
        row=None if look is None else _row(visit, model, look),
        wrong=wrong,
        is_new=isinstance(wrong, UndeclaredLabel) and "label" in wrong.context,
        fillings=fillings,
        is_filling=any(each.status in LIVE for each in fillings),
        rounds=rounds,
        unused=line.answered - workspace.retraining.learnt(name),
        most=MOST_AT_ONCE,
        usual=USUAL,
        place_of=place_of,
        **_offered(visit, model),
    )


def _row(visit: Visit, model: ModelRecord, look: LookRecord) -> ShownRow:
    return shown_row(visit.workspace, model, look, visit.form)


def _offered(visit: Visit, model: ModelRecord) -> dict[str, Any]:
    """What the forms let people choose from."""
    workspace = visit.workspace
    files = workspace.files.list(0, MOST_CHOICES, {"purpose": FINE_TUNE})[0]
    reviews = workspace.reviews.list(0, MOST_CHOICES, {"status": SUCCESS})[0]
    names = {file.id: file.name for file in files}
    doubted = [
        (each.id, names.get(each.training_file, "a file that was deleted"), count, each.created_at)
        for each in reviews
        if (count := sum(int(found["count"]) for found in each.summary if found["code"] == SUSPECTS))
    ]
    versions = workspace.models.page(0, MOST_CHOICES, {"name": model.name, "archived": False})[0]
    return {
        "files": files,
        "doubted": doubted,
        "versions": [each for each in versions if each.id != model.id],
        "origin": workspace.retraining.origin(model.name),
        "ways": (UNSURE, DIFFERENCES, SUSPECTS),
    }


def _pasted(visit: Visit) -> str:
    """Store texts that were pasted, one a line, as a file."""
    texts = visit.sent(TEXTS).strip()
    if not texts:
        raise InvalidRequest("Paste some texts first, one a line.", loc=["body", TEXTS])
    if len(texts) > MOST_PASTED:
        raise InvalidRequest(f"These are more than {MOST_PASTED:,} characters: upload a file.", loc=["body", TEXTS])
    new = NewFile(name="pasted-texts.txt", purpose=FINE_TUNE, expiry_hours=KEPT_HOURS, created_by=visit.caller)
    coming = visit.workspace.files.begin(new)
    try:
        coming.write(texts.encode("utf-8", "replace") + b"\n")
    except BaseException:
        coming.abort()
        raise
    return coming.commit().id


def _count(said: str) -> int:
    return int(said) if said.isascii() and said.isdigit() and len(said) < 6 else 0


def _name(visit: Visit) -> str:
    return str(visit.request.path_params["name"])


def _reason(visit: Visit) -> str:
    said = visit.sent("reason") or visit.asked("reason")
    return said if said in REASONS else ""


def _text_of(look: LookRecord) -> str:
    """The beginning of an input, as lists show it."""
    if isinstance(look.input, str):
        return look.input
    return " · ".join(str(message.get("content", "")) for message in look.input)
