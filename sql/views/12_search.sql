-- search

-- Attribute keys that have been sent, by application.
CREATE OR REPLACE VIEW analytics.attributes AS
SELECT
    k.application_id, a.name AS application, k.location, k.key,
    array_remove(ARRAY[
        CASE WHEN k.types & 1 > 0 THEN 'string' END, CASE WHEN k.types & 2 > 0 THEN 'int' END, CASE WHEN k.types & 4 > 0 THEN 'double' END,
        CASE WHEN k.types & 8 > 0 THEN 'bool' END, CASE WHEN k.types & 16 > 0 THEN 'array' END,
        CASE WHEN k.types & 32 > 0 THEN 'kvlist' END, CASE WHEN k.types & 64 > 0 THEN 'empty' END
    ], NULL) AS types,
    k.value_count, k.value_sample, k.first_seen, k.last_seen
FROM tidegauge.attribute_keys k
JOIN tidegauge.applications a ON a.application_id = k.application_id
WHERE k.tenant_id = analytics.tenant_id();
