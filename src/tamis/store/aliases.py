"""Aliases: names that point at a model each and can be moved to another, with a line for every move.

A move is refused where the alias was moved since the caller last looked, told by the number of its last move. It knows
no rules about who may move what.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from tamis.errors import AliasMoved, UnknownModel
from tamis.store.database import Database
from tamis.store.records import DROP, AliasMove, Json
from tamis.store.rows import count, page_of, record_of, row_of
from tamis.store.tables import alias_moves, aliases, counters, models

Listing = tuple[list[AliasMove], int]
_COUNTER = "models"


class Aliases:
    """The aliases."""

    def __init__(self, database: Database) -> None:
        """Keep them in this database."""
        self._database = database

    def find(self, name: str) -> str | None:
        """Return the id of the model that an alias points at."""
        with self._database.reading() as connection:
            return _pointed_at(connection, name)

    def list(self, model_id: str | None = None) -> dict[str, str]:
        """Return the aliases, of one model or all, with the models' ids."""
        query = select(aliases.c.name, aliases.c.model_id).order_by(aliases.c.name)
        if model_id is not None:
            query = query.where(aliases.c.model_id == model_id)
        with self._database.reading() as connection:
            return {str(name): str(id) for name, id in connection.execute(query)}

    def move(
        self,
        name: str,
        to: str | None,
        why: str,
        *,
        by: str | None = None,
        figures: Json | None = None,
        after: int | None = None,
    ) -> AliasMove | None:
        """Point an alias at a model, or (None) at nothing, and return the move; None where it points there already.

        Args:
            name: of the alias.
            to: the model's id.
            why: "set", "promote", "roll back" or "drop".
            by: who moves it.
            figures: what was measured.
            after: the number of its last move as the caller knows it, 0 for none; None: whatever it is.

        Raises:
            UnknownModel: there is no such model.
            AliasMoved: it was moved since.
        """
        try:
            with self._database.writing() as connection:
                count_change(connection)  # being first, it also makes movers wait for each other
                last = _last_number(connection, name)
                if after is not None and after != last:
                    raise AliasMoved(
                        f"The alias {name} was moved meanwhile: look where it points now, and try again.", alias=name
                    )
                here = _pointed_at(connection, name)
                if here == to:
                    return None
                move = AliasMove(
                    alias=name,
                    number=last + 1,
                    why=why,
                    moved_at=self._database.now(),
                    from_id=here,
                    from_name=_name_of(connection, here),
                    to_id=to,
                    to_name=_name_of(connection, to),
                    figures=figures or {},
                    moved_by=by,
                )
                _point(connection, name, here, to)
                connection.execute(insert(alias_moves).values(row_of(move)))
                return move
        except IntegrityError:
            raise UnknownModel(f"There is no model {to}.", model_id=to) from None

    def drop(self, name: str, *, by: str | None = None) -> bool:
        """Delete an alias; return whether there was one."""
        return self.move(name, None, DROP, by=by) is not None

    def history(self, name: str, page: int = 0, page_size: int | None = None) -> Listing:
        """Return a page of an alias's moves (default: all), the newest first, and how many there are on all pages."""
        mine = [alias_moves.c.alias == name]
        query = select(alias_moves).where(*mine).order_by(alias_moves.c.number.desc())
        with self._database.reading() as connection:
            return _records(connection, page_of(query, page, page_size)), count(connection, alias_moves, mine)

    def last_moves(self) -> dict[str, AliasMove]:
        """Return the last move of every alias that was ever moved, those that were dropped too."""
        newest = select(func.max(alias_moves.c.seq)).group_by(alias_moves.c.alias)
        with self._database.reading() as connection:
            found = _records(connection, select(alias_moves).where(alias_moves.c.seq.in_(newest)))
        return {move.alias: move for move in found}

    def still_there(self, model_ids: Collection[str]) -> set[str]:
        """Return those of the ids whose model is not deleted."""
        with self._database.reading() as connection:
            query = select(models.c.id).where(models.c.id.in_(sorted(model_ids)))
            return {str(id) for id in connection.execute(query).scalars()}


def count_change(connection: Connection) -> None:
    """Count a change of models or aliases. Being first, it makes who changes them wait for each other."""
    row = counters.c.name == _COUNTER
    connection.execute(update(counters).where(row).values(value=counters.c.value + 1))


def changes(connection: Connection) -> int:
    """Return a number that grows with every change of models and aliases."""
    found = connection.execute(select(counters.c.value).where(counters.c.name == _COUNTER)).scalar()
    return int(found or 0)


def _point(connection: Connection, name: str, here: str | None, to: str | None) -> None:
    """Change the alias itself; `here` is where it points now."""
    if to is None:
        connection.execute(delete(aliases).where(aliases.c.name == name))
    elif here is None:
        connection.execute(insert(aliases).values(name=name, model_id=to))
    else:
        connection.execute(update(aliases).where(aliases.c.name == name).values(model_id=to))


def _pointed_at(connection: Connection, name: str) -> str | None:
    found: str | None = connection.execute(select(aliases.c.model_id).where(aliases.c.name == name)).scalar()
    return found


def _last_number(connection: Connection, name: str) -> int:
    query = select(func.max(alias_moves.c.number)).where(alias_moves.c.alias == name)
    return int(connection.execute(query).scalar() or 0)


def _name_of(connection: Connection, model_id: str | None) -> str | None:
    """Return `name@version` of a model."""
    if model_id is None:
        return None
    row = connection.execute(select(models.c.name, models.c.version).where(models.c.id == model_id)).first()
    return None if row is None else f"{row.name}@{row.version}"


def _records(connection: Connection, query: Select[Any]) -> list[AliasMove]:
    return [record_of(AliasMove, row) for row in connection.execute(query).mappings()]
