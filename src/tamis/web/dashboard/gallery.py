"""A page that shows every component, with contents that are hard on it."""

from __future__ import annotations

from time import time
from typing import Any

from fastapi import Response

from tamis.pages import Cell, CellValue, Marked, Page
from tamis.schema import Message
from tamis.web.auth import ANY
from tamis.web.dashboard.failures import FAILURES
from tamis.web.dashboard.listing import Asked, Listing
from tamis.web.dashboard.pages import Pages
from tamis.web.dashboard.questions import CHAT, ROLES, TEXT, Question
from tamis.web.dashboard.queue_row import Choice, ShownTarget
from tamis.web.dashboard.trying import said_of
from tamis.web.dashboard.visits import Visit
from tamis.workspace import samples
from tamis.workspace.trials import Bar, Part, Passage, Said, Trial, Why

HOSTILE = '<img src=x onerror="alert(1)"> \u202egnitsop \N{ARABIC LETTER ALEF} ' + "x" * 300
STATES = ("QUEUED", "VALIDATING", "VALIDATED", "RUNNING", "SUCCESS", "FAILED", "CANCELLED", "archived")

MEASURED = (
    {"name": "topic", "labels": 77, "value": 0.934, "figure": "accuracy", "interval": (0.921, 0.945)}
    | {"macro_f1": 0.92, "ece": 0.012},
    {"name": HOSTILE, "labels": 3, "value": None, "figure": "", "interval": None, "macro_f1": None, "ece": None},
)
TARGETS = (
    {"name": HOSTILE, "kind": "multi_label", "labels": [f"{HOSTILE} {n}" for n in range(77)]},
    {"name": "topic", "kind": "single_label", "labels": ["delivery", "payment"]},
)
ASKED = tuple(
    ShownTarget(
        name=name,
        several=several,
        first=(Choice("delivery", 0.7, True, False, True), Choice(HOSTILE, None, False, True, False)),
        others=(Choice("payment", 0.1, False, False, False),),
        suggested=("delivery", HOSTILE),
        unlisted=0,
    )
    for name, several in (("topic", False), (HOSTILE, True))
)
MOVED = {"figure": "accuracy", "current": 0.91, "candidate": 0.934, "difference": 0.024} | {
    "difference_ci": (0.004, 0.044),
    "rows": 1234,
}

pages = Pages()


@pages.get("/components", ANY)
def components(visit: Visit) -> Response:
    """Show them."""
    rows = [("support intents", "SUCCESS", 0.934, int(time()) - 200), (HOSTILE, "RUNNING", 0.5, int(time()) - 90_000)]
    listing = Listing(Asked("/ui/components", 3, ""), rows, 120)
    return visit.page(
        "components.html",
        charts=True,
        listing=listing,
        states=STATES,
        hostile=HOSTILE,
        blocks=blocks(),
        measured=MEASURED,
        targets=TARGETS,
        asked=ASKED,
        moved=MOVED,
        failure=FAILURES["out_of_memory"],
        **tried(),
        **worked(),
    )


def tried() -> dict[str, Any]:
    """Return what pages show where somebody tries a model: a question, a chat, and what it says of them."""
    given = (Bar("delivery", 0.81, None, True), Bar(HOSTILE, 0.19, None, False))
    bars = (*given, *(Bar(f"label {n}", 0.0, None, False) for n in range(77)))
    many = (Bar(HOSTILE, 0.7, 0.4, True), Bar("urgent", 0.2, 0.6, False))
    part = Passage("user", (Part("where is ", 0), Part("my parcel", 3), Part(" again", -2)))
    why = Why("delivery", True, (part,))
    several = Said(HOSTILE, True, (HOSTILE,), False, None, 0.0, many)
    sayings = (
        (Said("topic", False, ("delivery",), False, None, 0.0, bars, (why,)), several),
        (Said("topic", False, (), True, 0.9, 0.0, given), Said(HOSTILE, True, (), False, None, 0.0, many)),
        (Said("topic", False, (), True, 0.9, 0.95, given), several),
        (Said("topic", False, (), True, None, 0.0, given, (), 0.0445, 0.5), several),
    )
    notes = ("The text is long: its first words were looked at.",)
    messages = (Message("user", "where is my parcel"), Message("assistant", HOSTILE))
    return {
        "model": samples.model(TARGETS),
        "question": Question(TEXT, HOSTILE, lines=True),
        "chat": Question(CHAT, messages=messages),
        "roles": ROLES,
        "figures": {"topic": ("accuracy", 0.934, "test data")},
        "trials": [Trial(f"a text {HOSTILE}", said, is_cut=not at, notes=notes) for at, said in enumerate(sayings)],
        "said_of": said_of,
        "spec": {"data": [{"type": "scatter", "x": [0, 1], "y": [0, 1]}], "layout": {"height": 240}},
    }


def worked() -> dict[str, Any]:
    """Return what lists and queues show: a file, a model's figures, lists without rows, rounds and fillings."""
    figures = [(name, 77, ("accuracy", value, "test data")) for name, value in (("topic", 0.934), (HOSTILE, None))]
    return {
        "file": samples.file(HOSTILE),
        "row": {"targets": [*figures, *figures, ("fifth", 2, ("", None, ""))]},
        "narrowed": Listing(Asked("/ui/components", 1, "x"), [], 0),
        "beyond": Listing(Asked("/ui/components", 9, ""), [], 30),
        "nothing": Listing(Asked("/ui/components", 1, ""), [], 0),
        "looks": samples.looks(HOSTILE),
        "rounds": samples.rounds(HOSTILE, MOVED),
        "fillings": samples.fillings(HOSTILE),
    }


def blocks() -> list[dict[str, Any]]:
    """Return what reports are made of."""
    page = Page(HOSTILE).section("Summary", "What a section is about.").facts([("Rows", 1234), (HOSTILE, HOSTILE)])
    page.note("This is more than chance.", "ok").note(HOSTILE, "warning").paragraph("Plain words.")
    rows: list[list[CellValue]] = [["support", 0.934, 5], [HOSTILE, None, Cell("12 %", 0.12)]]
    page.table(["Contender", "Accuracy", "Rows"], rows, numeric=(1, 2), caption="A click on a header sorts.")
    page.section("Labels").section("Cost")
    with page.details("More of it"):
        page.table(["Text"], [[Marked([("where is my ", 0.0), ("parcel", 1.2), (" now", -0.4)], "what was said")]])
    spec = {"data": [{"type": "bar", "x": ["a", "b"], "y": [0.9, 0.7]}], "layout": {"height": 240}}
    figure = {"kind": "figure", "spec": spec, "caption": "A chart in the colours of the page.", "min_width": 320}
    return [*page.outline()["blocks"], figure]
