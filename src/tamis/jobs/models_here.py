"""Models for work in a child: found by any of their names and loaded once, or whole by their id."""

from __future__ import annotations

from tamis.errors import InvalidRequest, UnknownModel
from tamis.jobs.batch import Find
from tamis.jobs.tools import Choices, Tools
from tamis.ml.artifact import read_manifest
from tamis.ml.manifest import Manifest
from tamis.ml.model import Model, load
from tamis.ml.predictor import Predictor
from tamis.store.artifacts import CACHE, folder_of
from tamis.store.opening import Store
from tamis.store.records import ModelRecord

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


def manifest_of(tools: Tools, record: ModelRecord) -> Manifest:
    """Return all that is known of a model, without its weights.

    Raises:
        ModelError: it cannot be read.
    """
    return read_manifest(folder_of(tools.store.objects, record, tools.choices.home / CACHE))


def model_of(tools: Tools, model_id: str) -> Model:
    """Return a model, loaded whole.

    Raises:
        UnknownModel: it is gone.
        ModelError: it cannot be loaded.
    """
    record = tools.store.models.find(model_id)
    if record is None:
        raise UnknownModel(f"The model {model_id[:80]} was deleted meanwhile.", model=model_id)
    return load(folder_of(tools.store.objects, record, tools.choices.home / CACHE))
