-- Spans and traces. Ids are uuid and bigint (eight bytes, big-endian, signed); times are returned as whole microseconds since the Unix epoch.

-- name: trace
-- A trace's spans by start time, and how many there are; a span that was resent stands more than once, next to itself or not.
SELECT
    r.span_count, (r.span).trace_id, (r.span).span_id, (r.span).parent_span_id, (r.span).trace_state, (r.span).flags,
    coalesce((r.span).full_name, (r.span).name) AS name, (r.span).kind, (extract(epoch FROM (r.span).start_time) * 1000000)::bigint AS start_time_us,
    (r.span).start_time_ns, (r.span).duration_ns, (r.span).status_code, (r.span).status_message, (r.span).attributes,
    (r.span).dropped_attributes_count, (r.span).events, (r.span).dropped_events_count, (r.span).links, (r.span).dropped_links_count,
    (r.span).original, (r.span).resource_id, (r.span).scope_id
FROM tidegauge.read_trace(%(trace_id)s::uuid, %(tenant_id)s::smallint, %(limit)s::integer) r;

-- name: search_applications
-- What is searched.
SELECT application_id, name FROM tidegauge.applications
WHERE tenant_id = %(tenant_id)s AND (%(service)s::text IS NULL OR name = %(service)s);

-- name: search_resources
-- Resources whose attributes match, and whose they are.
SELECT resource_id, application_id FROM tidegauge.resources
WHERE tenant_id = %(tenant_id)s AND application_id = ANY (%(application_ids)s) AND attributes @@ %(path)s::text::jsonpath;

-- name: search_scopes
-- Scopes whose attributes match.
SELECT scope_id FROM tidegauge.scopes WHERE tenant_id = %(tenant_id)s AND attributes @@ %(path)s::text::jsonpath;

-- name: promoted_conditions
-- What columns of promoted attributes tell of conditions, each of them on a key and a JSON array of values: one that equals a value, or is a number and
-- no smaller, is so in the column as well. Not where a column cannot hold a value, nor where it holds not all numbers.
SELECT
    w.place::integer AS place, p.column_name, p.type, h.held,
    (extract(epoch FROM nullif(p.filled_from, '-infinity')) * 1000000)::bigint AS filled_from_us
FROM unnest(%(keys)s::text[], %(numeric)s::boolean[], %(values)s::text[]) WITH ORDINALITY AS w (key, is_numeric, values, place)
JOIN tidegauge.promoted_attributes p ON p.key = w.key AND p.is_active AND p.filled_from < 'infinity' AND (p.type = 'double' OR NOT w.is_numeric)
CROSS JOIN LATERAL (
    SELECT array_agg(DISTINCT v.held) AS held, bool_and(v.held IS NOT NULL) AS all_fit
    FROM (
        SELECT CASE p.type
            WHEN 'text' THEN tidegauge.promoted_text(e.value)
            WHEN 'bigint' THEN tidegauge.promoted_bigint(e.value)::text
            WHEN 'double' THEN tidegauge.promoted_double(e.value)::text
            WHEN 'boolean' THEN tidegauge.promoted_boolean(e.value)::text
        END AS held
        FROM jsonb_array_elements(w.values::jsonb) AS e (value)
    ) v
) h
WHERE h.all_fit
ORDER BY w.place;

-- name: find_spans
-- Spans that match, newest first, in pieces of time of one application each: each is read by its own index and for no more than a page.
-- start and end are the pieces' own, as constants: chunks outside are not even planned. before_* is the last row of the page before.
-- attributes are objects of which a span must contain one, present keys it must have; paths stand for all other conditions.
SELECT
    s.trace_id, s.span_id, s.parent_span_id, w.application_id, s.name, s.kind, s.status_code, s.status_message,
    (extract(epoch FROM s.start_time) * 1000000)::bigint AS start_time_us, s.start_time_ns, s.duration_ns
FROM unnest(%(application_ids)s::integer[], %(starts)s::timestamptz[], %(ends)s::timestamptz[]) AS w (application_id, start_time, end_time)
CROSS JOIN LATERAL (
    SELECT
        t.start_time, t.start_time_ns, t.trace_id, t.span_id, t.parent_span_id, coalesce(t.full_name, t.name) AS name, t.kind,
        t.status_code, t.status_message, t.duration_ns
    FROM tidegauge.traces t
    WHERE t.application_id = w.application_id AND t.tenant_id = %(tenant_id)s
        AND t.start_time >= %(start)s AND t.start_time < %(end)s AND t.start_time >= w.start_time AND t.start_time < w.end_time
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
        AND (%(resource_ids)s::integer[] IS NULL OR t.resource_id = ANY (%(resource_ids)s))
        AND (%(scope_ids)s::integer[] IS NULL OR t.scope_id = ANY (%(scope_ids)s))
        -- promoted: conditions on columns
        AND (%(attributes)s::text[] IS NULL OR t.attributes @> ANY (%(attributes)s::text[]::jsonb[]))
        AND (%(present)s::text[] IS NULL OR t.attributes ?& %(present)s::text[])
        AND (%(span_path)s::text IS NULL OR t.attributes @@ %(span_path)s::text::jsonpath)
        AND (%(event_path)s::text IS NULL OR t.events @? %(event_path)s::text::jsonpath)
        AND (%(link_path)s::text IS NULL OR t.links @? %(link_path)s::text::jsonpath)
        AND (
            %(text)s::text IS NULL
            OR strpos(lower(coalesce(t.full_name, t.name)), lower(%(text)s)) > 0
            OR strpos(lower(t.status_message), lower(%(text)s)) > 0
            OR t.events @? %(text_path)s::text::jsonpath
        )
    ORDER BY t.start_time DESC, t.start_time_ns DESC, t.trace_id DESC, t.span_id DESC
    LIMIT %(limit)s
) s
ORDER BY s.start_time DESC, s.start_time_ns DESC, s.trace_id DESC, s.span_id DESC
LIMIT %(limit)s;

-- name: slowest_spans
-- Spans that match, slowest first and then newest, in pieces as find_spans has them. What is faster than floor_ns is not wanted any more.
SELECT
    s.trace_id, s.span_id, s.parent_span_id, w.application_id, s.name, s.kind, s.status_code, s.status_message,
    (extract(epoch FROM s.start_time) * 1000000)::bigint AS start_time_us, s.start_time_ns, s.duration_ns
FROM unnest(%(application_ids)s::integer[], %(starts)s::timestamptz[], %(ends)s::timestamptz[]) AS w (application_id, start_time, end_time)
CROSS JOIN LATERAL (
    SELECT
        t.start_time, t.start_time_ns, t.trace_id, t.span_id, t.parent_span_id, coalesce(t.full_name, t.name) AS name, t.kind,
        t.status_code, t.status_message, t.duration_ns
    FROM tidegauge.traces t
    WHERE t.application_id = w.application_id AND t.tenant_id = %(tenant_id)s
        AND t.start_time >= %(start)s AND t.start_time < %(end)s AND t.start_time >= w.start_time AND t.start_time < w.end_time
        AND (
            %(before)s::timestamptz IS NULL
            OR (t.duration_ns, t.start_time, t.start_time_ns, t.trace_id, t.span_id) < (
                %(before_duration_ns)s::bigint, %(before)s::timestamptz, %(before_ns)s::smallint, %(before_trace_id)s::uuid,
                %(before_span_id)s::bigint
            )
        )
        AND (%(floor_ns)s::bigint IS NULL OR t.duration_ns >= %(floor_ns)s)
        AND (%(trace_ids)s::uuid[] IS NULL OR t.trace_id = ANY (%(trace_ids)s))
        AND (%(operation)s::text IS NULL OR (t.name IN (%(operation)s, '_other') AND coalesce(t.full_name, t.name) = %(operation)s))
        AND (%(kind)s::smallint IS NULL OR t.kind = %(kind)s)
        AND (%(status_code)s::smallint IS NULL OR t.status_code = %(status_code)s)
        AND (%(min_duration_ns)s::bigint IS NULL OR t.duration_ns >= %(min_duration_ns)s)
        AND (%(max_duration_ns)s::bigint IS NULL OR t.duration_ns <= %(max_duration_ns)s)
        AND (%(resource_ids)s::integer[] IS NULL OR t.resource_id = ANY (%(resource_ids)s))
        AND (%(scope_ids)s::integer[] IS NULL OR t.scope_id = ANY (%(scope_ids)s))
        -- promoted: conditions on columns
        AND (%(attributes)s::text[] IS NULL OR t.attributes @> ANY (%(attributes)s::text[]::jsonb[]))
        AND (%(present)s::text[] IS NULL OR t.attributes ?& %(present)s::text[])
        AND (%(span_path)s::text IS NULL OR t.attributes @@ %(span_path)s::text::jsonpath)
        AND (%(event_path)s::text IS NULL OR t.events @? %(event_path)s::text::jsonpath)
        AND (%(link_path)s::text IS NULL OR t.links @? %(link_path)s::text::jsonpath)
        AND (
            %(text)s::text IS NULL
            OR strpos(lower(coalesce(t.full_name, t.name)), lower(%(text)s)) > 0
            OR strpos(lower(t.status_message), lower(%(text)s)) > 0
            OR t.events @? %(text_path)s::text::jsonpath
        )
    ORDER BY t.duration_ns DESC, t.start_time DESC, t.start_time_ns DESC, t.trace_id DESC, t.span_id DESC
    LIMIT %(limit)s
) s
ORDER BY s.duration_ns DESC, s.start_time DESC, s.start_time_ns DESC, s.trace_id DESC, s.span_id DESC
LIMIT %(limit)s;

-- name: hourly_candidates
-- In which hours, by application, there may be spans that match, as far as the hourly rollup is made and true: the ranges given. How slow
-- they may be, and how many there are.
SELECT
    r.application_id, (extract(epoch FROM r.bucket) * 1000000)::bigint AS bucket_us, max(r.duration_max_ns) AS slowest_ns,
    sum(r.count)::bigint AS count
FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) AS w (start_time, end_time)
JOIN tidegauge.traces_hourly_stored r ON r.bucket >= w.start_time AND r.bucket < w.end_time
WHERE r.tenant_id = %(tenant_id)s AND r.bucket >= %(start)s AND r.bucket < %(end)s AND r.application_id = ANY (%(application_ids)s)
    AND (%(operation)s::text IS NULL OR r.name IN (%(operation)s, '_other'))
    AND (%(kind)s::smallint IS NULL OR r.kind = %(kind)s)
    AND (%(status_code)s::smallint IS NULL OR r.status_code = %(status_code)s)
    AND (%(min_duration_ns)s::bigint IS NULL OR r.duration_max_ns >= %(min_duration_ns)s)
    AND (%(max_duration_ns)s::bigint IS NULL OR r.duration_min_ns <= %(max_duration_ns)s)
GROUP BY r.application_id, r.bucket;

-- name: minutely_candidates
-- In which minutes, by application, there may be spans that match, as far as the minutely rollup is made and true: the ranges given. How slow
-- they may be, and how many there are.
SELECT
    r.application_id, (extract(epoch FROM r.bucket) * 1000000)::bigint AS bucket_us, max(r.duration_max_ns) AS slowest_ns,
    sum(r.count)::bigint AS count
FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) AS w (start_time, end_time)
JOIN tidegauge.traces_minutely_stored r ON r.bucket >= w.start_time AND r.bucket < w.end_time
WHERE r.tenant_id = %(tenant_id)s AND r.bucket >= %(start)s AND r.bucket < %(end)s AND r.application_id = ANY (%(application_ids)s)
    AND (%(operation)s::text IS NULL OR r.name IN (%(operation)s, '_other'))
    AND (%(kind)s::smallint IS NULL OR r.kind = %(kind)s)
    AND (%(status_code)s::smallint IS NULL OR r.status_code = %(status_code)s)
    AND (%(min_duration_ns)s::bigint IS NULL OR r.duration_max_ns >= %(min_duration_ns)s)
    AND (%(max_duration_ns)s::bigint IS NULL OR r.duration_min_ns <= %(max_duration_ns)s)
GROUP BY r.application_id, r.bucket;

-- name: snapshot
-- What is committed at this moment.
SELECT pg_current_snapshot()::text AS snapshot;

-- name: indexed_traces
-- The newest rows of the index of traces in a range: which traces there are. Rows of the same time may be cut off by the limit.
SELECT i.trace_id, (extract(epoch FROM i.start_time) * 1000000)::bigint AS start_time_us
FROM tidegauge.trace_index i
WHERE i.tenant_id = %(tenant_id)s AND i.start_time >= %(start)s AND i.start_time < %(end)s
    AND (%(errors)s::boolean IS DISTINCT FROM true OR i.error_count > 0)
ORDER BY i.start_time DESC
LIMIT %(limit)s;

-- name: trace_summaries
-- What the index knows of traces: their partial rows in the range, merged. key_us is when a trace began as far as was known in a snapshot.
-- A long range is looked through trace by trace: of each day in the columnstore one batch is read, where a short one reads them all at once.
SELECT
    m.*, r.name AS root_service,
    ARRAY(
        SELECT DISTINCT a.name FROM tidegauge.applications a
        WHERE a.application_id = ANY (string_to_array(m.all_application_ids, ',')::integer[]) ORDER BY a.name
    ) AS services
FROM (
    SELECT
        i.trace_id,
        (extract(epoch FROM min(i.start_time)) * 1000000)::bigint AS start_time_us,
        (extract(epoch FROM greatest(max(i.end_time), max(i.start_time))) * 1000000)::bigint AS end_time_us,
        (extract(epoch FROM coalesce(
            min(i.start_time) FILTER (
                WHERE i.written_by IS NULL OR pg_visible_in_snapshot(i.written_by::text::xid8, %(snapshot)s::text::pg_snapshot)
            ), min(i.start_time)
        )) * 1000000)::bigint AS key_us,
        sum(i.span_count)::bigint AS span_count,
        sum(i.error_count)::bigint AS error_count,
        string_agg(array_to_string(i.application_ids, ','), ',') AS all_application_ids,
        (array_agg(i.root_span_id ORDER BY i.start_time, i.root_span_id) FILTER (WHERE i.root_span_id IS NOT NULL))[1] AS root_span_id,
        (array_agg(i.root_application_id ORDER BY i.start_time, i.root_span_id) FILTER (WHERE i.root_span_id IS NOT NULL))[1] AS root_application_id,
        (array_agg(i.root_duration_ns ORDER BY i.start_time, i.root_span_id) FILTER (WHERE i.root_span_id IS NOT NULL))[1] AS root_duration_ns,
        (array_agg(i.root_name ORDER BY i.start_time, i.root_span_id) FILTER (WHERE i.root_span_id IS NOT NULL))[1] AS root_name
    FROM (
        SELECT t.* FROM tidegauge.trace_index t
        WHERE NOT %(is_long)s AND t.tenant_id = %(tenant_id)s AND t.trace_id = ANY (%(trace_ids)s::uuid[])
            AND t.start_time >= %(start)s AND t.start_time < %(end)s
        UNION ALL
        SELECT t.* FROM tidegauge.trace_parts(%(trace_ids)s::uuid[], %(tenant_id)s::smallint) t
        WHERE %(is_long)s AND t.start_time >= %(start)s AND t.start_time < %(end)s
    ) i
    GROUP BY i.trace_id
) m LEFT JOIN tidegauge.applications r ON r.application_id = m.root_application_id;

-- name: services
-- Names of services that begin so.
SELECT DISTINCT name FROM tidegauge.applications
WHERE tenant_id = %(tenant_id)s AND starts_with(name, %(prefix)s)
ORDER BY name
LIMIT %(limit)s;

-- name: operations
-- Names of spans that rollups tell apart.
SELECT a.name AS service, n.name, (extract(epoch FROM max(n.last_seen)) * 1000000)::bigint AS last_seen_us
FROM tidegauge.applications a JOIN tidegauge.span_names n ON n.application_id = a.application_id
WHERE a.tenant_id = %(tenant_id)s AND (%(service)s::text IS NULL OR a.name = %(service)s) AND starts_with(n.name, %(prefix)s)
GROUP BY a.name, n.name
ORDER BY a.name, n.name
LIMIT %(limit)s;
