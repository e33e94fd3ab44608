"""Where the files of a model are, on this machine: in a folder already, or copied out of a bucket once."""

from __future__ import annotations

import shutil
from pathlib import Path
from uuid import uuid4

from tamis.errors import StorageFailed
from tamis.store.objects import MANIFEST, Objects
from tamis.store.records import ModelRecord

CACHE = "cache/models"
"""Where in the home models of a bucket are kept."""

FOLDER = "folder:"
OBJECTS = "objects:"
"""How the place of a model begins: a folder of this machine, or a prefix of the object storage."""


def folder_of(objects: Objects, model: ModelRecord, cache: Path) -> Path:
    """Return the folder of a model's files; from a bucket they are copied to `cache` first, whole or not at all.

    Raises:
        UnknownFile: they are gone.
        StorageFailed: they cannot be fetched.
    """
    if model.place.startswith(FOLDER):
        return Path(model.place.removeprefix(FOLDER))
    prefix = model.place.removeprefix(OBJECTS)
    if objects.root is not None:
        return objects.root / prefix
    place = cache / model.id
    if not (place / MANIFEST).exists():
        partial = cache / f".{uuid4().hex}.partial"
        try:
            objects.get_folder(prefix, partial)
            partial.rename(place)
        except OSError as error:
            if not place.exists():  # another process may have brought it at the same time
                raise StorageFailed(f"{place} cannot be written: {error.strerror or error}.") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return place
