-- What was rejected. Times are returned as whole microseconds since the Unix epoch.

-- name: record
-- Write rejections down. The first of a minute have rows of their own: `service_rows` of a service and `reason_rows` of a reason (of a
-- tenant and signal). What comes after is added up: one row a minute, reason, service and backend, and beyond twice `reason_rows` rows one
-- of all services, so that nothing that clients send makes more rows than this. No item goes uncounted. Two transactions at the same
-- moment do not see one another's rows: there may be a few more of their own.
WITH new AS (
    SELECT
        w.*,
        row_number() OVER (PARTITION BY w.tenant_id, w.signal, w.reason ORDER BY w.place) AS of_reason,
        row_number() OVER (PARTITION BY w.tenant_id, w.signal, w.reason, w.service ORDER BY w.place) AS of_service
    FROM unnest(
        %(tenant_id)s::smallint[], %(signal)s::smallint[], %(reason)s::text[], %(message)s::text[], %(items)s::bigint[],
        %(digest)s::uuid[], %(service)s::text[], %(sample_type)s::text[], %(sample)s::bytea[]
    ) WITH ORDINALITY AS w (tenant_id, signal, reason, message, items, digest, service, sample_type, sample, place)
), there AS (
    SELECT r.tenant_id, r.signal, r.reason, r.service, count(*) AS rows, count(r.writer) AS sums
    FROM tidegauge.ingest_rejections r
    WHERE r.rejected_at >= date_trunc('minute', now())
    GROUP BY r.tenant_id, r.signal, r.reason, r.service
), counted AS (
    SELECT
        n.*,
        n.of_reason + coalesce(
            (SELECT sum(t.rows) FROM there t WHERE (t.tenant_id, t.signal, t.reason) = (n.tenant_id, n.signal, n.reason)), 0
        ) AS reason_place,
        n.of_service + coalesce(s.rows, 0) AS service_place,
        coalesce(s.sums, 0) > 0 AS has_sum
    FROM new n
    LEFT JOIN there s ON (s.tenant_id, s.signal, s.reason, s.service) = (n.tenant_id, n.signal, n.reason, n.service)
), own AS (
    INSERT INTO tidegauge.ingest_rejections (tenant_id, signal, reason, message, items, digest, service, sample_type, sample)
    SELECT tenant_id, signal, reason, message, items, digest, service, sample_type, sample
    FROM counted
    WHERE service_place <= %(service_rows)s AND reason_place <= %(reason_rows)s
    ORDER BY place
), further AS (
    SELECT
        tenant_id, signal, reason, items,
        CASE WHEN has_sum OR reason_place <= 2 * %(reason_rows)s THEN service ELSE '' END AS service
    FROM counted
    WHERE NOT (service_place <= %(service_rows)s AND reason_place <= %(reason_rows)s)
)
INSERT INTO tidegauge.ingest_rejections AS r (rejected_at, tenant_id, signal, reason, message, items, service, writer)
SELECT
    date_trunc('minute', now()), tenant_id, signal, reason, 'further ones of this minute', least(sum(items), 9223372036854775807)::bigint,
    service, pg_backend_pid()
FROM further
GROUP BY tenant_id, signal, reason, service
ORDER BY tenant_id, signal, reason, service
ON CONFLICT (tenant_id, signal, reason, service, writer, rejected_at) DO UPDATE SET items = r.items + excluded.items;

-- name: find_rejections
-- Rejections that match, newest first. `before` and `before_id` are the last row of the page before.
SELECT
    rejection_id, (extract(epoch FROM rejected_at) * 1000000)::bigint AS rejected_at_us, signal, reason, message, items, service, digest,
    sample_type, sample
FROM tidegauge.ingest_rejections
WHERE tenant_id = %(tenant_id)s AND rejected_at >= %(start)s AND rejected_at < %(end)s
    AND (%(before)s::timestamptz IS NULL OR (rejected_at, rejection_id) < (%(before)s::timestamptz, %(before_id)s::uuid))
    AND (%(signal)s::smallint IS NULL OR signal = %(signal)s)
    AND (%(reason)s::text IS NULL OR reason = %(reason)s)
    AND (%(service)s::text IS NULL OR service = %(service)s)
ORDER BY rejected_at DESC, rejection_id DESC
LIMIT %(limit)s;

-- name: count_rejections
-- Items by signal and reason, most first, each with the services that lost most.
WITH by_service AS (
    SELECT
        signal, reason, service, sum(items) AS items, min(rejected_at) AS first_at, max(rejected_at) AS last_at,
        row_number() OVER (PARTITION BY signal, reason ORDER BY sum(items) DESC, service) AS place
    FROM tidegauge.ingest_rejections
    WHERE tenant_id = %(tenant_id)s AND rejected_at >= %(start)s AND rejected_at < %(end)s
        AND (%(signal)s::smallint IS NULL OR signal = %(signal)s)
        AND (%(reason)s::text IS NULL OR reason = %(reason)s)
        AND (%(service)s::text IS NULL OR service = %(service)s)
    GROUP BY signal, reason, service
)
SELECT
    signal, reason, least(sum(items), 9223372036854775807)::bigint AS items,
    (extract(epoch FROM min(first_at)) * 1000000)::bigint AS first_at_us,
    (extract(epoch FROM max(last_at)) * 1000000)::bigint AS last_at_us,
    array_agg(service ORDER BY place) FILTER (WHERE place <= %(services)s) AS services,
    array_agg(least(items, 9223372036854775807)::bigint ORDER BY place) FILTER (WHERE place <= %(services)s) AS service_items
FROM by_service
GROUP BY signal, reason
ORDER BY items DESC, signal, reason;
