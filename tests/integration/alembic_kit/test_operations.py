"""``tidegauge.alembic`` in a project that is not ours."""

from __future__ import annotations

import pytest
from alembic.util import CommandError

from tests.integration.alembic_kit.conftest import AGGREGATE, MODELS, TABLE, Project

ROWS = """
INSERT INTO weather.conditions
SELECT t, station, station + extract(hour FROM t)
FROM generate_series(TIMESTAMPTZ '2026-01-01 00:00Z', TIMESTAMPTZ '2026-01-04 23:50Z', INTERVAL '10 minutes') t,
    generate_series(1, 3) station
"""
TOO_FEW = "SELECT time_bucket('1 hour', time) AS hour, max(celsius) AS x FROM weather.conditions GROUP BY 1"
HIGHEST = 'op.add_cagg_column("hourly", "highest", "max(c.celsius)", schema="weather", buckets_at_once=20)'
POLICY = """
SELECT add_continuous_aggregate_policy(
    'weather.hourly', start_offset => INTERVAL '2 days', end_offset => INTERVAL '1 hour', schedule_interval => INTERVAL '1 hour'
)
"""
BY_HAND = """
SELECT time_bucket(INTERVAL '1 hour', time), station, avg(celsius), count(*), max(celsius)
FROM weather.conditions GROUP BY 1, 2 ORDER BY 1, 2
"""


async def test_policies_and_columnstore_are_as_the_revision_says(project: Project) -> None:
    project.revision(1, TABLE)
    project.revision(
        2,
        """
        op.set_columnstore("conditions", schema="weather", segmentby=["station"], orderby="time DESC")
        op.add_compression_policy("conditions", "7 days", schema="weather")
        op.add_retention_policy("conditions", "30 days", schema="weather")
        op.set_chunk_time_interval("conditions", "12 hours", schema="weather")
        """,
    )
    project.revision(3, AGGREGATE)
    project.revision(
        4,
        """
        op.add_continuous_aggregate_policy(
            "hourly", start_offset="3 days", end_offset="1 hour", schedule_interval="30 minutes", schema="weather"
        )
        op.remove_retention_policy("conditions", schema="weather")
        """,
    )
    await project.upgrade()
    jobs = project.ask(
        """
        SELECT proc_name, config ->> 'compress_after', config ->> 'start_offset', config ->> 'end_offset'
        FROM timescaledb_information.jobs WHERE hypertable_schema = 'weather'
            OR hypertable_name = (SELECT materialization_hypertable_name FROM timescaledb_information.continuous_aggregates
                WHERE view_schema = 'weather')
        ORDER BY 1
        """
    )
    assert jobs == [("policy_compression", "7 days", None, None), ("policy_refresh_continuous_aggregate", None, "3 days", "01:00:00")]
    (interval,) = project.ask("SELECT time_interval::text FROM timescaledb_information.dimensions WHERE hypertable_name = 'conditions'")
    assert interval == ("12:00:00",)
    (columnstore,) = project.ask(
        """
        SELECT segmentby, orderby FROM timescaledb_information.hypertable_columnstore_settings
        WHERE hypertable = 'weather.conditions'::regclass
        """
    )
    assert columnstore[0] == "station"
    assert '"time" DESC' in columnstore[1] or "time DESC" in columnstore[1]


async def test_statements_can_be_printed(project: Project) -> None:
    project.revision(1, TABLE)
    project.revision(2, 'op.add_retention_policy("conditions", "30 days", schema="weather")')
    printed = await project.upgrade(sql=True)
    assert "SELECT create_hypertable('weather.conditions'::regclass, by_range('time', INTERVAL '1 day'))" in printed
    assert "SELECT add_retention_policy('weather.conditions'::regclass, drop_after => INTERVAL '30 days')" in printed


async def test_names_and_texts_are_quoted(project: Project) -> None:
    project.revision(
        1,
        """
        op.create_table(
            'Odd "name" : x',
            sa.Column("The time", sa.DateTime(timezone=True), nullable=False), sa.Column("Ort's", sa.Text),
            schema="weather",
        )
        op.create_hypertable('Odd "name" : x', "The time", schema="weather", chunk_interval="02:00:00")
        op.set_columnstore('Odd "name" : x', schema="weather", segmentby=["Ort's"], orderby=["The time"])
        """,
    )
    await project.upgrade()
    found = project.ask(
        "SELECT hypertable_name, column_name, time_interval::text FROM timescaledb_information.dimensions WHERE column_name = 'The time'"
    )
    assert found == [('Odd "name" : x', "The time", "02:00:00")]


async def test_autogenerate_sees_nothing_of_timescaledb(project: Project) -> None:
    project.revision(1, TABLE)
    project.revision(2, AGGREGATE + '\nop.set_columnstore("conditions", schema="weather", segmentby=["station"], orderby="time DESC")')
    await project.upgrade()
    project.ask(ROWS)
    project.ask("SELECT compress_chunk(c) FROM show_chunks('weather.conditions') c LIMIT 1")
    assert await project.compared() == []


async def test_autogenerate_sees_a_change(project: Project) -> None:
    project.revision(1, TABLE)
    await project.upgrade()
    project.models(MODELS.replace('Column("celsius", Double),', 'Column("celsius", Double), Column("humidity", Double),'))
    (change,) = await project.compared()
    (added,) = change.ops
    assert (added.column.name, added.table_name, added.schema) == ("humidity", "conditions", "weather")


async def test_a_column_is_added_with_everything_else_kept(project: Project) -> None:
    project.revision(1, TABLE)
    project.revision(2, AGGREGATE)
    await project.upgrade()
    project.ask(ROWS)
    project.ask("CALL refresh_continuous_aggregate('weather.hourly', NULL, NULL)")
    project.ask("COMMENT ON VIEW weather.hourly IS 'Hours: by station'")
    project.ask("COMMENT ON COLUMN weather.hourly.mean IS '°C'")
    project.ask("GRANT SELECT ON weather.hourly TO PUBLIC")
    project.ask("CREATE VIEW weather.warm AS SELECT hour, mean FROM weather.hourly WHERE mean > 10")
    project.ask(POLICY)
    warm = project.ask("SELECT * FROM weather.warm ORDER BY 1, 2")
    project.revision(3, HIGHEST)
    await project.upgrade()
    assert project.ask("SELECT * FROM weather.hourly ORDER BY 1, 2") == project.ask(BY_HAND)
    assert project.ask("SELECT * FROM weather.warm ORDER BY 1, 2") == warm
    assert project.ask("SELECT obj_description('weather.hourly'::regclass, 'pg_class')") == [("Hours: by station",)]
    assert project.ask("SELECT has_table_privilege('public', 'weather.hourly', 'SELECT')") == [(True,)]
    assert project.ask("SELECT col_description('weather.hourly'::regclass, 3)") == [("°C",)]
    (found,) = project.ask(
        """
        SELECT
            ARRAY(
                SELECT indexname::text FROM pg_indexes
                WHERE tablename = materialization_hypertable_name AND indexname LIKE 'hourly%%'
            ),
            ARRAY(
                SELECT j.config ->> 'start_offset' FROM timescaledb_information.jobs j
                WHERE j.hypertable_name IN (materialization_hypertable_name, 'hourly') AND j.proc_name LIKE '%%refresh%%'
            ),
            materialized_only
        FROM timescaledb_information.continuous_aggregates WHERE view_schema = 'weather'
        """
    )
    assert found == (["hourly_station"], ["2 days"], False)
    # What comes afterwards is in it as well.
    project.ask("INSERT INTO weather.conditions VALUES ('2026-02-01 00:30Z', 1, 40)")
    assert project.ask("SELECT highest FROM weather.hourly WHERE hour = '2026-02-01Z'") == [(40.0,)]


async def test_history_without_its_source_is_kept(project: Project) -> None:
    project.revision(1, TABLE)
    project.revision(2, AGGREGATE)
    await project.upgrade()
    project.ask(ROWS)
    project.ask("CALL refresh_continuous_aggregate('weather.hourly', NULL, NULL)")
    before = project.ask("SELECT hour, station, mean, readings FROM weather.hourly ORDER BY 1, 2")
    project.ask("SELECT drop_chunks('weather.conditions', older_than => TIMESTAMPTZ '2026-01-03Z')")
    project.revision(3, HIGHEST)
    await project.upgrade()
    assert project.ask("SELECT hour, station, mean, readings FROM weather.hourly ORDER BY 1, 2") == before
    assert project.ask("SELECT highest IS NULL, min(hour)::text, count(*) FROM weather.hourly GROUP BY 1 ORDER BY 1") == [
        (False, "2026-01-03 01:00:00+00", 3 * 47),
        (True, "2026-01-01 00:00:00+00", 3 * 49),
    ]
    # A refresh without limits takes the copied history for done.
    project.ask("CALL refresh_continuous_aggregate('weather.hourly', NULL, NULL)")
    assert project.ask("SELECT hour, station, mean, readings FROM weather.hourly ORDER BY 1, 2") == before


async def test_an_attempt_that_broke_off_goes_on(project: Project) -> None:
    project.revision(1, TABLE)
    project.revision(2, AGGREGATE)
    await project.upgrade()
    project.ask(ROWS)
    project.ask("CALL refresh_continuous_aggregate('weather.hourly', NULL, NULL)")
    # Fails in the swap, behind the last window: a materialised view is not taken along.
    project.ask("CREATE MATERIALIZED VIEW weather.kept AS SELECT * FROM weather.hourly")
    project.revision(3, HIGHEST)
    with pytest.raises(CommandError, match=r"weather\.kept stands on weather\.hourly: drop it"):
        await project.upgrade()
    assert project.ask("SELECT count(*) FROM weather.hourly") == project.ask("SELECT count(*) FROM weather.kept")
    project.ask("DROP MATERIALIZED VIEW weather.kept")
    await project.upgrade()
    assert project.ask("SELECT * FROM weather.hourly ORDER BY 1, 2") == project.ask(BY_HAND)


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        ('op.add_cagg_column("hurly", "x", "count(*)", schema="weather")', r"there is no continuous aggregate weather\.hurly"),
        ('op.add_cagg_column("hourly", "mean", "count(*)", schema="weather")', r"weather\.hourly has a column mean already"),
        (
            f'op.add_cagg_column("hourly", "x", "max(celsius)", schema="weather", definition="{TOO_FEW}")',
            r"has the columns hour, x; wanted are hour, station, mean, readings, x",
        ),
    ],
)
async def test_what_stands_in_the_way_is_said(project: Project, operation: str, said: str) -> None:
    project.revision(1, TABLE)
    project.revision(2, AGGREGATE)
    await project.upgrade()
    project.revision(3, operation)
    with pytest.raises(CommandError, match=said):
        await project.upgrade()
    assert project.ask("SELECT count(*) FROM timescaledb_information.continuous_aggregates WHERE view_schema = 'weather'") == [(1,)]


async def test_an_aggregate_under_another_is_refused(project: Project) -> None:
    project.revision(1, TABLE)
    project.revision(2, AGGREGATE)
    project.revision(
        3,
        """
        op.create_continuous_aggregate(
            "daily",
            "SELECT time_bucket(INTERVAL '1 day', hour) AS day, sum(readings) AS readings FROM weather.hourly GROUP BY 1",
            schema="weather",
        )
        """,
    )
    await project.upgrade()
    project.revision(4, HIGHEST)
    with pytest.raises(CommandError, match=r"weather\.daily is made from weather\.hourly"):
        await project.upgrade()
