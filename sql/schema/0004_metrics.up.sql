-- Metric points, one narrow row each; who they belong to stands in tidegauge.series.
-- No unique index: it costs, and it silently disables TimescaleDB's direct compress. The ledger keeps resends out.

CREATE TABLE tidegauge.metrics (
    timestamp timestamptz NOT NULL,
    series_id bigint NOT NULL,
    start_timestamp timestamptz,
    value double precision,
    value_int bigint,
    flags integer NOT NULL DEFAULT 0
);
SELECT create_hypertable('tidegauge.metrics', by_range('timestamp', INTERVAL '1 day'), create_default_indexes => false);
CREATE INDEX metrics_series_timestamp ON tidegauge.metrics (series_id, timestamp DESC);
ALTER TABLE tidegauge.metrics SET (
    timescaledb.enable_columnstore, timescaledb.segmentby = 'series_id', timescaledb.orderby = 'timestamp'
);

CREATE TABLE tidegauge.metric_histograms (
    timestamp timestamptz NOT NULL,
    series_id bigint NOT NULL,
    start_timestamp timestamptz,
    count bigint NOT NULL,
    sum double precision,
    min double precision,
    max double precision,
    bucket_counts bigint[],
    flags integer NOT NULL DEFAULT 0,
    scale integer,
    zero_count bigint,
    zero_threshold double precision,
    positive_offset integer,
    negative_offset integer,
    negative_bucket_counts bigint[]
);
SELECT create_hypertable('tidegauge.metric_histograms', by_range('timestamp', INTERVAL '1 day'), create_default_indexes => false);
CREATE INDEX metric_histograms_series_timestamp ON tidegauge.metric_histograms (series_id, timestamp DESC);
ALTER TABLE tidegauge.metric_histograms SET (
    timescaledb.enable_columnstore, timescaledb.segmentby = 'series_id', timescaledb.orderby = 'timestamp'
);

CREATE TABLE tidegauge.metric_summaries (
    timestamp timestamptz NOT NULL,
    series_id bigint NOT NULL,
    start_timestamp timestamptz,
    count bigint NOT NULL,
    sum double precision,
    quantiles double precision[] NOT NULL,
    quantile_values double precision[] NOT NULL,
    flags integer NOT NULL DEFAULT 0
);
SELECT create_hypertable('tidegauge.metric_summaries', by_range('timestamp', INTERVAL '1 day'), create_default_indexes => false);
CREATE INDEX metric_summaries_series_timestamp ON tidegauge.metric_summaries (series_id, timestamp DESC);
ALTER TABLE tidegauge.metric_summaries SET (
    timescaledb.enable_columnstore, timescaledb.segmentby = 'series_id', timescaledb.orderby = 'timestamp'
);

-- `timestamp` is the exemplar's own time, or its point's where it has none.
CREATE TABLE tidegauge.metric_exemplars (
    timestamp timestamptz NOT NULL,
    series_id bigint NOT NULL,
    value double precision,
    value_int bigint,
    trace_id uuid,
    span_id bigint,
    filtered_attributes jsonb,
    original bytea
);
SELECT create_hypertable('tidegauge.metric_exemplars', by_range('timestamp', INTERVAL '1 day'), create_default_indexes => false);
CREATE INDEX metric_exemplars_series_timestamp ON tidegauge.metric_exemplars (series_id, timestamp DESC);
ALTER TABLE tidegauge.metric_exemplars SET (
    timescaledb.enable_columnstore, timescaledb.segmentby = 'series_id', timescaledb.orderby = 'timestamp'
);
