-- What the views are made of.

-- The tenant whose rows the views show; the one place to change once there are several. Inlined, so that it costs no plan anything.
CREATE OR REPLACE FUNCTION analytics.tenant_id() RETURNS smallint
LANGUAGE sql STABLE PARALLEL SAFE AS 'SELECT 0::smallint';

CREATE OR REPLACE FUNCTION analytics.trace_hex(trace_id uuid) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT replace(trace_id::text, '-', '') $$;

CREATE OR REPLACE FUNCTION analytics.span_hex(span_id bigint) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT lpad(to_hex(span_id), 16, '0') $$;

-- Numbers of opentelemetry/proto/trace/v1/trace.proto, Span.SpanKind and Status.StatusCode.
CREATE OR REPLACE FUNCTION analytics.span_kind(kind smallint) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE kind
        WHEN 1 THEN 'INTERNAL' WHEN 2 THEN 'SERVER' WHEN 3 THEN 'CLIENT' WHEN 4 THEN 'PRODUCER' WHEN 5 THEN 'CONSUMER'
        ELSE 'UNSPECIFIED'
    END
$$;

CREATE OR REPLACE FUNCTION analytics.span_status(status_code smallint) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT CASE status_code WHEN 1 THEN 'OK' WHEN 2 THEN 'ERROR' ELSE 'UNSET' END $$;

-- Ranges of opentelemetry/proto/logs/v1/logs.proto, SeverityNumber.
CREATE OR REPLACE FUNCTION analytics.severity(severity_number smallint) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN severity_number BETWEEN 1 AND 4 THEN 'TRACE' WHEN severity_number BETWEEN 5 AND 8 THEN 'DEBUG'
        WHEN severity_number BETWEEN 9 AND 12 THEN 'INFO' WHEN severity_number BETWEEN 13 AND 16 THEN 'WARN'
        WHEN severity_number BETWEEN 17 AND 20 THEN 'ERROR' WHEN severity_number BETWEEN 21 AND 24 THEN 'FATAL'
        ELSE 'UNSPECIFIED'
    END
$$;

CREATE OR REPLACE FUNCTION analytics.signal(signal smallint) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT CASE signal WHEN 1 THEN 'traces' WHEN 2 THEN 'metrics' WHEN 3 THEN 'logs' END $$;

CREATE OR REPLACE FUNCTION analytics.label(labels jsonb, name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT labels ->> name $$;

CREATE OR REPLACE FUNCTION analytics.bucket_duration_ms(duration_bucket integer) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (1.1::double precision ^ (duration_bucket + 0.5)::double precision) / 1e6
$$;

-- What an increase is made of, small enough that no difference or sum of a few overflows: PostgreSQL raises an error where one does.
CREATE OR REPLACE FUNCTION analytics.finite(value double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT CASE WHEN abs(value) > 1e307 THEN sign(value) * 1e307 ELSE value END $$;
