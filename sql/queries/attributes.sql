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
    %(hashes)s::bytea[], %(slots)s::bigint[], %(results)s::integer[], %(conditions)s::integer[]
);

-- name: take_pieces
-- Takes pieces of applications' days (UTC): all of a day that are enough for a block or that is over, and what is small where there are many.
-- What another session takes at this moment is left to it.
WITH days AS (
    SELECT d.*, sum(d.weight) OVER (ORDER BY d.weight DESC, d.tenant_id, d.application_id, d.day) - d.weight AS before
    FROM (
        SELECT
            g.*, g.spans >= %(block_spans)s OR g.is_closed AS is_whole,
            CASE WHEN g.spans >= %(block_spans)s OR g.is_closed THEN g.spans ELSE g.small_spans END AS weight
        FROM (
            SELECT
                p.tenant_id, p.application_id, date_bin(INTERVAL '1 day', p.start_time, TIMESTAMPTZ '2000-01-01 00:00:00+00') AS day,
                sum(p.span_count) AS spans, sum(p.span_count) FILTER (WHERE p.span_count < %(small_spans)s) AS small_spans,
                count(*) FILTER (WHERE p.span_count < %(small_spans)s) AS small_pieces,
                date_bin(INTERVAL '1 day', min(p.start_time), TIMESTAMPTZ '2000-01-01 00:00:00+00') < now() - INTERVAL '25 hours 10 minutes'
                AND (max(p.stored_at) < now() - %(grace)s::interval OR min(p.stored_at) < now() - INTERVAL '2 hours') AS is_closed
            FROM tidegauge.attribute_pieces p
            GROUP BY 1, 2, 3
        ) g
        WHERE g.spans >= %(block_spans)s OR g.is_closed OR g.small_pieces >= %(most_pieces)s
    ) d
), placed AS (
    SELECT
        p.ctid AS place, d.day, d.is_closed,
        row_number() OVER w AS number, sum(p.span_count) OVER w - p.span_count AS before
    FROM tidegauge.attribute_pieces p
    JOIN days d ON d.tenant_id = p.tenant_id AND d.application_id = p.application_id
        AND p.start_time >= d.day AND p.start_time < d.day + INTERVAL '1 day'
    WHERE (d.is_whole OR p.span_count < %(small_spans)s) AND (d.before = 0 OR d.before + d.weight <= %(spans)s)
    WINDOW w AS (ORDER BY d.before, d.tenant_id, d.application_id, d.day, p.start_time, p.ctid)
), taken AS (
    SELECT p.ctid AS place, c.day, c.is_closed
    FROM tidegauge.attribute_pieces p
    JOIN placed c ON c.place = p.ctid
    WHERE c.number <= %(pieces)s AND c.before < %(spans)s
    FOR UPDATE OF p SKIP LOCKED
)
DELETE FROM tidegauge.attribute_pieces d USING taken t
WHERE d.ctid = t.place
RETURNING d.tenant_id, d.application_id, t.day, d.start_time, d.end_time, d.stored_at, d.span_count, d.hashes, t.is_closed;

-- name: pieces_bytes
SELECT pg_total_relation_size('tidegauge.attribute_pieces') AS bytes;

-- name: vacuum_pieces
-- Nothing where another session does it.
VACUUM (SKIP_LOCKED, TRUNCATE) tidegauge.attribute_pieces;

-- name: put_pieces
INSERT INTO tidegauge.attribute_pieces (start_time, end_time, stored_at, application_id, span_count, tenant_id, hashes)
SELECT * FROM unnest(
    %(start_time)s::timestamptz[], %(end_time)s::timestamptz[], %(stored_at)s::timestamptz[], %(application_id)s::integer[],
    %(span_count)s::integer[], %(tenant_id)s::smallint[], %(hashes)b::bytea[]
);

-- name: kindred_filters
-- Filters that may hold much of what a block has: bases that are the application's or the tenant's newest, and what the application's block
-- before has (in a backfill the one after). A base that is read here is not deleted before this transaction ends: see `delete_bases`.
WITH near AS MATERIALIZED (
    SELECT b.base_id, b.seed, b.filter
    FROM tidegauge.attribute_blocks b
    WHERE b.start_time > %(start_time)s::timestamptz - INTERVAL '8 days' AND b.start_time < %(start_time)s::timestamptz + INTERVAL '8 days'
        AND b.tenant_id = %(tenant_id)s AND b.application_id = %(application_id)s AND b.filter IS NOT NULL
    -- What is left over of a day is no example.
    ORDER BY b.span_count * 2 < %(span_count)s, abs(extract(epoch FROM b.start_time - %(start_time)s::timestamptz))
    LIMIT 1
), bases AS MATERIALIZED (
    SELECT a.base_id, a.hash_count, a.seed, a.filter, a.is_proven
    FROM tidegauge.attribute_bases a
    WHERE a.base_id IN (SELECT n.base_id FROM near n)
        OR a.base_id = ANY (ARRAY(
            SELECT o.base_id FROM tidegauge.attribute_bases o
            WHERE o.tenant_id = %(tenant_id)s AND o.application_id = %(application_id)s
            ORDER BY o.base_id DESC LIMIT 2
        ))
        OR a.base_id = ANY (ARRAY(
            SELECT o.base_id FROM tidegauge.attribute_bases o WHERE o.tenant_id = %(tenant_id)s ORDER BY o.base_id DESC LIMIT 2
        ))
    FOR KEY SHARE OF a SKIP LOCKED
)
SELECT
    b.base_id, b.hash_count, b.seed::integer AS seed, b.filter, b.is_proven,
    b.base_id IN (SELECT n.base_id FROM near n) IS TRUE AS is_previous
FROM bases b
UNION ALL
SELECT NULL, 0, n.seed::integer, n.filter, true, true FROM near n;

-- name: put_base
INSERT INTO tidegauge.attribute_bases (application_id, used_until, hash_count, tenant_id, seed, is_proven, filter)
VALUES (
    %(application_id)s, %(start_time)s, %(hash_count)s, %(tenant_id)s, %(seed)s, %(is_proven)s, %(filter)b
)
RETURNING base_id;

-- name: use_bases
-- By blocks that they were not made for. In the order of ids: sessions that use the same wait for one another, and none for ever.
UPDATE tidegauge.attribute_bases a
SET used_until = greatest(a.used_until, u.used_until), is_proven = true
FROM (
    SELECT o.base_id, w.used_until
    FROM tidegauge.attribute_bases o
    JOIN unnest(%(base_id)s::integer[], %(used_until)s::timestamptz[]) AS w (base_id, used_until) USING (base_id)
    ORDER BY o.base_id
    FOR NO KEY UPDATE OF o
) u
WHERE a.base_id = u.base_id;

-- name: delete_bases
-- Those whose blocks have all been dropped by retention. What a session holds that makes blocks now is left alone; of what such a session has
-- changed since this statement began, the row as it is now is asked for `used_until`.
DELETE FROM tidegauge.attribute_bases d
USING (
    SELECT a.base_id
    FROM tidegauge.attribute_bases a
    WHERE a.used_until < (SELECT l.dropped_through FROM tidegauge.lifecycle l WHERE l.relation = 'attribute_blocks')
    ORDER BY a.base_id
    LIMIT 100
    FOR UPDATE OF a SKIP LOCKED
) unused
WHERE d.base_id = unused.base_id
RETURNING octet_length(d.filter) AS bytes;

-- name: vacuum_bases
-- Nothing where another session does it.
VACUUM (SKIP_LOCKED) tidegauge.attribute_bases;

-- name: put_block
INSERT INTO tidegauge.attribute_blocks (start_time, end_time, application_id, span_count, base_id, tenant_id, seed, filter)
VALUES (
    %(start_time)s, %(end_time)s, %(application_id)s, %(span_count)s, %(base_id)s, %(tenant_id)s, %(seed)s, %(filter)b
);

-- name: backfill_window
-- The newest hour in which there are spans of before the index: its start, NULL where there are none, and `complete_from`, its end, NULL
-- where nothing is to be done. Not at once: a process of the version before may go on to write for some minutes.
SELECT
    CASE WHEN s.made_at < now() - INTERVAL '15 minutes' THEN nullif(s.complete_from, '-infinity') END AS complete_from,
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

-- name: sample_values
-- How many values the keys of an application have in its newest spans and resources; of the application that was looked at longest ago, an
-- hour at least. Returns it, or no row.
WITH due AS (
    SELECT k.application_id
    FROM tidegauge.attribute_keys k
    GROUP BY k.application_id
    HAVING min(k.sampled_at) < now() - INTERVAL '1 hour' AND max(k.last_seen) > max(k.sampled_at) - INTERVAL '1 hour'
    ORDER BY min(k.sampled_at), k.application_id
    LIMIT 1
), spans AS MATERIALIZED (
    SELECT t.attributes
    FROM tidegauge.traces t
    WHERE t.application_id = (SELECT application_id FROM due)
    ORDER BY t.start_time DESC
    LIMIT %(sample)s
), resources AS MATERIALIZED (
    SELECT r.attributes
    FROM tidegauge.resources r
    WHERE r.application_id = (SELECT application_id FROM due)
    ORDER BY r.last_seen DESC
    LIMIT %(sample)s
), counted AS (
    SELECT 'span' AS location, e.key, count(DISTINCT e.value) AS found, count(*) AS sampled
    FROM spans CROSS JOIN LATERAL jsonb_each(spans.attributes) AS e (key, value)
    GROUP BY e.key
    UNION ALL
    SELECT 'resource', e.key, count(DISTINCT e.value), count(*)
    FROM resources CROSS JOIN LATERAL jsonb_each(resources.attributes) AS e (key, value)
    GROUP BY e.key
)
UPDATE tidegauge.attribute_keys k
SET
    sampled_at = now(),
    value_count = coalesce((SELECT c.found FROM counted c WHERE c.location = k.location AND c.key = k.key), k.value_count),
    value_sample = coalesce((SELECT c.sampled FROM counted c WHERE c.location = k.location AND c.key = k.key), k.value_sample)
FROM due
WHERE k.application_id = due.application_id
RETURNING k.application_id;

-- name: forget_attribute_keys
-- Of what was not sent for as long as spans are kept.
DELETE FROM tidegauge.attribute_keys k
WHERE k.last_seen < now() - (SELECT l.retention FROM tidegauge.lifecycle l WHERE l.relation = 'traces') - INTERVAL '1 hour';

-- name: attribute_keys
-- Keys that begin with `prefix`, by key and by where they stand. `values` is the most that one application's sample had.
SELECT
    k.key, k.location, bit_or(k.types) AS types, count(*) AS applications,
    (extract(epoch FROM min(k.first_seen)) * 1000000)::bigint AS first_seen_us,
    (extract(epoch FROM max(k.last_seen)) * 1000000)::bigint AS last_seen_us,
    max(k.value_count) AS values, max(k.value_sample) AS sampled
FROM tidegauge.attribute_keys k
WHERE k.tenant_id = %(tenant_id)s AND starts_with(k.key, %(prefix)s)
    AND (%(location)s::text IS NULL OR k.location = %(location)s)
    AND (%(service)s::text IS NULL OR k.application_id IN (
        SELECT a.application_id FROM tidegauge.applications a WHERE a.tenant_id = %(tenant_id)s AND a.name = %(service)s
    ))
GROUP BY k.key, k.location
ORDER BY k.key, k.location
LIMIT %(limit)s;

-- name: applications_of
SELECT application_id FROM tidegauge.applications WHERE tenant_id = %(tenant_id)s AND (%(service)s::text IS NULL OR name = %(service)s);

-- fragment: counted
-- The most frequent values that begin with `prefix`, and of all how many there were.
SELECT c.value, c.count, c.sampled, c.found
FROM (
    SELECT v.value, count(*) AS count, sum(count(*)) OVER () AS sampled, count(*) OVER () AS found
    FROM sample v
    WHERE v.value IS NOT NULL AND starts_with(coalesce(v.value #>> '{}', ''), %(prefix)s)
    GROUP BY v.value
) c
ORDER BY c.count DESC, c.value
LIMIT %(limit)s

-- name: span_values
-- Of the newest spans with the key in these slices of time, so many of each at the most.
WITH sample AS MATERIALIZED (
    SELECT s.value
    FROM unnest(%(application_ids)s::integer[], %(starts)s::timestamptz[], %(ends)s::timestamptz[]) AS w (application_id, start_time, end_time)
    CROSS JOIN LATERAL (
        SELECT t.attributes -> %(key)s AS value
        FROM tidegauge.traces t
        WHERE t.application_id = w.application_id AND t.tenant_id = %(tenant_id)s
            AND t.start_time >= w.start_time AND t.start_time < w.end_time AND t.attributes ? %(key)s
        ORDER BY t.start_time DESC
        LIMIT %(each)s
    ) s
)
-- include: counted

-- name: event_values
-- The same of spans' events.
WITH sample AS MATERIALIZED (
    SELECT e.event -> 'attributes' -> %(key)s AS value
    FROM unnest(%(application_ids)s::integer[], %(starts)s::timestamptz[], %(ends)s::timestamptz[]) AS w (application_id, start_time, end_time)
    CROSS JOIN LATERAL (
        SELECT t.events
        FROM tidegauge.traces t
        WHERE t.application_id = w.application_id AND t.tenant_id = %(tenant_id)s
            AND t.start_time >= w.start_time AND t.start_time < w.end_time AND t.events IS NOT NULL
        ORDER BY t.start_time DESC
        LIMIT %(each)s
    ) s
    CROSS JOIN LATERAL jsonb_array_elements(s.events) AS e (event)
)
-- include: counted

-- name: resource_values
-- Of the resources seen last.
WITH sample AS MATERIALIZED (
    SELECT r.attributes -> %(key)s AS value
    FROM tidegauge.resources r
    WHERE r.tenant_id = %(tenant_id)s AND r.application_id = ANY (%(application_ids)s::integer[]) AND r.attributes ? %(key)s
    ORDER BY r.last_seen DESC
    LIMIT %(sample)s
)
-- include: counted

-- name: scope_values
-- Of the scopes seen last, whoever sent them.
WITH sample AS MATERIALIZED (
    SELECT s.attributes -> %(key)s AS value
    FROM tidegauge.scopes s
    WHERE s.tenant_id = %(tenant_id)s AND s.attributes ? %(key)s
    ORDER BY s.last_seen DESC
    LIMIT %(sample)s
)
-- include: counted
