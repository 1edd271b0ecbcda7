-- Applications, and what rows refer to by id: resources and scopes. Times are whole microseconds since the Unix epoch.

-- name: applications
-- All applications of a tenant.
SELECT
    application_id, namespace, name, environment,
    (extract(epoch FROM created_at) * 1000000)::bigint AS created_at_us, (extract(epoch FROM last_seen) * 1000000)::bigint AS last_seen_us
FROM tidegauge.applications
WHERE tenant_id = %(tenant_id)s
ORDER BY namespace, name, environment
LIMIT %(limit)s;

-- name: resources
-- Resources by id, each with its application.
SELECT
    r.resource_id, r.schema_url, r.attributes, r.dropped_attributes_count, r.original,
    a.application_id, a.namespace, a.name, a.environment,
    (extract(epoch FROM a.created_at) * 1000000)::bigint AS created_at_us, (extract(epoch FROM a.last_seen) * 1000000)::bigint AS last_seen_us
FROM tidegauge.resources r JOIN tidegauge.applications a USING (application_id)
WHERE r.resource_id = ANY (%(ids)s);

-- name: scopes
-- Scopes by id.
SELECT scope_id, name, version, schema_url, attributes, dropped_attributes_count, original
FROM tidegauge.scopes
WHERE scope_id = ANY (%(ids)s);

-- name: alerts
-- Alerts, most severe first, then newest first.
SELECT
    l.alert_id, l.name, l.description, l.status::text AS status, l.severity::text AS severity, a.name AS service, l.labels, l.value,
    (extract(epoch FROM l.created_at) * 1000000)::bigint AS created_at_us,
    (extract(epoch FROM l.updated_at) * 1000000)::bigint AS updated_at_us,
    (extract(epoch FROM l.resolved_at) * 1000000)::bigint AS resolved_at_us
FROM tidegauge.alerts l LEFT JOIN tidegauge.applications a ON a.application_id = l.application_id
WHERE l.tenant_id = %(tenant_id)s
    AND (%(status)s::tidegauge.alert_status IS NULL OR l.status = %(status)s::tidegauge.alert_status)
    AND (%(severity)s::tidegauge.alert_severity IS NULL OR l.severity = %(severity)s::tidegauge.alert_severity)
ORDER BY l.severity DESC, l.created_at DESC, l.alert_id DESC
LIMIT %(limit)s;
