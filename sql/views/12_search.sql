-- What searches for spans stand on.

-- Where a trace lies and whose spans it has; nulls where there is none. One plan for every trace: made anew, over the chunks of a month, it
-- costs more than the answer.
CREATE OR REPLACE FUNCTION tidegauge.trace_bounds(wanted_trace_id uuid, wanted_tenant_id smallint)
RETURNS TABLE (start_time timestamptz, end_time timestamptz, span_count bigint, application_ids integer[])
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT
        min(i.start_time), max(i.end_time), sum(i.span_count)::bigint,
        string_to_array(string_agg(array_to_string(i.application_ids, ','), ','), ',')::integer[]
    FROM tidegauge.trace_index i
    WHERE i.trace_id = wanted_trace_id AND i.tenant_id = wanted_tenant_id;
END
$$;
REVOKE EXECUTE ON FUNCTION tidegauge.trace_bounds(uuid, smallint) FROM PUBLIC;
COMMENT ON FUNCTION tidegauge.trace_bounds(uuid, smallint) IS 'Where a trace lies in time, and whose spans it has.';

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
