"""What is configured, how much is kept, and what this server can do; never anything secret."""

from __future__ import annotations

from fastapi import Response

from tamis.web.auth import ADMIN
from tamis.web.dashboard.pages import Pages
from tamis.web.dashboard.visits import Visit
from tamis.workspace.about import About

pages = Pages()


@pages.get("/settings", ADMIN)
def settings(visit: Visit) -> Response:
    """Show them."""
    about = About(visit.workspace.store, visit.workspace.settings)
    return visit.page(
        "settings.html",
        facts=about.facts(),
        space=about.space(),
        abilities=about.abilities(),
        groups=about.settings(),
    )
