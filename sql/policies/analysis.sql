-- The service map: pairs calls with who called, and keeps the examples' traces. Made anew after every migration; sql/policies/drop.sql
-- removes it. What is exact about it, and why: docs/adr/0024.

-- A minute is computed when it has ended so long ago. What comes later is found by its count.
CREATE OR REPLACE FUNCTION tidegauge.service_map_lag() RETURNS interval LANGUAGE sql IMMUTABLE AS $$ SELECT INTERVAL '2 minutes' $$;

-- Spans in [range_start, range_end) that were called, each once, with the caller, and calls to peers that send no spans themselves.
-- A span was called if it is a SERVER or CONSUMER span (or says nothing of its kind), and its parent is another service's or a CLIENT or
-- PRODUCER span. The parent is looked for from an hour before the range to a minute behind it. Without a parent: is_orphan, no edge.
-- A peer is what a CLIENT or PRODUCER span's own attributes name: a database (db.*), a queue (messaging.*), or a
-- peer.service that is no known service; so no answer depends on a span that is missing.
CREATE OR REPLACE FUNCTION tidegauge.find_calls(range_start timestamptz, range_end timestamptz)
RETURNS TABLE (
    start_time timestamptz, tenant_id smallint, client_application_id integer, server_application_id integer, peer text, call smallint, duration_ns bigint,
    client_duration_ns bigint, is_error boolean, parent_start_time timestamptz, is_orphan boolean
)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE
    -- With the application known the index finds a minute; without it a whole chunk is read.
    every_application integer[] := ARRAY(SELECT a.application_id FROM tidegauge.applications a);
BEGIN
    RETURN QUERY
    WITH span AS MATERIALIZED (
        SELECT t.start_time, t.tenant_id, t.trace_id, t.span_id, t.parent_span_id, t.application_id, t.kind, t.status_code, t.duration_ns
        FROM tidegauge.traces t
        WHERE t.start_time >= range_start AND t.start_time < range_end AND t.application_id = ANY (every_application)
    ),
    called AS (
        -- A span that came twice in differently batched requests is one call.
        SELECT DISTINCT ON (s.tenant_id, s.trace_id, s.span_id) s.*
        FROM span s
        WHERE s.kind IN (0, 2, 5) AND s.parent_span_id IS NOT NULL AND s.parent_span_id <> s.span_id
        ORDER BY s.tenant_id, s.trace_id, s.span_id, s.start_time, s.duration_ns DESC
    ),
    near AS (
        SELECT DISTINCT ON (c.tenant_id, c.trace_id, c.span_id)
            c.*, p.application_id AS client_application_id, p.kind AS client_kind, p.status_code AS client_status, p.duration_ns AS client_duration,
            p.start_time AS client_start
        FROM called c
        LEFT JOIN span p ON p.trace_id = c.trace_id AND p.span_id = c.parent_span_id AND p.tenant_id = c.tenant_id
        ORDER BY c.tenant_id, c.trace_id, c.span_id, p.start_time, p.duration_ns DESC
    ),
    paired AS (
        SELECT * FROM near WHERE client_application_id IS NOT NULL
        UNION ALL
        SELECT
            n.start_time, n.tenant_id, n.trace_id, n.span_id, n.parent_span_id, n.application_id, n.kind, n.status_code, n.duration_ns,
            p.application_id, p.kind, p.status_code, p.duration_ns, p.start_time
        FROM near n
        LEFT JOIN LATERAL (
            SELECT t.application_id, t.kind, t.status_code, t.duration_ns, t.start_time
            FROM tidegauge.traces t
            WHERE t.trace_id = n.trace_id AND t.span_id = n.parent_span_id AND t.tenant_id = n.tenant_id
            AND t.start_time >= range_start - INTERVAL '1 hour' AND t.start_time < range_end + INTERVAL '1 minute'
            ORDER BY t.start_time, t.duration_ns DESC
            LIMIT 1
        ) p ON true
        WHERE n.client_application_id IS NULL
    )
    SELECT
        c.start_time, c.tenant_id, c.client_application_id, c.application_id, '',
        (CASE WHEN c.kind = 5 OR c.client_kind = 4 THEN 2 ELSE 1 END)::smallint, greatest(c.duration_ns, 0),
        greatest(c.client_duration, 0), c.status_code = 2 OR (c.client_kind IN (3, 4) AND c.client_status = 2), c.client_start,
        c.client_application_id IS NULL
    FROM paired c
    WHERE c.client_application_id IS NULL OR c.client_application_id <> c.application_id OR c.client_kind IN (3, 4)
    UNION ALL
    SELECT
        o.start_time, o.tenant_id, o.application_id, NULL, left(o.peer, 200), o.call, greatest(o.duration_ns, 0),
        greatest(o.duration_ns, 0), o.status_code = 2, NULL, false
    FROM (
        SELECT DISTINCT ON (t.tenant_id, t.trace_id, t.span_id)
            t.start_time, t.tenant_id, t.application_id, t.duration_ns, t.status_code, k.call,
            CASE k.call
                WHEN 3 THEN k.database || coalesce(':' || coalesce(t.attributes ->> 'db.namespace', t.attributes ->> 'db.name'), '')
                WHEN 2 THEN (t.attributes ->> 'messaging.system') || coalesce(':' || (t.attributes ->> 'messaging.destination.name'), '')
                ELSE t.attributes ->> 'peer.service'
            END AS peer
        FROM tidegauge.traces t
        CROSS JOIN LATERAL (
            SELECT
                coalesce(t.attributes ->> 'db.system.name', t.attributes ->> 'db.system') AS database,
                (CASE
                    WHEN t.attributes ?| ARRAY['db.system.name', 'db.system'] THEN 3
                    WHEN t.attributes ? 'messaging.system' THEN 2
                    ELSE 1
                END)::smallint AS call
        ) k
        WHERE t.start_time >= range_start AND t.start_time < range_end AND t.application_id = ANY (every_application)
        AND t.kind IN (3, 4) AND t.attributes ?| ARRAY['db.system.name', 'db.system', 'messaging.system', 'peer.service']
        ORDER BY t.tenant_id, t.trace_id, t.span_id, t.start_time, t.duration_ns DESC
    ) o
    WHERE o.peer <> ''
    AND (o.call <> 1 OR NOT EXISTS (SELECT FROM tidegauge.applications a WHERE a.tenant_id = o.tenant_id AND a.name = o.peer));
END
$$;

-- Minutes of the map in a range that are to be computed: spans were added since, a parent has come, or never computed. As far as spans are
-- there.
CREATE OR REPLACE FUNCTION tidegauge.service_map_pending(
    range_start timestamptz DEFAULT '-infinity', range_end timestamptz DEFAULT 'infinity'
)
RETURNS TABLE (bucket timestamptz, spans bigint)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
#variable_conflict use_column
DECLARE
    raw_start timestamptz;
    counted timestamptz;
    closed timestamptz := time_bucket(INTERVAL '1 minute', now() - tidegauge.service_map_lag());
    usual bigint := (SELECT m.spans FROM tidegauge.service_map_minutes m ORDER BY m.bucket DESC LIMIT 1);
BEGIN
    -- A minute whose spans or their parents are partly dropped would lose edges; it has been computed before.
    SELECT greatest(greatest(l.dropped_through, TIMESTAMPTZ '1970-01-01 00:00:00+00') + INTERVAL '1 hour', range_start) INTO raw_start
    FROM tidegauge.lifecycle l WHERE l.relation = 'traces';
    -- What is materialised, without what is still to be counted from spans.
    EXECUTE format('SELECT max(c.bucket) + INTERVAL ''1 minute'' FROM %s c', tidegauge.hypertable_of('span_minutes')) INTO counted;
    RETURN QUERY EXECUTE format(
        'SELECT c.bucket, c.count FROM %s c LEFT JOIN tidegauge.service_map_minutes m ON m.bucket = c.bucket'
        ' WHERE c.bucket >= $1 AND c.bucket < $2 AND (m.bucket IS NULL OR m.spans < c.count OR m.is_stale)',
        tidegauge.hypertable_of('span_minutes')
    ) USING raw_start, least(closed, range_end);
    RETURN QUERY
    SELECT minute, coalesce(m.spans, usual, 0)
    FROM generate_series(greatest(counted, closed - INTERVAL '1 hour', raw_start), closed - INTERVAL '1 minute', INTERVAL '1 minute') minute
    LEFT JOIN tidegauge.service_map_minutes m ON m.bucket = minute
    WHERE minute < range_end AND (m.bucket IS NULL OR m.is_stale);
END
$$;

-- Compute [range_start, range_end), whole minutes, anew. Returns how many spans it read. To be called in a transaction of its own.
CREATE OR REPLACE FUNCTION tidegauge.compute_service_map(range_start timestamptz, range_end timestamptz) RETURNS bigint
LANGUAGE plpgsql SET search_path FROM CURRENT SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE
    every_application integer[] := ARRAY(SELECT a.application_id FROM tidegauge.applications a);
    minutes timestamptz[];
    counts bigint[];
    counted bigint[];
    later timestamptz[];
    ahead_now bigint;
BEGIN
    -- Counted first: what is added from here on makes the minute differ from its count, and so is found.
    EXECUTE format(
        'SELECT array_agg(coalesce(c.count, 0) ORDER BY g.minute)'
        ' FROM generate_series($1, $2 - INTERVAL ''1 minute'', INTERVAL ''1 minute'') AS g (minute) LEFT JOIN %s c ON c.bucket = g.minute',
        tidegauge.hypertable_of('span_minutes')
    ) INTO counted USING range_start, range_end;
    SELECT array_agg(g.minute ORDER BY g.minute), array_agg(coalesce(c.count, 0) ORDER BY g.minute) INTO minutes, counts
    FROM generate_series(range_start, range_end - INTERVAL '1 minute', INTERVAL '1 minute') AS g (minute)
    LEFT JOIN (
        SELECT time_bucket(INTERVAL '1 minute', t.start_time) AS minute, count(*) AS count
        FROM tidegauge.traces t
        WHERE t.start_time >= range_start AND t.start_time < range_end AND t.application_id = ANY (every_application)
        GROUP BY 1
    ) c USING (minute);

    -- Spans that were added may be parents of called spans in minutes computed earlier. Behind this range: asked of each trace.
    SELECT array_agg(m.bucket) INTO later
    FROM tidegauge.service_map_minutes m
    WHERE m.bucket >= range_end AND m.bucket < range_end + INTERVAL '1 hour' AND m.orphans > 0 AND NOT m.is_stale;
    IF later IS NOT NULL AND EXISTS (
        SELECT FROM unnest(minutes, counts) AS n (bucket, spans)
        LEFT JOIN tidegauge.service_map_minutes m ON m.bucket = n.bucket
        WHERE n.spans > coalesce(m.spans, 0)
    ) THEN
        UPDATE tidegauge.service_map_minutes m SET is_stale = true
        WHERE m.bucket = ANY (later) AND m.bucket IN (
            SELECT time_bucket(INTERVAL '1 minute', c.start_time)
            FROM (
                SELECT DISTINCT t.trace_id FROM tidegauge.traces t
                WHERE t.start_time >= range_start AND t.start_time < range_end AND t.application_id = ANY (every_application)
            ) p
            CROSS JOIN LATERAL (
                SELECT t.start_time FROM tidegauge.traces t
                WHERE t.trace_id = p.trace_id AND t.kind IN (0, 2, 5)
                AND t.start_time >= range_end AND t.start_time < range_end + INTERVAL '1 hour'
            ) c
        );
    END IF;
    -- Before it: clocks that differ put a called span into the minute before its parent's.
    IF EXISTS (SELECT FROM tidegauge.service_map_minutes m WHERE m.bucket = range_start - INTERVAL '1 minute' AND NOT m.is_stale AND m.orphans > 0)
    THEN
        SELECT count(*) INTO ahead_now
        FROM tidegauge.traces c
        JOIN tidegauge.traces p ON p.trace_id = c.trace_id AND p.span_id = c.parent_span_id AND p.tenant_id = c.tenant_id
        WHERE c.start_time >= range_start - INTERVAL '1 minute' AND c.start_time < range_start AND c.application_id = ANY (every_application)
        AND c.kind IN (0, 2, 5)
        AND p.start_time >= range_start AND p.start_time < range_start + INTERVAL '1 minute' AND p.application_id = ANY (every_application);
        UPDATE tidegauge.service_map_minutes m SET is_stale = true
        WHERE m.bucket = range_start - INTERVAL '1 minute' AND m.ahead < ahead_now;
    END IF;

    DELETE FROM tidegauge.service_edges_minutely e WHERE e.bucket >= range_start AND e.bucket < range_end;
    WITH call AS MATERIALIZED (
        SELECT c.*, time_bucket(INTERVAL '1 minute', c.start_time) AS bucket FROM tidegauge.find_calls(range_start, range_end) c
    ),
    edge AS (
        INSERT INTO tidegauge.service_edges_minutely (
            bucket, tenant_id, client_application_id, server_application_id, peer, call, duration_bucket, count, errors, duration_sum_ns, duration_max_ns,
            client_duration_sum_ns
        )
        SELECT
            c.bucket, c.tenant_id, c.client_application_id, c.server_application_id, c.peer, c.call,
            floor(ln(greatest(c.duration_ns, 1)::double precision) / ln(1.1::double precision))::integer, count(*),
            count(*) FILTER (WHERE c.is_error), least(sum(c.duration_ns), 9223372036854775807)::bigint, max(c.duration_ns),
            least(sum(c.client_duration_ns), 9223372036854775807)::bigint
        FROM (
            -- An attribute may say anything: of a client's peers in a minute a hundred are told apart.
            SELECT
                c.bucket, c.tenant_id, c.client_application_id, c.server_application_id, c.call, c.duration_ns, c.client_duration_ns, c.is_error,
                CASE
                    WHEN c.peer = '' OR dense_rank() OVER (PARTITION BY c.bucket, c.client_application_id, c.peer = '' ORDER BY c.peer) <= 100 THEN c.peer
                    ELSE '_other'
                END AS peer
            FROM call c
            WHERE NOT c.is_orphan
        ) c
        GROUP BY 1, 2, 3, 4, 5, 6, 7
    )
    INSERT INTO tidegauge.service_map_minutes AS m (bucket, spans, orphans, ahead)
    -- Were fewer there than the rollup has counted (of an application that is unknown), it would be pending for ever.
    SELECT n.bucket, greatest(n.spans, n.counted), coalesce(o.orphans, 0), coalesce(o.ahead, 0)
    FROM unnest(minutes, counts, counted) AS n (bucket, spans, counted)
    LEFT JOIN (
        SELECT
            c.bucket, count(*) FILTER (WHERE c.is_orphan) AS orphans,
            count(*) FILTER (WHERE c.parent_start_time >= c.bucket + INTERVAL '1 minute') AS ahead
        FROM call c
        GROUP BY 1
    ) o ON o.bucket = n.bucket
    ON CONFLICT (bucket) DO UPDATE SET
        spans = excluded.spans, orphans = excluded.orphans, ahead = excluded.ahead, is_stale = false, computed_at = clock_timestamp();
    RETURN (SELECT sum(u.spans) FROM unnest(counts) AS u (spans));
END
$$;

-- Compute the oldest pending minutes that follow each other, as many as have `most` spans together, one at least. No row: none is pending.
CREATE OR REPLACE FUNCTION tidegauge.refresh_service_map(most bigint, OUT range_start timestamptz, OUT range_end timestamptz, OUT spans bigint)
RETURNS SETOF record
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    -- One at a time; readers go on.
    LOCK TABLE tidegauge.service_map_minutes IN SHARE ROW EXCLUSIVE MODE;
    SELECT min(r.bucket), max(r.bucket) + INTERVAL '1 minute' INTO range_start, range_end
    FROM (
        SELECT
            p.bucket, p.bucket - row_number() OVER pending * INTERVAL '1 minute' AS run,
            min(p.bucket) OVER () - INTERVAL '1 minute' AS first_run, sum(p.spans) OVER pending AS total,
            row_number() OVER pending AS place
        FROM tidegauge.service_map_pending() p
        WINDOW pending AS (ORDER BY p.bucket)
    ) r
    WHERE r.run = r.first_run AND (r.place = 1 OR (r.total <= most AND r.place <= 60));
    IF range_start IS NULL THEN
        DELETE FROM tidegauge.service_map_minutes m
        USING tidegauge.lifecycle l
        WHERE l.relation = 'traces' AND m.bucket < l.dropped_through;
        RETURN;
    END IF;
    spans := tidegauge.compute_service_map(range_start, range_end);
    RETURN NEXT;
END
$$;

-- All that is pending, a transaction for each batch. Called outside of a transaction, by TimescaleDB's worker.
CREATE OR REPLACE PROCEDURE tidegauge.refresh_service_map_job(job_id integer, config jsonb)
LANGUAGE plpgsql AS $$
DECLARE
    until timestamptz := clock_timestamp() + INTERVAL '5 minutes';
BEGIN
    WHILE clock_timestamp() < until LOOP
        PERFORM * FROM tidegauge.refresh_service_map(500000);
        EXIT WHEN NOT FOUND;
        COMMIT;
    END LOOP;
END
$$;

CREATE OR REPLACE FUNCTION tidegauge.apply_service_map_job(by_workers boolean) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    job integer := (
        SELECT j.job_id FROM timescaledb_information.jobs j
        WHERE j.proc_schema = 'tidegauge' AND j.proc_name = 'refresh_service_map_job'
    );
BEGIN
    IF job IS NULL THEN
        job := add_job('tidegauge.refresh_service_map_job', INTERVAL '1 minute', config => '{}');
    END IF;
    PERFORM tidegauge.alter_job_where_it_differs(job, by_workers, INTERVAL '1 minute', '{}');
END
$$;

-- What is done before a chunk [range_start, range_end) of a relation is dropped, in the same transaction: of spans, the map is
-- computed where it is pending, and the traces of the daily examples are copied, at most 1,000 spans of each.
CREATE OR REPLACE FUNCTION tidegauge.keep_before_drop(relation text, range_start timestamptz, range_end timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    columns text;
BEGIN
    IF relation <> 'traces' THEN
        RETURN;
    END IF;
    SELECT string_agg(quote_ident(k.attname), ', ' ORDER BY k.attnum) INTO columns
    FROM pg_catalog.pg_attribute k
    JOIN pg_catalog.pg_attribute t ON t.attname = k.attname AND t.attrelid = 'tidegauge.traces'::regclass AND t.attnum > 0
    WHERE k.attrelid = 'tidegauge.kept_spans'::regclass AND k.attnum > 0 AND NOT k.attisdropped AND NOT t.attisdropped
    AND k.attgenerated = '';
    PERFORM tidegauge.compute_service_map(p.bucket, p.bucket + INTERVAL '1 minute')
    FROM tidegauge.service_map_pending(keep_before_drop.range_start, keep_before_drop.range_end) p;
    EXECUTE format(
        'INSERT INTO tidegauge.kept_spans (%1$s) SELECT %1$s FROM ('
        ' SELECT t.*, row_number() OVER (PARTITION BY t.tenant_id, t.trace_id ORDER BY t.start_time) AS place_in_trace'
        ' FROM tidegauge.traces t WHERE t.start_time >= $1 AND t.start_time < $2 AND (t.tenant_id, t.trace_id) IN ('
        ' SELECT e.tenant_id, e.slowest_trace_id FROM tidegauge.trace_examples_daily e WHERE e.bucket > $1 - INTERVAL ''2 days'' AND e.bucket < $2'
        ' UNION SELECT e.tenant_id, e.error_trace_id FROM tidegauge.trace_examples_daily e'
        ' WHERE e.bucket > $1 - INTERVAL ''2 days'' AND e.bucket < $2 AND e.error_trace_id IS NOT NULL)'
        ') s WHERE s.place_in_trace <= 1000',
        columns
    ) USING range_start, range_end;
END
$$;

DO $$
DECLARE
    routine regprocedure;
BEGIN
    FOR routine IN
        SELECT p.oid FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = 'tidegauge'::regnamespace
        AND p.proname IN (
            'service_map_lag', 'find_calls', 'service_map_pending', 'compute_service_map', 'refresh_service_map', 'refresh_service_map_job',
            'apply_service_map_job', 'keep_before_drop'
        )
    LOOP
        EXECUTE format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC', routine);
    END LOOP;
END
$$;
