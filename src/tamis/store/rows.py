"""Rows of tables as records, records as rows; pages of rows, newest first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, Table, func, or_, select

from tamis.store.records import OneOf
from tamis.store.tables import LARGEST_INTEGER

if TYPE_CHECKING:
    from dataclasses import Field


class Record(Protocol):
    """Any of the records."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


R = TypeVar("R", bound=Record)


def row_of(record: Record) -> dict[str, Any]:
    """Return the columns of a record."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def record_of(kind: type[R], row: Mapping[Any, Any]) -> R:
    """Return the record of a row; JSON arrays become the tuples they were."""
    values = {}
    for name, is_tuple, is_nested in _fields(kind):
        value = row[name]
        if is_tuple and value is not None:
            value = tuple(tuple(item) for item in value) if is_nested else tuple(value)
        values[name] = value
    return kind(**values)


@cache
def _fields(kind: type[Record]) -> tuple[tuple[str, bool, bool], ...]:
    """Name of each field, whether it is a tuple, whether one of tuples."""
    found = ((field.name, str(field.type)) for field in fields(kind))
    return tuple((name, kind.startswith("tuple["), kind.startswith("tuple[tuple[")) for name, kind in found)


def one_of(column: ColumnElement[Any], wanted: OneOf) -> list[ColumnElement[bool]]:
    """Return the condition that the column is the value, or one of them; None is no condition."""
    if wanted is None:
        return []
    return [column == wanted if isinstance(wanted, str) else column.in_(sorted(wanted))]


LONGEST_SEARCH = 200
"""Characters that a search looks at: no name has more, and databases refuse very long patterns."""


def searched(search: str | None, id: ColumnElement[Any], *names: ColumnElement[Any]) -> list[ColumnElement[bool]]:
    """Return the condition that a name has the text in it, or the id begins with it.

    Case makes no difference, but for letters beyond ASCII where the database knows no better (SQLite).
    """
    if not search:
        return []
    text = search[:LONGEST_SEARCH]
    as_is = [name.contains(text, autoescape=True) for name in names]
    folded = [func.lower(name).contains(text.lower(), autoescape=True) for name in names]
    return [or_(id.startswith(text.lower(), autoescape=True), *as_is, *folded)]


def first_row(connection: Connection, query: Select[Any], kind: type[R]) -> R | None:
    """Return the first record of a query."""
    row = connection.execute(query.limit(1)).mappings().first()
    return None if row is None else record_of(kind, row)


def page_of(query: Select[Any], page: int, page_size: int | None) -> Select[Any]:
    """Return the query cut to a page; pages count from 0, no size means all."""
    if page_size is None:
        return query
    size = max(0, min(page_size, 2**31))
    return query.limit(size).offset(min(max(0, page) * size, LARGEST_INTEGER))


def newest_first(table: Table, conditions: list[ColumnElement[bool]], *, oldest_first: bool = False) -> Select[Any]:
    """Return the query of a table's rows in the order they came, the last one first."""
    keys = (table.c.created_at, table.c.seq)
    order = keys if oldest_first else tuple(key.desc() for key in keys)
    return select(table).where(*conditions).order_by(*order)


def count(connection: Connection, table: Table, conditions: list[ColumnElement[bool]]) -> int:
    """Return how many rows meet the conditions."""
    return connection.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one()
