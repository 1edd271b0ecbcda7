-- The analysts' surface away, in the order of what stands on what. Without CASCADE: what a team has built on it makes this fail
-- and say so, rather than vanish.

DROP FUNCTION IF EXISTS tidegauge.read_trace(uuid, smallint, integer);
DROP FUNCTION IF EXISTS tidegauge.trace_parts(uuid[], smallint);
DROP FUNCTION IF EXISTS tidegauge.trace_bounds(uuid, smallint);
DROP FUNCTION IF EXISTS analytics.trace_examples(timestamptz, timestamptz, text, text);
DROP FUNCTION IF EXISTS analytics.compare_periods(timestamptz, timestamptz, timestamptz, timestamptz, text, text[]);
DROP FUNCTION IF EXISTS analytics.red(timestamptz, timestamptz, text, text, interval, boolean, text[]);
DROP FUNCTION IF EXISTS analytics.service_map(timestamptz, timestamptz, text, interval);
DROP FUNCTION IF EXISTS analytics.fitting_tier(timestamptz, timestamptz, interval);
DROP FUNCTION IF EXISTS analytics.compare_traces(text, text);
DROP FUNCTION IF EXISTS analytics.trace_critical_path(text);
DROP FUNCTION IF EXISTS analytics.trace_self_times(text);
DROP FUNCTION IF EXISTS analytics.trace_spans(text);
DROP VIEW IF EXISTS analytics.trace_examples_daily;
DROP VIEW IF EXISTS analytics.trace_examples_hourly;
DROP VIEW IF EXISTS analytics.trace_examples_minutely;
DROP VIEW IF EXISTS analytics.service_edges_daily;
DROP VIEW IF EXISTS analytics.service_edges_hourly;
DROP VIEW IF EXISTS analytics.service_edges_minutely;
DROP VIEW IF EXISTS analytics.kept_spans;
DROP VIEW IF EXISTS analytics.attributes;
DROP FUNCTION IF EXISTS analytics.metric_range(text, interval, timestamptz, timestamptz, text, text);
DROP FUNCTION IF EXISTS tidegauge.tier_states(text);
DO $$
DECLARE
    stored record;
BEGIN
    FOR stored IN
        SELECT format('tidegauge.%I', v.viewname) AS name FROM pg_catalog.pg_views v
        WHERE v.schemaname = 'tidegauge' AND v.viewname LIKE '%\_stored'
    LOOP
        EXECUTE 'DROP VIEW ' || stored.name;
    END LOOP;
END
$$;
DROP FUNCTION IF EXISTS analytics.metric_quantiles(text, double precision[], interval, timestamptz, timestamptz, text);
DROP FUNCTION IF EXISTS analytics.exponential_quantile(double precision, bigint[]);
DROP FUNCTION IF EXISTS analytics.between_bounds(double precision, double precision, double precision);
DROP FUNCTION IF EXISTS analytics.exponential_bound(bigint, bigint);
DROP FUNCTION IF EXISTS analytics.histogram_quantile(double precision, double precision[], bigint[]);
DROP FUNCTION IF EXISTS analytics.duration_percentile(double precision, text, timestamptz, timestamptz, text);
DROP FUNCTION IF EXISTS analytics.duration_percentiles(double precision[], interval, timestamptz, timestamptz, text, text);
DROP FUNCTION IF EXISTS analytics.bucket_ranks(double precision[], integer[], bigint[]);
DROP VIEW IF EXISTS analytics.service_totals_minutely;
DROP VIEW IF EXISTS analytics.service_totals_hourly;
DROP VIEW IF EXISTS analytics.service_totals_daily;
DROP VIEW IF EXISTS analytics.metric_exponentials_minutely;
DROP VIEW IF EXISTS analytics.metric_exponentials_hourly;
DROP VIEW IF EXISTS analytics.metric_exponentials_daily;
DROP VIEW IF EXISTS analytics.metric_histograms_minutely;
DROP FUNCTION IF EXISTS analytics.increases(text, interval, timestamptz, timestamptz);
DROP FUNCTION IF EXISTS analytics.trace_tree(text);
DROP FUNCTION IF EXISTS analytics.find_traces(timestamptz, timestamptz);
DROP VIEW IF EXISTS analytics.logs;
DROP VIEW IF EXISTS analytics.service_durations_daily;
DROP VIEW IF EXISTS analytics.trace_durations_daily;
DROP VIEW IF EXISTS analytics.traces_daily;
DROP VIEW IF EXISTS analytics.service_durations_hourly;
DROP VIEW IF EXISTS analytics.trace_durations_hourly;
DROP VIEW IF EXISTS analytics.traces_hourly;
DROP VIEW IF EXISTS analytics.service_durations_minutely;
DROP VIEW IF EXISTS analytics.trace_durations_minutely;
DROP VIEW IF EXISTS analytics.traces_minutely;
DROP VIEW IF EXISTS analytics.trace_summaries;
DROP VIEW IF EXISTS analytics.trace_index;
DROP VIEW IF EXISTS analytics.traces;
DROP VIEW IF EXISTS analytics.metric_histograms_daily;
DROP VIEW IF EXISTS analytics.metrics_daily;
DROP VIEW IF EXISTS analytics.metric_histograms_hourly;
DROP VIEW IF EXISTS analytics.metrics_hourly;
DROP VIEW IF EXISTS analytics.metric_exemplars;
DROP VIEW IF EXISTS analytics.metric_summaries;
DROP VIEW IF EXISTS analytics.metric_histograms;
DROP VIEW IF EXISTS analytics.metrics;
DROP VIEW IF EXISTS analytics.ingest_requests;
DROP VIEW IF EXISTS analytics.rejections;
DROP VIEW IF EXISTS analytics.retention_policies;
DROP VIEW IF EXISTS analytics.users;
DROP VIEW IF EXISTS analytics.alerts;
DROP VIEW IF EXISTS analytics.series;
DROP VIEW IF EXISTS analytics.resources;
DROP VIEW IF EXISTS analytics.applications;
DROP FUNCTION IF EXISTS analytics.tenant_id();
DROP FUNCTION IF EXISTS analytics.trace_hex(uuid);
DROP FUNCTION IF EXISTS analytics.span_hex(bigint);
DROP FUNCTION IF EXISTS analytics.span_kind(smallint);
DROP FUNCTION IF EXISTS analytics.span_status(smallint);
DROP FUNCTION IF EXISTS analytics.severity(smallint);
DROP FUNCTION IF EXISTS analytics.signal(smallint);
DROP FUNCTION IF EXISTS analytics.label(jsonb, text);
DROP FUNCTION IF EXISTS analytics.bucket_duration_ms(integer);
DROP FUNCTION IF EXISTS analytics.finite(double precision);

-- Settings of the reader role in this database. The role itself may be used by other databases of the server.
DO $$
DECLARE
    reader text := current_setting('tidegauge.reader_role');
BEGIN
    IF EXISTS (
        SELECT FROM pg_catalog.pg_db_role_setting s
        JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
        JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
        WHERE r.rolname = reader AND d.datname = current_database()
    ) THEN
        EXECUTE format('ALTER ROLE %I IN DATABASE %I RESET ALL', reader, current_database());
    END IF;
    IF EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = reader) THEN
        EXECUTE format('REVOKE USAGE ON SCHEMA analytics, tidegauge FROM %I', reader);
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING '% may not reset the settings of the role % in this database', current_user, reader;
END
$$;

DO $$
BEGIN
    IF to_regclass('tidegauge.surface') IS NOT NULL THEN
        DELETE FROM tidegauge.surface;
    END IF;
END
$$;

-- The SQL endpoint's role likewise.
DO $$
DECLARE
    endpoint text := current_setting('tidegauge.sql_role');
BEGIN
    IF EXISTS (
        SELECT FROM pg_catalog.pg_db_role_setting s
        JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
        JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
        WHERE r.rolname = endpoint AND d.datname = current_database()
    ) THEN
        EXECUTE format('ALTER ROLE %I IN DATABASE %I RESET ALL', endpoint, current_database());
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING '% may not reset the settings of the role % in this database', current_user, endpoint;
END
$$;
