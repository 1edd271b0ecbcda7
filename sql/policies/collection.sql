-- Collection of dictionary rows that nothing refers to any more. docs/adr/0021 says why no writer is left with an id of a row that is gone.
--
-- One round: rows unseen for long are marked (deletion_epoch); the dictionaries' epoch is raised while no transaction is open that knows
-- the one before; then everything that may refer to a marked row is looked at, a chunk at a time; what is still marked in the end is
-- deleted. From the moment the epoch is raised a writer gets the id of a marked row only by interning it again, which takes the mark away:
-- so however long the looking takes, nothing new can refer to a row that is marked. Each call of collect_turn() is one short transaction
-- and finds in tables what has been done, so that a collection that was killed goes on where it stopped.

-- Columns of hypertables that may hold ids of a dictionary: by their names, `<id>` or `…_<id>`, and `…_<id>s` for arrays. `level`: 0 for
-- what is written by ingest, else one more than for what a rollup is made from.
CREATE OR REPLACE FUNCTION tidegauge.references_by_time(dictionary text)
RETURNS TABLE (hypertable_id integer, level integer, relation text, id_column text, time_column text)
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    WITH RECURSIVE tree AS (
        SELECT h.id, 0 AS level FROM _timescaledb_catalog.hypertable h WHERE h.schema_name = 'tidegauge'
        UNION ALL
        SELECT c.mat_hypertable_id, t.level + 1 FROM _timescaledb_catalog.continuous_agg c JOIN tree t ON t.id = c.raw_hypertable_id
    )
    SELECT t.id, t.level, format('%I.%I', h.schema_name, h.table_name), a.attname::text, d.column_name::text
    FROM tree t
    JOIN _timescaledb_catalog.hypertable h ON h.id = t.id
    JOIN pg_catalog.pg_attribute a ON a.attrelid = format('%I.%I', h.schema_name, h.table_name)::regclass
    JOIN tidegauge.collections k ON k.dictionary = references_by_time.dictionary
    CROSS JOIN LATERAL (
        SELECT n.column_name FROM _timescaledb_catalog.dimension n WHERE n.hypertable_id = t.id ORDER BY n.id LIMIT 1
    ) d
    WHERE a.attnum > 0 AND NOT a.attisdropped
    AND a.atttypid IN ('integer'::regtype, 'bigint'::regtype, 'integer[]'::regtype, 'bigint[]'::regtype)
    AND (a.attname = k.id_column OR right(a.attname, length(k.id_column) + 1) = '_' || k.id_column
        OR a.attname = k.id_column || 's' OR right(a.attname, length(k.id_column) + 2) = '_' || k.id_column || 's')
$$;

-- Foreign keys of others, a team's own tables among them, that would not let a row of a dictionary go.
CREATE OR REPLACE FUNCTION tidegauge.references_by_key(dictionary text)
RETURNS TABLE (relation text, id_column text)
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT format('%I.%I', n.nspname, k.relname), a.attname::text
    FROM pg_catalog.pg_constraint c
    JOIN pg_catalog.pg_class k ON k.oid = c.conrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = k.relnamespace
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
    WHERE c.contype = 'f' AND c.confrelid = format('tidegauge.%I', dictionary)::regclass AND c.confdeltype IN ('a', 'r')
    AND NOT (n.nspname = 'tidegauge' AND k.relname IN (SELECT d.dictionary FROM tidegauge.collections d))
$$;

-- Rows of a dictionary last seen before this moment are looked at: the longest that anything which may refer to them is kept, the time
-- until a row is marked as seen, and the grace period.
CREATE OR REPLACE FUNCTION tidegauge.unseen_before(dictionary text) RETURNS timestamptz
LANGUAGE sql STABLE SET timezone = 'UTC' SET search_path FROM CURRENT AS $$
    SELECT now() - INTERVAL '2 hours' - k.grace - coalesce(
        (
            SELECT max(l.retention + l.chunk_interval)
            FROM tidegauge.lifecycle l
            JOIN tidegauge.references_by_time(
                CASE unseen_before.dictionary WHEN 'span_names' THEN 'applications' ELSE unseen_before.dictionary END
            ) r ON r.relation::regclass = tidegauge.hypertable_of(l.relation)
        ),
        '0'
    )
    FROM tidegauge.collections k
    WHERE k.dictionary = unseen_before.dictionary
$$;

-- Ids of rows of a dictionary that a round would mark: unseen for long, and no row of another dictionary that is not marked itself
-- refers to them. What was found to be referred to all the same is left alone for a week.
CREATE OR REPLACE FUNCTION tidegauge.unseen_rows(dictionary text, before timestamptz, most integer) RETURNS SETOF bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
    again_before timestamptz := now() - INTERVAL '7 days';
BEGIN
    CASE dictionary
        WHEN 'series' THEN
            RETURN QUERY
            SELECT s.series_id FROM tidegauge.series s
            WHERE s.last_seen < before AND s.deletion_epoch IS NULL AND (s.referenced_at IS NULL OR s.referenced_at < again_before)
            LIMIT most;
        WHEN 'resources' THEN
            RETURN QUERY
            SELECT r.resource_id::bigint FROM tidegauge.resources r
            WHERE r.last_seen < before AND r.deletion_epoch IS NULL AND (r.referenced_at IS NULL OR r.referenced_at < again_before)
            AND NOT EXISTS (SELECT FROM tidegauge.series s WHERE s.resource_id = r.resource_id AND s.deletion_epoch IS NULL)
            LIMIT most;
        WHEN 'scopes' THEN
            RETURN QUERY
            SELECT c.scope_id::bigint FROM tidegauge.scopes c
            WHERE c.last_seen < before AND c.deletion_epoch IS NULL AND (c.referenced_at IS NULL OR c.referenced_at < again_before)
            AND NOT EXISTS (SELECT FROM tidegauge.series s WHERE s.scope_id = c.scope_id AND s.deletion_epoch IS NULL)
            LIMIT most;
        WHEN 'applications' THEN
            RETURN QUERY
            SELECT a.application_id::bigint FROM tidegauge.applications a
            WHERE a.last_seen < before AND a.deletion_epoch IS NULL AND (a.referenced_at IS NULL OR a.referenced_at < again_before)
            AND NOT EXISTS (SELECT FROM tidegauge.resources r WHERE r.application_id = a.application_id AND r.deletion_epoch IS NULL)
            LIMIT most;
    END CASE;
END
$$;

-- Mark at most `most` rows of each dictionary. `before` instead of what the settings say.
CREATE OR REPLACE FUNCTION tidegauge.mark_unseen(before timestamptz, most integer) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    now_epoch bigint := (SELECT e.epoch FROM tidegauge.dictionary_epoch e);
    kept record;
    marked bigint;
    total bigint := 0;
BEGIN
    -- Series first: a resource whose series are all marked can go with them.
    FOR kept IN
        SELECT k.dictionary, k.id_column FROM tidegauge.collections k
        WHERE k.id_column IS NOT NULL
        ORDER BY array_position(ARRAY['series', 'resources', 'scopes', 'applications'], k.dictionary)
    LOOP
        EXECUTE format(
            'UPDATE tidegauge.%1$I d SET deletion_epoch = $1 WHERE d.deletion_epoch IS NULL AND d.%2$I = ANY (ARRAY('
            'SELECT u FROM tidegauge.unseen_rows($2, $3, $4) u))',
            kept.dictionary, kept.id_column
        ) USING now_epoch, kept.dictionary, coalesce(before, tidegauge.unseen_before(kept.dictionary)), most;
        GET DIAGNOSTICS marked = ROW_COUNT;
        total := total + marked;
    END LOOP;
    RETURN total;
END
$$;

-- Raise the dictionaries' epoch while no transaction is open that has read the one before; false: there was one.
--
-- A transaction of a writer reads the epoch in its first statement and keeps that statement's lock on the table to its end. With the table
-- locked against that, every writer has either committed, and what it wrote is seen from here on, or begins when this is over, reads the
-- new epoch, and drops every id that it knew. It is tried for a moment only: writers who come meanwhile wait for it.
CREATE OR REPLACE FUNCTION tidegauge.raise_dictionary_epoch(before timestamptz) RETURNS boolean
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    names_before timestamptz := coalesce(before, tidegauge.unseen_before('span_names'));
    metadata_before timestamptz := coalesce(before, tidegauge.unseen_before('metric_metadata'));
    gone bigint;
BEGIN
    BEGIN
        PERFORM set_config('lock_timeout', '250ms', true);
        LOCK TABLE tidegauge.dictionary_epoch IN ACCESS EXCLUSIVE MODE;
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
        RETURN false;
    END;
    UPDATE tidegauge.dictionary_epoch e
    SET epoch = greatest(e.epoch + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint), changed_at = clock_timestamp();
    -- These have no ids. Writers remember which they have stored; they forget it with the epoch.
    DELETE FROM tidegauge.span_names n
    WHERE (n.application_id, n.name) IN (
        SELECT o.application_id, o.name FROM tidegauge.span_names o WHERE o.last_seen < names_before LIMIT 2000
    );
    GET DIAGNOSTICS gone = ROW_COUNT;
    UPDATE tidegauge.collections k SET collected = k.collected + gone, collected_at = now() WHERE k.dictionary = 'span_names' AND gone > 0;
    DELETE FROM tidegauge.metric_metadata m
    WHERE (m.tenant_id, m.application_id, m.metric_name, m.type, m.unit) IN (
        SELECT o.tenant_id, o.application_id, o.metric_name, o.type, o.unit
        FROM tidegauge.metric_metadata o
        WHERE o.updated_at < metadata_before
        AND NOT EXISTS (SELECT FROM tidegauge.series s WHERE s.application_id = o.application_id AND s.metric_name = o.metric_name)
        LIMIT 1000
    );
    GET DIAGNOSTICS gone = ROW_COUNT;
    UPDATE tidegauge.collections k SET collected = k.collected + gone, collected_at = now()
    WHERE k.dictionary = 'metric_metadata' AND gone > 0;
    RETURN true;
END
$$;

-- Whether names or descriptions alone are to go. Since when is asked once, and not for each of them: that takes a look at the catalogue.
CREATE OR REPLACE FUNCTION tidegauge.unseen_names(before timestamptz) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM tidegauge.span_names o WHERE o.last_seen < (SELECT coalesce(before, tidegauge.unseen_before('span_names')))
    ) OR EXISTS (
        SELECT FROM tidegauge.metric_metadata o
        WHERE o.updated_at < (SELECT coalesce(before, tidegauge.unseen_before('metric_metadata')))
        AND NOT EXISTS (SELECT FROM tidegauge.series s WHERE s.application_id = o.application_id AND s.metric_name = o.metric_name)
    )
$$;

-- Write down what has to be looked at: every relation that may refer to a dictionary of which rows are marked, a chunk at a time. The
-- stretches are without gaps, the first and the last without end: a chunk that is made meanwhile lies in one of them.
CREATE OR REPLACE FUNCTION tidegauge.plan_collection_checks() RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    kept record;
    is_marked boolean;
BEGIN
    FOR kept IN SELECT k.dictionary FROM tidegauge.collections k WHERE k.id_column IS NOT NULL ORDER BY 1 LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM tidegauge.%I d WHERE d.deletion_epoch IS NOT NULL)', kept.dictionary) INTO is_marked;
        CONTINUE WHEN NOT is_marked;
        INSERT INTO tidegauge.collection_checks (level, dictionary, relation, id_column, time_column, range_start, range_end)
        SELECT
            r.level, kept.dictionary, r.relation, r.id_column, r.time_column,
            CASE WHEN lag(c.range_start) OVER same IS NULL THEN '-infinity' ELSE c.range_start END,
            coalesce(lead(c.range_start) OVER same, 'infinity')
        FROM tidegauge.references_by_time(kept.dictionary) r
        LEFT JOIN timescaledb_information.chunks c ON format('%I.%I', c.hypertable_schema, c.hypertable_name) = r.relation
        WINDOW same AS (PARTITION BY r.relation, r.id_column ORDER BY c.range_start)
        ORDER BY r.level, r.relation, c.range_start;
        INSERT INTO tidegauge.collection_checks (level, dictionary, relation, id_column)
        SELECT 0, kept.dictionary, r.relation, r.id_column FROM tidegauge.references_by_key(kept.dictionary) r;
    END LOOP;
END
$$;

-- Carry out the next check: take the mark from rows that are referred to. NULL: there is none.
--
-- What rollups are made from is looked at before them: a row that is referred to only in a chunk that is dropped meanwhile is found in
-- the rollup, which was refreshed before.
CREATE OR REPLACE FUNCTION tidegauge.check_references() RETURNS text
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    what tidegauge.collection_checks;
    key text;
    marked bigint[];
    column_type text;
    found_ids text;
    kept bigint;
BEGIN
    SELECT c.* INTO what FROM tidegauge.collection_checks c ORDER BY c.level, c.check_id LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT k.id_column INTO STRICT key FROM tidegauge.collections k WHERE k.dictionary = what.dictionary;
    EXECUTE format('SELECT array_agg(d.%I) FROM tidegauge.%I d WHERE d.deletion_epoch IS NOT NULL', key, what.dictionary) INTO marked;
    SELECT format_type(a.atttypid, NULL) INTO column_type
    FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = to_regclass(what.relation) AND a.attname = what.id_column AND NOT a.attisdropped;
    IF marked IS NULL THEN
        DELETE FROM tidegauge.collection_checks c WHERE c.dictionary = what.dictionary;
        RETURN format('no unused %s', what.dictionary);
    END IF;
    DELETE FROM tidegauge.collection_checks c WHERE c.check_id = what.check_id;
    IF column_type IS NULL THEN
        RETURN format('%s is gone', what.relation);
    END IF;
    found_ids := CASE
        WHEN right(column_type, 2) = '[]' THEN format(
            'SELECT u FROM %1$s t CROSS JOIN unnest(t.%2$I) u WHERE t.%2$I && $1::%3$s', what.relation, what.id_column, column_type
        )
        ELSE format('SELECT t.%2$I FROM %1$s t WHERE t.%2$I = ANY ($1::%3$s[])', what.relation, what.id_column, column_type)
    END;
    IF what.time_column IS NOT NULL THEN
        found_ids := found_ids || format(' AND t.%1$I >= $2 AND t.%1$I < $3', what.time_column);
    END IF;
    EXECUTE format(
        'UPDATE tidegauge.%1$I d SET deletion_epoch = NULL, referenced_at = now() WHERE d.deletion_epoch IS NOT NULL AND d.%2$I IN (%3$s)',
        what.dictionary, key, found_ids
    ) USING marked, what.range_start, what.range_end;
    GET DIAGNOSTICS kept = ROW_COUNT;
    RETURN format(
        '%s in %s%s: %s in use', what.dictionary, what.relation, coalesce(to_char(what.range_start, ' from YYYY-MM-DD HH24:MI'), ''), kept
    );
END
$$;

-- Delete the rows that are marked still, after everything has been looked at. Rows that other dictionaries' rows refer to lose their mark.
CREATE OR REPLACE FUNCTION tidegauge.delete_marked(now_epoch bigint) RETURNS text
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    gone bigint[];
    said text[] := '{}';
    kept record;
    follower record;
BEGIN
    FOR kept IN
        SELECT * FROM (VALUES
            (1, 'series', 'series_id', ''),
            (2, 'resources', 'resource_id', 'AND NOT EXISTS (SELECT FROM tidegauge.series s WHERE s.resource_id = d.resource_id)'),
            (3, 'scopes', 'scope_id', 'AND NOT EXISTS (SELECT FROM tidegauge.series s WHERE s.scope_id = d.scope_id)'),
            (
                4, 'applications', 'application_id',
                'AND NOT EXISTS (SELECT FROM tidegauge.series s WHERE s.application_id = d.application_id) '
                'AND NOT EXISTS (SELECT FROM tidegauge.resources r WHERE r.application_id = d.application_id)'
            )
        ) AS v (place, dictionary, id_column, condition)
        ORDER BY place
    LOOP
        EXECUTE format(
            'WITH gone AS (DELETE FROM tidegauge.%1$I d WHERE d.deletion_epoch < $1 %3$s RETURNING d.%2$I) '
            'SELECT coalesce(array_agg(%2$I), ''{}'') FROM gone',
            kept.dictionary, kept.id_column, kept.condition
        ) INTO gone USING now_epoch;
        EXECUTE format('UPDATE tidegauge.%I d SET deletion_epoch = NULL, referenced_at = now() WHERE d.deletion_epoch < $1', kept.dictionary)
        USING now_epoch;
        CONTINUE WHEN gone = '{}';
        -- Tables of ours that say more about such a row and have no foreign key lose what they say.
        FOR follower IN
            SELECT k.oid::regclass AS relation
            FROM pg_catalog.pg_class k
            JOIN pg_catalog.pg_attribute a ON a.attrelid = k.oid AND a.attname = kept.id_column AND NOT a.attisdropped
            WHERE k.relnamespace = 'tidegauge'::regnamespace AND k.relkind = 'r'
            AND k.relname NOT IN (SELECT c.dictionary FROM tidegauge.collections c)
            AND NOT EXISTS (SELECT FROM _timescaledb_catalog.hypertable h WHERE h.schema_name = 'tidegauge' AND h.table_name = k.relname)
            AND NOT EXISTS (
                SELECT FROM pg_catalog.pg_constraint f WHERE f.contype = 'f' AND f.conrelid = k.oid AND a.attnum = ANY (f.conkey)
            )
        LOOP
            EXECUTE format('DELETE FROM %s t WHERE t.%I = ANY ($1)', follower.relation, kept.id_column) USING gone;
        END LOOP;
        UPDATE tidegauge.collections c SET collected = c.collected + cardinality(gone), collected_at = now()
        WHERE c.dictionary = kept.dictionary;
        said := said || format('%s %s', cardinality(gone), kept.dictionary);
    END LOOP;
    RETURN 'collected ' || coalesce(nullif(array_to_string(said, ', '), ''), 'nothing: all is in use');
END
$$;

-- One short step of a collection; returns what it did, NULL where nothing is left to do. `before`: rows last seen before this moment are
-- looked at, whatever the settings say. Collectors take turns.
CREATE OR REPLACE FUNCTION tidegauge.collect_turn(before timestamptz, most integer) RETURNS text
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    now_epoch bigint;
    oldest bigint;
    newest bigint;
    marked bigint;
    checks integer := 0;
    did text;
BEGIN
    LOCK TABLE tidegauge.collection_checks IN SHARE ROW EXCLUSIVE MODE;
    -- Most checks take a millisecond: as many as a short step has room for.
    WHILE clock_timestamp() < now() + INTERVAL '250 milliseconds' OR checks = 0 LOOP
        did := tidegauge.check_references();
        EXIT WHEN did IS NULL;
        checks := checks + 1;
    END LOOP;
    IF checks > 0 THEN
        RETURN format('looked at %s stretches of relations for unused rows', checks);
    END IF;
    SELECT e.epoch INTO STRICT now_epoch FROM tidegauge.dictionary_epoch e;
    SELECT min(m.epoch), max(m.epoch) INTO oldest, newest
    FROM (
        SELECT s.deletion_epoch FROM tidegauge.series s WHERE s.deletion_epoch IS NOT NULL
        UNION ALL SELECT r.deletion_epoch FROM tidegauge.resources r WHERE r.deletion_epoch IS NOT NULL
        UNION ALL SELECT c.deletion_epoch FROM tidegauge.scopes c WHERE c.deletion_epoch IS NOT NULL
        UNION ALL SELECT a.deletion_epoch FROM tidegauge.applications a WHERE a.deletion_epoch IS NOT NULL
    ) m (epoch);
    IF oldest < now_epoch THEN
        RETURN tidegauge.delete_marked(now_epoch);
    ELSIF newest IS NULL THEN
        marked := tidegauge.mark_unseen(before, most);
        IF marked > 0 THEN
            RETURN format('marked %s rows', marked);
        ELSIF NOT tidegauge.unseen_names(before) THEN
            RETURN NULL;
        END IF;
    END IF;
    -- Before the epoch is raised: writers wait for what comes after.
    PERFORM tidegauge.plan_collection_checks();
    IF NOT tidegauge.raise_dictionary_epoch(before) THEN
        DELETE FROM tidegauge.collection_checks;
        RETURN NULL;
    END IF;
    RETURN 'raised the epoch of dictionaries';
END
$$;

-- Collect until nothing is left to do. Commits after each step; so it is called outside of a transaction.
CREATE OR REPLACE PROCEDURE tidegauge.collect(before timestamptz DEFAULT NULL, most integer DEFAULT 10000)
LANGUAGE plpgsql AS $$
DECLARE
    did text;
BEGIN
    LOOP
        did := tidegauge.collect_turn(before, most);
        COMMIT;
        EXIT WHEN did IS NULL;
    END LOOP;
END
$$;

-- The same as a TimescaleDB job.
CREATE OR REPLACE PROCEDURE tidegauge.collect_job(job_id integer, config jsonb)
LANGUAGE plpgsql AS $$
BEGIN
    CALL tidegauge.collect();
END
$$;
