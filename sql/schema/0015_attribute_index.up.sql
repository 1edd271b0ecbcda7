-- Which attributes the spans of a stretch of time have, so that a search for a value reads only the stretches that may hold it.
-- docs/adr/0023 tells why; storage/postgres/attribute_hashes.py tells what a hash and a filter are.

-- Written with the spans, in their transaction: one row for each application, hour and request. Maintenance makes blocks of them.
CREATE TABLE tidegauge.attribute_pieces (
    start_time timestamptz NOT NULL,
    end_time timestamptz NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now(),
    application_id integer NOT NULL,
    span_count integer NOT NULL,
    tenant_id smallint NOT NULL DEFAULT 0,
    hashes bytea
);
-- Hashes do not compress, and a part of a value is read without the rest of it.
ALTER TABLE tidegauge.attribute_pieces ALTER COLUMN hashes SET STORAGE EXTERNAL;

CREATE TABLE tidegauge.attribute_blocks (
    start_time timestamptz NOT NULL,
    end_time timestamptz NOT NULL,
    application_id integer NOT NULL,
    span_count integer NOT NULL,
    base_id integer,
    tenant_id smallint NOT NULL DEFAULT 0,
    seed smallint NOT NULL,
    filter bytea
);
ALTER TABLE tidegauge.attribute_blocks ALTER COLUMN filter SET STORAGE EXTERNAL;
SELECT create_hypertable('tidegauge.attribute_blocks', by_range('start_time', INTERVAL '1 day'), create_default_indexes => false);
CREATE INDEX attribute_blocks_start_time ON tidegauge.attribute_blocks (start_time DESC);

-- What blocks have in common: a block has what its base holds, and what its own filter holds. Not a chunk's, since blocks of other days and
-- applications point to it; it goes when retention has dropped the day (`used_until`) of the last of them. There is no foreign key: whoever
-- makes a block that points to a base locks it, so that nobody deletes it meanwhile; should one be missing, its blocks may hold anything.
CREATE TABLE tidegauge.attribute_bases (
    base_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    application_id integer NOT NULL,
    used_until timestamptz NOT NULL,
    hash_count integer NOT NULL,
    tenant_id smallint NOT NULL DEFAULT 0,
    seed smallint NOT NULL,
    is_proven boolean NOT NULL,
    filter bytea NOT NULL
);
ALTER TABLE tidegauge.attribute_bases ALTER COLUMN filter SET STORAGE EXTERNAL;

-- From which start time on every span is in a piece or a block.
CREATE TABLE tidegauge.attribute_index_state (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    complete_from timestamptz NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
);
-- What is stored already has no pieces; nor has what a process of the version before stores until it is stopped.
INSERT INTO tidegauge.attribute_index_state (complete_from)
SELECT CASE WHEN count(*) = 0 THEN '-infinity' ELSE greatest(max(c.range_end), now() + INTERVAL '1 hour') END
FROM timescaledb_information.chunks c
WHERE c.hypertable_schema = 'tidegauge' AND c.hypertable_name = 'traces';

-- Attribute keys that have been sent, by application and by where they stand. `types` has a bit for each type seen: 1 string, 2 int,
-- 4 double, 8 bool, 16 array, 32 kvlist, 64 empty.
CREATE TABLE tidegauge.attribute_keys (
    application_id integer NOT NULL,
    location text NOT NULL CHECK (location IN ('resource', 'scope', 'span', 'event')),
    key text NOT NULL,
    types integer NOT NULL,
    tenant_id smallint NOT NULL DEFAULT 0,
    first_seen timestamptz NOT NULL DEFAULT date_trunc('hour', now()),
    last_seen timestamptz NOT NULL DEFAULT date_trunc('hour', now()),
    value_count integer,
    value_sample integer,
    sampled_at timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (application_id, location, key)
);
CREATE INDEX attribute_keys_key ON tidegauge.attribute_keys (tenant_id, key text_pattern_ops);

-- Which conditions a filter may meet, as bits, together with those of `met`, which another one meets. `conditions` numbers, ascending, the
-- condition that each alternative belongs to: of each condition one alternative at least has to be there. Of each alternative there are, for
-- each of the seeds from 0 to 7, three numbers of 32 bits that choose a slot (`slots`) and what the slots have to give (`results`). NULL, of
-- which nothing is known, meets all; no bytes meet nothing. `is_last`: what comes after a condition that is not met is of no account.
CREATE FUNCTION tidegauge.attributes_met(
    filter bytea, seed integer, slots bigint[], results integer[], conditions integer[], met integer, is_last boolean
)
RETURNS integer
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    third bigint := octet_length(filter) / 3;
    place integer;
BEGIN
    IF filter IS NULL THEN
        RETURN -1;
    END IF;
    IF third = 0 THEN
        RETURN met;
    END IF;
    FOR i IN 1..cardinality(conditions) LOOP
        CONTINUE WHEN met & (1 << conditions[i]) <> 0;
        EXIT WHEN is_last AND conditions[i] > 1 AND met & (1 << conditions[i] - 1) = 0;
        place := 8 * (i - 1) + seed + 1;
        IF get_byte(substring(filter FROM (slots[3 * place - 2] * third >> 32)::integer + 1 FOR 1), 0)
            # get_byte(substring(filter FROM (third + (slots[3 * place - 1] * third >> 32))::integer + 1 FOR 1), 0)
            # get_byte(substring(filter FROM (2 * third + (slots[3 * place] * third >> 32))::integer + 1 FOR 1), 0) = results[place]
        THEN
            met := met | (1 << conditions[i]);
        END IF;
    END LOOP;
    RETURN met;
END
$$;

-- The same of a piece's hashes. A hash that is found across the border of two others is one more that only may be there. Hashes ascend
-- evenly, so that of many only those about the place are read where one is to be expected (eight standard deviations on both sides).
CREATE FUNCTION tidegauge.attribute_hashes_may_match(hashes bytea, wanted bytea[], conditions integer[]) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    met integer := 0;
    held bigint := octet_length(hashes) / 4;
    reach integer := 4 * ceil(4 * sqrt(held));
    place integer;
    part bytea;
BEGIN
    IF hashes IS NULL THEN
        RETURN true;
    END IF;
    FOR i IN 1..cardinality(conditions) LOOP
        CONTINUE WHEN conditions[i] = met;
        IF conditions[i] > met + 1 THEN
            RETURN false;
        END IF;
        part := hashes;
        IF held > 4096 THEN
            place := 4 * (held * (get_byte(wanted[i], 0) * 65536 + get_byte(wanted[i], 1) * 256 + get_byte(wanted[i], 2)) >> 24);
            part := substring(hashes FROM greatest(place - reach, 0) + 1 FOR 2 * reach);
            IF (place > reach AND substring(part FOR 4) > wanted[i])
                OR (place + reach < 4 * held AND substring(part FROM octet_length(part) - 3) < wanted[i])
            THEN
                part := hashes;
            END IF;
        END IF;
        IF position(wanted[i] IN part) > 0 THEN
            met := conditions[i];
        END IF;
    END LOOP;
    RETURN met = conditions[cardinality(conditions)];
END
$$;

-- Where spans that meet the conditions may be: of each application the slices of time, both ends included, newest first. Blocks and pieces
-- lie within a day (UTC) each. A base is asked once, however many blocks have it. One plan for every call: to plan for the chunks of a month
-- takes longer than to read them.
CREATE FUNCTION tidegauge.attribute_candidates(
    tenant smallint, applications integer[], range_start timestamptz, range_end timestamptz,
    wanted bytea[], slots bigint[], results integer[], conditions integer[]
)
RETURNS TABLE (application_id integer, start_time timestamptz, end_time timestamptz)
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    all_met integer := (2 << conditions[cardinality(conditions)]) - 2;
BEGIN
    RETURN QUERY
    WITH blocks AS MATERIALIZED (
        SELECT b.application_id, b.start_time, b.end_time, b.base_id, b.seed, b.filter
        FROM tidegauge.attribute_blocks b
        WHERE b.start_time > range_start - INTERVAL '1 day' AND b.start_time < range_end AND b.end_time >= range_start
            AND b.tenant_id = tenant AND (applications IS NULL OR b.application_id = ANY (applications))
    ), bases AS MATERIALIZED (
        SELECT a.base_id, tidegauge.attributes_met(a.filter, a.seed, slots, results, conditions, 0, false) AS met
        FROM tidegauge.attribute_bases a
        WHERE a.base_id IN (SELECT b.base_id FROM blocks b)
    )
    SELECT b.application_id, b.start_time, b.end_time
    FROM blocks b
    LEFT JOIN bases a ON a.base_id = b.base_id
    -- Of a base that is missing nothing is known.
    WHERE tidegauge.attributes_met(
        b.filter, b.seed, slots, results, conditions, CASE WHEN b.base_id IS NULL THEN 0 ELSE coalesce(a.met, -1) END, true
    ) & all_met = all_met
    UNION ALL
    SELECT p.application_id, p.start_time, p.end_time
    FROM tidegauge.attribute_pieces p
    WHERE p.start_time > range_start - INTERVAL '1 day' AND p.start_time < range_end AND p.end_time >= range_start
        AND p.tenant_id = tenant AND (applications IS NULL OR p.application_id = ANY (applications))
        AND tidegauge.attribute_hashes_may_match(p.hashes, wanted, conditions)
    ORDER BY 3 DESC;
END
$$;
