-- What a connection or transaction starts with.

-- name: extension_schema
-- Where TimescaleDB's functions live; no row where the extension is missing.
SELECT n.nspname FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'timescaledb';

-- name: begin_limits
-- Limits of this transaction alone, in milliseconds; and TimescaleDB's functions, not tables, are found unqualified. Statements over many
-- chunks look costly enough to be compiled, which takes many times as long as they do.
SELECT
    pg_catalog.set_config('statement_timeout', %(statement_timeout)s, true),
    pg_catalog.set_config('lock_timeout', %(lock_timeout)s, true),
    pg_catalog.set_config('search_path', %(search_path)s, true),
    pg_catalog.set_config('jit', 'off', true);

-- name: ping
SELECT 1;

-- name: set_search_path
-- For the session: where no transaction can hold it.
SELECT pg_catalog.set_config('search_path', %(search_path)s, false);

-- name: reset_search_path
RESET search_path;
