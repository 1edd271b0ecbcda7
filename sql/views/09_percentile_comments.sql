-- What rollups and functions for percentiles are; see 08_comments.sql, whose words for columns of the same name hold here as well.

DO $comments$
DECLARE
    said record;
BEGIN
    FOR said IN
        WITH relation (schema, name, text) AS (
            VALUES
            ('tidegauge', 'metric_histograms_minutely', 'Histograms by minute, series and epoch. Continuous aggregate of metric_histograms.'),
            ('tidegauge', 'metric_exponentials_minutely', 'Exponential histograms with their buckets by minute, series and epoch. Continuous aggregate of metric_histograms.'),
            ('tidegauge', 'metric_exponentials_hourly', 'Exponential histograms with their buckets by hour, series and epoch. Continuous aggregate of metric_histograms.'),
            ('tidegauge', 'metric_exponentials_daily', 'Exponential histograms with their buckets by UTC day, series and epoch. Continuous aggregate of metric_exponentials_hourly.'),
            ('tidegauge', 'service_percentiles_minutely', 'Durations of spans by minute and application, all buckets in a row. Continuous aggregate of service_durations_minutely.'),
            ('tidegauge', 'service_percentiles_hourly', 'Durations of spans by hour and application, all buckets in a row. Continuous aggregate of service_durations_hourly.'),
            ('tidegauge', 'service_percentiles_daily', 'Durations of spans by UTC day and application, all buckets in a row. Continuous aggregate of service_durations_daily.'),
            ('tidegauge', 'service_totals_minutely', 'Spans by minute and application. Continuous aggregate of traces_minutely.'),
            ('tidegauge', 'service_totals_hourly', 'Spans by hour and application. Continuous aggregate of traces_hourly.'),
            ('tidegauge', 'service_totals_daily', 'Spans by UTC day and application. Continuous aggregate of traces_daily.'),
            ('analytics', 'metric_histograms_minutely', 'Histograms by minute. Cumulative ones: what was added is last - first; delta ones: count, sum and bucket_counts.'),
            ('analytics', 'metric_exponentials_minutely', 'Exponential histograms by minute, their buckets as arrays: scale, index of the first bucket, counts from there on.'),
            ('analytics', 'metric_exponentials_hourly', 'Exponential histograms by hour, their buckets as arrays: scale, index of the first bucket, counts from there on.'),
            ('analytics', 'metric_exponentials_daily', 'Exponential histograms by UTC day, their buckets as arrays: scale, index of the first bucket, counts from there on.'),
            ('analytics', 'service_totals_minutely', 'Spans by minute and application: how many, how many failed, how long.'),
            ('analytics', 'service_totals_hourly', 'Spans by hour and application: how many, how many failed, how long.'),
            ('analytics', 'service_totals_daily', 'Spans by UTC day and application: how many, how many failed, how long.')
        ),

        -- `relation` is a LIKE pattern, NULL for any.
        attribute (relation, name, text) AS (
            VALUES
            ('tidegauge.service_percentiles_%', 'duration_buckets', 'Numbers of duration buckets (int2, big-endian), one after the other.'),
            ('tidegauge.service_percentiles_%', 'counts', 'Spans in each of them (int8, big-endian), one after the other.'),
            (NULL, 'positive', 'Delta: buckets above zero added up: scale, index of the first bucket, counts from there on; bucket i holds (base^i, base^(i+1)], base = 2^(2^-scale).'),
            (NULL, 'negative', 'Delta: buckets below zero added up, of the absolute values; as positive.'),
            (NULL, 'first_positive', 'Buckets above zero of the first point; as positive.'),
            (NULL, 'last_positive', 'Buckets above zero of the last point; as positive.'),
            (NULL, 'first_negative', 'Buckets below zero of the first point; as positive.'),
            (NULL, 'last_negative', 'Buckets below zero of the last point; as positive.'),
            (NULL, 'first_zero_count', 'Observations in the zero bucket at the first point.'),
            (NULL, 'last_zero_count', 'Observations in the zero bucket at the last point.')
        )

        SELECT 'VIEW' AS type, format('%I.%I', r.schema, r.name) AS object, r.text FROM relation r
        UNION ALL
        SELECT
            'COLUMN', format('%I.%I.%I', r.schema, r.name, a.attname),
            coalesce(
                (
                    SELECT k.text FROM attribute k
                    WHERE k.name = a.attname AND (k.relation IS NULL OR r.schema || '.' || r.name LIKE k.relation)
                    ORDER BY k.relation NULLS LAST
                    LIMIT 1
                ),
                -- What the column of this name says elsewhere.
                (
                    SELECT max(col_description(o.attrelid, o.attnum))
                    FROM pg_catalog.pg_attribute o
                    WHERE o.attname = a.attname AND o.attrelid IN (
                        to_regclass('analytics.metric_histograms_hourly'), to_regclass('analytics.metric_histograms'),
                        to_regclass('analytics.traces_hourly'), to_regclass('tidegauge.traces_hourly'),
                        to_regclass('tidegauge.metric_histograms_hourly')
                    )
                )
            )
        FROM relation r
        JOIN pg_catalog.pg_attribute a
            ON a.attrelid = to_regclass(format('%I.%I', r.schema, r.name)) AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL
        VALUES
        ('FUNCTION', 'tidegauge.narrowed_exponential(bigint, bigint, bigint[])', 'Buckets of an exponential histogram at a scale at which there are at most 320.'),
        ('FUNCTION', 'tidegauge.exponential(integer, integer, bigint[])', 'Buckets of an exponential histogram as one array: scale, index of the first bucket, counts from there on.'),
        ('FUNCTION', 'tidegauge.add_exponentials(bigint[], bigint[])', 'Adds up buckets of exponential histograms at the lower of their scales.'),
        ('AGGREGATE', 'tidegauge.sum_exponentials(bigint[])', 'Adds up buckets of exponential histograms at the lowest of their scales.'),
        ('FUNCTION', 'analytics.bucket_ranks(double precision[], integer[], bigint[])', 'Numbers of the buckets that percentiles lie in (nearest rank); buckets ascend.'),
        ('FUNCTION', 'analytics.duration_percentiles(double precision[], interval, timestamptz, timestamptz, text, text)', 'Percentiles of span durations in milliseconds, by step and application, within 5 %; the exact one lies between lower_ms and upper_ms.'),
        ('FUNCTION', 'analytics.duration_percentile(double precision, text, timestamptz, timestamptz, text)', 'One percentile of a services span durations in milliseconds, within 5 %.'),
        ('FUNCTION', 'analytics.histogram_quantile(double precision, double precision[], bigint[])', 'Quantile of an explicit histogram by linear interpolation in its bucket, as Prometheus histogram_quantile.'),
        ('FUNCTION', 'analytics.exponential_bound(bigint, bigint)', 'Lower bound of an exponential histograms bucket: 2^(index * 2^-scale).'),
        ('FUNCTION', 'analytics.between_bounds(double precision, double precision, double precision)', 'A part of the way between the bounds of an exponential bucket: geometric, linear across zero.'),
        ('FUNCTION', 'analytics.exponential_quantile(double precision, bigint[])', 'Quantile of the buckets above zero of an exponential histogram, as metric_exponentials_* keep them.'),
        ('FUNCTION', 'analytics.metric_quantiles(text, double precision[], interval, timestamptz, timestamptz, text)', 'Quantiles of a histogram by step and series; the exact one lies between lower_bound and upper_bound.')
    LOOP
        EXECUTE format('COMMENT ON %s %s IS %L', said.type, said.object, said.text);
    END LOOP;
END
$comments$;
