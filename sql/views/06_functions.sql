-- Questions that take more than a SELECT. They run with the caller's rights, on the views.

CREATE OR REPLACE FUNCTION analytics.trace_tree(trace_id text)
RETURNS TABLE (
    depth integer, operation text, application text, kind text, status text, offset_ms double precision, duration_ms double precision,
    start_time timestamptz, span_id text, parent_span_id text, attributes jsonb
)
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    WITH RECURSIVE span AS MATERIALIZED (
        -- A span that came twice in differently batched requests is shown once.
        SELECT DISTINCT ON (t.span_id) t.*
        FROM analytics.traces t
        WHERE t.trace_uuid = trace_tree.trace_id::uuid
        AND t.start_time >= (SELECT min(s.start_time) FROM analytics.trace_summaries s WHERE s.trace_uuid = trace_tree.trace_id::uuid)
        AND t.start_time <= (SELECT max(s.end_time) FROM analytics.trace_summaries s WHERE s.trace_uuid = trace_tree.trace_id::uuid)
        ORDER BY t.span_id
    ),
    tree AS (
        SELECT 0 AS depth, ARRAY[row(s.start_time, s.span_id)] AS path, s.span_id
        FROM span s
        -- A root, or a span whose parent is not here (yet).
        WHERE NOT EXISTS (SELECT FROM span p WHERE p.span_id = s.parent_span_id)
        UNION ALL
        SELECT t.depth + 1, t.path || row(s.start_time, s.span_id), s.span_id
        FROM tree t
        JOIN span s ON s.parent_span_id = t.span_id
        WHERE t.depth < 1000
    )
    SELECT
        t.depth, repeat('  ', t.depth) || s.name, s.application, s.kind, s.status,
        extract(epoch FROM s.start_time - min(s.start_time) OVER ())::double precision * 1000, s.duration_ms, s.start_time,
        s.span_id, s.parent_span_id, s.attributes
    FROM tree t
    JOIN span s ON s.span_id = t.span_id
    ORDER BY t.path
$$;

CREATE OR REPLACE FUNCTION analytics.find_traces(range_start timestamptz, range_end timestamptz DEFAULT now())
RETURNS SETOF analytics.trace_summaries
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT s.*
    FROM (SELECT DISTINCT x.trace_uuid FROM analytics.trace_index x WHERE x.start_time >= $1 AND x.start_time < $2) t
    CROSS JOIN LATERAL (SELECT * FROM analytics.trace_summaries i WHERE i.trace_uuid = t.trace_uuid) s
    WHERE s.start_time >= $1
    ORDER BY s.start_time DESC
$$;

-- Across buckets and resets, where metrics_hourly.increase knows only what happened inside a bucket. Of a histogram, its count. The same
-- rule as src/tidegauge/query/rollups.py: an epoch that began since a day before the range counts from 0, whenever its first point came.
CREATE OR REPLACE FUNCTION analytics.increases(
    metric_name text, width interval DEFAULT INTERVAL '1 hour', range_start timestamptz DEFAULT now() - INTERVAL '1 day',
    range_end timestamptz DEFAULT now()
)
RETURNS TABLE (bucket timestamptz, application text, labels jsonb, increase double precision, is_exact boolean)
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    WITH epoch AS (
        SELECT
            m.bucket, m.series_id, m.start_timestamp, m.application, m.labels, m.temporality, false AS is_histogram, m.sum AS added,
            analytics.finite(m.first) AS first_value, analytics.finite(m.last) AS last_value, analytics.finite(m.max) AS peak
        FROM analytics.metrics_hourly m
        WHERE m.metric_name = $1 AND m.type = 'sum' AND m.is_monotonic
        AND m.bucket >= time_bucket(INTERVAL '1 hour', $3) - INTERVAL '24 hours' AND m.bucket < $4
        UNION ALL
        SELECT
            h.bucket, h.series_id, h.start_timestamp, h.application, h.labels, h.temporality, true, h.count::double precision,
            h.first_count::double precision, h.last_count::double precision, greatest(h.first_count, h.last_count)::double precision
        FROM analytics.metric_histograms_hourly h
        WHERE h.metric_name = $1
        AND h.bucket >= time_bucket(INTERVAL '1 hour', $3) - INTERVAL '24 hours' AND h.bucket < $4
    ),
    stepped AS (
        SELECT
            e.*, e.temporality IS NOT DISTINCT FROM 'delta' AS is_delta,
            lag(e.last_value) OVER (PARTITION BY e.series_id, e.start_timestamp ORDER BY e.bucket) AS before,
            coalesce(e.start_timestamp >= time_bucket(INTERVAL '1 hour', $3) - INTERVAL '24 hours', false) AS began_in_sight
        FROM epoch e
    ),
    risen AS (
        SELECT
            s.bucket, s.application, s.labels,
            CASE
                WHEN s.is_delta THEN s.added
                WHEN s.before IS NOT NULL AND (s.start_timestamp IS NOT NULL OR s.is_histogram)
                    -- Smaller within one epoch: the sender did not tell of the reset.
                    THEN s.last_value - CASE WHEN s.last_value < s.before THEN 0 ELSE s.before END
                WHEN s.began_in_sight THEN s.last_value
                -- Nothing tells how often it was reset; a maximum above the last value tells that it was.
                ELSE
                    CASE WHEN s.before IS NULL THEN 0 WHEN s.first_value < s.before THEN s.first_value ELSE s.first_value - s.before END
                    + CASE WHEN s.last_value < s.peak THEN s.peak - s.first_value + s.last_value ELSE s.last_value - s.first_value END
            END AS rise,
            (
                s.is_delta OR CASE
                    WHEN s.before IS NULL THEN s.began_in_sight
                    ELSE s.start_timestamp IS NOT NULL AND s.last_value >= s.before
                END
            )
            -- From 2^53 on a float does not hold every integer.
            AND coalesce(
                CASE WHEN s.is_delta THEN abs(s.added) ELSE greatest(abs(s.first_value), abs(s.last_value), abs(s.before)) END
                    < 9007199254740992,
                true
            ) AS is_exact
        FROM stepped s
        WHERE s.bucket >= time_bucket(INTERVAL '1 hour', $3)
    )
    SELECT
        time_bucket($2, r.bucket), r.application, r.labels,
        sum(CASE WHEN abs(r.rise) < 1e290 THEN r.rise ELSE sign(r.rise) * 'Infinity'::double precision END), bool_and(r.is_exact)
    FROM risen r
    GROUP BY 1, 2, 3
    ORDER BY 1, 2, 3
$$;
