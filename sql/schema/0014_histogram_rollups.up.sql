-- Percentiles: histograms by the minute, buckets of exponential histograms in every tier, span durations packed for quick reading.
--
-- Continuous aggregates beside those that are there, which keep what they have: nothing is made anew, so that no rollup is lost that has no raw
-- data any more. The new ones fill themselves by their policies from what their sources still have: packed durations from the rollups
-- they stand on, histograms from the points. As in 0008 nothing that a client may send stops a refresh.

-- What is made later than the data that it is made from may find a part of it dropped. Where what there was had been dropped when a relation
-- was made, it begins there: NULL until tidegauge.apply_lifecycle() has looked.
ALTER TABLE tidegauge.lifecycle ADD COLUMN made_from timestamptz;
UPDATE tidegauge.lifecycle SET made_from = '-infinity';

-- Buckets of exponential histograms are kept as one array: scale, index of the first bucket, counts from there on. Bucket i holds
-- (base^i, base^(i+1)], base = 2^(2^-scale); at a scale lower by one, buckets merge by pairs: i >> 1. At most 320 buckets (SDKs keep 160):
-- what has more is brought to a lower scale, at which any int32 indexes meet in two buckets in the end.
CREATE FUNCTION tidegauge.narrowed_exponential(scale bigint, first_index bigint, counts bigint[]) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    last_index bigint := first_index + cardinality(counts) - 1;
    shift integer := 0;
    low bigint;
    place integer;
    total bigint[];
BEGIN
    WHILE (last_index >> shift) - (first_index >> shift) >= 320 LOOP
        shift := shift + 1;
    END LOOP;
    low := first_index >> shift;
    total := array_fill(0::bigint, ARRAY[((last_index >> shift) - low + 1)::integer]);
    FOR i IN 1..cardinality(counts) LOOP
        IF counts[i] > 0 THEN
            place := ((first_index + i - 1) >> shift) - low + 1;
            total[place] := CASE
                WHEN total[place] > 9223372036854775807 - counts[i] THEN 9223372036854775807 ELSE total[place] + counts[i]
            END;
        END IF;
    END LOOP;
    RETURN ARRAY[scale - shift, low] || total;
END
$$;

CREATE FUNCTION tidegauge.exponential(scale integer, first_index integer, counts bigint[]) RETURNS bigint[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN cardinality(counts) BETWEEN 1 AND 320 THEN ARRAY[scale::bigint, coalesce(first_index, 0)::bigint] || counts
        WHEN cardinality(counts) > 320 THEN tidegauge.narrowed_exponential(scale, coalesce(first_index, 0), counts)
    END
$$;

-- Bucket by bucket at the lower of both scales, or below it where there would be too many buckets; stops at the largest bigint.
CREATE FUNCTION tidegauge.add_exponentials(a bigint[], b bigint[]) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    scale bigint := least(a[1], b[1]);
    shift_a integer := least(a[1] - scale, 63);
    shift_b integer := least(b[1] - scale, 63);
    end_a bigint := a[2] + cardinality(a) - 3;
    end_b bigint := b[2] + cardinality(b) - 3;
    low bigint;
    width bigint;
    place integer;
    total bigint[];
BEGIN
    LOOP
        low := least(a[2] >> shift_a, b[2] >> shift_b);
        width := greatest(end_a >> shift_a, end_b >> shift_b) - low + 1;
        EXIT WHEN width <= 320;
        scale := scale - 1;
        shift_a := least(shift_a + 1, 63);
        shift_b := least(shift_b + 1, 63);
    END LOOP;
    IF shift_a = 0 AND low = a[2] THEN
        -- The usual case: what there is stays in place.
        total := a;
        IF width > cardinality(a) - 2 THEN
            total := total || array_fill(0::bigint, ARRAY[(width - cardinality(a) + 2)::integer]);
        END IF;
    ELSE
        total := ARRAY[scale, low] || array_fill(0::bigint, ARRAY[width::integer]);
        FOR i IN 3..cardinality(a) LOOP
            IF a[i] > 0 THEN
                place := ((a[2] + i - 3) >> shift_a) - low + 3;
                total[place] := CASE WHEN total[place] > 9223372036854775807 - a[i] THEN 9223372036854775807 ELSE total[place] + a[i] END;
            END IF;
        END LOOP;
    END IF;
    FOR i IN 3..cardinality(b) LOOP
        IF b[i] > 0 THEN
            place := ((b[2] + i - 3) >> shift_b) - low + 3;
            total[place] := CASE WHEN total[place] > 9223372036854775807 - b[i] THEN 9223372036854775807 ELSE total[place] + b[i] END;
        END IF;
    END LOOP;
    RETURN total;
END
$$;

CREATE AGGREGATE tidegauge.sum_exponentials(bigint[]) (
    SFUNC = tidegauge.add_exponentials, STYPE = bigint[], COMBINEFUNC = tidegauge.add_exponentials, PARALLEL = SAFE
);

-- As metric_histograms_hourly, by the minute.
CREATE MATERIALIZED VIEW tidegauge.metric_histograms_minutely WITH (
    timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false,
    timescaledb.chunk_interval = '1 day'
) AS
SELECT
    time_bucket(INTERVAL '1 minute', m.timestamp) AS bucket,
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
GROUP BY time_bucket(INTERVAL '1 minute', m.timestamp), m.series_id, m.start_timestamp
WITH NO DATA;
CREATE INDEX metric_histograms_minutely_series_bucket ON tidegauge.metric_histograms_minutely (series_id, bucket DESC);

-- Buckets of exponential histograms. A delta's points add up at the lowest scale among them; of a cumulative one the first and last are kept.
CREATE MATERIALIZED VIEW tidegauge.metric_exponentials_minutely WITH (
    timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false,
    timescaledb.chunk_interval = '1 day'
) AS
SELECT
    time_bucket(INTERVAL '1 minute', m.timestamp) AS bucket,
    m.series_id,
    m.start_timestamp,
    count(*) AS points,
    least(sum(m.count), 9223372036854775807)::bigint AS count,
    min(m.min) FILTER (WHERE m.min <> 'NaN'::double precision) AS min,
    max(m.max) FILTER (WHERE m.max <> 'NaN'::double precision) AS max,
    first(m.count, m.timestamp) AS first_count,
    last(m.count, m.timestamp) AS last_count,
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
WHERE m.scale IS NOT NULL AND m.flags & 1 = 0 AND m.sum IS DISTINCT FROM 'NaN'::double precision
GROUP BY time_bucket(INTERVAL '1 minute', m.timestamp), m.series_id, m.start_timestamp
WITH NO DATA;
CREATE INDEX metric_exponentials_minutely_series_bucket ON tidegauge.metric_exponentials_minutely (series_id, bucket DESC);

CREATE MATERIALIZED VIEW tidegauge.metric_exponentials_hourly WITH (
    timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false,
    timescaledb.chunk_interval = '7 days'
) AS
SELECT
    time_bucket(INTERVAL '1 hour', m.timestamp) AS bucket,
    m.series_id,
    m.start_timestamp,
    count(*) AS points,
    least(sum(m.count), 9223372036854775807)::bigint AS count,
    min(m.min) FILTER (WHERE m.min <> 'NaN'::double precision) AS min,
    max(m.max) FILTER (WHERE m.max <> 'NaN'::double precision) AS max,
    first(m.count, m.timestamp) AS first_count,
    last(m.count, m.timestamp) AS last_count,
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
WHERE m.scale IS NOT NULL AND m.flags & 1 = 0 AND m.sum IS DISTINCT FROM 'NaN'::double precision
GROUP BY time_bucket(INTERVAL '1 hour', m.timestamp), m.series_id, m.start_timestamp
WITH NO DATA;
CREATE INDEX metric_exponentials_hourly_series_bucket ON tidegauge.metric_exponentials_hourly (series_id, bucket DESC);

CREATE MATERIALIZED VIEW tidegauge.metric_exponentials_daily WITH (
    timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false,
    timescaledb.chunk_interval = '90 days'
) AS
SELECT
    time_bucket(INTERVAL '1 day', h.bucket) AS bucket,
    h.series_id,
    h.start_timestamp,
    least(sum(h.points), 9223372036854775807)::bigint AS points,
    least(sum(h.count), 9223372036854775807)::bigint AS count,
    min(h.min) AS min,
    max(h.max) AS max,
    first(h.first_count, h.bucket) AS first_count,
    last(h.last_count, h.bucket) AS last_count,
    max(h.zero_threshold) AS zero_threshold,
    least(sum(h.zero_count), 9223372036854775807)::bigint AS zero_count,
    first(h.first_zero_count, h.bucket) AS first_zero_count,
    last(h.last_zero_count, h.bucket) AS last_zero_count,
    tidegauge.sum_exponentials(h.positive) AS positive,
    first(h.first_positive, h.bucket) AS first_positive,
    last(h.last_positive, h.bucket) AS last_positive,
    tidegauge.sum_exponentials(h.negative) AS negative,
    first(h.first_negative, h.bucket) AS first_negative,
    last(h.last_negative, h.bucket) AS last_negative
FROM tidegauge.metric_exponentials_hourly h
GROUP BY time_bucket(INTERVAL '1 day', h.bucket), h.series_id, h.start_timestamp
WITH NO DATA;
CREATE INDEX metric_exponentials_daily_series_bucket ON tidegauge.metric_exponentials_daily (series_id, bucket DESC);

-- A service's durations with all buckets of a moment in one row: a day of minutes is read from 1,440 rows instead of some 60,000. Numbers of
-- buckets (int2) and counts (int8), big-endian, one after the other: arrays take four times as long on their way to the client, element
-- by element.

CREATE MATERIALIZED VIEW tidegauge.service_percentiles_minutely WITH (
    timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false,
    timescaledb.chunk_interval = '1 day'
) AS
SELECT
    time_bucket(INTERVAL '1 minute', t.bucket) AS bucket,
    t.tenant_id,
    t.application_id,
    string_agg(int2send(t.duration_bucket::smallint), ''::bytea ORDER BY t.duration_bucket) AS duration_buckets,
    string_agg(int8send(t.count), ''::bytea ORDER BY t.duration_bucket) AS counts
FROM tidegauge.service_durations_minutely t
GROUP BY time_bucket(INTERVAL '1 minute', t.bucket), t.tenant_id, t.application_id
WITH NO DATA;
CREATE INDEX service_percentiles_minutely_application_bucket ON tidegauge.service_percentiles_minutely (application_id, bucket DESC);

CREATE MATERIALIZED VIEW tidegauge.service_percentiles_hourly WITH (
    timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false,
    timescaledb.chunk_interval = '7 days'
) AS
SELECT
    time_bucket(INTERVAL '1 hour', t.bucket) AS bucket,
    t.tenant_id,
    t.application_id,
    string_agg(int2send(t.duration_bucket::smallint), ''::bytea ORDER BY t.duration_bucket) AS duration_buckets,
    string_agg(int8send(t.count), ''::bytea ORDER BY t.duration_bucket) AS counts
FROM tidegauge.service_durations_hourly t
GROUP BY time_bucket(INTERVAL '1 hour', t.bucket), t.tenant_id, t.application_id
WITH NO DATA;
CREATE INDEX service_percentiles_hourly_application_bucket ON tidegauge.service_percentiles_hourly (application_id, bucket DESC);

CREATE MATERIALIZED VIEW tidegauge.service_percentiles_daily WITH (
    timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false,
    timescaledb.chunk_interval = '90 days'
) AS
SELECT
    time_bucket(INTERVAL '1 day', t.bucket) AS bucket,
    t.tenant_id,
    t.application_id,
    string_agg(int2send(t.duration_bucket::smallint), ''::bytea ORDER BY t.duration_bucket) AS duration_buckets,
    string_agg(int8send(t.count), ''::bytea ORDER BY t.duration_bucket) AS counts
FROM tidegauge.service_durations_daily t
GROUP BY time_bucket(INTERVAL '1 day', t.bucket), t.tenant_id, t.application_id
WITH NO DATA;
CREATE INDEX service_percentiles_daily_application_bucket ON tidegauge.service_percentiles_daily (application_id, bucket DESC);

-- Spans by service alone: how many, how many failed, how long; no percentile is said to be outside of the shortest and longest duration.

CREATE MATERIALIZED VIEW tidegauge.service_totals_minutely WITH (
    timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false,
    timescaledb.chunk_interval = '1 day'
) AS
SELECT
    time_bucket(INTERVAL '1 minute', t.bucket) AS bucket,
    t.tenant_id,
    t.application_id,
    least(sum(t.count), 9223372036854775807)::bigint AS count,
    least(sum(t.errors), 9223372036854775807)::bigint AS errors,
    least(sum(t.duration_sum_ns), 9223372036854775807)::bigint AS duration_sum_ns,
    min(t.duration_min_ns) AS duration_min_ns,
    max(t.duration_max_ns) AS duration_max_ns
FROM tidegauge.traces_minutely t
GROUP BY time_bucket(INTERVAL '1 minute', t.bucket), t.tenant_id, t.application_id
WITH NO DATA;
CREATE INDEX service_totals_minutely_application_bucket ON tidegauge.service_totals_minutely (application_id, bucket DESC);

CREATE MATERIALIZED VIEW tidegauge.service_totals_hourly WITH (
    timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false,
    timescaledb.chunk_interval = '7 days'
) AS
SELECT
    time_bucket(INTERVAL '1 hour', t.bucket) AS bucket,
    t.tenant_id,
    t.application_id,
    least(sum(t.count), 9223372036854775807)::bigint AS count,
    least(sum(t.errors), 9223372036854775807)::bigint AS errors,
    least(sum(t.duration_sum_ns), 9223372036854775807)::bigint AS duration_sum_ns,
    min(t.duration_min_ns) AS duration_min_ns,
    max(t.duration_max_ns) AS duration_max_ns
FROM tidegauge.traces_hourly t
GROUP BY time_bucket(INTERVAL '1 hour', t.bucket), t.tenant_id, t.application_id
WITH NO DATA;
CREATE INDEX service_totals_hourly_application_bucket ON tidegauge.service_totals_hourly (application_id, bucket DESC);

CREATE MATERIALIZED VIEW tidegauge.service_totals_daily WITH (
    timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false,
    timescaledb.chunk_interval = '90 days'
) AS
SELECT
    time_bucket(INTERVAL '1 day', t.bucket) AS bucket,
    t.tenant_id,
    t.application_id,
    least(sum(t.count), 9223372036854775807)::bigint AS count,
    least(sum(t.errors), 9223372036854775807)::bigint AS errors,
    least(sum(t.duration_sum_ns), 9223372036854775807)::bigint AS duration_sum_ns,
    min(t.duration_min_ns) AS duration_min_ns,
    max(t.duration_max_ns) AS duration_max_ns
FROM tidegauge.traces_daily t
GROUP BY time_bucket(INTERVAL '1 day', t.bucket), t.tenant_id, t.application_id
WITH NO DATA;
CREATE INDEX service_totals_daily_application_bucket ON tidegauge.service_totals_daily (application_id, bucket DESC);
