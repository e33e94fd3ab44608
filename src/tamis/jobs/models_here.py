"""Models for batch jobs: found by any of their names, loaded once a child."""

from __future__ import annotations

from tamis.errors import InvalidRequest, UnknownModel
from tamis.jobs.batch import Find
from tamis.jobs.tools import Choices
from tamis.ml.model import load
from tamis.ml.predictor import Predictor
from tamis.store.artifacts import CACHE, folder_of
from tamis.store.opening import Store

MOST_LOADED = 4


def finder(store: Store, choices: Choices) -> Find:
    """Return what finds models in the store and loads them; the last few stay loaded."""
    found: dict[str, tuple[Predictor, str]] = {}

    def find(reference: str) -> tuple[Predictor, str]:
        if reference not in found:
            record = store.models.look_up(reference)
            if record is None:
                raise UnknownModel(f"There is no model {reference[:200]}.", model=reference)
            if record.archived:
                raise InvalidRequest(f"The model {reference[:200]} is archived.", loc=["body", "model"])
            if len(found) >= MOST_LOADED:
                del found[next(iter(found))]
            store.models.note_use([record.id])
            found[reference] = (load(folder_of(store.objects, record, choices.home / CACHE)).predictor, record.id)
        return found[reference]

    return find
