-- For their owner alone. (What rollups and views call stays open: it is called with the reader's rights.)
DO $$
DECLARE
    routine regprocedure;
BEGIN
    FOR routine IN
        SELECT p.oid FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = 'tidegauge'::regnamespace AND p.proname NOT IN ('add_arrays', 'sum_arrays')
    LOOP
        EXECUTE format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC', routine);
    END LOOP;
END
$$;
