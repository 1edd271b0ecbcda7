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
