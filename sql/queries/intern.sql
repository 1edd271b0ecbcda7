-- Dictionaries: what is not there is added, then every id is read. Rows come sorted, so that two writers cannot wait for each other.

-- name: epoch
-- Dictionary rows that a cached id of an older epoch refers to may be gone. Reading it keeps a reset of the schema waiting.
SELECT epoch FROM tidegauge.dictionary_epoch;

-- name: add_applications
INSERT INTO tidegauge.applications (tenant_id, namespace, name, environment)
SELECT tenant_id, namespace, name, environment
FROM unnest(%(tenant_id)s::smallint[], %(namespace)s::text[], %(name)s::text[], %(environment)s::text[])
    AS w (tenant_id, namespace, name, environment)
ORDER BY 1, 2, 3, 4
ON CONFLICT DO NOTHING;

-- name: touch_applications
-- last_seen is kept by the hour: at most one update of a row in an hour.
UPDATE tidegauge.applications a SET last_seen = date_trunc('hour', now())
FROM unnest(%(tenant_id)s::smallint[], %(namespace)s::text[], %(name)s::text[], %(environment)s::text[])
    AS w (tenant_id, namespace, name, environment)
WHERE (a.tenant_id, a.namespace, a.name, a.environment) = (w.tenant_id, w.namespace, w.name, w.environment)
    AND a.last_seen < date_trunc('hour', now());

-- name: application_ids
SELECT a.tenant_id, a.namespace, a.name, a.environment, a.application_id
FROM tidegauge.applications a
JOIN unnest(%(tenant_id)s::smallint[], %(namespace)s::text[], %(name)s::text[], %(environment)s::text[])
    AS w (tenant_id, namespace, name, environment)
    ON (a.tenant_id, a.namespace, a.name, a.environment) = (w.tenant_id, w.namespace, w.name, w.environment);

-- name: add_resources
INSERT INTO tidegauge.resources (tenant_id, identity, application_id, schema_url, attributes, dropped_attributes_count, original)
SELECT tenant_id, identity, application_id, schema_url, attributes::jsonb, dropped_attributes_count, original
FROM unnest(
    %(tenant_id)s::smallint[], %(identity)s::uuid[], %(application_id)s::integer[], %(schema_url)s::text[], %(attributes)s::text[],
    %(dropped_attributes_count)s::bigint[], %(original)s::bytea[]
) AS w (tenant_id, identity, application_id, schema_url, attributes, dropped_attributes_count, original)
ORDER BY tenant_id, identity
ON CONFLICT DO NOTHING;

-- name: touch_resources
UPDATE tidegauge.resources SET last_seen = date_trunc('hour', now())
WHERE identity = ANY (%(identity)s::uuid[]) AND tenant_id = ANY (%(tenant_id)s::smallint[]) AND last_seen < date_trunc('hour', now());

-- name: resource_ids
SELECT tenant_id, identity, resource_id, application_id
FROM tidegauge.resources
WHERE identity = ANY (%(identity)s::uuid[]) AND tenant_id = ANY (%(tenant_id)s::smallint[]);

-- name: add_scopes
INSERT INTO tidegauge.scopes (tenant_id, identity, name, version, schema_url, attributes, dropped_attributes_count, original)
SELECT tenant_id, identity, name, version, schema_url, attributes::jsonb, dropped_attributes_count, original
FROM unnest(
    %(tenant_id)s::smallint[], %(identity)s::uuid[], %(name)s::text[], %(version)s::text[], %(schema_url)s::text[],
    %(attributes)s::text[], %(dropped_attributes_count)s::bigint[], %(original)s::bytea[]
) AS w (tenant_id, identity, name, version, schema_url, attributes, dropped_attributes_count, original)
ORDER BY tenant_id, identity
ON CONFLICT DO NOTHING;

-- name: touch_scopes
UPDATE tidegauge.scopes SET last_seen = date_trunc('hour', now())
WHERE identity = ANY (%(identity)s::uuid[]) AND tenant_id = ANY (%(tenant_id)s::smallint[]) AND last_seen < date_trunc('hour', now());

-- name: scope_ids
SELECT tenant_id, identity, scope_id
FROM tidegauge.scopes
WHERE identity = ANY (%(identity)s::uuid[]) AND tenant_id = ANY (%(tenant_id)s::smallint[]);

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
ON CONFLICT DO NOTHING;

-- name: touch_series
UPDATE tidegauge.series SET last_seen = date_trunc('hour', now())
WHERE identity = ANY (%(identity)s::uuid[]) AND tenant_id = ANY (%(tenant_id)s::smallint[]) AND last_seen < date_trunc('hour', now());

-- name: series_ids
SELECT tenant_id, identity, series_id
FROM tidegauge.series
WHERE identity = ANY (%(identity)s::uuid[]) AND tenant_id = ANY (%(tenant_id)s::smallint[]);

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
