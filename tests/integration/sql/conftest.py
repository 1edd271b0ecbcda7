"""The SQL endpoint of an assembled program."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import psycopg
import pyarrow as pa
import pytest_asyncio

from tests.servers.timescaledb import TestDatabase
from tidegauge.config import Settings, SqlSettings
from tidegauge.runtime import Location, assembled

MAX_ROWS = 5_000
MAX_BYTES = 1 << 20
SECONDS = 2.0


class Sql:
    """Asks; and, as the owner, sees what it did."""

    def __init__(self, http: httpx.AsyncClient, app: Any, database: TestDatabase) -> None:
        self.http = http
        self.app = app
        self.database = database

    async def post(self, sql: str, parameters: Any = None, accept: str | None = None, **fields: Any) -> httpx.Response:
        """The response, whatever it is."""
        body = {"sql": sql} | ({} if parameters is None else {"parameters": parameters}) | fields
        return await self.http.post("/api/v1/sql", json=body, headers={} if accept is None else {"Accept": accept})

    async def __call__(self, sql: str, parameters: Any = None, **fields: Any) -> httpx.Response:
        """A successful response."""
        answer = await self.post(sql, parameters, **fields)
        assert answer.status_code == 200, answer.text
        return answer

    async def rows(self, sql: str, parameters: Any = None, **fields: Any) -> list[list[Any]]:
        """Rows of an answer in JSON."""
        return (await self(sql, parameters, **fields)).json()["rows"]

    async def arrow(self, sql: str, **fields: Any) -> pa.Table:
        """An answer as Arrow."""
        answer = await self(sql, format="arrow", **fields)
        return pa.ipc.open_stream(io.BytesIO(answer.content)).read_all()

    async def refused(self, sql: str, status: int, parameters: Any = None, **fields: Any) -> dict[str, Any]:
        """The problem that it is answered with."""
        answer = await self.post(sql, parameters, **fields)
        assert answer.status_code == status, f"{sql}: {answer.status_code} {answer.text}"
        assert answer.headers["content-type"] == "application/problem+json"
        problem: dict[str, Any] = answer.json()
        return problem

    def owner(self, statement: str) -> list[tuple[Any, ...]]:
        """As the owner."""
        with psycopg.connect(self.database.owner_dsn, autocommit=True, prepare_threshold=None) as connection:
            cursor = connection.execute(statement)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []


@pytest_asyncio.fixture(scope="package")
async def sql(database: TestDatabase, settings: Settings) -> AsyncIterator[Sql]:
    """An endpoint with low limits."""
    asked = SqlSettings(
        timeout=timedelta(seconds=SECONDS),
        embedded_timeout=timedelta(seconds=SECONDS),
        max_rows=MAX_ROWS,
        max_bytes=MAX_BYTES,
        max_cost=1_000_000,
    )
    is_embedded = database.kind == "embedded"
    location = Location(database.owner_dsn, database.reader_dsn if is_embedded else None, embedded=is_embedded)
    async with (
        assembled(settings.model_copy(update={"sql": asked}), location, maintains=False) as runtime,
        httpx.AsyncClient(transport=httpx.ASGITransport(app=runtime.api), base_url="http://tidegauge", timeout=60) as http,
    ):
        yield Sql(http, runtime.api, database)
