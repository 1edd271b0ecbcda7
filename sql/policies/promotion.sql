-- Columns of tidegauge.traces for the attributes that the settings promote: tidegauge.promoted_attributes, told for this transaction by whoever runs
-- this file, is a JSON array of [key, type]. Columns and trigger are there only where something is promoted. docs/adr/0027 tells why it is so.

-- Makes columns, trigger and sparse indexes as they are wanted; changes only what differs, for each change waits for everybody who uses spans.
CREATE OR REPLACE FUNCTION tidegauge.apply_promoted_attributes(wanted jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    added record;
    body text;
BEGIN
    UPDATE tidegauge.promoted_attributes p SET is_active = false, changed_at = now()
    WHERE p.is_active AND NOT wanted @> jsonb_build_array(jsonb_build_array(p.key, p.type));
    -- All are as of now filled from the last chunk's end on; until the trigger is there nothing of this is seen.
    UPDATE tidegauge.promoted_attributes p SET is_active = true, filled_from = 'infinity', changed_at = now()
    WHERE NOT p.is_active AND wanted @> jsonb_build_array(jsonb_build_array(p.key, p.type));
    FOR added IN
        SELECT w.attribute ->> 0 AS key, w.attribute ->> 1 AS type
        FROM jsonb_array_elements(wanted) WITH ORDINALITY AS w (attribute, place)
        WHERE NOT EXISTS (
            SELECT FROM tidegauge.promoted_attributes p WHERE p.key = w.attribute ->> 0 AND p.type = w.attribute ->> 1
        )
        ORDER BY w.place
    LOOP
        PERFORM tidegauge.add_promoted_attribute(added.key, added.type);
    END LOOP;

    SELECT string_agg(
        format(
            E'    value := NEW.attributes -> %L;\n    IF value IS NOT NULL THEN\n        NEW.%I := tidegauge.%I(value);\n    END IF;\n',
            p.key, p.column_name, 'promoted_' || p.type
        ), '' ORDER BY p.place
    ) INTO body
    FROM tidegauge.promoted_attributes p WHERE p.is_active;
    PERFORM tidegauge.apply_promotion_trigger(body);
END
$$;

-- A column for a key, NULL for all that is stored. In analytics.traces its name is the key, where that can be no other column's.
CREATE OR REPLACE FUNCTION tidegauge.add_promoted_attribute(promoted_key text, promoted_type text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    made text := format(
        'attribute_%s_%s', left(trim('_' FROM regexp_replace(lower(promoted_key), '[^a-z0-9]+', '_', 'g')), 32),
        left(md5(promoted_key || ' ' || promoted_type), 12)
    );
    -- No column of ours has a dot.
    is_name boolean := promoted_key LIKE '%.%' AND octet_length(promoted_key) <= 63
        AND NOT EXISTS (SELECT FROM tidegauge.promoted_attributes p WHERE p.view_name = promoted_key);
BEGIN
    EXECUTE format(
        'ALTER TABLE tidegauge.traces ADD COLUMN %I %s', made, CASE promoted_type WHEN 'double' THEN 'double precision' ELSE promoted_type END
    );
    EXECUTE format(
        'COMMENT ON COLUMN tidegauge.traces.%I IS %L', made,
        format('Attribute %s as %s, promoted by a setting; see promoted_attributes. NULL: none, or not of that type.', promoted_key, promoted_type)
    );
    INSERT INTO tidegauge.promoted_attributes (place, key, type, column_name, view_name, is_active, filled_from)
    SELECT count(*) + 1, promoted_key, promoted_type, made, CASE WHEN is_name THEN promoted_key ELSE made END, true, 'infinity'
    FROM tidegauge.promoted_attributes p;
END
$$;

-- The trigger that fills the columns, made of the statements in `body`; none for NULL.
CREATE OR REPLACE FUNCTION tidegauge.apply_promotion_trigger(body text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    source text := E'\nDECLARE\n    value jsonb;\nBEGIN\n' || body || E'    RETURN NEW;\nEND\n';
    is_there boolean := EXISTS (
        SELECT FROM pg_catalog.pg_trigger t
        WHERE t.tgrelid = 'tidegauge.traces'::regclass AND t.tgname = 'fill_promoted_attributes' AND t.tgenabled IN ('O', 'A')
    );
BEGIN
    IF body IS NULL THEN
        IF is_there THEN
            DROP TRIGGER fill_promoted_attributes ON tidegauge.traces;
            DROP FUNCTION tidegauge.fill_promoted_attributes();
            PERFORM tidegauge.apply_sparse_indexes();
        END IF;
        RETURN;
    END IF;
    IF is_there AND source IS NOT DISTINCT FROM (
        SELECT p.prosrc FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = 'tidegauge'::regnamespace AND p.proname = 'fill_promoted_attributes'
    ) THEN
        RETURN;
    END IF;
    -- From here to the end of the transaction nobody stores spans: each has gone through the trigger as it was, or goes through it as it will be.
    LOCK TABLE tidegauge.traces IN SHARE ROW EXCLUSIVE MODE;
    EXECUTE format('CREATE OR REPLACE FUNCTION tidegauge.fill_promoted_attributes() RETURNS trigger LANGUAGE plpgsql AS %L', source);
    IF NOT is_there THEN
        DROP TRIGGER IF EXISTS fill_promoted_attributes ON tidegauge.traces;
        CREATE TRIGGER fill_promoted_attributes BEFORE INSERT ON tidegauge.traces
            FOR EACH ROW EXECUTE FUNCTION tidegauge.fill_promoted_attributes();
    END IF;
    UPDATE tidegauge.promoted_attributes p
    SET filled_from = coalesce(
        (
            SELECT max(c.range_end) FROM timescaledb_information.chunks c
            WHERE c.hypertable_schema = 'tidegauge' AND c.hypertable_name = 'traces'
        ), '-infinity'
    )
    WHERE p.is_active AND (NOT is_there OR p.filled_from = 'infinity');
    PERFORM tidegauge.apply_sparse_indexes();
END
$$;

-- Those that revisions set, and those of what is promoted: for chunks that are compressed from now on.
CREATE OR REPLACE FUNCTION tidegauge.apply_sparse_indexes() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    wanted text;
BEGIN
    SELECT string_agg(format('%s(%I)', x.type, x.name), ', ') INTO wanted
    FROM (
        SELECT i.sparse ->> 'type' AS type, i.sparse ->> 'column' AS name
        FROM timescaledb_information.hypertable_columnstore_settings s
        CROSS JOIN LATERAL jsonb_array_elements(s.index::text::jsonb) AS i (sparse)
        WHERE s.hypertable = 'tidegauge.traces'::regclass AND i.sparse ->> 'source' = 'config'
            AND i.sparse ->> 'column' NOT LIKE 'attribute\_%'
        UNION ALL
        SELECT CASE p.type WHEN 'text' THEN 'bloom' ELSE 'minmax' END, p.column_name
        FROM tidegauge.promoted_attributes p
        WHERE p.is_active AND p.type <> 'boolean'
    ) x;
    IF wanted IS NOT NULL THEN
        EXECUTE format('ALTER TABLE tidegauge.traces SET (timescaledb.index = %L)', wanted);
    END IF;
EXCEPTION WHEN undefined_column OR invalid_parameter_value THEN
    RAISE NOTICE 'this TimescaleDB chooses its sparse indexes itself';
END
$$;

SELECT tidegauge.apply_promoted_attributes(current_setting('tidegauge.promoted_attributes')::jsonb);
