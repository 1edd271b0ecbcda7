"""What spans, points and rollups take on disk: heap, TOAST and indexes of every chunk, with its compressed one."""

from __future__ import annotations

from typing import LiteralString, NamedTuple

import psycopg
from psycopg import sql

from benchmarks.report import Report

_RELATIONS: LiteralString = """
WITH kept AS (
    SELECT h.id, coalesce(c.user_view_name, h.table_name)::text AS relation, c.user_view_name IS NOT NULL AS is_rollup
    FROM _timescaledb_catalog.hypertable h
    LEFT JOIN _timescaledb_catalog.continuous_agg c ON c.mat_hypertable_id = h.id
    WHERE (h.schema_name = 'tidegauge' OR c.user_view_schema = 'tidegauge') AND h.compressed_hypertable_id IS DISTINCT FROM h.id
)
SELECT
    kept.relation,
    kept.is_rollup,
    z.chunk_id IS NOT NULL AS is_compressed,
    count(*) AS chunks,
    sum(z.numrows_pre_compression)::bigint AS rows,
    sum(pg_catalog.pg_table_size(r.chunk) + coalesce(pg_catalog.pg_table_size(r.compressed), 0))::bigint AS table_bytes,
    sum(pg_catalog.pg_indexes_size(r.chunk) + coalesce(pg_catalog.pg_indexes_size(r.compressed), 0))::bigint AS index_bytes,
    sum(k.reltuples)::bigint AS estimate
FROM kept
JOIN _timescaledb_catalog.chunk x ON x.hypertable_id = kept.id AND NOT x.dropped
LEFT JOIN _timescaledb_catalog.chunk y ON y.id = x.compressed_chunk_id
LEFT JOIN _timescaledb_catalog.compression_chunk_size z ON z.chunk_id = x.id
CROSS JOIN LATERAL (
    SELECT format('%I.%I', x.schema_name, x.table_name)::regclass AS chunk, CASE
        WHEN y.id IS NOT NULL THEN format('%I.%I', y.schema_name, y.table_name)::regclass
    END AS compressed
) r
JOIN pg_catalog.pg_class k ON k.oid = r.chunk
GROUP BY kept.relation, kept.is_rollup, z.chunk_id IS NOT NULL
ORDER BY kept.is_rollup, kept.relation, 3
"""

_TABLES: LiteralString = """
SELECT k.relname::text, greatest(k.reltuples, 0)::bigint, pg_catalog.pg_table_size(k.oid), pg_catalog.pg_indexes_size(k.oid)
FROM pg_catalog.pg_class k
WHERE k.relnamespace = 'tidegauge'::regnamespace AND k.relkind = 'r' AND pg_catalog.pg_total_relation_size(k.oid) > 100000
ORDER BY k.relname
"""

_COMPRESSED: LiteralString = """
SELECT y.schema_name::text, y.table_name::text, z.numrows_pre_compression
FROM _timescaledb_catalog.hypertable h
JOIN _timescaledb_catalog.chunk x ON x.hypertable_id = h.id
JOIN _timescaledb_catalog.chunk y ON y.id = x.compressed_chunk_id
JOIN _timescaledb_catalog.compression_chunk_size z ON z.chunk_id = x.id
WHERE h.schema_name = 'tidegauge' AND h.table_name = %s AND z.numrows_pre_compression > 0
ORDER BY z.numrows_pre_compression DESC
LIMIT 1
"""
_COLUMNS: LiteralString = """
SELECT a.attname::text FROM pg_catalog.pg_attribute a
WHERE a.attrelid = format('%%I.%%I', %s::text, %s::text)::regclass AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""


class Relation(NamedTuple):
    """Chunks of a hypertable or a rollup, those in the columnstore and the others apart."""

    name: str
    is_rollup: bool
    is_compressed: bool
    chunks: int
    rows: int | None
    table_bytes: int
    index_bytes: int
    estimate: int

    @property
    def bytes(self) -> int:
        """All of it."""
        return self.table_bytes + self.index_bytes

    @property
    def filled(self) -> int:
        """Rows, counted when they were compressed, else as of the last ANALYZE."""
        return int(self.rows if self.rows is not None else self.estimate)


def relations(connection: psycopg.Connection) -> list[Relation]:
    """Of all that has chunks."""
    return [Relation(*row) for row in connection.execute(_RELATIONS).fetchall()]


def columns(connection: psycopg.Connection, table: str) -> tuple[int, list[tuple[str, float]]]:
    """The columns of a table's fullest compressed chunk: rows, and for each the bytes a row, as compressed, without what is around."""
    found = connection.execute(_COMPRESSED, (table,)).fetchone()
    if found is None:
        return 0, []
    schema, name, rows = found
    names = [row[0] for row in connection.execute(_COLUMNS, (schema, name)).fetchall()]
    sums = sql.SQL(", ").join(sql.SQL("sum(pg_catalog.pg_column_size({}))").format(sql.Identifier(each)) for each in names)
    sizes = connection.execute(sql.SQL("SELECT {} FROM {}").format(sums, sql.Identifier(schema, name))).fetchone()
    assert sizes is not None
    return rows, [(each, float(size or 0) / rows) for each, size in zip(names, sizes, strict=True)]


def tell(connection: psycopg.Connection, report: Report) -> None:
    """Bytes a row of everything, and the compressed columns of spans and points."""
    found = relations(connection)
    for each in found:
        if each.filled > 0:
            kind = "rollup" if each.is_rollup else "columnstore" if each.is_compressed else "rows"
            report.add(
                f"{each.name}, {kind}, {each.chunks} chunks",
                f"{each.filled:,} rows, {each.bytes / each.filled:,.1f} B each, of it indexes {each.index_bytes / each.filled:,.1f}",
            )
    for name, rows, table_bytes, index_bytes in connection.execute(_TABLES).fetchall():
        report.add(f"{name}, table", f"{rows:,} rows, {table_bytes + index_bytes:,} bytes, of it indexes {index_bytes:,}")
    for table in ("traces", "trace_index", "metrics", "metric_histograms"):
        rows, sizes = columns(connection, table)
        shown = ", ".join(f"{name} {size:.2f}" for name, size in sorted(sizes, key=lambda pair: -pair[1]) if size >= 0.05)
        if shown:
            report.add(f"{table}: columns of a chunk of {rows:,}", shown)
