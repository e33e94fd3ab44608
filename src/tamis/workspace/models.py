"""Models: found by any of their names, listed, described, archived, deleted.

A model has one id, and answers to `name` (its newest version), `name@version`, `ft:classifier:...`, `<id>-ft` and its
aliases, which `workspace.aliases` moves. Models that `tamis train --name` put into the home are taken in when they are
first looked for. It does not know how a model computes.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, time
from uuid import uuid4

from tamis.errors import InvalidRequest, ModelError, UnknownModel
from tamis.ml import registry
from tamis.ml.artifact import open_artifact
from tamis.ml.cards import CARDS, BaseModelCard
from tamis.ml.manifest import Manifest
from tamis.settings import HOSTED_BASES, Settings
from tamis.store.artifacts import CACHE, FOLDER, OBJECTS, folder_of
from tamis.store.opening import Store
from tamis.store.records import ModelColumns, ModelFilters, ModelRecord

LOOK_EVERY_S = 5.0

CONTEXT = 32_768
"""Tokens: what the hosted service says of every model, and what is said of one that reads inputs whole."""

MOST_TITLE, MOST_DESCRIPTION = 200, 10_000
Listed = list[ModelRecord]


@dataclass(frozen=True, slots=True)
class Base:
    """A base model under one of its names."""

    name: str
    card: BaseModelCard | None


class Models:
    """The models of a workspace."""

    def __init__(self, store: Store, settings: Settings) -> None:
        """Take the store, and the home where `tamis train --name` keeps models."""
        self._store, self._settings = store, settings
        self.changes = 0
        """Changes that this process has made: for who remembers what names stand for."""
        self._look_again = 0.0
        self._listeners: list[Callable[[str], None]] = []

    def find(self, reference: str) -> ModelRecord:
        """Return the model that a name stands for.

        Raises:
            UnknownModel: none.
        """
        found = self._store.models.look_up(reference)
        if found is None and self.take_in():
            found = self._store.models.look_up(reference)
        if found is None:
            raise UnknownModel(f"There is no model {reference[:200]}: list the models.", model=reference)
        return found

    def answering(self, reference: str) -> ModelRecord:
        """Return the model that a name stands for, to ask it something.

        Raises:
            UnknownModel: there is none, or it is archived.
        """
        found = self.find(reference)
        if found.archived:
            raise UnknownModel(f"The model {reference[:200]} is archived: unarchive it first.", model=reference)
        return found

    def tell_when_gone(self, listener: Callable[[str], None]) -> None:
        """Have a listener told the id of each model that this process deletes or archives."""
        self._listeners.append(listener)

    def gone(self, ids: Iterable[str]) -> list[str]:
        """Return those of the ids whose model is no more, or is archived."""
        found = {model_id: self._store.models.find(model_id) for model_id in ids}
        return [model_id for model_id, record in found.items() if record is None or record.archived]

    def register(self, name: str, folder: Path) -> registry.Version:
        """Copy an artifact to the home as the next version of `name`, whoever made the earlier ones.

        Raises:
            InvalidSetting: a model cannot have this name.
            ModelError: the folder is not a sound artifact, or the home cannot be written.
        """
        self.take_in()
        version = registry.register(self._settings.home, name, folder, after=self._store.models.last_version(name))
        self.take_in()
        return version

    def add_version(self, reference: str, folder: Path, created_by: str | None = None) -> ModelRecord:
        """Keep an artifact as the next version of a model's name, where that model is: in the home, or in a bucket.

        Aliases stay where they are.

        Args:
            reference: the model that it is a version of.
            folder: the artifact, which is copied.
            created_by: who asked for it, for models that are not in the home's registry.

        Raises:
            UnknownModel: there is no such model.
            ModelError: the folder is not a sound artifact, or the home cannot be written.
            StorageFailed: the storage cannot be used.
        """
        parent = self.find(reference)
        if parent.place.startswith(FOLDER):
            version = self.register(parent.name, folder)
            return self.find(str(version))
        artifact = open_artifact(folder)
        self.take_in()  # versions in the home have numbers too
        record = _version_of(parent, artifact.manifest, folder, created_by)
        prefix = record.place.removeprefix(OBJECTS)
        self._store.objects.put_folder(folder, prefix)
        try:
            added = self._store.models.add(record)
        except BaseException:
            self._store.objects.delete_all(prefix)
            raise
        self.changes += 1
        return added

    def list(self) -> Listed:
        """Return all models, the newest first."""
        self.take_in()
        return self._store.models.list()[0]

    def page(self, page: int, page_size: int, filters: ModelFilters) -> tuple[Listed, int]:
        """Return one page of the models, the newest first, and how many there are in all.

        The home is looked through for models of `tamis train --name` every few seconds, not every time.
        """
        if monotonic() > self._look_again:
            self.take_in()
            self._look_again = monotonic() + LOOK_EVERY_S
        return self._store.models.list(page, page_size, **filters)

    def alias_names(self) -> dict[str, tuple[str, ...]]:
        """Return the aliases of all models that have any, by the models' ids."""
        found: dict[str, tuple[str, ...]] = {}
        for name, model_id in self._store.aliases.list().items():
            found[model_id] = (*found.get(model_id, ()), name)
        return found

    def bases(self) -> tuple[Base, ...]:
        """Return the base models under all names by which a job may ask for them."""
        names = dict.fromkeys([*CARDS, *HOSTED_BASES, *self._settings.base_aliases])
        return tuple(Base(name, CARDS.get(self._settings.resolve_base(name))) for name in names)

    def aliases(self, model_id: str) -> tuple[str, ...]:
        """Return the aliases of a model."""
        return tuple(self._store.aliases.list(model_id))

    def update(self, reference: str, title: str | None, description: str | None) -> ModelRecord:
        """Change what is told of a model; None leaves it as it is.

        Raises:
            UnknownModel: there is no such model.
            InvalidRequest: one of them is too long.
        """
        for name, text, most in (("name", title, MOST_TITLE), ("description", description, MOST_DESCRIPTION)):
            if text is not None and len(text) > most:
                raise InvalidRequest(f"body.{name}: give at most {most} characters.", loc=["body", name])
        columns: ModelColumns = {}
        if title is not None:
            columns["title"] = title
        if description is not None:
            columns["description"] = description
        return self._change(reference, columns)

    def archive(self, reference: str) -> ModelRecord:
        """Put a model away: it answers no more, until it is taken out again.

        Raises:
            UnknownModel: there is no such model.
        """
        archived = self._change(reference, {"archived": True})
        self._tell(archived.id)
        return archived

    def unarchive(self, reference: str) -> ModelRecord:
        """Take a model out again.

        Raises:
            UnknownModel: there is no such model.
        """
        return self._change(reference, {"archived": False})

    def delete(self, reference: str) -> ModelRecord:
        """Delete a model for good.

        Raises:
            UnknownModel: there is no such model.
            InUse: an alias points at it.
        """
        model = self.find(reference)
        if self._store.models.delete(model.id):
            self.changes += 1
            self._tell(model.id)
            if model.place.startswith(OBJECTS):
                self._store.objects.delete_all(model.place.removeprefix(OBJECTS))
            else:
                self._remove_folder(Path(model.place.removeprefix(FOLDER)))
        return model

    def folder(self, model: ModelRecord) -> Path:
        """Return the folder of a model's artifact; from a bucket it is copied to the home's cache first.

        Raises:
            UnknownFile: its files are gone.
            StorageFailed: they cannot be fetched.
        """
        return folder_of(self._store.objects, model, self._settings.home / CACHE)

    def note_use(self, ids: Iterable[str]) -> None:
        """Note that models were asked something."""
        self._store.models.note_use(set(ids))

    def place(self, model: ModelRecord) -> str:
        """Return where a model's files are, for people: a folder, or an address in a bucket."""
        if model.place.startswith(FOLDER):
            return model.place.removeprefix(FOLDER)
        objects, prefix = self._store.objects, model.place.removeprefix(OBJECTS)
        return f"{objects.url}/{prefix}" if objects.root is None else str(objects.root / prefix)

    def generation(self) -> int:
        """Return a number that grows with every change of models and aliases."""
        return self._store.models.generation()

    def _tell(self, model_id: str) -> None:
        for listener in self._listeners:
            listener(model_id)

    def _change(self, reference: str, columns: ModelColumns) -> ModelRecord:
        changed = self._store.models.change(self.find(reference).id, **columns)
        if changed is None:
            raise UnknownModel(f"There is no model {reference[:200]}.", model=reference)
        self.changes += 1
        return changed

    def take_in(self) -> bool:
        """Take in models of the home's registry that are not known yet, and let go of those that are gone.

        A version keeps its number, so that `name@3` is the same model at every door.
        """
        mine = f"{FOLDER}{self._settings.home / registry.FOLDER}/"
        known = self._store.models.places(mine)
        there = {f"{FOLDER}{version.folder}": version for version in registry.versions(self._settings.home)}
        for place, model_id in known.items():
            if place not in there and not self._store.aliases.list(model_id):
                self._store.models.delete(model_id)
        new = [version for place, version in there.items() if place not in known]
        adopted = False
        for version in sorted(new, key=lambda version: (version.name, version.number)):
            try:
                manifest = open_artifact(version.folder, check_hashes=False).manifest
            except ModelError:
                continue  # `tamis models` tells of it
            self._store.models.add_once(_record(version, manifest))
            adopted = True  # by another process at the same time, it may be
        return adopted

    def _remove_folder(self, folder: Path) -> None:
        """Remove a version of the home's registry, and nothing else: nothing that a link there leads to either."""
        if folder.resolve().is_relative_to((self._settings.home / registry.FOLDER).resolve()):
            shutil.rmtree(folder, ignore_errors=True)


def context_of(model: ModelRecord) -> int:
    """Return how many tokens of an input a model is said to read."""
    return model.context or CONTEXT


def _version_of(parent: ModelRecord, manifest: Manifest, folder: Path, created_by: str | None) -> ModelRecord:
    """The row of a new version, without a number; a job's name like `ft:classifier:...` stays with its model."""
    model_id = str(uuid4())
    weights = {target["name"]: target["weight"] for target in parent.targets if "weight" in target}
    targets = (entry.target.model_dump(mode="json") for entry in manifest.targets)
    return ModelRecord(
        id=model_id,
        name=parent.name,
        root=parent.root,
        base=parent.base,
        place=f"{OBJECTS}models/{model_id}",
        title=parent.title,
        description=parent.description,
        bytes=sum(path.stat().st_size for path in folder.iterdir()),
        context=manifest.tokens_read,
        targets=tuple(
            target | ({"weight": weights[target["name"]]} if target["name"] in weights else {}) for target in targets
        ),
        metrics=dict(manifest.metrics),
        created_at=int(time()),
        created_by=created_by,
    )


def _record(version: registry.Version, manifest: Manifest) -> ModelRecord:
    return ModelRecord(
        id=str(uuid4()),
        name=version.name,
        version=version.number,
        root=manifest.base_model.id,
        base=manifest.base_model.id,
        place=f"{FOLDER}{version.folder}",
        bytes=sum(path.stat().st_size for path in version.folder.iterdir()),
        context=manifest.tokens_read,
        targets=tuple(entry.target.model_dump(mode="json") for entry in manifest.targets),
        metrics=dict(manifest.metrics),
        created_at=int(manifest.created.timestamp() if manifest.created else time()),
    )
