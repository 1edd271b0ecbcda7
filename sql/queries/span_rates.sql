-- Spans by step: how many, how many failed, how long. Read as planned, as metrics are (metrics.sql); a negative duration counts as 0.

-- fragment: buckets
    SELECT
        w.service, d.name AS operation, d.kind, d.status_code, d.bucket AS at, d.count, d.errors,
        d.duration_sum_ns, d.duration_min_ns, d.duration_max_ns
    FROM wanted w
    JOIN tidegauge.traces_${tier}_stored d ON d.application_id = w.application_id AND d.tenant_id = %(tenant_id)s
    WHERE d.bucket >= %(${tier}${n}_from)s::timestamptz AND d.bucket < %(${tier}${n}_to)s::timestamptz
        AND (%(${tier}${n}_parts)s::timestamptz[] IS NULL OR width_bucket(d.bucket, %(${tier}${n}_parts)s::timestamptz[]) %% 2 = 1)
        AND (%(operation)s::text IS NULL OR d.name = %(operation)s)
        AND (%(kind)s::smallint IS NULL OR d.kind = %(kind)s)
        AND (%(status_code)s::smallint IS NULL OR d.status_code = %(status_code)s)

-- fragment: spans
    SELECT
        w.service, t.name, t.kind, t.status_code, t.start_time, 1::bigint, CASE WHEN t.status_code = 2 THEN 1::bigint ELSE 0 END,
        greatest(t.duration_ns, 0), greatest(t.duration_ns, 0), greatest(t.duration_ns, 0)
    FROM unnest(%(raw${n}_starts)s::timestamptz[], %(raw${n}_ends)s::timestamptz[]) AS s (part_start, part_end)
    CROSS JOIN wanted w
    JOIN tidegauge.traces t ON t.application_id = w.application_id AND t.tenant_id = %(tenant_id)s
    WHERE t.start_time >= %(raw${n}_from)s::timestamptz AND t.start_time < %(raw${n}_to)s::timestamptz
        AND t.start_time >= s.part_start AND t.start_time < s.part_end
        AND (%(operation)s::text IS NULL OR t.name = %(operation)s)
        AND (%(kind)s::smallint IS NULL OR t.kind = %(kind)s)
        AND (%(status_code)s::smallint IS NULL OR t.status_code = %(status_code)s)

-- name: rates
-- One row per group, which has a name for every key that is asked for; a step without spans has none. Sums stop at the largest bigint.
WITH wanted AS (
    SELECT a.application_id, a.name AS service FROM tidegauge.applications a
    WHERE a.tenant_id = %(tenant_id)s AND (%(service)s::text IS NULL OR a.name = %(service)s)
), part AS (
    -- include: buckets tier=daily n=1
    UNION ALL
    -- include: buckets tier=hourly n=1
    UNION ALL
    -- include: buckets tier=hourly n=2
    UNION ALL
    -- include: buckets tier=minutely n=1
    UNION ALL
    -- include: buckets tier=minutely n=2
    UNION ALL
    -- include: spans n=1
    UNION ALL
    -- include: spans n=2
    UNION ALL
    -- include: spans n=3
), p AS (
    SELECT
        CASE WHEN %(by_service)s THEN p.service ELSE '' END AS service,
        CASE WHEN %(by_operation)s THEN p.operation ELSE '' END AS operation,
        CASE WHEN %(by_kind)s THEN p.kind ELSE 0 END AS kind,
        CASE WHEN %(by_status)s THEN p.status_code ELSE 0 END AS status_code,
        CASE
            WHEN %(edges)s::timestamptz[] IS NULL THEN time_bucket(%(step)s::interval, p.at, %(start)s::timestamptz)
            ELSE (%(edges)s::timestamptz[])[width_bucket(p.at, %(edges)s::timestamptz[])]
        END AS step,
        p.count, p.errors, p.duration_sum_ns, p.duration_min_ns, p.duration_max_ns
    FROM part p
), answered AS (
    SELECT
        p.service, p.operation, p.kind, p.status_code, p.step,
        least(sum(p.count), 9223372036854775807)::bigint AS count,
        least(sum(p.errors), 9223372036854775807)::bigint AS errors,
        least(sum(p.duration_sum_ns), 9223372036854775807)::bigint AS duration_sum_ns,
        min(p.duration_min_ns) AS duration_min_ns,
        max(p.duration_max_ns) AS duration_max_ns
    FROM p
    GROUP BY 1, 2, 3, 4, 5
    ORDER BY 1, 2, 3, 4, 5
    LIMIT %(limit)s
)
SELECT
    a.service, a.operation, a.kind::integer AS kind, a.status_code::integer AS status_code, array_agg(a.step) AS steps,
    array_agg(a.count) AS counts, array_agg(a.errors) AS errors, array_agg(a.duration_sum_ns) AS duration_sums_ns,
    array_agg(a.duration_min_ns) AS duration_mins_ns, array_agg(a.duration_max_ns) AS duration_maxs_ns
FROM answered a
GROUP BY a.service, a.operation, a.kind, a.status_code
ORDER BY a.service, a.operation, a.kind, a.status_code;
