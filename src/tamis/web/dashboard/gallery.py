"""A page that shows every component, with contents that are hard on it."""

from __future__ import annotations

from time import time
from typing import Any

from fastapi import Response

from tamis.pages import Cell, CellValue, Marked, Page
from tamis.web.auth import ANY
from tamis.web.dashboard.failures import FAILURES
from tamis.web.dashboard.listing import Asked, Listing
from tamis.web.dashboard.pages import Pages
from tamis.web.dashboard.queue_row import Choice, ShownTarget
from tamis.web.dashboard.visits import Visit

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
    )


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
