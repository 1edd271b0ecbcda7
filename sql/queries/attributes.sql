-- The attribute index and the catalogue of attribute keys.

-- name: put_attribute_keys
-- Keys that are there are marked as seen. Returns the applications that have no room for all: of those the first fill what there is.
WITH wanted AS (
    SELECT * FROM unnest(
        %(tenant_id)s::smallint[], %(application_id)s::integer[], %(location)s::text[], %(key)s::text[], %(types)s::integer[]
    ) AS w (tenant_id, application_id, location, key, types)
), room AS (
    SELECT w.application_id, %(limit)s::integer - (
        SELECT count(*) FROM tidegauge.attribute_keys k WHERE k.application_id = w.application_id
    ) AS rows
    FROM (SELECT DISTINCT application_id FROM wanted) w
), placed AS (
    SELECT
        w.*, k.key IS NOT NULL AS is_there, r.rows,
        row_number() OVER (PARTITION BY w.application_id, k.key IS NOT NULL ORDER BY w.location, w.key) AS place
    FROM wanted w
    JOIN room r USING (application_id)
    LEFT JOIN tidegauge.attribute_keys k USING (application_id, location, key)
), put AS (
    INSERT INTO tidegauge.attribute_keys AS a (tenant_id, application_id, location, key, types)
    SELECT p.tenant_id, p.application_id, p.location, p.key, p.types
    FROM placed p
    WHERE p.is_there OR p.place <= p.rows
    ORDER BY p.application_id, p.location, p.key
    ON CONFLICT (application_id, location, key) DO UPDATE
    SET types = a.types | excluded.types, last_seen = greatest(a.last_seen, excluded.last_seen)
    WHERE a.types | excluded.types <> a.types OR a.last_seen < excluded.last_seen
)
SELECT DISTINCT p.application_id FROM placed p WHERE NOT p.is_there AND p.place > p.rows;

-- name: indexed_from
-- From which start time on every span is in a piece or a block.
SELECT nullif(
    greatest(s.complete_from, (SELECT l.dropped_through FROM tidegauge.lifecycle l WHERE l.relation = 'attribute_blocks')),
    '-infinity'
) AS indexed_from
FROM tidegauge.attribute_index_state s;

-- name: application_ids
SELECT application_id FROM tidegauge.applications WHERE tenant_id = %(tenant_id)s;

-- name: attribute_candidates
-- Times are whole microseconds since the Unix epoch; `end_us` is included.
SELECT
    application_id, (extract(epoch FROM start_time) * 1000000)::bigint AS start_us,
    (extract(epoch FROM end_time) * 1000000)::bigint AS end_us
FROM tidegauge.attribute_candidates(
    %(tenant_id)s::smallint, %(application_ids)s::integer[], %(start)s::timestamptz, %(end)s::timestamptz,
    %(hashes)s::bytea[], %(blocks)s::bigint[], %(bits)s::integer[], %(conditions)s::integer[]
);

-- name: take_pieces
-- Takes the pieces of some groups (an application and an hour) that are enough for a block, or whose hour is over, or that are many.
-- What another session takes at this moment is left to it.
WITH chosen AS (
    SELECT p.tenant_id, p.application_id, date_bin(INTERVAL '1 hour', p.start_time, TIMESTAMPTZ '2000-01-01 00:00:00+00') AS hour,
        sum(p.span_count) AS spans, count(*) AS pieces
    FROM tidegauge.attribute_pieces p
    GROUP BY 1, 2, 3
    HAVING sum(p.span_count) >= %(block_spans)s OR count(*) >= %(most_pieces)s
        OR (
            max(p.stored_at) < now() - %(grace)s::interval
            AND date_bin(INTERVAL '1 hour', min(p.start_time), TIMESTAMPTZ '2000-01-01 00:00:00+00') < now() - INTERVAL '70 minutes'
        )
        OR min(p.stored_at) < now() - INTERVAL '2 hours'
    ORDER BY sum(p.span_count) DESC
    LIMIT %(groups)s
), taken AS (
    SELECT p.ctid, c.hour
    FROM tidegauge.attribute_pieces p
    JOIN chosen c ON c.tenant_id = p.tenant_id AND c.application_id = p.application_id
        AND p.start_time >= c.hour AND p.start_time < c.hour + INTERVAL '1 hour'
    ORDER BY p.tenant_id, p.application_id, p.start_time
    LIMIT %(pieces)s
    FOR UPDATE OF p SKIP LOCKED
)
DELETE FROM tidegauge.attribute_pieces d USING taken t
WHERE d.ctid = t.ctid
RETURNING
    d.tenant_id, d.application_id, t.hour, d.start_time, d.end_time, d.stored_at, d.span_count, d.hashes,
    t.hour < now() - INTERVAL '70 minutes' OR d.stored_at < now() - INTERVAL '2 hours' AS is_closed;

-- name: put_pieces
INSERT INTO tidegauge.attribute_pieces (start_time, end_time, stored_at, application_id, span_count, tenant_id, hashes)
SELECT * FROM unnest(
    %(start_time)s::timestamptz[], %(end_time)s::timestamptz[], %(stored_at)s::timestamptz[], %(application_id)s::integer[],
    %(span_count)s::integer[], %(tenant_id)s::smallint[], %(hashes)s::bytea[]
);

-- name: put_blocks
INSERT INTO tidegauge.attribute_blocks (start_time, end_time, application_id, span_count, tenant_id, filter)
SELECT * FROM unnest(
    %(start_time)s::timestamptz[], %(end_time)s::timestamptz[], %(application_id)s::integer[], %(span_count)s::integer[],
    %(tenant_id)s::smallint[], %(filter)s::bytea[]
);

-- name: backfill_window
-- The newest hour in which there are spans of before the index: its start, NULL where there are none, and `complete_from`, its end, NULL
-- where nothing is to be done. Whoever has the row does it.
SELECT
    nullif(s.complete_from, '-infinity') AS complete_from,
    (
        SELECT date_bin(INTERVAL '1 hour', max(n.start_time), TIMESTAMPTZ '2000-01-01 00:00:00+00')
        FROM tidegauge.applications a
        CROSS JOIN LATERAL (
            SELECT t.start_time FROM tidegauge.traces t
            WHERE t.application_id = a.application_id AND t.start_time < s.complete_from
            ORDER BY t.start_time DESC LIMIT 1
        ) n
    ) AS start_time
FROM tidegauge.attribute_index_state s
FOR UPDATE OF s;

-- name: backfill_spans
SELECT
    tenant_id, application_id, (extract(epoch FROM start_time) * 1000000)::bigint AS start_us, attributes::text, events::text
FROM tidegauge.traces
WHERE start_time >= %(start)s::timestamptz AND start_time < %(end)s::timestamptz
ORDER BY application_id, start_time;

-- name: set_complete_from
UPDATE tidegauge.attribute_index_state SET complete_from = coalesce(%(complete_from)s::timestamptz, '-infinity');
