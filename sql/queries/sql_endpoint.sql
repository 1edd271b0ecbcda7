-- What stands around an analyst's statement on the SQL endpoint (src/tidegauge/storage/postgres/sql_endpoint.py).

-- name: begin
BEGIN TRANSACTION READ ONLY;

-- name: limits
-- Of this transaction; and how values are written, whatever the server's or the role's settings are. Without parallel workers a statement takes
-- one core at most; a cursor's plan has none anyway.
SELECT
    pg_catalog.set_config('statement_timeout', %(milliseconds)s, true),
    pg_catalog.set_config('idle_in_transaction_session_timeout', %(milliseconds)s, true),
    pg_catalog.set_config('lock_timeout', '1000', true),
    pg_catalog.set_config('work_mem', %(work_mem)s, true),
    pg_catalog.set_config('client_connection_check_interval', '1000', true),
    pg_catalog.set_config('cursor_tuple_fraction', '1', true),
    pg_catalog.set_config('standard_conforming_strings', 'on', true),
    pg_catalog.set_config('TimeZone', 'UTC', true),
    pg_catalog.set_config('DateStyle', 'ISO, YMD', true),
    pg_catalog.set_config('IntervalStyle', 'postgres', true),
    pg_catalog.set_config('bytea_output', 'hex', true),
    pg_catalog.set_config('extra_float_digits', '1', true),
    pg_catalog.set_config(
        'search_path',
        'analytics, public' || coalesce(
            (
                SELECT ', ' || pg_catalog.quote_ident(n.nspname)
                FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
                WHERE e.extname = 'timescaledb' AND n.nspname <> 'public'
            ),
            ''
        ),
        true
    );

-- name: powers
-- What the role that is signed in can do beyond reading the schema analytics; no row where it is nothing.
SELECT p.power
FROM pg_catalog.pg_roles r
CROSS JOIN LATERAL (
    SELECT 'is a superuser' AS power WHERE r.rolsuper
    UNION ALL SELECT 'may make roles' WHERE r.rolcreaterole
    UNION ALL SELECT 'may make databases' WHERE r.rolcreatedb
    UNION ALL SELECT 'may replicate' WHERE r.rolreplication
    UNION ALL SELECT 'is not bound by row-level security' WHERE r.rolbypassrls
    UNION ALL
    SELECT 'can act as the role ' || o.rolname
    FROM pg_catalog.pg_roles o
    WHERE (
        o.rolname IN (
            'pg_read_all_data', 'pg_write_all_data', 'pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program',
            'pg_signal_backend', 'pg_read_all_settings', 'pg_read_all_stats', 'pg_stat_scan_tables', 'pg_monitor', 'pg_checkpoint',
            'pg_create_subscription', 'pg_maintain', 'pg_use_reserved_connections', 'pg_database_owner'
        )
        OR o.oid IN (SELECT n.nspowner FROM pg_catalog.pg_namespace n WHERE n.nspname IN ('tidegauge', 'analytics'))
    )
    AND pg_catalog.pg_has_role(r.oid, o.oid, 'MEMBER')
    UNION ALL
    SELECT 'may read ' || c.oid::regclass
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'tidegauge' AND c.relname = 'users' AND pg_catalog.has_table_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE, DELETE')
) p
WHERE r.rolname = session_user
LIMIT 1;

-- name: declare
-- PostgreSQL's grammar has nothing but a SELECT (VALUES, TABLE, WITH … SELECT) behind FOR: the statement is put here.
DECLARE tidegauge_answer NO SCROLL CURSOR FOR

-- name: explain
-- The statement is put here, once it has passed as a cursor's.
EXPLAIN (FORMAT JSON)

-- name: columns
-- No rows: names and types alone.
FETCH FORWARD 0 FROM tidegauge_answer;

-- name: rows
-- One by one as they are computed; who has enough ends the statement.
FETCH FORWARD ALL FROM tidegauge_answer;

-- name: types
-- What the types are that an answer's columns have: domains are what they are made from.
WITH RECURSIVE base (oid, type_oid) AS (
    SELECT t.oid, t.oid FROM pg_catalog.pg_type t WHERE t.oid = ANY ($1::oid[])
    UNION ALL
    SELECT b.oid, t.typbasetype FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.type_oid WHERE t.typtype = 'd'
)
SELECT
    a.place, pg_catalog.format_type(a.oid, a.modifier) AS name,
    CASE WHEN e.oid IS NULL THEN t.typname ELSE e.typname END AS typname, e.oid IS NOT NULL AS is_array,
    coalesce(e.typdelim, t.typdelim) AS delimiter
FROM unnest($1::oid[], $2::integer[]) WITH ORDINALITY AS a (oid, modifier, place)
JOIN base b ON b.oid = a.oid
JOIN pg_catalog.pg_type t ON t.oid = b.type_oid AND t.typtype <> 'd'
LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
ORDER BY a.place;
