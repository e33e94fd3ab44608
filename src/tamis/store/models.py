"""Models: numbered versions of names, and the aliases that point at them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Unpack
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from tamis.errors import InUse, UnknownModel
from tamis.store.database import Database
from tamis.store.records import ModelColumns, ModelFilters, ModelRecord
from tamis.store.rows import count, first_row, newest_first, one_of, page_of, record_of, row_of
from tamis.store.tables import aliases, counters, model_names, models

Listing = tuple[list[ModelRecord], int]
_COUNTER = "models"

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
            _grow(connection)
            if connection.execute(select(models.c.id).where(models.c.place == record.place)).first():
                return False
            add_model(connection, record)
            return True

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

    def look_up(self, reference: str) -> ModelRecord | None:
        """Return the model of any name: id, `<id>-ft`, `ft:...`, `name@version`, an alias, or `name` (its newest).

        The id of the job that made a model is as good as the model's own: one API has but one id for both.
        """
        if reference.startswith(FT_START):
            return self.by_ft(reference)
        if _is_id(plain := reference.removesuffix(ID_END)):
            return self.find(plain.lower()) or self.by_job(plain.lower())
        name, at, version = reference.rpartition("@")
        if at and version.isascii() and version.isdigit() and len(version) < 10:
            return self.by_name(name, int(version))
        pointed_at = self.alias(reference)
        return self.find(pointed_at) if pointed_at else self.by_name(reference)

    def list(self, page: int = 0, page_size: int | None = None, **filters: Unpack[ModelFilters]) -> Listing:
        """Return a page of models (default: all), newest first, and how many there are on all pages."""
        conditions = _conditions(filters)
        with self._database.reading() as connection:
            rows = connection.execute(page_of(newest_first(models, conditions), page, page_size)).mappings()
            return [record_of(ModelRecord, row) for row in rows], count(connection, models, conditions)

    def change(self, id: str, **columns: Unpack[ModelColumns]) -> ModelRecord | None:
        """Change what may be changed of a model; None where it is not there."""
        with self._database.writing() as connection:
            _grow(connection)
            if columns:
                connection.execute(update(models).where(models.c.id == id).values(**columns))
            return first_row(connection, select(models).where(models.c.id == id), ModelRecord)

    def delete(self, id: str) -> bool:
        """Delete a model's row; return whether there was one.

        Raises:
            InUse: an alias points at it.
        """
        try:
            with self._database.writing() as connection:
                _grow(connection)
                return bool(connection.execute(delete(models).where(models.c.id == id)).rowcount)
        except IntegrityError:
            names = ", ".join(self.aliases(id)) or "an alias"
            raise InUse(f"The model {id} is behind {names}. Move or drop the alias first.", model_id=id) from None

    def alias(self, name: str) -> str | None:
        """Return the id of the model that an alias points at."""
        with self._database.reading() as connection:
            found: str | None = connection.execute(select(aliases.c.model_id).where(aliases.c.name == name)).scalar()
            return found

    def aliases(self, model_id: str | None = None) -> dict[str, str]:
        """Return the aliases, of one model or all, with the models' ids."""
        query = select(aliases.c.name, aliases.c.model_id).order_by(aliases.c.name)
        if model_id is not None:
            query = query.where(aliases.c.model_id == model_id)
        with self._database.reading() as connection:
            return {str(name): str(id) for name, id in connection.execute(query)}

    def set_alias(self, name: str, model_id: str) -> None:
        """Point an alias, new or not, at a model.

        Raises:
            UnknownModel: there is no such model.
        """
        try:
            with self._database.writing() as connection:
                _grow(connection)
                moved = connection.execute(update(aliases).where(aliases.c.name == name).values(model_id=model_id))
                if not moved.rowcount:
                    connection.execute(insert(aliases).values(name=name, model_id=model_id))
        except IntegrityError:
            raise UnknownModel(f"There is no model {model_id}.", model_id=model_id) from None

    def drop_alias(self, name: str) -> bool:
        """Delete an alias; return whether there was one."""
        with self._database.writing() as connection:
            _grow(connection)
            return bool(connection.execute(delete(aliases).where(aliases.c.name == name)).rowcount)

    def generation(self) -> int:
        """Return a number that grows with every change of models and aliases."""
        with self._database.reading() as connection:
            found = connection.execute(select(counters.c.value).where(counters.c.name == _COUNTER)).scalar()
            return int(found or 0)

    def _first(self, *conditions: ColumnElement[bool]) -> ModelRecord | None:
        query = select(models).where(*conditions).order_by(models.c.version.desc())
        with self._database.reading() as connection:
            return first_row(connection, query, ModelRecord)


def add_model(connection: Connection, record: ModelRecord) -> ModelRecord:
    """Add a model as the next version of its name, in the caller's transaction.

    A record that has a number already keeps it where no model of the name has, or had, that number or a higher one.
    """
    _grow(connection)
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


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _grow(connection: Connection) -> None:
    """Count a change. Being first, it also makes who changes models wait for each other, so that none deadlock."""
    row = counters.c.name == _COUNTER
    connection.execute(update(counters).where(row).values(value=counters.c.value + 1))


def _conditions(filters: ModelFilters) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[Any]] = one_of(models.c.name, filters.get("name"))
    conditions += one_of(models.c.created_by, filters.get("created_by"))
    if (archived := filters.get("archived")) is not None:
        conditions.append(models.c.archived == archived)
    return conditions
