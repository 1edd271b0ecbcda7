-- Search: which transaction wrote what is known of a trace, so that a listing in pages knows what came after its first page.

-- NULL: before this revision. A snapshot of the first page tells of a row whether it was there then (docs/adr/0022).
ALTER TABLE tidegauge.trace_index ADD COLUMN written_by bigint;
ALTER TABLE tidegauge.trace_index ALTER COLUMN written_by SET DEFAULT pg_current_xact_id()::text::bigint;

-- Attributes of spans that have a column of their own, by the settings (sql/policies/promotion.sql, docs/adr/0027). A row is never removed, so that
-- a column is not given twice. Every span that begins at filled_from or later went through the trigger that fills the column.
CREATE TABLE tidegauge.promoted_attributes (
    place integer PRIMARY KEY,
    key text NOT NULL,
    type text NOT NULL CHECK (type IN ('text', 'bigint', 'double', 'boolean')),
    column_name text NOT NULL UNIQUE,
    view_name text NOT NULL UNIQUE,
    is_active boolean NOT NULL,
    filled_from timestamptz NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (key, type)
);

-- What of an attribute's value goes into a column, NULL where it does not fit: total functions, for a value must never cost a span. Values that
-- are equal in jsonb give the same, and greater numbers no smaller doubles: search relies on it. A text that is a number gives that number, since
-- the same attribute is sent as one or the other.
CREATE FUNCTION tidegauge.promoted_text(value jsonb) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN jsonb_typeof(value) NOT IN ('string', 'number', 'boolean') OR octet_length(value #>> '{}') > 1024 THEN NULL
        WHEN jsonb_typeof(value) = 'number' THEN trim_scale(value::numeric)::text
        ELSE value #>> '{}'
    END
$$;

CREATE FUNCTION tidegauge.promoted_bigint(value jsonb) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE jsonb_typeof(value)
        WHEN 'number' THEN CASE
            WHEN value::numeric BETWEEN -9223372036854775808 AND 9223372036854775807 AND value::numeric = trunc(value::numeric)
                THEN value::numeric::bigint
        END
        WHEN 'string' THEN CASE WHEN value #>> '{}' ~ '^[+-]?[0-9]{1,18}$' THEN (value #>> '{}')::bigint END
    END
$$;

-- Beyond what a double holds it is infinite, or zero.
CREATE FUNCTION tidegauge.promoted_double(value jsonb) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE jsonb_typeof(value)
        WHEN 'number' THEN CASE
            WHEN value::numeric > 1.7976931348623157e308 THEN 'Infinity'
            WHEN value::numeric < -1.7976931348623157e308 THEN '-Infinity'
            WHEN abs(value::numeric) < 2.2250738585072014e-308 THEN 0
            ELSE value::numeric::double precision
        END
        WHEN 'string' THEN CASE WHEN value #>> '{}' ~ '^[+-]?[0-9]{1,15}(\.[0-9]{1,15})?$' THEN (value #>> '{}')::double precision END
    END
$$;

CREATE FUNCTION tidegauge.promoted_boolean(value jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN value IN ('true', '"true"') THEN true WHEN value IN ('false', '"false"') THEN false END
$$;
