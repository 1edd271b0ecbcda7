-- Everything that sql/policies makes: jobs first. delete_job() ends a job that is running; otherwise dropping the relation that it works on
-- and the job wait for one another.

DO $$
BEGIN
    IF to_regclass('timescaledb_information.jobs') IS NOT NULL THEN
        PERFORM delete_job(j.job_id)
        FROM timescaledb_information.jobs j
        WHERE j.proc_schema = 'tidegauge'
        OR (j.hypertable_schema = 'tidegauge' AND j.proc_name IN ('policy_refresh_continuous_aggregate', 'policy_compression'));
    END IF;
END
$$;

DROP FUNCTION IF EXISTS tidegauge.keep_before_drop(text, timestamptz, timestamptz);
DROP FUNCTION IF EXISTS tidegauge.apply_service_map_job(boolean);
DROP PROCEDURE IF EXISTS tidegauge.refresh_service_map_job(integer, jsonb);
DROP FUNCTION IF EXISTS tidegauge.refresh_service_map(bigint);
DROP FUNCTION IF EXISTS tidegauge.compute_service_map(timestamptz, timestamptz);
DROP FUNCTION IF EXISTS tidegauge.service_map_pending(timestamptz, timestamptz);
DROP FUNCTION IF EXISTS tidegauge.find_calls(timestamptz, timestamptz);
DROP FUNCTION IF EXISTS tidegauge.service_map_lag();
DROP PROCEDURE IF EXISTS tidegauge.collect_job(integer, jsonb);
DROP PROCEDURE IF EXISTS tidegauge.collect(timestamptz, integer);
DROP FUNCTION IF EXISTS tidegauge.collect_turn(timestamptz, integer);
DROP FUNCTION IF EXISTS tidegauge.delete_marked(bigint);
DROP FUNCTION IF EXISTS tidegauge.check_references();
DROP FUNCTION IF EXISTS tidegauge.plan_collection_checks();
DROP FUNCTION IF EXISTS tidegauge.unseen_names(timestamptz);
DROP FUNCTION IF EXISTS tidegauge.raise_dictionary_epoch(timestamptz);
DROP FUNCTION IF EXISTS tidegauge.mark_unseen(timestamptz, integer);
DROP FUNCTION IF EXISTS tidegauge.unseen_rows(text, timestamptz, integer);
DROP FUNCTION IF EXISTS tidegauge.unseen_before(text);
DROP FUNCTION IF EXISTS tidegauge.references_by_key(text);
DROP FUNCTION IF EXISTS tidegauge.references_by_time(text);
DROP PROCEDURE IF EXISTS tidegauge.repair_rollups_job(integer, jsonb);
DROP PROCEDURE IF EXISTS tidegauge.repair_rollups();
DROP FUNCTION IF EXISTS tidegauge.record_repair(text, timestamptz, timestamptz);
DROP FUNCTION IF EXISTS tidegauge.next_repair(text, timestamptz);
DROP FUNCTION IF EXISTS tidegauge.waiting_ranges(text);
DROP FUNCTION IF EXISTS tidegauge.source_chunks(text);
DROP FUNCTION IF EXISTS tidegauge.watermark(text);
DROP FUNCTION IF EXISTS tidegauge.repair_window(text, timestamptz);
DROP FUNCTION IF EXISTS tidegauge.apply_lifecycle(boolean);
DROP FUNCTION IF EXISTS tidegauge.apply_own_job(text, interval, boolean);
DROP FUNCTION IF EXISTS tidegauge.apply_chunk_interval(text);
DROP FUNCTION IF EXISTS tidegauge.apply_columnstore_policy(text, boolean);
DROP FUNCTION IF EXISTS tidegauge.apply_refresh_policy(text, boolean);
DROP FUNCTION IF EXISTS tidegauge.apply_drop_job(text, boolean);
DROP FUNCTION IF EXISTS tidegauge.alter_job_where_it_differs(integer, boolean, interval, jsonb);
DROP PROCEDURE IF EXISTS tidegauge.drop_expired_chunks_job(integer, jsonb);
DROP PROCEDURE IF EXISTS tidegauge.drop_expired_chunks(text, integer);
DROP FUNCTION IF EXISTS tidegauge.buckets_of_chunk(text, timestamptz, timestamptz);
DROP FUNCTION IF EXISTS tidegauge.refresh_window(text);
DROP FUNCTION IF EXISTS tidegauge.pending_ranges(text, timestamptz, timestamptz);
DROP FUNCTION IF EXISTS tidegauge.expired_chunks(text);
DROP FUNCTION IF EXISTS tidegauge.hypertable_of(text);
-- The trigger and its columns stay: spans may be stored before all is made again. Revision 0019 takes them away.
DROP FUNCTION IF EXISTS tidegauge.apply_promoted_attributes(jsonb);
DROP FUNCTION IF EXISTS tidegauge.add_promoted_attribute(text, text);
DROP FUNCTION IF EXISTS tidegauge.apply_promotion_trigger(text);
DROP FUNCTION IF EXISTS tidegauge.apply_sparse_indexes();
