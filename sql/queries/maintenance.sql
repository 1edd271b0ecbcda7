-- Maintenance: what is due, and the statements that do it. Times of TimescaleDB's catalogue are microseconds since 1970.

-- name: rollups
-- Our continuous aggregates, those read by others first: the window in which each may be refreshed at the moment `now`, which reaches back
-- beyond that of its policy for the sake of late data, and what in it is out of date by TimescaleDB's own logs, as far as the source has chunks at all.
WITH RECURSIVE tree AS (
    SELECT l.relation, l.source, 0 AS level, l.source AS root FROM tidegauge.lifecycle l
    JOIN tidegauge.lifecycle s ON s.relation = l.source AND s.kind = 'raw'
    UNION ALL
    SELECT l.relation, l.source, t.level + 1, t.root FROM tidegauge.lifecycle l JOIN tree t ON t.relation = l.source
)
SELECT
    'tidegauge.' || t.relation AS view,
    t.level,
    t.root,
    c.raw_hypertable_id AS source_id,
    (extract(epoch FROM l.bucket_width) * 1000000)::bigint AS bucket,
    (extract(epoch FROM w.window_start) * 1000000)::bigint AS window_start,
    (extract(epoch FROM w.window_end) * 1000000)::bigint AS window_end,
    array(
        SELECT ARRAY[(extract(epoch FROM p.pending_start) * 1000000)::bigint, (extract(epoch FROM p.pending_end) * 1000000)::bigint]
        FROM tidegauge.pending_ranges(
            l.relation, greatest(w.window_start, x.first_chunk), least(w.window_end, x.last_chunk)
        ) p
    ) AS pending,
    (extract(epoch FROM tidegauge.watermark(l.relation)) * 1000000)::bigint AS watermark
FROM tree t
JOIN tidegauge.lifecycle l ON l.relation = t.relation
JOIN _timescaledb_catalog.continuous_agg c ON c.user_view_schema = 'tidegauge' AND c.user_view_name = l.relation
CROSS JOIN LATERAL (
    SELECT r.window_start, %(now)s::timestamptz - l.refresh_end_offset AS window_end
    FROM tidegauge.repair_window(l.relation, %(now)s::timestamptz) r
) w
CROSS JOIN LATERAL (
    SELECT
        _timescaledb_functions.to_timestamp(min(s.range_start)) AS first_chunk,
        _timescaledb_functions.to_timestamp(max(s.range_end)) AS last_chunk
    FROM _timescaledb_catalog.dimension d
    JOIN _timescaledb_catalog.dimension_slice s ON s.dimension_id = d.id
    WHERE d.hypertable_id = c.raw_hypertable_id
) x
WHERE w.window_start < w.window_end AND x.first_chunk < w.window_end AND x.last_chunk > w.window_start
ORDER BY t.level, t.relation;

-- name: loads
-- A hypertable's chunks between two moments: how large, how large when analyzed, and the time column's histogram of that moment.
SELECT
    (extract(epoch FROM c.range_start) * 1000000)::bigint AS start,
    (extract(epoch FROM c.range_end) * 1000000)::bigint AS end,
    (extract(epoch FROM now() + INTERVAL '10 minutes') * 1000000)::bigint AS filled_to,
    greatest(pg_catalog.pg_relation_size(k.oid), z.uncompressed_heap_size, 0) AS bytes,
    k.relpages::bigint * current_setting('block_size')::bigint AS analyzed_bytes,
    array(
        SELECT (extract(epoch FROM b.bound) * 1000000)::bigint
        FROM pg_catalog.pg_stats s
        CROSS JOIN LATERAL unnest(s.histogram_bounds::text::timestamptz[]) AS b (bound)
        WHERE s.schemaname = c.chunk_schema AND s.tablename = c.chunk_name AND s.attname = c.primary_dimension
        ORDER BY b.bound
    ) AS bounds
FROM _timescaledb_catalog.hypertable h
JOIN timescaledb_information.chunks c ON c.hypertable_schema = h.schema_name AND c.hypertable_name = h.table_name
JOIN pg_catalog.pg_namespace n ON n.nspname = c.chunk_schema
JOIN pg_catalog.pg_class k ON k.relnamespace = n.oid AND k.relname = c.chunk_name
LEFT JOIN _timescaledb_catalog.chunk x ON x.schema_name = c.chunk_schema AND x.table_name = c.chunk_name
LEFT JOIN _timescaledb_catalog.compression_chunk_size z ON z.chunk_id = x.id
WHERE h.id = %(source_id)s AND c.range_start < %(end)s::timestamptz AND c.range_end > %(start)s::timestamptz
ORDER BY c.range_start;

-- name: refresh
-- Outside of any transaction.
CALL refresh_continuous_aggregate(%(view)s::regclass, %(start)s::timestamptz, %(end)s::timestamptz);

-- name: record_repair
SELECT tidegauge.record_repair(%(relation)s, %(start)s::timestamptz, %(end)s::timestamptz);

-- name: chunks
-- Chunks of raw data; rows are estimated from the last ANALYZE and the size since. A compressed chunk that got rows again counts as
-- not compressed: compressing it again moves those.
SELECT
    c.hypertable_name AS "table",
    format('%%I.%%I', c.chunk_schema, c.chunk_name) AS relation,
    c.range_start AS start,
    c.range_end AS end,
    coalesce(
        (
            SELECT (s.histogram_bounds::text::timestamptz[])[1]
            FROM pg_catalog.pg_stats s
            WHERE s.schemaname = c.chunk_schema AND s.tablename = c.chunk_name AND s.attname = c.primary_dimension
        ),
        c.chunk_creation_time
    ) AS filled_since,
    CASE
        WHEN pg_catalog.pg_relation_size(k.oid) = 0 THEN 0
        WHEN k.reltuples >= 0 AND k.relpages > 0
            THEN (k.reltuples * (pg_catalog.pg_relation_size(k.oid) / current_setting('block_size')::bigint) / k.relpages)::bigint
    END AS rows,
    x.status & 1 = 1 AND x.status & 8 = 0 AS is_compressed,
    d.time_interval AS interval
FROM tidegauge.lifecycle l
JOIN timescaledb_information.chunks c ON c.hypertable_schema = 'tidegauge' AND c.hypertable_name = l.relation
JOIN timescaledb_information.dimensions d
    ON d.hypertable_schema = c.hypertable_schema AND d.hypertable_name = c.hypertable_name AND d.dimension_number = 1
JOIN pg_catalog.pg_namespace n ON n.nspname = c.chunk_schema
JOIN pg_catalog.pg_class k ON k.relnamespace = n.oid AND k.relname = c.chunk_name
JOIN _timescaledb_catalog.chunk x ON x.schema_name = c.chunk_schema AND x.table_name = c.chunk_name
WHERE l.kind = 'raw'
ORDER BY c.hypertable_name, c.range_start;

-- name: lifecycles
SELECT l.relation AS "table", l.chunk_interval, l.compress_after FROM tidegauge.lifecycle l WHERE l.kind = 'raw' ORDER BY l.relation;

-- name: set_chunk_interval
SELECT set_chunk_time_interval(%(table)s::regclass, %(interval)s::interval);

-- name: split_chunk
-- Outside of any transaction.
CALL split_chunk(%(chunk)s::regclass, %(at)s::timestamptz);

-- name: drop_empty_chunk
-- The chunk from `at` to `end`, if nothing was ever written to it.
SELECT drop_chunks(%(table)s::regclass, older_than => %(end)s::timestamptz, newer_than => %(at)s::timestamptz)
WHERE (
    SELECT bool_and(pg_catalog.pg_relation_size(format('%%I.%%I', c.chunk_schema, c.chunk_name)::regclass) = 0)
    FROM timescaledb_information.chunks c
    WHERE
        format('%%I.%%I', c.hypertable_schema, c.hypertable_name)::regclass = %(table)s::regclass
        AND c.range_start >= %(at)s::timestamptz AND c.range_end <= %(end)s::timestamptz
);

-- name: compress
SELECT compress_chunk(%(chunk)s::regclass, if_not_compressed => true);

-- name: expired
-- Relations that hold chunks beyond their retention; rollups last, so that what they are made from is dropped by what they cover.
SELECT l.relation
FROM tidegauge.lifecycle l
WHERE EXISTS (SELECT FROM tidegauge.expired_chunks(l.relation))
ORDER BY l.kind = 'rollup', l.relation;

-- name: drop_expired
-- One chunk. Outside of any transaction.
CALL tidegauge.drop_expired_chunks(%(relation)s, 1);

-- name: relations
-- Every table as pg_class remembers it, and its size now; of hypertables their chunks.
SELECT
    format('%%I.%%I', n.nspname, k.relname) AS name,
    CASE
        WHEN c.chunk_name IS NULL AND k.relname LIKE 'compress\_hyper\_%%' THEN 'open chunk'
        WHEN c.chunk_name IS NULL THEN 'table'
        WHEN c.hypertable_name LIKE '\_materialized\_hypertable\_%%' THEN 'rollup chunk'
        WHEN c.range_end < now() - INTERVAL '1 hour' THEN 'closed chunk'
        ELSE 'open chunk'
    END AS kind,
    pg_catalog.pg_relation_size(k.oid) / current_setting('block_size')::bigint AS pages,
    k.relpages AS analyzed_pages,
    k.reltuples >= 0 AS is_analyzed,
    k.relallvisible AS visible_pages
FROM pg_catalog.pg_class k
JOIN pg_catalog.pg_namespace n ON n.oid = k.relnamespace
LEFT JOIN timescaledb_information.chunks c ON c.chunk_schema = n.nspname AND c.chunk_name = k.relname
WHERE
    k.relkind = 'r' AND k.relpersistence = 'p' AND NOT k.relisshared AND n.nspname <> 'information_schema'
    AND pg_catalog.pg_relation_size(k.oid) > 0;

-- name: relation
-- The parts of a table's name; no row where it is gone.
SELECT n.nspname, k.relname
FROM pg_catalog.pg_class k
JOIN pg_catalog.pg_namespace n ON n.oid = k.relnamespace
WHERE k.oid = to_regclass(%(name)s);

-- name: user_jobs
-- Scheduled jobs but for ours: the policies of our hypertables and what runs our procedures.
SELECT
    j.job_id,
    coalesce(nullif(j.application_name, ''), j.proc_name)::text AS title,
    j.schedule_interval,
    nullif(nullif(j.initial_start, '-infinity'), 'infinity') AS initial_start
FROM timescaledb_information.jobs j
WHERE
    j.scheduled AND j.proc_schema <> 'tidegauge' AND j.proc_name <> 'policy_telemetry'
    AND NOT (j.proc_schema = '_timescaledb_functions' AND coalesce(j.hypertable_schema, '') = 'tidegauge')
ORDER BY j.job_id;

-- name: run_user_job
-- Outside of any transaction.
CALL run_job(%(job_id)s);

-- name: refresh_service_map
-- One batch of minutes; no row where none is due.
SELECT r.range_end, r.spans FROM tidegauge.refresh_service_map(%(most)s) r;

-- name: runs
SELECT job, started_at, duration_seconds, longest_turn_seconds, turns, result, error, consecutive_failures
FROM tidegauge.maintenance_runs
ORDER BY job;

-- name: record_run
INSERT INTO tidegauge.maintenance_runs AS r (
    job, started_at, duration_seconds, longest_turn_seconds, turns, result, error, consecutive_failures, last_success_at
) VALUES (
    %(job)s, %(started_at)s, %(duration_seconds)s, %(longest_turn_seconds)s, %(turns)s, %(result)s, %(error)s, %(consecutive_failures)s,
    CASE WHEN %(error)s = '' THEN %(started_at)s::timestamptz END
)
ON CONFLICT (job) DO UPDATE SET
    started_at = excluded.started_at,
    duration_seconds = excluded.duration_seconds,
    longest_turn_seconds = excluded.longest_turn_seconds,
    turns = excluded.turns,
    result = excluded.result,
    error = excluded.error,
    consecutive_failures = excluded.consecutive_failures,
    last_success_at = coalesce(excluded.last_success_at, r.last_success_at),
    runs = r.runs + 1;
