-- What refers to something that is not there, or to something of somebody else. No rows is good.
--
--   psql "$DATABASE_URL" -qAtf sql/checks/integrity.sql      prints nothing where all is well; `tidegauge check` runs the same
--
-- Hypertables have no foreign keys: they would cost more than the rows. So each statement looks at the newest rows of one of them, at most
-- tidegauge.check_rows (2 million) of the last tidegauge.check_since (1 day), which takes seconds whatever the table's size:
--
--   PGOPTIONS="-c tidegauge.check_since=30d -c tidegauge.check_rows=100000000" psql …
--
-- Every statement gives the same columns: what is wrong, how many rows are (of those looked at), and one of them.

-- Dictionaries. Their foreign keys hold unless somebody has switched them off; tenants they do not know.
SELECT 'resource without application' AS problem, count(*) AS found, 'resource_id ' || min(r.resource_id) AS example
FROM tidegauge.resources r
LEFT JOIN tidegauge.applications a ON a.application_id = r.application_id AND a.tenant_id = r.tenant_id
WHERE a.application_id IS NULL
HAVING count(*) > 0;

SELECT 'series without ' || missing AS problem, count(*) AS found, 'series_id ' || min(series_id) AS example
FROM (
    SELECT s.series_id,
        CASE
            WHEN r.resource_id IS NULL THEN 'resource'
            WHEN c.scope_id IS NULL THEN 'scope'
            WHEN a.application_id IS NULL THEN 'application'
            WHEN r.application_id <> s.application_id THEN 'its resource''s application'
        END AS missing
    FROM tidegauge.series s
    LEFT JOIN tidegauge.resources r ON r.resource_id = s.resource_id AND r.tenant_id = s.tenant_id
    LEFT JOIN tidegauge.scopes c ON c.scope_id = s.scope_id AND c.tenant_id = s.tenant_id
    LEFT JOIN tidegauge.applications a ON a.application_id = s.application_id AND a.tenant_id = s.tenant_id
) checked
WHERE missing IS NOT NULL
GROUP BY missing;

SELECT 'metric description without application' AS problem, count(*) AS found, 'metric ' || min(m.metric_name) AS example
FROM tidegauge.metric_metadata m
LEFT JOIN tidegauge.applications a ON a.application_id = m.application_id AND a.tenant_id = m.tenant_id
WHERE a.application_id IS NULL
HAVING count(*) > 0;

-- An alert may be of no application at all.
SELECT 'alert without application' AS problem, count(*) AS found, 'alert_id ' || min(l.alert_id) AS example
FROM tidegauge.alerts l
LEFT JOIN tidegauge.applications a ON a.application_id = l.application_id AND a.tenant_id = l.tenant_id
WHERE l.application_id IS NOT NULL AND a.application_id IS NULL
HAVING count(*) > 0;

-- Spans.
WITH rows AS (
    SELECT application_id, resource_id, scope_id, tenant_id, trace_id
    FROM tidegauge.traces
    WHERE start_time >= now() - coalesce(nullif(current_setting('tidegauge.check_since', true), ''), '1 day')::interval
    LIMIT coalesce(nullif(current_setting('tidegauge.check_rows', true), ''), '2000000')::bigint
), origins AS (
    SELECT application_id, resource_id, scope_id, tenant_id, count(*) AS found, min(trace_id::text) AS example
    FROM rows
    GROUP BY application_id, resource_id, scope_id, tenant_id
), checked AS (
    SELECT o.found, o.example,
        CASE
            WHEN a.application_id IS NULL THEN 'application'
            WHEN r.resource_id IS NULL THEN 'resource'
            WHEN c.scope_id IS NULL THEN 'scope'
            WHEN r.application_id <> o.application_id THEN 'its resource''s application'
        END AS missing
    FROM origins o
    LEFT JOIN tidegauge.applications a ON a.application_id = o.application_id AND a.tenant_id = o.tenant_id
    LEFT JOIN tidegauge.resources r ON r.resource_id = o.resource_id AND r.tenant_id = o.tenant_id
    LEFT JOIN tidegauge.scopes c ON c.scope_id = o.scope_id AND c.tenant_id = o.tenant_id
)
SELECT 'span without ' || missing AS problem, sum(found)::bigint AS found, 'trace_id ' || replace(min(example), '-', '') AS example
FROM checked
WHERE missing IS NOT NULL
GROUP BY missing;

-- Every trace is found by the index of traces, and the index names no trace without spans. A thousand of each: one lookup costs a few.
WITH traces AS (
    SELECT DISTINCT trace_id
    FROM (
        SELECT trace_id
        FROM tidegauge.traces
        WHERE start_time >= now() - coalesce(nullif(current_setting('tidegauge.check_since', true), ''), '1 day')::interval
        LIMIT 1000
    ) seen
)
SELECT 'trace without an entry in trace_index' AS problem, count(*) AS found, 'trace_id ' || replace(min(t.trace_id::text), '-', '') AS example
FROM traces t
WHERE NOT EXISTS (SELECT FROM tidegauge.trace_index i WHERE i.trace_id = t.trace_id)
HAVING count(*) > 0;

WITH traces AS (
    SELECT DISTINCT trace_id
    FROM (
        SELECT trace_id
        FROM tidegauge.trace_index
        WHERE start_time >= now() - coalesce(nullif(current_setting('tidegauge.check_since', true), ''), '1 day')::interval
        LIMIT 1000
    ) seen
)
SELECT 'entry in trace_index without a span' AS problem, count(*) AS found, 'trace_id ' || replace(min(t.trace_id::text), '-', '') AS example
FROM traces t
WHERE NOT EXISTS (SELECT FROM tidegauge.traces s WHERE s.trace_id = t.trace_id)
HAVING count(*) > 0;

-- Logs.
WITH rows AS (
    SELECT application_id, resource_id, scope_id, tenant_id, request_digest, ordinal
    FROM tidegauge.logs
    WHERE timestamp >= now() - coalesce(nullif(current_setting('tidegauge.check_since', true), ''), '1 day')::interval
    LIMIT coalesce(nullif(current_setting('tidegauge.check_rows', true), ''), '2000000')::bigint
), origins AS (
    SELECT application_id, resource_id, scope_id, tenant_id, count(*) AS found,
        min(replace(request_digest::text, '-', '') || '-' || ordinal) AS example
    FROM rows
    GROUP BY application_id, resource_id, scope_id, tenant_id
), checked AS (
    SELECT o.found, o.example,
        CASE
            WHEN a.application_id IS NULL THEN 'application'
            WHEN r.resource_id IS NULL THEN 'resource'
            WHEN c.scope_id IS NULL THEN 'scope'
            WHEN r.application_id <> o.application_id THEN 'its resource''s application'
        END AS missing
    FROM origins o
    LEFT JOIN tidegauge.applications a ON a.application_id = o.application_id AND a.tenant_id = o.tenant_id
    LEFT JOIN tidegauge.resources r ON r.resource_id = o.resource_id AND r.tenant_id = o.tenant_id
    LEFT JOIN tidegauge.scopes c ON c.scope_id = o.scope_id AND c.tenant_id = o.tenant_id
)
SELECT 'log record without ' || missing AS problem, sum(found)::bigint AS found, 'log_id ' || min(example) AS example
FROM checked
WHERE missing IS NOT NULL
GROUP BY missing;

-- Points.
WITH points AS (
    SELECT series_id, count(*) AS found
    FROM (
        SELECT series_id
        FROM tidegauge.metrics
        WHERE timestamp >= now() - coalesce(nullif(current_setting('tidegauge.check_since', true), ''), '1 day')::interval
        LIMIT coalesce(nullif(current_setting('tidegauge.check_rows', true), ''), '2000000')::bigint
    ) seen
    GROUP BY series_id
)
SELECT 'number without series' AS problem, sum(p.found)::bigint AS found, 'series_id ' || min(p.series_id) AS example
FROM points p
WHERE NOT EXISTS (SELECT FROM tidegauge.series s WHERE s.series_id = p.series_id)
HAVING count(*) > 0;

WITH points AS (
    SELECT series_id, count(*) AS found
    FROM (
        SELECT series_id
        FROM tidegauge.metric_histograms
        WHERE timestamp >= now() - coalesce(nullif(current_setting('tidegauge.check_since', true), ''), '1 day')::interval
        LIMIT coalesce(nullif(current_setting('tidegauge.check_rows', true), ''), '2000000')::bigint
    ) seen
    GROUP BY series_id
)
SELECT 'histogram without series' AS problem, sum(p.found)::bigint AS found, 'series_id ' || min(p.series_id) AS example
FROM points p
WHERE NOT EXISTS (SELECT FROM tidegauge.series s WHERE s.series_id = p.series_id)
HAVING count(*) > 0;

WITH points AS (
    SELECT series_id, count(*) AS found
    FROM (
        SELECT series_id
        FROM tidegauge.metric_summaries
        WHERE timestamp >= now() - coalesce(nullif(current_setting('tidegauge.check_since', true), ''), '1 day')::interval
        LIMIT coalesce(nullif(current_setting('tidegauge.check_rows', true), ''), '2000000')::bigint
    ) seen
    GROUP BY series_id
)
SELECT 'summary without series' AS problem, sum(p.found)::bigint AS found, 'series_id ' || min(p.series_id) AS example
FROM points p
WHERE NOT EXISTS (SELECT FROM tidegauge.series s WHERE s.series_id = p.series_id)
HAVING count(*) > 0;

WITH points AS (
    SELECT series_id, count(*) AS found
    FROM (
        SELECT series_id
        FROM tidegauge.metric_exemplars
        WHERE timestamp >= now() - coalesce(nullif(current_setting('tidegauge.check_since', true), ''), '1 day')::interval
        LIMIT coalesce(nullif(current_setting('tidegauge.check_rows', true), ''), '2000000')::bigint
    ) seen
    GROUP BY series_id
)
SELECT 'exemplar without series' AS problem, sum(p.found)::bigint AS found, 'series_id ' || min(p.series_id) AS example
FROM points p
WHERE NOT EXISTS (SELECT FROM tidegauge.series s WHERE s.series_id = p.series_id)
HAVING count(*) > 0;
