"""Thresholds of the workspace's models, and their abstain rules: what they give, and others, as a new version.

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
from tamis.ml.rethresholding import answers_of, evidence_in, parent_of, rethreshold, tables_of, write_changed
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
        abstain_loss: the share of answers that single-label targets may leave out, of all or by target.
    """

    optimise: Sequence[str] = ()
    fixed: Mapping[str, float] = field(default_factory=dict)
    shared: bool = False
    target: str | None = None
    abstain_loss: float | Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """A model, what its thresholds give by target, in plain types, and what is to be told of that.

    `abstain` has by single-label target what its abstain rule gives.
    `model` is None where only was asked what thresholds would give; `parent` is what that was asked of.
    """

    parent: ModelRecord
    model: ModelRecord | None
    targets: Mapping[str, Json]
    abstain: Mapping[str, Json]
    remarks: tuple[str, ...] = ()


class Thresholds:
    """The thresholds of a workspace's models."""

    def __init__(self, models: Models, room: Room) -> None:
        """Take the models, and what knows whether there is room on the disk."""
        self._models, self._room = models, room

    def look(self, reference: str, target: str | None = None) -> Told:
        """Return what a model's thresholds and abstain rules give, and the curves that tell what others would.

        Raises:
            UnknownModel: there is no such model.
            InvalidRequest: there is no such target.
        """
        record, artifact = self._open(reference)
        evidence = evidence_in(artifact)
        try:
            tables = tables_of(artifact.manifest, evidence, target)
            answers = answers_of(artifact.manifest, evidence, target)
        except UndeclaredLabel as error:
            raise InvalidRequest(error.for_callers, loc=["query", "target"]) from None
        return Told(
            record,
            record,
            {name: table.to_json() | {"curves": table.curves()} for name, table in tables.items()},
            {name: table.to_json() | {"curve": table.curve()} for name, table in answers.items()},
        )

    def rules(self, reference: str) -> dict[str, Json]:
        """Return what the abstain rules of a model's single-label targets give, and the curves of others.

        Raises:
            UnknownModel: there is no such model.
        """
        artifact = self._open(reference)[1]
        tables = answers_of(artifact.manifest, evidence_in(artifact))
        return {name: table.to_json() | {"curve": table.curve()} for name, table in tables.items()}

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
            purpose = parse_purpose(list(new.optimise), new.fixed, shared=new.shared, abstain_loss=new.abstain_loss)
            require_purpose(purpose)
            parent = parent_of(artifact.manifest, artifact.folder, name)
            made = rethreshold(artifact.manifest, evidence_in(artifact), purpose, parent, new.target)
        except (InvalidSetting, UndeclaredLabel) as error:
            setting = str(error.context.get("setting"))
            place = setting if setting in ("set", "target", "abstain_loss") else "optimise"
            raise InvalidRequest(f"body.{place}: {error.for_callers}", loc=["body", place]) from None
        targets = {target: table.to_json() for target, table in made.tables.items()}
        answers = {target: table.to_json() for target, table in made.answers.items()}
        if dry_run:
            return Told(record, None, targets, answers, made.remarks)
        self._room.require()
        with TemporaryDirectory(prefix="tamis-") as folder:
            write_changed(artifact, made.manifest, Path(folder, "model"))
            added = self._models.add_version(record.id, Path(folder, "model"), created_by)
        return Told(record, added, targets, answers, made.remarks)

    def _open(self, reference: str) -> tuple[ModelRecord, Artifact]:
        record = self._models.find(reference)
        return record, open_artifact(self._models.folder(record), check_hashes=False)
