"""What an analyst types as the reader role, and what that role cannot do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from psycopg.rows import DictRow, dict_row

from tests.migration.conftest import Ask, Migrate
from tests.servers import timescaledb
from tests.servers.timescaledb import TestDatabase
from tidegauge.config import Settings
from tidegauge.storage.postgres import migrate

TRACE = "0af7651916cd43dd8448eb211c80319c"
DATA = f"""
INSERT INTO tidegauge.applications (namespace, name, environment) VALUES ('', 'checkout', 'production');
INSERT INTO tidegauge.resources (identity, application_id, attributes)
SELECT gen_random_uuid(), application_id, '{{"service.name": "checkout"}}' FROM tidegauge.applications;
INSERT INTO tidegauge.scopes (identity, name, attributes) VALUES (gen_random_uuid(), 'http', '{{}}');
INSERT INTO tidegauge.series
    (identity, resource_id, scope_id, application_id, metric_name, type, unit, temporality, is_monotonic, bounds, labels)
SELECT gen_random_uuid(), r.resource_id, s.scope_id, r.application_id, m.*
FROM tidegauge.resources r, tidegauge.scopes s, (
    VALUES
    ('system.cpu.utilization', 'gauge', '1', NULL, NULL::boolean, NULL::double precision[], '{{"cpu": "0"}}'::jsonb),
    ('http.requests', 'sum', '{{request}}', 'cumulative', true, NULL, '{{"http.route": "/pay"}}'),
    ('http.server.request.duration', 'histogram', 's', 'cumulative', NULL, ARRAY[0.1, 1], '{{"http.route": "/pay"}}'),
    ('batch.size', 'histogram', '1', 'delta', NULL, ARRAY[10], '{{}}')
) m;
INSERT INTO tidegauge.metrics (timestamp, series_id, value)
SELECT t, series_id, 0.5 FROM tidegauge.series, generate_series(now() - interval '3 hours', now(), '1 minute') t WHERE type = 'gauge';
INSERT INTO tidegauge.metrics (timestamp, series_id, value)
SELECT now() - interval '40 days', series_id, 0.25 FROM tidegauge.series WHERE type = 'gauge';
-- A counter that rises by 1 a minute and starts again an hour ago.
INSERT INTO tidegauge.metrics (timestamp, series_id, start_timestamp, value)
SELECT e.epoch + n * interval '1 minute', series_id, e.epoch, n
FROM tidegauge.series, (VALUES (now() - interval '3 hours', 119), (now() - interval '1 hour', 60)) e (epoch, points),
    generate_series(1, e.points) n
WHERE type = 'sum';
INSERT INTO tidegauge.metric_histograms (timestamp, series_id, start_timestamp, count, sum, min, max, bucket_counts)
SELECT now() - interval '3 hours' + n * interval '1 minute', series_id, now() - interval '3 hours', 2 * n, n * 0.5, 0.01, 2, ARRAY[n, n, 0]
FROM tidegauge.series, generate_series(1, 180) n WHERE metric_name = 'http.server.request.duration';
INSERT INTO tidegauge.metric_histograms (timestamp, series_id, count, sum, min, max, bucket_counts)
SELECT now() - interval '3 hours' + n * interval '1 minute', series_id, 3, 30, 5, 20, ARRAY[1, 2]
FROM tidegauge.series, generate_series(1, 180) n WHERE metric_name = 'batch.size';
INSERT INTO tidegauge.traces
    (start_time, duration_ns, trace_id, span_id, parent_span_id, application_id, resource_id, scope_id, kind, status_code, name, attributes)
SELECT now() - interval '10 minutes' + s.at * interval '1 ms', s.ns, '{TRACE}', s.id, s.parent, r.application_id, r.resource_id, 1, s.kind,
    s.status, s.name, '{{"a": 1}}'
FROM tidegauge.resources r, (
    VALUES
    (0, 100000000, 81985529216486895, NULL::bigint, 2, 0, 'POST /pay'),
    (10, 50000000, -2, 81985529216486895, 3, 2, 'charge'),
    (5, 1000000, 3, 81985529216486895, 1, 0, 'validate'),
    (20, 7000000, 4, -2, 3, 0, 'SELECT')
) s (at, ns, id, parent, kind, status, name);
INSERT INTO tidegauge.traces SELECT * FROM tidegauge.traces WHERE span_id = 4;
INSERT INTO tidegauge.traces
    (start_time, duration_ns, trace_id, span_id, application_id, resource_id, scope_id, kind, status_code, name, attributes)
SELECT now() - interval '20 days', 1000000, gen_random_uuid(), 5, application_id, resource_id, 1, 1, 0, 'old', '{{}}'
FROM tidegauge.resources;
INSERT INTO tidegauge.trace_index
SELECT start_time, start_time + interval '100 ms', trace_id, 0, 1, (status_code = 2)::integer, ARRAY[application_id],
    CASE WHEN parent_span_id IS NULL THEN span_id END, CASE WHEN parent_span_id IS NULL THEN application_id END,
    CASE WHEN parent_span_id IS NULL THEN duration_ns END, CASE WHEN parent_span_id IS NULL THEN name END
FROM tidegauge.traces WHERE span_id <> 4 AND name <> 'old';
INSERT INTO tidegauge.logs
    (timestamp, request_digest, ordinal, application_id, resource_id, scope_id, body, attributes, severity_number, trace_id)
SELECT now() - l.age, gen_random_uuid(), 0, application_id, resource_id, 1, l.body, '{{}}', 17, '{TRACE}'
FROM tidegauge.resources, (VALUES (interval '0', 'card declined'), ('20 days', 'old')) l (age, body);
INSERT INTO tidegauge.alerts (application_id, name, severity, status, created_at)
SELECT application_id, a.* FROM tidegauge.applications, (
    VALUES
    ('slow', 'MEDIUM'::tidegauge.alert_severity, 'ACTIVE'::tidegauge.alert_status, now()),
    ('older', 'HIGH', 'ACTIVE', now() - interval '1 hour'), ('newer', 'HIGH', 'ACTIVE', now()),
    ('down', 'CRITICAL', 'ACTIVE', now() - interval '2 hours'), ('over', 'CRITICAL', 'RESOLVED', now())
) a;
INSERT INTO tidegauge.users (email, password_hash, api_token_hash) VALUES ('ada@example.com', 'secret', 'secret');
"""


class Reader:
    """The reader role's connection."""

    def __init__(self, connection: psycopg.Connection[DictRow]) -> None:
        self._connection = connection

    def __call__(self, statement: str) -> list[dict[str, Any]]:
        return self.run(statement).fetchall()

    def run(self, statement: str) -> psycopg.Cursor[DictRow]:
        return self._connection.execute(statement)  # type: ignore[arg-type]


@pytest_asyncio.fixture(scope="module")
async def prepared(own_database: TestDatabase, settings: Settings) -> str:
    """The reader's address of a database with a bit of everything."""
    await asyncio.to_thread(migrate.upgrade, own_database.owner_dsn, settings, lambda _: None)
    await asyncio.to_thread(migrate.downgrade, own_database.owner_dsn, settings, lambda _: None)
    await asyncio.to_thread(migrate.upgrade, own_database.owner_dsn, settings, lambda _: None)
    if own_database.kind != "embedded":
        await timescaledb.let_reader_in(own_database.owner_dsn)
    async with await psycopg.AsyncConnection.connect(own_database.owner_dsn, prepare_threshold=None) as connection:
        await connection.execute(DATA)  # type: ignore[arg-type]
    assert own_database.reader_dsn is not None
    return own_database.reader_dsn


@pytest_asyncio.fixture
async def reader(prepared: str) -> AsyncIterator[Reader]:
    with psycopg.connect(prepared, autocommit=True, prepare_threshold=None, row_factory=dict_row) as connection:
        yield Reader(connection)


async def test_metrics_of_the_last_day(reader: Reader) -> None:
    rows = reader("SELECT * FROM metrics WHERE timestamp > NOW() - INTERVAL '24 hours' ORDER BY timestamp DESC")

    assert {row["metric_name"] for row in rows} == {"system.cpu.utilization", "http.requests", "http.server.request.duration", "batch.size"}
    assert [row["timestamp"] for row in rows] == sorted((row["timestamp"] for row in rows), reverse=True)
    newest = next(row for row in rows if row["metric_name"] == "http.requests")
    assert (newest["application"], newest["value"], newest["unit"], newest["type"]) == ("checkout", 60, "{request}", "sum")
    assert newest["labels"] == {"http.route": "/pay"}
    histogram = next(row for row in rows if row["metric_name"] == "http.server.request.duration")
    assert (histogram["value"], histogram["count"], histogram["sum"]) == (0.25, 360, 90)


async def test_hourly_metrics_of_the_last_week(reader: Reader) -> None:
    rows = reader("SELECT * FROM metrics_hourly WHERE bucket > NOW() - INTERVAL '7 days' ORDER BY bucket DESC")

    by_name: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_name.setdefault(row["metric_name"], []).append(row)
    assert sum(row["count"] for row in by_name["system.cpu.utilization"]) == 181
    assert {row["avg"] for row in by_name["system.cpu.utilization"]} == {0.5}
    assert sum(row["count"] for row in by_name["batch.size"]) == 540
    assert {row["avg"] for row in by_name["batch.size"]} == {10}
    # Where an hour has just begun, its first point has added nothing yet: no count, no average.
    assert {round(row["avg"], 9) for row in by_name["http.server.request.duration"] if row["count"]} == {0.25}
    assert sum(row["count"] for row in by_name["http.server.request.duration"]) > 0
    assert by_name["http.server.request.duration"][0]["labels"] == {"http.route": "/pay"}
    # Two epochs of the counter: each has its own rows.
    assert len({row["start_timestamp"] for row in by_name["http.requests"]}) == 2


async def test_increases_of_the_last_day(reader: Reader) -> None:
    """Whatever the minute of the hour is: tests/migration/test_increases.py has the rest."""
    rows = reader("SELECT sum(increase) AS increase, bool_and(is_exact) AS is_exact FROM increases('http.requests')")
    counts = reader("SELECT sum(increase) AS increase, bool_and(is_exact) AS is_exact FROM increases('http.server.request.duration')")

    assert rows == [{"increase": 119 + 60, "is_exact": True}]
    assert counts == [{"increase": 360, "is_exact": True}]


async def test_spans_of_an_application(reader: Reader) -> None:
    application_id = reader("SELECT application_id FROM applications WHERE name = 'checkout'")[0]["application_id"]
    rows = reader(
        f"SELECT * FROM traces WHERE application_id = {application_id} AND start_time > NOW() - INTERVAL '1 hour' ORDER BY start_time DESC"
    )

    assert [row["name"] for row in rows] == ["SELECT", "SELECT", "charge", "validate", "POST /pay"]
    charge, root = rows[2], rows[-1]
    assert (charge["trace_id"], charge["span_id"], charge["parent_span_id"]) == (TRACE, "fffffffffffffffe", "0123456789abcdef")
    assert (charge["kind"], charge["status"], charge["duration_ms"], charge["application"]) == ("CLIENT", "ERROR", 50, "checkout")
    assert (root["parent_span_id"], root["kind"], root["status"], root["attributes"]) == (None, "SERVER", "UNSET", {"a": 1})
    assert (root["end_time"] - root["start_time"]).total_seconds() == 0.1


async def test_a_trace_as_a_tree(reader: Reader) -> None:
    rows = reader(f"SELECT * FROM trace_tree('{TRACE}')")

    assert [row["operation"] for row in rows] == ["POST /pay", "  validate", "  charge", "    SELECT"]
    assert [round(row["offset_ms"]) for row in rows] == [0, 5, 10, 20]
    assert reader("SELECT * FROM trace_tree('00000000000000000000000000000001')") == []


async def test_traces_are_found_by_time_and_merged(reader: Reader) -> None:
    (row,) = reader("SELECT * FROM find_traces(now() - interval '1 hour')")

    assert (row["trace_id"], row["span_count"], row["error_count"]) == (TRACE, 3, 1)
    assert (row["root_name"], row["root_application"], row["applications"]) == ("POST /pay", "checkout", ["checkout"])
    assert reader("SELECT * FROM find_traces(now() - interval '2 hours', now() - interval '1 hour')") == []


async def test_percentiles_of_durations(reader: Reader) -> None:
    (row,) = reader(
        "SELECT duration_percentile(1, 'checkout') AS slowest, duration_percentile(0.5, 'checkout', operation => 'charge') AS charge"
    )

    assert row["slowest"] == pytest.approx(100, rel=0.05)
    assert row["charge"] == pytest.approx(50, rel=0.05)
    days = reader("SELECT * FROM duration_percentiles(ARRAY[0.5, 1], '1 day', now() - interval '2 days')")
    assert sum(row["count"] for row in days if row["percentile"] == 1) == 5


async def test_active_alerts_most_severe_first(reader: Reader) -> None:
    rows = reader("SELECT * FROM alerts WHERE status = 'ACTIVE' ORDER BY severity DESC, created_at DESC")

    assert [(row["severity"], row["name"]) for row in rows] == [
        ("CRITICAL", "down"),
        ("HIGH", "newer"),
        ("HIGH", "older"),
        ("MEDIUM", "slow"),
    ]
    assert {row["application"] for row in rows} == {"checkout"}


async def test_logs_by_words(reader: Reader) -> None:
    rows = reader("SELECT * FROM logs WHERE search @@ websearch_to_tsquery('simple', 'declined')")

    assert [(row["body"], row["severity"], row["trace_id"], row["application"]) for row in rows] == [
        ("card declined", "ERROR", TRACE, "checkout")
    ]


async def test_timescaledb_tells_about_itself(reader: Reader) -> None:
    assert {"metrics", "traces"} <= {row["hypertable_name"] for row in reader("SELECT * FROM timescaledb_information.hypertables")}
    jobs = reader("SELECT job_id, proc_name, config FROM timescaledb_information.jobs")
    assert {"drop_expired_chunks_job", "policy_refresh_continuous_aggregate", "policy_compression"} <= {row["proc_name"] for row in jobs}
    views = reader("SELECT view_name, materialized_only FROM timescaledb_information.continuous_aggregates")
    assert {"view_name": "metrics_hourly", "materialized_only": False} in views
    columnstore = reader("SELECT hypertable::text AS name, segmentby FROM timescaledb_information.hypertable_columnstore_settings")
    assert {"name": "tidegauge.metrics", "segmentby": "series_id"} in columnstore


async def test_every_view_can_be_read_and_no_secret_is_among_them(reader: Reader) -> None:
    views = reader("SELECT viewname FROM pg_views WHERE schemaname = 'analytics' ORDER BY viewname")

    for view in views:
        for row in reader(f"SELECT * FROM {view['viewname']} LIMIT 50"):
            assert "secret" not in map(str, row.values())
    assert len(views) >= 29


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM tidegauge.users",
        "SELECT * FROM tidegauge.traces",
        "INSERT INTO analytics.users (email) VALUES ('x')",
        "INSERT INTO tidegauge.alerts (name) VALUES ('x')",
        "UPDATE analytics.applications SET name = 'x'",
        "DELETE FROM analytics.users",
        "SELECT tidegauge.apply_lifecycle(true)",
        "CREATE VIEW analytics.mine AS SELECT 1",
    ],
)
async def test_what_a_reader_cannot_do(reader: Reader, own_database: TestDatabase, statement: str) -> None:
    if own_database.kind != "embedded":
        # Read-only transactions are a default there, which a reader may change; the role is what keeps it from writing.
        reader.run("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE")

    with pytest.raises(psycopg.errors.InsufficientPrivilege) as refused:
        reader(statement)

    assert refused.value.sqlstate == "42501"


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ("SELECT * FROM analytics.metrics WHERE timestamp > now() - interval '24 hours'", "metrics"),
        ("SELECT * FROM analytics.metrics_hourly WHERE bucket > now() - interval '24 hours'", "metrics_hourly"),
        ("SELECT * FROM analytics.traces WHERE start_time > now() - interval '24 hours'", "traces"),
        ("SELECT * FROM analytics.logs WHERE timestamp > now() - interval '24 hours'", "logs"),
    ],
)
async def test_chunks_outside_of_the_time_asked_for_are_not_read(
    ask: Ask, upgrade: Migrate, prepared: str, statement: str, table: str
) -> None:
    ask("CALL refresh_continuous_aggregate('tidegauge.metrics_hourly', now() - interval '50 days', now() - interval '1 hour')")
    chunks = """
        SELECT chunk_name, range_end < now() - interval '24 hours' FROM timescaledb_information.chunks
        WHERE (quote_ident(hypertable_schema) || '.' || quote_ident(hypertable_name))::regclass = tidegauge.hypertable_of(%s)
    """
    old = [name for name, is_old in ask(chunks, [table]) if is_old]

    plan = "\n".join(line for (line,) in ask(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {statement}"))

    assert old
    assert [name for name in old if name in plan] == []
