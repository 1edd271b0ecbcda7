-- What `tidegauge db status` shows.

-- name: revision_table
-- NULL where no migration has been here.
SELECT to_regclass('tidegauge.alembic_version');

-- name: database
SELECT
    current_database()::text AS name,
    current_setting('server_version') AS postgres,
    (SELECT e.extversion FROM pg_catalog.pg_extension e WHERE e.extname = 'timescaledb') AS timescaledb,
    pg_catalog.pg_database_size(current_database()) AS bytes;

-- name: tables
-- Hypertables and rollups; bytes with indexes and TOAST. Rows are estimates. The bytes before compression are of compressed chunks alone.
SELECT
    l.relation AS name,
    l.kind,
    d.time_interval AS chunk_interval,
    l.compress_after,
    l.retention,
    coalesce(c.chunks, 0) AS chunks,
    coalesce(c.compressed_chunks, 0) AS compressed_chunks,
    c.oldest,
    coalesce(hypertable_size(h.hypertable), 0) AS bytes,
    approximate_row_count(h.hypertable) AS rows,
    z.before_compression_total_bytes AS bytes_before_compression,
    z.after_compression_total_bytes AS bytes_after_compression
FROM tidegauge.lifecycle l
CROSS JOIN LATERAL (SELECT tidegauge.hypertable_of(l.relation) AS hypertable) h
JOIN timescaledb_information.dimensions d
    ON format('%%I.%%I', d.hypertable_schema, d.hypertable_name)::regclass = h.hypertable AND d.dimension_number = 1
LEFT JOIN LATERAL (
    SELECT count(*) AS chunks, count(*) FILTER (WHERE k.is_compressed) AS compressed_chunks, min(k.range_start) AS oldest
    FROM timescaledb_information.chunks k
    WHERE k.hypertable_schema = d.hypertable_schema AND k.hypertable_name = d.hypertable_name
) c ON true
LEFT JOIN LATERAL hypertable_columnstore_stats(h.hypertable) z ON l.kind <> 'ledger'
ORDER BY CASE l.kind WHEN 'raw' THEN 1 WHEN 'rollup' THEN 2 ELSE 3 END, l.relation;

-- name: rollups
-- How far each rollup is materialised, how far it lags behind what its refresh window allows, and what of it late data has made anew.
SELECT
    l.relation AS name,
    m.watermark,
    w.window_end,
    CASE
        WHEN m.watermark IS NULL THEN q.pending
        ELSE greatest(least(w.window_end, coalesce(q.pending_to, m.watermark)) - m.watermark, '0')
    END AS lag,
    q.pending,
    q.ranges AS pending_ranges,
    coalesce(d.repairs, 0) AS repairs,
    coalesce(d.repaired, '0') AS repaired,
    d.last_at AS repaired_at
FROM tidegauge.lifecycle l
CROSS JOIN LATERAL tidegauge.refresh_window(l.relation) w
CROSS JOIN LATERAL (SELECT tidegauge.watermark(l.relation) AS watermark) m
CROSS JOIN LATERAL (
    SELECT
        coalesce(sum(p.waiting_end - p.waiting_start), '0') AS pending,
        max(p.waiting_end) AS pending_to,
        coalesce(array_agg(ARRAY[p.waiting_start, p.waiting_end] ORDER BY p.waiting_start), '{}') AS ranges
    FROM tidegauge.waiting_ranges(l.relation) p
) q
LEFT JOIN tidegauge.rollup_repairs d ON d.relation = l.relation
WHERE l.kind = 'rollup'
ORDER BY l.relation;

-- name: collections
-- Dictionaries, how many rows each has (an estimate), and how many have been collected because nothing referred to them.
SELECT
    c.dictionary AS name,
    greatest(k.reltuples, 0)::bigint AS rows,
    c.collected,
    c.collected_at
FROM tidegauge.collections c
JOIN pg_catalog.pg_class k ON k.oid = format('tidegauge.%%I', c.dictionary)::regclass
ORDER BY c.dictionary;

-- name: promoted
-- Attributes that have or had a column, in the order in which they came.
SELECT p.key, p.type, p.view_name, p.is_active, nullif(p.filled_from, '-infinity') AS filled_from
FROM tidegauge.promoted_attributes p
ORDER BY p.place;

-- name: jobs
-- TimescaleDB's jobs on our tables, where its workers run them. Its '-infinity' means never.
SELECT
    coalesce(coalesce(j.config ->> 'relation', c.user_view_name, j.hypertable_name) || ': ', '') || j.proc_name AS job,
    nullif(s.last_run_started_at, '-infinity') AS started_at,
    extract(epoch FROM s.last_run_duration)::double precision AS duration_seconds,
    coalesce(s.last_run_status, CASE WHEN j.scheduled THEN 'never ran' ELSE 'disabled' END) AS result,
    coalesce(
        (
            SELECT e.err_message FROM timescaledb_information.job_errors e
            WHERE e.job_id = j.job_id AND s.last_run_status = 'Failed' ORDER BY e.start_time DESC LIMIT 1
        ),
        ''
    ) AS error
FROM timescaledb_information.jobs j
LEFT JOIN timescaledb_information.job_stats s ON s.job_id = j.job_id
LEFT JOIN _timescaledb_catalog.continuous_agg c ON c.mat_hypertable_id = (j.config ->> 'mat_hypertable_id')::integer
WHERE j.hypertable_schema = 'tidegauge' OR j.proc_schema = 'tidegauge'
ORDER BY 1;

-- name: runs
-- Our own maintenance's.
SELECT r.job, r.started_at, r.duration_seconds, r.result, r.error FROM tidegauge.maintenance_runs r ORDER BY r.job;
