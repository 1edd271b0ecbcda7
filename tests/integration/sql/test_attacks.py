"""The SQL endpoint reads, and does nothing else: not to data, not to sessions, not to other databases, and not for longer than it may."""

from __future__ import annotations

import asyncio
import json
import resource
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.sql.conftest import MAX_BYTES, Sql
from tidegauge.errors import SqlForbidden
from tidegauge.query.sql_text import refuse_by_name

# Each changes something, reads a secret, or reaches out of the session.
WRITES = [
    "INSERT INTO tidegauge.users (email) VALUES ('attacker@example.com')",
    "UPDATE tidegauge.users SET email = ''",
    "DELETE FROM tidegauge.traces",
    "MERGE INTO tidegauge.users u USING (SELECT 1) s ON false WHEN NOT MATCHED THEN INSERT (email) VALUES ('a')",
    "TRUNCATE tidegauge.traces",
    "WITH gone AS (DELETE FROM tidegauge.traces RETURNING 1) SELECT * FROM gone",
    "WITH made AS (INSERT INTO public.attack_target VALUES (9) RETURNING n) SELECT * FROM made",
    "SELECT * INTO public.attack_copy FROM analytics.traces",
    "SELECT * INTO TEMP attack_copy FROM analytics.traces",
    "CREATE TABLE public.attack_copy AS SELECT 1",
    "CREATE TEMP TABLE attack_copy (n int)",
    "CREATE FUNCTION public.attack() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "DROP TABLE tidegauge.traces",
    "ALTER ROLE tidegauge_reader SUPERUSER",
    "GRANT tidegauge TO tidegauge_reader",
    "SELECT * FROM public.attack_target FOR UPDATE",
    "SELECT * FROM analytics.traces FOR SHARE",
    "SELECT nextval('public.attack_sequence')",
    "SELECT setval('public.attack_sequence', 1)",
    "REFRESH MATERIALIZED VIEW analytics.metrics_hourly",
    "COMMENT ON TABLE public.attack_target IS 'a'",
]
SECRETS = [
    "SELECT * FROM tidegauge.users",
    "SELECT password_hash FROM tidegauge.users",
    "TABLE tidegauge.users",
    "SELECT rolpassword FROM pg_authid",
    "SELECT passwd FROM pg_catalog.pg_shadow",
    "SELECT * FROM pg_stat_activity",
    "SELECT query FROM pg_stat_get_activity(NULL)",
    "SELECT * FROM pg_hba_file_rules",
    "SELECT * FROM pg_file_settings",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_read_binary_file('PG_VERSION')",
    "SELECT * FROM pg_ls_dir('.')",
    "SELECT pg_stat_file('PG_VERSION')",
    "SELECT srvoptions, umoptions FROM pg_user_mapping, pg_foreign_server",
    "SELECT lo_get(1)",
    "SELECT * FROM pg_largeobject",
    "SELECT query_to_xml('SELECT * FROM tidegauge.users', true, true, '')",
    "SELECT table_to_xml('tidegauge.users', true, true, '')",
    "SELECT database_to_xml(true, true, '')",
    "SELECT schema_to_xml('tidegauge', true, true, '')",
    "SELECT cursor_to_xml('tidegauge_answer', 1, true, true, '')",
    "SELECT ts_stat('SELECT to_tsvector(email) FROM tidegauge.users')",
    "SELECT ts_rewrite('a'::tsquery, 'SELECT 1, 2')",
    "SELECT * FROM dblink('dbname=postgres', 'SELECT 1') AS t (a int)",
    "COPY tidegauge.users TO STDOUT",
    "COPY (SELECT 1) TO '/tmp/attack'",
    "COPY (SELECT 1) TO PROGRAM 'id'",
    "COPY public.attack_target FROM PROGRAM 'id'",
    "SELECT most_common_vals FROM pg_statistic",
]
SESSIONS = [
    "DO $$ BEGIN PERFORM 1; END $$",
    "CALL run_job(1)",
    "SET ROLE tidegauge",
    "RESET ROLE",
    "RESET ALL",
    "SET SESSION AUTHORIZATION tidegauge",
    "SET statement_timeout = 0",
    "SET LOCAL statement_timeout = 0",
    "SET TRANSACTION READ WRITE",
    "SELECT set_config('role', 'tidegauge', true)",
    "SELECT pg_catalog.set_config('transaction_read_only', 'off', true)",
    "SELECT set_config('statement_timeout', '0', false)",
    "UPDATE pg_settings SET setting = '0' WHERE name = 'statement_timeout'",
    "SELECT pg_sleep(60)",
    "SELECT pg_sleep_for('1 minute'), pg_sleep_until('tomorrow')",
    "SELECT pg_terminate_backend(pid) FROM pg_locks",
    "SELECT pg_cancel_backend(1)",
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_try_advisory_xact_lock(1)",
    "SELECT pg_advisory_lock_shared(1)",
    "LISTEN attack",
    "NOTIFY attack",
    "SELECT pg_notify('attack', '')",
    "PREPARE attack AS SELECT 1",
    "EXECUTE attack",
    "DEALLOCATE ALL",
    "DECLARE attack CURSOR WITH HOLD FOR SELECT 1",
    "FETCH ALL FROM tidegauge_answer",
    "CLOSE ALL",
    "DISCARD ALL",
    "LOCK TABLE tidegauge.traces",
    "BEGIN",
    "COMMIT",
    "ROLLBACK; DROP TABLE tidegauge.traces",
    "VACUUM",
    "CHECKPOINT",
    "LOAD 'auto_explain'",
    "EXPLAIN ANALYZE INSERT INTO public.attack_target VALUES (9)",
    "SHOW ALL",
    "SELECT pg_reload_conf()",
    "SELECT pg_switch_wal()",
    "SELECT pg_logical_emit_message(false, 'a', 'b')",
    "SELECT pg_stat_reset()",
    "SELECT lo_create(0)",
    "SELECT lo_import('/etc/passwd')",
    "SELECT txid_current()",
    "SELECT add_job('public.attack', '1h')",
    "SELECT alter_job(1, scheduled => false)",
    "SELECT delete_job(1)",
    "SELECT drop_chunks('tidegauge.traces', now())",
    "SELECT compress_chunk(c) FROM show_chunks('tidegauge.traces') c",
    "SELECT set_chunk_time_interval('tidegauge.traces', interval '1 s')",
    "SELECT add_retention_policy('tidegauge.traces', interval '1 s')",
    "SELECT remove_retention_policy('tidegauge.traces')",
    "CALL refresh_continuous_aggregate('tidegauge.metrics_hourly', NULL, NULL)",
]
TRICKS = [
    "SELECT 1; DROP TABLE tidegauge.traces",
    "SELECT 1; SELECT 2",
    "; SELECT 1; COMMIT",
    "SELECT 1; --\nCOMMIT; DROP TABLE tidegauge.traces",
    "SELECT 1 /* ; */; COMMIT",
    "SELECT $a$;$a$; COMMIT",
    "/* /* */ SELECT 1 */ DROP TABLE tidegauge.traces",
    "SELECT 1) TO STDOUT",
    "-- nothing\nDELETE FROM tidegauge.traces",
    'SELECT pg_catalog."pg_sleep"(60)',
    "SELECT pg_sleep/* a */(60)",
    "SELECT PG_SLEEP (60)",
    'SELECT U&"pg\\005fsleep"(60)',
    "SELECT u&\"!0070g_sleep\" UESCAPE '!' (60)",
    "SELECT 1 FROM pg_sleep(60)",
    "SELECT (SELECT count(*) FROM generate_series(1, 2) g WHERE pg_sleep(g) IS NULL)",
    "SELECT ARRAY(SELECT set_config('role', 'tidegauge', false))",
    "SELECT public.attack_definer()",
    "SELECT n FROM public.attack_target WHERE public.attack_definer() IS NULL",
    "SELECT public.attack_unlocked()",
]


@pytest.fixture(scope="module", autouse=True)
def _targets(sql: Sql) -> Iterator[None]:
    """Things of a team's own that a careless team might have: all may use them."""
    sql.owner("CREATE TABLE public.attack_target (n int)")
    sql.owner("INSERT INTO public.attack_target VALUES (1)")
    sql.owner("GRANT ALL ON public.attack_target TO PUBLIC")
    sql.owner("CREATE SEQUENCE public.attack_sequence")
    sql.owner("GRANT ALL ON SEQUENCE public.attack_sequence TO PUBLIC")
    sql.owner(
        "CREATE FUNCTION public.attack_definer() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS "
        "$$ BEGIN INSERT INTO public.attack_target VALUES (2); RETURN 'written'; END $$"
    )
    sql.owner(
        "CREATE FUNCTION public.attack_unlocked() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS "
        "$$ BEGIN PERFORM set_config('transaction_read_only', 'off', true); DELETE FROM public.attack_target; RETURN 'written'; END $$"
    )
    sql.owner("INSERT INTO tidegauge.users (email, password_hash) VALUES ('attacked@example.com', 'a-secret-hash')")
    yield
    sql.owner("DELETE FROM tidegauge.users WHERE email = 'attacked@example.com'")
    sql.owner("DROP TABLE public.attack_target; DROP SEQUENCE public.attack_sequence")
    sql.owner("DROP FUNCTION public.attack_definer()")
    sql.owner("DROP FUNCTION public.attack_unlocked()")


def state(sql: Sql) -> Any:
    """What an attack could have changed."""
    return sql.owner(
        "SELECT (SELECT array_agg(n ORDER BY n) FROM public.attack_target), (SELECT last_value FROM public.attack_sequence), "
        "(SELECT array_agg(email::text ORDER BY email) FROM tidegauge.users), "
        "(SELECT array_agg(c.oid::regclass::text ORDER BY c.oid) FROM pg_class c WHERE relnamespace = 'public'::regnamespace), "
        "(SELECT count(*) FROM timescaledb_information.jobs), (SELECT rolsuper FROM pg_roles WHERE rolname = 'tidegauge_reader'), "
        "(SELECT count(*) FROM pg_largeobject_metadata), "
        "(SELECT array_agg(time_interval ORDER BY hypertable_name) FROM timescaledb_information.dimensions)"
    )


@pytest.mark.parametrize("attacks", [WRITES, SECRETS, SESSIONS, TRICKS], ids=["writes", "secrets", "sessions", "tricks"])
async def test_attacks_are_refused_and_change_nothing(sql: Sql, attacks: list[str]) -> None:
    before = state(sql)
    for attack in attacks:
        answer = await sql.post(attack)
        assert answer.status_code in (400, 403), f"{attack}: {answer.status_code} {answer.text}"
        assert "a-secret-hash" not in answer.text
    assert state(sql) == before


async def test_the_database_refuses_without_our_list_of_names(sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list is for what PUBLIC may do; nothing that is written or secret depends on it."""
    monkeypatch.setattr("tidegauge.query.sql_text.refuse_by_name", lambda _: None)
    before = state(sql)
    for attack in WRITES:
        assert (await sql.post(attack)).status_code in (400, 403), attack
    for attack in SECRETS:
        assert "a-secret-hash" not in (await sql.post(attack)).text, attack
    for attack in SESSIONS:
        if "pg_sleep" not in attack:
            await sql.post(attack)
    assert state(sql) == before
    # What an attack set is gone with its session.
    monkeypatch.undo()
    assert await sql.rows(
        "SELECT current_setting('transaction_read_only'), current_user = session_user OR session_user <> current_user"
    ) == [["on", True]]


@pytest.mark.parametrize(
    "name", ["pg_sleep", "set_config", "PG_Terminate_Backend", "query_to_xml_and_xmlschema", "dblink_connect", "lo_put", "add_job"]
)
def test_names_are_found_however_they_are_written(name: str) -> None:
    for text in (
        f"SELECT {name}(1)",
        f'SELECT pg_catalog."{name}" (1)',
        f"SELECT 1+{name}\n--x\n(1)",
        f"SELECT f(x => {name}(1))",
        f"SELECT'a'{name}(1)",
    ):
        with pytest.raises(SqlForbidden):
            refuse_by_name(text)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT hello_lo_get, pg_sleepy, my_set_config FROM x",
        "SELECT attributes ->> 'menu&\"a' FROM traces",
        "SELECT 'it''s', lo FROM \"Läden\"",
    ],
)
def test_names_that_only_look_alike_pass(text: str) -> None:
    refuse_by_name(text)


@pytest.mark.parametrize(
    "bomb",
    [
        "SELECT count(*) FROM generate_series(1, 1000000000000)",
        "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b",
        "SELECT count(*) FROM pg_class a, pg_class b, pg_class c, pg_class d, pg_class e",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r, generate_series(1, 100000000) g",
    ],
)
async def test_costly_plans_are_refused_before_they_run(sql: Sql, bomb: str) -> None:
    problem = await sql.refused(bomb, 422)
    assert "costs" in problem["detail"]
    assert "TIDEGAUGE_SQL_MAX_COST" in problem["hint"]


@pytest.mark.parametrize(
    "bomb",
    [
        "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r",
        # Its planner works it out already.
        r"SELECT repeat('x', 301) || 'z' ~ '^(x+)(x+)(x+)\1\2\3z$'",
    ],
    ids=["recursion", "regex"],
)
async def test_what_its_plan_does_not_show_is_ended_in_time(sql: Sql, bomb: str) -> None:
    problem = await sql.refused(bomb, 422)
    assert "was ended after" in problem["detail"]
    assert await eventually_answers(sql)


async def test_what_nothing_ends_keeps_its_turn(sql: Sql) -> None:
    """PostgreSQL does not look for a cancellation within an expression: there are as many of these as turns, and no more."""
    if sql.database.kind == "embedded":
        pytest.skip("the embedded database is opened again")
    product = " + ".join(["(n * n) % 7"] * 40)
    endless = f"WITH long AS MATERIALIZED (SELECT repeat('7', 60000)::numeric AS n) SELECT {product} FROM long"
    for _ in range(2):
        answers = await asyncio.gather(*[sql.post(endless) for _ in range(2)])
        assert {answer.status_code for answer in answers} <= {422, 503}
        assert under_way(sql) <= 2
    assert await eventually_answers(sql)


async def test_a_huge_row_is_not_taken_in(sql: Sql) -> None:
    # Once before: what is loaded for it stays.
    problem = await sql.refused("SELECT repeat('x', 10000000)", 422)
    assert "too large" in problem["detail"]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    await sql.refused("SELECT repeat('x', 50000000)", 422)
    # In kilobytes. Taken in it would be there twice, in libpq's buffer and as a result.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000
    assert await sql.rows("SELECT 1") == [[1]]


async def test_a_huge_answer_is_not_kept_in_memory(sql: Sql) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = await sql("SELECT repeat('x', 1000) FROM generate_series(1, 5000)")
    assert answer.headers["tidegauge-truncated"] == "bytes"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8 * MAX_BYTES // 1024


async def test_deep_nesting_breaks_nothing(sql: Sql) -> None:
    assert (await sql.post("SELECT " + "(" * 40_000 + "1" + ")" * 40_000)).status_code in (200, 400, 422, 503)
    assert (await sql.post("SELECT " + " + ".join(["1"] * 20_000))).status_code in (200, 400, 422, 503)
    assert await eventually_answers(sql)


async def eventually_answers(sql: Sql) -> bool:
    """Whether the endpoint works; the embedded database may be opening again."""
    for _ in range(100):
        if (await sql.post("SELECT 1")).status_code == 200:
            return True
        await asyncio.sleep(0.1)
    return False


def under_way(sql: Sql) -> int:
    """Statements of the endpoint that a server runs."""
    return int(sql.owner("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tidegauge sql'")[0][0])


async def leave_during(sql: Sql, statement: str) -> list[Any]:
    """Ask, and go away at once; what was answered."""
    sent: list[Any] = []
    body = json.dumps({"sql": statement}).encode()
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> dict[str, Any]:
        if (message := next(messages, None)) is not None:
            return message
        await asyncio.sleep(0.3)
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(b"host", b"tidegauge"), (b"content-length", str(len(body)).encode())]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": "/api/v1/sql",
        "raw_path": b"/api/v1/sql",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("tidegauge", 80),
    }
    await sql.app(scope, receive, send)
    return sent


ENDLESS = "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r"


async def test_a_statement_ends_with_its_client(sql: Sql) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    sent = await leave_during(sql, ENDLESS)
    assert sent[0]["status"] == 499
    # Sooner than by its own limit, or the next statement would have to wait for it.
    assert await eventually_answers(sql)
    if sql.database.kind != "embedded":
        while under_way(sql):
            assert loop.time() - began < 5
            await asyncio.sleep(0.05)


async def test_no_more_statements_than_turns_and_others_go_on(sql: Sql) -> None:
    asked = [asyncio.create_task(sql.post(ENDLESS)) for _ in range(5)]
    try:
        if sql.database.kind != "embedded":
            async with asyncio.timeout(30):
                while under_way(sql) < 2:  # noqa: ASYNC110 - the server makes it true
                    await asyncio.sleep(0.02)
        # Time in which a third one would be begun.
        await asyncio.sleep(0.3)
        if sql.database.kind != "embedded":
            assert under_way(sql) <= 2
        # The rest of the API has connections of its own.
        assert (await sql.http.get("/api/v1/applications")).status_code == 200
    finally:
        answers = await asyncio.gather(*asked)
    assert {answer.status_code for answer in answers} <= {422, 503}
    assert [answer.status_code for answer in answers].count(422) >= 2
    assert all("retry-after" in answer.headers for answer in answers if answer.status_code == 503)
    assert await sql.rows("SELECT 1") == [[1]]
