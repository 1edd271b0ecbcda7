-- What metrics tell about rollups and about TimescaleDB's own jobs; read every half minute.

-- name: rollups
-- Seconds that each rollup is behind what its refresh window allows, and seconds below it that have changed or were never materialised.
SELECT
    l.relation AS rollup,
    -- Nothing materialised is the year 4714 BC there: then all there is to materialise is the lag.
    extract(epoch FROM CASE
        WHEN _timescaledb_functions.cagg_watermark(c.mat_hypertable_id) > 0 THEN greatest(
            w.window_end - _timescaledb_functions.to_timestamp(_timescaledb_functions.cagg_watermark(c.mat_hypertable_id)), interval '0'
        )
        ELSE q.pending
    END)::double precision AS lag_seconds,
    extract(epoch FROM q.pending)::double precision AS pending_seconds
FROM tidegauge.lifecycle l
JOIN _timescaledb_catalog.continuous_agg c ON c.user_view_schema = 'tidegauge' AND c.user_view_name = l.relation
CROSS JOIN LATERAL tidegauge.refresh_window(l.relation) w
CROSS JOIN LATERAL (
    SELECT
        CASE WHEN count(*) = 0 THEN w.window_end ELSE greatest(w.window_start, min(k.range_start)) END AS first,
        least(w.window_end, max(k.range_end)) AS last
    FROM timescaledb_information.chunks k
    WHERE format('%%I.%%I', k.hypertable_schema, k.hypertable_name)::regclass = tidegauge.hypertable_of(l.source)
) x
CROSS JOIN LATERAL (
    SELECT coalesce(sum(p.pending_end - p.pending_start), interval '0') AS pending
    FROM tidegauge.pending_ranges(l.relation, x.first, x.last) p
) q
WHERE l.kind = 'rollup'
ORDER BY l.relation;

-- name: jobs
-- TimescaleDB's jobs on our tables, where its workers run them; runs are counted since the job was made. Its '-infinity' means never.
SELECT
    coalesce(j.config ->> 'relation', c.user_view_name, j.hypertable_name) || ': ' || j.proc_name AS job,
    coalesce(s.total_successes, 0) AS completed,
    coalesce(s.total_failures, 0) AS failed,
    coalesce(extract(epoch FROM s.last_run_duration), 0)::double precision AS duration_seconds,
    CASE
        WHEN NOT j.scheduled THEN 'disabled'
        WHEN s.job_status = 'Running' AND s.last_run_started_at < now() - interval '5 minutes' THEN 'stalled'
        WHEN s.job_status = 'Running' THEN 'active'
        WHEN s.next_start < now() - interval '5 minutes' THEN 'stalled'
        WHEN s.next_start < now() THEN 'waiting'
        WHEN s.last_run_status = 'Failed' THEN 'delayed'
        ELSE 'scheduled'
    END AS state
FROM timescaledb_information.jobs j
LEFT JOIN timescaledb_information.job_stats s ON s.job_id = j.job_id
LEFT JOIN _timescaledb_catalog.continuous_agg c ON c.mat_hypertable_id = (j.config ->> 'mat_hypertable_id')::integer
WHERE j.hypertable_schema = 'tidegauge' OR j.proc_schema = 'tidegauge'
ORDER BY 1;
