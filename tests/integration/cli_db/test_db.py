"""``tidegauge db …`` as a person runs it, and what ``validate`` finds."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
import pytest_asyncio

from tests.servers import timescaledb
from tests.servers.timescaledb import TestDatabase
from tidegauge import config
from tidegauge.config import Settings
from tidegauge.storage.postgres import migrate, validate


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    status: int
    out: str
    err: str


async def run(*arguments: str, cwd: Path, stdin: str | None = None, **env: str) -> Ended:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TIDEGAUGE_", "DATABASE_URL", "PG"))}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tidegauge.cli.main", "db", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=kept | env,
        cwd=cwd,
    )
    async with asyncio.timeout(120):
        out, err = await process.communicate(None if stdin is None else stdin.encode())
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


@dataclass(frozen=True)
class Target:
    """A migrated database, and how a command is told of it: by folder while it runs elsewhere, or by URL."""

    database: TestDatabase
    folder: Path

    @property
    def arguments(self) -> Sequence[str]:
        return () if self.database.data_dir is None else ("--data", str(self.database.data_dir))

    @property
    def env(self) -> Mapping[str, str]:
        return {"DATABASE_URL": self.database.owner_dsn} if self.database.data_dir is None else {}

    async def run(self, command: str, *arguments: str, **env: str) -> Ended:
        return await run(command, *self.arguments, *arguments, cwd=self.folder, **{**self.env, **env})

    async def execute(self, statement: LiteralString) -> None:
        async with await psycopg.AsyncConnection.connect(self.database.owner_dsn, autocommit=True, prepare_threshold=None) as connection:
            await connection.execute(statement)


@pytest_asyncio.fixture(scope="module")
async def target(tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> AsyncIterator[Target]:
    folder = tmp_path_factory.mktemp("db")
    async with timescaledb.database(folder / "data") as found:
        await asyncio.to_thread(migrate.upgrade, found.owner_dsn, settings, lambda _: None)
        yield Target(found, folder)


async def test_what_revisions_make_is_what_validate_expects(target: Target, settings: Settings) -> None:
    """Where this fails after a new revision: python tools/catalogue.py DSN."""
    assert [str(difference) for difference in await asyncio.to_thread(validate.validate, target.database.owner_dsn, settings)] == []


@pytest.mark.parametrize(
    ("change", "undo", "expected"),
    [
        (
            "DROP INDEX tidegauge.traces_trace_id",
            "CREATE INDEX traces_trace_id ON tidegauge.traces (trace_id)",
            "index traces_trace_id is missing",
        ),
        (
            "ALTER TABLE tidegauge.metrics ADD COLUMN extra int",
            "ALTER TABLE tidegauge.metrics DROP COLUMN extra",
            "column metrics.extra does not belong there",
        ),
        (
            "ALTER TABLE tidegauge.users DROP COLUMN password_hash",
            "ALTER TABLE tidegauge.users ADD COLUMN password_hash text",
            "column users.password_hash is missing",
        ),
        (
            "ALTER TABLE tidegauge.alerts ALTER COLUMN name DROP NOT NULL",
            "ALTER TABLE tidegauge.alerts ALTER COLUMN name SET NOT NULL",
            "column alerts.name differs",
        ),
        (
            "ALTER TABLE tidegauge.scopes DROP CONSTRAINT scopes_identity",
            "ALTER TABLE tidegauge.scopes ADD CONSTRAINT scopes_identity UNIQUE (tenant_id, identity)",
            "constraint tidegauge.scopes scopes_identity is missing",
        ),
        (
            "ALTER MATERIALIZED VIEW tidegauge.traces_hourly SET (timescaledb.materialized_only = true)",
            "ALTER MATERIALIZED VIEW tidegauge.traces_hourly SET (timescaledb.materialized_only = false)",
            "rollup traces_hourly differs",
        ),
        (
            (
                "SELECT alter_job(job_id, schedule_interval => INTERVAL '9 days') FROM timescaledb_information.jobs "
                "WHERE proc_name = 'policy_refresh_continuous_aggregate' AND hypertable_name = 'traces_hourly'"
            ),
            (
                "SELECT alter_job(job_id, schedule_interval => INTERVAL '30 minutes') FROM timescaledb_information.jobs "
                "WHERE proc_name = 'policy_refresh_continuous_aggregate' AND hypertable_name = 'traces_hourly'"
            ),
            "job traces_hourly: policy_refresh_continuous_aggregate differs",
        ),
        (
            (
                "SELECT alter_job(job_id, scheduled => NOT scheduled) FROM timescaledb_information.jobs "
                "WHERE proc_name = 'policy_compression' AND hypertable_name = 'traces'"
            ),
            (
                "SELECT alter_job(job_id, scheduled => NOT scheduled) FROM timescaledb_information.jobs "
                "WHERE proc_name = 'policy_compression' AND hypertable_name = 'traces'"
            ),
            "job traces: policy_compression differs",
        ),
        (
            (
                "SELECT delete_job(job_id) FROM timescaledb_information.jobs "
                "WHERE proc_name = 'drop_expired_chunks_job' AND config ->> 'relation' = 'logs'"
            ),
            "",
            "job logs: drop_expired_chunks_job is missing",
        ),
        (
            "SELECT add_retention_policy('tidegauge.metrics', INTERVAL '9 days')",
            "SELECT remove_retention_policy('tidegauge.metrics')",
            "job metrics: policy_retention does not belong there",
        ),
        (
            "SELECT set_chunk_time_interval('tidegauge.logs', INTERVAL '3 days')",
            "SELECT set_chunk_time_interval('tidegauge.logs', INTERVAL '1 day')",
            "chunk interval logs differs",
        ),
        (
            "UPDATE tidegauge.lifecycle SET retention = '5 days' WHERE relation = 'trace_index'",
            "UPDATE tidegauge.lifecycle SET retention = '30 days' WHERE relation = 'trace_index'",
            "lifecycle trace_index differs",
        ),
        ("DROP VIEW analytics.users", "", "view analytics.users is missing"),
        (
            "CREATE OR REPLACE FUNCTION analytics.tenant_id() RETURNS smallint LANGUAGE sql STABLE AS 'SELECT 7::smallint'",
            "",
            "function analytics.tenant_id() differs",
        ),
        (
            "UPDATE tidegauge.alembic_version SET version_num = '0007'",
            f"UPDATE tidegauge.alembic_version SET version_num = '{validate.head()}'",
            "revision of the schema differs",
        ),
    ],
)
async def test_validate_finds_what_was_changed(
    target: Target, settings: Settings, change: LiteralString, undo: LiteralString, expected: str
) -> None:
    await target.execute(change)
    try:
        found = await asyncio.to_thread(validate.validate, target.database.owner_dsn, settings)
    finally:
        if undo:
            await target.execute(undo)
        else:
            await asyncio.to_thread(migrate.upgrade, target.database.owner_dsn, settings, lambda _: None, repair=True)
    assert expected in [str(difference) for difference in found]
    assert [str(difference) for difference in await asyncio.to_thread(validate.validate, target.database.owner_dsn, settings)] == []


async def test_settings_that_were_not_applied_are_differences(target: Target) -> None:
    longer = config.load({"TIDEGAUGE_LIFECYCLE_TRACES_RETENTION": "20d", "TIDEGAUGE_LIFECYCLE_LOGS_COMPRESS_AFTER": "2d"}, env_file=None)
    found = {str(difference) for difference in await asyncio.to_thread(validate.validate, target.database.owner_dsn, longer)}
    assert {"lifecycle traces differs", "job logs: policy_compression differs"} <= found


async def test_validate_on_the_command_line(target: Target) -> None:
    fine = await target.run("validate")
    assert (fine.status, fine.err) == (0, "")
    await target.execute("DROP VIEW analytics.users")
    broken = await target.run("validate", "--json")
    assert broken.status == 1
    assert [difference["name"] for difference in json.loads(broken.out)["differences"]] == ["analytics.users"]

    assert (await target.run("migrate")).status == 0
    assert (await target.run("validate")).status == 0


async def test_status_shows_tables_rollups_and_jobs(target: Target) -> None:
    shown = await target.run("status")
    assert shown.status == 0, shown.err
    for word in ("traces", "metrics_hourly", "ingest_requests", "Rollups", "Jobs", "PostgreSQL"):
        assert word in shown.out

    status = json.loads((await target.run("status", "--json")).out)
    assert status["mode"] == ("server" if target.database.data_dir is None else "embedded")
    assert {table["name"] for table in status["tables"]} >= {"metrics", "traces", "logs", "traces_daily", "ingest_requests"}
    assert {rollup["name"] for rollup in status["rollups"]} >= {"metrics_hourly", "metrics_daily"}


@pytest.mark.skipif(shutil.which("psql") is None, reason="psql is not installed")
async def test_shell_opens_psql_as_owner_and_as_reader(target: Target) -> None:
    query = ("--", "-X", "-At", "-c", "SELECT current_user, count(*) FROM analytics.metrics")
    owner = await target.run("shell", *query)
    assert owner.status == 0, owner.err
    assert owner.out.endswith("|0\n")

    if target.database.data_dir is None:
        await timescaledb.let_reader_in(target.database.owner_dsn)
    reader = await target.run("shell", "--reader", *query, PGPASSWORD=timescaledb.READER_PASSWORD)
    assert reader.status == 0, reader.err
    failed = await target.run(
        "shell", "--reader", "--", "-X", "-c", "DELETE FROM tidegauge.metrics", PGPASSWORD=timescaledb.READER_PASSWORD
    )
    assert failed.status != 0


async def test_without_psql_shell_says_how_to_connect_and_no_password(target: Target) -> None:
    ended = await target.run("shell", PATH="/nowhere")
    assert ended.status == 127
    assert "psql is not on PATH" in ended.err
    password = psycopg.conninfo.conninfo_to_dict(target.database.owner_dsn)["password"]
    assert f":{password}@" not in ended.err


async def test_reset_wants_to_be_meant(target: Target) -> None:
    refused = await target.run("reset")
    assert refused.status == 2
    assert "--yes" in refused.err
    assert "Traceback" not in refused.err


async def test_reset_empties_our_schemas_and_nothing_else(target: Target) -> None:
    await target.execute("CREATE TABLE public.metrics (theirs int)")
    await target.execute("INSERT INTO public.metrics VALUES (1)")
    await target.execute("INSERT INTO tidegauge.users (email) VALUES ('a@example.com')")

    ended = await target.run("reset", "--yes")
    assert ended.status == 0, ended.err
    async with await psycopg.AsyncConnection.connect(target.database.owner_dsn, prepare_threshold=None) as connection:
        row = await (
            await connection.execute("SELECT (SELECT count(*) FROM public.metrics), (SELECT count(*) FROM tidegauge.users)")
        ).fetchone()
    assert row == (1, 0)
    await target.execute("DROP TABLE public.metrics")
    assert (await target.run("validate")).status == 0


async def test_there_is_no_database_to_show_in_an_empty_folder(tmp_path: Path) -> None:
    ended = await run("status", "--data", str(tmp_path / "none"), cwd=tmp_path)
    assert ended.status == 1
    assert "there is no database" in ended.err
    assert not (tmp_path / "none").exists()


async def test_a_database_that_is_away_is_one_readable_message(tmp_path: Path) -> None:
    for command in ("status", "validate", "migrate"):
        ended = await run(command, cwd=tmp_path, DATABASE_URL="postgresql://nobody:pass-word@127.0.0.1:1/none")
        assert ended.status == 1
        assert "does not answer" in ended.err
        assert "Traceback" not in ended.err
        assert "pass-word" not in ended.err


async def test_an_embedded_database_that_does_not_run_is_started_for_the_moment(tmp_path: Path) -> None:
    folder = str(tmp_path / "data")
    migrated = await run("migrate", "--data", folder, cwd=tmp_path)
    assert migrated.status == 0, migrated.err
    assert f"revision {validate.head()}" in migrated.err

    status = await run("status", "--json", "--data", folder, cwd=tmp_path)
    assert json.loads(status.out)["revision"] == validate.head()
    assert not (tmp_path / "data" / "tidegauge.json").exists()
