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
        min(i.start_time), greatest(max(i.end_time), max(i.start_time)), sum(i.span_count)::bigint,
        string_to_array(string_agg(array_to_string(i.application_ids, ','), ','), ',')::integer[]
    FROM tidegauge.trace_index i
    WHERE i.trace_id = wanted_trace_id AND i.tenant_id = wanted_tenant_id;
END
$$;
REVOKE EXECUTE ON FUNCTION tidegauge.trace_bounds(uuid, smallint) FROM PUBLIC;
COMMENT ON FUNCTION tidegauge.trace_bounds(uuid, smallint) IS 'Where a trace lies in time, and whose spans it has.';

-- A trace's spans in the order of their time, `most` at the most; nothing where there is none. Planned for the days that it lies in.
CREATE OR REPLACE FUNCTION tidegauge.read_trace(wanted_trace_id uuid, wanted_tenant_id smallint, most integer)
RETURNS TABLE (span_count bigint, span tidegauge.traces)
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    bounds record;
    found bigint;
BEGIN
    SELECT * INTO bounds FROM tidegauge.trace_bounds(wanted_trace_id, wanted_tenant_id);
    IF bounds.start_time IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT bounds.span_count, t FROM tidegauge.traces t
    WHERE t.trace_id = wanted_trace_id AND t.tenant_id = wanted_tenant_id AND t.application_id = ANY (bounds.application_ids)
        AND t.start_time BETWEEN bounds.start_time AND bounds.end_time
    ORDER BY t.start_time, t.start_time_ns, t.span_id, t.duration_ns DESC
    LIMIT most;
    GET DIAGNOSTICS found = ROW_COUNT;
    -- A span that ends before it starts, or never, may start behind every end that the index knows.
    IF found < least(bounds.span_count, most) THEN
        RETURN QUERY
        SELECT bounds.span_count, t FROM tidegauge.traces t
        WHERE t.trace_id = wanted_trace_id AND t.tenant_id = wanted_tenant_id AND t.application_id = ANY (bounds.application_ids)
            AND t.start_time > bounds.end_time
        ORDER BY t.start_time, t.start_time_ns, t.span_id, t.duration_ns DESC
        LIMIT most - found;
    END IF;
END
$$;
REVOKE EXECUTE ON FUNCTION tidegauge.read_trace(uuid, smallint, integer) FROM PUBLIC;
COMMENT ON FUNCTION tidegauge.read_trace(uuid, smallint, integer) IS 'A trace''s spans, and how many it has.';

-- What the index knows of traces, whenever they were. One plan for each of them, made once: it looks into one batch of each day.
CREATE OR REPLACE FUNCTION tidegauge.trace_parts(wanted_trace_ids uuid[], wanted_tenant_id smallint)
RETURNS SETOF tidegauge.trace_index
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    wanted uuid;
BEGIN
    FOREACH wanted IN ARRAY wanted_trace_ids LOOP
        RETURN QUERY SELECT i.* FROM tidegauge.trace_index i WHERE i.trace_id = wanted AND i.tenant_id = wanted_tenant_id;
    END LOOP;
END
$$;
REVOKE EXECUTE ON FUNCTION tidegauge.trace_parts(uuid[], smallint) FROM PUBLIC;
COMMENT ON FUNCTION tidegauge.trace_parts(uuid[], smallint) IS 'Rows of the index of traces, by trace.';

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
