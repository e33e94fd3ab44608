"""The act "export": a model as a zip file to take along.

Told: `model` is an id; `format` is `artifact` (the folder that Tamis reads), `onnx` or `hf`.
"""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

from tamis.errors import UnknownModel
from tamis.jobs.operating import Acting, Done
from tamis.ml.artifact import open_artifact
from tamis.ml.export.exporting import FORMATS, export
from tamis.store.artifacts import CACHE, folder_of

ARTIFACT = "artifact"
EXPORTS = (ARTIFACT, *FORMATS)

PACKED = frozenset({".safetensors", ".onnx", ".data"})
"""Ends of names of files that are all numbers: they would take long to pack, and hardly be smaller."""


def write_export(acting: Acting) -> Done:
    """Write the zip file; its files lie in one folder that is called like the model.

    Raises:
        UnknownModel: the model was deleted meanwhile.
        InvalidSetting: it cannot become what was asked for.
        ModelError: it is damaged, or the export would not give its scores.
    """
    store, to = acting.tools.store, str(acting.told["format"])
    record = store.models.find(str(acting.told["model"]))
    if record is None:
        raise UnknownModel("The model was deleted meanwhile.", model=acting.told["model"])
    acting.tell(0.05, "looking through the model's files")
    folder = folder_of(store.objects, record, acting.tools.choices.home / CACHE)
    name = f"{record.name}-{record.version}"
    if to == ARTIFACT:
        open_artifact(folder)  # with every hash: what is handed out is whole
        made = folder
    else:
        acting.tell(0.2, "writing it, and checking that its scores are the model's")
        made = export(folder, to, acting.work / "made", network_alone=True)  # of an ensemble: the page says so
    acting.tell(0.8, "packing")
    place = acting.work / "export.zip"
    files = packed(made, place, name)
    shutil.rmtree(acting.work / "made", ignore_errors=True)
    ending = "" if to == ARTIFACT else f"-{to}"
    return Done(place, f"{name}{ending}.zip", "application/zip", {"format": to, "files": files})


def packed(folder: Path, place: Path, top: str) -> list[str]:
    """Write a folder's files to a zip file, below the folder `top`, and return their names."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    names = [name for name in names if not name.startswith(".")]
    with zipfile.ZipFile(place, "w", strict_timestamps=False) as archive:
        for name in names:
            packs = zipfile.ZIP_STORED if Path(name).suffix in PACKED else zipfile.ZIP_DEFLATED
            archive.write(folder / name, f"{top}/{name}", packs)
    return names
