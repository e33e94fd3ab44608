"""What is written down of the workspace's models: their manifests, as facts and as text. A model never changes."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from typing import Any

from tamis.ml.artifact import read_manifest
from tamis.ml.encoder.options import EncoderOptions
from tamis.ml.manifest import Manifest
from tamis.store.records import ModelRecord
from tamis.workspace.models import Models

REMEMBERED = 32

LONG = ("golden", "checkpoints")
"""Parts of a manifest that are long, and that nobody reads from top to bottom."""


class Manifests:
    """The manifests of a workspace's models."""

    def __init__(self, models: Models) -> None:
        """Take the models."""
        self._models = models
        self._remembered: OrderedDict[str, Manifest] = OrderedDict()
        self._lock = Lock()

    def read(self, model: ModelRecord) -> Manifest:
        """Return a model's manifest.

        Raises:
            ModelError: its files are gone, damaged, or of another version of Tamis.
            UnknownFile: its files are gone.
            StorageFailed: they cannot be fetched.
        """
        with self._lock:
            if model.id in self._remembered:
                self._remembered.move_to_end(model.id)
                return self._remembered[model.id]
        found = read_manifest(self._models.folder(model))
        with self._lock:
            self._remembered[model.id] = found
            while len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)
        return found

    def text(self, model: ModelRecord) -> str:
        """Return a model's manifest as JSON, but for its long parts.

        Raises:
            ModelError, UnknownFile, StorageFailed: as `read`.
        """
        document: dict[str, Any] = self.read(model).model_dump(mode="json")
        for name in LONG:
            if document.get(name):
                document[name] = f"({len(document[name])} entries: in the model's file)"
        return json.dumps(document, indent=2, ensure_ascii=False)


def settings_of(manifest: Manifest) -> dict[str, object]:
    """Return the settings of a training that say something: of an encoder's options those that somebody chose."""
    usual, found = EncoderOptions().model_dump(), dict[str, object]()
    for name, value in manifest.hyperparameters.items():
        if isinstance(value, Mapping):
            found |= {option: chosen for option, chosen in value.items() if chosen != usual.get(option)}
        elif value is not None:
            found[name] = value
    return found
