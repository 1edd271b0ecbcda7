-- Spans and traces. Ids are uuid and bigint (eight bytes, big-endian, signed); times are returned as whole microseconds since the Unix epoch.

-- name: trace_bounds
-- Where a trace lies, so that only those chunks of spans are read; nulls where there is none.
SELECT min(start_time) AS start_time, max(end_time) AS end_time, sum(span_count)::bigint AS span_count
FROM tidegauge.trace_index
WHERE trace_id = %(trace_id)s AND tenant_id = %(tenant_id)s;

-- name: trace_spans
-- A trace's spans by start time; a span that was resent stands more than once, next to itself or not.
SELECT
    trace_id, span_id, parent_span_id, trace_state, flags, name, kind,
    (extract(epoch FROM start_time) * 1000000)::bigint AS start_time_us, start_time_ns, duration_ns,
    status_code, status_message, attributes, dropped_attributes_count, events, dropped_events_count, links, dropped_links_count,
    original, resource_id, scope_id
FROM tidegauge.traces
WHERE trace_id = %(trace_id)s AND tenant_id = %(tenant_id)s AND start_time BETWEEN %(start)s AND %(end)s
ORDER BY start_time, start_time_ns, span_id, duration_ns DESC
LIMIT %(limit)s;
