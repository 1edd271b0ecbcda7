-- What spans tell. Ranges of a tier come as arrays of starts and ends; `edges` are the steps' borders, the last one excluded. A step is
-- told by its number, from 1.

-- name: trace_bounds
-- Where a trace lies and whose spans it has, so that only these chunks are planned for; nulls where there is none.
SELECT b.start_time AS start, b.end_time AS end, b.application_ids, b.span_count FROM tidegauge.trace_bounds(%(trace_id)s, %(tenant_id)s::smallint) b;

-- name: trace_times
-- A trace's spans without what they carry, by start time; a span that was resent stands more than once.
SELECT
    t.span_id, t.parent_span_id, a.name AS service, coalesce(t.full_name, t.name) AS name, t.kind, t.status_code,
    (extract(epoch FROM t.start_time) * 1000000)::bigint AS start_time_us, t.start_time_ns, t.duration_ns, %(span_count)s::bigint AS spans
FROM tidegauge.traces t
LEFT JOIN tidegauge.applications a ON a.application_id = t.application_id
WHERE t.trace_id = %(trace_id)s AND t.tenant_id = %(tenant_id)s AND t.start_time BETWEEN %(start)s::timestamptz AND %(end)s::timestamptz
    AND t.application_id = ANY (%(application_ids)s::integer[])
ORDER BY t.start_time, t.start_time_ns, t.span_id, t.duration_ns DESC
LIMIT %(limit)s;

-- name: kept_trace
-- The spans of a trace that is kept as an example, with all that they carry.
SELECT
    trace_id, span_id, parent_span_id, trace_state, flags, coalesce(full_name, name) AS name, kind,
    (extract(epoch FROM start_time) * 1000000)::bigint AS start_time_us, start_time_ns, duration_ns,
    status_code, status_message, attributes, dropped_attributes_count, events, dropped_events_count, links, dropped_links_count,
    original, resource_id, scope_id
FROM tidegauge.kept_spans
WHERE trace_id = %(trace_id)s AND tenant_id = %(tenant_id)s
ORDER BY start_time, start_time_ns, span_id, duration_ns DESC
LIMIT %(limit)s;

-- name: kept_times
-- The same of a trace that is kept as an example.
SELECT
    t.span_id, t.parent_span_id, a.name AS service, coalesce(t.full_name, t.name) AS name, t.kind, t.status_code,
    (extract(epoch FROM t.start_time) * 1000000)::bigint AS start_time_us, t.start_time_ns, t.duration_ns, count(*) OVER () AS spans
FROM tidegauge.kept_spans t
LEFT JOIN tidegauge.applications a ON a.application_id = t.application_id
WHERE t.trace_id = %(trace_id)s AND t.tenant_id = %(tenant_id)s
ORDER BY t.start_time, t.start_time_ns, t.span_id, t.duration_ns DESC
LIMIT %(limit)s;

-- name: map_front
-- The minute behind the last that the service map is computed of; null where there is none.
SELECT (extract(epoch FROM max(m.bucket) + INTERVAL '1 minute') * 1000000)::bigint AS front_us FROM tidegauge.service_map_minutes m;

-- name: map_pending
-- Minutes of the service map that wait to be computed, within a range and before the front, as ranges.
SELECT
    (extract(epoch FROM lower(r.range)) * 1000000)::bigint AS start_us, (extract(epoch FROM upper(r.range)) * 1000000)::bigint AS end_us
FROM (
    SELECT unnest(range_agg(tstzrange(x.range_start, x.range_end))) AS range
    FROM (
        SELECT p.bucket, p.bucket + INTERVAL '1 minute'
        FROM tidegauge.service_map_pending(%(start)s::timestamptz - INTERVAL '1 minute', %(end)s::timestamptz) p
        WHERE p.bucket <= (SELECT max(m.bucket) FROM tidegauge.service_map_minutes m)
        UNION ALL
        -- Minutes are found by a rollup of spans: where that is out of date itself, nobody knows yet which of them wait.
        SELECT greatest(date_trunc('minute', w.since), %(start)s::timestamptz), least(w.until, %(end)s::timestamptz)
        FROM tidegauge.tier_states('traces') t
        CROSS JOIN generate_series(1, array_length(t.pending_us, 1), 2) i
        CROSS JOIN LATERAL (
            SELECT
                to_timestamp(t.pending_us[i] / 1000000.0) AS since,
                date_trunc('minute', to_timestamp((t.pending_us[i + 1] + 59999999) / 1000000.0)) AS until
        ) w
        WHERE t.level = 'minutely' AND w.since < %(end)s::timestamptz AND w.until > %(start)s::timestamptz
    ) x (range_start, range_end)
) r
ORDER BY 1;

-- fragment: edges_of
    SELECT
        e.bucket, e.client_application_id, e.server_application_id, e.peer, e.call, e.duration_bucket, e.count, e.errors, e.duration_sum_ns, e.duration_max_ns,
        e.client_duration_sum_ns
    FROM unnest(%(${tier}_starts)s::timestamptz[], %(${tier}_ends)s::timestamptz[]) AS r (range_start, range_end)
    JOIN tidegauge.service_edges_${rollup} e
        ON e.bucket >= r.range_start AND e.bucket < r.range_end
        AND e.bucket >= %(${tier}_from)s::timestamptz AND e.bucket < %(${tier}_to)s::timestamptz
        AND e.tenant_id = %(tenant_id)s

-- name: calls
-- Calls by step and edge, most first; of a service those that it makes and gets.
WITH part AS (
    -- include: edges_of tier=daily rollup=daily_stored
    UNION ALL
    -- include: edges_of tier=hourly rollup=hourly_stored
    UNION ALL
    -- include: edges_of tier=minutely rollup=minutely
    UNION ALL
    SELECT
        c.start_time, c.client_application_id, c.server_application_id, c.peer, c.call,
        floor(ln(greatest(c.duration_ns, 1)::double precision) / ln(1.1::double precision))::integer, 1, c.is_error::integer,
        c.duration_ns, c.duration_ns, c.client_duration_ns
    FROM unnest(%(raw_starts)s::timestamptz[], %(raw_ends)s::timestamptz[]) AS r (range_start, range_end)
    CROSS JOIN LATERAL tidegauge.find_calls(r.range_start, r.range_end) c
    WHERE NOT c.is_orphan AND c.tenant_id = %(tenant_id)s
),
named AS (
    SELECT
        width_bucket(p.bucket, %(edges)s::timestamptz[]) AS step, coalesce(a.name, '') AS client, coalesce(b.name, '') AS server, p.peer,
        p.call, p.duration_bucket, sum(p.count) AS count, sum(p.errors) AS errors, sum(p.duration_sum_ns) AS duration_sum_ns,
        max(p.duration_max_ns) AS duration_max_ns, sum(p.client_duration_sum_ns) AS client_duration_sum_ns
    FROM part p
    LEFT JOIN tidegauge.applications a ON a.application_id = p.client_application_id
    LEFT JOIN tidegauge.applications b ON b.application_id = p.server_application_id
    WHERE %(service)s::text IS NULL OR a.name = %(service)s OR b.name = %(service)s
    GROUP BY 1, 2, 3, 4, 5, 6
)
SELECT
    n.step, n.client, n.server, n.peer, n.call, sum(n.count)::bigint AS count, sum(n.errors)::bigint AS errors,
    least(sum(n.duration_sum_ns), 9223372036854775807)::bigint AS duration_sum_ns, max(n.duration_max_ns) AS duration_max_ns,
    least(sum(n.client_duration_sum_ns), 9223372036854775807)::bigint AS client_duration_sum_ns,
    array_agg(n.duration_bucket ORDER BY n.duration_bucket) AS buckets, array_agg(n.count::bigint ORDER BY n.duration_bucket) AS counts
FROM named n
GROUP BY n.step, n.client, n.server, n.peer, n.call
ORDER BY n.step, sum(n.count) DESC, n.client, n.server, n.peer, n.call
LIMIT %(limit)s;

-- fragment: totals_of
        SELECT m.bucket, m.application_id, m.name, m.kind, m.count, m.errors, m.duration_sum_ns, m.duration_min_ns, m.duration_max_ns
        FROM unnest(%(${tier}_starts)s::timestamptz[], %(${tier}_ends)s::timestamptz[]) AS r (range_start, range_end)
        JOIN tidegauge.traces_${tier}_stored m
            ON m.bucket >= r.range_start AND m.bucket < r.range_end
            AND m.bucket >= %(${tier}_from)s::timestamptz AND m.bucket < %(${tier}_to)s::timestamptz
            AND m.application_id = ANY (%(applications)s::integer[])

-- fragment: durations_of
        SELECT m.bucket, m.application_id, m.name, m.kind, m.duration_bucket, m.count
        FROM unnest(%(${tier}_starts)s::timestamptz[], %(${tier}_ends)s::timestamptz[]) AS r (range_start, range_end)
        JOIN tidegauge.trace_durations_${tier}_stored m
            ON m.bucket >= r.range_start AND m.bucket < r.range_end
            AND m.bucket >= %(${tier}_from)s::timestamptz AND m.bucket < %(${tier}_to)s::timestamptz
            AND m.application_id = ANY (%(applications)s::integer[])

-- name: red
-- Spans by step and service, or operation, of the kinds asked for: totals from one family of rollups, durations from another.
WITH spans AS MATERIALIZED (
    SELECT
        width_bucket(t.start_time, %(edges)s::timestamptz[]) AS step, t.application_id,
        CASE WHEN %(by_operation)s THEN t.name END AS operation,
        floor(ln(greatest(t.duration_ns, 1)::double precision) / ln(1.1::double precision))::integer AS duration_bucket,
        count(*) AS count, count(*) FILTER (WHERE t.status_code = 2) AS errors, sum(greatest(t.duration_ns, 0)) AS duration_sum_ns,
        min(greatest(t.duration_ns, 0)) AS duration_min_ns, max(greatest(t.duration_ns, 0)) AS duration_max_ns
    FROM unnest(%(raw_starts)s::timestamptz[], %(raw_ends)s::timestamptz[]) AS r (range_start, range_end)
    JOIN tidegauge.traces t
        ON t.start_time >= r.range_start AND t.start_time < r.range_end
        AND t.start_time >= %(raw_from)s::timestamptz AND t.start_time < %(raw_to)s::timestamptz
        AND t.tenant_id = %(tenant_id)s
        AND t.application_id = ANY (%(applications)s::integer[])
    WHERE t.kind = ANY (%(kinds)s::smallint[]) AND (%(operation)s::text IS NULL OR t.name = %(operation)s)
    GROUP BY 1, 2, 3, 4
),
totals AS (
    SELECT
        s.step, s.application_id, s.operation, s.count, s.errors, s.duration_sum_ns, s.duration_min_ns, s.duration_max_ns
    FROM spans s
    UNION ALL
    SELECT
        width_bucket(t.bucket, %(edges)s::timestamptz[]), t.application_id, CASE WHEN %(by_operation)s THEN t.name END, t.count, t.errors,
        t.duration_sum_ns, t.duration_min_ns, t.duration_max_ns
    FROM (
        -- include: totals_of tier=minutely
        UNION ALL
        -- include: totals_of tier=hourly
        UNION ALL
        -- include: totals_of tier=daily
    ) t
    WHERE t.kind = ANY (%(kinds)s::smallint[]) AND (%(operation)s::text IS NULL OR t.name = %(operation)s)
),
durations AS (
    SELECT s.step, s.application_id, s.operation, s.duration_bucket, s.count
    FROM spans s
    UNION ALL
    SELECT
        width_bucket(t.bucket, %(edges)s::timestamptz[]), t.application_id, CASE WHEN %(by_operation)s THEN t.name END, t.duration_bucket,
        t.count
    FROM (
        -- include: durations_of tier=minutely
        UNION ALL
        -- include: durations_of tier=hourly
        UNION ALL
        -- include: durations_of tier=daily
    ) t
    WHERE t.kind = ANY (%(kinds)s::smallint[]) AND (%(operation)s::text IS NULL OR t.name = %(operation)s)
),
by_bucket AS (
    SELECT d.step, a.name AS service, d.operation, d.duration_bucket, sum(d.count)::bigint AS count
    FROM durations d JOIN tidegauge.applications a ON a.application_id = d.application_id
    GROUP BY 1, 2, 3, 4
),
packed AS (
    SELECT
        b.step, b.service, b.operation, array_agg(b.duration_bucket ORDER BY b.duration_bucket) AS buckets,
        array_agg(b.count ORDER BY b.duration_bucket) AS counts
    FROM by_bucket b
    GROUP BY 1, 2, 3
),
summed AS (
    SELECT
        t.step, a.name AS service, t.operation, sum(t.count)::bigint AS count, sum(t.errors)::bigint AS errors,
        least(sum(t.duration_sum_ns), 9223372036854775807)::bigint AS duration_sum_ns, min(t.duration_min_ns) AS duration_min_ns,
        max(t.duration_max_ns) AS duration_max_ns
    FROM totals t JOIN tidegauge.applications a ON a.application_id = t.application_id
    GROUP BY 1, 2, 3
)
SELECT
    s.step, s.service, s.operation, s.count, s.errors, s.duration_sum_ns, s.duration_min_ns, s.duration_max_ns,
    coalesce(p.buckets, '{}') AS buckets, coalesce(p.counts, '{}') AS counts
FROM summed s
LEFT JOIN packed p ON p.step = s.step AND p.service = s.service AND p.operation IS NOT DISTINCT FROM s.operation
ORDER BY s.step, s.service, s.operation
LIMIT %(limit)s;

-- name: applications
-- Ids of a service's applications, or of all.
SELECT a.application_id FROM tidegauge.applications a
WHERE a.tenant_id = %(tenant_id)s AND (%(service)s::text IS NULL OR a.name = %(service)s);

-- fragment: examples_of
    SELECT
        e.bucket, e.application_id, e.name, e.slowest_duration_ns, e.slowest_trace_id, e.slowest_span_id, e.slowest_start_time,
        e.slowest_status_code, e.error_trace_id, e.error_span_id, e.error_start_time, e.error_duration_ns, e.error_message
    FROM unnest(%(${tier}_starts)s::timestamptz[], %(${tier}_ends)s::timestamptz[]) AS r (range_start, range_end)
    JOIN tidegauge.trace_examples_${tier}_stored e
        ON e.bucket >= r.range_start AND e.bucket < r.range_end
        AND e.bucket >= %(${tier}_from)s::timestamptz AND e.bucket < %(${tier}_to)s::timestamptz
        AND e.application_id = ANY (%(applications)s::integer[])

-- name: examples
-- Of each operation and step the slowest span and the newest that failed, slowest first.
WITH part AS (
    -- include: examples_of tier=daily
    UNION ALL
    -- include: examples_of tier=hourly
    UNION ALL
    -- include: examples_of tier=minutely
    UNION ALL
    SELECT
        min(t.start_time), t.application_id, t.name, max(greatest(t.duration_ns, 0)), last(t.trace_id, t.duration_ns),
        last(t.span_id, t.duration_ns), last(t.start_time, t.duration_ns), last(t.status_code, t.duration_ns),
        last(t.trace_id, t.start_time) FILTER (WHERE t.status_code = 2), last(t.span_id, t.start_time) FILTER (WHERE t.status_code = 2),
        max(t.start_time) FILTER (WHERE t.status_code = 2),
        last(greatest(t.duration_ns, 0), t.start_time) FILTER (WHERE t.status_code = 2),
        last(t.status_message, t.start_time) FILTER (WHERE t.status_code = 2)
    FROM unnest(%(raw_starts)s::timestamptz[], %(raw_ends)s::timestamptz[]) AS r (range_start, range_end)
    JOIN tidegauge.traces t
        ON t.start_time >= r.range_start AND t.start_time < r.range_end
        AND t.start_time >= %(raw_from)s::timestamptz AND t.start_time < %(raw_to)s::timestamptz
        AND t.tenant_id = %(tenant_id)s
        AND t.application_id = ANY (%(applications)s::integer[])
    GROUP BY width_bucket(t.start_time, %(edges)s::timestamptz[]), t.application_id, t.name
),
numbered AS (
    SELECT width_bucket(p.bucket, %(edges)s::timestamptz[]) AS step, p.*
    FROM part p
    WHERE %(operation)s::text IS NULL OR p.name = %(operation)s
),
slowest AS (
    SELECT DISTINCT ON (n.step, n.application_id, n.name) n.*
    FROM numbered n
    ORDER BY n.step, n.application_id, n.name, n.slowest_duration_ns DESC, n.slowest_start_time DESC
),
failed AS (
    SELECT DISTINCT ON (n.step, n.application_id, n.name) n.*
    FROM numbered n
    WHERE n.error_start_time IS NOT NULL
    ORDER BY n.step, n.application_id, n.name, n.error_start_time DESC
)
SELECT
    s.step, a.name AS service, s.name AS operation, s.slowest_trace_id, s.slowest_span_id, s.slowest_duration_ns, s.slowest_status_code,
    (extract(epoch FROM s.slowest_start_time) * 1000000)::bigint AS slowest_start_us, f.error_trace_id, f.error_span_id,
    f.error_duration_ns, f.error_message, (extract(epoch FROM f.error_start_time) * 1000000)::bigint AS error_start_us
FROM slowest s
JOIN tidegauge.applications a ON a.application_id = s.application_id
LEFT JOIN failed f ON f.step = s.step AND f.application_id = s.application_id AND f.name = s.name
ORDER BY s.step, s.slowest_duration_ns DESC, a.name, s.name
LIMIT %(limit)s;
