"""Thresholds of the workspace's models: what they give, and other ones for a purpose, as a new version.

Nothing is computed with the model: counts of held-out rows that it keeps tell what any threshold gives. Aliases stay
where they are. It does not know how thresholds are chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tamis.errors import InvalidRequest, InvalidSetting, UndeclaredLabel
from tamis.evaluation.objectives import parse_purpose, require_purpose
from tamis.ml.artifact import Artifact, open_artifact
from tamis.ml.rethresholding import ThresholdTable, evidence_in, parent_of, rethreshold, tables_of, write_changed
from tamis.store.records import ModelRecord
from tamis.workspace.models import Models
from tamis.workspace.room import Room

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewThresholds:
    """What is wanted, as callers write it: see `tamis.evaluation.objectives`.

    Attributes:
        optimise: objectives.
        fixed: thresholds by label.
        shared: one threshold for all labels of a target.
        target: the one that is meant; None: all that have thresholds.
    """

    optimise: Sequence[str] = ()
    fixed: Mapping[str, float] = field(default_factory=dict)
    shared: bool = False
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """A model, what its thresholds give by target, in plain types, and what is to be told of that.

    `model` is None where only was asked what thresholds would give; `parent` is what that was asked of.
    """

    parent: ModelRecord
    model: ModelRecord | None
    targets: Mapping[str, Json]
    remarks: tuple[str, ...] = ()


class Thresholds:
    """The thresholds of a workspace's models."""

    def __init__(self, models: Models, room: Room) -> None:
        """Take the models, and what knows whether there is room on the disk."""
        self._models, self._room = models, room

    def look(self, reference: str, target: str | None = None) -> Told:
        """Return what a model's thresholds give, and the curves that tell what others would.

        Raises:
            UnknownModel: there is no such model.
            InvalidRequest: no target that is meant has thresholds, or there is no such target.
        """
        record, artifact = self._open(reference)
        try:
            tables = tables_of(artifact.manifest, evidence_in(artifact), target)
        except (InvalidSetting, UndeclaredLabel) as error:
            raise InvalidRequest(error.for_callers, loc=["query", "target"]) from None
        return Told(
            record, record, {name: _plain(table) | {"curves": table.curves()} for name, table in tables.items()}
        )

    def change(
        self, reference: str, new: NewThresholds, *, dry_run: bool = False, created_by: str | None = None
    ) -> Told:
        """Choose thresholds and keep the model with them as the next version of its name, or (`dry_run`) only tell.

        Raises:
            UnknownModel: there is no such model.
            InvalidRequest: nothing is asked for, or it cannot be done; the message says why.
            StorageFull: there is no room on the disk.
        """
        record, artifact = self._open(reference)
        name = f"{record.name}@{record.version}"
        try:
            purpose = require_purpose(parse_purpose(list(new.optimise), new.fixed, shared=new.shared))
            parent = parent_of(artifact.manifest, artifact.folder, name)
            made = rethreshold(artifact.manifest, evidence_in(artifact), purpose, parent, new.target)
        except (InvalidSetting, UndeclaredLabel) as error:
            place = {"set": "set", "target": "target"}.get(str(error.context.get("setting")), "optimise")
            raise InvalidRequest(f"body.{place}: {error.for_callers}", loc=["body", place]) from None
        targets = {target: _plain(table) for target, table in made.tables.items()}
        if dry_run:
            return Told(record, None, targets, made.remarks)
        self._room.require()
        with TemporaryDirectory(prefix="tamis-") as folder:
            write_changed(artifact, made.manifest, Path(folder, "model"))
            added = self._models.add_version(record.id, Path(folder, "model"), created_by)
        return Told(record, added, targets, made.remarks)

    def _open(self, reference: str) -> tuple[ModelRecord, Artifact]:
        record = self._models.find(reference)
        return record, open_artifact(self._models.folder(record), check_hashes=False)


def _plain(table: ThresholdTable) -> Json:
    return dict(table.to_json())
