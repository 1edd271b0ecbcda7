-- Metric points and their rollups, with names and labels.
--
-- metrics, metrics_hourly and metrics_daily show every metric whatever its type, because that is where one looks first: a histogram's
-- or summary's point as its mean, count and sum; its buckets are in metric_histograms and metric_histograms_*. Conditions on
-- `timestamp` and `bucket` reach every branch, so that chunks outside are left out.

CREATE OR REPLACE VIEW analytics.metrics AS
SELECT
    m.timestamp, s.application_id, a.name AS application, s.metric_name, m.value, s.unit, s.type, s.labels,
    NULL::bigint AS count, NULL::double precision AS sum, NULL::double precision AS min, NULL::double precision AS max,
    m.value_int, s.temporality, s.is_monotonic, m.start_timestamp, m.flags, m.series_id
FROM tidegauge.metrics m
JOIN tidegauge.series s ON s.series_id = m.series_id
LEFT JOIN tidegauge.applications a ON a.application_id = s.application_id
WHERE s.tenant_id = analytics.tenant_id()
UNION ALL
SELECT
    h.timestamp, s.application_id, a.name, s.metric_name, h.sum / nullif(h.count, 0), s.unit, s.type, s.labels,
    h.count, h.sum, h.min, h.max,
    NULL::bigint, s.temporality, s.is_monotonic, h.start_timestamp, h.flags, h.series_id
FROM tidegauge.metric_histograms h
JOIN tidegauge.series s ON s.series_id = h.series_id
LEFT JOIN tidegauge.applications a ON a.application_id = s.application_id
WHERE s.tenant_id = analytics.tenant_id()
UNION ALL
SELECT
    y.timestamp, s.application_id, a.name, s.metric_name, y.sum / nullif(y.count, 0), s.unit, s.type, s.labels,
    y.count, y.sum, NULL::double precision, NULL::double precision,
    NULL::bigint, s.temporality, s.is_monotonic, y.start_timestamp, y.flags, y.series_id
FROM tidegauge.metric_summaries y
JOIN tidegauge.series s ON s.series_id = y.series_id
LEFT JOIN tidegauge.applications a ON a.application_id = s.application_id
WHERE s.tenant_id = analytics.tenant_id();

CREATE OR REPLACE VIEW analytics.metric_histograms AS
SELECT
    h.timestamp, s.application_id, a.name AS application, s.metric_name, s.unit, s.type, s.labels, h.count, h.sum, h.min, h.max,
    h.sum / nullif(h.count, 0) AS mean, s.bounds, h.bucket_counts, h.scale, h.zero_count, h.zero_threshold, h.positive_offset,
    h.negative_offset, h.negative_bucket_counts, s.temporality, h.start_timestamp, h.flags, h.series_id
FROM tidegauge.metric_histograms h
JOIN tidegauge.series s ON s.series_id = h.series_id
LEFT JOIN tidegauge.applications a ON a.application_id = s.application_id
WHERE s.tenant_id = analytics.tenant_id();

CREATE OR REPLACE VIEW analytics.metric_summaries AS
SELECT
    y.timestamp, s.application_id, a.name AS application, s.metric_name, s.unit, s.labels, y.count, y.sum, y.quantiles,
    y.quantile_values, y.start_timestamp, y.flags, y.series_id
FROM tidegauge.metric_summaries y
JOIN tidegauge.series s ON s.series_id = y.series_id
LEFT JOIN tidegauge.applications a ON a.application_id = s.application_id
WHERE s.tenant_id = analytics.tenant_id();

CREATE OR REPLACE VIEW analytics.metric_exemplars AS
SELECT
    e.timestamp, s.application_id, a.name AS application, s.metric_name, e.value, s.unit, s.labels, e.filtered_attributes,
    analytics.trace_hex(e.trace_id) AS trace_id, analytics.span_hex(e.span_id) AS span_id, e.value_int, e.series_id,
    e.trace_id AS trace_uuid
FROM tidegauge.metric_exemplars e
JOIN tidegauge.series s ON s.series_id = e.series_id
LEFT JOIN tidegauge.applications a ON a.application_id = s.application_id
WHERE s.tenant_id = analytics.tenant_id();

CREATE OR REPLACE VIEW analytics.metrics_hourly AS
SELECT
    r.bucket, s.application_id, a.name AS application, s.metric_name, s.unit, s.type, s.labels, r.count,
    r.sum / nullif(r.count, 0) AS avg, r.min, r.max, r.sum, r.first, r.last,
    CASE
        WHEN s.temporality = 'delta' THEN r.sum
        WHEN s.temporality = 'cumulative' AND s.is_monotonic AND r.start_timestamp >= r.bucket THEN r.last
        WHEN s.temporality = 'cumulative' AND (r.last >= r.first OR NOT s.is_monotonic)
            THEN analytics.finite(r.last) - analytics.finite(r.first)
    END AS increase,
    s.temporality, s.is_monotonic, r.start_timestamp, r.series_id
FROM tidegauge.metrics_hourly r
JOIN tidegauge.series s ON s.series_id = r.series_id
LEFT JOIN tidegauge.applications a ON a.application_id = s.application_id
WHERE s.tenant_id = analytics.tenant_id()
UNION ALL
SELECT
    r.bucket, s.application_id, a.name, s.metric_name, s.unit, s.type, s.labels, i.count,
    i.sum / nullif(i.count, 0), r.min, r.max, i.sum, NULL::double precision, NULL::double precision,
    i.count::double precision,
    s.temporality, s.is_monotonic, r.start_timestamp, r.series_id
FROM tidegauge.metric_histograms_hourly r
JOIN tidegauge.series s ON s.series_id = r.series_id
LEFT JOIN tidegauge.applications a ON a.application_id = s.application_id
CROSS JOIN LATERAL (
    SELECT
        CASE
            WHEN s.temporality <> 'cumulative' THEN r.count
            WHEN r.start_timestamp >= r.bucket THEN r.last_count
            -- Smaller without a new start time: it was reset, and has counted so much since.
            WHEN r.last_count < r.first_count THEN r.last_count
            ELSE r.last_count - r.first_count
        END AS count,
        CASE
            WHEN s.temporality <> 'cumulative' THEN r.sum
            WHEN r.start_timestamp >= r.bucket THEN r.last_sum
            WHEN r.last_count < r.first_count THEN r.last_sum
            ELSE analytics.finite(r.last_sum) - analytics.finite(r.first_sum)
        END AS sum
) i
WHERE s.tenant_id = analytics.tenant_id();

CREATE OR REPLACE VIEW analytics.metric_histograms_hourly AS
SELECT
    r.bucket, s.application_id, a.name AS application, s.metric_name, s.unit, s.type, s.labels, r.points, r.count, r.sum, r.min, r.max,
    s.bounds, r.bucket_counts, r.first_count, r.last_count, r.first_sum, r.last_sum, r.first_bucket_counts, r.last_bucket_counts,
    s.temporality, r.start_timestamp, r.series_id
FROM tidegauge.metric_histograms_hourly r
JOIN tidegauge.series s ON s.series_id = r.series_id
LEFT JOIN tidegauge.applications a ON a.application_id = s.application_id
WHERE s.tenant_id = analytics.tenant_id();

CREATE OR REPLACE VIEW analytics.metrics_daily AS
SELECT
    r.bucket, s.application_id, a.name AS application, s.metric_name, s.unit, s.type, s.labels, r.count,
    r.sum / nullif(r.count, 0) AS avg, r.min, r.max, r.sum, r.first, r.last,
    CASE
        WHEN s.temporality = 'delta' THEN r.sum
        WHEN s.temporality = 'cumulative' AND s.is_monotonic AND r.start_timestamp >= r.bucket THEN r.last
        WHEN s.temporality = 'cumulative' AND (r.last >= r.first OR NOT s.is_monotonic)
            THEN analytics.finite(r.last) - analytics.finite(r.first)
    END AS increase,
    s.temporality, s.is_monotonic, r.start_timestamp, r.series_id
FROM tidegauge.metrics_daily r
JOIN tidegauge.series s ON s.series_id = r.series_id
LEFT JOIN tidegauge.applications a ON a.application_id = s.application_id
WHERE s.tenant_id = analytics.tenant_id()
UNION ALL
SELECT
    r.bucket, s.application_id, a.name, s.metric_name, s.unit, s.type, s.labels, i.count,
    i.sum / nullif(i.count, 0), r.min, r.max, i.sum, NULL::double precision, NULL::double precision,
    i.count::double precision,
    s.temporality, s.is_monotonic, r.start_timestamp, r.series_id
FROM tidegauge.metric_histograms_daily r
JOIN tidegauge.series s ON s.series_id = r.series_id
LEFT JOIN tidegauge.applications a ON a.application_id = s.application_id
CROSS JOIN LATERAL (
    SELECT
        CASE
            WHEN s.temporality <> 'cumulative' THEN r.count
            WHEN r.start_timestamp >= r.bucket THEN r.last_count
            -- Smaller without a new start time: it was reset, and has counted so much since.
            WHEN r.last_count < r.first_count THEN r.last_count
            ELSE r.last_count - r.first_count
        END AS count,
        CASE
            WHEN s.temporality <> 'cumulative' THEN r.sum
            WHEN r.start_timestamp >= r.bucket THEN r.last_sum
            WHEN r.last_count < r.first_count THEN r.last_sum
            ELSE analytics.finite(r.last_sum) - analytics.finite(r.first_sum)
        END AS sum
) i
WHERE s.tenant_id = analytics.tenant_id();

CREATE OR REPLACE VIEW analytics.metric_histograms_daily AS
SELECT
    r.bucket, s.application_id, a.name AS application, s.metric_name, s.unit, s.type, s.labels, r.points, r.count, r.sum, r.min, r.max,
    s.bounds, r.bucket_counts, r.first_count, r.last_count, r.first_sum, r.last_sum, r.first_bucket_counts, r.last_bucket_counts,
    s.temporality, r.start_timestamp, r.series_id
FROM tidegauge.metric_histograms_daily r
JOIN tidegauge.series s ON s.series_id = r.series_id
LEFT JOIN tidegauge.applications a ON a.application_id = s.application_id
WHERE s.tenant_id = analytics.tenant_id();
