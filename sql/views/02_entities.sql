-- Who sends, who is told, and what is kept.

CREATE OR REPLACE VIEW analytics.applications AS
SELECT a.application_id, a.name, a.namespace, a.environment, a.created_at, a.last_seen
FROM tidegauge.applications a
WHERE a.tenant_id = analytics.tenant_id();

CREATE OR REPLACE VIEW analytics.resources AS
SELECT r.resource_id, r.application_id, a.name AS application, r.attributes, r.schema_url, r.created_at, r.last_seen
FROM tidegauge.resources r
LEFT JOIN tidegauge.applications a ON a.application_id = r.application_id
WHERE r.tenant_id = analytics.tenant_id();

CREATE OR REPLACE VIEW analytics.series AS
SELECT
    s.series_id, s.application_id, a.name AS application, s.metric_name, s.type, s.unit, s.temporality, s.is_monotonic, s.labels,
    s.bounds, m.description, r.attributes AS resource_attributes, c.name AS scope_name, c.version AS scope_version, s.created_at,
    s.last_seen
FROM tidegauge.series s
LEFT JOIN tidegauge.applications a ON a.application_id = s.application_id
LEFT JOIN tidegauge.resources r ON r.resource_id = s.resource_id
LEFT JOIN tidegauge.scopes c ON c.scope_id = s.scope_id
LEFT JOIN tidegauge.metric_metadata m
    ON m.tenant_id = s.tenant_id AND m.application_id = s.application_id AND m.metric_name = s.metric_name AND m.type = s.type
    AND m.unit = s.unit
WHERE s.tenant_id = analytics.tenant_id();

CREATE OR REPLACE VIEW analytics.alerts AS
SELECT
    l.alert_id, l.application_id, a.name AS application, l.name, l.description, l.status, l.severity, l.value, l.labels,
    l.created_at, l.updated_at, l.resolved_at
FROM tidegauge.alerts l
LEFT JOIN tidegauge.applications a ON a.application_id = l.application_id
WHERE l.tenant_id = analytics.tenant_id();

CREATE OR REPLACE VIEW analytics.users AS
SELECT u.user_id, u.email, u.display_name, u.role, u.created_at, u.last_login_at, u.disabled_at
FROM tidegauge.users u
WHERE u.tenant_id = analytics.tenant_id();

CREATE OR REPLACE VIEW analytics.retention_policies AS
SELECT
    l.relation, l.kind, l.source, l.retention, l.compress_after, l.chunk_interval, l.bucket_width, l.refresh_start_offset,
    l.refresh_end_offset, l.refresh_every, nullif(l.dropped_through, '-infinity') AS dropped_through, l.applied_at
FROM tidegauge.lifecycle l;

CREATE OR REPLACE VIEW analytics.rejections AS
SELECT
    r.rejected_at, analytics.signal(r.signal) AS signal, r.reason, r.message, r.items, replace(r.digest::text, '-', '') AS digest,
    r.sample, nullif(r.service, '') AS service, nullif(r.sample_type, '') AS sample_type,
    CASE WHEN r.sample_type = 'json' THEN convert_from(r.sample, 'UTF8') END AS sample_json, r.rejection_id
FROM tidegauge.ingest_rejections r
WHERE r.tenant_id = analytics.tenant_id();

CREATE OR REPLACE VIEW analytics.ingest_requests AS
SELECT
    i.received_at, analytics.signal(i.signal) AS signal, i.endpoint, i.items, i.rejected, i.message,
    replace(i.digest::text, '-', '') AS digest, i.slot
FROM tidegauge.ingest_requests i
WHERE i.tenant_id = analytics.tenant_id();
