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

-- name: number_steps
-- Points of gauges and sums, aggregated by group and step. All points of a group's series count alike.
SELECT
    w.group_number,
    (extract(epoch FROM time_bucket(%(step)s::interval, m.timestamp, %(start)s::timestamptz)) * 1000000)::bigint AS time_us,
    CASE %(aggregation)s::text
        WHEN 'avg' THEN sum(CASE WHEN abs(m.value) < 1e290 THEN m.value ELSE sign(m.value) * 'Infinity'::double precision END) / count(*)
        WHEN 'sum' THEN sum(CASE WHEN abs(m.value) < 1e290 THEN m.value ELSE sign(m.value) * 'Infinity'::double precision END)
        WHEN 'min' THEN min(m.value)
        WHEN 'max' THEN max(m.value)
        WHEN 'count' THEN count(*)::double precision
        WHEN 'first' THEN first(m.value, m.timestamp)
        WHEN 'last' THEN last(m.value, m.timestamp)
    END AS value
FROM unnest(%(series)s::bigint[], %(groups)s::integer[]) AS w (series_id, group_number)
JOIN tidegauge.metrics m ON m.series_id = w.series_id
WHERE m.timestamp >= %(start)s::timestamptz AND m.timestamp < %(end)s::timestamptz
    AND m.flags & 1 = 0 AND m.value IS NOT NULL AND m.value <> 'NaN'::double precision
GROUP BY 1, 2
ORDER BY 1, 2
LIMIT %(limit)s;

-- name: sum_changes
-- What sums rose by, by group and step. A cumulative series counts from 0 at each start_timestamp; the first point of an epoch that
-- began before the scan tells nothing. Without start times a value below the one before is a reset.
WITH points AS (
    SELECT
        w.group_number, w.is_cumulative, w.is_monotonic, m.timestamp, m.start_timestamp, b.value,
        lag(b.value) OVER (PARTITION BY m.series_id, m.start_timestamp ORDER BY m.timestamp) AS previous
    FROM unnest(%(series)s::bigint[], %(groups)s::integer[], %(cumulative)s::boolean[], %(monotonic)s::boolean[])
        AS w (series_id, group_number, is_cumulative, is_monotonic)
    JOIN tidegauge.metrics m ON m.series_id = w.series_id
    CROSS JOIN LATERAL (SELECT CASE WHEN abs(m.value) < 1e290 THEN m.value ELSE sign(m.value) * 'Infinity'::double precision END AS value) b
    WHERE m.timestamp >= %(scan_start)s::timestamptz AND m.timestamp < %(end)s::timestamptz
        AND m.flags & 1 = 0 AND m.value IS NOT NULL AND m.value <> 'NaN'::double precision
), changes AS (
    SELECT
        group_number, timestamp,
        CASE
            WHEN NOT is_cumulative THEN value
            WHEN previous IS NULL THEN CASE WHEN start_timestamp >= %(scan_start)s::timestamptz THEN value END
            WHEN is_monotonic AND value < previous THEN value
            ELSE value - previous
        END AS change
    FROM points
    WHERE timestamp >= %(start)s::timestamptz
)
SELECT
    group_number,
    (extract(epoch FROM time_bucket(%(step)s::interval, timestamp, %(start)s::timestamptz)) * 1000000)::bigint AS time_us,
    sum(change) / %(divisor)s::double precision AS value
FROM changes
WHERE change IS NOT NULL
GROUP BY 1, 2
ORDER BY 1, 2
LIMIT %(limit)s;

-- name: histogram_steps
-- Observations of histograms by group and step: what count and sum rose by (cumulative) or add up to (delta).
WITH points AS (
    SELECT
        w.group_number, w.is_cumulative, m.timestamp, m.start_timestamp, m.count, b.sum, m.min, m.max,
        lag(m.count) OVER epoch AS previous_count,
        lag(b.sum) OVER epoch AS previous_sum
    FROM unnest(%(series)s::bigint[], %(groups)s::integer[], %(cumulative)s::boolean[]) AS w (series_id, group_number, is_cumulative)
    JOIN tidegauge.metric_histograms m ON m.series_id = w.series_id
    CROSS JOIN LATERAL (SELECT CASE WHEN abs(m.sum) < 1e290 THEN m.sum ELSE sign(m.sum) * 'Infinity'::double precision END AS sum) b
    WHERE m.timestamp >= %(scan_start)s::timestamptz AND m.timestamp < %(end)s::timestamptz
        AND m.flags & 1 = 0 AND m.sum IS DISTINCT FROM 'NaN'::double precision
    WINDOW epoch AS (PARTITION BY m.series_id, m.start_timestamp ORDER BY m.timestamp)
), observed AS (
    SELECT
        group_number, timestamp, nullif(min, 'NaN') AS min, nullif(max, 'NaN') AS max,
        CASE
            WHEN NOT is_cumulative THEN count
            WHEN previous_count IS NULL THEN CASE WHEN start_timestamp >= %(scan_start)s::timestamptz THEN count END
            WHEN count < previous_count THEN count
            ELSE count - previous_count
        END AS count,
        CASE
            WHEN NOT is_cumulative THEN sum
            WHEN previous_count IS NULL THEN CASE WHEN start_timestamp >= %(scan_start)s::timestamptz THEN sum END
            WHEN count < previous_count THEN sum
            ELSE sum - coalesce(previous_sum, 0)
        END AS sum
    FROM points
    WHERE timestamp >= %(start)s::timestamptz
), answered AS (
    SELECT
        group_number,
        (extract(epoch FROM time_bucket(%(step)s::interval, timestamp, %(start)s::timestamptz)) * 1000000)::bigint AS time_us,
        CASE %(aggregation)s::text
            WHEN 'count' THEN sum(count)::double precision
            WHEN 'increase' THEN sum(count)::double precision
            WHEN 'rate' THEN sum(count)::double precision / %(divisor)s::double precision
            WHEN 'sum' THEN sum(sum)
            WHEN 'avg' THEN sum(sum) / nullif(sum(count)::double precision, 0)
            WHEN 'min' THEN min(min)
            WHEN 'max' THEN max(max)
        END AS value
    FROM observed
    GROUP BY 1, 2
)
SELECT group_number, time_us, value FROM answered WHERE value IS NOT NULL ORDER BY 1, 2 LIMIT %(limit)s;

-- name: summary_steps
-- Observations of summaries, which are cumulative by definition; see histogram_steps.
WITH points AS (
    SELECT
        w.group_number, m.timestamp, m.start_timestamp, m.count, b.sum,
        lag(m.count) OVER epoch AS previous_count,
        lag(b.sum) OVER epoch AS previous_sum
    FROM unnest(%(series)s::bigint[], %(groups)s::integer[]) AS w (series_id, group_number)
    JOIN tidegauge.metric_summaries m ON m.series_id = w.series_id
    CROSS JOIN LATERAL (SELECT CASE WHEN abs(m.sum) < 1e290 THEN m.sum ELSE sign(m.sum) * 'Infinity'::double precision END AS sum) b
    WHERE m.timestamp >= %(scan_start)s::timestamptz AND m.timestamp < %(end)s::timestamptz
        AND m.flags & 1 = 0 AND m.sum IS DISTINCT FROM 'NaN'::double precision
    WINDOW epoch AS (PARTITION BY m.series_id, m.start_timestamp ORDER BY m.timestamp)
), observed AS (
    SELECT
        group_number, timestamp,
        CASE
            WHEN previous_count IS NULL THEN CASE WHEN start_timestamp >= %(scan_start)s::timestamptz THEN count END
            WHEN count < previous_count THEN count
            ELSE count - previous_count
        END AS count,
        CASE
            WHEN previous_count IS NULL THEN CASE WHEN start_timestamp >= %(scan_start)s::timestamptz THEN sum END
            WHEN count < previous_count THEN sum
            ELSE sum - coalesce(previous_sum, 0)
        END AS sum
    FROM points
    WHERE timestamp >= %(start)s::timestamptz
), answered AS (
    SELECT
        group_number,
        (extract(epoch FROM time_bucket(%(step)s::interval, timestamp, %(start)s::timestamptz)) * 1000000)::bigint AS time_us,
        CASE %(aggregation)s::text
            WHEN 'count' THEN sum(count)::double precision
            WHEN 'increase' THEN sum(count)::double precision
            WHEN 'rate' THEN sum(count)::double precision / %(divisor)s::double precision
            WHEN 'sum' THEN sum(sum)
            WHEN 'avg' THEN sum(sum) / nullif(sum(count)::double precision, 0)
        END AS value
    FROM observed
    GROUP BY 1, 2
)
SELECT group_number, time_us, value FROM answered WHERE value IS NOT NULL ORDER BY 1, 2 LIMIT %(limit)s;

-- name: number_epochs_hourly
-- Hours of gauges and sums; of a cumulative sum one row per start time.
SELECT
    series_id, (extract(epoch FROM bucket) * 1000000)::bigint AS bucket_us,
    (extract(epoch FROM start_timestamp) * 1000000)::bigint AS start_us, count, sum, min, max, first, last
FROM tidegauge.metrics_hourly
WHERE series_id = ANY (%(series)s) AND bucket >= %(start)s::timestamptz AND bucket < %(end)s::timestamptz
ORDER BY series_id, bucket, start_timestamp
LIMIT %(limit)s;

-- name: number_epochs_daily
-- Days of gauges and sums; of a cumulative sum one row per start time.
SELECT
    series_id, (extract(epoch FROM bucket) * 1000000)::bigint AS bucket_us,
    (extract(epoch FROM start_timestamp) * 1000000)::bigint AS start_us, count, sum, min, max, first, last
FROM tidegauge.metrics_daily
WHERE series_id = ANY (%(series)s) AND bucket >= %(start)s::timestamptz AND bucket < %(end)s::timestamptz
ORDER BY series_id, bucket, start_timestamp
LIMIT %(limit)s;

-- name: histogram_epochs_hourly
-- Hours of histograms; of a cumulative one a row per start time.
SELECT
    series_id, (extract(epoch FROM bucket) * 1000000)::bigint AS bucket_us,
    (extract(epoch FROM start_timestamp) * 1000000)::bigint AS start_us, count, sum, min, max,
    first_count, last_count, first_sum, last_sum, bucket_counts, first_bucket_counts, last_bucket_counts
FROM tidegauge.metric_histograms_hourly
WHERE series_id = ANY (%(series)s) AND bucket >= %(start)s::timestamptz AND bucket < %(end)s::timestamptz
ORDER BY series_id, bucket, start_timestamp
LIMIT %(limit)s;

-- name: histogram_epochs_daily
-- Days of histograms; of a cumulative one a row per start time.
SELECT
    series_id, (extract(epoch FROM bucket) * 1000000)::bigint AS bucket_us,
    (extract(epoch FROM start_timestamp) * 1000000)::bigint AS start_us, count, sum, min, max,
    first_count, last_count, first_sum, last_sum, bucket_counts, first_bucket_counts, last_bucket_counts
FROM tidegauge.metric_histograms_daily
WHERE series_id = ANY (%(series)s) AND bucket >= %(start)s::timestamptz AND bucket < %(end)s::timestamptz
ORDER BY series_id, bucket, start_timestamp
LIMIT %(limit)s;
