-- Trace analysis: where a trace's time went, who calls whom, how services behave, what changed, examples. With the caller's rights, on views.

-- Traces of the daily examples, whole, beyond the retention of spans.
CREATE OR REPLACE VIEW analytics.kept_spans AS
SELECT
    t.start_time, analytics.trace_hex(t.trace_id) AS trace_id, analytics.span_hex(t.span_id) AS span_id,
    analytics.span_hex(t.parent_span_id) AS parent_span_id, t.application_id, a.name AS application,
    coalesce(t.full_name, t.name) AS name, analytics.span_kind(t.kind) AS kind, analytics.span_status(t.status_code) AS status,
    t.status_message, t.duration_ns / 1e6::double precision AS duration_ms, t.attributes, t.events, t.links,
    r.attributes AS resource_attributes, t.duration_ns, t.trace_id AS trace_uuid
FROM tidegauge.kept_spans t
LEFT JOIN tidegauge.applications a ON a.application_id = t.application_id
LEFT JOIN tidegauge.resources r ON r.resource_id = t.resource_id
WHERE t.tenant_id = analytics.tenant_id();

CREATE OR REPLACE VIEW analytics.service_edges_minutely AS
SELECT
    e.bucket, c.name AS client, s.name AS server, nullif(e.peer, '') AS peer,
    CASE e.call WHEN 1 THEN 'request' WHEN 2 THEN 'message' WHEN 3 THEN 'database' END AS call, e.duration_bucket,
    analytics.bucket_duration_ms(e.duration_bucket) AS duration_ms, e.count, e.errors,
    e.duration_sum_ns / 1e6::double precision AS duration_sum_ms, e.duration_max_ns / 1e6::double precision AS duration_max_ms,
    e.client_duration_sum_ns / 1e6::double precision AS client_duration_sum_ms
FROM tidegauge.service_edges_minutely e
LEFT JOIN tidegauge.applications c ON c.application_id = e.client_application_id
LEFT JOIN tidegauge.applications s ON s.application_id = e.server_application_id
WHERE e.tenant_id = analytics.tenant_id();

CREATE OR REPLACE VIEW analytics.service_edges_hourly AS
SELECT
    e.bucket, c.name AS client, s.name AS server, nullif(e.peer, '') AS peer,
    CASE e.call WHEN 1 THEN 'request' WHEN 2 THEN 'message' WHEN 3 THEN 'database' END AS call, e.duration_bucket,
    analytics.bucket_duration_ms(e.duration_bucket) AS duration_ms, e.count, e.errors,
    e.duration_sum_ns / 1e6::double precision AS duration_sum_ms, e.duration_max_ns / 1e6::double precision AS duration_max_ms,
    e.client_duration_sum_ns / 1e6::double precision AS client_duration_sum_ms
FROM tidegauge.service_edges_hourly e
LEFT JOIN tidegauge.applications c ON c.application_id = e.client_application_id
LEFT JOIN tidegauge.applications s ON s.application_id = e.server_application_id
WHERE e.tenant_id = analytics.tenant_id();

CREATE OR REPLACE VIEW analytics.service_edges_daily AS
SELECT
    e.bucket, c.name AS client, s.name AS server, nullif(e.peer, '') AS peer,
    CASE e.call WHEN 1 THEN 'request' WHEN 2 THEN 'message' WHEN 3 THEN 'database' END AS call, e.duration_bucket,
    analytics.bucket_duration_ms(e.duration_bucket) AS duration_ms, e.count, e.errors,
    e.duration_sum_ns / 1e6::double precision AS duration_sum_ms, e.duration_max_ns / 1e6::double precision AS duration_max_ms,
    e.client_duration_sum_ns / 1e6::double precision AS client_duration_sum_ms
FROM tidegauge.service_edges_daily e
LEFT JOIN tidegauge.applications c ON c.application_id = e.client_application_id
LEFT JOIN tidegauge.applications s ON s.application_id = e.server_application_id
WHERE e.tenant_id = analytics.tenant_id();

CREATE OR REPLACE VIEW analytics.trace_examples_minutely AS
SELECT
    e.bucket, a.name AS application, e.name AS operation, e.slowest_duration_ns / 1e6::double precision AS slowest_duration_ms,
    analytics.trace_hex(e.slowest_trace_id) AS slowest_trace_id, analytics.span_hex(e.slowest_span_id) AS slowest_span_id,
    e.slowest_start_time, analytics.span_status(e.slowest_status_code) AS slowest_status,
    analytics.trace_hex(e.error_trace_id) AS error_trace_id, analytics.span_hex(e.error_span_id) AS error_span_id, e.error_start_time,
    e.error_duration_ns / 1e6::double precision AS error_duration_ms, e.error_message
FROM tidegauge.trace_examples_minutely e
LEFT JOIN tidegauge.applications a ON a.application_id = e.application_id
WHERE e.tenant_id = analytics.tenant_id();

CREATE OR REPLACE VIEW analytics.trace_examples_hourly AS
SELECT
    e.bucket, a.name AS application, e.name AS operation, e.slowest_duration_ns / 1e6::double precision AS slowest_duration_ms,
    analytics.trace_hex(e.slowest_trace_id) AS slowest_trace_id, analytics.span_hex(e.slowest_span_id) AS slowest_span_id,
    e.slowest_start_time, analytics.span_status(e.slowest_status_code) AS slowest_status,
    analytics.trace_hex(e.error_trace_id) AS error_trace_id, analytics.span_hex(e.error_span_id) AS error_span_id, e.error_start_time,
    e.error_duration_ns / 1e6::double precision AS error_duration_ms, e.error_message
FROM tidegauge.trace_examples_hourly e
LEFT JOIN tidegauge.applications a ON a.application_id = e.application_id
WHERE e.tenant_id = analytics.tenant_id();

CREATE OR REPLACE VIEW analytics.trace_examples_daily AS
SELECT
    e.bucket, a.name AS application, e.name AS operation, e.slowest_duration_ns / 1e6::double precision AS slowest_duration_ms,
    analytics.trace_hex(e.slowest_trace_id) AS slowest_trace_id, analytics.span_hex(e.slowest_span_id) AS slowest_span_id,
    e.slowest_start_time, analytics.span_status(e.slowest_status_code) AS slowest_status,
    analytics.trace_hex(e.error_trace_id) AS error_trace_id, analytics.span_hex(e.error_span_id) AS error_span_id, e.error_start_time,
    e.error_duration_ns / 1e6::double precision AS error_duration_ms, e.error_message
FROM tidegauge.trace_examples_daily e
LEFT JOIN tidegauge.applications a ON a.application_id = e.application_id
WHERE e.tenant_id = analytics.tenant_id();

-- A trace's spans, each once, from where they are. Times are nanoseconds since 1970, by the microsecond; no span ends before it starts.
CREATE OR REPLACE FUNCTION analytics.trace_spans(trace_id text)
RETURNS TABLE (
    span_id text, parent_span_id text, application text, operation text, kind text, status text, start_time timestamptz, start_ns bigint,
    end_ns bigint
)
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    WITH bounds AS MATERIALIZED (
        SELECT min(x.start_time) AS first, greatest(max(x.end_time), max(x.start_time)) AS last
        FROM analytics.trace_index x WHERE x.trace_uuid = $1::uuid
    ),
    stored AS (
        SELECT t.span_id, t.parent_span_id, t.application, t.name, t.kind, t.status, t.start_time, t.duration_ns
        FROM analytics.traces t, bounds b
        WHERE t.trace_uuid = $1::uuid AND t.start_time >= b.first AND t.start_time <= b.last
        UNION ALL
        SELECT k.span_id, k.parent_span_id, k.application, k.name, k.kind, k.status, k.start_time, k.duration_ns
        FROM analytics.kept_spans k, bounds b
        WHERE k.trace_uuid = $1::uuid AND b.first IS NULL
    )
    SELECT DISTINCT ON (s.span_id)
        s.span_id, s.parent_span_id, s.application, s.name, s.kind, s.status, s.start_time,
        (extract(epoch FROM s.start_time) * 1000000)::bigint * 1000,
        (extract(epoch FROM s.start_time) * 1000000)::bigint * 1000 + least(greatest(s.duration_ns, 0), 4000000000000000000)
    FROM stored s
    ORDER BY s.span_id, s.start_time, s.duration_ns DESC
$$;

CREATE OR REPLACE FUNCTION analytics.trace_self_times(trace_id text)
RETURNS TABLE (
    span_id text, parent_span_id text, application text, operation text, kind text, status text, start_time timestamptz,
    duration_ms double precision, self_time_ms double precision
)
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    WITH span AS MATERIALIZED (SELECT s.* FROM analytics.trace_spans($1) s),
    covered AS (
        SELECT p.span_id, range_agg(int8range(greatest(c.start_ns, p.start_ns), least(c.end_ns, p.end_ns))) AS times
        FROM span c
        JOIN span p ON p.span_id = c.parent_span_id
        WHERE c.span_id <> p.span_id AND c.start_ns < c.end_ns AND c.start_ns < p.end_ns AND c.end_ns > p.start_ns
        GROUP BY p.span_id
    )
    SELECT
        s.span_id, s.parent_span_id, s.application, s.operation, s.kind, s.status, s.start_time,
        (s.end_ns - s.start_ns) / 1e6::double precision,
        (
            s.end_ns - s.start_ns
            - coalesce((SELECT sum(upper(r.part) - lower(r.part)) FROM unnest(c.times) AS r (part)), 0)::bigint
        ) / 1e6::double precision
    FROM span s
    LEFT JOIN covered c ON c.span_id = s.span_id
    ORDER BY s.start_time, s.span_id
$$;

-- As src/tidegauge/query/analysis/critical_path.py: there stands the definition. Children are numbered so that those of a span follow each
-- other, last to end first; a walk is a span, the time it looks back over, and the next child to look at.
CREATE OR REPLACE FUNCTION analytics.trace_critical_path(trace_id text)
RETURNS TABLE (
    place bigint, offset_ms double precision, duration_ms double precision, application text, operation text, span_id text,
    start_time timestamptz
)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
#variable_conflict use_column
DECLARE
    ids text[]; applications text[]; operations text[]; starts bigint[]; ends bigint[]; firsts integer[]; lasts integer[];
    part_spans integer[]; part_starts bigint[]; part_ends bigint[]; parts integer := 0;
    walk_spans integer[]; walk_starts bigint[]; walk_ends bigint[]; cursors bigint[]; nexts integer[]; depth integer := 1;
    root integer; child integer; from_ns bigint; to_ns bigint; below boolean;
BEGIN
    WITH span AS MATERIALIZED (
        SELECT
            s.*, row_number() OVER (ORDER BY s.parent_span_id COLLATE "C", s.end_ns DESC, s.start_ns, s.span_id COLLATE "C")::integer AS number
        FROM analytics.trace_spans($1) s
    ),
    below AS (
        SELECT s.parent_span_id AS id, min(s.number) AS first, max(s.number) AS last FROM span s WHERE s.parent_span_id <> s.span_id GROUP BY 1
    )
    SELECT
        array_agg(s.span_id ORDER BY s.number), array_agg(s.application ORDER BY s.number), array_agg(s.operation ORDER BY s.number),
        array_agg(s.start_ns ORDER BY s.number), array_agg(s.end_ns ORDER BY s.number), array_agg(coalesce(b.first, 1) ORDER BY s.number),
        array_agg(coalesce(b.last, 0) ORDER BY s.number),
        -- The longest root, else the longest span whose parent is missing.
        (
            array_agg(s.number ORDER BY s.parent_span_id IS NULL DESC, s.end_ns - s.start_ns DESC, s.start_ns, s.span_id COLLATE "C")
            FILTER (WHERE p.span_id IS NULL)
        )[1]
    INTO ids, applications, operations, starts, ends, firsts, lasts, root
    FROM span s LEFT JOIN below b ON b.id = s.span_id LEFT JOIN span p ON p.span_id = s.parent_span_id;
    IF root IS NULL THEN
        RETURN;
    END IF;
    walk_spans[1] := root; walk_starts[1] := starts[root]; walk_ends[1] := ends[root]; cursors[1] := ends[root]; nexts[1] := firsts[root];
    WHILE depth > 0 LOOP
        below := false;
        WHILE nexts[depth] <= lasts[walk_spans[depth]] LOOP
            child := nexts[depth];
            nexts[depth] := child + 1;
            from_ns := greatest(starts[child], walk_starts[depth]);
            to_ns := least(ends[child], walk_ends[depth]);
            IF from_ns < to_ns AND to_ns <= cursors[depth] THEN
                below := true;
                EXIT;
            END IF;
        END LOOP;
        IF NOT below THEN
            to_ns := walk_starts[depth];
        END IF;
        IF to_ns < cursors[depth] THEN
            parts := parts + 1;
            part_spans[parts] := walk_spans[depth]; part_starts[parts] := to_ns; part_ends[parts] := cursors[depth];
        END IF;
        IF below THEN
            cursors[depth] := from_ns;
            depth := depth + 1;
            walk_spans[depth] := child; walk_starts[depth] := from_ns; walk_ends[depth] := to_ns; cursors[depth] := to_ns;
            nexts[depth] := firsts[child];
        ELSE
            depth := depth - 1;
        END IF;
    END LOOP;
    RETURN QUERY
    SELECT
        row_number() OVER (ORDER BY p.start_ns), (p.start_ns - starts[root]) / 1e6::double precision,
        (p.end_ns - p.start_ns) / 1e6::double precision, applications[p.span], operations[p.span], ids[p.span],
        TIMESTAMPTZ '1970-01-01 00:00:00+00' + p.start_ns / 1000 * INTERVAL '1 microsecond'
    FROM unnest(part_spans, part_starts, part_ends) AS p (span, start_ns, end_ns)
    ORDER BY p.start_ns;
END
$$;

-- Spans are matched by the path of (application, operation) from the root down; what lies in a circle, or 1,000 levels deep, is left out.
CREATE OR REPLACE FUNCTION analytics.compare_traces(a text, b text)
RETURNS TABLE (
    depth integer, operation text, application text, count_a bigint, count_b bigint, duration_a_ms double precision,
    duration_b_ms double precision, self_time_a_ms double precision, self_time_b_ms double precision, difference_ms double precision
)
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    WITH RECURSIVE span AS MATERIALIZED (
        SELECT 'a' AS side, s.* FROM analytics.trace_self_times($1) s
        UNION ALL
        SELECT 'b', s.* FROM analytics.trace_self_times($2) s
    ),
    tree AS (
        SELECT
            s.side, s.span_id, 0 AS depth, ARRAY[coalesce(s.application, ''), s.operation] AS path, s.application, s.operation, s.duration_ms,
            s.self_time_ms
        FROM span s
        WHERE NOT EXISTS (SELECT FROM span p WHERE p.side = s.side AND p.span_id = s.parent_span_id)
        UNION ALL
        SELECT
            s.side, s.span_id, t.depth + 1, t.path || ARRAY[coalesce(s.application, ''), s.operation], s.application, s.operation, s.duration_ms,
            s.self_time_ms
        FROM tree t
        JOIN span s ON s.side = t.side AND s.parent_span_id = t.span_id
        WHERE t.depth < 1000
    )
    SELECT
        t.depth, repeat('  ', t.depth) || t.operation, t.application, count(*) FILTER (WHERE t.side = 'a'),
        count(*) FILTER (WHERE t.side = 'b'), sum(t.duration_ms) FILTER (WHERE t.side = 'a'), sum(t.duration_ms) FILTER (WHERE t.side = 'b'),
        sum(t.self_time_ms) FILTER (WHERE t.side = 'a'), sum(t.self_time_ms) FILTER (WHERE t.side = 'b'),
        coalesce(sum(t.duration_ms) FILTER (WHERE t.side = 'b'), 0) - coalesce(sum(t.duration_ms) FILTER (WHERE t.side = 'a'), 0)
    FROM tree t
    GROUP BY t.path, t.depth, t.operation, t.application
    ORDER BY t.path
$$;

-- The coarsest tier whose buckets end where the range does and, with a width, the steps do.
CREATE OR REPLACE FUNCTION analytics.fitting_tier(range_start timestamptz, range_end timestamptz, width interval)
RETURNS text
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT CASE
        WHEN time_bucket(INTERVAL '1 day', $1) = $1 AND time_bucket(INTERVAL '1 day', $2) = $2
            AND ($3 IS NULL OR extract(epoch FROM $3)::bigint % 86400 = 0) THEN 'daily'
        WHEN time_bucket(INTERVAL '1 hour', $1) = $1 AND time_bucket(INTERVAL '1 hour', $2) = $2
            AND ($3 IS NULL OR extract(epoch FROM $3)::bigint % 3600 = 0) THEN 'hourly'
        ELSE 'minutely'
    END
$$;

-- What began in the range, by the minute (or the hour or the day, where the range consists of such). The newest minutes are not paired yet.
CREATE OR REPLACE FUNCTION analytics.service_map(
    range_start timestamptz, range_end timestamptz DEFAULT now(), service text DEFAULT NULL, width interval DEFAULT NULL
)
RETURNS TABLE (
    bucket timestamptz, client text, server text, peer text, call text, count bigint, errors bigint, rate double precision,
    error_rate double precision, duration_avg_ms double precision, duration_max_ms double precision, p50_ms double precision,
    p90_ms double precision, p99_ms double precision, client_duration_avg_ms double precision
)
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    WITH wanted AS MATERIALIZED (SELECT analytics.fitting_tier($1, $2, $4) AS tier),
    edge AS (
        SELECT e.* FROM analytics.service_edges_minutely e
        WHERE (SELECT w.tier FROM wanted w) = 'minutely' AND e.bucket >= time_bucket(INTERVAL '1 minute', $1) AND e.bucket < $2
        UNION ALL
        SELECT e.* FROM analytics.service_edges_hourly e
        WHERE (SELECT w.tier FROM wanted w) = 'hourly' AND e.bucket >= $1 AND e.bucket < $2
        UNION ALL
        SELECT e.* FROM analytics.service_edges_daily e
        WHERE (SELECT w.tier FROM wanted w) = 'daily' AND e.bucket >= $1 AND e.bucket < $2
    ),
    summed AS (
        SELECT
            CASE WHEN $4 IS NULL THEN $1 ELSE time_bucket($4, e.bucket) END AS bucket, e.client, e.server, e.peer, e.call, e.duration_bucket,
            sum(e.count) AS count, sum(e.errors) AS errors, sum(e.duration_sum_ms) AS duration_sum_ms, max(e.duration_max_ms) AS duration_max_ms,
            sum(e.client_duration_sum_ms) AS client_duration_sum_ms
        FROM edge e
        WHERE $3 IS NULL OR e.client = $3 OR e.server = $3
        GROUP BY 1, 2, 3, 4, 5, 6
    ),
    ranked AS (
        SELECT
            s.*, sum(s.count) OVER (one ORDER BY s.duration_bucket) AS up_to, sum(s.count) OVER one AS total
        FROM summed s
        WINDOW one AS (PARTITION BY s.bucket, s.client, s.server, s.peer, s.call)
    )
    SELECT
        r.bucket, r.client, r.server, r.peer, r.call, sum(r.count)::bigint, sum(r.errors)::bigint,
        (sum(r.count) / extract(epoch FROM CASE WHEN $4 IS NULL THEN $2 - $1 ELSE $4 END))::double precision,
        (sum(r.errors) / sum(r.count))::double precision, sum(r.duration_sum_ms) / sum(r.count)::double precision, max(r.duration_max_ms),
        least(min(analytics.bucket_duration_ms(r.duration_bucket)) FILTER (WHERE r.up_to >= 0.5 * r.total), max(r.duration_max_ms)),
        least(min(analytics.bucket_duration_ms(r.duration_bucket)) FILTER (WHERE r.up_to >= 0.9 * r.total), max(r.duration_max_ms)),
        least(min(analytics.bucket_duration_ms(r.duration_bucket)) FILTER (WHERE r.up_to >= 0.99 * r.total), max(r.duration_max_ms)),
        sum(r.client_duration_sum_ms) / sum(r.count)::double precision
    FROM ranked r
    GROUP BY r.bucket, r.client, r.server, r.peer, r.call
    ORDER BY r.bucket, sum(r.count) DESC, r.client, r.server, r.peer
$$;

CREATE OR REPLACE FUNCTION analytics.red(
    range_start timestamptz, range_end timestamptz DEFAULT now(), service text DEFAULT NULL, operation text DEFAULT NULL,
    width interval DEFAULT NULL, by_operation boolean DEFAULT true, kinds text[] DEFAULT '{SERVER,CONSUMER}'
)
RETURNS TABLE (
    bucket timestamptz, application text, operation text, count bigint, errors bigint, rate double precision, error_rate double precision,
    duration_avg_ms double precision, duration_min_ms double precision, duration_max_ms double precision, p50_ms double precision,
    p90_ms double precision, p99_ms double precision
)
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    WITH wanted AS MATERIALIZED (SELECT analytics.fitting_tier($1, $2, $5) AS tier),
    total AS (
        SELECT t.bucket, t.application, t.name, t.kind, t.count, t.errors, t.duration_sum_ms, t.duration_min_ms, t.duration_max_ms
        FROM analytics.traces_minutely t
        WHERE (SELECT w.tier FROM wanted w) = 'minutely' AND t.bucket >= time_bucket(INTERVAL '1 minute', $1) AND t.bucket < $2
        UNION ALL
        SELECT t.bucket, t.application, t.name, t.kind, t.count, t.errors, t.duration_sum_ms, t.duration_min_ms, t.duration_max_ms
        FROM analytics.traces_hourly t
        WHERE (SELECT w.tier FROM wanted w) = 'hourly' AND t.bucket >= $1 AND t.bucket < $2
        UNION ALL
        SELECT t.bucket, t.application, t.name, t.kind, t.count, t.errors, t.duration_sum_ms, t.duration_min_ms, t.duration_max_ms
        FROM analytics.traces_daily t
        WHERE (SELECT w.tier FROM wanted w) = 'daily' AND t.bucket >= $1 AND t.bucket < $2
    ),
    duration AS (
        SELECT t.bucket, t.application, t.name, t.kind, t.duration_bucket, t.count
        FROM analytics.trace_durations_minutely t
        WHERE (SELECT w.tier FROM wanted w) = 'minutely' AND t.bucket >= time_bucket(INTERVAL '1 minute', $1) AND t.bucket < $2
        UNION ALL
        SELECT t.bucket, t.application, t.name, t.kind, t.duration_bucket, t.count
        FROM analytics.trace_durations_hourly t
        WHERE (SELECT w.tier FROM wanted w) = 'hourly' AND t.bucket >= $1 AND t.bucket < $2
        UNION ALL
        SELECT t.bucket, t.application, t.name, t.kind, t.duration_bucket, t.count
        FROM analytics.trace_durations_daily t
        WHERE (SELECT w.tier FROM wanted w) = 'daily' AND t.bucket >= $1 AND t.bucket < $2
    ),
    summed AS (
        SELECT
            CASE WHEN $5 IS NULL THEN $1 ELSE time_bucket($5, t.bucket) END AS bucket, t.application,
            CASE WHEN $6 OR $4 IS NOT NULL THEN t.name END AS operation, sum(t.count)::bigint AS count, sum(t.errors)::bigint AS errors,
            sum(t.duration_sum_ms) AS duration_sum_ms, min(t.duration_min_ms) AS duration_min_ms, max(t.duration_max_ms) AS duration_max_ms
        FROM total t
        WHERE t.kind = ANY ($7) AND ($3 IS NULL OR t.application = $3) AND ($4 IS NULL OR t.name = $4)
        GROUP BY 1, 2, 3
    ),
    by_bucket AS (
        SELECT
            CASE WHEN $5 IS NULL THEN $1 ELSE time_bucket($5, d.bucket) END AS bucket, d.application,
            CASE WHEN $6 OR $4 IS NOT NULL THEN d.name END AS operation, d.duration_bucket, sum(d.count) AS count
        FROM duration d
        WHERE d.kind = ANY ($7) AND ($3 IS NULL OR d.application = $3) AND ($4 IS NULL OR d.name = $4)
        GROUP BY 1, 2, 3, 4
    ),
    ranked AS (
        SELECT b.*, sum(b.count) OVER (one ORDER BY b.duration_bucket) AS up_to, sum(b.count) OVER one AS total
        FROM by_bucket b
        WINDOW one AS (PARTITION BY b.bucket, b.application, b.operation)
    ),
    percentile AS (
        SELECT
            r.bucket, r.application, r.operation,
            min(analytics.bucket_duration_ms(r.duration_bucket)) FILTER (WHERE r.up_to >= 0.5 * r.total) AS p50,
            min(analytics.bucket_duration_ms(r.duration_bucket)) FILTER (WHERE r.up_to >= 0.9 * r.total) AS p90,
            min(analytics.bucket_duration_ms(r.duration_bucket)) FILTER (WHERE r.up_to >= 0.99 * r.total) AS p99
        FROM ranked r
        GROUP BY 1, 2, 3
    )
    SELECT
        s.bucket, s.application, s.operation, s.count, s.errors,
        (s.count / extract(epoch FROM CASE WHEN $5 IS NULL THEN $2 - $1 ELSE $5 END))::double precision,
        s.errors / s.count::double precision, s.duration_sum_ms / s.count, s.duration_min_ms, s.duration_max_ms,
        least(greatest(p.p50, s.duration_min_ms), s.duration_max_ms), least(greatest(p.p90, s.duration_min_ms), s.duration_max_ms),
        least(greatest(p.p99, s.duration_min_ms), s.duration_max_ms)
    FROM summed s
    LEFT JOIN percentile p
        ON p.bucket = s.bucket AND p.application = s.application AND p.operation IS NOT DISTINCT FROM s.operation
    ORDER BY s.bucket, s.application, s.operation
$$;

-- impact: seconds of work a second that the later period has more, by each span taking longer; of what came or went, its whole time.
CREATE OR REPLACE FUNCTION analytics.compare_periods(
    before_start timestamptz, before_end timestamptz, after_start timestamptz, after_end timestamptz, service text DEFAULT NULL,
    kinds text[] DEFAULT '{SERVER,CONSUMER}'
)
RETURNS TABLE (
    application text, operation text, impact double precision, rate_before double precision, rate_after double precision,
    duration_before_ms double precision, duration_after_ms double precision, p99_before_ms double precision, p99_after_ms double precision,
    error_rate_before double precision, error_rate_after double precision
)
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT
        application, operation,
        CASE
            WHEN b.count IS NULL THEN a.rate * a.duration_avg_ms
            WHEN a.count IS NULL THEN - b.rate * b.duration_avg_ms
            ELSE a.rate * (a.duration_avg_ms - b.duration_avg_ms)
        END / 1000 AS impact,
        b.rate, a.rate, b.duration_avg_ms, a.duration_avg_ms, b.p99_ms, a.p99_ms, b.error_rate, a.error_rate
    FROM analytics.red($1, $2, $5, NULL, NULL, true, $6) b
    FULL JOIN analytics.red($3, $4, $5, NULL, NULL, true, $6) a USING (application, operation)
    ORDER BY abs(
        CASE
            WHEN b.count IS NULL THEN a.rate * a.duration_avg_ms
            WHEN a.count IS NULL THEN - b.rate * b.duration_avg_ms
            ELSE a.rate * (a.duration_avg_ms - b.duration_avg_ms)
        END
    ) DESC, application, operation
$$;

-- The slowest span and the newest that failed, of each operation, in the whole range.
CREATE OR REPLACE FUNCTION analytics.trace_examples(
    range_start timestamptz, range_end timestamptz DEFAULT now(), service text DEFAULT NULL, operation text DEFAULT NULL
)
RETURNS TABLE (
    application text, operation text, slowest_duration_ms double precision, slowest_trace_id text, slowest_span_id text,
    slowest_start_time timestamptz, error_trace_id text, error_span_id text, error_start_time timestamptz, error_message text
)
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    WITH wanted AS MATERIALIZED (SELECT analytics.fitting_tier($1, $2, NULL) AS tier),
    example AS (
        SELECT e.* FROM analytics.trace_examples_minutely e
        WHERE (SELECT w.tier FROM wanted w) = 'minutely' AND e.bucket >= time_bucket(INTERVAL '1 minute', $1) AND e.bucket < $2
        UNION ALL
        SELECT e.* FROM analytics.trace_examples_hourly e
        WHERE (SELECT w.tier FROM wanted w) = 'hourly' AND e.bucket >= $1 AND e.bucket < $2
        UNION ALL
        SELECT e.* FROM analytics.trace_examples_daily e
        WHERE (SELECT w.tier FROM wanted w) = 'daily' AND e.bucket >= $1 AND e.bucket < $2
    )
    SELECT
        e.application, e.operation, max(e.slowest_duration_ms), last(e.slowest_trace_id, e.slowest_duration_ms),
        last(e.slowest_span_id, e.slowest_duration_ms), last(e.slowest_start_time, e.slowest_duration_ms),
        last(e.error_trace_id, e.error_start_time) FILTER (WHERE e.error_start_time IS NOT NULL),
        last(e.error_span_id, e.error_start_time) FILTER (WHERE e.error_start_time IS NOT NULL), max(e.error_start_time),
        last(e.error_message, e.error_start_time) FILTER (WHERE e.error_start_time IS NOT NULL)
    FROM example e
    WHERE ($3 IS NULL OR e.application = $3) AND ($4 IS NULL OR e.operation = $4)
    GROUP BY e.application, e.operation
    ORDER BY max(e.slowest_duration_ms) DESC, e.application, e.operation
$$;
