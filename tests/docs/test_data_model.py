"""docs/data-model.md says what the live catalogue says, column by column; its SQL runs; its test vectors and reasons are true."""

from __future__ import annotations

import re
from uuid import UUID

import psycopg

from tests.docs.generated import DOCS, check, table
from tests.servers.timescaledb import TestDatabase
from tidegauge.model.attributes import KeyValues
from tidegauge.model.identity import encode_value, resource_identity, scope_identity, series_identity
from tidegauge.model.records import EntityRef, Resource, Scope

DOCUMENT = DOCS / "data-model.md"

RELATIONS = """
    SELECT c.relname, obj_description(c.oid, 'pg_class')
    FROM pg_catalog.pg_class c
    WHERE c.relnamespace = %s::regnamespace AND c.relkind IN ('r', 'v', 'p')
    ORDER BY c.relname
"""
COLUMNS = """
    SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, col_description(a.attrelid, a.attnum)
    FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum
"""
ROUTINES = """
    SELECT p.proname || '(' || pg_get_function_arguments(p.oid) || ')', obj_description(p.oid, 'pg_proc')
    FROM pg_catalog.pg_proc p
    WHERE p.pronamespace = 'analytics'::regnamespace
    ORDER BY 1
"""


def _described(connection: psycopg.Connection, schema: str, nullable: bool) -> str:
    """Every relation of a schema with its columns; a view's columns may all be NULL."""
    parts = []
    for name, comment in connection.execute(RELATIONS, (schema,)).fetchall():
        columns = connection.execute(COLUMNS, (f"{schema}.{name}",)).fetchall()
        assert comment, f"{schema}.{name} has no comment"
        rows = []
        for column, type_, not_null, said in columns:
            assert said, f"{schema}.{name}.{column} has no comment"
            rows.append([f"`{column}`", type_, *(["" if not_null else "NULL"] if nullable else []), said])
        header = ["column", "type", *(["may be"] if nullable else []), "what it is"]
        parts.append(f"### {schema}.{name}\n\n{comment}\n\n{table(header, rows)}\n")
    return "\n".join(parts)


def test_storage_tables(database: TestDatabase) -> None:
    with psycopg.connect(database.owner_dsn, prepare_threshold=None) as connection:
        check(DOCUMENT, "tables", _described(connection, "tidegauge", nullable=True))


def test_analysts_views(database: TestDatabase) -> None:
    with psycopg.connect(database.owner_dsn, prepare_threshold=None) as connection:
        check(DOCUMENT, "views", _described(connection, "analytics", nullable=False))


def test_analysts_functions(database: TestDatabase) -> None:
    with psycopg.connect(database.owner_dsn, prepare_threshold=None) as connection:
        rows = [[f"`{signature}`", comment] for signature, comment in connection.execute(ROUTINES).fetchall()]
        check(DOCUMENT, "functions", table(["function", "what it answers"], rows))


RESOURCE = KeyValues.of({"service.name": "checkout"})
LABELS = KeyValues.of({"http.route": "/pay", "n": 1})
BOUNDS = (0.1, 1.0)
VALUES = [None, True, 1, 1.0, -0.0, float("nan"), "1", b"1", ("a", 1), LABELS, KeyValues.of({"n": 1, "http.route": "/pay"})]
IDENTITIES = [
    ("resource, no attributes, no schema URL", resource_identity(Resource(KeyValues(), 0, ""))),
    ('resource `service.name` = "checkout", no schema URL', resource_identity(Resource(RESOURCE, 0, ""))),
    (
        'the same, schema URL "https://opentelemetry.io/schemas/1.40.0"',
        resource_identity(Resource(RESOURCE, 0, "https://opentelemetry.io/schemas/1.40.0")),
    ),
    ("resource 2 with 1 dropped attribute", resource_identity(Resource(RESOURCE, 1, ""))),
    (
        'resource 2 with an entity reference: type "service", id key "service.name"',
        resource_identity(Resource(RESOURCE, 0, "", (EntityRef("", "service", ("service.name",), ()),))),
    ),
    ('scope "otel.asgi", version "0.50b0"', scope_identity(Scope("otel.asgi", "0.50b0", KeyValues(), 0, ""))),
    (
        'cumulative histogram "http.server.request.duration" in "s", bounds [0.1, 1.0], labels as above, of this scope and resource 2',
        series_identity(
            resource_identity(Resource(RESOURCE, 0, "")),
            scope_identity(Scope("otel.asgi", "0.50b0", KeyValues(), 0, "")),
            "http.server.request.duration", "histogram", "s", "cumulative", None, BOUNDS, LABELS,
        ),
    ),
]  # fmt: skip


def _shown(value: object) -> str:
    return f"`{dict(value)!r}`" if isinstance(value, KeyValues) else f"`{value!r}`"


def test_vectors() -> None:
    values = table(["value", "canonical bytes"], [[_shown(value), f"`{encode_value(value).hex()}`"] for value in VALUES])
    check(DOCUMENT, "encoded values", values)
    check(DOCUMENT, "identities", table(["record", "identity"], [[what, f"`{identity}`"] for what, identity in IDENTITIES]))
    assert all(isinstance(identity, UUID) for _, identity in IDENTITIES)


def test_every_reason_for_a_rejection_is_listed() -> None:
    """The reasons are short names in the sources of decoder, ingestor and store."""
    reason = re.compile(r"\"((?:invalid|malformed|missing|unsupported|too|refused)_[a-z_]+|[a-z_]+_out_of_range)\"")
    sources = [
        path.read_text()
        for folder in ("otlp", "logforms", "ingest")
        for path in sorted((DOCS.parent / "src/tidegauge" / folder).glob("*.py"))
    ] + [(DOCS.parent / f"src/tidegauge/storage/postgres/{name}.py").read_text() for name in ("isolation", "guards")]
    sources.append((DOCS.parent / "src/tidegauge/storage/elasticsearch/ingest.py").read_text())
    given = {found for text in sources for found in reason.findall(text)}
    section = DOCUMENT.read_text().partition("## Rejections")[2].partition("\n## ")[0]
    listed = set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE))
    assert listed == given
