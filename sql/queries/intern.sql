-- Dictionaries: ids are read, and what is not there is added. Rows come sorted, so that two writers cannot wait for each other. `is_due`
-- says that `last_seen`, which is kept by the hour, is behind; it is NULL of a row that is marked for collection: its id may be used only
-- where `keep_…` gives it back, which takes the mark away unless the row is gone by then (docs/adr/0021).

-- name: epoch
-- Dictionary rows that a cached id of an older epoch refers to may be gone. Reading it keeps a reset of the schema waiting.
SELECT epoch FROM tidegauge.dictionary_epoch;

-- name: applications
SELECT
    a.tenant_id, a.namespace, a.name, a.environment, a.application_id,
    CASE WHEN a.deletion_epoch IS NULL THEN a.last_seen < date_trunc('hour', now()) END AS is_due
FROM tidegauge.applications a
JOIN unnest(%(tenant_id)s::smallint[], %(namespace)s::text[], %(name)s::text[], %(environment)s::text[])
    AS w (tenant_id, namespace, name, environment)
    ON (a.tenant_id, a.namespace, a.name, a.environment) = (w.tenant_id, w.namespace, w.name, w.environment);

-- name: keep_applications
UPDATE tidegauge.applications SET deletion_epoch = NULL, last_seen = date_trunc('hour', now())
WHERE application_id IN (
    SELECT application_id FROM tidegauge.applications WHERE application_id = ANY (%(ids)s::integer[]) ORDER BY application_id FOR NO KEY UPDATE
)
RETURNING tenant_id, namespace, name, environment, application_id, false AS is_due;

-- name: add_applications
-- Those added; one that another writer added meanwhile is not among them.
INSERT INTO tidegauge.applications (tenant_id, namespace, name, environment)
SELECT tenant_id, namespace, name, environment
FROM unnest(%(tenant_id)s::smallint[], %(namespace)s::text[], %(name)s::text[], %(environment)s::text[])
    AS w (tenant_id, namespace, name, environment)
ORDER BY 1, 2, 3, 4
ON CONFLICT DO NOTHING
RETURNING tenant_id, namespace, name, environment, application_id, false AS is_due;

-- name: touch_applications
-- A row that somebody else is marking at this moment is left to them.
UPDATE tidegauge.applications SET last_seen = date_trunc('hour', now())
WHERE application_id IN (
    SELECT application_id FROM tidegauge.applications
    WHERE application_id = ANY (%(ids)s::integer[]) AND last_seen < date_trunc('hour', now())
    ORDER BY application_id FOR NO KEY UPDATE SKIP LOCKED
);

-- name: resources
SELECT tenant_id, identity, resource_id, application_id,
    CASE WHEN deletion_epoch IS NULL THEN last_seen < date_trunc('hour', now()) END AS is_due
FROM tidegauge.resources
WHERE identity = ANY (%(identity)s::uuid[]) AND tenant_id = ANY (%(tenant_id)s::smallint[]);

-- name: keep_resources
UPDATE tidegauge.resources SET deletion_epoch = NULL, last_seen = date_trunc('hour', now())
WHERE resource_id IN (
    SELECT resource_id FROM tidegauge.resources WHERE resource_id = ANY (%(ids)s::integer[]) ORDER BY resource_id FOR NO KEY UPDATE
)
RETURNING tenant_id, identity, resource_id, application_id, false AS is_due;

-- name: count_resources
-- Resources of these applications seen within a day, counted no further than the limit.
SELECT w.application_id, (
    SELECT count(*) FROM (
        SELECT FROM tidegauge.resources r
        WHERE r.application_id = w.application_id AND r.last_seen >= date_trunc('hour', now()) - INTERVAL '24 hours'
        LIMIT %(limit)s
    ) seen
) AS count
FROM unnest(%(application_id)s::integer[]) AS w (application_id);

-- name: add_resources
INSERT INTO tidegauge.resources (tenant_id, identity, application_id, schema_url, attributes, dropped_attributes_count, original)
SELECT tenant_id, identity, application_id, schema_url, attributes::jsonb, dropped_attributes_count, original
FROM unnest(
    %(tenant_id)s::smallint[], %(identity)s::uuid[], %(application_id)s::integer[], %(schema_url)s::text[], %(attributes)s::text[],
    %(dropped_attributes_count)s::bigint[], %(original)s::bytea[]
) AS w (tenant_id, identity, application_id, schema_url, attributes, dropped_attributes_count, original)
ORDER BY tenant_id, identity
ON CONFLICT DO NOTHING
RETURNING tenant_id, identity, resource_id, application_id, false AS is_due;

-- name: touch_resources
UPDATE tidegauge.resources SET last_seen = date_trunc('hour', now())
WHERE resource_id IN (
    SELECT resource_id FROM tidegauge.resources
    WHERE resource_id = ANY (%(ids)s::integer[]) AND last_seen < date_trunc('hour', now())
    ORDER BY resource_id FOR NO KEY UPDATE SKIP LOCKED
);

-- name: scopes
SELECT tenant_id, identity, scope_id,
    CASE WHEN deletion_epoch IS NULL THEN last_seen < date_trunc('hour', now()) END AS is_due
FROM tidegauge.scopes
WHERE identity = ANY (%(identity)s::uuid[]) AND tenant_id = ANY (%(tenant_id)s::smallint[]);

-- name: keep_scopes
UPDATE tidegauge.scopes SET deletion_epoch = NULL, last_seen = date_trunc('hour', now())
WHERE scope_id IN (
    SELECT scope_id FROM tidegauge.scopes WHERE scope_id = ANY (%(ids)s::integer[]) ORDER BY scope_id FOR NO KEY UPDATE
)
RETURNING tenant_id, identity, scope_id, false AS is_due;

-- name: add_scopes
INSERT INTO tidegauge.scopes (tenant_id, identity, name, version, schema_url, attributes, dropped_attributes_count, original)
SELECT tenant_id, identity, name, version, schema_url, attributes::jsonb, dropped_attributes_count, original
FROM unnest(
    %(tenant_id)s::smallint[], %(identity)s::uuid[], %(name)s::text[], %(version)s::text[], %(schema_url)s::text[],
    %(attributes)s::text[], %(dropped_attributes_count)s::bigint[], %(original)s::bytea[]
) AS w (tenant_id, identity, name, version, schema_url, attributes, dropped_attributes_count, original)
ORDER BY tenant_id, identity
ON CONFLICT DO NOTHING
RETURNING tenant_id, identity, scope_id, false AS is_due;

-- name: touch_scopes
UPDATE tidegauge.scopes SET last_seen = date_trunc('hour', now())
WHERE scope_id IN (
    SELECT scope_id FROM tidegauge.scopes
    WHERE scope_id = ANY (%(ids)s::integer[]) AND last_seen < date_trunc('hour', now())
    ORDER BY scope_id FOR NO KEY UPDATE SKIP LOCKED
);

-- name: series
SELECT tenant_id, identity, series_id,
    CASE WHEN deletion_epoch IS NULL THEN last_seen < date_trunc('hour', now()) END AS is_due
FROM tidegauge.series
WHERE identity = ANY (%(identity)s::uuid[]) AND tenant_id = ANY (%(tenant_id)s::smallint[]);

-- name: keep_series
UPDATE tidegauge.series SET deletion_epoch = NULL, last_seen = date_trunc('hour', now())
WHERE series_id IN (
    SELECT series_id FROM tidegauge.series WHERE series_id = ANY (%(ids)s::bigint[]) ORDER BY series_id FOR NO KEY UPDATE
)
RETURNING tenant_id, identity, series_id, false AS is_due;

-- name: count_series
-- Series of these metrics seen within a day, counted no further than the limit.
SELECT w.application_id, w.metric_name, (
    SELECT count(*) FROM (
        SELECT FROM tidegauge.series s
        WHERE s.application_id = w.application_id AND s.metric_name = w.metric_name
            AND s.last_seen >= date_trunc('hour', now()) - INTERVAL '24 hours'
        LIMIT %(limit)s
    ) seen
) AS count
FROM unnest(%(application_id)s::integer[], %(metric_name)s::text[]) AS w (application_id, metric_name);

-- name: add_series
-- `bounds` come as array literals: an array of arrays of different lengths is none.
INSERT INTO tidegauge.series (
    tenant_id, identity, resource_id, scope_id, application_id, metric_name, type, unit, temporality, is_monotonic, bounds, labels, original
)
SELECT
    tenant_id, identity, resource_id, scope_id, application_id, metric_name, type, unit, temporality, is_monotonic,
    bounds::double precision[], labels::jsonb, original
FROM unnest(
    %(tenant_id)s::smallint[], %(identity)s::uuid[], %(resource_id)s::integer[], %(scope_id)s::integer[], %(application_id)s::integer[],
    %(metric_name)s::text[], %(type)s::text[], %(unit)s::text[], %(temporality)s::text[], %(is_monotonic)s::boolean[],
    %(bounds)s::text[], %(labels)s::text[], %(original)s::bytea[]
) AS w (
    tenant_id, identity, resource_id, scope_id, application_id, metric_name, type, unit, temporality, is_monotonic, bounds, labels, original
)
ORDER BY tenant_id, identity
ON CONFLICT DO NOTHING
RETURNING tenant_id, identity, series_id, false AS is_due;

-- name: touch_series
UPDATE tidegauge.series SET last_seen = date_trunc('hour', now())
WHERE series_id IN (
    SELECT series_id FROM tidegauge.series
    WHERE series_id = ANY (%(ids)s::bigint[]) AND last_seen < date_trunc('hour', now())
    ORDER BY series_id FOR NO KEY UPDATE SKIP LOCKED
);

-- name: span_names
-- All names of spans of these applications.
SELECT
    application_id, name, last_seen >= date_trunc('hour', now()) - INTERVAL '24 hours' AS is_active,
    last_seen < date_trunc('hour', now()) AS is_due
FROM tidegauge.span_names
WHERE application_id = ANY (%(application_id)s::integer[]);

-- name: forget_span_names
-- Names not seen for a day make room for others.
DELETE FROM tidegauge.span_names
WHERE application_id = %(application_id)s AND name = ANY (%(names)s::text[])
    AND last_seen < date_trunc('hour', now()) - INTERVAL '24 hours';

-- name: put_span_names
-- Names that are there are marked as seen.
INSERT INTO tidegauge.span_names AS n (tenant_id, application_id, name)
SELECT a.tenant_id, w.application_id, w.name
FROM unnest(%(application_id)s::integer[], %(name)s::text[]) AS w (application_id, name)
JOIN tidegauge.applications a ON a.application_id = w.application_id
ORDER BY w.application_id, w.name
ON CONFLICT (application_id, name) DO UPDATE SET last_seen = excluded.last_seen WHERE n.last_seen < excluded.last_seen;

-- name: without_waiting_for_disk
-- When a row was last seen may be lost.
SET LOCAL synchronous_commit = off;

-- name: put_metadata
-- The newest description wins; one that did not change is not written again.
INSERT INTO tidegauge.metric_metadata AS m (tenant_id, application_id, metric_name, type, unit, description, metadata)
SELECT DISTINCT ON (tenant_id, application_id, metric_name, type, unit)
    tenant_id, application_id, metric_name, type, unit, description, metadata::jsonb
FROM unnest(
    %(tenant_id)s::smallint[], %(application_id)s::integer[], %(metric_name)s::text[], %(type)s::text[], %(unit)s::text[],
    %(description)s::text[], %(metadata)s::text[]
) AS w (tenant_id, application_id, metric_name, type, unit, description, metadata)
ORDER BY tenant_id, application_id, metric_name, type, unit
ON CONFLICT (tenant_id, application_id, metric_name, type, unit)
DO UPDATE SET description = excluded.description, metadata = excluded.metadata, updated_at = now()
WHERE (m.description, m.metadata) IS DISTINCT FROM (excluded.description, excluded.metadata);
