"""What survives: restarts, kills of the database and of its parent. And what does not: orphans and locks."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection

from tidegauge.config import EmbeddedSettings
from tidegauge.embedded import EmbeddedDatabase, running, supervisor
from tidegauge.embedded.lock import is_locked
from tidegauge.errors import DataFolderInUse, EmbeddedDatabaseError

HYPERTABLE = """
    CREATE TABLE public.points (time timestamptz NOT NULL, v int);
    SELECT create_hypertable('public.points', 'time');
    INSERT INTO public.points SELECT '2026-01-01'::timestamptz + g * interval '1 hour', g FROM generate_series(0, 999) g;
    ALTER TABLE public.points SET (timescaledb.compress);
    SELECT compress_chunk(c) FROM show_chunks('public.points') c;
"""
ROLLUP = """
    CREATE MATERIALIZED VIEW public.points_daily WITH (timescaledb.continuous, timescaledb.materialized_only = false)
    AS SELECT time_bucket('1 day', time) AS bucket, count(*) AS points, sum(v) AS total FROM public.points GROUP BY 1
"""


async def value(connection: AsyncConnection[Any], sql: str) -> Any:
    row = await (await connection.execute(sql)).fetchone()
    return None if row is None else row[0]


async def connect(database: EmbeddedDatabase) -> AsyncConnection[Any]:
    return await AsyncConnection.connect(database.owner_dsn, autocommit=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - another process makes it true
            await asyncio.sleep(0.02)


def gone(pid: int) -> bool:
    """Whether the process has ended (a zombie has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


async def test_compressed_rows_and_rollups_survive(settings: EmbeddedSettings) -> None:
    said: list[str] = []
    # Compressing takes longer than the limits of this folder's tests on a busy machine.
    settings = settings.model_copy(update={"statement_timeout_seconds": 60.0, "transaction_timeout_seconds": 60.0})
    async with EmbeddedDatabase(settings, said.append) as database, await connect(database) as owner:
        port, dsn = database.port, database.owner_dsn
        await owner.execute(HYPERTABLE)
        await owner.execute(ROLLUP)
        await owner.execute("CALL refresh_continuous_aggregate('public.points_daily', '2026-01-01', '2026-01-31')")
        await owner.close()
    assert any("Creating" in line for line in said)
    assert running(settings.data_dir) is None
    for way in ("closed", "killed"):
        async with EmbeddedDatabase(settings) as database, await connect(database) as owner:
            assert (database.port, database.owner_dsn) == (port, dsn)
            assert await value(owner, "SELECT count(*) FROM public.points") == 1000
            assert await value(owner, "SELECT count(*) FROM public.points WHERE time < '2026-01-02'") == 24
            assert await value(owner, "SELECT sum(points) FROM public.points_daily") == 1000
            assert await value(owner, "SELECT sum(total) FROM public.points_daily") == 999 * 500
            await owner.execute("INSERT INTO public.points VALUES ('2026-01-01 00:30', 0)")  # into a compressed chunk
            await owner.execute("DELETE FROM public.points WHERE time = '2026-01-01 00:30'")
            await owner.execute("CALL refresh_continuous_aggregate('public.points_daily', '2026-01-01', '2026-01-31')")
            if way == "closed":
                os.kill(database.node_pid, signal.SIGKILL)
            await owner.close()


async def test_kills_in_the_middle_of_inserts_lose_no_committed_row(settings: EmbeddedSettings) -> None:
    async with EmbeddedDatabase(settings) as database:
        async with await connect(database) as owner:
            await owner.execute("CREATE TABLE public.points (time timestamptz NOT NULL, v int)")
            await owner.execute("SELECT create_hypertable('public.points', 'time')")
        committed = 0
        for kill in range(3):
            target = committed + 60
            pid = database.node_pid
            with suppress(psycopg.OperationalError):
                async with await connect(database) as owner:
                    while True:
                        await owner.execute(
                            "INSERT INTO public.points SELECT now() - g * interval '1 second', %s FROM generate_series(1, 50) g",
                            (committed,),
                        )
                        committed += 1
                        if committed == target:  # while the next one runs
                            asyncio.get_running_loop().call_soon(os.kill, pid, signal.SIGKILL)
            await until(lambda restarts=kill + 1: database.restarts == restarts)  # type: ignore[misc]
            async with await connect(database) as owner:
                stored = await value(owner, "SELECT count(*) FROM public.points")
                distinct = await value(owner, "SELECT count(DISTINCT v) FROM public.points")
                assert stored == distinct * 50
                assert distinct in {committed, committed + 1}  # the last one may have been committed without an answer
                committed = distinct


PARENT = """
import asyncio, json, sys
from tidegauge.config import EmbeddedSettings
from tidegauge.embedded import EmbeddedDatabase

async def main():
    settings = EmbeddedSettings.model_validate_json(sys.argv[1])
    async with EmbeddedDatabase(settings, command="the parent") as database:
        print(json.dumps({"node": database.node_pid, "dsn": database.owner_dsn}), flush=True)
        await asyncio.sleep(3600)

asyncio.run(main())
"""


async def start_parent(settings: EmbeddedSettings) -> tuple[asyncio.subprocess.Process, dict[str, Any]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PARENT,
        settings.model_dump_json(),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    return process, json.loads(await process.stdout.readline())


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_killed_parent_leaves_no_orphan_and_no_lock(settings: EmbeddedSettings) -> None:
    process, facts = await start_parent(settings)
    try:
        with pytest.raises(DataFolderInUse, match=rf"process {process.pid} \(the parent\), since 20.*on port \d+"):
            await EmbeddedDatabase(settings).start()
        found = running(settings.data_dir)
        assert found is not None
        assert (found.pid, found.owner_dsn) == (process.pid, facts["dsn"])
        client = await AsyncConnection.connect(facts["dsn"], autocommit=True)
        await client.execute("CREATE TABLE public.kept AS SELECT 1 AS one")
        client.pgconn.send_query(b"SELECT count(*) FROM pg_class a, pg_class b, pg_class c, pg_class d")
    finally:
        process.kill()
        await process.wait()
    async with EmbeddedDatabase(settings) as database, await connect(database) as owner:  # waits for the other to end
        assert gone(facts["node"])
        assert await value(owner, "SELECT one FROM public.kept") == 1
        await owner.close()
    client.pgconn.finish()
    assert not is_locked(settings.data_dir)


def environment_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_the_process_gets_no_secrets_of_ours(settings: EmbeddedSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:secret-of-ours@elsewhere/db")
    monkeypatch.setenv("PGPASSWORD", "secret-of-ours")
    async with EmbeddedDatabase(settings) as database:
        seen = environment_of(database.node_pid)
    assert b"PATH=" in seen
    assert b"secret-of-ours" not in seen


async def test_it_is_started_again_on_the_same_port(database: EmbeddedDatabase) -> None:
    before, port, restarts = database.node_pid, database.port, database.restarts
    os.kill(before, signal.SIGKILL)
    await until(lambda: database.restarts == restarts + 1)
    await database.wait_ready()
    assert (database.port, database.node_pid != before) == (port, True)
    async with await connect(database) as owner:
        assert await value(owner, "SELECT 1") == 1


async def test_it_is_brought_back_however_often_it_fails(
    settings: EmbeddedSettings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervisor, "_BACKOFF_SECONDS", (0.01, 0.02))
    control = settings.data_dir / "pgdata" / "global" / "pg_control"
    hidden = control.with_name("pg_control.hidden")

    def failures() -> int:
        return sum("trying again" in record.getMessage() for record in caplog.records)

    async with EmbeddedDatabase(settings) as database:
        async with await connect(database) as owner:
            await owner.execute("CREATE TABLE public.kept AS SELECT 1 AS one")
        control.rename(hidden)
        os.kill(database.node_pid, signal.SIGKILL)
        await until(lambda: failures() >= 4)  # more often than there are steps of waiting
        assert "pg_control" in caplog.records[-1].getMessage()
        hidden.rename(control)
        await database.wait_ready()
        async with await connect(database) as owner:
            assert await value(owner, "SELECT one FROM public.kept") == 1
        assert database.restarts == 1


@pytest.mark.parametrize("way", ["killed", "opened again"])
async def test_a_folder_that_vanished_is_not_replaced_by_an_empty_one(
    settings: EmbeddedSettings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    monkeypatch.setattr(supervisor, "_BACKOFF_SECONDS", (0.01, 0.02))
    hidden = settings.data_dir.with_name("hidden")

    def told() -> int:
        return sum(f"{settings.data_dir / 'pgdata'} is gone" in record.getMessage() for record in caplog.records)

    async with EmbeddedDatabase(settings) as database:
        async with await connect(database) as owner:
            await owner.execute("CREATE TABLE public.kept AS SELECT 1 AS one")
            settings.data_dir.rename(hidden)
            if way == "killed":
                os.kill(database.node_pid, signal.SIGKILL)
            else:
                with pytest.raises(psycopg.errors.CrashShutdown):
                    await owner.execute("SELECT repeat('[', 3000000)::jsonb")
        await until(lambda: told() >= 4)
        assert not settings.data_dir.exists()
        hidden.rename(settings.data_dir)
        await database.wait_ready()
        async with await connect(database) as owner:
            assert await value(owner, "SELECT one FROM public.kept") == 1


async def test_what_the_process_says_when_it_dies_is_told(
    settings: EmbeddedSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "dies.mjs"
    script.write_text("""
        import { createInterface } from 'node:readline';
        createInterface({ input: process.stdin }).once('line', (line) => {
          for (let i = 0; i < 100; i += 1) console.error(`line ${i}`);
          throw new Error(`no way on with ${JSON.parse(line).owner.password}`);
        });
    """)
    monkeypatch.setattr(supervisor, "_SERVER", script)
    with pytest.raises(EmbeddedDatabaseError) as caught:
        await EmbeddedDatabase(settings).start()
    said = str(caught.value)
    password = json.loads((settings.data_dir / "credentials.json").read_text())["owner_password"]
    assert "Error: no way on with ***" in said
    assert password not in said
    assert "line 99" in said
    assert "line 50" not in said


def test_secrets_are_the_owners_alone(database: EmbeddedDatabase) -> None:
    folder = database._settings.data_dir
    for name in ("credentials.json", "tidegauge.json"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600
    process = Path(f"/proc/{database.node_pid}")
    if process.exists():
        seen = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        assert database.info.owner_password.encode() not in seen
    assert database.info.owner_password not in repr(database.info) + json.dumps({k: dict(v) for k, v in database.last_events.items()})
