"""Carries out ``op.add_cagg_column``: a new continuous aggregate beside the old, filled in windows, then swapped.

What it reads of TimescaleDB is in ``timescaledb_information`` (2.18 and newer) but for a bucket's width, which is in the catalogue alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from alembic.operations import Operations
from alembic.util import CommandError
from sqlalchemy import Connection, RowMapping, bindparam, text

from tidegauge.alembic import statements as sql
from tidegauge.alembic.aggregates import AddCaggColumn, definition

_SUFFIX = "__new"
_LONGEST_NAME = 63
# pg_get_viewdef() indents the outermost FROM, and no other, by three blanks.
_OUTERMOST_FROM = re.compile(r"\n   FROM ")

_FOUND = """
SELECT
    a.view_schema, a.view_name, a.view_definition, a.materialized_only, a.compression_enabled,
    format('%I.%I', a.materialization_hypertable_schema, a.materialization_hypertable_name) AS materialized,
    format('%I.%I', a.hypertable_schema, a.hypertable_name) AS source,
    d.column_name AS bucket, d.column_type::text AS bucket_type, d.time_interval::text AS chunk_interval,
    s.column_name AS source_time, b.bucket_width, pg_get_userbyid(c.relowner) AS owner
FROM timescaledb_information.continuous_aggregates a
JOIN timescaledb_information.dimensions d
    ON d.hypertable_schema = a.materialization_hypertable_schema AND d.hypertable_name = a.materialization_hypertable_name
    AND d.dimension_number = 1
JOIN timescaledb_information.dimensions s
    ON s.hypertable_schema = a.hypertable_schema AND s.hypertable_name = a.hypertable_name AND s.dimension_number = 1
JOIN _timescaledb_catalog.continuous_agg k ON k.user_view_schema = a.view_schema AND k.user_view_name = a.view_name
JOIN _timescaledb_catalog.continuous_aggs_bucket_function b ON b.mat_hypertable_id = k.mat_hypertable_id
JOIN pg_class c ON c.oid = format('%I.%I', a.view_schema, a.view_name)::regclass
WHERE format('%I.%I', a.view_schema, a.view_name)::regclass = to_regclass(:view)
"""
_COLUMNS = """
SELECT attname AS column, col_description(attrelid, attnum) AS comment
FROM pg_attribute WHERE attrelid = CAST(:relation AS regclass) AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
_INDEXES = """
SELECT
    n.nspname AS schema, i.relname AS name,
    regexp_replace(pg_get_indexdef(x.indexrelid), '^.* USING ', 'USING ') AS method
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_namespace n ON n.oid = i.relnamespace
WHERE x.indrelid = CAST(:relation AS regclass) ORDER BY i.relname
"""
_ABOVE = """
SELECT format('%I.%I', view_schema, view_name) AS name FROM timescaledb_information.continuous_aggregates
WHERE format('%I.%I', hypertable_schema, hypertable_name) = :materialized ORDER BY 1
"""
_VIEWS = """
SELECT DISTINCT c.oid::regclass::text AS name, c.relkind::text AS kind, pg_get_viewdef(c.oid) AS definition
FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class c ON c.oid = r.ev_class
WHERE d.classid = 'pg_rewrite'::regclass AND d.refobjid = CAST(:view AS regclass) AND c.oid <> CAST(:view AS regclass)
"""
_POLICIES = """
SELECT job_id, proc_name, schedule_interval::text AS schedule_interval, scheduled, config
FROM timescaledb_information.jobs
-- The aggregate's name in some versions, in others that of what it materialises.
WHERE format('%I.%I', hypertable_schema, hypertable_name) IN (:materialized, :view)
    AND proc_name IN ('policy_refresh_continuous_aggregate', 'policy_compression', 'policy_retention')
ORDER BY job_id
"""
_GRANTS = """
SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee, a.privilege_type, a.is_grantable
FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
WHERE c.oid = CAST(:view AS regclass) AND a.grantee <> c.relowner
"""


@dataclass(frozen=True, slots=True)
class _Aggregate:
    """A continuous aggregate as it stands; names are quoted."""

    view: str
    schema: str
    name: str
    query: str
    materialized: str
    source: str
    source_time: str
    bucket: str
    width: str
    chunk_interval: str
    owner: str
    materialized_only: bool
    is_compressed: bool


def add_cagg_column(operations: Operations, operation: AddCaggColumn) -> None:
    """See ``op.add_cagg_column``.

    Raises:
        CommandError: what stands in the way, and what to do.

    """
    context = operations.get_context()
    if context.as_sql:
        raise CommandError("add_cagg_column asks the database how far it is: it has no --sql form")
    connection = operations.get_bind()
    old = _found(connection, sql.name(operation.view_name, operation.schema))
    if operation.column in _columns(connection, old.view):
        raise CommandError(f"{old.view} has a column {operation.column} already")
    _refuse_aggregates_above(connection, old)
    new = _beside(connection, old, operation)
    with context.autocommit_block():
        _fill(operations.get_bind(), old, new, operation)
    _swap(operations.get_bind(), old, new)


def _found(connection: Connection, view: str) -> _Aggregate:
    row = connection.execute(text(_FOUND), {"view": view}).mappings().one_or_none()
    if row is None:
        raise CommandError(f"there is no continuous aggregate {view}")
    if not row["bucket_type"].startswith(("timestamp", "date")):
        raise CommandError(f"{view} has buckets of {row['bucket_type']}: add_cagg_column does times alone; make a new aggregate by hand")
    return _Aggregate(
        view=sql.name(row["view_name"], row["view_schema"]),
        schema=row["view_schema"],
        name=row["view_name"],
        query=row["view_definition"],
        materialized=row["materialized"],
        source=row["source"],
        source_time=sql.name(row["source_time"]),
        bucket=sql.name(row["bucket"]),
        width=row["bucket_width"],
        chunk_interval=row["chunk_interval"],
        owner=row["owner"],
        materialized_only=row["materialized_only"],
        is_compressed=row["compression_enabled"],
    )


def _columns(connection: Connection, relation: str) -> dict[str, str | None]:
    """Names in order, with their comments."""
    rows = connection.execute(text(_COLUMNS), {"relation": relation}).mappings()
    return {row["column"]: row["comment"] for row in rows}


def _refuse_aggregates_above(connection: Connection, old: _Aggregate) -> None:
    above = connection.execute(text(_ABOVE), {"materialized": old.materialized}).scalars().all()
    if above:
        raise CommandError(
            f"{', '.join(above)} is made from {old.view} and would be lost with it: make a new aggregate beside, or drop those first"
        )


def _beside(connection: Connection, old: _Aggregate, operation: AddCaggColumn) -> _Aggregate:
    """The new aggregate; made, unless an attempt before has done so."""
    name = old.name[: _LONGEST_NAME - len(_SUFFIX)] + _SUFFIX
    view = sql.name(name, old.schema)
    is_there = connection.execute(text("SELECT to_regclass(:view) IS NOT NULL"), {"view": view}).scalar()
    if not is_there:
        query = operation.definition or _extended(old, operation)
        _run(connection, definition(name, query, old.schema, old.materialized_only, False, old.chunk_interval))
    new = _found(connection, view)
    wanted = [*_columns(connection, old.view), operation.column]
    found = list(_columns(connection, view))
    if found != wanted:
        raise CommandError(
            f"{view} has the columns {', '.join(found)}; wanted are {', '.join(wanted)}: "
            "drop it if it is left over from something else, or give the whole SELECT as definition="
        )
    if not is_there:
        _equip(connection, old, new)
    return new


def _equip(connection: Connection, old: _Aggregate, new: _Aggregate) -> None:
    """Give it the old one's indexes and columnstore, while it is empty."""
    there = {row["method"] for row in _indexes(connection, new.materialized)}
    for index in _indexes(connection, old.materialized):
        if index["method"] not in there:
            temporary = sql.name(index["name"][: _LONGEST_NAME - len(_SUFFIX)] + _SUFFIX)
            _run(connection, f"CREATE INDEX {temporary} ON {new.view} {index['method']}")
    if old.is_compressed:
        _lay_out(connection, old, new.view)


def _extended(old: _Aggregate, operation: AddCaggColumn) -> str:
    """The old SELECT with the new column at its end."""
    added = f",\n    ({operation.expression}) AS {sql.name(operation.column)}"
    extended, done = _OUTERMOST_FROM.subn(lambda found: added + found.group(), old.query, count=1)
    if not done:
        raise CommandError(f"the definition of {old.view} is not of a form that a column can be put into: give definition=")
    return extended


def _indexes(connection: Connection, relation: str) -> Sequence[RowMapping]:
    return connection.execute(text(_INDEXES), {"relation": relation}).mappings().all()


def _lay_out(connection: Connection, old: _Aggregate, view: str) -> None:
    asked = text(
        "SELECT segmentby, orderby FROM timescaledb_information.hypertable_columnstore_settings WHERE hypertable = CAST(:it AS regclass)"
    )
    row = connection.execute(asked, {"it": old.materialized}).one_or_none()
    chosen = {"compress": True}
    if row is not None:
        chosen |= {"compress_segmentby": row.segmentby, "compress_orderby": row.orderby}
    _run(connection, f"ALTER MATERIALIZED VIEW {view} SET ({sql.options(chosen)})")


def _fill(connection: Connection, old: _Aggregate, new: _Aggregate, operation: AddCaggColumn) -> None:
    """Window by window, each committed by itself; what is done already costs next to nothing."""
    first, last = connection.execute(text(f"SELECT min({old.bucket}), max({old.bucket}) FROM {old.view}")).one()  # noqa: S608 - quoted names
    if first is None:
        return
    history_end = _history_end(connection, old, first)
    columns = ", ".join(sql.name(column) for column in _columns(connection, old.view))
    for start, end in _windows(connection, old, first, last, operation.buckets_at_once):
        window = {"start": start, "end": end}
        refreshed = sql.call("refresh_continuous_aggregate", sql.relation(new.name, new.schema), ":start", ":end")
        # Of history, too: it marks the window as done, so that no later refresh takes it for a gap and empties it.
        connection.execute(text("CALL " + refreshed.replace("::", "\\:\\:")), window)
        if history_end is not None and start < history_end:
            window["end"] = min(end, history_end)
            inside = f"{old.bucket} >= :start AND {old.bucket} < :end"
            connection.execute(text(f"DELETE FROM {new.materialized} WHERE {inside}"), window)  # noqa: S608 - quoted names
            copied = f"INSERT INTO {new.materialized} ({columns}) SELECT {columns} FROM {old.materialized} WHERE {inside}"  # noqa: S608 - quoted names
            connection.execute(text(copied), window)


def _history_end(connection: Connection, old: _Aggregate, first: Any) -> Any:
    """Until when the source no longer holds what the aggregate was made of; None where it holds all.

    A bucket that the source's rows begin in is history as well: whether it is whole cannot be known.

    Raises:
        CommandError: the source is empty.

    """
    begins = connection.execute(text(f"SELECT min({old.source_time}) FROM {old.source}")).scalar()  # noqa: S608 - quoted names
    if begins is None:
        raise CommandError(f"{old.source} has no rows, but {old.view} has: there is nothing to compute the column from")
    asked = f"SELECT max({old.bucket}) + CAST(:width AS interval) FROM {old.view} WHERE {old.bucket} <= :begins"  # noqa: S608 - quoted names
    end = connection.execute(text(asked), {"width": old.width, "begins": begins}).scalar()
    gone = connection.execute(
        text("SELECT CAST(:first AS timestamptz) + CAST(:width AS interval) <= CAST(:begins AS timestamptz)"),
        {"first": first, "width": old.width, "begins": begins},
    ).scalar()
    return end if gone else None


def _windows(connection: Connection, old: _Aggregate, first: Any, last: Any, buckets: int) -> Iterator[tuple[Any, Any]]:
    """Of whole buckets, from the first to the end of the last one."""
    asked = text("SELECT :first + n * CAST(:width AS interval) FROM (SELECT CAST(:n AS integer) AS n) w").bindparams(
        bindparam("first", first), bindparam("width", old.width)
    )
    number, start = 0, first
    while start <= last:
        number += buckets
        end = connection.execute(asked, {"n": number}).scalar()
        yield start, end
        start = end


def _swap(connection: Connection, old: _Aggregate, new: _Aggregate) -> None:
    """One transaction: the new one gets everything the old one had, and its name."""
    views = connection.execute(text(_VIEWS), {"view": old.view}).mappings().all()
    if materialized := [row["name"] for row in views if row["kind"] != "v"]:
        raise CommandError(f"{', '.join(materialized)} stands on {old.view}: drop it, and make it again behind this operation")
    grants = connection.execute(text(_GRANTS), {"view": old.view}).all()
    view_comment = connection.execute(text("SELECT obj_description(CAST(:view AS regclass), 'pg_class')"), {"view": old.view}).scalar()
    comments = _columns(connection, old.view)
    indexes = {index["method"]: index["name"] for index in _indexes(connection, old.materialized)}
    for policy in connection.execute(text(_POLICIES), {"materialized": old.materialized, "view": old.view}).mappings().all():
        _copy_policy(connection, policy, new)
    _run(connection, f"ALTER MATERIALIZED VIEW {old.view} RENAME TO {sql.name(old.name[: _LONGEST_NAME - 5] + '__old')}")
    _run(connection, f"ALTER MATERIALIZED VIEW {new.view} RENAME TO {sql.name(old.name)}")
    for row in views:
        _run(connection, f"CREATE OR REPLACE VIEW {row['name']} AS {row['definition']}")
    _run(connection, f"DROP MATERIALIZED VIEW {sql.name(old.name[: _LONGEST_NAME - 5] + '__old', old.schema)}")
    for index in _indexes(connection, new.materialized):
        former = indexes.get(index["method"])
        if index["name"].endswith(_SUFFIX) and former is not None:
            _run(connection, f"ALTER INDEX {sql.name(index['name'], index['schema'])} RENAME TO {sql.name(former)}")
    for grantee, privilege, is_grantable in grants:
        _run(connection, f"GRANT {privilege} ON {old.view} TO {grantee}{' WITH GRANT OPTION' if is_grantable else ''}")
    if view_comment is not None:
        _run(connection, f"COMMENT ON VIEW {old.view} IS {sql.literal(view_comment)}")
    for column, comment in comments.items():
        if comment is not None:
            _run(connection, f"COMMENT ON COLUMN {old.view}.{sql.name(column)} IS {sql.literal(comment)}")
    if connection.execute(text("SELECT current_user")).scalar() != old.owner:
        _run(connection, f"ALTER MATERIALIZED VIEW {old.view} OWNER TO {sql.name(old.owner)}")


def _copy_policy(connection: Connection, policy: RowMapping, new: _Aggregate) -> None:
    config, relation = policy["config"], sql.relation(new.name, new.schema)
    match policy["proc_name"]:
        case "policy_refresh_continuous_aggregate":
            offsets = {
                key: sql.constant(None) if config.get(key) is None else sql.interval(config[key]) for key in ("start_offset", "end_offset")
            }
            made = sql.call(
                "add_continuous_aggregate_policy", relation, **offsets, schedule_interval=sql.interval(policy["schedule_interval"])
            )
        case "policy_compression":
            made = sql.call("add_compression_policy", relation, compress_after=sql.interval(config["compress_after"]))
        case _:
            made = sql.call("add_retention_policy", relation, drop_after=sql.interval(config["drop_after"]))
    job = connection.execute(sql.statement(f"SELECT {made}")).scalar()
    asked = text("SELECT alter_job(:job, schedule_interval => CAST(:every AS interval), scheduled => :scheduled)")
    connection.execute(asked, {"job": job, "every": policy["schedule_interval"], "scheduled": policy["scheduled"]})


def _run(connection: Connection, statement: str) -> None:
    connection.execute(sql.statement(statement))
