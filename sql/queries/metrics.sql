-- Metrics. Times are returned as whole microseconds since the Unix epoch.
--
-- As in the rollups, points that record no value (flag bit 0) and NaN are left out, and what is added up counts as infinite beyond
-- ±1e290: PostgreSQL raises an error where a sum of floats overflows. avg() is not used because it adds up squares as well.

-- name: metrics
-- Metrics by name, with what describes them and the names of their labels. `name` is a LIKE pattern.
WITH found AS (
    SELECT s.metric_name, s.type, s.unit, s.temporality, s.is_monotonic, count(*) AS series_count, array_agg(DISTINCT a.name) AS services
    FROM tidegauge.series s JOIN tidegauge.applications a USING (application_id)
    WHERE s.tenant_id = %(tenant_id)s
        AND (%(name)s::text IS NULL OR s.metric_name LIKE %(name)s)
        AND (%(service)s::text IS NULL OR a.name = %(service)s)
    GROUP BY s.metric_name, s.type, s.unit, s.temporality, s.is_monotonic
    ORDER BY s.metric_name, s.type, s.unit, s.temporality, s.is_monotonic
    LIMIT %(limit)s
)
SELECT
    f.*,
    coalesce((
        SELECT d.description FROM tidegauge.metric_metadata d JOIN tidegauge.applications a USING (application_id)
        WHERE d.tenant_id = %(tenant_id)s AND d.metric_name = f.metric_name AND d.type = f.type AND d.unit = f.unit
            AND (%(service)s::text IS NULL OR a.name = %(service)s)
        ORDER BY d.description = '', d.updated_at DESC
        LIMIT 1
    ), '') AS description,
    ARRAY(
        SELECT DISTINCT k.label
        FROM tidegauge.series s JOIN tidegauge.applications a USING (application_id) CROSS JOIN LATERAL jsonb_object_keys(s.labels) AS k (label)
        WHERE s.tenant_id = %(tenant_id)s AND s.metric_name = f.metric_name AND s.type = f.type AND s.unit = f.unit
            AND s.temporality IS NOT DISTINCT FROM f.temporality AND s.is_monotonic IS NOT DISTINCT FROM f.is_monotonic
            AND (%(service)s::text IS NULL OR a.name = %(service)s)
        ORDER BY k.label
    ) AS label_names
FROM found f
ORDER BY f.metric_name, f.type, f.unit, f.temporality, f.is_monotonic;

-- name: series
-- Series of a metric that meet every matcher. A label is looked for among the service's names, the point's labels, the resource's attributes.
SELECT
    s.series_id, s.type, s.unit, s.temporality, s.is_monotonic, s.bounds,
    a.name AS service, a.namespace, a.environment,
    r.attributes ->> 'service.instance.id' AS instance,
    (SELECT jsonb_object_agg(l.key, l.value) FROM jsonb_each_text(s.labels) AS l) AS labels,
    ARRAY(
        SELECT coalesce(
            CASE g.name
                WHEN 'service.name' THEN a.name
                WHEN 'service.namespace' THEN a.namespace
                WHEN 'deployment.environment.name' THEN a.environment
            END,
            s.labels ->> g.name, r.attributes ->> g.name, ''
        )
        FROM unnest(%(group_by)s::text[]) WITH ORDINALITY AS g (name, place) ORDER BY g.place
    ) AS group_values
FROM tidegauge.series s
JOIN tidegauge.applications a ON a.application_id = s.application_id
JOIN tidegauge.resources r ON r.resource_id = s.resource_id
WHERE s.tenant_id = %(tenant_id)s AND s.metric_name = %(metric_name)s
    AND (%(service)s::text IS NULL OR a.name = %(service)s)
    AND (%(type)s::text IS NULL OR s.type = %(type)s)
    AND NOT EXISTS (
        SELECT FROM jsonb_to_recordset(%(matchers)s::jsonb) AS m (name text, operator text, value text)
        CROSS JOIN LATERAL (
            SELECT coalesce(
                CASE m.name
                    WHEN 'service.name' THEN a.name
                    WHEN 'service.namespace' THEN a.namespace
                    WHEN 'deployment.environment.name' THEN a.environment
                END,
                s.labels ->> m.name, r.attributes ->> m.name, ''
            ) AS value
        ) actual
        WHERE NOT CASE m.operator
            WHEN '=' THEN actual.value = m.value
            WHEN '!=' THEN actual.value <> m.value
            WHEN '=~' THEN actual.value ~ m.value
            WHEN '!~' THEN actual.value !~ m.value
        END
    )
ORDER BY s.series_id
LIMIT %(limit)s;

-- What follows reads whole buckets of the rollups and raw data at the edges, as planned. Each tier is read in up to so many neighbourhoods,
-- each a scan of its own whose plan looks at its chunks alone: <tier><n>_from to <tier><n>_to; where there are holes in it, of rollups within
-- <tier><n>_parts (starts and ends in turn), of raw data from raw<n>_starts to raw<n>_ends. Steps are of `step` from `start` on, or lie
-- between `edges`. Answers are one row a group, with the steps' starts and values as arrays.

-- fragment: step
-- In which step the time lies.
        CASE
            WHEN %(edges)s::timestamptz[] IS NULL THEN time_bucket(%(step)s::interval, p.${time}, %(start)s::timestamptz)
            ELSE (%(edges)s::timestamptz[])[width_bucket(p.${time}, %(edges)s::timestamptz[])]
        END AS step

-- fragment: number_buckets
    SELECT
        w.group_number, d.bucket AS near,
        least(greatest(d.bucket, d.start_timestamp), d.bucket + INTERVAL '1 ${unit}' - INTERVAL '1 microsecond') AS at,
        d.count, d.sum, d.min, d.max, d.first, d.last
    FROM wanted w
    JOIN tidegauge.metrics_${tier}_stored d ON d.series_id = w.series_id
    WHERE d.series_id = ANY (%(series)s::bigint[]) AND d.bucket >= %(${tier}${n}_from)s::timestamptz AND d.bucket < %(${tier}${n}_to)s::timestamptz
        AND (%(${tier}${n}_parts)s::timestamptz[] IS NULL OR width_bucket(d.bucket, %(${tier}${n}_parts)s::timestamptz[]) %% 2 = 1)

-- fragment: number_points
    SELECT w.group_number, m.timestamp, m.timestamp, 1::bigint,
        CASE WHEN abs(m.value) < 1e290 THEN m.value ELSE sign(m.value) * 'Infinity'::double precision END,
        m.value, m.value, m.value, m.value
    FROM unnest(%(raw${n}_starts)s::timestamptz[], %(raw${n}_ends)s::timestamptz[]) AS s (part_start, part_end)
    CROSS JOIN wanted w
    JOIN tidegauge.metrics m ON m.series_id = w.series_id
    WHERE m.series_id = ANY (%(series)s::bigint[])
        AND m.timestamp >= %(raw${n}_from)s::timestamptz AND m.timestamp < %(raw${n}_to)s::timestamptz
        AND m.timestamp >= s.part_start AND m.timestamp < s.part_end
        AND m.flags & 1 = 0 AND m.value IS NOT NULL AND m.value <> 'NaN'::double precision

-- fragment: numbers_begin
-- The points and buckets of numbers. Where a bucket holds several epochs each counts as being where it began.
WITH wanted AS (
    SELECT * FROM unnest(%(series)s::bigint[], %(groups)s::integer[]) AS w (series_id, group_number)
), part AS (

-- fragment: numbers_end
), p AS (
    SELECT
        p.*,
        -- include: step time=near
    FROM part p
)

-- fragment: number_parts
-- include: numbers_begin
    -- include: number_buckets tier=daily n=1 unit=day
    UNION ALL
    -- include: number_buckets tier=hourly n=1 unit=hour
    UNION ALL
    -- include: number_buckets tier=hourly n=2 unit=hour
    UNION ALL
    -- include: number_points n=1
    UNION ALL
    -- include: number_points n=2
    UNION ALL
    -- include: number_points n=3
-- include: numbers_end

-- fragment: stretch_parts
-- The same of one stretch: hours, then points. Parts that hold nothing cost as much to plan as the others.
-- include: numbers_begin
    -- include: number_buckets tier=hourly n=1 unit=hour
    UNION ALL
    -- include: number_points n=1
-- include: numbers_end

-- fragment: avg_answered
, answered AS (SELECT p.group_number, p.step, sum(p.sum) / sum(p.count::double precision) AS value FROM p GROUP BY 1, 2)

-- fragment: sum_answered
, answered AS (SELECT p.group_number, p.step, sum(p.sum) AS value FROM p GROUP BY 1, 2)

-- fragment: min_answered
, answered AS (SELECT p.group_number, p.step, min(p.min) AS value FROM p GROUP BY 1, 2)

-- fragment: max_answered
, answered AS (SELECT p.group_number, p.step, max(p.max) AS value FROM p GROUP BY 1, 2)

-- fragment: count_answered
, answered AS (SELECT p.group_number, p.step, sum(p.count::double precision) AS value FROM p GROUP BY 1, 2)

-- fragment: answer
SELECT a.group_number, array_agg(a.step) AS steps, array_agg(a.value) AS values
FROM (SELECT * FROM answered v WHERE v.value IS NOT NULL ORDER BY v.group_number, v.step LIMIT %(limit)s) a
GROUP BY a.group_number
ORDER BY a.group_number;

-- fragment: bounded_answer
SELECT
    a.group_number, array_agg(a.step) AS steps, array_agg(a.value) AS values,
    coalesce(sum(a.untold), 0)::bigint AS untold, coalesce(max(a.below), 0) AS below
FROM (SELECT * FROM answered v WHERE v.value IS NOT NULL ORDER BY v.group_number, v.step LIMIT %(limit)s) a
GROUP BY a.group_number
ORDER BY a.group_number;

-- name: number_avg
-- include: number_parts
-- include: avg_answered
-- include: answer

-- name: number_sum
-- include: number_parts
-- include: sum_answered
-- include: answer

-- name: number_min
-- include: number_parts
-- include: min_answered
-- include: answer

-- name: number_max
-- include: number_parts
-- include: max_answered
-- include: answer

-- name: number_count
-- include: number_parts
-- include: count_answered
-- include: answer

-- name: number_first
-- include: number_parts
, answered AS (SELECT p.group_number, p.step, first(p.first, p.at) AS value FROM p GROUP BY 1, 2)
-- include: answer

-- name: number_last
-- include: number_parts
, answered AS (SELECT p.group_number, p.step, last(p.last, p.at) AS value FROM p GROUP BY 1, 2)
-- include: answer

-- What follows is for gauges that are groups of their own, in steps that are a tier's buckets: nothing is put together, and a series' buckets
-- are read in the order of its index, from it alone where nothing was written of late. Should a gauge's points have had several start times
-- within a bucket, its steps stand more than once. A query tells no more than the value of a bucket. Steps (microseconds since 2000) and values
-- come as 8 bytes each, big-endian: arrays cost more on their way than all the rest. NULL steps are those of the row before.

-- fragment: each_gauge
SELECT w.group_number, CASE WHEN b.steps IS DISTINCT FROM lag(b.steps) OVER (ORDER BY w.group_number) THEN b.steps END AS steps, b.values
FROM unnest(%(series)s::bigint[], %(groups)s::integer[]) AS w (series_id, group_number)
CROSS JOIN LATERAL (
    SELECT string_agg(timestamptz_send(d.bucket), ''::bytea) AS steps, string_agg(float8send(d.value), ''::bytea) AS values
    FROM (

-- fragment: its_buckets
        FROM tidegauge.metrics_${tier}_stored d
        WHERE d.series_id = w.series_id AND d.bucket >= %(${tier}1_from)s::timestamptz AND d.bucket < %(${tier}1_to)s::timestamptz
            AND (%(${tier}1_parts)s::timestamptz[] IS NULL OR width_bucket(d.bucket, %(${tier}1_parts)s::timestamptz[]) %% 2 = 1)
        ORDER BY d.bucket
    ) d
) b
WHERE b.steps IS NOT NULL
ORDER BY w.group_number;

-- name: gauge_hourly_avg
-- include: each_gauge
        SELECT d.bucket, d.sum / d.count::double precision AS value
-- include: its_buckets tier=hourly

-- name: gauge_hourly_sum
-- include: each_gauge
        SELECT d.bucket, d.sum AS value
-- include: its_buckets tier=hourly

-- name: gauge_hourly_min
-- include: each_gauge
        SELECT d.bucket, d.min AS value
-- include: its_buckets tier=hourly

-- name: gauge_hourly_max
-- include: each_gauge
        SELECT d.bucket, d.max AS value
-- include: its_buckets tier=hourly

-- name: gauge_hourly_count
-- include: each_gauge
        SELECT d.bucket, d.count::double precision AS value
-- include: its_buckets tier=hourly

-- name: gauge_daily_avg
-- include: each_gauge
        SELECT d.bucket, d.sum / d.count::double precision AS value
-- include: its_buckets tier=daily

-- name: gauge_daily_sum
-- include: each_gauge
        SELECT d.bucket, d.sum AS value
-- include: its_buckets tier=daily

-- name: gauge_daily_min
-- include: each_gauge
        SELECT d.bucket, d.min AS value
-- include: its_buckets tier=daily

-- name: gauge_daily_max
-- include: each_gauge
        SELECT d.bucket, d.max AS value
-- include: its_buckets tier=daily

-- name: gauge_daily_count
-- include: each_gauge
        SELECT d.bucket, d.count::double precision AS value
-- include: its_buckets tier=daily

-- The end of such a range, where the tier is not made yet.

-- name: stretch_avg
-- include: stretch_parts
-- include: avg_answered
-- include: answer

-- name: stretch_sum
-- include: stretch_parts
-- include: sum_answered
-- include: answer

-- name: stretch_min
-- include: stretch_parts
-- include: min_answered
-- include: answer

-- name: stretch_max
-- include: stretch_parts
-- include: max_answered
-- include: answer

-- name: stretch_count
-- include: stretch_parts
-- include: count_answered
-- include: answer

-- fragment: rising_buckets
    SELECT
        w.*, d.bucket AS at, d.start_timestamp, d.count, d.sum,
        CASE WHEN abs(d.first) < 1e290 THEN d.first ELSE sign(d.first) * 'Infinity'::double precision END AS first,
        CASE WHEN abs(d.last) < 1e290 THEN d.last ELSE sign(d.last) * 'Infinity'::double precision END AS last,
        CASE WHEN abs(d.max) < 1e290 THEN d.max ELSE sign(d.max) * 'Infinity'::double precision END AS max,
        w.is_cumulative AND w.is_monotonic AND (d.start_timestamp IS NULL OR d.last < d.max OR d.min < d.first) AS is_untold
    FROM wanted w
    JOIN tidegauge.metrics_${tier}_stored d ON d.series_id = w.series_id
    WHERE d.series_id = ANY (%(series)s::bigint[]) AND d.bucket >= %(${tier}${n}_from)s::timestamptz AND d.bucket < %(${tier}${n}_to)s::timestamptz
        AND (%(${tier}${n}_parts)s::timestamptz[] IS NULL OR width_bucket(d.bucket, %(${tier}${n}_parts)s::timestamptz[]) %% 2 = 1)

-- fragment: rising_points
    SELECT w.*, m.timestamp, m.start_timestamp, 1::bigint, b.value, b.value, b.value, b.value, false
    FROM unnest(%(raw${n}_starts)s::timestamptz[], %(raw${n}_ends)s::timestamptz[]) AS s (part_start, part_end)
    CROSS JOIN wanted w
    JOIN tidegauge.metrics m ON m.series_id = w.series_id
    CROSS JOIN LATERAL (
        SELECT CASE WHEN abs(m.value) < 1e290 THEN m.value ELSE sign(m.value) * 'Infinity'::double precision END AS value
    ) b
    WHERE m.series_id = ANY (%(series)s::bigint[])
        AND m.timestamp >= %(raw${n}_from)s::timestamptz AND m.timestamp < %(raw${n}_to)s::timestamptz
        AND m.timestamp >= s.part_start AND m.timestamp < s.part_end
        AND m.flags & 1 = 0 AND m.value IS NOT NULL AND m.value <> 'NaN'::double precision

-- name: number_increase
-- What sums rose by, by group and step. A cumulative series counts from 0 at each start_timestamp; the first point of an epoch that
-- began before the scan tells nothing. Without start times a value below the one before is a reset: a bucket does not tell of all of them
-- (`untold` points), its rise is at least what is answered, and less than that by `below` at the most: no point adds more than its value.
WITH wanted AS (
    SELECT *
    FROM unnest(%(series)s::bigint[], %(groups)s::integer[], %(cumulative)s::boolean[], %(monotonic)s::boolean[])
        AS w (series_id, group_number, is_cumulative, is_monotonic)
), part AS (
    -- include: rising_buckets tier=daily n=1
    UNION ALL
    -- include: rising_buckets tier=hourly n=1
    UNION ALL
    -- include: rising_buckets tier=hourly n=2
    UNION ALL
    -- include: rising_points n=1
    UNION ALL
    -- include: rising_points n=2
    UNION ALL
    -- include: rising_points n=3
), chained AS (
    SELECT p.*, lag(p.last) OVER (PARTITION BY p.series_id, p.start_timestamp ORDER BY p.at) AS previous
    FROM part p
), risen AS (
    SELECT
        c.*,
        CASE
            WHEN NOT c.is_cumulative THEN c.sum
            WHEN c.previous IS NULL AND c.start_timestamp >= %(scan_start)s::timestamptz THEN
                CASE WHEN c.is_untold THEN c.first ELSE c.last END
            WHEN c.previous IS NULL THEN CASE WHEN c.count > 1 THEN CASE WHEN c.is_untold THEN 0 ELSE c.last - c.first END END
            WHEN c.is_monotonic AND c.first < c.previous THEN CASE WHEN c.is_untold THEN c.first ELSE c.last END
            ELSE CASE WHEN c.is_untold THEN c.first ELSE c.last END - c.previous
        END
        -- Within the bucket: a maximum above the last value tells of a reset.
        + CASE WHEN NOT c.is_untold THEN 0 WHEN c.last < c.max THEN c.max - c.first + c.last ELSE c.last - c.first END AS rise
    FROM chained c
    WHERE c.at >= %(start)s::timestamptz
), p AS (
    SELECT
        p.*,
        -- include: step time=at
    FROM risen p
    WHERE p.rise IS NOT NULL
), answered AS (
    SELECT
        p.group_number, p.step, sum(p.rise) AS value, sum(p.count) FILTER (WHERE p.is_untold) AS untold,
        sum(greatest(p.sum - p.rise, 0)) FILTER (WHERE p.is_untold) AS below
    FROM p
    GROUP BY 1, 2
)
-- include: bounded_answer

-- fragment: observed
-- What the observations of a point or bucket rose by, in which step.
, chained AS (
    SELECT
        p.*, lag(p.last_count) OVER epoch AS previous_count, lag(p.last_sum) OVER epoch AS previous_sum
    FROM part p
    WINDOW epoch AS (PARTITION BY p.series_id, p.start_timestamp ORDER BY p.at)
), risen AS (
    SELECT
        c.group_number, c.at, c.min, c.max, c.is_untold, c.points, c.count AS top_count, c.sum AS top_sum,
        CASE
            WHEN NOT c.is_cumulative THEN c.count
            WHEN c.previous_count IS NULL AND c.start_timestamp >= %(scan_start)s::timestamptz THEN c.last_count
            WHEN c.previous_count IS NULL THEN
                CASE WHEN c.points > 1 THEN c.last_count - CASE WHEN c.last_count < c.first_count THEN 0 ELSE c.first_count END END
            WHEN c.first_count < c.previous_count OR c.last_count < c.first_count THEN c.last_count
            ELSE c.last_count - c.previous_count
        END AS count,
        CASE
            WHEN NOT c.is_cumulative THEN c.sum
            WHEN c.previous_count IS NULL AND c.start_timestamp >= %(scan_start)s::timestamptz THEN c.last_sum
            WHEN c.previous_count IS NULL THEN
                CASE WHEN c.points > 1 THEN c.last_sum - CASE WHEN c.last_count < c.first_count THEN 0 ELSE coalesce(c.first_sum, 0) END END
            WHEN c.first_count < c.previous_count OR c.last_count < c.first_count THEN c.last_sum
            ELSE c.last_sum - coalesce(c.previous_sum, 0)
        END AS sum
    FROM chained c
    WHERE c.at >= %(start)s::timestamptz
), p AS (
    SELECT
        p.*,
        -- include: step time=at
    FROM risen p
)

-- fragment: histogram_buckets
    SELECT
        w.*, d.bucket AS at, d.start_timestamp, d.points, d.count, d.sum, d.min, d.max, d.first_count, d.last_count,
        CASE WHEN abs(d.first_sum) < 1e290 THEN d.first_sum ELSE sign(d.first_sum) * 'Infinity'::double precision END AS first_sum,
        CASE WHEN abs(d.last_sum) < 1e290 THEN d.last_sum ELSE sign(d.last_sum) * 'Infinity'::double precision END AS last_sum,
        w.is_cumulative AND (d.start_timestamp IS NULL OR d.last_count < d.first_count) AS is_untold
    FROM wanted w
    JOIN tidegauge.metric_histograms_${tier}_stored d ON d.series_id = w.series_id
    WHERE d.series_id = ANY (%(series)s::bigint[]) AND d.bucket >= %(${tier}${n}_from)s::timestamptz AND d.bucket < %(${tier}${n}_to)s::timestamptz
        AND (%(${tier}${n}_parts)s::timestamptz[] IS NULL OR width_bucket(d.bucket, %(${tier}${n}_parts)s::timestamptz[]) %% 2 = 1)

-- fragment: observations
-- Points of histograms or summaries, each of which tells of many.
    FROM unnest(%(raw${n}_starts)s::timestamptz[], %(raw${n}_ends)s::timestamptz[]) AS s (part_start, part_end)
    CROSS JOIN wanted w
    JOIN tidegauge.metric_${kind} m ON m.series_id = w.series_id
    CROSS JOIN LATERAL (
        SELECT CASE WHEN abs(m.sum) < 1e290 THEN m.sum ELSE sign(m.sum) * 'Infinity'::double precision END AS sum
    ) b
    WHERE m.series_id = ANY (%(series)s::bigint[])
        AND m.timestamp >= %(raw${n}_from)s::timestamptz AND m.timestamp < %(raw${n}_to)s::timestamptz
        AND m.timestamp >= s.part_start AND m.timestamp < s.part_end
        AND m.flags & 1 = 0 AND m.sum IS DISTINCT FROM 'NaN'::double precision

-- fragment: histogram_points
    SELECT w.*, m.timestamp, m.start_timestamp, 1::bigint, m.count, b.sum, nullif(m.min, 'NaN'), nullif(m.max, 'NaN'),
        m.count, m.count, b.sum, b.sum, false
    -- include: observations kind=histograms n=${n}

-- fragment: histogram_parts
-- Observations of histograms: what count and sum rose by (cumulative) or add up to (delta); see number_increase.
WITH wanted AS (
    SELECT *
    FROM unnest(%(series)s::bigint[], %(groups)s::integer[], %(cumulative)s::boolean[]) AS w (series_id, group_number, is_cumulative)
), part AS (
    -- include: histogram_buckets tier=daily n=1
    UNION ALL
    -- include: histogram_buckets tier=hourly n=1
    UNION ALL
    -- include: histogram_buckets tier=hourly n=2
    UNION ALL
    -- include: histogram_points n=1
    UNION ALL
    -- include: histogram_points n=2
    UNION ALL
    -- include: histogram_points n=3
)
-- include: observed

-- name: histogram_increase
-- include: histogram_parts
, answered AS (
    SELECT
        p.group_number, p.step, sum(p.count)::double precision AS value,
        sum(p.points) FILTER (WHERE p.is_untold) AS untold,
        sum(greatest(p.top_count - p.count, 0)) FILTER (WHERE p.is_untold)::double precision AS below
    FROM p
    GROUP BY 1, 2
)
-- include: bounded_answer

-- name: histogram_sum
-- include: histogram_parts
, answered AS (
    SELECT
        p.group_number, p.step, sum(p.sum) AS value,
        sum(p.points) FILTER (WHERE p.is_untold) AS untold,
        sum(greatest(p.top_sum - p.sum, 0)) FILTER (WHERE p.is_untold) AS below
    FROM p
    GROUP BY 1, 2
)
-- include: bounded_answer

-- name: histogram_avg
-- include: histogram_parts
, answered AS (
    SELECT
        p.group_number, p.step, sum(p.sum) / nullif(sum(p.count)::double precision, 0) AS value,
        sum(p.points) FILTER (WHERE p.is_untold) AS untold,
        CASE WHEN bool_or(p.is_untold) THEN 'Infinity'::double precision END AS below
    FROM p
    GROUP BY 1, 2
)
-- include: bounded_answer

-- name: histogram_min
-- include: histogram_parts
, answered AS (
    SELECT
        p.group_number, p.step, min(p.min) AS value,
        0 AS untold,
        0::double precision AS below
    FROM p
    GROUP BY 1, 2
)
-- include: bounded_answer

-- name: histogram_max
-- include: histogram_parts
, answered AS (
    SELECT
        p.group_number, p.step, max(p.max) AS value,
        0 AS untold,
        0::double precision AS below
    FROM p
    GROUP BY 1, 2
)
-- include: bounded_answer

-- fragment: summary_points
    SELECT w.*, m.timestamp AS at, m.start_timestamp, true AS is_cumulative, false AS is_untold, 1::bigint AS points, m.count, b.sum,
        NULL::double precision AS min, NULL::double precision AS max, m.count AS first_count, m.count AS last_count,
        b.sum AS first_sum, b.sum AS last_sum
    -- include: observations kind=summaries n=${n}

-- fragment: summary_parts
-- Observations of summaries, which are cumulative by definition and have no rollups; see number_increase.
WITH wanted AS (
    SELECT * FROM unnest(%(series)s::bigint[], %(groups)s::integer[]) AS w (series_id, group_number)
), part AS (
    -- include: summary_points n=1
    UNION ALL
    -- include: summary_points n=2
    UNION ALL
    -- include: summary_points n=3
)
-- include: observed

-- name: summary_increase
-- include: summary_parts
, answered AS (SELECT p.group_number, p.step, sum(p.count)::double precision AS value FROM p GROUP BY 1, 2)
-- include: answer

-- name: summary_sum
-- include: summary_parts
, answered AS (SELECT p.group_number, p.step, sum(p.sum) AS value FROM p GROUP BY 1, 2)
-- include: answer

-- name: summary_avg
-- include: summary_parts
, answered AS (SELECT p.group_number, p.step, sum(p.sum) / nullif(sum(p.count)::double precision, 0) AS value FROM p GROUP BY 1, 2)
-- include: answer

-- fragment: number_epochs
-- Buckets of gauges and sums; of a cumulative sum one row per start time.
SELECT
    series_id, (extract(epoch FROM bucket) * 1000000)::bigint AS bucket_us,
    (extract(epoch FROM start_timestamp) * 1000000)::bigint AS start_us, count, sum, min, max, first, last
FROM tidegauge.metrics_${tier}
WHERE series_id = ANY (%(series)s) AND bucket >= %(start)s::timestamptz AND bucket < %(end)s::timestamptz
ORDER BY series_id, bucket, start_timestamp
LIMIT %(limit)s;

-- name: number_epochs_hourly
-- include: number_epochs tier=hourly

-- name: number_epochs_daily
-- include: number_epochs tier=daily

-- fragment: histogram_epochs
-- Buckets of histograms; of a cumulative one a row per start time.
SELECT
    series_id, (extract(epoch FROM bucket) * 1000000)::bigint AS bucket_us,
    (extract(epoch FROM start_timestamp) * 1000000)::bigint AS start_us, count, sum, min, max,
    first_count, last_count, first_sum, last_sum, bucket_counts, first_bucket_counts, last_bucket_counts
FROM tidegauge.metric_histograms_${tier}
WHERE series_id = ANY (%(series)s) AND bucket >= %(start)s::timestamptz AND bucket < %(end)s::timestamptz
ORDER BY series_id, bucket, start_timestamp
LIMIT %(limit)s;

-- name: histogram_epochs_hourly
-- include: histogram_epochs tier=hourly

-- name: histogram_epochs_daily
-- include: histogram_epochs tier=daily
