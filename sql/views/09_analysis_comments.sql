-- What trace analysis consists of; see 08_comments.sql, whose words for columns of the same name hold here as well.

DO $comments$
DECLARE
    said record;
BEGIN
    FOR said IN
        WITH relation (kind, schema, name, text) AS (
            VALUES
            ('VIEW', 'tidegauge', 'span_minutes', 'Spans of each minute: which minutes of the service map changed. Continuous aggregate of traces_minutely.'),
            ('TABLE', 'tidegauge', 'service_edges_minutely', 'Calls between services by minute, edge and duration bucket, paired by a job. Hypertable.'),
            ('VIEW', 'tidegauge', 'service_edges_hourly', 'Calls between services by hour. Continuous aggregate of service_edges_minutely.'),
            ('VIEW', 'tidegauge', 'service_edges_daily', 'Calls between services by UTC day. Continuous aggregate of service_edges_hourly.'),
            ('TABLE', 'tidegauge', 'service_map_minutes', 'Minutes that the service map is computed of, and what from.'),
            ('VIEW', 'tidegauge', 'trace_examples_minutely', 'The slowest span and the newest that failed by minute and operation. Continuous aggregate of traces.'),
            ('VIEW', 'tidegauge', 'trace_examples_hourly', 'The slowest span and the newest that failed by hour and operation. Continuous aggregate of trace_examples_minutely.'),
            ('VIEW', 'tidegauge', 'trace_examples_daily', 'The slowest span and the newest that failed by UTC day and operation. Continuous aggregate of trace_examples_hourly.'),
            ('TABLE', 'tidegauge', 'kept_spans', 'Spans of the traces of daily examples, copied before they are dropped; columns as of traces. Hypertable.'),
            ('VIEW', 'analytics', 'kept_spans', 'Spans of the traces of daily examples, beyond the retention of spans.'),
            ('VIEW', 'analytics', 'service_edges_minutely', 'Calls between services by minute, edge and duration bucket; sum() over the buckets gives an edge.'),
            ('VIEW', 'analytics', 'service_edges_hourly', 'Calls between services by hour, edge and duration bucket; sum() over the buckets gives an edge.'),
            ('VIEW', 'analytics', 'service_edges_daily', 'Calls between services by UTC day, edge and duration bucket; sum() over the buckets gives an edge.'),
            ('VIEW', 'analytics', 'trace_examples_minutely', 'The slowest span and the newest that failed, by minute and operation.'),
            ('VIEW', 'analytics', 'trace_examples_hourly', 'The slowest span and the newest that failed, by hour and operation.'),
            ('VIEW', 'analytics', 'trace_examples_daily', 'The slowest span and the newest that failed, by UTC day and operation.')
        ),

        attribute (name, text) AS (
            VALUES
            ('client_application_id', 'The calling application.'),
            ('server_application_id', 'The called application; NULL for a peer that sends no spans.'),
            ('client', 'The calling service.'),
            ('server', 'The called service; NULL for a peer that sends no spans.'),
            ('peer', 'A database, a queue, or a peer.service that sends no spans.'),
            ('call', 'What kind of call: request (1), message (2) or database (3).'),
            ('count', 'How many.'),
            ('errors', 'How many failed, by either side''s status.'),
            ('duration_bucket', 'Bucket b holds 1.1^b <= duration_ns < 1.1^(b+1).'),
            ('duration_ms', 'Middle of the duration bucket in milliseconds; of a span its duration.'),
            ('duration_sum_ns', 'Durations added up, nanoseconds: of the called spans, of a peer''s callers.'),
            ('duration_max_ns', 'The longest, nanoseconds.'),
            ('client_duration_sum_ns', 'Durations of the callers'' spans added up, nanoseconds.'),
            ('duration_sum_ms', 'Durations added up, milliseconds: of the called spans, of a peer''s callers.'),
            ('duration_max_ms', 'The longest, milliseconds.'),
            ('client_duration_sum_ms', 'Durations of the callers'' spans added up, milliseconds.'),
            ('spans', 'How many spans the minute had when it was computed.'),
            ('orphans', 'Called spans whose parent was not there.'),
            ('ahead', 'Called spans whose parent begins in the next minute: clocks differ.'),
            ('is_stale', 'To be computed again: a parent has come.'),
            ('computed_at', 'When it was computed last.'),
            ('slowest_duration_ns', 'Duration of the slowest span, nanoseconds.'),
            ('slowest_duration_ms', 'Duration of the slowest span, milliseconds.'),
            ('slowest_trace_id', 'Its trace.'),
            ('slowest_span_id', 'The slowest span.'),
            ('slowest_start_time', 'When it began.'),
            ('slowest_status_code', 'Its status: OTLP''s number.'),
            ('slowest_status', 'Its status.'),
            ('error_trace_id', 'Trace of the newest span that failed.'),
            ('error_span_id', 'The newest span that failed.'),
            ('error_start_time', 'When it began.'),
            ('error_duration_ns', 'Its duration, nanoseconds.'),
            ('error_duration_ms', 'Its duration, milliseconds.'),
            ('error_message', 'Its status message.'),
            ('operation', 'Name of the spans; _other beyond the names that rollups tell apart.')
        )

        SELECT r.kind AS type, format('%I.%I', r.schema, r.name) AS object, r.text FROM relation r
        UNION ALL
        SELECT
            'COLUMN', format('%I.%I.%I', r.schema, r.name, a.attname),
            coalesce(
                (SELECT k.text FROM attribute k WHERE k.name = a.attname AND r.name <> 'kept_spans'),
                -- What the column of this name says elsewhere.
                (
                    SELECT max(col_description(o.attrelid, o.attnum))
                    FROM pg_catalog.pg_attribute o
                    WHERE o.attname = a.attname AND o.attrelid IN (
                        to_regclass(CASE WHEN r.name = 'kept_spans' THEN r.schema || '.traces' ELSE r.schema || '.traces_hourly' END),
                        to_regclass(CASE WHEN r.name = 'kept_spans' THEN r.schema || '.traces' ELSE 'tidegauge.traces_hourly' END)
                    )
                )
            )
        FROM relation r
        JOIN pg_catalog.pg_attribute a
            ON a.attrelid = to_regclass(format('%I.%I', r.schema, r.name)) AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL
        VALUES
        ('FUNCTION', 'tidegauge.service_map_lag()', 'How old a minute is when its calls are paired first.'),
        ('FUNCTION', 'tidegauge.find_calls(timestamptz, timestamptz)', 'Called spans that began in a range, each with its caller; calls to peers that send no spans.'),
        ('FUNCTION', 'tidegauge.service_map_pending(timestamptz, timestamptz)', 'Minutes of the service map that are to be computed.'),
        ('FUNCTION', 'tidegauge.compute_service_map(timestamptz, timestamptz)', 'Computes whole minutes of the service map anew.'),
        ('FUNCTION', 'tidegauge.refresh_service_map(bigint)', 'Computes the oldest pending minutes of the service map, of so many spans together.'),
        ('PROCEDURE', 'tidegauge.refresh_service_map_job(integer, jsonb)', 'refresh_service_map until nothing is pending, as a TimescaleDB job.'),
        ('FUNCTION', 'tidegauge.apply_service_map_job(boolean)', 'Makes the service map''s job be there.'),
        ('FUNCTION', 'tidegauge.keep_before_drop(text, timestamptz, timestamptz)', 'What is done before a chunk is dropped: calls are paired, examples'' traces copied.'),
        ('FUNCTION', 'analytics.trace_spans(text)', 'A trace''s spans, each once, by microseconds; of a kept trace where its spans are gone.'),
        ('FUNCTION', 'analytics.trace_self_times(text)', 'Self time of each span: its duration less the union of its children''s, clipped to it.'),
        ('FUNCTION', 'analytics.trace_critical_path(text)', 'The critical path of a trace''s root, in order of time (CRISP, USENIX ATC 2022).'),
        ('FUNCTION', 'analytics.compare_traces(text, text)', 'Two traces by the paths of (application, operation) of their spans.'),
        ('FUNCTION', 'analytics.fitting_tier(timestamptz, timestamptz, interval)', 'The coarsest tier whose buckets fit a range and a width.'),
        ('FUNCTION', 'analytics.service_map(timestamptz, timestamptz, text, interval)', 'Calls between services: rate, errors, durations and percentiles of each edge.'),
        ('FUNCTION', 'analytics.red(timestamptz, timestamptz, text, text, interval, boolean, text[])', 'Rate, errors and duration of operations, or of services.'),
        ('FUNCTION', 'analytics.compare_periods(timestamptz, timestamptz, timestamptz, timestamptz, text, text[])', 'Two periods: what changed in each operation, the greatest impact first.'),
        ('FUNCTION', 'analytics.trace_examples(timestamptz, timestamptz, text, text)', 'Of each operation the slowest span and the newest that failed, in a range.')
    LOOP
        EXECUTE format('COMMENT ON %s %s IS %L', said.type, said.object, said.text);
    END LOOP;
END
$comments$;
