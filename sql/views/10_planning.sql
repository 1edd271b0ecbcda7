-- What answers are planned with (src/tidegauge/query/plan.py), and read from.

-- What is materialised of each rollup, and nothing else: tidegauge.<rollup>_stored. The rollup itself is real-time: its plan looks at every
-- chunk of the raw data as well, which costs more than the answer. Who reads these has to know the rollup's state (tier_states).
DO $$
DECLARE
    rollup record;
BEGIN
    FOR rollup IN
        SELECT c.user_view_name AS name, h.schema_name, h.table_name
        FROM _timescaledb_catalog.continuous_agg c
        JOIN _timescaledb_catalog.hypertable h ON h.id = c.mat_hypertable_id
        WHERE c.user_view_schema = 'tidegauge'
    LOOP
        EXECUTE format(
            'CREATE OR REPLACE VIEW tidegauge.%I AS SELECT * FROM %I.%I', rollup.name || '_stored', rollup.schema_name, rollup.table_name
        );
        EXECUTE format(
            'COMMENT ON VIEW tidegauge.%I IS %L', rollup.name || '_stored',
            format('What of tidegauge.%s is materialised; tidegauge.tier_states() says how far it can be trusted.', rollup.name)
        );
    END LOOP;
END
$$;

-- The tiers of a family (metrics, metric_histograms, traces, …): raw data, then rollups. Times are microseconds since the Unix epoch.
--
-- A rollup is made up to the least watermark of itself and what it is made from; pending is what is pending of any of these, as far as
-- there are chunks that it could be read from. pending_us holds starts and ends in turn, unordered, may overlap.
CREATE OR REPLACE FUNCTION tidegauge.tier_states(family text)
RETURNS TABLE (level text, watermark_us bigint, dropped_us bigint, pending_us bigint[])
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan SET search_path = pg_catalog AS $$
#variable_conflict use_column
DECLARE
    -- Newer versions of TimescaleDB keep what a refresh has yet to do in a table of its own.
    has_ranges boolean := to_regclass('_timescaledb_catalog.continuous_aggs_materialization_ranges') IS NOT NULL;
    tier record;
    part record;
    own bigint[];
BEGIN
    FOR tier IN
        SELECT l.relation, l.source, l.kind, greatest(l.dropped_through, l.made_from) AS dropped_through
        FROM tidegauge.lifecycle l
        -- The raw data of durations are spans.
        WHERE l.relation IN (
            CASE
                WHEN family IN ('trace_durations', 'service_durations', 'service_percentiles', 'service_totals') THEN 'traces'
                WHEN family = 'metric_exponentials' THEN 'metric_histograms'
                ELSE family
            END,
            family || '_minutely', family || '_hourly', family || '_daily'
        )
    LOOP
        level := CASE WHEN tier.kind = 'rollup' THEN substr(tier.relation, length(family) + 2) ELSE 'raw' END;
        dropped_us := CASE WHEN tier.dropped_through > '-infinity' THEN extract(epoch FROM tier.dropped_through) * 1000000 ELSE 0 END;
        watermark_us := 9223372036854775;
        pending_us := '{}';
        FOR part IN
            WITH RECURSIVE chain AS (
                SELECT tier.relation AS relation, tier.source AS source WHERE tier.kind = 'rollup'
                UNION ALL
                SELECT l.relation, l.source FROM chain JOIN tidegauge.lifecycle l ON l.relation = chain.source AND l.kind = 'rollup'
            )
            SELECT
                c.mat_hypertable_id AS id, c.raw_hypertable_id AS source_id, greatest(w.watermark, 0) AS watermark,
                (
                    SELECT min(s.range_start)
                    FROM _timescaledb_catalog.dimension d JOIN _timescaledb_catalog.dimension_slice s ON s.dimension_id = d.id
                    WHERE d.hypertable_id = c.raw_hypertable_id
                ) AS first
            FROM chain
            JOIN _timescaledb_catalog.continuous_agg c ON c.user_view_schema = 'tidegauge' AND c.user_view_name = chain.relation
            JOIN _timescaledb_catalog.continuous_aggs_watermark w ON w.mat_hypertable_id = c.mat_hypertable_id
        LOOP
            watermark_us := least(watermark_us, part.watermark);
            SELECT array_agg(x.edge) INTO own
            FROM (
                SELECT m.lowest_modified_value AS low, m.greatest_modified_value AS high
                FROM _timescaledb_catalog.continuous_aggs_materialization_invalidation_log m
                WHERE m.materialization_id = part.id
                UNION ALL
                SELECT h.lowest_modified_value, h.greatest_modified_value
                FROM _timescaledb_catalog.continuous_aggs_hypertable_invalidation_log h
                WHERE h.hypertable_id = part.source_id
            ) i
            CROSS JOIN LATERAL unnest(ARRAY[greatest(i.low, part.first), least(i.high, watermark_us - 1) + 1]) AS x (edge)
            WHERE i.low < watermark_us AND i.high >= part.first;
            pending_us := pending_us || own;
            IF has_ranges THEN
                SELECT array_agg(x.edge) INTO own
                FROM _timescaledb_catalog.continuous_aggs_materialization_ranges i
                CROSS JOIN LATERAL unnest(
                    ARRAY[greatest(i.lowest_modified_value, part.first), least(i.greatest_modified_value, watermark_us - 1) + 1]
                ) AS x (edge)
                WHERE i.materialization_id = part.id AND i.lowest_modified_value < watermark_us AND i.greatest_modified_value >= part.first;
                pending_us := pending_us || own;
            END IF;
        END LOOP;
        RETURN NEXT;
    END LOOP;
END
$$;

REVOKE EXECUTE ON FUNCTION tidegauge.tier_states(text) FROM PUBLIC;
COMMENT ON FUNCTION tidegauge.tier_states(text) IS
    'Raw data and rollups of a family: how far each is made, what was dropped, and what waits for a refresh.';

-- Values of gauges and sums by step, of each series, from the coarsest rollup whose buckets fit: days for steps of whole days, hours for steps
-- of whole hours, and points for others. Rollups are real-time, so that what is not materialised yet is in them; what came late is from the
-- next refresh on. The range is widened to whole steps, which begin at multiples of the step since 1970, of whole days at the zone's midnights.
CREATE OR REPLACE FUNCTION analytics.metric_range(
    metric_name text, step interval DEFAULT INTERVAL '1 hour', range_start timestamptz DEFAULT now() - INTERVAL '1 day',
    range_end timestamptz DEFAULT now(), aggregation text DEFAULT 'avg', timezone text DEFAULT 'UTC'
)
RETURNS TABLE (bucket timestamptz, application text, labels jsonb, value double precision)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
#variable_conflict use_column
DECLARE
    step_seconds bigint := extract(epoch FROM $2);
    of_days boolean := step_seconds % 86400 = 0;
    zone text := CASE WHEN of_days THEN $6 ELSE 'UTC' END;
    origin timestamptz := TIMESTAMP '1970-01-01 00:00' AT TIME ZONE zone;
    first_step timestamptz := time_bucket($2, $3, zone, origin);
    last_step timestamptz := time_bucket($2, $4 - INTERVAL '1 microsecond', zone, origin);
    past_end timestamptz := (last_step AT TIME ZONE zone + $2) AT TIME ZONE zone;
    fits_hours boolean;
    tier text;
BEGIN
    IF $5 NOT IN ('avg', 'sum', 'min', 'max', 'count', 'first', 'last', 'increase', 'rate') THEN
        RAISE EXCEPTION 'aggregation % is not known', $5
            USING ERRCODE = 'invalid_parameter_value', HINT = 'expected avg, sum, min, max, count, first, last, increase or rate';
    END IF;
    -- Local midnights are full hours of UTC in most zones.
    SELECT step_seconds % 3600 = 0 AND bool_and(extract(epoch FROM d.day AT TIME ZONE zone)::bigint % 3600 = 0) INTO fits_hours
    FROM generate_series(first_step AT TIME ZONE zone, past_end AT TIME ZONE zone, INTERVAL '1 day') AS d (day);
    tier := CASE WHEN of_days AND zone = 'UTC' THEN 'daily' WHEN fits_hours THEN 'hourly' ELSE 'raw' END;
    IF $5 IN ('increase', 'rate') THEN
        IF tier = 'raw' OR zone <> 'UTC' THEN
            RAISE EXCEPTION 'aggregation % needs steps of whole hours, in UTC', $5 USING ERRCODE = 'invalid_parameter_value';
        END IF;
        RETURN QUERY
        SELECT
            time_bucket($2, i.bucket, zone, origin), i.application, i.labels,
            sum(i.increase) / CASE WHEN $5 = 'rate' THEN step_seconds ELSE 1 END
        FROM analytics.increases($1, INTERVAL '1 hour', first_step, past_end) i
        WHERE i.bucket < past_end
        GROUP BY 1, 2, 3
        ORDER BY 2, 3, 1;
        RETURN;
    END IF;
    RETURN QUERY
    WITH part AS (
        SELECT
            d.bucket AS near, greatest(d.bucket, d.start_timestamp) AS at, d.series_id, d.application, d.labels,
            d.count, d.sum, d.min, d.max, d.first, d.last
        FROM analytics.metrics_daily d
        WHERE tier = 'daily' AND d.metric_name = $1 AND d.type IN ('gauge', 'sum') AND d.bucket >= first_step AND d.bucket < past_end
        UNION ALL
        SELECT
            h.bucket, greatest(h.bucket, h.start_timestamp), h.series_id, h.application, h.labels,
            h.count, h.sum, h.min, h.max, h.first, h.last
        FROM analytics.metrics_hourly h
        WHERE tier = 'hourly' AND h.metric_name = $1 AND h.type IN ('gauge', 'sum') AND h.bucket >= first_step AND h.bucket < past_end
        UNION ALL
        SELECT
            m.timestamp, m.timestamp, m.series_id, m.application, m.labels, 1::bigint,
            CASE WHEN abs(m.value) < 1e290 THEN m.value ELSE sign(m.value) * 'Infinity'::double precision END,
            m.value, m.value, m.value, m.value
        FROM analytics.metrics m
        WHERE tier = 'raw' AND m.metric_name = $1 AND m.type IN ('gauge', 'sum') AND m.timestamp >= first_step AND m.timestamp < past_end
            AND m.flags & 1 = 0 AND m.value IS NOT NULL AND m.value <> 'NaN'::double precision
    )
    SELECT
        time_bucket($2, p.near, zone, origin), p.application, p.labels,
        CASE $5
            WHEN 'avg' THEN sum(p.sum) / sum(p.count)::double precision
            WHEN 'sum' THEN sum(p.sum)
            WHEN 'min' THEN min(p.min)
            WHEN 'max' THEN max(p.max)
            WHEN 'count' THEN sum(p.count)::double precision
            WHEN 'first' THEN first(p.first, p.at)
            WHEN 'last' THEN last(p.last, p.at)
        END
    FROM part p
    GROUP BY 1, p.series_id, p.application, p.labels
    ORDER BY 2, 3, 1;
END
$$;

COMMENT ON FUNCTION analytics.metric_range(text, interval, timestamptz, timestamptz, text, text) IS
    'Values of gauges and sums by step, of each series, from the coarsest rollup that fits. aggregation: avg, sum, min, max, count, first, last; increase and rate for steps of whole hours. Steps of whole days begin at midnight in timezone.';
