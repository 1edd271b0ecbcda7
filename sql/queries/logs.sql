-- Log records. (request_digest, ordinal) is a record's id and tells records of the same time apart; where a resend was not recognised a
-- record stands twice, and whatever counts leaves out the second one.
--
-- `applications` are those of the service asked for. `text` is a tsquery. `attributes` are objects of which a record must contain one,
-- `present` keys it must have, `long` conditions on values of which a part is compared: [key, [values]]. `after…` is the last row of the page
-- before.

-- fragment: record
-- What a record is read as.
    (extract(epoch FROM l.timestamp) * 1000000)::bigint AS timestamp_us, l.timestamp_ns, l.time_source,
    (extract(epoch FROM l.observed_timestamp) * 1000000)::bigint AS observed_timestamp_us, l.observed_timestamp_ns,
    l.request_digest, l.ordinal, l.trace_id, l.span_id, l.flags, l.severity_number, l.severity_text, l.event_name, l.body,
    l.attributes, l.dropped_attributes_count, l.original, l.resource_id, l.scope_id

-- fragment: wanted
-- Which records match, but for their application.
    l.tenant_id = %(tenant_id)s
    AND l.timestamp >= %(start)s AND l.timestamp < %(end)s
    AND (%(text)s::text IS NULL OR l.search @@ %(text)s::text::tsquery)
    AND (%(min_severity)s::smallint IS NULL OR l.severity_number >= %(min_severity)s)
    AND (%(max_severity)s::smallint IS NULL OR l.severity_number <= %(max_severity)s)
    AND (%(trace_id)s::uuid IS NULL OR l.trace_id = %(trace_id)s)
    AND (%(span_id)s::bigint IS NULL OR l.span_id = %(span_id)s)
    AND (%(attributes)s::text[] IS NULL OR l.attributes @> ANY (%(attributes)s::text[]::jsonb[]))
    AND (%(present)s::text[] IS NULL OR l.attributes ?& %(present)s::text[])
    AND (
        %(correlation_id)s::text IS NULL
        OR l.attributes ?| %(correlation_keys)s::text[]
        AND EXISTS (
            SELECT FROM unnest(%(correlation_keys)s::text[]) AS k (key)
            WHERE jsonb_typeof(l.attributes -> k.key) = 'string' AND tidegauge.searched_part(l.attributes ->> k.key) = %(correlation_id)s
        )
    )
    AND (
        %(long)s::jsonb IS NULL
        OR NOT EXISTS (
            SELECT FROM jsonb_array_elements(%(long)s::jsonb) AS c (condition)
            WHERE jsonb_typeof(l.attributes -> (c.condition ->> 0)) IS DISTINCT FROM 'string'
                OR NOT (c.condition -> 1) ? tidegauge.searched_part(l.attributes ->> (c.condition ->> 0))
        )
    )

-- fragment: before
-- Behind the last row of a page that goes back in time.
    (
        %(after)s::timestamptz IS NULL
        OR (l.timestamp, l.timestamp_ns, l.request_digest, l.ordinal)
            < (%(after)s::timestamptz, %(after_ns)s::smallint, %(after_digest)s::uuid, %(after_ordinal)s::integer)
    )

-- fragment: after
-- Behind the last row of a page that goes forth in time.
    (
        %(after)s::timestamptz IS NULL
        OR (l.timestamp, l.timestamp_ns, l.request_digest, l.ordinal)
            > (%(after)s::timestamptz, %(after_ns)s::smallint, %(after_digest)s::uuid, %(after_ordinal)s::integer)
    )

-- name: applications_named
-- The applications of a service.
SELECT application_id FROM tidegauge.applications WHERE tenant_id = %(tenant_id)s AND name = %(service)s;

-- name: find_logs_desc
-- Records of all applications, newest first.
SELECT
    -- include: record
FROM tidegauge.logs l
WHERE
    -- include: wanted
    AND
    -- include: before
ORDER BY l.timestamp DESC, l.timestamp_ns DESC, l.request_digest DESC, l.ordinal DESC
LIMIT %(limit)s;

-- name: find_logs_asc
-- Records of all applications, oldest first.
SELECT
    -- include: record
FROM tidegauge.logs l
WHERE
    -- include: wanted
    AND
    -- include: after
ORDER BY l.timestamp, l.timestamp_ns, l.request_digest, l.ordinal
LIMIT %(limit)s;

-- name: find_service_logs_desc
-- Records of some applications, newest first. Each is searched by its own index and for no more than a page; what they found is merged.
SELECT f.*
FROM unnest(%(applications)s::integer[]) AS a (application_id) CROSS JOIN LATERAL (
    SELECT
    -- include: record
    FROM tidegauge.logs l
    WHERE l.application_id = a.application_id AND
    -- include: wanted
        AND
    -- include: before
    ORDER BY l.timestamp DESC, l.timestamp_ns DESC, l.request_digest DESC, l.ordinal DESC
    LIMIT %(limit)s
) f
ORDER BY f.timestamp_us DESC, f.timestamp_ns DESC, f.request_digest DESC, f.ordinal DESC
LIMIT %(limit)s;

-- name: find_service_logs_asc
-- Records of some applications, oldest first.
SELECT f.*
FROM unnest(%(applications)s::integer[]) AS a (application_id) CROSS JOIN LATERAL (
    SELECT
    -- include: record
    FROM tidegauge.logs l
    WHERE l.application_id = a.application_id AND
    -- include: wanted
        AND
    -- include: after
    ORDER BY l.timestamp, l.timestamp_ns, l.request_digest, l.ordinal
    LIMIT %(limit)s
) f
ORDER BY f.timestamp_us, f.timestamp_ns, f.request_digest, f.ordinal
LIMIT %(limit)s;

-- name: find_text_logs_nearby_desc
-- Records with some words, newest first, among so many that come first at all: where these are enough, no index of words is asked.
SELECT
    -- include: record
FROM (
    SELECT *
    FROM tidegauge.logs l
    WHERE l.tenant_id = %(tenant_id)s AND l.timestamp >= %(start)s AND l.timestamp < %(end)s
        AND (%(applications)s::integer[] IS NULL OR l.application_id = ANY (%(applications)s::integer[]))
        AND
    -- include: before
    ORDER BY l.timestamp DESC, l.timestamp_ns DESC, l.request_digest DESC, l.ordinal DESC
    LIMIT %(nearby)s
) l
WHERE
    -- include: wanted
ORDER BY l.timestamp DESC, l.timestamp_ns DESC, l.request_digest DESC, l.ordinal DESC
LIMIT %(limit)s;

-- name: find_text_logs_desc
-- Records with some words, newest first, found by them: no index has the order by this expression, which would be read to its end for a rare word.
SELECT
    -- include: record
FROM tidegauge.logs l
WHERE (%(applications)s::integer[] IS NULL OR l.application_id = ANY (%(applications)s::integer[])) AND
    -- include: wanted
    AND
    -- include: before
ORDER BY l.timestamp + INTERVAL '0' DESC, l.timestamp_ns DESC, l.request_digest DESC, l.ordinal DESC
LIMIT %(limit)s;

-- name: find_text_logs_nearby_asc
-- Records with some words, oldest first, among so many that come first at all: where these are enough, no index of words is asked.
SELECT
    -- include: record
FROM (
    SELECT *
    FROM tidegauge.logs l
    WHERE l.tenant_id = %(tenant_id)s AND l.timestamp >= %(start)s AND l.timestamp < %(end)s
        AND (%(applications)s::integer[] IS NULL OR l.application_id = ANY (%(applications)s::integer[]))
        AND
    -- include: after
    ORDER BY l.timestamp, l.timestamp_ns, l.request_digest, l.ordinal
    LIMIT %(nearby)s
) l
WHERE
    -- include: wanted
ORDER BY l.timestamp, l.timestamp_ns, l.request_digest, l.ordinal
LIMIT %(limit)s;

-- name: find_text_logs_asc
-- Records with some words, oldest first, found by them: no index has the order by this expression, which would be read to its end for a rare word.
SELECT
    -- include: record
FROM tidegauge.logs l
WHERE (%(applications)s::integer[] IS NULL OR l.application_id = ANY (%(applications)s::integer[])) AND
    -- include: wanted
    AND
    -- include: after
ORDER BY l.timestamp + INTERVAL '0', l.timestamp_ns, l.request_digest, l.ordinal
LIMIT %(limit)s;

-- name: log
-- A record by its id.
SELECT
    -- include: record
FROM tidegauge.logs l
WHERE l.request_digest = %(digest)s AND l.ordinal = %(ordinal)s AND l.tenant_id = %(tenant_id)s
LIMIT 1;

-- name: count_logs
-- Records by step and severity. Those from `once_from` on are younger than any resend that was not recognised.
SELECT (extract(epoch FROM r.step) * 1000000)::bigint AS step_us, r.severity_number, count(*) AS count
FROM (
    SELECT time_bucket(%(step)s, l.timestamp, 'epoch'::timestamptz) AS step, l.severity_number
    FROM tidegauge.logs l
    WHERE (%(applications)s::integer[] IS NULL OR l.application_id = ANY (%(applications)s::integer[])) AND l.timestamp >= %(once_from)s AND
    -- include: wanted
    UNION ALL
    SELECT time_bucket(%(step)s, d.timestamp, 'epoch'::timestamptz), d.severity_number
    FROM (
        SELECT DISTINCT l.timestamp, l.timestamp_ns, l.request_digest, l.ordinal, l.severity_number
        FROM tidegauge.logs l
        WHERE (%(applications)s::integer[] IS NULL OR l.application_id = ANY (%(applications)s::integer[]))
            AND l.timestamp < %(once_from)s AND
    -- include: wanted
    ) d
) r
GROUP BY r.step, r.severity_number
ORDER BY r.step, r.severity_number;

-- fragment: value
-- The value of a field or attribute; of services and scopes their ids.
    CASE %(field)s::text
        WHEN 'service' THEN l.application_id::text
        WHEN 'scope' THEN l.scope_id::text
        WHEN 'severity' THEN l.severity_number::text
        WHEN 'event_name' THEN l.event_name
        WHEN 'trace_id' THEN replace(l.trace_id::text, '-', '')
        ELSE
            CASE jsonb_typeof(l.attributes -> %(key)s)
                WHEN 'string' THEN tidegauge.searched_part(l.attributes ->> %(key)s)
                WHEN 'number' THEN l.attributes ->> %(key)s
                WHEN 'boolean' THEN l.attributes ->> %(key)s
            END
    END AS value

-- name: top_values
-- The most frequent values.
WITH counted AS (
    SELECT r.value, count(*) AS count
    FROM (
        SELECT
    -- include: value
        FROM tidegauge.logs l
        WHERE (%(applications)s::integer[] IS NULL OR l.application_id = ANY (%(applications)s::integer[]))
            AND l.timestamp >= %(once_from)s AND
    -- include: wanted
        UNION ALL
        SELECT d.value
        FROM (
            SELECT DISTINCT ON (l.timestamp, l.timestamp_ns, l.request_digest, l.ordinal)
    -- include: value
            FROM tidegauge.logs l
            WHERE (%(applications)s::integer[] IS NULL OR l.application_id = ANY (%(applications)s::integer[]))
                AND l.timestamp < %(once_from)s AND
    -- include: wanted
        ) d
    ) r
    GROUP BY r.value
)
SELECT coalesce(a.name, s.name, c.value) AS value, sum(c.count)::bigint AS count
FROM counted c
LEFT JOIN tidegauge.applications a ON %(field)s::text = 'service' AND a.application_id::text = c.value
LEFT JOIN tidegauge.scopes s ON %(field)s::text = 'scope' AND s.scope_id::text = c.value
GROUP BY 1
HAVING coalesce(a.name, s.name, c.value) <> ''
ORDER BY 2 DESC, coalesce(a.name, s.name, c.value) COLLATE "C"
LIMIT %(limit)s;

-- name: log_chunks
-- Where between two times there may be records.
SELECT range_start, range_end
FROM timescaledb_information.chunks
WHERE hypertable_schema = 'tidegauge' AND hypertable_name = 'logs' AND range_start < %(end)s AND range_end > %(start)s
ORDER BY range_start;

-- name: log_part
-- Where so many records of a range end.
SELECT l.timestamp
FROM tidegauge.logs l
WHERE l.timestamp >= %(start)s AND l.timestamp < %(end)s
ORDER BY l.timestamp
OFFSET %(records)s
LIMIT 1;

-- name: delete_without_limit
-- How many rows of the columnstore a transaction may turn back into rows.
SET LOCAL timescaledb.max_tuples_decompressed_per_dml_transaction = 0;

-- name: delete_logs
-- Deletes; how many records there were.
WITH gone AS (
    DELETE FROM tidegauge.logs l
    WHERE (%(applications)s::integer[] IS NULL OR l.application_id = ANY (%(applications)s::integer[])) AND
    -- include: wanted
    RETURNING l.request_digest, l.ordinal
)
SELECT count(DISTINCT (request_digest, ordinal)) FROM gone;
