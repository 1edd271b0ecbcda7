-- Percentiles: counts of durations and of histograms' observations by time. Times are whole microseconds since the Unix epoch.
--
-- Of rollups what is stored is read (<rollup>_stored): who asks knows how far that reaches. Numbers of duration buckets (int2) and counts
-- (int8) are returned as bytes, big-endian: arrays cost more on their way than all the rest.

-- name: services
-- Applications of a service, or all.
SELECT a.application_id, a.name
FROM tidegauge.applications a
WHERE a.tenant_id = %(tenant_id)s AND (%(service)s::text IS NULL OR a.name = %(service)s);

-- fragment: packed
-- Durations by bucket and application.
SELECT (extract(epoch FROM p.bucket) * 1000000)::bigint, p.application_id, NULL::text, NULL::smallint, p.duration_buckets, p.counts
FROM tidegauge.service_percentiles_${tier}_stored p
WHERE p.application_id = ANY (%(applications)s::integer[]) AND p.bucket >= %(start)s::timestamptz AND p.bucket < %(end)s::timestamptz
LIMIT %(limit)s;

-- fragment: packed_extremes
-- The shortest and longest duration by bucket and application.
SELECT
    (extract(epoch FROM p.bucket) * 1000000)::bigint, p.application_id, NULL::text, NULL::smallint, p.duration_min_ns, p.duration_max_ns
FROM tidegauge.service_totals_${tier}_stored p
WHERE p.application_id = ANY (%(applications)s::integer[]) AND p.bucket >= %(start)s::timestamptz AND p.bucket < %(end)s::timestamptz;

-- name: packed_minutely
-- include: packed tier=minutely

-- name: packed_extremes_minutely
-- include: packed_extremes tier=minutely

-- name: packed_hourly
-- include: packed tier=hourly

-- name: packed_extremes_hourly
-- include: packed_extremes tier=hourly

-- name: packed_daily
-- include: packed tier=daily

-- name: packed_extremes_daily
-- include: packed_extremes tier=daily

-- fragment: of_one
-- Durations by bucket of one application, with the shortest and the longest: of many they are looked up sooner than joined.
SELECT
    (extract(epoch FROM p.bucket) * 1000000)::bigint, p.application_id, NULL::text, NULL::smallint, p.duration_buckets, p.counts,
    t.duration_min_ns, t.duration_max_ns
FROM tidegauge.service_percentiles_${tier}_stored p
LEFT JOIN (
    SELECT s.application_id, s.bucket, s.duration_min_ns, s.duration_max_ns FROM tidegauge.service_totals_${tier}_stored s
    WHERE s.application_id = ANY (%(applications)s::integer[]) AND s.bucket >= %(start)s::timestamptz AND s.bucket < %(end)s::timestamptz
) t ON t.application_id = p.application_id AND t.bucket = p.bucket
WHERE p.application_id = ANY (%(applications)s::integer[]) AND p.bucket >= %(start)s::timestamptz AND p.bucket < %(end)s::timestamptz
LIMIT %(limit)s;

-- name: of_one_minutely
-- include: of_one tier=minutely

-- name: of_one_hourly
-- include: of_one tier=hourly

-- name: of_one_daily
-- include: of_one tier=daily

-- fragment: counted
-- Durations by bucket, and by application, operation and kind where they are to be told apart.
SELECT
    (extract(epoch FROM c.bucket) * 1000000)::bigint, c.application_id, c.name, c.kind,
    string_agg(int2send(c.duration_bucket::smallint), ''::bytea ORDER BY c.duration_bucket),
    string_agg(int8send(c.count), ''::bytea ORDER BY c.duration_bucket)
FROM (
    SELECT
        d.bucket, CASE WHEN %(by_service)s THEN d.application_id END AS application_id, CASE WHEN %(by_operation)s THEN d.name END AS name,
        CASE WHEN %(by_kind)s THEN d.kind END AS kind, d.duration_bucket, least(sum(d.count), 9223372036854775807)::bigint AS count
    FROM tidegauge.trace_durations_${tier}_stored d
    WHERE d.application_id = ANY (%(applications)s::integer[])
        AND d.bucket >= %(start)s::timestamptz AND d.bucket < %(end)s::timestamptz
        AND (%(operation)s::text IS NULL OR d.name = %(operation)s) AND (%(kind)s::smallint IS NULL OR d.kind = %(kind)s)
    GROUP BY 1, 2, 3, 4, 5
) c
GROUP BY c.bucket, c.application_id, c.name, c.kind
LIMIT %(limit)s;

-- fragment: counted_extremes
-- The shortest and longest duration likewise.
SELECT
    (extract(epoch FROM d.bucket) * 1000000)::bigint, CASE WHEN %(by_service)s THEN d.application_id END,
    CASE WHEN %(by_operation)s THEN d.name END, CASE WHEN %(by_kind)s THEN d.kind END, min(d.duration_min_ns), max(d.duration_max_ns)
FROM tidegauge.traces_${tier}_stored d
WHERE d.application_id = ANY (%(applications)s::integer[])
    AND d.bucket >= %(start)s::timestamptz AND d.bucket < %(end)s::timestamptz
    AND (%(operation)s::text IS NULL OR d.name = %(operation)s) AND (%(kind)s::smallint IS NULL OR d.kind = %(kind)s)
GROUP BY 1, 2, 3, 4;

-- name: counted_minutely
-- include: counted tier=minutely

-- name: counted_extremes_minutely
-- include: counted_extremes tier=minutely

-- name: counted_hourly
-- include: counted tier=hourly

-- name: counted_extremes_hourly
-- include: counted_extremes tier=hourly

-- name: counted_daily
-- include: counted tier=daily

-- name: counted_extremes_daily
-- include: counted_extremes tier=daily

-- name: spans
-- Durations from spans, by parts of `width` from `origin` on. A negative one counts as 0, in the bucket of 1 ns, as in the rollups.
SELECT
    (extract(epoch FROM c.bucket) * 1000000)::bigint, c.application_id, c.name, c.kind,
    string_agg(int2send(c.duration_bucket::smallint), ''::bytea ORDER BY c.duration_bucket),
    string_agg(int8send(c.count), ''::bytea ORDER BY c.duration_bucket), min(c.least), max(c.greatest)
FROM (
    SELECT
        time_bucket(%(width)s::interval, t.start_time, %(origin)s::timestamptz) AS bucket,
        CASE WHEN %(by_service)s THEN t.application_id END AS application_id, CASE WHEN %(by_operation)s THEN t.name END AS name,
        CASE WHEN %(by_kind)s THEN t.kind END AS kind,
        floor(ln(greatest(t.duration_ns, 1)::double precision) / ln(1.1::double precision))::integer AS duration_bucket,
        count(*) AS count, min(greatest(t.duration_ns, 0)) AS least, max(greatest(t.duration_ns, 0)) AS greatest
    FROM tidegauge.traces t
    WHERE t.application_id = ANY (%(applications)s::integer[])
        AND t.start_time >= %(start)s::timestamptz AND t.start_time < %(end)s::timestamptz
        AND (%(operation)s::text IS NULL OR t.name = %(operation)s) AND (%(kind)s::smallint IS NULL OR t.kind = %(kind)s)
        AND (%(status_code)s::smallint IS NULL OR t.status_code = %(status_code)s)
    GROUP BY 1, 2, 3, 4, 5
) c
GROUP BY c.bucket, c.application_id, c.name, c.kind
LIMIT %(limit)s;

-- fragment: explicit
-- Histograms with bounds of their own, by bucket, series and start time.
SELECT
    h.series_id, (extract(epoch FROM h.bucket) * 1000000)::bigint AS time_us,
    (extract(epoch FROM h.start_timestamp) * 1000000)::bigint AS start_us,
    h.count, h.first_count, h.last_count, h.min, h.max,
    h.bucket_counts, h.first_bucket_counts, h.last_bucket_counts
FROM tidegauge.metric_histograms_${tier}_stored h
WHERE h.series_id = ANY (%(series)s::bigint[]) AND h.bucket >= %(start)s::timestamptz AND h.bucket < %(end)s::timestamptz
LIMIT %(limit)s;

-- fragment: exponential
-- Exponential histograms by bucket, series and start time.
SELECT
    h.series_id, (extract(epoch FROM h.bucket) * 1000000)::bigint AS time_us,
    (extract(epoch FROM h.start_timestamp) * 1000000)::bigint AS start_us,
    h.count, h.first_count, h.last_count, h.min, h.max, h.zero_threshold, h.zero_count, h.first_zero_count, h.last_zero_count,
    h.positive, h.first_positive, h.last_positive, h.negative, h.first_negative, h.last_negative
FROM tidegauge.metric_exponentials_${tier}_stored h
WHERE h.series_id = ANY (%(series)s::bigint[]) AND h.bucket >= %(start)s::timestamptz AND h.bucket < %(end)s::timestamptz
LIMIT %(limit)s;

-- name: explicit_minutely
-- include: explicit tier=minutely

-- name: exponential_minutely
-- include: exponential tier=minutely

-- name: explicit_hourly
-- include: explicit tier=hourly

-- name: exponential_hourly
-- include: exponential tier=hourly

-- name: explicit_daily
-- include: explicit tier=daily

-- name: exponential_daily
-- include: exponential tier=daily

-- name: explicit_raw
-- The same from points, by parts of `width` from `origin` on; of a part that begins before `start`, `start`: what rises is followed by time, through
-- all tiers, and points at the end of a step come behind the buckets within it.
SELECT
    m.series_id,
    (
        extract(epoch FROM greatest(time_bucket(%(width)s::interval, m.timestamp, %(origin)s::timestamptz), %(start)s::timestamptz)) * 1000000
    )::bigint AS time_us,
    (extract(epoch FROM m.start_timestamp) * 1000000)::bigint AS start_us,
    least(sum(m.count), 9223372036854775807)::bigint AS count,
    first(m.count, m.timestamp) AS first_count,
    last(m.count, m.timestamp) AS last_count,
    min(m.min) FILTER (WHERE m.min <> 'NaN'::double precision) AS min,
    max(m.max) FILTER (WHERE m.max <> 'NaN'::double precision) AS max,
    tidegauge.sum_arrays(m.bucket_counts) FILTER (WHERE m.start_timestamp IS NULL) AS bucket_counts,
    first(m.bucket_counts, m.timestamp) AS first_bucket_counts,
    last(m.bucket_counts, m.timestamp) AS last_bucket_counts
FROM tidegauge.metric_histograms m
WHERE m.series_id = ANY (%(series)s::bigint[]) AND m.timestamp >= %(start)s::timestamptz AND m.timestamp < %(end)s::timestamptz
    AND m.scale IS NULL AND m.flags & 1 = 0 AND m.sum IS DISTINCT FROM 'NaN'::double precision
GROUP BY 1, 2, 3
LIMIT %(limit)s;

-- name: exponential_raw
-- The same of exponential ones.
SELECT
    m.series_id,
    (
        extract(epoch FROM greatest(time_bucket(%(width)s::interval, m.timestamp, %(origin)s::timestamptz), %(start)s::timestamptz)) * 1000000
    )::bigint AS time_us,
    (extract(epoch FROM m.start_timestamp) * 1000000)::bigint AS start_us,
    least(sum(m.count), 9223372036854775807)::bigint AS count,
    first(m.count, m.timestamp) AS first_count,
    last(m.count, m.timestamp) AS last_count,
    min(m.min) FILTER (WHERE m.min <> 'NaN'::double precision) AS min,
    max(m.max) FILTER (WHERE m.max <> 'NaN'::double precision) AS max,
    max(m.zero_threshold) FILTER (WHERE m.zero_threshold <> 'NaN'::double precision) AS zero_threshold,
    least(sum(m.zero_count) FILTER (WHERE m.start_timestamp IS NULL), 9223372036854775807)::bigint AS zero_count,
    first(m.zero_count, m.timestamp) AS first_zero_count,
    last(m.zero_count, m.timestamp) AS last_zero_count,
    tidegauge.sum_exponentials(tidegauge.exponential(m.scale, m.positive_offset, m.bucket_counts))
        FILTER (WHERE m.start_timestamp IS NULL) AS positive,
    first(tidegauge.exponential(m.scale, m.positive_offset, m.bucket_counts), m.timestamp) AS first_positive,
    last(tidegauge.exponential(m.scale, m.positive_offset, m.bucket_counts), m.timestamp) AS last_positive,
    tidegauge.sum_exponentials(tidegauge.exponential(m.scale, m.negative_offset, m.negative_bucket_counts))
        FILTER (WHERE m.start_timestamp IS NULL) AS negative,
    first(tidegauge.exponential(m.scale, m.negative_offset, m.negative_bucket_counts), m.timestamp) AS first_negative,
    last(tidegauge.exponential(m.scale, m.negative_offset, m.negative_bucket_counts), m.timestamp) AS last_negative
FROM tidegauge.metric_histograms m
WHERE m.series_id = ANY (%(series)s::bigint[]) AND m.timestamp >= %(start)s::timestamptz AND m.timestamp < %(end)s::timestamptz
    AND m.scale IS NOT NULL AND m.flags & 1 = 0 AND m.sum IS DISTINCT FROM 'NaN'::double precision
GROUP BY 1, 2, 3
LIMIT %(limit)s;
