-- Who calls whom, and examples that outlive their spans.

-- Spans of each minute. What tells which minutes of the service map changed after they were computed: spans are only ever added, so that
-- equal counts are equal spans (docs/adr/0024).
CREATE MATERIALIZED VIEW tidegauge.span_minutes WITH (
    timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false,
    timescaledb.chunk_interval = '7 days'
) AS
SELECT
    time_bucket(INTERVAL '1 minute', t.bucket) AS bucket,
    least(sum(t.count), 9223372036854775807)::bigint AS count
FROM tidegauge.traces_minutely t
GROUP BY time_bucket(INTERVAL '1 minute', t.bucket)
WITH NO DATA;

-- Calls between services by the minute in which the called span began, in buckets of duration (those of trace_durations_minutely).
-- Spans of a trace come in different commits, so a continuous aggregate cannot pair them: a job does, and makes a minute anew when spans
-- of it, or parents of its spans, come late. server_application_id is NULL where `peer` is no service that sends spans: a database, a queue.
-- call: 1 request, 2 message, 3 database.
CREATE TABLE tidegauge.service_edges_minutely (
    bucket timestamptz NOT NULL,
    count bigint NOT NULL,
    errors bigint NOT NULL,
    duration_sum_ns bigint NOT NULL,
    duration_max_ns bigint NOT NULL,
    client_duration_sum_ns bigint NOT NULL,
    client_application_id integer NOT NULL,
    server_application_id integer,
    duration_bucket integer NOT NULL,
    tenant_id smallint NOT NULL DEFAULT 0,
    call smallint NOT NULL CHECK (call BETWEEN 1 AND 3),
    peer text NOT NULL DEFAULT '',
    CONSTRAINT service_edges_minutely_peer CHECK ((server_application_id IS NULL) = (peer <> ''))
);
SELECT create_hypertable('tidegauge.service_edges_minutely', by_range('bucket', INTERVAL '1 day'), create_default_indexes => false);
CREATE INDEX service_edges_minutely_bucket ON tidegauge.service_edges_minutely (bucket DESC);

CREATE MATERIALIZED VIEW tidegauge.service_edges_hourly WITH (
    timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false,
    timescaledb.chunk_interval = '7 days'
) AS
SELECT
    time_bucket(INTERVAL '1 hour', e.bucket) AS bucket,
    e.tenant_id,
    e.client_application_id,
    e.server_application_id,
    e.peer,
    e.call,
    e.duration_bucket,
    least(sum(e.count), 9223372036854775807)::bigint AS count,
    least(sum(e.errors), 9223372036854775807)::bigint AS errors,
    least(sum(e.duration_sum_ns), 9223372036854775807)::bigint AS duration_sum_ns,
    max(e.duration_max_ns) AS duration_max_ns,
    least(sum(e.client_duration_sum_ns), 9223372036854775807)::bigint AS client_duration_sum_ns
FROM tidegauge.service_edges_minutely e
GROUP BY time_bucket(INTERVAL '1 hour', e.bucket), e.tenant_id, e.client_application_id, e.server_application_id, e.peer, e.call, e.duration_bucket
WITH NO DATA;

CREATE MATERIALIZED VIEW tidegauge.service_edges_daily WITH (
    timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false,
    timescaledb.chunk_interval = '90 days'
) AS
SELECT
    time_bucket(INTERVAL '1 day', e.bucket) AS bucket,
    e.tenant_id,
    e.client_application_id,
    e.server_application_id,
    e.peer,
    e.call,
    e.duration_bucket,
    least(sum(e.count), 9223372036854775807)::bigint AS count,
    least(sum(e.errors), 9223372036854775807)::bigint AS errors,
    least(sum(e.duration_sum_ns), 9223372036854775807)::bigint AS duration_sum_ns,
    max(e.duration_max_ns) AS duration_max_ns,
    least(sum(e.client_duration_sum_ns), 9223372036854775807)::bigint AS client_duration_sum_ns
FROM tidegauge.service_edges_hourly e
GROUP BY time_bucket(INTERVAL '1 day', e.bucket), e.tenant_id, e.client_application_id, e.server_application_id, e.peer, e.call, e.duration_bucket
WITH NO DATA;

-- Which minutes of the service map are computed, and from how many spans. `orphans`: called spans whose parent was not there; `ahead`:
-- those whose parent begins in the minute behind; `is_stale`: to be computed again, because a parent of such a span has come.
CREATE TABLE tidegauge.service_map_minutes (
    bucket timestamptz PRIMARY KEY,
    spans bigint NOT NULL,
    orphans bigint NOT NULL DEFAULT 0,
    ahead bigint NOT NULL DEFAULT 0,
    is_stale boolean NOT NULL DEFAULT false,
    computed_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 80);

-- Of each operation and bucket the slowest span and the newest that failed. They are kept as long as rollups are.
CREATE MATERIALIZED VIEW tidegauge.trace_examples_minutely WITH (
    timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false,
    timescaledb.chunk_interval = '1 day'
) AS
SELECT
    time_bucket(INTERVAL '1 minute', t.start_time) AS bucket,
    t.tenant_id,
    t.application_id,
    t.name,
    max(greatest(t.duration_ns, 0)) AS slowest_duration_ns,
    last(t.trace_id, t.duration_ns) AS slowest_trace_id,
    last(t.span_id, t.duration_ns) AS slowest_span_id,
    last(t.start_time, t.duration_ns) AS slowest_start_time,
    last(t.status_code, t.duration_ns) AS slowest_status_code,
    last(t.trace_id, t.start_time) FILTER (WHERE t.status_code = 2) AS error_trace_id,
    last(t.span_id, t.start_time) FILTER (WHERE t.status_code = 2) AS error_span_id,
    max(t.start_time) FILTER (WHERE t.status_code = 2) AS error_start_time,
    last(greatest(t.duration_ns, 0), t.start_time) FILTER (WHERE t.status_code = 2) AS error_duration_ns,
    last(t.status_message, t.start_time) FILTER (WHERE t.status_code = 2) AS error_message
FROM tidegauge.traces t
GROUP BY time_bucket(INTERVAL '1 minute', t.start_time), t.tenant_id, t.application_id, t.name
WITH NO DATA;
CREATE INDEX trace_examples_minutely_application_bucket ON tidegauge.trace_examples_minutely (application_id, bucket DESC);

CREATE MATERIALIZED VIEW tidegauge.trace_examples_hourly WITH (
    timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false,
    timescaledb.chunk_interval = '7 days'
) AS
SELECT
    time_bucket(INTERVAL '1 hour', t.bucket) AS bucket,
    t.tenant_id,
    t.application_id,
    t.name,
    max(t.slowest_duration_ns) AS slowest_duration_ns,
    last(t.slowest_trace_id, t.slowest_duration_ns) AS slowest_trace_id,
    last(t.slowest_span_id, t.slowest_duration_ns) AS slowest_span_id,
    last(t.slowest_start_time, t.slowest_duration_ns) AS slowest_start_time,
    last(t.slowest_status_code, t.slowest_duration_ns) AS slowest_status_code,
    last(t.error_trace_id, t.error_start_time) FILTER (WHERE t.error_start_time IS NOT NULL) AS error_trace_id,
    last(t.error_span_id, t.error_start_time) FILTER (WHERE t.error_start_time IS NOT NULL) AS error_span_id,
    max(t.error_start_time) AS error_start_time,
    last(t.error_duration_ns, t.error_start_time) FILTER (WHERE t.error_start_time IS NOT NULL) AS error_duration_ns,
    last(t.error_message, t.error_start_time) FILTER (WHERE t.error_start_time IS NOT NULL) AS error_message
FROM tidegauge.trace_examples_minutely t
GROUP BY time_bucket(INTERVAL '1 hour', t.bucket), t.tenant_id, t.application_id, t.name
WITH NO DATA;
CREATE INDEX trace_examples_hourly_application_bucket ON tidegauge.trace_examples_hourly (application_id, bucket DESC);

CREATE MATERIALIZED VIEW tidegauge.trace_examples_daily WITH (
    timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false,
    timescaledb.chunk_interval = '90 days'
) AS
SELECT
    time_bucket(INTERVAL '1 day', t.bucket) AS bucket,
    t.tenant_id,
    t.application_id,
    t.name,
    max(t.slowest_duration_ns) AS slowest_duration_ns,
    last(t.slowest_trace_id, t.slowest_duration_ns) AS slowest_trace_id,
    last(t.slowest_span_id, t.slowest_duration_ns) AS slowest_span_id,
    last(t.slowest_start_time, t.slowest_duration_ns) AS slowest_start_time,
    last(t.slowest_status_code, t.slowest_duration_ns) AS slowest_status_code,
    last(t.error_trace_id, t.error_start_time) FILTER (WHERE t.error_start_time IS NOT NULL) AS error_trace_id,
    last(t.error_span_id, t.error_start_time) FILTER (WHERE t.error_start_time IS NOT NULL) AS error_span_id,
    max(t.error_start_time) AS error_start_time,
    last(t.error_duration_ns, t.error_start_time) FILTER (WHERE t.error_start_time IS NOT NULL) AS error_duration_ns,
    last(t.error_message, t.error_start_time) FILTER (WHERE t.error_start_time IS NOT NULL) AS error_message
FROM tidegauge.trace_examples_hourly t
GROUP BY time_bucket(INTERVAL '1 day', t.bucket), t.tenant_id, t.application_id, t.name
WITH NO DATA;
CREATE INDEX trace_examples_daily_application_bucket ON tidegauge.trace_examples_daily (application_id, bucket DESC);

-- Whole traces of the daily examples, copied before their chunk of spans is dropped.
CREATE TABLE tidegauge.kept_spans (LIKE tidegauge.traces INCLUDING DEFAULTS);
SELECT create_hypertable('tidegauge.kept_spans', by_range('start_time', INTERVAL '30 days'), create_default_indexes => false);
CREATE INDEX kept_spans_trace_id ON tidegauge.kept_spans (trace_id);
CREATE INDEX kept_spans_start_time ON tidegauge.kept_spans (start_time DESC);
