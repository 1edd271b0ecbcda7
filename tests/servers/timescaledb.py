"""Which TimescaleDB the tests run on, and a database of their own on it."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.servers.choosing import Choice, docker_runs
from tidegauge.config import EmbeddedSettings
from tidegauge.embedded import EmbeddedDatabase

URL_VARIABLE = "TIDEGAUGE_TEST_DATABASE_URL"
IMAGE = "timescale/timescaledb:latest-pg17"
READER_PASSWORD = "reader-of-the-tests"


@dataclass(frozen=True)
class TestDatabase:
    """An empty database of the tests' own. ``data_dir`` is the embedded one's folder, None on a server."""

    __test__ = False
    owner_dsn: str
    kind: str
    data_dir: Path | None
    reader_dsn: str | None


def choice() -> Choice:
    """What is used, and why."""
    if os.environ.get(URL_VARIABLE):
        return Choice("url", f"the server in {URL_VARIABLE}")
    return Choice("container", f"a container of {IMAGE}") if docker_runs() else Choice("embedded", "embedded")


@contextlib.asynccontextmanager
async def database(folder: Path) -> AsyncIterator[TestDatabase]:
    """An empty database while the block runs; ``folder`` is for the embedded one."""
    match choice().kind:
        case "url":
            async with _on_server(os.environ[URL_VARIABLE], "url") as found:
                yield found
        case "container":
            from testcontainers.postgres import PostgresContainer

            with PostgresContainer(IMAGE, username="tidegauge", password="tidegauge", dbname="tidegauge", driver=None) as container:
                async with _on_server(container.get_connection_url(), "container") as found:
                    yield found
        case _:
            async with EmbeddedDatabase(EmbeddedSettings(data_dir=folder)) as embedded:
                yield TestDatabase(embedded.owner_dsn, "embedded", folder, embedded.reader_dsn)


@contextlib.asynccontextmanager
async def _on_server(url: str, kind: str) -> AsyncIterator[TestDatabase]:
    name = f"tidegauge_test_{uuid.uuid4().hex[:12]}"
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            parts = conninfo_to_dict(url)
            address = f"{parts.get('host', '127.0.0.1')}:{parts.get('port', 5432)}/{name}"
            owner = f"postgresql://{parts.get('user')}:{parts.get('password', '')}@{address}"
            yield TestDatabase(owner, kind, None, f"postgresql://tidegauge_reader:{READER_PASSWORD}@{address}")
        finally:
            await connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


async def let_reader_in(dsn: str) -> None:
    """On a server the reader role cannot sign in until its administrator says so; ours does."""
    async with await psycopg.AsyncConnection.connect(make_conninfo(dsn), autocommit=True) as connection:
        await connection.execute(sql.SQL("ALTER ROLE tidegauge_reader LOGIN PASSWORD {}").format(sql.Literal(READER_PASSWORD)))
