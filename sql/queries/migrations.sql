-- What a migration asks and sets outside the revisions themselves.

-- name: facts
-- What migrations and capabilities depend on; one row. Settings that do not exist (yet) are NULL.
SELECT
    current_setting('server_version_num')::int AS server_version_num,
    version() AS version,
    (SELECT e.extversion FROM pg_catalog.pg_extension e WHERE e.extname = 'timescaledb') AS timescaledb_version,
    (
        SELECT n.nspname FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
        WHERE e.extname = 'timescaledb'
    ) AS timescaledb_schema,
    (SELECT a.default_version FROM pg_catalog.pg_available_extensions a WHERE a.name = 'timescaledb') AS timescaledb_available,
    -- NULL for whom the server does not show it
    (SELECT s.setting FROM pg_catalog.pg_settings s WHERE s.name = 'shared_preload_libraries') AS preloaded,
    current_setting('timescaledb.license', true) AS timescaledb_license,
    coalesce(current_setting('timescaledb.max_background_workers', true)::int, 0) AS timescaledb_background_workers,
    current_setting('timescaledb.enable_direct_compress_copy', true) IS NOT NULL AS timescaledb_direct_compress;

-- name: create_extension
-- The extension's own schema, where its functions are found: public unless it exists elsewhere already.
CREATE EXTENSION IF NOT EXISTS timescaledb SCHEMA public;

-- name: create_storage_schema
CREATE SCHEMA IF NOT EXISTS tidegauge;

-- name: try_lock
-- One migration at a time in this database, until the end of the transaction.
SELECT pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended('tidegauge.migrations', 0));

-- name: wait_lock
SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('tidegauge.migrations', 0));

-- name: version
-- The revisions that the database is at: one, or none.
SELECT version_num FROM tidegauge.alembic_version;

-- name: set_local
-- A setting for this transaction alone.
SELECT pg_catalog.set_config(%(name)s, %(value)s, true);

-- name: surface_fingerprint
-- What the views and functions that are there were made from; no row where they are not there.
SELECT fingerprint FROM tidegauge.surface;

-- name: keep_surface_fingerprint
INSERT INTO tidegauge.surface (fingerprint) VALUES (%(fingerprint)s)
ON CONFLICT (singleton) DO UPDATE SET fingerprint = excluded.fingerprint, made_at = now();

-- name: role_exists
SELECT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = %(role)s);

-- name: apply_lifecycle
-- Chunk intervals and jobs as tidegauge.lifecycle says.
SELECT tidegauge.apply_lifecycle(%(by_workers)s);
