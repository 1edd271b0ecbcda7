"""``tidegauge db …`` as a person runs it, and what ``validate`` finds."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import LiteralString
from unittest import mock

import psycopg
import pytest
import pytest_asyncio

from tests.servers import timescaledb
from tests.servers.timescaledb import TestDatabase
from tidegauge import compiled, config
from tidegauge.cli import main
from tidegauge.config import Settings
from tidegauge.storage.postgres import migrate, validate


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    status: int
    out: str
    err: str


def _environment(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("TIDEGAUGE_", "DATABASE_URL", "PG"))} | dict(env)


async def run(*arguments: str, cwd: Path, **env: str) -> Ended:
    """A command in this process, from its entry point on; nobody sits at the terminal."""

    def call() -> Ended:
        status, out, err = 0, io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, _environment(env), clear=True),
            mock.patch.object(sys, "argv", ["tidegauge", "db", *arguments]),
            mock.patch.object(sys, "stdin", io.StringIO()),
            contextlib.chdir(cwd),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                main.run()
            except SystemExit as ended:
                status = int(ended.code or 0)
        return Ended(status, out.getvalue(), err.getvalue())

    return await asyncio.to_thread(call)


async def run_process(*arguments: str, cwd: Path, **env: str) -> Ended:
    """A command in a process of its own: psql writes to what it inherits."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tidegauge.cli.main", "db", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=_environment(env),
        cwd=cwd,
    )
    async with asyncio.timeout(120):
        out, err = await process.communicate()
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

    async def run_process(self, command: str, *arguments: str, **env: str) -> Ended:
        return await run_process(command, *self.arguments, *arguments, cwd=self.folder, **{**self.env, **env})

    async def execute(self, *statements: LiteralString) -> None:
        async with await psycopg.AsyncConnection.connect(self.database.owner_dsn, autocommit=True, prepare_threshold=None) as connection:
            for statement in statements:
                await connection.execute(statement)


@dataclass(frozen=True)
class Stopped:
    """An embedded database that a command made and another one looked at, each of which started and stopped it."""

    folder: Path
    migrated: Ended
    status: Ended


@pytest_asyncio.fixture(scope="module")
async def stopped(tmp_path_factory: pytest.TempPathFactory) -> Stopped:
    folder = tmp_path_factory.mktemp("stopped")
    data = str(folder / "data")
    migrated = await run("migrate", "--data", data, cwd=folder)
    return Stopped(folder / "data", migrated, await run("status", "--json", "--data", data, cwd=folder))


@pytest_asyncio.fixture(scope="module")
async def target(stopped: Stopped, settings: Settings) -> AsyncIterator[Target]:
    """On the embedded database the one that ``tidegauge db migrate`` made."""
    async with timescaledb.database(stopped.folder) as found:
        if found.data_dir is None:
            await asyncio.to_thread(migrate.upgrade, found.owner_dsn, settings, lambda _: None)
        yield Target(found, stopped.folder.parent)


def test_an_embedded_database_that_does_not_run_is_started_for_the_moment(stopped: Stopped) -> None:
    assert stopped.migrated.status == 0, stopped.migrated.err
    assert f"revision {validate.head()}" in stopped.migrated.err
    assert stopped.status.status == 0, stopped.status.err
    assert json.loads(stopped.status.out)["revision"] == validate.head()
    assert json.loads(stopped.status.out)["decoder"] == compiled.described()
    assert "started for this command" in stopped.migrated.err


async def test_what_revisions_make_is_what_validate_expects(target: Target, settings: Settings) -> None:
    """Where this fails after a new revision: python tools/catalogue.py DSN."""
    assert [str(difference) for difference in await asyncio.to_thread(validate.validate, target.database.owner_dsn, settings)] == []


# What somebody might do to a database, how it is undone (by the repair of `db migrate` where nothing is said), what is told of it.
CHANGES: Sequence[tuple[LiteralString, LiteralString, str]] = [
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
]


async def test_validate_finds_what_was_changed(target: Target, settings: Settings) -> None:
    """All changes at once: each difference is told by a name of its own, and none hides another."""
    await target.execute(*[change for change, _, _ in CHANGES])
    try:
        found = await asyncio.to_thread(validate.validate, target.database.owner_dsn, settings)
    finally:
        await target.execute(*[undo for _, undo, _ in CHANGES if undo])
        await asyncio.to_thread(migrate.upgrade, target.database.owner_dsn, settings, lambda _: None, repair=True)
    # The constraint took its index along.
    assert sorted(map(str, found)) == sorted([*(expected for _, _, expected in CHANGES), "index scopes_identity is missing"])
    assert [str(difference) for difference in await asyncio.to_thread(validate.validate, target.database.owner_dsn, settings)] == []


async def test_of_another_version_the_revision_alone_is_told(target: Target, settings: Settings) -> None:
    """What else differs is what its revisions are about."""
    await target.execute("UPDATE tidegauge.alembic_version SET version_num = '0007'", "DROP VIEW analytics.users")
    try:
        found = await asyncio.to_thread(validate.validate, target.database.owner_dsn, settings)
    finally:
        await target.execute(f"UPDATE tidegauge.alembic_version SET version_num = '{validate.head()}'")
        await asyncio.to_thread(migrate.upgrade, target.database.owner_dsn, settings, lambda _: None, repair=True)
    assert [str(difference) for difference in found] == ["revision of the schema differs"]


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


async def test_unused_rows_are_collected_by_hand(target: Target) -> None:
    """A row seen last when it cannot be in use any more: status and a dry run tell, a collection deletes."""
    dsn = target.database.owner_dsn
    async with await psycopg.AsyncConnection.connect(dsn, prepare_threshold=None, autocommit=True) as connection:
        await connection.execute("INSERT INTO tidegauge.applications (name, last_seen) VALUES ('of old', now() - INTERVAL '40 years')")

    dry = await target.run("collect", "--dry-run", "--json")
    assert dry.status == 0, dry.err
    assert {each["dictionary"]: each["rows"] for each in json.loads(dry.out)["unused"]}["applications"] == 1
    done = await target.run("collect")
    assert done.status == 0, done.err
    assert "collected 1 applications" in done.err
    status = json.loads((await target.run("status", "--json")).out)
    assert {each["name"]: each["collected"] for each in status["dictionaries"]}["applications"] == 1
    assert "Dictionaries" in (await target.run("status")).out


@pytest.mark.skipif(shutil.which("psql") is None, reason="psql is not installed")
async def test_shell_opens_psql_as_owner_and_as_reader(target: Target) -> None:
    query = ("--", "-X", "-At", "-c", "SELECT current_user, count(*) FROM analytics.metrics")
    owner = await target.run_process("shell", *query)
    assert owner.status == 0, owner.err
    assert owner.out.endswith("|0\n")

    if target.database.data_dir is None:
        await timescaledb.let_reader_in(target.database.owner_dsn)
    reader = await target.run_process(
        *("shell", "--reader", *query, "-c", "DELETE FROM tidegauge.metrics"), PGPASSWORD=timescaledb.READER_PASSWORD
    )
    assert reader.out.endswith("|0\n"), reader.err
    assert reader.out != owner.out
    # psql's status is that of its last statement.
    assert (reader.status, "ERROR" in reader.err) == (1, True)


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
