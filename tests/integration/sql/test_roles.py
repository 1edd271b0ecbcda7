"""As whom the SQL endpoint runs statements."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import psycopg
import pytest
import pytest_asyncio
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from tests.integration.sql.conftest import Sql
from tests.servers.timescaledb import TestDatabase
from tidegauge import runtime
from tidegauge.config import Settings, SqlSettings
from tidegauge.errors import SqlNotReady
from tidegauge.model.sql import Bounds, Statement
from tidegauge.storage.postgres import sql_role
from tidegauge.storage.postgres.database import Database
from tidegauge.storage.postgres.sql_endpoint import PostgresSqlStore

BOUNDS = Bounds(5, 1e6, 10, 1 << 20)


class Rows:
    """A sink that keeps them."""

    def __init__(self) -> None:
        self.found: list[Any] = []

    def begin(self, columns: object, cost: float) -> None:
        """Nothing."""

    def rows(self, rows: Any) -> bool:
        """All."""
        self.found += rows
        return True


@pytest_asyncio.fixture
async def owners(database: TestDatabase, settings: Settings) -> AsyncIterator[Database]:
    """The owner's pool."""
    async with runtime.opened(settings, database.owner_dsn, pool_size=2) as opened:
        yield opened


async def run(owners: Database, dsn: str, **asked: Any) -> list[Any]:
    """A statement through a store with these settings."""
    sink = Rows()
    async with PostgresSqlStore(owners, dsn, None, SqlSettings(**asked)) as store:
        await store.run(Statement("SELECT current_user"), BOUNDS, sink)
    return sink.found


async def test_the_owner_is_not_taken(owners: Database, database: TestDatabase) -> None:
    with pytest.raises(SqlNotReady, match=r"superuser|can act as the role"):
        await run(owners, database.owner_dsn, database_url=SecretStr(database.owner_dsn))


async def test_who_cannot_sign_in_is_told_what_to_do(owners: Database, database: TestDatabase) -> None:
    wrong = sql_role.address(database.owner_dsn, "not the password", "tidegauge_sql")
    url = "postgresql://{user}:{password}@{host}:{port}/{dbname}".format(**conninfo_to_dict(wrong))
    with pytest.raises(SqlNotReady) as raised:
        await run(owners, database.owner_dsn, database_url=SecretStr(url))
    assert "TIDEGAUGE_SQL_DATABASE_URL" in raised.value.hint


async def test_a_role_that_is_not_there_is_told_too(owners: Database, database: TestDatabase) -> None:
    if database.kind == "embedded":
        pytest.skip("the embedded database has a reader in any case")
    with pytest.raises(SqlNotReady, match="cannot sign in"):
        await run(owners, database.owner_dsn, role="tidegauge_nobody")


async def test_the_role_of_a_server_can_do_nothing_but_read(owners: Database, database: TestDatabase, sql: Sql) -> None:
    if database.kind == "embedded":
        pytest.skip("on a server alone a role is a boundary")
    assert await run(owners, database.owner_dsn) == [[b"tidegauge_sql"]]
    password = conninfo_to_dict(database.owner_dsn)["password"]
    with psycopg.connect(sql_role.address(database.owner_dsn, str(password), "tidegauge_sql"), autocommit=True) as connection:
        assert connection.execute("SHOW default_transaction_read_only").fetchone() == ("on",)
        connection.execute("SET default_transaction_read_only = off")
        # Whatever a session undoes, the role may not write.
        for statement in (
            "INSERT INTO tidegauge.users (email) VALUES ('a@example.com')",
            "SELECT password_hash FROM tidegauge.users",
            "CREATE TABLE analytics.attack (n int)",
            "SET ROLE tidegauge",
            "COPY (SELECT 1) TO PROGRAM 'id'",
            "SELECT pg_read_file('/etc/passwd')",
            "ALTER ROLE tidegauge_sql SUPERUSER",
        ):
            with pytest.raises(
                (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedObject, psycopg.errors.InvalidParameterValue)
            ):
                connection.execute(statement)  # type: ignore[call-overload]


async def test_an_endpoint_that_is_turned_off_is_not_there(settings: Settings, database: TestDatabase) -> None:
    location = runtime.Location(database.owner_dsn, database.reader_dsn, embedded=database.kind == "embedded")
    off = settings.model_copy(update={"sql": SqlSettings(enabled=False)})
    async with (
        runtime.assembled(off, location, maintains=False) as assembled,
        httpx.AsyncClient(transport=httpx.ASGITransport(app=assembled.api), base_url="http://tidegauge") as http,
    ):
        answer = await http.post("/api/v1/sql", json={"sql": "SELECT 1"})
    assert answer.status_code == 404
    assert "TIDEGAUGE_SQL_ENABLED" in answer.json()["hint"]
