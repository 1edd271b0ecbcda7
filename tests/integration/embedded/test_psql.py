"""psql on the embedded database."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from tidegauge.embedded import EmbeddedDatabase

pytestmark = pytest.mark.skipif(shutil.which("psql") is None, reason="psql is not on PATH")


async def psql(dsn: str, *commands: str, check: bool = True) -> str:
    arguments = [part for command in commands for part in ("-c", command)]
    process = await asyncio.create_subprocess_exec(
        "psql", "-X", "-At", "-v", "ON_ERROR_STOP=1", dsn, *arguments,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PSQL_PAGER": "cat"},
    )  # fmt: skip
    out, _ = await process.communicate()
    assert not check or process.returncode == 0, out.decode()
    return out.decode()


async def test_as_owner(database: EmbeddedDatabase, tmp_path: Path) -> None:
    rows, back = tmp_path / "rows.csv", tmp_path / "back.csv"
    rows.write_text("1,one\n2,two\n")
    out = await psql(
        database.owner_dsn,
        "CREATE TABLE public.from_psql (id int PRIMARY KEY, name text)",
        rf"\copy public.from_psql FROM '{rows}' WITH (FORMAT csv)",
        r"\d public.from_psql",
        r"\dt public.*",
        r"\du",
        r"\dx",
        r"\conninfo",
        rf"\copy public.from_psql TO '{back}' WITH (FORMAT csv)",
        "DROP TABLE public.from_psql",
    )
    assert "COPY 2" in out
    assert "id|integer||not null|" in out
    assert "timescaledb" in out
    assert 'connected to database "tidegauge" as user "tidegauge"' in out
    assert back.read_text() == rows.read_text()


async def test_as_reader(database: EmbeddedDatabase) -> None:
    out = await psql(database.reader_dsn, "SET timezone = 'Asia/Tokyo'", "SHOW timezone", r"\dn", r"\d", "BEGIN", "SELECT 1", "COMMIT")
    assert "Asia/Tokyo" in out
    assert "readers send one statement" in await psql(database.reader_dsn, "SELECT 1; SELECT 2", check=False)


async def test_list_of_databases(database: EmbeddedDatabase) -> None:
    version = await psql(database.owner_dsn, r"\echo :VERSION_NUM")
    if int(version.split()[0]) < 170000:
        pytest.skip("psql before 17 asks for a column that PostgreSQL 17 does not have")
    assert "tidegauge" in await psql(database.owner_dsn, r"\l")
