-- Logs, where no Elasticsearch is. (request_digest, ordinal) is a record's id: two equal records are two records.

CREATE TABLE tidegauge.logs (
    timestamp timestamptz NOT NULL,
    observed_timestamp timestamptz,
    request_digest uuid NOT NULL,
    trace_id uuid,
    span_id bigint,
    flags bigint NOT NULL DEFAULT 0,
    dropped_attributes_count bigint NOT NULL DEFAULT 0,
    ordinal integer NOT NULL,
    application_id integer NOT NULL,
    resource_id integer NOT NULL,
    scope_id integer NOT NULL,
    tenant_id smallint NOT NULL DEFAULT 0,
    timestamp_ns smallint NOT NULL DEFAULT 0,
    observed_timestamp_ns smallint NOT NULL DEFAULT 0,
    -- where `timestamp` comes from: 0 the record's time, 1 its observed time, 2 the moment it was received
    time_source smallint NOT NULL DEFAULT 0,
    severity_number smallint NOT NULL DEFAULT 0,
    severity_text text NOT NULL DEFAULT '',
    event_name text NOT NULL DEFAULT '',
    body text,
    attributes jsonb NOT NULL,
    original bytea,
    -- A tsvector holds 1 MiB at the most: of a longer body the first 200,000 characters are found by text.
    search tsvector GENERATED ALWAYS AS (to_tsvector('pg_catalog.simple'::regconfig, left(coalesce(body, ''), 200000))) STORED
);
SELECT create_hypertable('tidegauge.logs', by_range('timestamp', INTERVAL '1 day'), create_default_indexes => false);
CREATE INDEX logs_timestamp ON tidegauge.logs (timestamp DESC);
CREATE INDEX logs_application_timestamp ON tidegauge.logs (application_id, timestamp DESC);
CREATE INDEX logs_trace_id ON tidegauge.logs (trace_id) WHERE trace_id IS NOT NULL;
CREATE INDEX logs_search ON tidegauge.logs USING gin (search);
DO $$
BEGIN
    ALTER TABLE tidegauge.logs
        ALTER COLUMN attributes SET COMPRESSION lz4,
        ALTER COLUMN body SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    RAISE NOTICE 'lz4 is not built in: logs are compressed with pglz';
END
$$;
ALTER TABLE tidegauge.logs SET (
    timescaledb.enable_columnstore, timescaledb.segmentby = 'application_id', timescaledb.orderby = 'timestamp'
);
