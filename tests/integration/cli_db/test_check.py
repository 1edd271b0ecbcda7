"""``tidegauge check``, and its statements by psql alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest

from tests.servers.timescaledb import TestDatabase
from tidegauge.config import Settings
from tidegauge.storage import sqlfiles
from tidegauge.storage.postgres import integrity, scripts

FILE = "checks/integrity.sql"
# Ids that no dictionary has. Rows are made in transactions that are rolled back: the database is others' as well.
NOWHERE = 2_000_000_000
ORPHANS: dict[str, LiteralString] = {
    "span without application": """
        INSERT INTO tidegauge.traces
            (start_time, duration_ns, trace_id, span_id, application_id, resource_id, scope_id, kind, status_code, name, attributes)
        VALUES (now(), 1, '11111111-1111-1111-1111-111111111111', 1, 2000000000, 2000000000, 2000000000, 1, 0, 'lost', '{}')
    """,
    "trace without an entry in trace_index": """
        INSERT INTO tidegauge.traces
            (start_time, duration_ns, trace_id, span_id, application_id, resource_id, scope_id, kind, status_code, name, attributes)
        VALUES (now(), 1, '22222222-1111-1111-1111-111111111111', 1, 2000000000, 2000000000, 2000000000, 1, 0, 'lost', '{}')
    """,
    "entry in trace_index without a span": """
        INSERT INTO tidegauge.trace_index (start_time, end_time, trace_id, span_count, error_count, application_ids)
        VALUES (now(), now(), '33333333-1111-1111-1111-111111111111', 1, 0, '{1}')
    """,
    "log record without application": """
        INSERT INTO tidegauge.logs (timestamp, request_digest, ordinal, application_id, resource_id, scope_id, attributes)
        VALUES (now(), '44444444-1111-1111-1111-111111111111', 7, 2000000000, 2000000000, 2000000000, '{}')
    """,
    "number without series": "INSERT INTO tidegauge.metrics (timestamp, series_id, value) VALUES (now(), 2000000000, 1)",
    "histogram without series": "INSERT INTO tidegauge.metric_histograms (timestamp, series_id, count) VALUES (now(), 2000000000, 1)",
    "summary without series": """
        INSERT INTO tidegauge.metric_summaries (timestamp, series_id, count, quantiles, quantile_values)
        VALUES (now(), 2000000000, 1, '{}', '{}')
    """,
    "exemplar without series": "INSERT INTO tidegauge.metric_exemplars (timestamp, series_id, value) VALUES (now(), 2000000000, 1)",
    # A tenant that is not the application's: foreign keys do not know of tenants.
    "resource without application": """
        WITH a AS (INSERT INTO tidegauge.applications (name) VALUES ('check') RETURNING application_id)
        INSERT INTO tidegauge.resources (tenant_id, identity, application_id, attributes)
        SELECT 9, '55555555-1111-1111-1111-111111111111', application_id, '{}' FROM a
    """,
    "series without resource": """
        WITH a AS (INSERT INTO tidegauge.applications (name) VALUES ('check') RETURNING application_id),
        r AS (
            INSERT INTO tidegauge.resources (identity, application_id, attributes)
            SELECT '66666666-1111-1111-1111-111111111111', application_id, '{}' FROM a RETURNING resource_id, application_id
        ),
        s AS (
            INSERT INTO tidegauge.scopes (identity, name, attributes)
            VALUES ('66666666-1111-1111-1111-111111111111', '', '{}') RETURNING scope_id
        )
        INSERT INTO tidegauge.series (tenant_id, identity, resource_id, scope_id, application_id, metric_name, type, labels)
        SELECT 9, '66666666-1111-1111-1111-111111111111', resource_id, scope_id, application_id, 'm', 'gauge', '{}' FROM r, s
    """,
    "metric description without application": """
        WITH a AS (INSERT INTO tidegauge.applications (name) VALUES ('check') RETURNING application_id)
        INSERT INTO tidegauge.metric_metadata (tenant_id, application_id, metric_name, type) SELECT 9, application_id, 'm', 'gauge' FROM a
    """,
    "alert without application": """
        WITH a AS (INSERT INTO tidegauge.applications (name) VALUES ('check') RETURNING application_id)
        INSERT INTO tidegauge.alerts (tenant_id, application_id, name, severity)
        SELECT 9, application_id, 'lost', (enum_range(NULL::tidegauge.alert_severity))[1] FROM a
    """,
}


@pytest.fixture
def connection(database: TestDatabase) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database.owner_dsn, prepare_threshold=None) as found:
        yield found
        found.rollback()


def problems(connection: psycopg.Connection) -> dict[str, tuple[int, str]]:
    """What all statements of the file say, in this transaction, of rows that it made: of others' they look at some only."""
    connection.execute("SET LOCAL tidegauge.check_since = '0 seconds'")
    found = {}
    for _, statement in scripts.statements(sqlfiles.script(FILE)):
        for problem, rows, example in connection.execute(statement).fetchall():
            found[problem] = rows, example
    return found


@pytest.mark.parametrize("problem", ORPHANS)
def test_each_kind_of_orphan_is_found(connection: psycopg.Connection, problem: str) -> None:
    before = problems(connection).get(problem, (0, ""))[0]
    connection.execute(ORPHANS[problem])
    after, example = problems(connection)[problem]
    assert after == before + 1
    assert example


def test_what_is_stored_hangs_together_and_psql_says_the_same(database: TestDatabase, settings: Settings, tmp_path: Path) -> None:
    """Whatever the tests before have stored."""
    assert integrity.check(database.owner_dsn, settings, timedelta(days=365)) == []
    if database.kind == "embedded" or shutil.which("psql") is None:
        return
    command = ["psql", database.owner_dsn, "-v", "ON_ERROR_STOP=1", "-qAtf", str(sqlfiles.folder("sql") / FILE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_command_ends_with_1_and_names_what_it_found(database: TestDatabase, tmp_path: Path) -> None:
    def command() -> tuple[int, list[dict[str, object]]]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TIDEGAUGE_")}
        environment["DATABASE_URL"] = database.owner_dsn
        run = [sys.executable, "-m", "tidegauge.cli.main", "check", "--json"]
        done = subprocess.run(run, capture_output=True, text=True, timeout=60, env=environment, cwd=tmp_path)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)["violations"]

    assert command() == (0, [])
    with psycopg.connect(database.owner_dsn, prepare_threshold=None, autocommit=True) as connection:
        connection.execute(ORPHANS["number without series"])
        try:
            assert command() == (1, [{"problem": "number without series", "found": 1, "example": f"series_id {NOWHERE}"}])
        finally:
            connection.execute("DELETE FROM tidegauge.metrics WHERE series_id = 2000000000")
