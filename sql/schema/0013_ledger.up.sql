-- The ledger's one statement as a function, whose plan PostgreSQL keeps: planned anew it cost most of what a transaction of ingest costs
-- beside its rows, a millisecond with the chunks of a day.

-- The dictionaries' epoch, the ledger's answers to requests that are in it within the window, and those that were not there and are
-- entered (`rejected` is NULL). A request that is neither was entered by another writer at this moment. In the first minute of a slot
-- requests are entered into the slot before as well: a writer on the other side of the border meets them there (docs/adr/0004).
-- One plan for every call, and none that was right while a chunk was empty: there are no statistics of the newest one.
CREATE FUNCTION tidegauge.enter_requests(
    digests uuid[], tenant_ids smallint[], signals smallint[], endpoints text[], item_counts bigint[], rejected_counts bigint[],
    messages text[], dedup_window interval
)
RETURNS TABLE (epoch bigint, digest uuid, tenant_id smallint, signal smallint, endpoint text, rejected bigint, message text)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    -- time_bucket() would be looked for in the caller's search path; slots of 4 hours begin where date_bin()'s do.
    this_slot timestamptz := date_bin(INTERVAL '4 hours', now(), TIMESTAMPTZ '2000-01-01 00:00:00+00');
    slots timestamptz[] := ARRAY[this_slot];
BEGIN
    IF now() - this_slot < INTERVAL '1 minute' THEN
        slots := slots || (this_slot - INTERVAL '4 hours');
    END IF;
    RETURN QUERY
    WITH wanted AS (
        SELECT * FROM unnest(digests, tenant_ids, signals, endpoints, item_counts, rejected_counts, messages)
            AS w (digest, tenant_id, signal, endpoint, items, rejected, message)
    ), known AS MATERIALIZED (
        SELECT DISTINCT ON (q.digest, q.tenant_id, q.signal, q.endpoint)
            q.digest, q.tenant_id, q.signal, q.endpoint, q.rejected, q.message
        FROM tidegauge.ingest_requests q
        WHERE q.digest = ANY (digests) AND q.slot >= now() - dedup_window - INTERVAL '4 hours'
        ORDER BY q.digest, q.tenant_id, q.signal, q.endpoint, q.received_at
    ), entered AS (
        INSERT INTO tidegauge.ingest_requests AS i (slot, digest, tenant_id, signal, endpoint, items, rejected, message)
        SELECT s.slot, w.digest, w.tenant_id, w.signal, w.endpoint, w.items, w.rejected, w.message
        FROM wanted w CROSS JOIN unnest(slots) AS s (slot)
        WHERE (w.digest, w.tenant_id, w.signal, w.endpoint) NOT IN (SELECT k.digest, k.tenant_id, k.signal, k.endpoint FROM known k)
        ORDER BY w.digest, w.tenant_id, w.signal, w.endpoint, s.slot
        ON CONFLICT DO NOTHING
        RETURNING i.digest, i.tenant_id, i.signal, i.endpoint
    ), answers AS (
        SELECT k.digest, k.tenant_id, k.signal, k.endpoint, k.rejected, k.message FROM known k
        UNION ALL
        SELECT n.digest, n.tenant_id, n.signal, n.endpoint, NULL, NULL
        FROM entered n
        GROUP BY n.digest, n.tenant_id, n.signal, n.endpoint
        HAVING count(*) = cardinality(slots)
    )
    SELECT e.epoch, a.digest, a.tenant_id, a.signal, a.endpoint, a.rejected, a.message
    FROM tidegauge.dictionary_epoch e LEFT JOIN answers a ON true WHERE e.singleton;
END
$$;

COMMENT ON FUNCTION tidegauge.enter_requests(uuid[], smallint[], smallint[], text[], bigint[], bigint[], text[], interval) IS
    'Enters requests into the ledger; the answers to those that are in it already.';
