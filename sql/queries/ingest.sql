-- The ingest path's statements. COPY's column orders are those of storage/postgres/copy.py.

-- name: known_requests
-- Ledger entries of these digests within the window, the first answer first.
SELECT digest, tenant_id, signal, endpoint, rejected, message
FROM tidegauge.ingest_requests
WHERE digest = ANY (%(digests)s::uuid[]) AND slot >= now() - %(window)s::interval - INTERVAL '4 hours'
ORDER BY received_at;

-- name: enter_requests
-- The dictionaries' epoch, the ledger's answers to requests that are in it within the window, and those that were not there and are
-- entered (`rejected` is NULL). A request that is neither was entered by another writer at this moment.
SELECT epoch, digest, tenant_id, signal, endpoint, rejected, message
FROM tidegauge.enter_requests(
    %(digest)s::uuid[], %(tenant_id)s::smallint[], %(signal)s::smallint[], %(endpoint)s::text[],
    %(items)s::bigint[], %(rejected)s::bigint[], %(message)s::text[], %(window)s::interval
);

-- name: enter_spans
-- The same, and pieces of the attribute index of those that are entered; `piece_place` is a request's place, from 1 on.
WITH entered AS MATERIALIZED (
    SELECT epoch, digest, tenant_id, signal, endpoint, rejected, message
    FROM tidegauge.enter_requests(
        %(digest)s::uuid[], %(tenant_id)s::smallint[], %(signal)s::smallint[], %(endpoint)s::text[],
        %(items)s::bigint[], %(rejected)s::bigint[], %(message)s::text[], %(window)s::interval
    )
), put AS (
    INSERT INTO tidegauge.attribute_pieces (start_time, end_time, application_id, span_count, tenant_id, hashes)
    SELECT p.start_time, p.end_time, p.application_id, p.span_count, p.tenant_id, p.hashes
    FROM unnest(
        %(piece_place)s::integer[], %(piece_tenant_id)s::smallint[], %(piece_start)s::timestamptz[], %(piece_end)s::timestamptz[],
        %(piece_application_id)s::integer[], %(piece_spans)s::integer[], %(piece_hashes)b::bytea[]
    ) AS p (place, tenant_id, start_time, end_time, application_id, span_count, hashes)
    JOIN entered e ON e.digest = (%(digest)s::uuid[])[p.place] AND e.tenant_id = p.tenant_id
        AND e.signal = (%(signal)s::smallint[])[p.place] AND e.endpoint = (%(endpoint)s::text[])[p.place]
    WHERE e.rejected IS NULL
)
SELECT epoch, digest, tenant_id, signal, endpoint, rejected, message FROM entered;

-- name: direct_compress
-- For COPYs of this transaction from here on. TimescaleDB 2.23 does it for hypertables without continuous aggregates and without unique
-- indexes and triggers, and takes the usual way for others without a word.
SELECT pg_catalog.set_config('timescaledb.enable_direct_compress_copy', %(value)s, true);

-- name: copy_traces
COPY tidegauge.traces (
    application_id, resource_id, scope_id, tenant_id, name, start_time, duration_ns, start_time_ns, kind, status_code, flags, trace_id,
    span_id, parent_span_id, attributes, status_message, trace_state, dropped_attributes_count, dropped_events_count,
    dropped_links_count, events, links, full_name, original
) FROM STDIN (FORMAT binary);

-- name: copy_trace_index
COPY tidegauge.trace_index (
    start_time, end_time, trace_id, tenant_id, span_count, error_count, application_ids, root_span_id, root_application_id,
    root_duration_ns, root_name
) FROM STDIN (FORMAT binary);

-- name: copy_metrics
COPY tidegauge.metrics (timestamp, series_id, start_timestamp, value, value_int, flags) FROM STDIN (FORMAT binary);

-- name: copy_metric_histograms
COPY tidegauge.metric_histograms (
    timestamp, series_id, start_timestamp, count, sum, min, max, bucket_counts, flags, scale, zero_count, zero_threshold,
    positive_offset, negative_offset, negative_bucket_counts
) FROM STDIN (FORMAT binary);

-- name: copy_metric_summaries
COPY tidegauge.metric_summaries (timestamp, series_id, start_timestamp, count, sum, quantiles, quantile_values, flags)
FROM STDIN (FORMAT binary);

-- name: copy_metric_exemplars
COPY tidegauge.metric_exemplars (timestamp, series_id, value, value_int, trace_id, span_id, filtered_attributes, original)
FROM STDIN (FORMAT binary);

-- name: copy_logs
COPY tidegauge.logs (
    application_id, resource_id, scope_id, tenant_id, request_digest, timestamp, timestamp_ns, observed_timestamp, observed_timestamp_ns,
    time_source, ordinal, flags, dropped_attributes_count, severity_number, trace_id, span_id, severity_text, event_name, body, attributes,
    original
) FROM STDIN (FORMAT binary);
