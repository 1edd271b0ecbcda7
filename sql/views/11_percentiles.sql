-- Percentiles of spans and quantiles of histograms.

CREATE OR REPLACE VIEW analytics.metric_histograms_minutely AS
SELECT
    r.bucket, s.application_id, a.name AS application, s.metric_name, s.unit, s.type, s.labels, r.points, r.count, r.sum, r.min, r.max,
    s.bounds, r.bucket_counts, r.first_count, r.last_count, r.first_sum, r.last_sum, r.first_bucket_counts, r.last_bucket_counts,
    s.temporality, r.start_timestamp, r.series_id
FROM tidegauge.metric_histograms_minutely r
JOIN tidegauge.series s ON s.series_id = r.series_id
LEFT JOIN tidegauge.applications a ON a.application_id = s.application_id
WHERE s.tenant_id = analytics.tenant_id();

CREATE OR REPLACE VIEW analytics.metric_exponentials_minutely AS
SELECT
    r.bucket, s.application_id, a.name AS application, s.metric_name, s.unit, s.labels, r.points, r.count, r.min, r.max,
    r.zero_threshold, r.zero_count, r.positive, r.negative, r.first_count, r.last_count, r.first_zero_count, r.last_zero_count,
    r.first_positive, r.last_positive, r.first_negative, r.last_negative, s.temporality, r.start_timestamp, r.series_id
FROM tidegauge.metric_exponentials_minutely r
JOIN tidegauge.series s ON s.series_id = r.series_id
LEFT JOIN tidegauge.applications a ON a.application_id = s.application_id
WHERE s.tenant_id = analytics.tenant_id();

CREATE OR REPLACE VIEW analytics.metric_exponentials_hourly AS
SELECT
    r.bucket, s.application_id, a.name AS application, s.metric_name, s.unit, s.labels, r.points, r.count, r.min, r.max,
    r.zero_threshold, r.zero_count, r.positive, r.negative, r.first_count, r.last_count, r.first_zero_count, r.last_zero_count,
    r.first_positive, r.last_positive, r.first_negative, r.last_negative, s.temporality, r.start_timestamp, r.series_id
FROM tidegauge.metric_exponentials_hourly r
JOIN tidegauge.series s ON s.series_id = r.series_id
LEFT JOIN tidegauge.applications a ON a.application_id = s.application_id
WHERE s.tenant_id = analytics.tenant_id();

CREATE OR REPLACE VIEW analytics.metric_exponentials_daily AS
SELECT
    r.bucket, s.application_id, a.name AS application, s.metric_name, s.unit, s.labels, r.points, r.count, r.min, r.max,
    r.zero_threshold, r.zero_count, r.positive, r.negative, r.first_count, r.last_count, r.first_zero_count, r.last_zero_count,
    r.first_positive, r.last_positive, r.first_negative, r.last_negative, s.temporality, r.start_timestamp, r.series_id
FROM tidegauge.metric_exponentials_daily r
JOIN tidegauge.series s ON s.series_id = r.series_id
LEFT JOIN tidegauge.applications a ON a.application_id = s.application_id
WHERE s.tenant_id = analytics.tenant_id();

CREATE OR REPLACE VIEW analytics.service_totals_minutely AS
SELECT
    t.bucket, t.application_id, a.name AS application, t.count, t.errors,
    t.duration_sum_ns / 1e6::double precision / nullif(t.count, 0) AS duration_avg_ms,
    t.duration_min_ns / 1e6::double precision AS duration_min_ms, t.duration_max_ns / 1e6::double precision AS duration_max_ms,
    t.duration_sum_ns / 1e6::double precision AS duration_sum_ms
FROM tidegauge.service_totals_minutely t
LEFT JOIN tidegauge.applications a ON a.application_id = t.application_id
WHERE t.tenant_id = analytics.tenant_id();

CREATE OR REPLACE VIEW analytics.service_totals_hourly AS
SELECT
    t.bucket, t.application_id, a.name AS application, t.count, t.errors,
    t.duration_sum_ns / 1e6::double precision / nullif(t.count, 0) AS duration_avg_ms,
    t.duration_min_ns / 1e6::double precision AS duration_min_ms, t.duration_max_ns / 1e6::double precision AS duration_max_ms,
    t.duration_sum_ns / 1e6::double precision AS duration_sum_ms
FROM tidegauge.service_totals_hourly t
LEFT JOIN tidegauge.applications a ON a.application_id = t.application_id
WHERE t.tenant_id = analytics.tenant_id();

CREATE OR REPLACE VIEW analytics.service_totals_daily AS
SELECT
    t.bucket, t.application_id, a.name AS application, t.count, t.errors,
    t.duration_sum_ns / 1e6::double precision / nullif(t.count, 0) AS duration_avg_ms,
    t.duration_min_ns / 1e6::double precision AS duration_min_ms, t.duration_max_ns / 1e6::double precision AS duration_max_ms,
    t.duration_sum_ns / 1e6::double precision AS duration_sum_ms
FROM tidegauge.service_totals_daily t
LEFT JOIN tidegauge.applications a ON a.application_id = t.application_id
WHERE t.tenant_id = analytics.tenant_id();

-- Nearest ranks: the numbers of the buckets that `percentiles` of the observations lie in. Buckets ascend.
CREATE OR REPLACE FUNCTION analytics.bucket_ranks(percentiles double precision[], buckets integer[], counts bigint[]) RETURNS integer[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path FROM CURRENT AS $$
DECLARE
    up_to numeric[];
    total numeric := 0;
    place integer;
    found integer[];
BEGIN
    FOR i IN 1..cardinality(counts) LOOP
        total := total + counts[i];
        up_to[i] := total;
    END LOOP;
    FOR i IN 1..cardinality(percentiles) LOOP
        place := 1;
        WHILE place < cardinality(counts) AND up_to[place] < percentiles[i] * total::double precision LOOP
            place := place + 1;
        END LOOP;
        found[i] := buckets[place];
    END LOOP;
    RETURN found;
END
$$;

-- The bounds were not among its results once, and a function's results cannot be replaced. It alone is dropped: what a team has built on our
-- views stays.
DO $$
DECLARE
    former oid := to_regprocedure('analytics.duration_percentiles(double precision[], interval, timestamptz, timestamptz, text, text)');
BEGIN
    IF former IS NOT NULL AND pg_get_function_result(former) NOT LIKE '%lower\_ms%' THEN
        DROP FUNCTION analytics.duration_percentiles(double precision[], interval, timestamptz, timestamptz, text, text);
    END IF;
END
$$;

-- `width` NULL: one bucket, the whole range. The tier is the coarsest whose buckets fit `width`. The exact percentile (nearest rank) lies
-- between lower_ms and upper_ms; duration_ms is their geometric middle, brought inside of the shortest and longest duration there was.
CREATE OR REPLACE FUNCTION analytics.duration_percentiles(
    percentiles double precision[], width interval, range_start timestamptz, range_end timestamptz DEFAULT now(),
    service text DEFAULT NULL, operation text DEFAULT NULL
)
RETURNS TABLE (
    bucket timestamptz, application text, percentile double precision, duration_ms double precision, count bigint,
    lower_ms double precision, upper_ms double precision
)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
DECLARE
    reach interval := coalesce(width, range_end - range_start);
    tier text := CASE
        WHEN reach >= CASE WHEN width IS NULL THEN INTERVAL '30 days' ELSE INTERVAL '1 day' END THEN 'daily'
        WHEN reach >= CASE WHEN width IS NULL THEN INTERVAL '1 day' ELSE INTERVAL '1 hour' END THEN 'hourly'
        ELSE 'minutely'
    END;
BEGIN
    -- One tier's views alone: planning a query over all of them takes longer than reading one.
    RETURN QUERY EXECUTE format(
        $query$
        WITH summed AS (
            SELECT
                CASE WHEN $2 IS NULL THEN $3 ELSE time_bucket($2, d.bucket) END AS bucket, d.application, d.duration_bucket,
                sum(d.count)::bigint AS count
            FROM analytics.%I d
            WHERE d.bucket >= $3 AND d.bucket < $4 AND ($5 IS NULL OR d.application = $5) %s
            GROUP BY 1, 2, 3
        ),
        ranked AS (
            SELECT
                s.bucket, s.application, sum(s.count)::bigint AS count,
                analytics.bucket_ranks(
                    $1, array_agg(s.duration_bucket ORDER BY s.duration_bucket), array_agg(s.count ORDER BY s.duration_bucket)
                ) AS ranks
            FROM summed s
            GROUP BY s.bucket, s.application
        ),
        bounded AS (
            SELECT
                CASE WHEN $2 IS NULL THEN $3 ELSE time_bucket($2, d.bucket) END AS bucket, d.application,
                min(d.duration_min_ms) AS least, max(d.duration_max_ms) AS greatest
            FROM analytics.%I d
            WHERE d.bucket >= $3 AND d.bucket < $4 AND ($5 IS NULL OR d.application = $5) %s
            GROUP BY 1, 2
        )
        SELECT
            r.bucket, r.application, p.percentile, least(greatest(analytics.bucket_duration_ms(p.rank), b.least), b.greatest), r.count,
            greatest(CASE WHEN p.rank = 0 THEN 0 ELSE 1.1::double precision ^ p.rank / 1e6 END, b.least),
            least(1.1::double precision ^ (p.rank + 1) / 1e6, b.greatest)
        FROM ranked r
        CROSS JOIN LATERAL unnest($1, r.ranks) AS p (percentile, rank)
        LEFT JOIN bounded b ON b.bucket = r.bucket AND b.application = r.application
        ORDER BY r.bucket, r.application, p.percentile
        $query$,
        CASE WHEN operation IS NULL THEN 'service_durations_' ELSE 'trace_durations_' END || tier,
        CASE WHEN operation IS NULL THEN '' ELSE 'AND d.name = $6' END,
        CASE WHEN operation IS NULL THEN 'service_totals_' ELSE 'traces_' END || tier,
        CASE WHEN operation IS NULL THEN '' ELSE 'AND d.name = $6' END
    ) USING percentiles, width, range_start, range_end, service, operation;
END
$$;

CREATE OR REPLACE FUNCTION analytics.duration_percentile(
    percentile double precision, service text, range_start timestamptz DEFAULT now() - INTERVAL '1 hour',
    range_end timestamptz DEFAULT now(), operation text DEFAULT NULL
)
RETURNS double precision
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT p.duration_ms FROM analytics.duration_percentiles(ARRAY[$1], NULL, $3, $4, $2, $5) p
$$;

-- Linear in the bucket, as Prometheus' histogram_quantile: a first bucket that ends above 0 begins at 0, one that ends at or below 0 answers
-- with its end, the last bucket with its beginning.
CREATE OR REPLACE FUNCTION analytics.histogram_quantile(quantile double precision, bounds double precision[], bucket_counts bigint[])
RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path FROM CURRENT AS $$
    SELECT CASE
        WHEN h.place > cardinality($2) THEN $2[cardinality($2)]
        WHEN h.place = 1 AND $2[1] <= 0 THEN $2[1]
        ELSE
            CASE WHEN h.place = 1 THEN 0 ELSE $2[h.place - 1] END * (1 - h.share) + $2[h.place] * h.share
    END
    FROM (
        SELECT c.place::integer AS place, c.up_to, ($1 * c.total - (c.up_to - c.count))::double precision / c.count AS share
        FROM (
            SELECT
                u.place, u.count::double precision AS count, sum(u.count::double precision) OVER (ORDER BY u.place) AS up_to,
                sum(u.count::double precision) OVER () AS total
            FROM unnest($3) WITH ORDINALITY AS u (count, place)
        ) c
        WHERE c.count > 0 AND c.up_to >= $1 * c.total
        ORDER BY c.place
        LIMIT 1
    ) h
    WHERE cardinality($2) > 0
$$;

-- The same of an exponential histogram as metric_exponentials_* keep it (scale, index of the first bucket, counts), without its zero and
-- negative buckets; geometric in the bucket.
CREATE OR REPLACE FUNCTION analytics.exponential_bound(scale bigint, index bigint) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN e.exponent >= 1023.9 THEN 1.7e308 WHEN e.exponent < -1022 THEN 0 ELSE 2::double precision ^ e.exponent
    END
    FROM (
        -- Within what powers of floats hold; beyond, every value is in bucket 0 or -1, or all buckets are the same.
        SELECT $2::double precision * 2::double precision ^ least(greatest(-$1, -100), 100)::double precision AS exponent
    ) e
$$;

-- Geometric between bounds of one sign, linear across zero.
CREATE OR REPLACE FUNCTION analytics.between_bounds(
    lower_bound double precision, upper_bound double precision, share double precision
) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN lower_bound > 0 THEN exp(ln(lower_bound) * (1 - share) + ln(upper_bound) * share)
        WHEN upper_bound < 0 THEN -exp(ln(-lower_bound) * (1 - share) + ln(-upper_bound) * share)
        ELSE lower_bound * (1 - share) + upper_bound * share
    END
$$;

CREATE OR REPLACE FUNCTION analytics.exponential_quantile(quantile double precision, positive bigint[]) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path FROM CURRENT AS $$
    SELECT analytics.between_bounds(b.lower, b.upper, h.share)
    FROM (
        SELECT c.place, ($1 * c.total - (c.up_to - c.count)) / c.count AS share
        FROM (
            SELECT
                u.place, u.count::double precision AS count, sum(u.count::double precision) OVER (ORDER BY u.place) AS up_to,
                sum(u.count::double precision) OVER () AS total
            FROM unnest($2[3:]) WITH ORDINALITY AS u (count, place)
        ) c
        WHERE c.count > 0 AND c.up_to >= $1 * c.total
        ORDER BY c.place
        LIMIT 1
    ) h
    CROSS JOIN LATERAL (
        SELECT
            analytics.exponential_bound($2[1], $2[2] + h.place - 1) AS lower, analytics.exponential_bound($2[1], $2[2] + h.place) AS upper
    ) b
$$;

-- Quantiles of a histogram by series and step. `width` NULL: one step, the whole range. The tier is the coarsest whose buckets fit `width`.
-- Cumulative ones: what each epoch rose by since its last point before, as in increases(); series of equal labels and bounds add up. The exact
-- quantile lies between lower_bound and upper_bound, NULL for an open end.
CREATE OR REPLACE FUNCTION analytics.metric_quantiles(
    metric_name text, quantiles double precision[], width interval, range_start timestamptz, range_end timestamptz DEFAULT now(),
    service text DEFAULT NULL
)
RETURNS TABLE (
    bucket timestamptz, application text, labels jsonb, quantile double precision, value double precision, lower_bound double precision,
    upper_bound double precision, count bigint, is_exact boolean
)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
DECLARE
    reach interval := coalesce(width, range_end - range_start);
    tier text := CASE
        WHEN reach >= CASE WHEN width IS NULL THEN INTERVAL '30 days' ELSE INTERVAL '1 day' END THEN 'daily'
        WHEN reach >= CASE WHEN width IS NULL THEN INTERVAL '1 day' ELSE INTERVAL '1 hour' END THEN 'hourly'
        ELSE 'minutely'
    END;
    scan_start timestamptz := time_bucket(INTERVAL '1 hour', range_start)
        - CASE tier WHEN 'daily' THEN INTERVAL '7 days' WHEN 'hourly' THEN INTERVAL '24 hours' ELSE INTERVAL '1 hour' END;
BEGIN
    RETURN QUERY EXECUTE format(
        $query$
        WITH epoch AS (
            SELECT
                h.*, lag(h.last_bucket_counts) OVER w AS before, lag(h.last_count) OVER w AS before_count,
                h.temporality IS NOT DISTINCT FROM 'delta' AS is_delta,
                coalesce(h.start_timestamp >= $7, false) AS began_in_sight
            FROM analytics.metric_histograms_%1$s h
            WHERE h.metric_name = $1 AND h.type = 'histogram' AND h.bucket >= $7 AND h.bucket < $5 AND ($6 IS NULL OR h.application = $6)
            WINDOW w AS (PARTITION BY h.series_id, h.start_timestamp ORDER BY h.bucket)
        ),
        place AS (
            SELECT
                CASE WHEN $3 IS NULL THEN $4 ELSE time_bucket($3, e.bucket) END AS bucket, e.application, e.labels, e.bounds, u.place,
                sum(greatest(u.count - coalesce(u.base, 0), 0)::double precision) AS count,
                bool_and(
                    e.is_delta OR (
                        e.start_timestamp IS NOT NULL AND (e.before_count <= e.last_count OR (e.before_count IS NULL AND e.began_in_sight))
                    )
                ) AS is_exact
            FROM epoch e
            CROSS JOIN LATERAL unnest(
                CASE WHEN e.is_delta THEN e.bucket_counts ELSE e.last_bucket_counts END,
                CASE
                    WHEN e.is_delta OR coalesce(e.before_count, e.first_count) > e.last_count THEN NULL
                    WHEN e.before_count IS NOT NULL THEN e.before
                    WHEN NOT e.began_in_sight THEN e.first_bucket_counts
                END
            ) WITH ORDINALITY AS u (count, base, place)
            WHERE e.bucket >= time_bucket($8, $4)
            GROUP BY 1, 2, 3, 4, 5
        ),
        explicit AS (
            SELECT
                p.bucket, p.application, p.labels, p.bounds, array_agg(least(p.count, 9e18)::bigint ORDER BY p.place) AS counts,
                array_agg(p.place::integer ORDER BY p.place) AS places, least(sum(p.count), 9e18)::bigint AS count,
                bool_and(p.is_exact) AS is_exact
            FROM place p
            GROUP BY p.bucket, p.application, p.labels, p.bounds
        ),
        point AS (
            SELECT
                h.*, lag(h.last_positive) OVER w AS before_positive, lag(h.last_negative) OVER w AS before_negative,
                lag(h.last_zero_count) OVER w AS before_zero_count, lag(h.last_count) OVER w AS before_count,
                h.temporality IS NOT DISTINCT FROM 'delta' AS is_delta,
                coalesce(h.start_timestamp >= $7, false) AS began_in_sight
            FROM analytics.metric_exponentials_%1$s h
            WHERE h.metric_name = $1 AND h.bucket >= $7 AND h.bucket < $5 AND ($6 IS NULL OR h.application = $6)
            WINDOW w AS (PARTITION BY h.series_id, h.start_timestamp ORDER BY h.bucket)
        ),
        -- Signed: what there was before is taken away once both are at one scale.
        part AS (
            SELECT
                CASE WHEN $3 IS NULL THEN $4 ELSE time_bucket($3, e.bucket) END AS bucket, e.application, e.labels, e.zero_threshold,
                x.side, x.sign, x.stored, x.zero_count,
                e.is_delta OR (
                    e.start_timestamp IS NOT NULL AND (e.before_count <= e.last_count OR (e.before_count IS NULL AND e.began_in_sight))
                ) AS is_exact
            FROM point e
            CROSS JOIN LATERAL (
                SELECT
                    NOT e.is_delta AND e.before_count IS NULL AND NOT e.began_in_sight AND e.first_count <= e.last_count AS from_first,
                    NOT e.is_delta AND e.before_count <= e.last_count AS from_before
            ) f
            CROSS JOIN LATERAL (
                VALUES
                (1, 1, CASE WHEN e.is_delta THEN e.positive ELSE e.last_positive END, NULL::bigint),
                (-1, 1, CASE WHEN e.is_delta THEN e.negative ELSE e.last_negative END, NULL),
                (0, 1, NULL, CASE WHEN e.is_delta THEN e.zero_count ELSE e.last_zero_count END),
                (1, -1, CASE WHEN f.from_before THEN e.before_positive WHEN f.from_first THEN e.first_positive END, NULL),
                (-1, -1, CASE WHEN f.from_before THEN e.before_negative WHEN f.from_first THEN e.first_negative END, NULL),
                (0, -1, NULL, CASE WHEN f.from_before THEN e.before_zero_count WHEN f.from_first THEN e.first_zero_count END)
            ) AS x (side, sign, stored, zero_count)
            WHERE e.bucket >= time_bucket($8, $4) AND (x.stored IS NOT NULL OR x.zero_count > 0)
        ),
        scaled AS (
            SELECT p.*, min(p.stored[1]) OVER (PARTITION BY p.bucket, p.application, p.labels, p.side) AS scale FROM part p
        ),
        cell AS (
            SELECT
                s.bucket, s.application, s.labels, s.side, s.scale, u.index, max(s.zero_threshold) AS zero_threshold,
                sum(s.sign * u.count::double precision) AS count, bool_and(s.is_exact) AS is_exact
            FROM scaled s
            CROSS JOIN LATERAL (
                SELECT (s.stored[2] + c.place - 1) >> least(s.stored[1] - s.scale, 63)::integer AS index, c.count
                FROM unnest(s.stored[3:]) WITH ORDINALITY AS c (count, place)
                UNION ALL
                SELECT NULL, s.zero_count WHERE s.side = 0
            ) u
            GROUP BY 1, 2, 3, 4, 5, 6
        ),
        held AS (
            SELECT c.*, min(c.index) FILTER (WHERE c.count > 0) OVER w AS low, max(c.index) FILTER (WHERE c.count > 0) OVER w AS high
            FROM cell c
            WINDOW w AS (PARTITION BY c.bucket, c.application, c.labels, c.side)
        ),
        -- At most as many buckets on a side as tidegauge.add_exponentials() keeps: so it is the same whatever it was added up from.
        narrowed AS (
            SELECT
                h.bucket, h.application, h.labels, h.side, h.scale - n.shift AS scale, h.index >> n.shift AS index,
                max(h.zero_threshold) AS zero_threshold, sum(h.count) AS count, bool_and(h.is_exact) AS is_exact
            FROM held h
            CROSS JOIN LATERAL (
                SELECT CASE
                    WHEN h.high - h.low < 320 THEN 0
                    ELSE (SELECT min(s) FROM generate_series(1, 63) AS s WHERE (h.high >> s) - (h.low >> s) < 320)
                END AS shift
            ) n
            GROUP BY 1, 2, 3, 4, 5, 6
        ),
        bounded AS (
            SELECT
                c.bucket, c.application, c.labels, c.count, c.is_exact,
                CASE c.side
                    WHEN 1 THEN analytics.exponential_bound(c.scale, c.index) WHEN -1 THEN -analytics.exponential_bound(c.scale, c.index + 1)
                    ELSE -c.zero_threshold
                END AS lower,
                CASE c.side
                    WHEN 1 THEN analytics.exponential_bound(c.scale, c.index + 1) WHEN -1 THEN -analytics.exponential_bound(c.scale, c.index)
                    ELSE c.zero_threshold
                END AS upper
            FROM narrowed c
            WHERE c.count > 0
        ),
        exponential AS (
            SELECT
                b.bucket, b.application, b.labels, array_agg(b.lower ORDER BY b.lower, b.upper) AS lowers,
                array_agg(b.upper ORDER BY b.lower, b.upper) AS uppers,
                array_agg(least(b.count, 9e18)::bigint ORDER BY b.lower, b.upper) AS counts, least(sum(b.count), 9e18)::bigint AS count,
                bool_and(b.is_exact) AS is_exact
            FROM bounded b
            GROUP BY b.bucket, b.application, b.labels
        )
        SELECT
            e.bucket, e.application, e.labels, q.quantile, analytics.histogram_quantile(q.quantile, e.bounds, e.counts),
            e.bounds[q.place - 1], e.bounds[q.place], e.count, e.is_exact
        FROM explicit e
        CROSS JOIN LATERAL unnest($2, analytics.bucket_ranks($2, e.places, e.counts)) AS q (quantile, place)
        WHERE e.count > 0
        UNION ALL
        SELECT
            e.bucket, e.application, e.labels, q.quantile,
            analytics.between_bounds(
                e.lowers[q.place], e.uppers[q.place],
                (q.quantile * e.count - (SELECT coalesce(sum(c), 0) FROM unnest(e.counts[:q.place - 1]) AS c)) / e.counts[q.place]
            ),
            e.lowers[q.place], e.uppers[q.place], e.count, e.is_exact
        FROM exponential e
        CROSS JOIN LATERAL unnest(
            $2, analytics.bucket_ranks($2, ARRAY(SELECT generate_series(1, cardinality(e.counts))), e.counts)
        ) AS q (quantile, place)
        ORDER BY 1, 2, 3, 4
        $query$,
        tier
    ) USING
        metric_name, quantiles, width, range_start, range_end, service, scan_start,
        CASE tier WHEN 'daily' THEN INTERVAL '1 day' WHEN 'hourly' THEN INTERVAL '1 hour' ELSE INTERVAL '1 minute' END;
END
$$;
