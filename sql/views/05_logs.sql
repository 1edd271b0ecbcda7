-- Logs that are kept in this database.

CREATE OR REPLACE VIEW analytics.logs AS
SELECT
    l.timestamp, l.application_id, a.name AS application,
    coalesce(nullif(l.severity_text, ''), analytics.severity(l.severity_number)) AS severity, l.severity_number, l.body, l.event_name,
    l.attributes, analytics.trace_hex(l.trace_id) AS trace_id, analytics.span_hex(l.span_id) AS span_id, l.observed_timestamp,
    r.attributes AS resource_attributes, c.name AS scope_name, c.version AS scope_version, l.flags, l.dropped_attributes_count,
    replace(l.request_digest::text, '-', '') || '-' || l.ordinal::text AS log_id, l.trace_id AS trace_uuid, l.search
FROM tidegauge.logs l
LEFT JOIN tidegauge.applications a ON a.application_id = l.application_id
LEFT JOIN tidegauge.resources r ON r.resource_id = l.resource_id
LEFT JOIN tidegauge.scopes c ON c.scope_id = l.scope_id
WHERE l.tenant_id = analytics.tenant_id();
