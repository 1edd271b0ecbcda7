-- Columns of what is materialised are those of the rollup: they are said once, there.
DO $$
DECLARE
    said record;
BEGIN
    FOR said IN
        SELECT format('tidegauge.%I.%I', v.relname, a.attname) AS object, pg_catalog.col_description(r.oid, o.attnum) AS text
        FROM _timescaledb_catalog.continuous_agg c
        JOIN pg_catalog.pg_class v ON v.relnamespace = 'tidegauge'::regnamespace AND v.relname = c.user_view_name || '_stored'
        JOIN pg_catalog.pg_attribute a ON a.attrelid = v.oid AND a.attnum > 0 AND NOT a.attisdropped
        JOIN pg_catalog.pg_class r ON r.relnamespace = v.relnamespace AND r.relname = c.user_view_name
        JOIN pg_catalog.pg_attribute o ON o.attrelid = r.oid AND o.attname = a.attname
        WHERE c.user_view_schema = 'tidegauge'
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s IS %L', said.object, said.text);
    END LOOP;
END
$$;
