-- What a database is, as (kind, name, definition): compared with what migrations make. Definitions read the same on every version
-- of PostgreSQL and TimescaleDB that we support, or are compared only with definitions of the same database.

-- name: structure
-- What sql/schema makes, and anything else that stands in our storage schema.
SELECT 'table' AS kind, k.relname::text AS name, (
    SELECT 'hypertable, segment by ' || coalesce(nullif(s.segmentby, ''), 'nothing')
    FROM timescaledb_information.hypertables h
    LEFT JOIN timescaledb_information.hypertable_columnstore_settings s ON s.hypertable = k.oid
    WHERE h.hypertable_schema = 'tidegauge' AND h.hypertable_name = k.relname
) AS definition
FROM pg_catalog.pg_class k
WHERE k.relnamespace = 'tidegauge'::regnamespace AND k.relkind IN ('r', 'p')
UNION ALL
SELECT
    'rollup',
    c.view_name::text,
    'of ' || coalesce(s.view_name, c.hypertable_name) || CASE WHEN c.materialized_only THEN ', materialised only' ELSE '' END
FROM timescaledb_information.continuous_aggregates c
LEFT JOIN timescaledb_information.continuous_aggregates s
    ON s.materialization_hypertable_schema = c.hypertable_schema AND s.materialization_hypertable_name = c.hypertable_name
WHERE c.view_schema = 'tidegauge'
UNION ALL
SELECT
    'column',
    k.relname || '.' || a.attname,
    pg_catalog.format_type(a.atttypid, a.atttypmod)
    || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
    || CASE a.attidentity WHEN 'a' THEN ' identity' WHEN 'd' THEN ' identity by default' ELSE '' END
    || coalesce(
        CASE WHEN a.attgenerated = '' THEN ' default ' ELSE ' generated as ' END || pg_catalog.pg_get_expr(d.adbin, d.adrelid), ''
    )
FROM pg_catalog.pg_class k
JOIN pg_catalog.pg_attribute a ON a.attrelid = k.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = k.oid AND d.adnum = a.attnum
WHERE k.relnamespace = 'tidegauge'::regnamespace AND k.relkind IN ('r', 'p', 'v', 'm')
    -- Those follow from settings.
    AND NOT (k.relname = 'traces' AND a.attname LIKE 'attribute\_%%')
UNION ALL
SELECT 'index', i.relname::text, pg_catalog.pg_get_indexdef(i.oid)
FROM pg_catalog.pg_class i
WHERE i.relnamespace = 'tidegauge'::regnamespace AND i.relkind IN ('i', 'I')
UNION ALL
-- Indexes of rollups belong to what they are materialised in, whose name is numbered.
SELECT
    'index',
    c.view_name || ' (' || string_agg(pg_catalog.pg_get_indexdef(x.indexrelid, a.n, true), ', ' ORDER BY a.n) || ')',
    CASE WHEN x.indisvalid THEN '' ELSE 'not valid' END
FROM timescaledb_information.continuous_aggregates c
JOIN pg_catalog.pg_index x
    ON x.indrelid = format('%%I.%%I', c.materialization_hypertable_schema, c.materialization_hypertable_name)::regclass
CROSS JOIN LATERAL generate_series(1, x.indnkeyatts) AS a (n)
WHERE c.view_schema = 'tidegauge'
GROUP BY c.view_name, x.indexrelid, x.indisvalid
UNION ALL
SELECT 'constraint', o.conrelid::regclass || ' ' || o.conname, pg_catalog.pg_get_constraintdef(o.oid)
FROM pg_catalog.pg_constraint o
JOIN pg_catalog.pg_class k ON k.oid = o.conrelid
WHERE k.relnamespace = 'tidegauge'::regnamespace AND o.contype IN ('c', 'f', 'p', 'u', 'x')
UNION ALL
SELECT 'type', t.typname::text, string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder)
FROM pg_catalog.pg_type t
JOIN pg_catalog.pg_enum e ON e.enumtypid = t.oid
WHERE t.typnamespace = 'tidegauge'::regnamespace
GROUP BY t.typname
ORDER BY 1, 2;

-- name: surface
-- What is made anew after each migration: views, functions, and what policies set. A refresh's start that moves with the clock,
-- because its source was dropped further than the retention says, is left out.
SELECT 'view' AS kind, n.nspname || '.' || k.relname AS name, pg_catalog.pg_get_viewdef(k.oid) AS definition
FROM pg_catalog.pg_class k
JOIN pg_catalog.pg_namespace n ON n.oid = k.relnamespace
WHERE n.nspname = 'analytics' AND k.relkind = 'v'
UNION ALL
SELECT 'function', p.oid::regprocedure::text, pg_catalog.pg_get_functiondef(p.oid)
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname IN ('tidegauge', 'analytics') AND p.prokind IN ('f', 'p')
UNION ALL
SELECT 'lifecycle', l.relation, concat_ws(
    ', ', 'chunks of ' || l.chunk_interval, 'compressed after ' || l.compress_after, 'kept for ' || l.retention,
    'refreshed from ' || CASE WHEN s.dropped_through = '-infinity' THEN l.refresh_start_offset END, 'to ' || l.refresh_end_offset,
    'every ' || l.refresh_every
)
FROM tidegauge.lifecycle l
LEFT JOIN tidegauge.lifecycle s ON s.relation = l.source
UNION ALL
SELECT 'chunk interval', d.hypertable_name::text, d.time_interval::text
FROM timescaledb_information.dimensions d
WHERE d.hypertable_schema = 'tidegauge' AND d.dimension_number = 1
UNION ALL
SELECT
    'job',
    coalesce(coalesce(j.config ->> 'relation', c.user_view_name, j.hypertable_name) || ': ', '') || j.proc_name,
    'every ' || j.schedule_interval || CASE WHEN j.scheduled THEN '' ELSE ', disabled' END || ', '
    || (
        j.config - '{hypertable_id,mat_hypertable_id}'::text[]
        - CASE WHEN s.dropped_through > '-infinity' THEN 'start_offset' ELSE '' END
    )
FROM timescaledb_information.jobs j
LEFT JOIN _timescaledb_catalog.continuous_agg c ON c.mat_hypertable_id = (j.config ->> 'mat_hypertable_id')::integer
LEFT JOIN tidegauge.lifecycle l ON l.relation = c.user_view_name
LEFT JOIN tidegauge.lifecycle s ON s.relation = l.source
WHERE j.hypertable_schema = 'tidegauge' OR j.proc_schema = 'tidegauge'
ORDER BY 1, 2;

-- name: foreign_jobs
-- Policies on our tables that are not ours. A retention policy above all: it drops chunks whether rollups cover them or not.
SELECT j.hypertable_name || ': ' || j.proc_name AS name, 'job ' || j.job_id || ', ' || j.config AS definition
FROM timescaledb_information.jobs j
WHERE
    j.hypertable_schema = 'tidegauge' AND j.scheduled
    AND j.proc_name NOT IN ('policy_compression', 'policy_refresh_continuous_aggregate')
ORDER BY 1;
