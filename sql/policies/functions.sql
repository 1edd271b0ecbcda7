-- What carries out tidegauge.lifecycle. Made anew after every migration; sql/policies/drop.sql removes it.
--
-- Functions have the search path of their creation, in which TimescaleDB's functions are found, and those that reckon from now the time zone
-- UTC: a day before now is an hour less or more where clocks were changed. A procedure that commits cannot have
-- one of its own and sets it at the start of each of its transactions.

-- The hypertable behind a relation: itself, or what a continuous aggregate is materialised in.
CREATE OR REPLACE FUNCTION tidegauge.hypertable_of(relation text) RETURNS regclass
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT coalesce(
        (
            SELECT format('%I.%I', c.materialization_hypertable_schema, c.materialization_hypertable_name)::regclass
            FROM timescaledb_information.continuous_aggregates c
            WHERE c.view_schema = 'tidegauge' AND c.view_name = relation
        ),
        format('tidegauge.%I', relation)::regclass
    )
$$;

-- Chunks that lie wholly before the relation's retention, oldest first.
CREATE OR REPLACE FUNCTION tidegauge.expired_chunks(relation text)
RETURNS TABLE (chunk regclass, range_start timestamptz, range_end timestamptz)
LANGUAGE sql STABLE SET timezone = 'UTC' SET search_path FROM CURRENT AS $$
    SELECT format('%I.%I', c.chunk_schema, c.chunk_name)::regclass, c.range_start, c.range_end
    FROM timescaledb_information.chunks c
    JOIN tidegauge.lifecycle l ON l.relation = expired_chunks.relation
    WHERE format('%I.%I', c.hypertable_schema, c.hypertable_name)::regclass = tidegauge.hypertable_of(l.relation)
    AND c.range_end <= now() - l.retention
    ORDER BY c.range_end
$$;

-- Where within [window_start, window_end) a rollup is not yet what its source says: never materialised, changed since, or left
-- over by a refresh that was cut short. Clipped to the window, unordered, may overlap. No row: the rollup covers the window.
CREATE OR REPLACE FUNCTION tidegauge.pending_ranges(relation text, window_start timestamptz, window_end timestamptz)
RETURNS TABLE (pending_start timestamptz, pending_end timestamptz)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
DECLARE
    aggregate record;
    lowest bigint := _timescaledb_functions.to_unix_microseconds(window_start);
    greatest_ bigint := _timescaledb_functions.to_unix_microseconds(window_end) - 1;
BEGIN
    SELECT c.mat_hypertable_id, c.raw_hypertable_id INTO STRICT aggregate
    FROM _timescaledb_catalog.continuous_agg c
    WHERE c.user_view_schema = 'tidegauge' AND c.user_view_name = pending_ranges.relation;
    RETURN QUERY
    SELECT
        _timescaledb_functions.to_timestamp(greatest(i.lowest_modified_value, lowest)),
        _timescaledb_functions.to_timestamp(least(i.greatest_modified_value, greatest_) + 1)
    FROM (
        SELECT m.lowest_modified_value, m.greatest_modified_value
        FROM _timescaledb_catalog.continuous_aggs_materialization_invalidation_log m
        WHERE m.materialization_id = aggregate.mat_hypertable_id
        UNION ALL
        SELECT h.lowest_modified_value, h.greatest_modified_value
        FROM _timescaledb_catalog.continuous_aggs_hypertable_invalidation_log h
        WHERE h.hypertable_id = aggregate.raw_hypertable_id
    ) i
    WHERE i.lowest_modified_value <= greatest_ AND i.greatest_modified_value >= lowest;
    -- Newer versions keep what a refresh has yet to do in a table of its own.
    IF to_regclass('_timescaledb_catalog.continuous_aggs_materialization_ranges') IS NOT NULL THEN
        RETURN QUERY EXECUTE
            'SELECT _timescaledb_functions.to_timestamp(greatest(r.lowest_modified_value, $2)),'
            ' _timescaledb_functions.to_timestamp(least(r.greatest_modified_value, $3) + 1)'
            ' FROM _timescaledb_catalog.continuous_aggs_materialization_ranges r'
            ' WHERE r.materialization_id = $1 AND r.lowest_modified_value <= $3 AND r.greatest_modified_value >= $2'
        USING aggregate.mat_hypertable_id, lowest, greatest_;
    END IF;
END
$$;

-- What a rollup's policy refreshes now, in whole buckets. A window that ends before it starts has nothing to refresh.
CREATE OR REPLACE FUNCTION tidegauge.refresh_window(
    relation text, OUT window_start timestamptz, OUT window_end timestamptz
)
LANGUAGE sql STABLE SET timezone = 'UTC' SET search_path FROM CURRENT AS $$
    SELECT
        time_bucket(l.bucket_width, now() - l.refresh_start_offset + l.bucket_width - INTERVAL '1 microsecond'),
        time_bucket(l.bucket_width, now() - l.refresh_end_offset)
    FROM tidegauge.lifecycle l
    WHERE l.relation = refresh_window.relation AND l.kind = 'rollup'
$$;

-- The buckets of a rollup that a chunk [range_start, range_end) of its source fills and that its source can still fill whole: what has been
-- dropped was covered then, and a bucket that it had a part in is lost if it is refreshed again. None (window_start >= window_end)
-- for a chunk that late data made anew where one was dropped.
CREATE OR REPLACE FUNCTION tidegauge.buckets_of_chunk(
    relation text, range_start timestamptz, range_end timestamptz, OUT window_start timestamptz, OUT window_end timestamptz
)
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT
        greatest(
            time_bucket(l.bucket_width, buckets_of_chunk.range_start),
            CASE
                WHEN s.dropped_through > '-infinity'
                    THEN time_bucket(l.bucket_width, s.dropped_through + l.bucket_width - INTERVAL '1 microsecond')
            END,
            -- What the rollup itself keeps no longer, and no other is made from, is not made for the sake of being dropped.
            CASE
                WHEN NOT EXISTS (SELECT FROM tidegauge.lifecycle d WHERE d.source = l.relation)
                    THEN time_bucket(l.bucket_width, now() - l.retention)
            END
        ),
        time_bucket(l.bucket_width, buckets_of_chunk.range_end + l.bucket_width - INTERVAL '1 microsecond')
    FROM tidegauge.lifecycle l
    JOIN tidegauge.lifecycle s ON s.relation = l.source
    WHERE l.relation = buckets_of_chunk.relation
$$;

-- Drop at most `most` chunks of a relation that are past its retention, oldest first, each only when every rollup made from it covers
-- it: a rollup that does not is refreshed over the chunk's buckets first. (Rollups made from rollups are asked when those are dropped.)
-- Commits after each chunk; so it is called outside of a transaction.
CREATE OR REPLACE PROCEDURE tidegauge.drop_expired_chunks(relation text, most integer DEFAULT 1000)
LANGUAGE plpgsql AS $$
DECLARE
    extension_schema text := (
        SELECT n.nspname FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
        WHERE e.extname = 'timescaledb'
    );
    dependents text[];
    dependent text;
    expired record;
    buckets record;
BEGIN
    SELECT coalesce(array_agg(l.relation ORDER BY l.relation), '{}') INTO dependents
    FROM tidegauge.lifecycle l
    WHERE l.source = drop_expired_chunks.relation;
    FOR turn IN 1..most LOOP
        SELECT e.* INTO expired FROM tidegauge.expired_chunks(relation) e LIMIT 1;
        EXIT WHEN NOT FOUND;
        FOREACH dependent IN ARRAY dependents LOOP
            SELECT b.* INTO buckets FROM tidegauge.buckets_of_chunk(dependent, expired.range_start, expired.range_end) b;
            CONTINUE WHEN buckets.window_start >= buckets.window_end
                OR NOT EXISTS (SELECT FROM tidegauge.pending_ranges(dependent, buckets.window_start, buckets.window_end));
            PERFORM pg_catalog.set_config('search_path', extension_schema, true);
            CALL refresh_continuous_aggregate(
                pg_catalog.format('tidegauge.%I', dependent)::regclass, buckets.window_start, buckets.window_end
            );
            IF EXISTS (SELECT FROM tidegauge.pending_ranges(dependent, buckets.window_start, buckets.window_end)) THEN
                RAISE EXCEPTION 'chunk % of tidegauge.% is kept: tidegauge.% does not cover it', expired.chunk, relation, dependent
                    USING HINT = 'Another session is refreshing it or writing so far back; the next run tries again.';
            END IF;
        END LOOP;
        PERFORM pg_catalog.set_config('search_path', extension_schema, true), pg_catalog.set_config('lock_timeout', '10s', true);
        PERFORM tidegauge.keep_before_drop(relation, expired.range_start, expired.range_end);
        PERFORM drop_chunks(
            pg_catalog.format('tidegauge.%I', relation)::regclass, older_than => expired.range_end, newer_than => expired.range_start
        );
        UPDATE tidegauge.lifecycle l
        SET dropped_through = greatest(l.dropped_through, expired.range_end)
        WHERE l.relation = drop_expired_chunks.relation;
        COMMIT;
    END LOOP;
END
$$;

-- The same as a TimescaleDB job; its config names the relation.
CREATE OR REPLACE PROCEDURE tidegauge.drop_expired_chunks_job(job_id integer, config jsonb)
LANGUAGE plpgsql AS $$
BEGIN
    CALL tidegauge.drop_expired_chunks(config ->> 'relation');
END
$$;

-- Make chunk intervals and jobs be what tidegauge.lifecycle says; changes only what differs. `by_workers`: TimescaleDB's own workers run the
-- jobs; otherwise they stand there unscheduled, for run_job() and for being seen.
--
-- A chunk interval that was made smaller since (chunks of the embedded database are kept small) stays until the setting changes.
CREATE OR REPLACE FUNCTION tidegauge.apply_lifecycle(by_workers boolean) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    kept record;
BEGIN
    -- A relation is new: it holds nothing of what had been dropped of its source, nor of what its source holds nothing of.
    WITH RECURSIVE made (relation, made_from) AS (
        SELECT l.relation, coalesce(l.made_from, CASE
            -- Spans of a minute are paired with those of the hour before.
            WHEN l.relation = 'service_edges_minutely' AND t.dropped_through > '-infinity' THEN t.dropped_through + INTERVAL '1 hour'
            ELSE '-infinity'
        END)
        FROM tidegauge.lifecycle l
        LEFT JOIN tidegauge.lifecycle t ON t.relation = 'traces'
        WHERE l.source IS NULL
        UNION ALL
        SELECT l.relation, coalesce(l.made_from, greatest(m.made_from, s.dropped_through))
        FROM tidegauge.lifecycle l
        JOIN made m ON m.relation = l.source
        JOIN tidegauge.lifecycle s ON s.relation = l.source
    )
    UPDATE tidegauge.lifecycle l SET made_from = m.made_from FROM made m WHERE m.relation = l.relation AND l.made_from IS NULL;
    FOR kept IN SELECT l.*, tidegauge.hypertable_of(l.relation) AS hypertable FROM tidegauge.lifecycle l ORDER BY l.relation LOOP
        IF kept.kind = 'rollup' AND kept.refresh_start_offset < kept.refresh_end_offset + 2 * kept.bucket_width THEN
            RAISE EXCEPTION 'tidegauge.% is kept for too short a time for tidegauge.% to be made from it', kept.source, kept.relation
                USING HINT = format(
                    'what is kept of tidegauge.%s, less two chunks, has to reach back %s at least',
                    kept.source, kept.refresh_end_offset + 2 * kept.bucket_width
                );
        END IF;
        PERFORM tidegauge.apply_chunk_interval(kept.relation);
        IF kept.compress_after IS NOT NULL THEN
            PERFORM tidegauge.apply_columnstore_policy(kept.relation, by_workers);
        END IF;
        IF kept.kind = 'rollup' THEN
            PERFORM tidegauge.apply_refresh_policy(kept.relation, by_workers);
        END IF;
        PERFORM tidegauge.apply_drop_job(kept.relation, by_workers);
    END LOOP;
    PERFORM tidegauge.apply_own_job('repair_rollups_job', INTERVAL '10 minutes', by_workers);
    PERFORM tidegauge.apply_own_job('collect_job', INTERVAL '6 hours', by_workers);
    PERFORM tidegauge.apply_service_map_job(by_workers);
END
$$;

CREATE OR REPLACE FUNCTION tidegauge.apply_chunk_interval(relation text) RETURNS void
LANGUAGE sql SET search_path FROM CURRENT AS $$
    SELECT set_chunk_time_interval(tidegauge.hypertable_of(l.relation), l.chunk_interval)
    FROM tidegauge.lifecycle l
    JOIN timescaledb_information.dimensions d
        ON format('%I.%I', d.hypertable_schema, d.hypertable_name)::regclass = tidegauge.hypertable_of(l.relation)
    WHERE l.relation = apply_chunk_interval.relation
    AND d.time_interval <> l.chunk_interval
    AND (d.time_interval > l.chunk_interval OR l.chunk_interval IS DISTINCT FROM l.chunk_interval_set);
    UPDATE tidegauge.lifecycle l SET chunk_interval_set = l.chunk_interval
    WHERE l.relation = apply_chunk_interval.relation AND l.chunk_interval IS DISTINCT FROM l.chunk_interval_set
$$;

CREATE OR REPLACE FUNCTION tidegauge.apply_columnstore_policy(relation text, by_workers boolean) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    hypertable regclass := tidegauge.hypertable_of(relation);
    compress_after interval := (SELECT l.compress_after FROM tidegauge.lifecycle l WHERE l.relation = apply_columnstore_policy.relation);
BEGIN
    IF NOT EXISTS (
        SELECT FROM timescaledb_information.jobs j
        WHERE j.proc_name = 'policy_compression' AND j.hypertable_schema = 'tidegauge' AND j.hypertable_name = relation
    ) THEN
        CALL add_columnstore_policy(hypertable, after => compress_after);
    END IF;
    PERFORM tidegauge.alter_job_where_it_differs(j.job_id, by_workers, NULL, jsonb_build_object('compress_after', compress_after))
    FROM timescaledb_information.jobs j
    WHERE j.proc_name = 'policy_compression' AND j.hypertable_schema = 'tidegauge' AND j.hypertable_name = relation;
END
$$;

CREATE OR REPLACE FUNCTION tidegauge.apply_refresh_policy(relation text, by_workers boolean) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    kept tidegauge.lifecycle := (SELECT l FROM tidegauge.lifecycle l WHERE l.relation = apply_refresh_policy.relation);
    job integer;
BEGIN
    SELECT j.job_id INTO job
    FROM timescaledb_information.jobs j
    JOIN _timescaledb_catalog.continuous_agg c ON c.mat_hypertable_id = (j.config ->> 'mat_hypertable_id')::integer
    WHERE j.proc_name = 'policy_refresh_continuous_aggregate' AND c.user_view_schema = 'tidegauge' AND c.user_view_name = relation;
    IF NOT FOUND THEN
        job := add_continuous_aggregate_policy(
            format('tidegauge.%I', relation)::regclass,
            start_offset => kept.refresh_start_offset, end_offset => kept.refresh_end_offset, schedule_interval => kept.refresh_every
        );
    END IF;
    PERFORM tidegauge.alter_job_where_it_differs(
        job, by_workers, kept.refresh_every,
        jsonb_build_object('start_offset', kept.refresh_start_offset, 'end_offset', kept.refresh_end_offset)
    );
END
$$;

CREATE OR REPLACE FUNCTION tidegauge.apply_drop_job(relation text, by_workers boolean) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    settings jsonb := jsonb_build_object('relation', relation);
    job integer;
BEGIN
    SELECT j.job_id INTO job
    FROM timescaledb_information.jobs j
    WHERE j.proc_schema = 'tidegauge' AND j.proc_name = 'drop_expired_chunks_job' AND j.config @> settings;
    IF NOT FOUND THEN
        -- Spread over the hour, so that they do not ask for all of TimescaleDB's workers at once.
        job := add_job(
            'tidegauge.drop_expired_chunks_job', INTERVAL '1 hour', config => settings,
            initial_start => now() + abs(hashtext(relation) % 3600) * INTERVAL '1 second'
        );
    END IF;
    PERFORM tidegauge.alter_job_where_it_differs(job, by_workers, NULL, settings);
END
$$;

-- A job of ours that is there once.
CREATE OR REPLACE FUNCTION tidegauge.apply_own_job(procedure_name text, every interval, by_workers boolean) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    job integer;
BEGIN
    SELECT j.job_id INTO job FROM timescaledb_information.jobs j WHERE j.proc_schema = 'tidegauge' AND j.proc_name = procedure_name;
    IF NOT FOUND THEN
        job := add_job(format('tidegauge.%I', procedure_name)::regproc, every, config => '{}', initial_start => now() + every / 2);
    END IF;
    PERFORM tidegauge.alter_job_where_it_differs(job, by_workers, every, '{}');
END
$$;

-- `every` NULL: as it is. `settings` are merged into the job's config; intervals among them are compared as intervals.
CREATE OR REPLACE FUNCTION tidegauge.alter_job_where_it_differs(job integer, by_workers boolean, every interval, settings jsonb)
RETURNS void
LANGUAGE sql SET search_path FROM CURRENT AS $$
    SELECT alter_job(j.job_id, schedule_interval => every, scheduled => by_workers, config => j.config || settings)
    FROM timescaledb_information.jobs j
    WHERE j.job_id = job
    AND (j.scheduled <> by_workers OR j.schedule_interval <> every OR NOT j.config @> settings)
$$;
