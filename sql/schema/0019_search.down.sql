-- Search.
DO $$
DECLARE
    promoted record;
BEGIN
    DROP TRIGGER IF EXISTS fill_promoted_attributes ON tidegauge.traces;
    DROP FUNCTION IF EXISTS tidegauge.fill_promoted_attributes();
    FOR promoted IN SELECT p.column_name FROM tidegauge.promoted_attributes p LOOP
        EXECUTE format('ALTER TABLE tidegauge.traces DROP COLUMN IF EXISTS %I', promoted.column_name);
    END LOOP;
END
$$;
DROP FUNCTION tidegauge.promoted_boolean(jsonb);
DROP FUNCTION tidegauge.promoted_double(jsonb);
DROP FUNCTION tidegauge.promoted_bigint(jsonb);
DROP FUNCTION tidegauge.promoted_text(jsonb);
DROP TABLE tidegauge.promoted_attributes;
ALTER TABLE tidegauge.trace_index DROP COLUMN written_by;
