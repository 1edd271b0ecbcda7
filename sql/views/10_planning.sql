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
        EXECUTE format('CREATE OR REPLACE VIEW tidegauge.%I AS SELECT * FROM %I.%I', rollup.name || '_stored', rollup.schema_name, rollup.table_name);
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
        SELECT l.relation, l.source, l.kind, l.dropped_through
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
