-- Late data reaches every tier by itself: what sql/policies/functions.sql leaves between the oldest point that is taken in and the
-- beginning of refresh windows is refreshed here. Where TimescaleDB's workers run jobs this is one of them; elsewhere maintenance does the
-- same in short turns (maintenance/refresh.py), within the same bounds.

-- The buckets of a rollup that may be refreshed at the moment `at`, whole ones: those that the source still holds whole, up to where its
-- refresh policy ends. A refresh over dropped chunks would erase the rollup. So it starts after what has been dropped, and at a distance
-- from what is dropped next: an hour, a quarter of a chunk where chunks are short. (Points older than the retention less a chunk are not
-- taken in: three quarters of a chunk are left in which a late one is repaired. What still waits then is refreshed by
-- drop_expired_chunks, before the chunk goes.)
CREATE OR REPLACE FUNCTION tidegauge.repair_window(
    relation text, at timestamptz, OUT window_start timestamptz, OUT window_end timestamptz
)
LANGUAGE sql STABLE SET timezone = 'UTC' SET search_path FROM CURRENT AS $$
    SELECT
        greatest(
            time_bucket(
                l.bucket_width, repair_window.at - s.retention + least(INTERVAL '1 hour', s.chunk_interval / 4)
                + l.bucket_width - INTERVAL '1 microsecond'
            ),
            -- What it would not keep itself.
            time_bucket(l.bucket_width, repair_window.at - l.retention + l.bucket_width - INTERVAL '1 microsecond'),
            CASE
                WHEN s.dropped_through > '-infinity'
                    THEN time_bucket(l.bucket_width, s.dropped_through + l.bucket_width - INTERVAL '1 microsecond')
            END
        ),
        time_bucket(l.bucket_width, repair_window.at - l.refresh_end_offset)
    FROM tidegauge.lifecycle l
    JOIN tidegauge.lifecycle s ON s.relation = l.source
    WHERE l.relation = repair_window.relation AND l.kind = 'rollup'
$$;

-- Up to which moment a rollup is read from what is materialised; NULL: nothing is (TimescaleDB says the year 4714 BC).
CREATE OR REPLACE FUNCTION tidegauge.watermark(relation text) RETURNS timestamptz
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT _timescaledb_functions.to_timestamp(nullif(greatest(_timescaledb_functions.cagg_watermark(c.mat_hypertable_id), 0), 0))
    FROM _timescaledb_catalog.continuous_agg c
    WHERE c.user_view_schema = 'tidegauge' AND c.user_view_name = watermark.relation
$$;

-- The ranges of the chunks that a rollup is made from. By number: timescaledb_information.chunks knows every chunk there is, by name.
CREATE OR REPLACE FUNCTION tidegauge.source_chunks(relation text) RETURNS TABLE (range_start timestamptz, range_end timestamptz)
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT _timescaledb_functions.to_timestamp(s.range_start), _timescaledb_functions.to_timestamp(s.range_end)
    FROM _timescaledb_catalog.continuous_agg c
    JOIN _timescaledb_catalog.dimension d ON d.hypertable_id = c.raw_hypertable_id
    JOIN _timescaledb_catalog.dimension_slice s ON s.dimension_id = d.id
    WHERE c.user_view_schema = 'tidegauge' AND c.user_view_name = source_chunks.relation
$$;

-- What waits to be refreshed in a rollup at this moment, oldest first: parts of its buckets that are out of date and whose source has chunks.
CREATE OR REPLACE FUNCTION tidegauge.waiting_ranges(relation text)
RETURNS TABLE (waiting_start timestamptz, waiting_end timestamptz)
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    -- Ranges of chunks and of the logs of changes may overlap: they are made one.
    SELECT lower(r.range), upper(r.range)
    FROM (
        SELECT unnest(range_agg(tstzrange(p.pending_start, p.pending_end))) AS range
        FROM tidegauge.lifecycle l
        CROSS JOIN LATERAL tidegauge.repair_window(l.relation, now()) w
        JOIN tidegauge.source_chunks(waiting_ranges.relation) k ON k.range_start < w.window_end AND k.range_end > w.window_start
        CROSS JOIN LATERAL tidegauge.pending_ranges(
            l.relation, greatest(w.window_start, k.range_start), least(w.window_end, k.range_end)
        ) p
        WHERE l.relation = waiting_ranges.relation AND p.pending_start < p.pending_end
    ) r
    ORDER BY 1
$$;

-- The oldest late data of a rollup that begins at or after `since`: at most one chunk of its source, in whole buckets below its
-- watermark, or below what its policy refreshes. No row: none.
CREATE OR REPLACE FUNCTION tidegauge.next_repair(relation text, since timestamptz)
RETURNS TABLE (window_start timestamptz, window_end timestamptz)
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT
        greatest(w.window_start, time_bucket(l.bucket_width, min(p.pending_start))),
        least(b.bound, time_bucket(l.bucket_width, max(p.pending_end) + l.bucket_width - INTERVAL '1 microsecond'))
    FROM tidegauge.lifecycle l
    CROSS JOIN LATERAL tidegauge.repair_window(l.relation, now()) w
    CROSS JOIN LATERAL (
        SELECT least(w.window_end, greatest(tidegauge.watermark(l.relation), p.window_start)) AS bound
        FROM tidegauge.refresh_window(l.relation) p
    ) b
    JOIN tidegauge.source_chunks(next_repair.relation) k
        ON k.range_start < b.bound AND k.range_end > greatest(w.window_start, next_repair.since)
    CROSS JOIN LATERAL tidegauge.pending_ranges(
        l.relation, greatest(w.window_start, k.range_start, next_repair.since), least(b.bound, k.range_end)
    ) p
    WHERE l.relation = next_repair.relation AND p.pending_start < p.pending_end
    GROUP BY l.bucket_width, w.window_start, b.bound, k.range_start
    ORDER BY k.range_start
    LIMIT 1
$$;

CREATE OR REPLACE FUNCTION tidegauge.record_repair(relation text, window_start timestamptz, window_end timestamptz) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO tidegauge.rollup_repairs AS r (relation, repairs, repaired, last_at, last_start, last_end)
    VALUES (relation, 1, window_end - window_start, clock_timestamp(), window_start, window_end)
    ON CONFLICT (relation) DO UPDATE SET
        repairs = r.repairs + 1, repaired = r.repaired + excluded.repaired, last_at = excluded.last_at,
        last_start = excluded.last_start, last_end = excluded.last_end
$$;

-- Refresh what came late, rollups of raw data first, so that one run brings it up to the last tier. Commits after each refresh; so it is
-- called outside of a transaction. A rollup that another session is refreshing, most likely by its policy, is left to the next run.
CREATE OR REPLACE PROCEDURE tidegauge.repair_rollups()
LANGUAGE plpgsql AS $$
DECLARE
    extension_schema text := (
        SELECT n.nspname FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
        WHERE e.extname = 'timescaledb'
    );
    relations text[];
    relation text;
    repair record;
    since timestamptz;
BEGIN
    WITH RECURSIVE tree AS (
        SELECT l.relation, 0 AS level FROM tidegauge.lifecycle l WHERE l.kind = 'raw'
        UNION ALL
        SELECT l.relation, t.level + 1 FROM tidegauge.lifecycle l JOIN tree t ON t.relation = l.source
    )
    SELECT pg_catalog.array_agg(t.relation ORDER BY t.level, t.relation) INTO relations FROM tree t WHERE t.level > 0;
    FOREACH relation IN ARRAY relations LOOP
        since := '-infinity';
        LOOP
            SELECT n.* INTO repair FROM tidegauge.next_repair(relation, since) n;
            EXIT WHEN NOT FOUND OR EXISTS (
                SELECT FROM timescaledb_information.jobs j
                JOIN timescaledb_information.job_stats s ON s.job_id = j.job_id
                JOIN _timescaledb_catalog.continuous_agg c ON c.mat_hypertable_id = (j.config ->> 'mat_hypertable_id')::integer
                WHERE c.user_view_schema = 'tidegauge' AND c.user_view_name = relation AND s.job_status = 'Running'
            );
            PERFORM pg_catalog.set_config('search_path', extension_schema, true), pg_catalog.set_config('timezone', 'UTC', true);
            CALL refresh_continuous_aggregate(
                pg_catalog.format('tidegauge.%I', relation)::regclass, repair.window_start, repair.window_end
            );
            PERFORM tidegauge.record_repair(relation, repair.window_start, repair.window_end);
            COMMIT;
            -- Not the same again in this run, whatever comes meanwhile.
            since := repair.window_end;
        END LOOP;
    END LOOP;
END
$$;

-- The same as a TimescaleDB job.
CREATE OR REPLACE PROCEDURE tidegauge.repair_rollups_job(job_id integer, config jsonb)
LANGUAGE plpgsql AS $$
BEGIN
    CALL tidegauge.repair_rollups();
END
$$;
