-- What metrics tell about rollups and about TimescaleDB's own jobs; read every half minute.

-- name: rollups
-- Seconds of data that each rollup is behind what its refresh window allows, seconds below it that have changed or were never materialised,
-- and what has been repaired. Nothing materialised: then all there is to materialise is the lag.
SELECT
    l.relation AS rollup,
    extract(epoch FROM CASE
        WHEN m.watermark IS NULL THEN q.pending
        ELSE greatest(least(w.window_end, coalesce(q.pending_to, m.watermark)) - m.watermark, interval '0')
    END)::double precision AS lag_seconds,
    extract(epoch FROM q.pending)::double precision AS pending_seconds,
    coalesce(d.repairs, 0) AS repairs,
    coalesce(extract(epoch FROM d.repaired), 0)::double precision AS repaired_seconds
FROM tidegauge.lifecycle l
CROSS JOIN LATERAL tidegauge.refresh_window(l.relation) w
CROSS JOIN LATERAL (SELECT tidegauge.watermark(l.relation) AS watermark) m
CROSS JOIN LATERAL (
    SELECT
        coalesce(sum(p.waiting_end - p.waiting_start), interval '0') AS pending,
        max(p.waiting_end) AS pending_to
    FROM tidegauge.waiting_ranges(l.relation) p
) q
LEFT JOIN tidegauge.rollup_repairs d ON d.relation = l.relation
WHERE l.kind = 'rollup'
ORDER BY l.relation;

-- name: jobs
-- TimescaleDB's jobs on our tables, where its workers run them; runs are counted since the job was made. Its '-infinity' means never.
SELECT
    coalesce(coalesce(j.config ->> 'relation', c.user_view_name, j.hypertable_name) || ': ', '') || j.proc_name AS job,
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

-- name: collected
SELECT c.dictionary, c.collected AS rows FROM tidegauge.collections c ORDER BY c.dictionary;
