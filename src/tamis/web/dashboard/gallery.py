"""A page that shows every component, with contents that are hard on it."""

from __future__ import annotations

from time import time

from fastapi import Response

from tamis.web.auth import ANY
from tamis.web.dashboard.listing import Asked, Listing
from tamis.web.dashboard.pages import Pages
from tamis.web.dashboard.visits import Visit

HOSTILE = '<img src=x onerror="alert(1)"> \u202egnitsop \N{ARABIC LETTER ALEF} ' + "x" * 300
STATES = ("QUEUED", "VALIDATING", "VALIDATED", "RUNNING", "SUCCESS", "FAILED", "CANCELLED", "archived")

pages = Pages()


@pages.get("/components", ANY)
def components(visit: Visit) -> Response:
    """Show them."""
    rows = [("support intents", "SUCCESS", 0.934, int(time()) - 200), (HOSTILE, "RUNNING", 0.5, int(time()) - 90_000)]
    listing = Listing(Asked("/ui/components", 3, ""), rows, 120)
    return visit.page("components.html", listing=listing, states=STATES, hostile=HOSTILE)
