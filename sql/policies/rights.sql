-- For their owner alone: what reads or changes anything. What computes from its arguments alone (immutable functions, and aggregates of them)
-- stays open: rollups, views and the analysts' functions call it with the reader's rights.
DO $$
DECLARE
    routine record;
BEGIN
    FOR routine IN
        SELECT p.oid::regprocedure AS name, p.provolatile = 'i' AS is_pure
        FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = 'tidegauge'::regnamespace
    LOOP
        IF routine.is_pure THEN
            EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO PUBLIC', routine.name);
        ELSE
            EXECUTE format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC', routine.name);
        END IF;
    END LOOP;
END
$$;
