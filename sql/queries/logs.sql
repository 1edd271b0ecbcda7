-- Log records, newest first. (request_digest, ordinal) is a record's id and tells records of the same time apart.
-- `before_*` is the last row of the page before. `attributes` are objects of which a record must contain one, `present` keys it must have.

-- name: find_logs
-- Records of all applications.
SELECT
    (extract(epoch FROM l.timestamp) * 1000000)::bigint AS timestamp_us, l.timestamp_ns, l.time_source,
    (extract(epoch FROM l.observed_timestamp) * 1000000)::bigint AS observed_timestamp_us, l.observed_timestamp_ns,
    l.request_digest, l.ordinal, l.trace_id, l.span_id, l.flags, l.severity_number, l.severity_text, l.event_name, l.body,
    l.attributes, l.dropped_attributes_count, l.original, l.resource_id, l.scope_id
FROM tidegauge.logs l
WHERE l.tenant_id = %(tenant_id)s
    AND l.timestamp >= %(start)s AND l.timestamp < %(end)s
    AND (
        %(before)s::timestamptz IS NULL
        OR (l.timestamp, l.timestamp_ns, l.request_digest, l.ordinal)
            < (%(before)s::timestamptz, %(before_ns)s::smallint, %(before_digest)s::uuid, %(before_ordinal)s::integer)
    )
    AND (%(text)s::text IS NULL OR l.search @@ websearch_to_tsquery('pg_catalog.simple'::regconfig, %(text)s))
    AND (%(min_severity)s::smallint IS NULL OR l.severity_number >= %(min_severity)s)
    AND (%(max_severity)s::smallint IS NULL OR l.severity_number <= %(max_severity)s)
    AND (%(trace_id)s::uuid IS NULL OR l.trace_id = %(trace_id)s)
    AND (%(span_id)s::bigint IS NULL OR l.span_id = %(span_id)s)
    AND (%(attributes)s::text[] IS NULL OR l.attributes @> ANY (%(attributes)s::text[]::jsonb[]))
    AND (%(present)s::text[] IS NULL OR l.attributes ?& %(present)s::text[])
ORDER BY l.timestamp DESC, l.timestamp_ns DESC, l.request_digest DESC, l.ordinal DESC
LIMIT %(limit)s;

-- name: find_service_logs
-- Records of the applications of one name. Each is searched by its own index and for no more than a page; what they found is merged.
SELECT f.*
FROM tidegauge.applications a CROSS JOIN LATERAL (
    SELECT
        (extract(epoch FROM l.timestamp) * 1000000)::bigint AS timestamp_us, l.timestamp_ns, l.time_source,
        (extract(epoch FROM l.observed_timestamp) * 1000000)::bigint AS observed_timestamp_us, l.observed_timestamp_ns,
        l.request_digest, l.ordinal, l.trace_id, l.span_id, l.flags, l.severity_number, l.severity_text, l.event_name, l.body,
        l.attributes, l.dropped_attributes_count, l.original, l.resource_id, l.scope_id
    FROM tidegauge.logs l
    WHERE l.application_id = a.application_id AND l.tenant_id = %(tenant_id)s
        AND l.timestamp >= %(start)s AND l.timestamp < %(end)s
        AND (
            %(before)s::timestamptz IS NULL
            OR (l.timestamp, l.timestamp_ns, l.request_digest, l.ordinal)
                < (%(before)s::timestamptz, %(before_ns)s::smallint, %(before_digest)s::uuid, %(before_ordinal)s::integer)
        )
        AND (%(text)s::text IS NULL OR l.search @@ websearch_to_tsquery('pg_catalog.simple'::regconfig, %(text)s))
        AND (%(min_severity)s::smallint IS NULL OR l.severity_number >= %(min_severity)s)
        AND (%(max_severity)s::smallint IS NULL OR l.severity_number <= %(max_severity)s)
        AND (%(trace_id)s::uuid IS NULL OR l.trace_id = %(trace_id)s)
        AND (%(span_id)s::bigint IS NULL OR l.span_id = %(span_id)s)
        AND (%(attributes)s::text[] IS NULL OR l.attributes @> ANY (%(attributes)s::text[]::jsonb[]))
        AND (%(present)s::text[] IS NULL OR l.attributes ?& %(present)s::text[])
    ORDER BY l.timestamp DESC, l.timestamp_ns DESC, l.request_digest DESC, l.ordinal DESC
    LIMIT %(limit)s
) f
WHERE a.tenant_id = %(tenant_id)s AND a.name = %(service)s
ORDER BY f.timestamp_us DESC, f.timestamp_ns DESC, f.request_digest DESC, f.ordinal DESC
LIMIT %(limit)s;
