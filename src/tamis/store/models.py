"""Models: numbered versions of names, found by any of their names."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, Unpack
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from tamis.errors import InUse
from tamis.store.aliases import Aliases, changes, count_change
from tamis.store.database import Database
from tamis.store.records import ModelColumns, ModelFilters, ModelRecord
from tamis.store.rows import count, first_row, newest_first, one_of, page_of, record_of, row_of, searched
from tamis.store.tables import aliases, model_names, models

Listing = tuple[list[ModelRecord], int]

FT_START = "ft:"
ID_END = "-ft"
"""How the names of fine-tuned models begin with one hosted service, and end with the other."""


class Models:
    """The models."""

    def __init__(self, database: Database) -> None:
        """Keep them in this database."""
        self._database = database

    def add(self, record: ModelRecord) -> ModelRecord:
        """Add a model as the next version of its name, or as a later one where the record has its number.

        Return it with its number. No number is given twice.
        """
        with self._database.writing() as connection:
            return add_model(connection, record)

    def add_once(self, record: ModelRecord) -> bool:
        """Add a model as `add` does, unless one is there whose files are in the same place; return whether it was."""
        with self._database.writing() as connection:
            count_change(connection)
            if connection.execute(select(models.c.id).where(models.c.place == record.place)).first():
                return False
            add_model(connection, record)
            return True

    def places(self, start: str) -> dict[str, str]:
        """Return the ids of the models whose place begins so, by place: all of them, and nothing else of them."""
        query = select(models.c.place, models.c.id).where(models.c.place.startswith(start, autoescape=True))
        with self._database.reading() as connection:
            found = connection.execute(query).all()
        return {place: id for place, id in found if place.startswith(start)}  # SQLite takes no account of case

    def stored_bytes(self) -> int:
        """Return how many bytes all models have together."""
        with self._database.reading() as connection:
            return int(connection.execute(select(func.coalesce(func.sum(models.c.bytes), 0))).scalar_one())

    def find(self, id: str) -> ModelRecord | None:
        """Return the model of an id."""
        return self._first(models.c.id == id)

    def by_name(self, name: str, version: int | None = None) -> ModelRecord | None:
        """Return a version of a name; None: the newest that is there."""
        conditions = [models.c.name == name] + ([] if version is None else [models.c.version == version])
        return self._first(*conditions)

    def last_version(self, name: str) -> int:
        """Return the highest number that a model of the name has, or had; 0 where there was none."""
        with self._database.reading() as connection:
            query = select(model_names.c.last_version).where(model_names.c.name == name)
            return int(connection.execute(query).scalar() or 0)

    def by_ft(self, ft: str) -> ModelRecord | None:
        """Return the model of a name like `ft:classifier:...`."""
        return self._first(models.c.ft == ft)

    def by_job(self, job_id: str) -> ModelRecord | None:
        """Return the model that a job made."""
        return self._first(models.c.job_id == job_id)

    def by_alias(self, name: str) -> ModelRecord | None:
        """Return the model that an alias points at, in one look: it may be moved, and the model deleted, meanwhile."""
        query = select(models).join(aliases, aliases.c.model_id == models.c.id).where(aliases.c.name == name)
        with self._database.reading() as connection:
            return first_row(connection, query, ModelRecord)

    def look_up(self, reference: str) -> ModelRecord | None:
        """Return the model of any name: id, `<id>-ft`, `ft:...`, `name@version`, an alias, or `name` (its newest).

        The id of the job that made a model is as good as the model's own: one API has but one id for both.
        """
        if reference.startswith(FT_START):
            return self.by_ft(reference)
        if is_id(plain := reference.removesuffix(ID_END)):
            return self.find(plain.lower()) or self.by_job(plain.lower())
        name, at, version = reference.rpartition("@")
        if at and version.isascii() and version.isdigit() and len(version) < 10:
            return self.by_name(name, int(version))
        return self.by_alias(reference) or self.by_name(reference)

    def list(self, page: int = 0, page_size: int | None = None, **filters: Unpack[ModelFilters]) -> Listing:
        """Return a page of models (default: all), newest first, and how many there are on all pages."""
        conditions = _conditions(filters)
        with self._database.reading() as connection:
            rows = connection.execute(page_of(newest_first(models, conditions), page, page_size)).mappings()
            return [record_of(ModelRecord, row) for row in rows], count(connection, models, conditions)

    def change(self, id: str, **columns: Unpack[ModelColumns]) -> ModelRecord | None:
        """Change what may be changed of a model; None where it is not there."""
        with self._database.writing() as connection:
            count_change(connection)
            if columns:
                connection.execute(update(models).where(models.c.id == id).values(**columns))
            return first_row(connection, select(models).where(models.c.id == id), ModelRecord)

    def note_use(self, ids: Collection[str]) -> None:
        """Note that models were asked just now; this is no change that anybody has to look at."""
        with self._database.writing() as connection:
            used = models.c.id.in_(sorted(ids))
            connection.execute(update(models).where(used).values(last_used_at=self._database.now()))

    def delete(self, id: str) -> bool:
        """Delete a model's row; return whether there was one.

        Raises:
            InUse: an alias points at it.
        """
        try:
            with self._database.writing() as connection:
                count_change(connection)
                return bool(connection.execute(delete(models).where(models.c.id == id)).rowcount)
        except IntegrityError:
            names = ", ".join(Aliases(self._database).list(id)) or "an alias"
            found = self._first(models.c.id == id)
            called = f"{found.name}@{found.version}" if found else id
            raise InUse(f"The model {called} is behind {names}. Move or drop the alias first.", model_id=id) from None

    def generation(self) -> int:
        """Return a number that grows with every change of models and aliases."""
        with self._database.reading() as connection:
            return changes(connection)

    def _first(self, *conditions: ColumnElement[bool]) -> ModelRecord | None:
        query = select(models).where(*conditions).order_by(models.c.version.desc())
        with self._database.reading() as connection:
            return first_row(connection, query, ModelRecord)


def add_model(connection: Connection, record: ModelRecord) -> ModelRecord:
    """Add a model as the next version of its name, in the caller's transaction.

    A record that has a number already keeps it where no model of the name has, or had, that number or a higher one.
    """
    count_change(connection)
    named = model_names.c.name == record.name
    last = connection.execute(select(model_names.c.last_version).where(named)).scalar()
    version = max(record.version, (last or 0) + 1)
    if last is None:
        connection.execute(insert(model_names).values(name=record.name, last_version=version))
    else:
        connection.execute(update(model_names).where(named).values(last_version=version))
    numbered = replace(record, version=version)
    connection.execute(insert(models).values(row_of(numbered)))
    return numbered


def is_id(text: str) -> bool:
    """Return whether a text is an id, rather than a name."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _conditions(filters: ModelFilters) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[Any]] = one_of(models.c.name, filters.get("name"))
    conditions += one_of(models.c.created_by, filters.get("created_by"))
    conditions += searched(filters.get("search"), models.c.id, models.c.name, models.c.title)
    if (archived := filters.get("archived")) is not None:
        conditions.append(models.c.archived == archived)
    return conditions
