"""Rows of the review queue, with texts and names that are hard on pages."""

from dataclasses import replace

from tamis.jobs.looks import REASONS, Sight, look_at
from tamis.schema import Message
from tamis.workspace.workspace import Workspace
from web.dashboard.evaluations import fill_operation


def fill_looks(workspace: Workspace, name: str, ids: str, model_id: str) -> None:
    """Put rows of this text into the queue of `shop`, one open and one answered for each reason."""
    store = workspace.store
    for place, reason in enumerate(REASONS):
        said = {name: [name] * 9, "t1": []}
        source = {"file_name": name, "line": 3, "told": name, "versions": [name, "shop@1"], "said": [said, {"t1": []}]}
        given = f"{place} {name}" if place else (Message("user", name), Message("assistant", name))
        sight = Sight(given=given, reason=reason, urgency=0.5, proposed=said, labels=said, source=source)
        more = replace(sight, given=f"answered {place} {name}")
        store.looks.add([look_at(sight, "shop", None)])
        store.looks.add([replace(look_at(more, "shop", None), status="answered", answer=said, answered_at=1)])
    fill_operation(workspace, ids.format(8100), "queue", model_id, b"{}", told={"name": "shop"})
    told = {"name": "shop", "before": model_id}
    fill_operation(workspace, ids.format(8101), "relabel", model_id, b"{}", told=told, summary={"problem": name})
