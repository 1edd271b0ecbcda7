-- The role that analysts' logins are members of: it reads the schema analytics and nothing else of ours. USAGE of tidegauge lets names there
-- be resolved, which timescaledb_information.hypertable_columnstore_settings and the size functions do; it opens no table. The settings name it:
-- tidegauge.reader_role and tidegauge.reader_statement_timeout are set for this transaction by whoever runs this file.
--
-- Without CREATEROLE, or without ADMIN OPTION on a role that exists, this warns and leaves out what it may not do.

DO $$
DECLARE
    reader text := current_setting('tidegauge.reader_role');
    extension_schema text := (
        SELECT n.nspname FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
        WHERE e.extname = 'timescaledb'
    );
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = reader) THEN
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', reader);
        EXCEPTION
            WHEN insufficient_privilege THEN
                RAISE WARNING 'the role % does not exist and % may not create it: views are there, but nobody reads them yet',
                    reader, current_user
                    USING HINT = format('have an administrator run CREATE ROLE %I NOLOGIN, then migrate again', reader);
                RETURN;
            -- Another database of this server is being migrated at this moment.
            WHEN duplicate_object OR unique_violation THEN
                NULL;
        END;
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA analytics, tidegauge TO %I', reader);
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA analytics TO %I', reader);
    BEGIN
        EXECUTE format(
            'ALTER ROLE %I IN DATABASE %I SET search_path = analytics, public, %I', reader, current_database(), extension_schema
        );
        EXECUTE format('ALTER ROLE %I IN DATABASE %I SET default_transaction_read_only = on', reader, current_database());
        EXECUTE format(
            'ALTER ROLE %I IN DATABASE %I SET statement_timeout = %L',
            reader, current_database(), current_setting('tidegauge.reader_statement_timeout')
        );
    EXCEPTION WHEN insufficient_privilege THEN
        RAISE WARNING '% may not change the settings of the role %: its search_path stays as it is', current_user, reader
            USING HINT = 'analysts write analytics.metrics, or SET search_path = analytics, public';
    END;
END
$$;

-- The role that the SQL endpoint signs in as on a server: a member of the reader and no more. tidegauge.sql_verifier is made from its password, which
-- no server is told in clear; both settings are empty where there is no such role: in the embedded database, whose server confines readers itself.
DO $$
DECLARE
    reader text := current_setting('tidegauge.reader_role');
    endpoint text := current_setting('tidegauge.sql_role');
    verifier text := current_setting('tidegauge.sql_verifier');
    setting text;
BEGIN
    IF endpoint = '' OR NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = reader) THEN
        RETURN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = endpoint) THEN
        BEGIN
            EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS', endpoint);
            EXECUTE format('COMMENT ON ROLE %I IS %L', endpoint, 'Tidegauge''s SQL endpoint signs in as this role; reads the schema analytics.');
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN
                NULL;
        END;
    END IF;
    BEGIN
        IF verifier <> '' THEN
            EXECUTE format('ALTER ROLE %I LOGIN PASSWORD %L', endpoint, verifier);
        END IF;
        IF NOT pg_catalog.pg_has_role(endpoint, reader, 'MEMBER') THEN
            EXECUTE format('GRANT %I TO %I', reader, endpoint);
        END IF;
    EXCEPTION
        -- "tuple concurrently updated": another database of this server is being migrated at this moment, and sets the same.
        WHEN internal_error OR unique_violation THEN
            NULL;
    END;
    FOREACH setting IN ARRAY ARRAY[
        'default_transaction_read_only = on',
        format('statement_timeout = %L', current_setting('tidegauge.sql_timeout')),
        format('idle_in_transaction_session_timeout = %L', current_setting('tidegauge.sql_timeout')),
        'idle_session_timeout = ''60s''',
        format('work_mem = %L', current_setting('tidegauge.sql_work_mem')),
        'max_parallel_workers_per_gather = 0'
    ] LOOP
        EXECUTE format('ALTER ROLE %I IN DATABASE %I SET ', endpoint, current_database()) || setting;
    END LOOP;
    BEGIN
        EXECUTE format(
            'ALTER ROLE %I IN DATABASE %I SET temp_file_limit = %L', endpoint, current_database(), current_setting('tidegauge.sql_temp_bytes')
        );
    EXCEPTION WHEN insufficient_privilege THEN
        -- A superuser's to set. Without it a statement's time alone bounds what it writes to disk.
        NULL;
    END;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING '% may not make or change the role %: POST /api/v1/sql does not answer yet', current_user, endpoint
        USING HINT = 'set TIDEGAUGE_SQL_DATABASE_URL to the address of a role that is a member of the reader role and no more';
END
$$;
