// What is taken from PUBLIC in the database, so that a reader's role is confined by PostgreSQL itself and not by the
// statement check alone (reader_gate.mjs). Run at every opening; idempotent.
import { identifier, literal } from './session.mjs';

/** Volatile functions that a reader may call: they read, or touch nothing but the session's random numbers. */
const HARMLESS = [
  'random', 'random_normal', 'setseed', 'gen_random_uuid', 'clock_timestamp', 'timeofday', 'pg_advisory_unlock_all',
  'pg_relation_size', 'pg_total_relation_size', 'pg_table_size', 'pg_indexes_size', 'pg_database_size', 'pg_size_pretty',
  'pg_get_keywords', 'pg_timezone_names', 'pg_cursor', 'pg_prepared_statement', 'pg_show_all_settings', 'pg_sequence_last_value',
  'pg_lock_status', 'pg_available_extensions', 'pg_available_extension_versions', 'pg_extension_update_paths', 'pg_is_in_recovery',
  'currval', 'lastval',
];
/** Stable functions that read what tables' privileges do not guard, or run SQL given as text. */
const REFUSED = [
  'database_to_xml', 'database_to_xmlschema', 'database_to_xml_and_xmlschema', 'schema_to_xml', 'schema_to_xmlschema',
  'schema_to_xml_and_xmlschema', 'table_to_xml', 'table_to_xmlschema', 'table_to_xml_and_xmlschema', 'query_to_xml',
  'query_to_xmlschema', 'query_to_xml_and_xmlschema', 'cursor_to_xml', 'cursor_to_xmlschema', 'ts_stat', 'ts_rewrite',
  'pg_current_logfile', 'pg_hba_file_rules', 'pg_ident_file_mappings', 'pg_show_all_file_settings', 'set_config',
];
/** Volatile functions of TimescaleDB that only look. */
const HARMLESS_TIMESCALE = [
  'time_bucket_gapfill', 'locf', 'interpolate', 'hypertable_size', 'hypertable_detailed_size', 'hypertable_index_size',
  'chunks_detailed_size', 'approximate_row_count', 'hypertable_approximate_size', 'hypertable_approximate_detailed_size',
  'hypertable_compression_stats', 'hypertable_columnstore_stats', 'chunk_compression_stats', 'chunk_columnstore_stats',
  'relation_size', 'relation_approximate_size', 'hypertable_local_size', 'indexes_local_size', 'chunks_local_size',
  'compressed_chunk_local_stats', 'cagg_watermark', 'cagg_watermark_materialized', 'show_chunks',
  'has_invalidation_trigger', 'get_approx_row_count', 'get_orderby_defaults', 'get_segmentby_defaults', 'time_to_internal',
  'show_chunk', 'show_policies', 'chunk_status', 'get_hypertable_id', 'to_date', 'to_interval', 'to_timestamp',
  'to_timestamp_without_timezone', 'to_unix_microseconds', 'generate_uuid',
];

const list = (names) => names.map(literal).join(', ');

function revokeSql() {
  return `DO $do$
DECLARE each record;
BEGIN
  FOR each IN
    SELECT p.oid::pg_catalog.regprocedure AS signature, p.prokind
      FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
      LEFT JOIN pg_catalog.pg_depend d
        ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e'
     WHERE (n.nspname = 'pg_catalog' OR d.objid IS NOT NULL)
       AND (p.proname IN (${list(REFUSED)})
            OR p.prokind = 'p'
            OR p.proname LIKE ANY (ARRAY['lo\\_%', 'pg\\_read\\_%', 'pg\\_ls\\_%', 'pg\\_stat\\_reset%', 'pg\\_replication%',
                                         'pg\\_logical%', 'pg\\_file%', 'pg\\_stat\\_file', 'dblink%'])
            OR (p.provolatile = 'v' AND p.prorettype NOT IN ('pg_catalog.trigger'::pg_catalog.regtype, 'pg_catalog.event_trigger'::pg_catalog.regtype)
                AND p.proname NOT IN (${list([...HARMLESS, ...HARMLESS_TIMESCALE])})
                AND p.proname NOT LIKE 'pg\\_stat\\_get%' AND p.prokind = 'f'))
       AND EXISTS (SELECT 1 FROM pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) a
                    WHERE a.grantee = 0 AND a.privilege_type = 'EXECUTE')
  LOOP
    EXECUTE pg_catalog.format('REVOKE EXECUTE ON %s %s FROM PUBLIC',
      CASE each.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, each.signature);
  END LOOP;
END $do$`;
}

/** Statements for every opening: the reader's role, and what PUBLIC may no longer do. */
export function confinementSql(reader) {
  const role = identifier(reader);
  return [
    `DO $do$ BEGIN
       IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = ${literal(reader)}) THEN
         CREATE ROLE ${role} NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT;
       END IF;
     END $do$`,
    'REVOKE CREATE ON SCHEMA public FROM PUBLIC',
    // PostgreSQL's initdb does so; PGlite's cluster comes without.
    'REVOKE ALL ON TABLE pg_catalog.pg_largeobject FROM PUBLIC',
    revokeSql(),
  ];
}
