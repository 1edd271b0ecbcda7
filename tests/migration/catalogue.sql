-- The canonical text of what our two schemas hold: one line each, in order. Lines with portable = false differ between PostgreSQL's
-- versions or between databases that can do different things; they have to be equal only on the same database.
WITH ours AS (
    SELECT n.oid, n.nspname FROM pg_catalog.pg_namespace n WHERE n.nspname IN ('tidegauge', 'analytics')
),

relation AS (
    SELECT c.oid, c.relkind, format('%I.%I', o.nspname, c.relname) AS name, c.relacl, c.relowner
    FROM pg_catalog.pg_class c
    JOIN ours o ON o.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'v', 'm', 'S', 'p')
),

routine AS (
    SELECT p.*, format('%I.%I(%s)', o.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS name
    FROM pg_catalog.pg_proc p
    JOIN ours o ON o.oid = p.pronamespace
),

hypertable AS (
    SELECT format('%I.%I', h.hypertable_schema, h.hypertable_name) AS name, h.hypertable_schema AS schema, h.hypertable_name AS table_name
    FROM timescaledb_information.hypertables h
    WHERE h.hypertable_schema <> '_timescaledb_internal'
    UNION ALL
    SELECT format('%I.%I', c.view_schema, c.view_name), c.materialization_hypertable_schema, c.materialization_hypertable_name
    FROM timescaledb_information.continuous_aggregates c
),

line (portable, text) AS (
    SELECT true, format('schema %s -- %s', o.nspname, obj_description(o.oid, 'pg_namespace')) FROM ours o
    UNION ALL
    SELECT true, format('%s %s -- %s', CASE r.relkind WHEN 'v' THEN 'view' WHEN 'S' THEN 'sequence' ELSE 'table' END, r.name, obj_description(r.oid, 'pg_class'))
    FROM relation r
    UNION ALL
    SELECT
        true,
        format(
            '  column %s.%I #%s %s%s%s%s -- %s', r.name, a.attname, lpad(a.attnum::text, 2, '0'), format_type(a.atttypid, a.atttypmod),
            CASE WHEN a.attnotnull THEN ' not null' END, CASE WHEN a.attidentity <> '' THEN ' identity ' || a.attidentity::text END,
            ' default ' || pg_get_expr(d.adbin, d.adrelid), col_description(r.oid, a.attnum)
        )
    FROM relation r
    JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum
    WHERE r.relkind <> 'S'
    UNION ALL
    SELECT false, format('  definition %s %s', r.name, regexp_replace(pg_get_viewdef(r.oid), '_hypertable_\d+|watermark\(\d+\)', 'N', 'g')) FROM relation r WHERE r.relkind = 'v'
    UNION ALL
    SELECT true, format('  constraint %s %s %s', r.name, c.conname, pg_get_constraintdef(c.oid))
    FROM relation r
    JOIN pg_catalog.pg_constraint c ON c.conrelid = r.oid AND c.contype <> 'n'
    UNION ALL
    SELECT true, '  ' || pg_get_indexdef(i.indexrelid)
    FROM relation r
    JOIN pg_catalog.pg_index i ON i.indrelid = r.oid
    UNION ALL
    SELECT true, format('  index on %s %s', h.name, substring(pg_get_indexdef(i.indexrelid) FROM 'USING.*'))
    FROM hypertable h
    JOIN pg_catalog.pg_index i ON i.indrelid = format('%I.%I', h.schema, h.table_name)::regclass
    WHERE h.schema = '_timescaledb_internal'
    UNION ALL
    SELECT
        true,
        format(
            'routine %s kind %s returns %s volatility %s parallel %s definer %s config %s -- %s', f.name, f.prokind,
            pg_get_function_result(f.oid), f.provolatile, f.proparallel, f.prosecdef, f.proconfig,
            obj_description(f.oid, 'pg_proc')
        )
    FROM routine f
    UNION ALL
    SELECT false, format('  body %s %s', f.name, f.prosrc) FROM routine f
    UNION ALL
    SELECT
        true,
        format(
            'type %s.%s %s -- %s', o.nspname, t.typname, array_agg(e.enumlabel ORDER BY e.enumsortorder), obj_description(t.oid, 'pg_type')
        )
    FROM pg_catalog.pg_type t
    JOIN ours o ON o.oid = t.typnamespace
    JOIN pg_catalog.pg_enum e ON e.enumtypid = t.oid
    GROUP BY o.nspname, t.typname, t.oid
    UNION ALL
    SELECT true, format('hypertable %s by %s every %s', h.name, d.column_name, d.time_interval)
    FROM hypertable h
    JOIN timescaledb_information.dimensions d
        ON d.hypertable_schema = h.schema AND d.hypertable_name = h.table_name
    UNION ALL
    SELECT true, format('continuous aggregate %s.%s materialized only %s', c.view_schema, c.view_name, c.materialized_only)
    FROM timescaledb_information.continuous_aggregates c
    UNION ALL
    SELECT true, format('columnstore %s segment by %s order by %s', s.hypertable, s.segmentby, s.orderby)
    FROM timescaledb_information.hypertable_columnstore_settings s
    WHERE s.hypertable::text LIKE 'tidegauge.%'
    UNION ALL
    SELECT
        true,
        format(
            'job %s.%s every %s on %s with %s', j.proc_schema, j.proc_name, j.schedule_interval, j.hypertable_schema || '.' || j.hypertable_name,
            j.config - 'hypertable_id' - 'mat_hypertable_id'
        )
    FROM timescaledb_information.jobs j
    WHERE j.job_id >= 1000
    UNION ALL
    SELECT true, format('grant %s on %s to %s', x.privilege_type, g.name, coalesce(w.rolname, 'PUBLIC'))
    FROM (
        SELECT r.name, r.relacl AS acl, r.relowner AS owner FROM relation r
        UNION ALL
        SELECT 'schema ' || n.nspname, n.nspacl, n.nspowner FROM pg_catalog.pg_namespace n JOIN ours o ON o.oid = n.oid
    ) g
    CROSS JOIN aclexplode(g.acl) x
    LEFT JOIN pg_catalog.pg_roles w ON w.oid = x.grantee
    WHERE x.grantee <> g.owner
    UNION ALL
    SELECT true, 'reader ' || c.setting
    FROM pg_catalog.pg_db_role_setting s
    JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase AND d.datname = current_database()
    CROSS JOIN unnest(s.setconfig) AS c (setting)
    UNION ALL
    SELECT true, 'revision ' || v.version_num FROM tidegauge.alembic_version v
)

SELECT portable, text FROM line ORDER BY text COLLATE "C", portable;
