"""Ways to migrate, and what is said where it fails."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.migration.conftest import Ask, Migrate
from tests.servers.timescaledb import TestDatabase
from tidegauge import config
from tidegauge.config import Settings
from tidegauge.errors import MigrationError, Unavailable
from tidegauge.storage.postgres import capabilities, migrate, scripts

ROOT = Path(__file__).parent.parent.parent
VERSION = "SELECT version_num FROM tidegauge.alembic_version"
FIT: Mapping[str, object] = {
    "server_version_num": 170005,
    "version": "PostgreSQL 17.5 on x86_64-pc-linux-gnu, compiled by gcc",
    "timescaledb_version": "2.23.1",
    "timescaledb_schema": "public",
    "timescaledb_available": "2.23.1",
    "preloaded": "timescaledb",
    "timescaledb_license": "timescale",
    "timescaledb_background_workers": 16,
}


async def alembic(dsn: str, *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "alembic", *arguments),
        cwd=ROOT,
        env={**{name: value for name, value in os.environ.items() if not name.startswith(config.PREFIX)}, "DATABASE_URL": dsn},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_plain_alembic(dsn: str, ask: Ask, upgrade: Migrate, downgrade: Migrate) -> None:
    await upgrade()
    head = ask(VERSION)
    await downgrade()

    upgraded, output = await alembic(dsn, "upgrade", "head")
    asked, current = await alembic(dsn, "current")

    assert (upgraded, asked) == (0, 0), output + current
    assert ask(VERSION) == head
    assert f"{head[0][0]} (head)" in current
    assert ask("SELECT count(*) FROM analytics.metrics") == [(0,)]


async def test_plain_alembic_says_what_is_wrong_in_a_line() -> None:
    code, output = await alembic("postgresql://nobody@127.0.0.1:1/nothing", "upgrade", "head")

    assert code != 0
    assert "FAILED: the database does not answer" in output
    assert "Traceback" not in output


async def test_two_migrations_at_once(dsn: str, ask: Ask, upgrade: Migrate, downgrade: Migrate) -> None:
    await upgrade()
    head = ask(VERSION)
    await downgrade()

    outcomes = await asyncio.gather(alembic(dsn, "upgrade", "head"), alembic(dsn, "upgrade", "head"))

    assert [code for code, _ in outcomes] == [0, 0], outcomes
    assert ask(VERSION) == head
    done = [line for _, output in outcomes for line in output.splitlines() if line.startswith("up: ")]
    assert len(done) == len(set(done)) == int(head[0][0])


async def test_a_revision_that_fails_leaves_the_one_before_and_says_where(ask: Ask, upgrade: Migrate, downgrade: Migrate) -> None:
    await upgrade()
    await downgrade("0006")
    ask("CREATE TABLE tidegauge.users (in_the_way integer)")

    with pytest.raises(MigrationError, match=r'sql/schema/0007_people\.up\.sql, line \d+: relation "users" already exists'):
        await upgrade()

    assert ask(VERSION) == [("0006",)]
    assert ask("SELECT to_regclass('tidegauge.alerts')") == [(None,)]
    ask("DROP TABLE tidegauge.users")
    await upgrade()


async def test_a_table_in_use_stops_a_migration_after_its_lock_timeout(
    own_database: TestDatabase, dsn: str, ask: Ask, upgrade: Migrate, downgrade: Migrate
) -> None:
    if own_database.kind == "embedded":
        pytest.skip("the embedded database runs one transaction at a time: nobody else can hold a table")
    await upgrade()
    await downgrade("0007")
    impatient = config.load({"TIDEGAUGE_DATABASE_MIGRATION_LOCK_TIMEOUT": "200ms"}, env_file=None)
    with psycopg.connect(dsn) as other:
        other.execute("LOCK TABLE tidegauge.metrics IN ACCESS EXCLUSIVE MODE")

        with pytest.raises(MigrationError, match=r"0008_rollups.*lock timeout.*TIDEGAUGE_DATABASE_MIGRATION_LOCK_TIMEOUT"):
            await upgrade(settings=impatient)

    assert ask(VERSION) == [("0007",)]
    await upgrade()


async def test_a_start_that_changes_nothing_waits_for_nobody(own_database: TestDatabase, dsn: str, ask: Ask, upgrade: Migrate) -> None:
    if own_database.kind == "embedded":
        pytest.skip("the embedded database runs one transaction at a time: a start waits for whoever is at work")
    await upgrade()
    impatient = config.load({"TIDEGAUGE_DATABASE_MIGRATION_LOCK_TIMEOUT": "200ms"}, env_file=None)
    with psycopg.connect(dsn) as analyst:
        analyst.execute("SELECT * FROM analytics.metrics, analytics.traces, analytics.metrics_hourly, analytics.logs LIMIT 1")

        assert await upgrade(settings=impatient) == []


async def test_views_are_repaired_on_demand(ask: Ask, upgrade: Migrate) -> None:
    await upgrade()
    ask("DROP VIEW analytics.logs")

    await upgrade(repair=True)

    assert ask("SELECT count(*) >= 0 FROM analytics.logs") == [(True,)]


async def test_an_owner_without_privileges_migrates_and_is_warned(own_database: TestDatabase, dsn: str, ask: Ask, upgrade: Migrate) -> None:
    if own_database.kind == "embedded":
        pytest.skip("the embedded database has one role that migrates, its superuser")
    name, reader = "tidegauge_test_plain_owner", "tidegauge_test_absent_reader"
    ask(f"CREATE ROLE {name} LOGIN PASSWORD 'plain'")
    ask(f"CREATE DATABASE {name} OWNER {name}")
    try:
        there = make_conninfo(dsn, user=name, password="plain", dbname=name)
        settings = config.load({"TIDEGAUGE_DATABASE_READER_ROLE": reader}, env_file=None)

        said = await upgrade(dsn=there, settings=settings)

        assert any(f"the role {reader} does not exist" in line and "CREATE ROLE" in line for line in said)
        with psycopg.connect(there) as connection:
            assert connection.execute("SELECT count(*) FROM analytics.traces").fetchone() == (0,)
    finally:
        ask(f"DROP DATABASE {name} WITH (FORCE)")
        ask(f"DROP ROLE {name}")


async def test_a_database_away_is_unavailable(settings: Settings, upgrade: Migrate) -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        await upgrade(dsn="postgresql://nobody@127.0.0.1:1/nothing?connect_timeout=2")


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"server_version_num": 140011}, "PostgreSQL 14.*needs PostgreSQL 15 or newer"),
        ({"timescaledb_schema": None, "timescaledb_available": None}, "not installed.*install TimescaleDB 2.20"),
        ({"timescaledb_schema": None, "preloaded": "pg_stat_statements"}, "not loaded.*shared_preload_libraries"),
        ({"timescaledb_version": "2.19.3"}, "TimescaleDB 2.19.3.*needs 2.20 or newer.*ALTER EXTENSION"),
        ({"timescaledb_license": "apache"}, "Apache licence.*timescaledb.license = 'timescale'"),
    ],
)
def test_an_unfit_database_is_refused_with_what_to_do(facts: Mapping[str, object], message: str) -> None:
    with pytest.raises(MigrationError, match=message):
        migrate.check_fit({**FIT, **facts})


@pytest.mark.parametrize("version", ["2.20.0", "2.23.0-dev", "2.100.1", "3.0.0"])
def test_a_fit_database_is_not_refused(version: str) -> None:
    migrate.check_fit({**FIT, "timescaledb_version": version})


def test_capabilities_of_a_server_and_of_the_embedded_database() -> None:
    server = capabilities.from_facts(FIT)
    embedded = capabilities.from_facts({**FIT, "version": "PostgreSQL 17.5 on aarch64, compiled by emcc (Emscripten)"})
    idle = capabilities.from_facts({**FIT, "timescaledb_background_workers": 0})

    assert (server.has_background_workers, server.has_advisory_locks) == (True, True)
    assert embedded == capabilities.embedded()
    assert not idle.has_background_workers


def test_statements_end_at_semicolons_outside_of_quotes_and_comments() -> None:
    text = """-- a; comment
SELECT ';', "a;b" /* ; */;

DO $x$ BEGIN; 'a' $$ ; $$ END $x$;
;
SELECT 1 - 2"""
    found = list(scripts.statements(text))

    assert [line for line, _ in found] == [2, 4, 6]
    assert found[0][1] == """SELECT ';', "a;b" /* ; */"""
    assert found[1][1].startswith("DO $x$")
    assert found[1][1].endswith("END $x$")
