-- What stands behind promoted attributes (sql/policies/promotion.sql).
COMMENT ON TABLE tidegauge.promoted_attributes IS 'Attributes of spans that have a column of their own in traces, by a setting.';
COMMENT ON COLUMN tidegauge.promoted_attributes.place IS 'Order in which they came, from 1.';
COMMENT ON COLUMN tidegauge.promoted_attributes.key IS 'The attribute''s key.';
COMMENT ON COLUMN tidegauge.promoted_attributes.type IS 'The column''s: text, bigint, double or boolean.';
COMMENT ON COLUMN tidegauge.promoted_attributes.column_name IS 'The column of tidegauge.traces.';
COMMENT ON COLUMN tidegauge.promoted_attributes.view_name IS 'The column of analytics.traces.';
COMMENT ON COLUMN tidegauge.promoted_attributes.is_active IS 'Whether settings still promote it: else the column stays, and is not filled any more.';
COMMENT ON COLUMN tidegauge.promoted_attributes.filled_from IS 'Every span that begins here or later was stored with the column filled.';
COMMENT ON COLUMN tidegauge.promoted_attributes.changed_at IS 'When it was promoted, or no longer.';
COMMENT ON FUNCTION tidegauge.promoted_text(jsonb) IS 'An attribute''s value as a promoted column has it: a text, number or boolean of 1024 bytes at the most.';
COMMENT ON FUNCTION tidegauge.promoted_bigint(jsonb) IS 'An attribute''s value as a promoted column has it: a whole number, or a text that is one.';
COMMENT ON FUNCTION tidegauge.promoted_double(jsonb) IS 'An attribute''s value as a promoted column has it: a number, or a text that is one.';
COMMENT ON FUNCTION tidegauge.promoted_boolean(jsonb) IS 'An attribute''s value as a promoted column has it: a boolean, or a text that is one.';
COMMENT ON FUNCTION tidegauge.apply_promoted_attributes(jsonb) IS 'Makes columns and trigger of promoted attributes, an array of [key, type], where they differ.';
COMMENT ON FUNCTION tidegauge.add_promoted_attribute(text, text) IS 'Makes a column of an attribute.';
COMMENT ON FUNCTION tidegauge.apply_promotion_trigger(text) IS 'Makes the trigger that fills columns of promoted attributes, or takes it away.';
COMMENT ON FUNCTION tidegauge.apply_sparse_indexes() IS 'Sparse indexes of spans in the columnstore, from the next compression on.';
DO $$
DECLARE
    promoted record;
BEGIN
    FOR promoted IN SELECT * FROM tidegauge.promoted_attributes LOOP
        EXECUTE format(
            'COMMENT ON COLUMN analytics.traces.%I IS %L', promoted.view_name,
            format('Attribute %s as %s; NULL: none, not of that type, or ', promoted.key, promoted.type) || CASE
                WHEN promoted.is_active THEN 'a span that was stored before ' || to_char(promoted.changed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"')
                ELSE 'not promoted when the span was stored'
            END
        );
    END LOOP;
    IF to_regprocedure('tidegauge.fill_promoted_attributes()') IS NOT NULL THEN
        COMMENT ON FUNCTION tidegauge.fill_promoted_attributes() IS 'Trigger: fills the columns of promoted attributes.';
    END IF;
END
$$;
