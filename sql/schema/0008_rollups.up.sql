-- Continuous aggregates. All are real-time (materialized_only = false): what is not materialised yet is computed when read.
--
-- Nothing that a client may send can stop a refresh, for it would stop for good: no ln(0), sums are kept from overflowing
-- (values beyond ±1e290 count as infinite, counts stop at the largest bigint), NaN is left out (it poisons min, max and sum).
-- Chunk intervals are those of the default lifecycle; policies set them again from the settings.

-- Element by element; an element missing on one side counts as 0, a NULL array as none. Stops at the largest bigint.
CREATE FUNCTION tidegauge.add_arrays(a bigint[], b bigint[]) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    total bigint[];
    shorter bigint[];
BEGIN
    IF b IS NULL THEN
        RETURN a;
    ELSIF a IS NULL THEN
        RETURN b;
    ELSIF cardinality(a) >= cardinality(b) THEN
        total := a;
        shorter := b;
    ELSE
        total := b;
        shorter := a;
    END IF;
    FOR i IN 1..cardinality(shorter) LOOP
        IF total[i] > 9223372036854775807 - greatest(shorter[i], 0) THEN
            total[i] := 9223372036854775807;
        ELSE
            total[i] := coalesce(total[i], 0) + greatest(coalesce(shorter[i], 0), 0);
        END IF;
    END LOOP;
    RETURN total;
END
$$;

CREATE AGGREGATE tidegauge.sum_arrays(bigint[]) (
    SFUNC = tidegauge.add_arrays, STYPE = bigint[], COMBINEFUNC = tidegauge.add_arrays, PARALLEL = SAFE
);

-- Number points. A cumulative sum has one row per epoch (start_timestamp), so that increases are exact across any number of resets.
CREATE MATERIALIZED VIEW tidegauge.metrics_hourly WITH (
    timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false,
    timescaledb.chunk_interval = '7 days'
) AS
SELECT
    time_bucket(INTERVAL '1 hour', m.timestamp) AS bucket,
    m.series_id,
    m.start_timestamp,
    count(*) AS count,
    sum(CASE WHEN abs(m.value) < 1e290 THEN m.value ELSE sign(m.value) * 'Infinity'::double precision END) AS sum,
    min(m.value) AS min,
    max(m.value) AS max,
    first(m.value, m.timestamp) AS first,
    last(m.value, m.timestamp) AS last
FROM tidegauge.metrics m
WHERE m.flags & 1 = 0 AND m.value IS NOT NULL AND m.value <> 'NaN'::double precision
GROUP BY time_bucket(INTERVAL '1 hour', m.timestamp), m.series_id, m.start_timestamp
WITH NO DATA;
CREATE INDEX metrics_hourly_series_bucket ON tidegauge.metrics_hourly (series_id, bucket DESC);

CREATE MATERIALIZED VIEW tidegauge.metrics_daily WITH (
    timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false,
    timescaledb.chunk_interval = '90 days'
) AS
SELECT
    time_bucket(INTERVAL '1 day', h.bucket) AS bucket,
    h.series_id,
    h.start_timestamp,
    least(sum(h.count), 9223372036854775807)::bigint AS count,
    sum(h.sum) AS sum,
    min(h.min) AS min,
    max(h.max) AS max,
    first(h.first, h.bucket) AS first,
    last(h.last, h.bucket) AS last
FROM tidegauge.metrics_hourly h
GROUP BY time_bucket(INTERVAL '1 day', h.bucket), h.series_id, h.start_timestamp
WITH NO DATA;
CREATE INDEX metrics_daily_series_bucket ON tidegauge.metrics_daily (series_id, bucket DESC);

-- Histograms. A delta's points add up (count, sum, bucket_counts); a cumulative one's do not: what it rose by is last - first.
-- Buckets of exponential histograms (scale is not NULL) are left out: scale and offsets move from point to point, so that their
-- arrays can be neither added nor subtracted by position; their count, sum, min and max are here, their buckets with the points.
CREATE MATERIALIZED VIEW tidegauge.metric_histograms_hourly WITH (
    timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false,
    timescaledb.chunk_interval = '7 days'
) AS
SELECT
    time_bucket(INTERVAL '1 hour', m.timestamp) AS bucket,
    m.series_id,
    m.start_timestamp,
    count(*) AS points,
    least(sum(m.count), 9223372036854775807)::bigint AS count,
    sum(CASE WHEN abs(m.sum) < 1e290 THEN m.sum ELSE sign(m.sum) * 'Infinity'::double precision END) AS sum,
    min(m.min) FILTER (WHERE m.min <> 'NaN'::double precision) AS min,
    max(m.max) FILTER (WHERE m.max <> 'NaN'::double precision) AS max,
    first(m.count, m.timestamp) AS first_count,
    last(m.count, m.timestamp) AS last_count,
    first(m.sum, m.timestamp) AS first_sum,
    last(m.sum, m.timestamp) AS last_sum,
    tidegauge.sum_arrays(m.bucket_counts) FILTER (WHERE m.scale IS NULL AND m.start_timestamp IS NULL) AS bucket_counts,
    first(m.bucket_counts, m.timestamp) FILTER (WHERE m.scale IS NULL) AS first_bucket_counts,
    last(m.bucket_counts, m.timestamp) FILTER (WHERE m.scale IS NULL) AS last_bucket_counts
FROM tidegauge.metric_histograms m
WHERE m.flags & 1 = 0 AND m.sum IS DISTINCT FROM 'NaN'::double precision
GROUP BY time_bucket(INTERVAL '1 hour', m.timestamp), m.series_id, m.start_timestamp
WITH NO DATA;
CREATE INDEX metric_histograms_hourly_series_bucket ON tidegauge.metric_histograms_hourly (series_id, bucket DESC);

CREATE MATERIALIZED VIEW tidegauge.metric_histograms_daily WITH (
    timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false,
    timescaledb.chunk_interval = '90 days'
) AS
SELECT
    time_bucket(INTERVAL '1 day', h.bucket) AS bucket,
    h.series_id,
    h.start_timestamp,
    least(sum(h.points), 9223372036854775807)::bigint AS points,
    least(sum(h.count), 9223372036854775807)::bigint AS count,
    sum(h.sum) AS sum,
    min(h.min) AS min,
    max(h.max) AS max,
    first(h.first_count, h.bucket) AS first_count,
    last(h.last_count, h.bucket) AS last_count,
    first(h.first_sum, h.bucket) AS first_sum,
    last(h.last_sum, h.bucket) AS last_sum,
    tidegauge.sum_arrays(h.bucket_counts) AS bucket_counts,
    first(h.first_bucket_counts, h.bucket) AS first_bucket_counts,
    last(h.last_bucket_counts, h.bucket) AS last_bucket_counts
FROM tidegauge.metric_histograms_hourly h
GROUP BY time_bucket(INTERVAL '1 day', h.bucket), h.series_id, h.start_timestamp
WITH NO DATA;
CREATE INDEX metric_histograms_daily_series_bucket ON tidegauge.metric_histograms_daily (series_id, bucket DESC);

-- Spans by operation. A negative duration (a sender whose clock ran backwards) counts as 0.
CREATE MATERIALIZED VIEW tidegauge.traces_minutely WITH (
    timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false,
    timescaledb.chunk_interval = '1 day'
) AS
SELECT
    time_bucket(INTERVAL '1 minute', t.start_time) AS bucket,
    t.tenant_id,
    t.application_id,
    t.name,
    t.kind,
    t.status_code,
    count(*) AS count,
    count(*) FILTER (WHERE t.status_code = 2) AS errors,
    least(sum(greatest(t.duration_ns, 0)), 9223372036854775807)::bigint AS duration_sum_ns,
    min(greatest(t.duration_ns, 0)) AS duration_min_ns,
    max(greatest(t.duration_ns, 0)) AS duration_max_ns
FROM tidegauge.traces t
GROUP BY time_bucket(INTERVAL '1 minute', t.start_time), t.tenant_id, t.application_id, t.name, t.kind, t.status_code
WITH NO DATA;
CREATE INDEX traces_minutely_application_bucket ON tidegauge.traces_minutely (application_id, bucket DESC);

CREATE MATERIALIZED VIEW tidegauge.traces_hourly WITH (
    timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false,
    timescaledb.chunk_interval = '7 days'
) AS
SELECT
    time_bucket(INTERVAL '1 hour', t.bucket) AS bucket,
    t.tenant_id,
    t.application_id,
    t.name,
    t.kind,
    t.status_code,
    least(sum(t.count), 9223372036854775807)::bigint AS count,
    least(sum(t.errors), 9223372036854775807)::bigint AS errors,
    least(sum(t.duration_sum_ns), 9223372036854775807)::bigint AS duration_sum_ns,
    min(t.duration_min_ns) AS duration_min_ns,
    max(t.duration_max_ns) AS duration_max_ns
FROM tidegauge.traces_minutely t
GROUP BY time_bucket(INTERVAL '1 hour', t.bucket), t.tenant_id, t.application_id, t.name, t.kind, t.status_code
WITH NO DATA;
CREATE INDEX traces_hourly_application_bucket ON tidegauge.traces_hourly (application_id, bucket DESC);

CREATE MATERIALIZED VIEW tidegauge.traces_daily WITH (
    timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false,
    timescaledb.chunk_interval = '90 days'
) AS
SELECT
    time_bucket(INTERVAL '1 day', t.bucket) AS bucket,
    t.tenant_id,
    t.application_id,
    t.name,
    t.kind,
    t.status_code,
    least(sum(t.count), 9223372036854775807)::bigint AS count,
    least(sum(t.errors), 9223372036854775807)::bigint AS errors,
    least(sum(t.duration_sum_ns), 9223372036854775807)::bigint AS duration_sum_ns,
    min(t.duration_min_ns) AS duration_min_ns,
    max(t.duration_max_ns) AS duration_max_ns
FROM tidegauge.traces_hourly t
GROUP BY time_bucket(INTERVAL '1 day', t.bucket), t.tenant_id, t.application_id, t.name, t.kind, t.status_code
WITH NO DATA;
CREATE INDEX traces_daily_application_bucket ON tidegauge.traces_daily (application_id, bucket DESC);

-- Durations in buckets that grow by a tenth: bucket b holds 1.1^b <= duration_ns < 1.1^(b+1). Plain counts add up from minute to day,
-- and a percentile read from them is within 5 %.

CREATE MATERIALIZED VIEW tidegauge.trace_durations_minutely WITH (
    timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false,
    timescaledb.chunk_interval = '1 day'
) AS
SELECT
    time_bucket(INTERVAL '1 minute', t.start_time) AS bucket,
    t.tenant_id,
    t.application_id,
    t.name,
    t.kind,
    floor(ln(greatest(t.duration_ns, 1)::double precision) / ln(1.1::double precision))::integer AS duration_bucket,
    count(*) AS count
FROM tidegauge.traces t
GROUP BY time_bucket(INTERVAL '1 minute', t.start_time), t.tenant_id, t.application_id, t.name, t.kind, floor(ln(greatest(t.duration_ns, 1)::double precision) / ln(1.1::double precision))::integer
WITH NO DATA;
CREATE INDEX trace_durations_minutely_application_bucket ON tidegauge.trace_durations_minutely (application_id, bucket DESC);

CREATE MATERIALIZED VIEW tidegauge.trace_durations_hourly WITH (
    timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false,
    timescaledb.chunk_interval = '7 days'
) AS
SELECT
    time_bucket(INTERVAL '1 hour', t.bucket) AS bucket,
    t.tenant_id,
    t.application_id,
    t.name,
    t.kind,
    t.duration_bucket,
    least(sum(t.count), 9223372036854775807)::bigint AS count
FROM tidegauge.trace_durations_minutely t
GROUP BY time_bucket(INTERVAL '1 hour', t.bucket), t.tenant_id, t.application_id, t.name, t.kind, t.duration_bucket
WITH NO DATA;
CREATE INDEX trace_durations_hourly_application_bucket ON tidegauge.trace_durations_hourly (application_id, bucket DESC);

CREATE MATERIALIZED VIEW tidegauge.trace_durations_daily WITH (
    timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false,
    timescaledb.chunk_interval = '90 days'
) AS
SELECT
    time_bucket(INTERVAL '1 day', t.bucket) AS bucket,
    t.tenant_id,
    t.application_id,
    t.name,
    t.kind,
    t.duration_bucket,
    least(sum(t.count), 9223372036854775807)::bigint AS count
FROM tidegauge.trace_durations_hourly t
GROUP BY time_bucket(INTERVAL '1 day', t.bucket), t.tenant_id, t.application_id, t.name, t.kind, t.duration_bucket
WITH NO DATA;
CREATE INDEX trace_durations_daily_application_bucket ON tidegauge.trace_durations_daily (application_id, bucket DESC);

-- The same without operation names: a service's percentiles from the fewest rows.

CREATE MATERIALIZED VIEW tidegauge.service_durations_minutely WITH (
    timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false,
    timescaledb.chunk_interval = '1 day'
) AS
SELECT
    time_bucket(INTERVAL '1 minute', t.bucket) AS bucket,
    t.tenant_id,
    t.application_id,
    t.duration_bucket,
    least(sum(t.count), 9223372036854775807)::bigint AS count
FROM tidegauge.trace_durations_minutely t
GROUP BY time_bucket(INTERVAL '1 minute', t.bucket), t.tenant_id, t.application_id, t.duration_bucket
WITH NO DATA;
CREATE INDEX service_durations_minutely_application_bucket ON tidegauge.service_durations_minutely (application_id, bucket DESC);

CREATE MATERIALIZED VIEW tidegauge.service_durations_hourly WITH (
    timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false,
    timescaledb.chunk_interval = '7 days'
) AS
SELECT
    time_bucket(INTERVAL '1 hour', t.bucket) AS bucket,
    t.tenant_id,
    t.application_id,
    t.duration_bucket,
    least(sum(t.count), 9223372036854775807)::bigint AS count
FROM tidegauge.service_durations_minutely t
GROUP BY time_bucket(INTERVAL '1 hour', t.bucket), t.tenant_id, t.application_id, t.duration_bucket
WITH NO DATA;
CREATE INDEX service_durations_hourly_application_bucket ON tidegauge.service_durations_hourly (application_id, bucket DESC);

CREATE MATERIALIZED VIEW tidegauge.service_durations_daily WITH (
    timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false,
    timescaledb.chunk_interval = '90 days'
) AS
SELECT
    time_bucket(INTERVAL '1 day', t.bucket) AS bucket,
    t.tenant_id,
    t.application_id,
    t.duration_bucket,
    least(sum(t.count), 9223372036854775807)::bigint AS count
FROM tidegauge.service_durations_hourly t
GROUP BY time_bucket(INTERVAL '1 day', t.bucket), t.tenant_id, t.application_id, t.duration_bucket
WITH NO DATA;
CREATE INDEX service_durations_daily_application_bucket ON tidegauge.service_durations_daily (application_id, bucket DESC);
