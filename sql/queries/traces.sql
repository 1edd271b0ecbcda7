-- Spans and traces. Ids are uuid and bigint (eight bytes, big-endian, signed); times are returned as whole microseconds since the Unix epoch.

-- name: trace_bounds
-- Where a trace lies, so that only those chunks of spans are read; nulls where there is none.
SELECT min(start_time) AS start_time, max(end_time) AS end_time, sum(span_count)::bigint AS span_count
FROM tidegauge.trace_index
WHERE trace_id = %(trace_id)s AND tenant_id = %(tenant_id)s;

-- name: trace_spans
-- A trace's spans by start time; a span that was resent stands more than once, next to itself or not.
SELECT
    trace_id, span_id, parent_span_id, trace_state, flags, coalesce(full_name, name) AS name, kind,
    (extract(epoch FROM start_time) * 1000000)::bigint AS start_time_us, start_time_ns, duration_ns,
    status_code, status_message, attributes, dropped_attributes_count, events, dropped_events_count, links, dropped_links_count,
    original, resource_id, scope_id
FROM tidegauge.traces
WHERE trace_id = %(trace_id)s AND tenant_id = %(tenant_id)s AND start_time BETWEEN %(start)s AND %(end)s
ORDER BY start_time, start_time_ns, span_id, duration_ns DESC
LIMIT %(limit)s;

-- name: find_spans
-- Spans that match, newest first. Each application is searched by its own index and for no more than a page; what they found is merged.
-- `before_*` is the last row of the page before. `attributes` are objects of which a span must contain one, `present` keys it must have.
WITH wanted AS (
    SELECT application_id, name FROM tidegauge.applications
    WHERE tenant_id = %(tenant_id)s AND (%(service)s::text IS NULL OR name = %(service)s)
)
SELECT
    s.trace_id, s.span_id, s.parent_span_id, w.application_id, w.name AS service, s.name, s.kind, s.status_code, s.status_message,
    (extract(epoch FROM s.start_time) * 1000000)::bigint AS start_time_us, s.start_time_ns, s.duration_ns
FROM wanted w CROSS JOIN LATERAL (
    SELECT
        t.start_time, t.start_time_ns, t.trace_id, t.span_id, t.parent_span_id, coalesce(t.full_name, t.name) AS name, t.kind,
        t.status_code, t.status_message, t.duration_ns
    FROM tidegauge.traces t
    WHERE t.application_id = w.application_id AND t.tenant_id = %(tenant_id)s
        AND t.start_time >= %(start)s AND t.start_time < %(end)s
        AND (
            %(before)s::timestamptz IS NULL
            OR (t.start_time, t.start_time_ns, t.trace_id, t.span_id)
                < (%(before)s::timestamptz, %(before_ns)s::smallint, %(before_trace_id)s::uuid, %(before_span_id)s::bigint)
        )
        AND (%(operation)s::text IS NULL OR (t.name IN (%(operation)s, '_other') AND coalesce(t.full_name, t.name) = %(operation)s))
        AND (%(kind)s::smallint IS NULL OR t.kind = %(kind)s)
        AND (%(status_code)s::smallint IS NULL OR t.status_code = %(status_code)s)
        AND (%(min_duration_ns)s::bigint IS NULL OR t.duration_ns >= %(min_duration_ns)s)
        AND (%(max_duration_ns)s::bigint IS NULL OR t.duration_ns <= %(max_duration_ns)s)
        AND (%(attributes)s::text[] IS NULL OR t.attributes @> ANY (%(attributes)s::text[]::jsonb[]))
        AND (%(present)s::text[] IS NULL OR t.attributes ?& %(present)s::text[])
    ORDER BY t.start_time DESC, t.start_time_ns DESC, t.trace_id DESC, t.span_id DESC
    LIMIT %(limit)s
) s
ORDER BY s.start_time DESC, s.start_time_ns DESC, s.trace_id DESC, s.span_id DESC
LIMIT %(limit)s;

-- name: find_traces
-- Traces that began in the range, newest first: the index's partial rows merged. An hour on both sides of the range is read as well, so
-- that a trace that began before is left out and one that goes on behind it is whole.
WITH candidates AS (
    SELECT DISTINCT trace_id FROM tidegauge.trace_index
    WHERE tenant_id = %(tenant_id)s AND start_time >= %(start)s AND start_time < %(end)s
), merged AS (
    SELECT
        i.trace_id,
        min(i.start_time) AS start_time,
        greatest(max(i.end_time), max(i.start_time)) AS end_time,
        sum(i.span_count)::bigint AS span_count,
        sum(i.error_count)::bigint AS error_count,
        (array_agg(i.root_span_id ORDER BY i.start_time) FILTER (WHERE i.root_span_id IS NOT NULL))[1] AS root_span_id,
        (array_agg(i.root_application_id ORDER BY i.start_time) FILTER (WHERE i.root_span_id IS NOT NULL))[1] AS root_application_id,
        (array_agg(i.root_duration_ns ORDER BY i.start_time) FILTER (WHERE i.root_span_id IS NOT NULL))[1] AS root_duration_ns,
        (array_agg(i.root_name ORDER BY i.start_time) FILTER (WHERE i.root_span_id IS NOT NULL))[1] AS root_name
    FROM tidegauge.trace_index i
    WHERE i.tenant_id = %(tenant_id)s AND i.start_time >= %(start)s::timestamptz - INTERVAL '1 hour'
        AND i.start_time < %(end)s::timestamptz + INTERVAL '1 hour'
        AND i.trace_id IN (SELECT trace_id FROM candidates)
    GROUP BY i.trace_id
    HAVING min(i.start_time) >= %(start)s AND min(i.start_time) < %(end)s
        AND (%(before)s::timestamptz IS NULL OR (min(i.start_time), i.trace_id) < (%(before)s::timestamptz, %(before_trace_id)s::uuid))
        AND (%(errors)s::boolean IS NULL OR (sum(i.error_count) > 0) = %(errors)s)
        AND (%(min_duration_us)s::bigint IS NULL OR max(i.end_time) - min(i.start_time) >= %(min_duration_us)s * INTERVAL '1 microsecond')
        AND (%(max_duration_us)s::bigint IS NULL OR max(i.end_time) - min(i.start_time) <= %(max_duration_us)s * INTERVAL '1 microsecond')
        AND (
            %(service)s::text IS NULL
            OR bool_or(i.application_ids && ARRAY(
                SELECT a.application_id FROM tidegauge.applications a WHERE a.tenant_id = %(tenant_id)s AND a.name = %(service)s
            ))
        )
    ORDER BY min(i.start_time) DESC, i.trace_id DESC
    LIMIT %(limit)s
)
SELECT
    m.trace_id, m.span_count, m.error_count, m.root_span_id, m.root_duration_ns, m.root_name, r.name AS root_service,
    (extract(epoch FROM m.start_time) * 1000000)::bigint AS start_time_us,
    (extract(epoch FROM m.end_time) * 1000000)::bigint AS end_time_us,
    ARRAY(
        SELECT DISTINCT a.name
        FROM tidegauge.trace_index i CROSS JOIN LATERAL unnest(i.application_ids) AS u (application_id)
        JOIN tidegauge.applications a ON a.application_id = u.application_id
        WHERE i.trace_id = m.trace_id AND i.tenant_id = %(tenant_id)s AND i.start_time BETWEEN m.start_time AND m.end_time
        ORDER BY a.name
    ) AS services
FROM merged m LEFT JOIN tidegauge.applications r ON r.application_id = m.root_application_id
ORDER BY m.start_time DESC, m.trace_id DESC;
