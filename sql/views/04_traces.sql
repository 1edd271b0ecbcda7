-- Spans, traces and their rollups. Ids are lower-case hex; a trace is found quickest by `trace_uuid`, or by analytics.trace_tree().

-- What settings promote stands at its end, in the order in which it came: so the view can always be replaced.
DO $do$
BEGIN
    EXECUTE format($view$
    CREATE OR REPLACE VIEW analytics.traces AS
    SELECT
        t.start_time, analytics.trace_hex(t.trace_id) AS trace_id, analytics.span_hex(t.span_id) AS span_id,
        analytics.span_hex(t.parent_span_id) AS parent_span_id, t.application_id, a.name AS application,
        coalesce(t.full_name, t.name) AS name, analytics.span_kind(t.kind) AS kind, analytics.span_status(t.status_code) AS status,
        t.status_message,
        t.duration_ns / 1e6::double precision AS duration_ms,
        t.start_time + (least(t.duration_ns, 9223372036854774000) + t.start_time_ns) / 1000 * INTERVAL '1 microsecond' AS end_time,
        t.attributes, t.events, t.links, r.attributes AS resource_attributes, c.name AS scope_name, c.version AS scope_version,
        t.trace_state, t.flags, t.dropped_attributes_count, t.dropped_events_count, t.dropped_links_count, t.duration_ns,
        t.trace_id AS trace_uuid%s
    FROM tidegauge.traces t
    LEFT JOIN tidegauge.applications a ON a.application_id = t.application_id
    LEFT JOIN tidegauge.resources r ON r.resource_id = t.resource_id
    LEFT JOIN tidegauge.scopes c ON c.scope_id = t.scope_id
    WHERE t.tenant_id = analytics.tenant_id()
    $view$, (SELECT string_agg(format(', t.%I AS %I', p.column_name, p.view_name), '' ORDER BY p.place) FROM tidegauge.promoted_attributes p));
END
$do$;

-- The partial rows as they were written, one per trace and commit: what find_traces() looks through.
CREATE OR REPLACE VIEW analytics.trace_index AS
SELECT
    x.start_time, x.end_time, analytics.trace_hex(x.trace_id) AS trace_id, x.span_count, x.error_count, x.root_name,
    x.trace_id AS trace_uuid
FROM tidegauge.trace_index x
WHERE x.tenant_id = analytics.tenant_id();

-- Reads the whole index: the partial rows of a trace have to meet before its times are known. Use find_traces() for a time range.
CREATE OR REPLACE VIEW analytics.trace_summaries AS
SELECT
    i.start_time, i.end_time, extract(epoch FROM i.end_time - i.start_time)::double precision * 1000 AS duration_ms,
    analytics.trace_hex(i.trace_id) AS trace_id, i.span_count, i.error_count, i.root_name, a.name AS root_application,
    i.root_duration_ns / 1e6::double precision AS root_duration_ms,
    ARRAY(
        SELECT o.name FROM tidegauge.applications o WHERE o.application_id = ANY (i.application_ids) ORDER BY o.name
    ) AS applications,
    i.trace_id AS trace_uuid
FROM (
    SELECT
        x.trace_id, min(x.start_time) AS start_time, max(x.end_time) AS end_time, sum(x.span_count) AS span_count,
        sum(x.error_count) AS error_count,
        string_to_array(string_agg(array_to_string(x.application_ids, ','), ','), ',')::integer[] AS application_ids,
        first(x.root_name, x.start_time) FILTER (WHERE x.root_span_id IS NOT NULL) AS root_name,
        first(x.root_application_id, x.start_time) FILTER (WHERE x.root_span_id IS NOT NULL) AS root_application_id,
        first(x.root_duration_ns, x.start_time) FILTER (WHERE x.root_span_id IS NOT NULL) AS root_duration_ns
    FROM tidegauge.trace_index x
    WHERE x.tenant_id = analytics.tenant_id()
    GROUP BY x.trace_id
) i
LEFT JOIN tidegauge.applications a ON a.application_id = i.root_application_id;

CREATE OR REPLACE VIEW analytics.traces_minutely AS
SELECT
    t.bucket, t.application_id, a.name AS application, t.name, analytics.span_kind(t.kind) AS kind,
    analytics.span_status(t.status_code) AS status, t.count, t.errors,
    t.duration_sum_ns / 1e6::double precision / nullif(t.count, 0) AS duration_avg_ms,
    t.duration_min_ns / 1e6::double precision AS duration_min_ms, t.duration_max_ns / 1e6::double precision AS duration_max_ms,
    t.duration_sum_ns / 1e6::double precision AS duration_sum_ms
FROM tidegauge.traces_minutely t
LEFT JOIN tidegauge.applications a ON a.application_id = t.application_id
WHERE t.tenant_id = analytics.tenant_id();

CREATE OR REPLACE VIEW analytics.trace_durations_minutely AS
SELECT
    t.bucket, t.application_id, a.name AS application, t.name, analytics.span_kind(t.kind) AS kind, t.duration_bucket,
    analytics.bucket_duration_ms(t.duration_bucket) AS duration_ms, t.count
FROM tidegauge.trace_durations_minutely t
LEFT JOIN tidegauge.applications a ON a.application_id = t.application_id
WHERE t.tenant_id = analytics.tenant_id();

CREATE OR REPLACE VIEW analytics.service_durations_minutely AS
SELECT
    t.bucket, t.application_id, a.name AS application, t.duration_bucket,
    analytics.bucket_duration_ms(t.duration_bucket) AS duration_ms, t.count
FROM tidegauge.service_durations_minutely t
LEFT JOIN tidegauge.applications a ON a.application_id = t.application_id
WHERE t.tenant_id = analytics.tenant_id();

CREATE OR REPLACE VIEW analytics.traces_hourly AS
SELECT
    t.bucket, t.application_id, a.name AS application, t.name, analytics.span_kind(t.kind) AS kind,
    analytics.span_status(t.status_code) AS status, t.count, t.errors,
    t.duration_sum_ns / 1e6::double precision / nullif(t.count, 0) AS duration_avg_ms,
    t.duration_min_ns / 1e6::double precision AS duration_min_ms, t.duration_max_ns / 1e6::double precision AS duration_max_ms,
    t.duration_sum_ns / 1e6::double precision AS duration_sum_ms
FROM tidegauge.traces_hourly t
LEFT JOIN tidegauge.applications a ON a.application_id = t.application_id
WHERE t.tenant_id = analytics.tenant_id();

CREATE OR REPLACE VIEW analytics.trace_durations_hourly AS
SELECT
    t.bucket, t.application_id, a.name AS application, t.name, analytics.span_kind(t.kind) AS kind, t.duration_bucket,
    analytics.bucket_duration_ms(t.duration_bucket) AS duration_ms, t.count
FROM tidegauge.trace_durations_hourly t
LEFT JOIN tidegauge.applications a ON a.application_id = t.application_id
WHERE t.tenant_id = analytics.tenant_id();

CREATE OR REPLACE VIEW analytics.service_durations_hourly AS
SELECT
    t.bucket, t.application_id, a.name AS application, t.duration_bucket,
    analytics.bucket_duration_ms(t.duration_bucket) AS duration_ms, t.count
FROM tidegauge.service_durations_hourly t
LEFT JOIN tidegauge.applications a ON a.application_id = t.application_id
WHERE t.tenant_id = analytics.tenant_id();

CREATE OR REPLACE VIEW analytics.traces_daily AS
SELECT
    t.bucket, t.application_id, a.name AS application, t.name, analytics.span_kind(t.kind) AS kind,
    analytics.span_status(t.status_code) AS status, t.count, t.errors,
    t.duration_sum_ns / 1e6::double precision / nullif(t.count, 0) AS duration_avg_ms,
    t.duration_min_ns / 1e6::double precision AS duration_min_ms, t.duration_max_ns / 1e6::double precision AS duration_max_ms,
    t.duration_sum_ns / 1e6::double precision AS duration_sum_ms
FROM tidegauge.traces_daily t
LEFT JOIN tidegauge.applications a ON a.application_id = t.application_id
WHERE t.tenant_id = analytics.tenant_id();

CREATE OR REPLACE VIEW analytics.trace_durations_daily AS
SELECT
    t.bucket, t.application_id, a.name AS application, t.name, analytics.span_kind(t.kind) AS kind, t.duration_bucket,
    analytics.bucket_duration_ms(t.duration_bucket) AS duration_ms, t.count
FROM tidegauge.trace_durations_daily t
LEFT JOIN tidegauge.applications a ON a.application_id = t.application_id
WHERE t.tenant_id = analytics.tenant_id();

CREATE OR REPLACE VIEW analytics.service_durations_daily AS
SELECT
    t.bucket, t.application_id, a.name AS application, t.duration_bucket,
    analytics.bucket_duration_ms(t.duration_bucket) AS duration_ms, t.count
FROM tidegauge.service_durations_daily t
LEFT JOIN tidegauge.applications a ON a.application_id = t.application_id
WHERE t.tenant_id = analytics.tenant_id();
