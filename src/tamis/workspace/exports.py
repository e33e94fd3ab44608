"""Exports: a workspace's models as zip files to take along, made in the background and kept until they are swept.

Owns what a model can become, and says so before anybody waits for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tamis.errors import InvalidRequest
from tamis.jobs.exporting import ARTIFACT, EXPORTS
from tamis.ml.artifact import read_manifest
from tamis.ml.export.exporting import FORMATS, compared
from tamis.ml.manifest import Manifest
from tamis.ml.offered import is_installed
from tamis.store.records import ModelRecord, OperationRecord
from tamis.workspace.background import FAILED, LIVE, SUCCESS
from tamis.workspace.models import Models
from tamis.workspace.operations import NewOperation, Operations

KIND = "export"

Made = list[OperationRecord]


@dataclass(frozen=True, slots=True)
class Offer:
    """A form in which a model can be taken along, or (`why_not`) cannot; `latest`: how the newest export of it went."""

    format: str
    title: str
    told: str
    why_not: str = ""
    latest: OperationRecord | None = None


TITLES = {
    ARTIFACT: ("Tamis model", "The model's own folder: for another Tamis server, the command line or Python."),
    "onnx": ("ONNX", "For ONNX Runtime, in many languages; the scores are the same."),
    "hf": ("Hugging Face", "A folder that transformers loads with from_pretrained."),
}
NEEDED = {"onnx": ("export", ("onnx", "onnxruntime")), "hf": ("encoder", ("torch", "transformers"))}
"""The extra and the libraries that each form is made with."""

NOT_STATIC = (
    "Not for this model. Only models on an encoder can become one: most of this one is weights of word parts, which "
    "transformers has no architecture for."
)


class Exports:
    """The exports of a workspace."""

    def __init__(self, operations: Operations, models: Models) -> None:
        """Take what does them, and what they are of."""
        self._operations, self._models = operations, models

    def offers(self, model: ModelRecord, manifest: Manifest) -> list[Offer]:
        """Return the forms that there are, each with the newest export of it."""
        made = self._operations.list(0, 50, {"kind": KIND, "model_id": model.id})[0]
        latest = {str(each.told.get("format")): each for each in reversed(made)}
        return [
            Offer(format, *_titled(format, manifest), why_not=_why_not(format, manifest), latest=latest.get(format))
            for format in EXPORTS
        ]

    def start(self, reference: str, format: str, *, created_by: str | None = None) -> OperationRecord:
        """Begin an export; return the one that is under way, or there already: a model never changes.

        Raises:
            UnknownModel: there is no such model.
            InvalidRequest: there is no such format, or the model cannot become one.
            Overloaded: very many operations are not finished.
            StorageFull: there is no room on the disk.
        """
        model = self._models.find(reference)
        if format not in EXPORTS:
            raise InvalidRequest(f"There is no export to {format[:40]!r}: there are {', '.join(EXPORTS)}.")
        offers = self.offers(model, read_manifest(self._models.folder(model)))
        offer = next(each for each in offers if each.format == format)
        if offer.why_not:
            raise InvalidRequest(offer.why_not)
        if offer.latest is not None and offer.latest.status in (*LIVE, SUCCESS):
            return offer.latest
        if offer.latest is not None and offer.latest.status == FAILED:
            self._operations.delete(offer.latest.id)
        title = f"{model.name}@{model.version} as {offer.title}"
        told = {"model": model.id, "format": format}
        return self._operations.create(
            NewOperation(kind=KIND, title=title, told=told, model_id=model.id, created_by=created_by)
        )

    def read(self, model_id: str, operation_id: str) -> tuple[OperationRecord, Iterator[bytes]]:
        """Return an export of a model and its bytes, in pieces.

        Raises:
            UnknownOperation: the model has no such export.
            Conflict: it is not done.
        """
        found = self._operations.get(operation_id, KIND, model_id)
        return found, self._operations.read(found.id)


def _titled(format: str, manifest: Manifest) -> tuple[str, str]:
    """The title of a form and what it is for; of an ensemble, other programs get the network by itself."""
    title, told = TITLES[format]
    if format == ARTIFACT or manifest.network_alone is None:
        return title, told
    told = told.removesuffix("; the scores are the same.").removesuffix(".")
    return title, f"{told}: the network alone{compared(manifest)}, since no other program holds the static model too."


def _why_not(format: str, manifest: Manifest) -> str:
    if format != ARTIFACT and manifest.tier not in FORMATS[format]:
        return NOT_STATIC
    extra, libraries = NEEDED.get(format, ("", ()))
    if missing := [library for library in libraries if not is_installed(library)]:
        return (
            f"Not on this server, which lacks {' and '.join(missing)}. Its operator can add it: "
            f"pip install 'tamis[{extra}]', or '.[{extra}]' in the folder of Tamis' sources."
        )
    return ""
