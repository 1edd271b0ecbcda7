"""Up, down, up: the same catalogue, and nothing of anybody else's touched."""

from __future__ import annotations

import os

import pytest

from tests.migration.conftest import CATALOGUE, GOLDEN, Ask, Migrate

TEAM = """
CREATE TABLE IF NOT EXISTS public.users (id integer PRIMARY KEY, name text NOT NULL);
CREATE TABLE IF NOT EXISTS public.metrics (at timestamptz NOT NULL, reading double precision);
CREATE TABLE IF NOT EXISTS public.alembic_version (version_num text NOT NULL);
INSERT INTO public.users VALUES (1, 'Ada'), (2, 'Grace');
INSERT INTO public.metrics VALUES ('2024-01-01', 1.5);
INSERT INTO public.alembic_version VALUES ('theirs');
"""
TEAM_AWAY = "DROP TABLE public.users, public.metrics, public.alembic_version"
TEAM_ROWS = """
SELECT 'users ' || u::text FROM public.users u
UNION ALL SELECT 'metrics ' || m::text FROM public.metrics m
UNION ALL SELECT 'version ' || v.version_num FROM public.alembic_version v
ORDER BY 1
"""
PERCENTILES = "analytics.duration_percentiles(double precision[], interval, timestamptz, timestamptz, text, text)"
DROPPED = """
INSERT INTO tidegauge.lifecycle (relation, kind, chunk_interval, retention, dropped_through)
SELECT relation, 'raw', '1 day', '30 days', '2020-02-02 00:00+00' FROM unnest(ARRAY['traces', 'metric_histograms']) relation
"""
# What a client is told of how far these reach back. The service map pairs spans with those of the hour before.
YOUNGER = {
    "metric_exponentials": {"2020-02-02T00:00:00"},
    "trace_examples": {"2020-02-02T00:00:00"},
    "service_edges": {"2020-02-02T01:00:00"},
}
LEFT = """
SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('tidegauge', 'analytics')
UNION ALL
SELECT format('%I.%I()', n.nspname, p.proname) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname IN ('tidegauge', 'analytics')
UNION ALL SELECT 'schema analytics' WHERE to_regnamespace('analytics') IS NOT NULL
UNION ALL SELECT 'job ' || proc_name FROM timescaledb_information.jobs WHERE job_id >= 1000
UNION ALL SELECT 'hypertable ' || hypertable_name FROM timescaledb_information.hypertables
UNION ALL SELECT 'setting ' || array_to_string(s.setconfig, ' ') FROM pg_db_role_setting s
JOIN pg_database d ON d.oid = s.setdatabase AND d.datname = current_database()
ORDER BY 1
"""


async def test_up_down_up_gives_the_golden_catalogue_beside_a_teams_own_tables(ask: Ask, upgrade: Migrate, downgrade: Migrate) -> None:
    ask(TEAM)
    try:
        theirs = ask(TEAM_ROWS)
        await upgrade()
        first = ask(CATALOGUE)
        await downgrade()
        left = [line for (line,) in ask(LEFT)]
        await upgrade()
        second = ask(CATALOGUE)
        assert ask(TEAM_ROWS) == theirs
    finally:
        ask(TEAM_AWAY)

    assert left == ["tidegauge.alembic_version", "tidegauge.alembic_version_pkc"]
    assert second == first
    portable = [text for is_portable, text in second if is_portable]
    if os.environ.get("TIDEGAUGE_TEST_UPDATE_GOLDEN"):
        GOLDEN.write_text("\n".join(portable) + "\n")
    assert portable == GOLDEN.read_text().splitlines()


async def test_each_revision_can_be_taken_back_and_done_again(ask: Ask, upgrade: Migrate, downgrade: Migrate) -> None:
    await upgrade()
    last = int(ask("SELECT version_num FROM tidegauge.alembic_version")[0][0])
    whole = ask(CATALOGUE)

    for number in range(last - 1, 0, -1):
        await downgrade(f"{number:04}")
        assert ask("SELECT version_num FROM tidegauge.alembic_version") == [(f"{number:04}",)]
    for number in range(2, last + 1):
        await upgrade(f"{number:04}")
        if number == 13:
            # A database that has been in use: spans and points were dropped before there were these rollups.
            ask(DROPPED)
    states = {
        family: ask("SELECT to_timestamp(dropped_us / 1e6) AT TIME ZONE 'UTC' FROM tidegauge.tier_states(%s)", [family])
        for family in YOUNGER
    }
    ask("UPDATE tidegauge.lifecycle SET dropped_through = '-infinity', made_from = '-infinity'")

    assert ask(CATALOGUE) == whole
    assert {family: {moment.isoformat() for (moment,) in found} for family, found in states.items()} == YOUNGER


async def test_a_second_upgrade_changes_nothing(ask: Ask, upgrade: Migrate) -> None:
    await upgrade()
    before = ask(CATALOGUE)
    jobs = ask("SELECT job_id, config::text FROM timescaledb_information.jobs ORDER BY job_id")

    assert await upgrade() == []

    assert ask(CATALOGUE) == before
    assert ask("SELECT job_id, config::text FROM timescaledb_information.jobs ORDER BY job_id") == jobs


async def test_everything_has_a_comment(ask: Ask, upgrade: Migrate) -> None:
    await upgrade()

    silent = [text for _, text in ask(CATALOGUE) if text.rstrip().endswith("--") and not text.startswith(("sequence", "  def"))]

    assert silent == []


async def test_what_a_team_built_on_our_views_survives_an_upgrade_and_stops_a_downgrade(
    ask: Ask, upgrade: Migrate, downgrade: Migrate
) -> None:
    await upgrade()
    ask("CREATE VIEW public.our_slow_spans AS SELECT * FROM analytics.traces WHERE duration_ms > 1000")
    try:
        await upgrade()
        assert ask("SELECT count(*) >= 0 FROM public.our_slow_spans") == [(True,)]
        # As the first release made it: other results, which cannot be replaced.
        ask(f"DROP FUNCTION {PERCENTILES}")
        ask(f"CREATE FUNCTION {PERCENTILES} RETURNS TABLE (bucket timestamptz, count bigint) LANGUAGE sql AS 'SELECT now(), 0::bigint'")
        await upgrade(repair=True)
        assert ask("SELECT count(*) >= 0 FROM public.our_slow_spans") == [(True,)]
        assert ask("SELECT count(lower_ms) FROM analytics.duration_percentiles(ARRAY[0.5], NULL, '2000-01-01', '2000-01-02')") == [(0,)]
        with pytest.raises(Exception, match="our_slow_spans"):
            await downgrade()
        assert ask("SELECT count(*) >= 0 FROM public.our_slow_spans") == [(True,)]
    finally:
        ask("DROP VIEW public.our_slow_spans")
