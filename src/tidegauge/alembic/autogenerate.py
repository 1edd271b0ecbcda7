"""Autogenerate that takes TimescaleDB's own objects for what they are: not the project's, and no reason for a revision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from sqlalchemy import Connection, text

_SCHEMAS = ("_timescaledb_", "timescaledb_")
# create_hypertable() indexes each dimension that no index begins with, under the name that PostgreSQL would give.
_DEFAULT_INDEXES = """
SELECT x.schemaname AS schema, x.tablename AS table, x.indexname AS index
FROM pg_indexes x
JOIN timescaledb_information.dimensions d ON d.hypertable_schema = x.schemaname AND d.hypertable_name = x.tablename
WHERE x.indexname ~ '_idx[0-9]*$' AND x.indexdef !~ '^CREATE UNIQUE'
    AND x.indexdef LIKE '%(' || quote_ident(d.column_name) || ' DESC)'
"""
_HAS_TIMESCALEDB = "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb')"

IncludeName = Callable[[str | None, str, Any], bool]
IncludeObject = Callable[[Any, str | None, str, bool, Any], bool]
Options = Mapping[Literal["include_name", "include_object"], Any]


def autogenerate_options(
    connection: Connection | None, include_name: IncludeName | None = None, include_object: IncludeObject | None = None
) -> dict[str, Any]:
    """Arguments for ``context.configure``: ``include_name`` and ``include_object``; the project's own are asked as well.

    Left out are TimescaleDB's schemas with everything in them (chunks, what aggregates materialise, catalogues) and, on tables, the
    indexes that ``create_hypertable`` made, unless the models name them. Continuous aggregates are views and were never compared.
    Hypertables themselves are compared like any table.

    Args:
        connection: that Alembic is configured with; None in offline mode, which compares nothing.
        include_name: the project's own.
        include_object: the project's own.

    """
    made = _default_indexes(connection)

    def name_is_included(name: str | None, type_: str, parents: Any) -> bool:
        if type_ == "schema" and name is not None and name.startswith(_SCHEMAS):
            return False
        return include_name is None or include_name(name, type_, parents)

    def object_is_included(item: Any, name: str | None, type_: str, reflected: bool, compare_to: Any) -> bool:
        if type_ == "index" and reflected and compare_to is None and (item.table.schema, item.table.name, name) in made:
            return False
        return include_object is None or include_object(item, name, type_, reflected, compare_to)

    return {"include_name": name_is_included, "include_object": object_is_included}


def _default_indexes(connection: Connection | None) -> frozenset[tuple[str | None, str, str]]:
    if connection is None:
        return frozenset()
    began = not connection.in_transaction()
    try:
        if not connection.execute(text(_HAS_TIMESCALEDB)).scalar():
            return frozenset()
        default = connection.execute(text("SELECT current_schema()")).scalar()
        rows = connection.execute(text(_DEFAULT_INDEXES)).all()
    finally:
        if began:
            # Alembic begins its transaction by itself, and takes one that is there for the caller's.
            connection.rollback()
    found = {(schema, table, index) for schema, table, index in rows}
    # Where the search path finds a table, Alembic knows it without its schema.
    return frozenset(found | {(None, table, index) for schema, table, index in found if schema == default})
