"""What a reader may say, what it may not, and that no mixture of hostile pieces changes or reveals anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import AsyncConnection, errors

from tidegauge.embedded import EmbeddedDatabase

Connection = AsyncConnection[Any]
SECRET = "only-the-owner-knows"


async def value(connection: Connection, sql: str, *args: object) -> Any:
    row = await (await connection.execute(sql, args or None)).fetchone()
    return None if row is None else row[0]


@pytest.fixture(scope="module", autouse=True)
async def _objects(database: EmbeddedDatabase) -> AsyncIterator[None]:
    async with await AsyncConnection.connect(database.owner_dsn, autocommit=True) as owner:
        await owner.execute(f"CREATE TABLE public.secrets AS SELECT '{SECRET}'::text AS secret")
        await owner.execute("CREATE TABLE analytics.open_rows AS SELECT g AS id, 'row ' || g AS name FROM generate_series(1, 100) g")
        await owner.execute("CREATE TABLE analytics.points (time timestamptz NOT NULL, v int)")
        await owner.execute("SELECT create_hypertable('analytics.points', 'time')")
        await owner.execute("INSERT INTO analytics.points SELECT now() - g * interval '1 hour', g FROM generate_series(1, 100) g")
        await owner.execute("ALTER TABLE analytics.points SET (timescaledb.compress)")
        await owner.execute("SELECT compress_chunk(c) FROM show_chunks('analytics.points') c")
        await owner.execute(
            "CREATE MATERIALIZED VIEW analytics.points_daily WITH (timescaledb.continuous, timescaledb.materialized_only = false)"
            " AS SELECT time_bucket('1 day', time) AS bucket, count(*) FROM analytics.points GROUP BY 1"
        )
        await owner.execute("CREATE VIEW analytics.counted AS SELECT count(*) FROM analytics.open_rows")
        await owner.execute("CREATE SEQUENCE public.numbers")
        await owner.execute("GRANT SELECT ON ALL TABLES IN SCHEMA analytics TO tidegauge_reader")
        yield
        await owner.execute("DROP MATERIALIZED VIEW analytics.points_daily")
        for table in ("public.secrets", "analytics.open_rows", "analytics.points"):
            await owner.execute(f"DROP TABLE {table} CASCADE")
        await owner.execute("DROP SEQUENCE public.numbers")


ALLOWED = [
    "SELECT * FROM open_rows",
    "SELECT * FROM analytics.counted",
    "TABLE open_rows",
    "VALUES (1, 'DROP TABLE x; --')",
    "WITH a AS (SELECT 1), b AS (SELECT * FROM a) SELECT * FROM b UNION ALL SELECT 2",
    "SELECT count(*) FROM points",
    "SELECT * FROM points_daily WHERE bucket > now() - interval '7 days'",
    "EXPLAIN SELECT * FROM open_rows",
    "EXPLAIN (ANALYZE, BUFFERS) SELECT * FROM open_rows",
    "SHOW timezone",
    "SET TIME ZONE 'Europe/Berlin'",
    "SET extra_float_digits = 3",
    "SET search_path TO analytics, pg_catalog",
    "RESET search_path",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "SET standard_conforming_strings = on",
    "SELECT time_bucket('1 hour', now()), random(), gen_random_uuid(), clock_timestamp()",
    (
        "SELECT time_bucket_gapfill('1 day', time, now() - interval '3 days', now()) AS b, locf(avg(v)) FROM points"
        " WHERE time > now() - interval '3 days' AND time < now() GROUP BY 1"
    ),
    "SELECT hypertable_size('analytics.points'), approximate_row_count('analytics.points')",
    "SELECT * FROM hypertable_compression_stats('analytics.points')",
    "SELECT * FROM hypertable_columnstore_stats('analytics.points')",
    "SELECT * FROM chunks_detailed_size('analytics.points')",
    "SELECT * FROM timescaledb_information.hypertables",
    "SELECT * FROM timescaledb_information.jobs",
    "SELECT job_id, job_status FROM timescaledb_information.job_stats",
    "SELECT * FROM timescaledb_information.chunks",
    "SELECT * FROM timescaledb_information.dimensions",
    "SELECT * FROM timescaledb_information.continuous_aggregates",
    "SELECT * FROM timescaledb_information.compression_settings",
    "SELECT * FROM timescaledb_information.hypertable_columnstore_settings",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM pg_settings",
    "SELECT * FROM pg_stat_activity",
    "SELECT pg_size_pretty(pg_total_relation_size('open_rows')), pg_get_viewdef('analytics.counted'::regclass)",
    "COPY (SELECT * FROM open_rows) TO STDOUT",
    "",
    "-- nothing but a comment",
]

REFUSED = [
    ("SELECT * FROM public.secrets", "permission denied"),
    ("SELECT rolpassword FROM pg_authid", "permission denied"),
    ("SELECT 1; DROP TABLE analytics.open_rows", "one statement"),
    ("SELECT 1;;SELECT 2", "one statement"),
    ("BEGIN; SELECT 1", "one statement"),
    ("INSERT INTO open_rows VALUES (1)", "not for readers"),
    ("WITH x AS (DELETE FROM open_rows RETURNING *) SELECT * FROM x", "not for readers"),
    ("WITH x AS (MERGE INTO open_rows o USING open_rows s ON o.id = s.id WHEN MATCHED THEN DELETE RETURNING *) TABLE x", "not for readers"),
    ("SELECT * INTO copied FROM open_rows", "not for readers"),
    ("CREATE TABLE copied AS SELECT 1", "not for readers"),
    ("SELECT * FROM open_rows FOR UPDATE", "not for readers"),
    ("SELECT * FROM (SELECT * FROM open_rows FOR KEY SHARE) x", "not for readers"),
    ("EXPLAIN ANALYZE DELETE FROM open_rows", "EXPLAIN is for SELECT only"),
    ("EXPLAIN ANALYZE CREATE TABLE copied AS SELECT 1", "EXPLAIN is for SELECT only"),
    ("EXPLAIN EXECUTE x", "EXPLAIN is for SELECT only"),
    ("SELECT set_config('role', 'tidegauge', false)", "set_config"),
    ('SELECT "pg_catalog" . "set_config" (\'role\', $$tidegauge$$, false)', "set_config"),
    ("SELECT /* x */ set_config /* y */ ('role', 'tidegauge', false)", "set_config"),
    ("SELECT U&\"set\\005fconfig\"('role', 'tidegauge', false)", "set_config"),
    ("SELECT * FROM set_config('role', 'tidegauge', false)", "set_config"),
    ("SELECT 1 ORDER BY set_config('role', 'tidegauge', false)", "set_config"),
    ("DECLARE c CURSOR FOR SELECT set_config('role', 'tidegauge', false)", "set_config"),
    ("SET ROLE tidegauge", "may not"),
    ("SET LOCAL ROLE tidegauge", "may not"),
    ("RESET ROLE", "may not"),
    ("SET SESSION AUTHORIZATION tidegauge", "may not"),
    ("SET role TO DEFAULT", "may not"),
    ("SET standard_conforming_strings = off", "may not"),
    ("SET client_encoding = 'SJIS'", "may not"),
    ("SET work_mem = '2GB'", "may not"),
    ("SET search_path FROM CURRENT", "may not"),
    ("SET TRANSACTION READ WRITE", "read only"),
    ("SET transaction_read_only = off", "may not"),
    ("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", "read only"),
    ("COMMIT AND CHAIN", "AND CHAIN"),
    ("PREPARE TRANSACTION 'x'", "two-phase"),
    ("PREPARE x AS SELECT 1", "not for readers"),
    ("EXECUTE x", "not for readers"),
    ("DISCARD ALL", "not for readers"),
    ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "WITH HOLD"),
    ("DO $$ BEGIN PERFORM 1; END $$", "not for readers"),
    ("CALL run_job(1)", "not for readers"),
    ("COPY open_rows FROM STDIN", "TO STDOUT"),
    ("COPY open_rows TO '/tmp/open_rows'", "TO STDOUT"),
    ("COPY (SELECT 1) TO PROGRAM 'id'", "TO STDOUT"),
    ("COPY (DELETE FROM open_rows RETURNING *) TO STDOUT", "takes a SELECT"),
    ("SELECT pg_sleep(100)", "pg_sleep"),
    ("SELECT pg_read_file('/etc/passwd')", "pg_read_file"),
    ("SELECT * FROM pg_ls_dir('.')", "pg_ls_dir"),
    ("SELECT lo_import('/etc/passwd')", "lo_import"),
    ("SELECT query_to_xml('SELECT * FROM public.secrets', true, true, '')", "query_to_xml"),
    ("SELECT * FROM ts_stat('SELECT to_tsvector(secret) FROM public.secrets')", "ts_stat"),
    ("SELECT nextval('public.numbers')", "nextval"),
    ("SELECT pg_terminate_backend(pg_backend_pid())", "pg_terminate_backend"),
    ("SELECT pg_reload_conf()", "pg_reload_conf"),
    ("SELECT pg_switch_wal()", "pg_switch_wal"),
    ("SELECT pg_advisory_lock(1)", "pg_advisory_lock"),
    ("SELECT drop_chunks('analytics.points', now())", "drop_chunks"),
    ("SELECT compress_chunk(c) FROM show_chunks('analytics.points') c", "compress_chunk"),
    ("SELECT add_retention_policy('analytics.points', interval '1 day')", "add_retention_policy"),
    ("SELECT _timescaledb_functions.stop_background_workers()", "permission denied"),
    ("LISTEN x", "not for readers"),
    ("NOTIFY x", "not for readers"),
    ("VACUUM", "not for readers"),
    ("CHECKPOINT", "not for readers"),
    ("LOCK TABLE open_rows", "not for readers"),
    ("LOAD 'dblink'", "not for readers"),
    ("ALTER SYSTEM SET work_mem = '1GB'", "not for readers"),
    ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "not for readers"),
    ("GRANT SELECT ON public.secrets TO tidegauge_reader", "not for readers"),
    ("SELEC 1", "syntax error"),
    ("SELECT " + "(" * 20_000 + "1" + ")" * 20_000, "memory|stack|complex"),
]


@pytest.mark.parametrize("sql", ALLOWED)
@pytest.mark.parametrize("way", ["simple", "extended"])
async def test_allowed(connect: Any, sql: str, way: str) -> None:
    reader = await connect(reader=True)
    if way == "simple" or sql.startswith("COPY"):
        status = reader.pgconn.exec_(sql.encode()).status
        while sql.startswith("COPY") and reader.pgconn.get_copy_data(0)[0] > 0:
            pass
    else:
        status = reader.pgconn.exec_params(sql.encode(), None).status
    assert status in {1, 2, 3, 0}, reader.pgconn.error_message  # a command, rows, COPY OUT, nothing


@pytest.mark.parametrize(("sql", "reason"), REFUSED)
async def test_refused(connect: Any, owner: Connection, sql: str, reason: str) -> None:
    reader = await connect(reader=True)
    for run in (reader.pgconn.exec_, lambda text: reader.pgconn.exec_params(text, None)):
        with pytest.raises(psycopg.Error, match=reason):
            raise errors.lookup("42501")(run(sql.encode()).error_message.decode())
        assert reader.pgconn.transaction_status == 0
    assert await value(reader, "SELECT count(*) FROM open_rows") == 100
    assert await value(owner, "SELECT count(*) FROM analytics.open_rows") == 100


@pytest.mark.parametrize("name", ["set_config", "pg_read_file", "lo_create", "query_to_xml", "ts_stat", "drop_chunks", "pg_sleep"])
async def test_the_database_refuses_what_the_check_would_miss(owner: Connection, name: str) -> None:
    rows = await (
        await owner.execute(
            "SELECT bool_or(has_function_privilege('tidegauge_reader', oid, 'EXECUTE')) FROM pg_proc WHERE proname = %s", (name,)
        )
    ).fetchone()
    assert rows == (False,)


async def test_a_readers_transaction(connect: Any, owner: Connection) -> None:
    reader = await connect(reader=True, autocommit=False)
    who = "SELECT current_user || ' ' || current_setting('transaction_read_only')"
    assert await value(reader, who) == "tidegauge_reader on"
    async with reader.transaction():
        await reader.execute("SET LOCAL timezone = 'Asia/Tokyo'")
        with pytest.raises(errors.DivisionByZero):
            async with reader.transaction():
                await reader.execute("SELECT 1/0")
        assert await value(reader, "SHOW timezone") == "Asia/Tokyo"
        assert await value(reader, who) == "tidegauge_reader on"
    await reader.commit()
    assert await value(reader, "SHOW timezone") == "UTC"
    with pytest.raises(errors.InsufficientPrivilege):
        await reader.execute("DROP TABLE open_rows")
    with pytest.raises(errors.InFailedSqlTransaction):
        await reader.execute("SELECT 1")
    await reader.rollback()
    async with reader.cursor("walk") as cursor:
        await cursor.execute("SELECT id FROM open_rows ORDER BY id")
        assert await cursor.fetchmany(2) == [(1,), (2,)]
    await reader.rollback()
    assert await value(owner, who) == "tidegauge off"


async def test_nothing_runs_as_owner_after_a_commit_in_a_pipeline(connect: Any) -> None:
    reader = await connect(reader=True, autocommit=False)
    who = "SELECT current_user || ' ' || current_setting('transaction_read_only')"
    async with reader.pipeline():
        answers = [await reader.execute(who)]
        for end in ("COMMIT", "ROLLBACK", "BEGIN", "COMMIT"):
            await reader.execute(end)
            answers.append(await reader.execute(who))
    assert [(await answer.fetchone())[0] for answer in answers] == ["tidegauge_reader on"] * 5


async def test_start_up_settings(connect: Any) -> None:
    reader = await connect(reader=True, options="-c timezone=Europe/Paris -c datestyle=ISO", application_name="tool")
    assert await value(reader, "SHOW timezone") == "Europe/Paris"
    assert reader.pgconn.parameter_status(b"DateStyle") == b"ISO, MDY"
    assert reader.pgconn.parameter_status(b"is_superuser") == b"off"
    for option in ("role=tidegauge", "session_authorization=tidegauge", "standard_conforming_strings=off", "timezone=Nowhere"):
        with pytest.raises(psycopg.OperationalError):
            await connect(reader=True, options=f"-c {option}")


async def test_limits_of_a_reader(reader: Connection) -> None:
    with pytest.raises(errors.QueryCanceled, match=r"(?s)1\.5 s.*TIDEGAUGE_EMBEDDED_READER_STATEMENT_TIMEOUT_SECONDS"):
        await reader.execute("SELECT count(*) FROM generate_series(1, 1000000000000)")
    await reader.execute("SET statement_timeout = 50")
    with pytest.raises(errors.QueryCanceled, match=r"0\.05 s"):
        await reader.execute("SELECT count(*) FROM generate_series(1, 1000000000000)")
    assert await value(reader, "SELECT 1") == 1


FRAGMENTS = [
    *(sql for sql, _ in REFUSED if len(sql) < 500),
    *(sql for sql in ALLOWED if not sql.startswith("COPY")),
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT a",
    "ROLLBACK TO a",
    "UPDATE public.secrets SET secret = ''",
    "ALTER ROLE tidegauge_reader SUPERUSER",
    "FETCH ALL c",
    "CLOSE ALL",
    "$$",
    "$x$",
    "'",
    "''",
    '"',
    "E'\\'",
    "/*",
    "*/",
    "--",
    "\n",
    ";",
    "(",
    ")",
    "\\",
    "SELECT",
    "FROM public.secrets",
    "UNION ALL SELECT secret FROM public.secrets",
    "WHERE set_config('role', 'tidegauge', true) IS NOT NULL",
    "INTO public.stolen",
    "\u00a0",
    "\U0001f409",
]


def mutated(parts: list[str], cut: int, case: bool) -> str:
    text = " ".join(parts)
    text = text[:cut] + text[cut + 1 :] if cut < len(text) else text
    return (text.swapcase() if case else text).replace("\0", "")


hostile = st.lists(
    st.builds(
        mutated, st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=5), min_size=1, max_size=4), st.integers(0, 300), st.booleans()
    ),
    min_size=1,
    max_size=5,
)

CATALOGUE = """
    SELECT md5(string_agg(line, ',' ORDER BY line)) FROM (
      SELECT oid || relname || relowner || coalesce(relacl::text, '') FROM pg_class WHERE relpersistence = 'p'
      UNION ALL SELECT oid || proname || coalesce(proacl::text, '') FROM pg_proc
      UNION ALL SELECT oid || rolname || rolsuper FROM pg_roles
      UNION ALL SELECT oid || nspname || coalesce(nspacl::text, '') FROM pg_namespace
      UNION ALL SELECT name || setting FROM pg_settings WHERE name NOT IN ('application_name')
      UNION ALL SELECT secret FROM public.secrets
      UNION ALL SELECT id || name FROM analytics.open_rows
      UNION ALL SELECT id || application_name || scheduled FROM _timescaledb_config.bgw_job
      UNION ALL SELECT 'sequence' || last_value || is_called FROM public.numbers
      UNION ALL SELECT current_user || session_user || current_setting('transaction_read_only')
    ) AS everything (line)"""


async def test_no_mixture_of_hostile_pieces_does_harm(connect: Any, owner: Connection, database: EmbeddedDatabase) -> None:
    before = await value(owner, CATALOGUE)
    loop = asyncio.get_running_loop()

    def attack(statements: list[str], extended: bool) -> None:
        with psycopg.connect(database.reader_dsn, autocommit=True) as reader:
            for text in statements:
                sql = text.encode("utf-8", "surrogatepass")
                result = reader.pgconn.exec_params(sql, None) if extended else reader.pgconn.exec_(sql)
                for row in range(result.ntuples):
                    for column in range(result.nfields):
                        assert SECRET.encode() not in (result.get_value(row, column) or b""), text
                if result.status == 3:
                    while reader.pgconn.get_copy_data(0)[0] > 0:
                        pass
                while reader.pgconn.get_result() is not None:
                    pass
        after = asyncio.run_coroutine_threadsafe(value(owner, CATALOGUE), loop).result(30)
        assert after == before, statements

    @settings(max_examples=120, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(hostile, st.booleans())
    def attacks(statements: list[str], extended: bool) -> None:
        attack(statements, extended)

    await asyncio.to_thread(attacks)
