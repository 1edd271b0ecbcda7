-- Comments on what repairs rollups and collects dictionary rows.

DO $comments$
DECLARE
    said record;
BEGIN
    FOR said IN
        VALUES
        ('TABLE', 'tidegauge.rollup_repairs', 'Refreshes of rollups'' buckets that had been materialised before late data came.'),
        ('COLUMN', 'tidegauge.rollup_repairs.relation', 'The rollup.'),
        ('COLUMN', 'tidegauge.rollup_repairs.repairs', 'Number of repairs.'),
        ('COLUMN', 'tidegauge.rollup_repairs.repaired', 'Time that they refreshed, added up.'),
        ('COLUMN', 'tidegauge.rollup_repairs.last_at', 'When the last was done.'),
        ('COLUMN', 'tidegauge.rollup_repairs.last_start', 'Where the last one''s buckets begin.'),
        ('COLUMN', 'tidegauge.rollup_repairs.last_end', 'Where they end.'),
        ('TABLE', 'tidegauge.collections', 'Dictionaries of which unused rows are collected.'),
        ('COLUMN', 'tidegauge.collections.dictionary', 'The dictionary.'),
        ('COLUMN', 'tidegauge.collections.id_column', 'By which column other tables refer to its rows; NULL where none does.'),
        ('COLUMN', 'tidegauge.collections.grace', 'How long a row is kept beyond all that may refer to it.'),
        ('COLUMN', 'tidegauge.collections.collected', 'Rows collected so far.'),
        ('COLUMN', 'tidegauge.collections.collected_at', 'When the last of them were; NULL for never.'),
        ('TABLE', 'tidegauge.collection_checks', 'What a collection under way has yet to look at.'),
        ('COLUMN', 'tidegauge.collection_checks.check_id', 'Id of the check.'),
        ('COLUMN', 'tidegauge.collection_checks.level', '0 for what ingest writes, else one more than for what a rollup is made from; lower ones come first.'),
        ('COLUMN', 'tidegauge.collection_checks.dictionary', 'The dictionary of which rows are marked.'),
        ('COLUMN', 'tidegauge.collection_checks.relation', 'What may refer to them.'),
        ('COLUMN', 'tidegauge.collection_checks.id_column', 'By this column.'),
        ('COLUMN', 'tidegauge.collection_checks.time_column', 'Its time column; NULL: all of the relation is looked at.'),
        ('COLUMN', 'tidegauge.collection_checks.range_start', 'The stretch to look at begins here.'),
        ('COLUMN', 'tidegauge.collection_checks.range_end', 'It ends here.'),
        ('COLUMN', 'tidegauge.applications.referenced_at', 'When a collection found that the row, unseen for long, is referred to; NULL for never.'),
        ('COLUMN', 'tidegauge.resources.referenced_at', 'When a collection found that the row, unseen for long, is referred to; NULL for never.'),
        ('COLUMN', 'tidegauge.scopes.referenced_at', 'When a collection found that the row, unseen for long, is referred to; NULL for never.'),
        ('COLUMN', 'tidegauge.series.referenced_at', 'When a collection found that the row, unseen for long, is referred to; NULL for never.'),
        ('FUNCTION', 'tidegauge.repair_window(text, timestamptz)', 'Buckets of a rollup that may be refreshed: those that its source holds whole.'),
        ('FUNCTION', 'tidegauge.watermark(text)', 'Up to where a rollup is read from what is materialised; NULL: nothing is.'),
        ('FUNCTION', 'tidegauge.waiting_ranges(text)', 'What waits to be refreshed in a rollup, oldest first.'),
        ('FUNCTION', 'tidegauge.source_chunks(text)', 'Ranges of the chunks that a rollup is made from.'),
        ('FUNCTION', 'tidegauge.next_repair(text, timestamptz)', 'The oldest late data of a rollup that begins at or after a moment.'),
        ('FUNCTION', 'tidegauge.record_repair(text, timestamptz, timestamptz)', 'Counts a repair.'),
        ('PROCEDURE', 'tidegauge.repair_rollups()', 'Refreshes what came late, in all rollups.'),
        ('PROCEDURE', 'tidegauge.repair_rollups_job(integer, jsonb)', 'repair_rollups as a TimescaleDB job.'),
        ('FUNCTION', 'tidegauge.references_by_time(text)', 'Columns of hypertables that may hold ids of a dictionary.'),
        ('FUNCTION', 'tidegauge.references_by_key(text)', 'Foreign keys that hold rows of a dictionary.'),
        ('FUNCTION', 'tidegauge.unseen_before(text)', 'Rows of a dictionary last seen before this moment are looked at by a collection.'),
        ('FUNCTION', 'tidegauge.unseen_rows(text, timestamptz, integer)', 'Ids of rows that a collection would mark.'),
        ('FUNCTION', 'tidegauge.mark_unseen(timestamptz, integer)', 'Part of collect_turn.'),
        ('FUNCTION', 'tidegauge.raise_dictionary_epoch(timestamptz)', 'Part of collect_turn.'),
        ('FUNCTION', 'tidegauge.unseen_names(timestamptz)', 'Part of collect_turn.'),
        ('FUNCTION', 'tidegauge.plan_collection_checks()', 'Part of collect_turn.'),
        ('FUNCTION', 'tidegauge.check_references()', 'Part of collect_turn.'),
        ('FUNCTION', 'tidegauge.delete_marked(bigint)', 'Part of collect_turn.'),
        ('FUNCTION', 'tidegauge.collect_turn(timestamptz, integer)', 'One short step of a collection of unused dictionary rows; NULL where nothing is left to do.'),
        ('PROCEDURE', 'tidegauge.collect(timestamptz, integer)', 'Collects unused dictionary rows.'),
        ('PROCEDURE', 'tidegauge.collect_job(integer, jsonb)', 'collect as a TimescaleDB job.'),
        ('FUNCTION', 'tidegauge.apply_own_job(text, interval, boolean)', 'Part of apply_lifecycle.')
    LOOP
        EXECUTE format('COMMENT ON %s %s IS %L', said.column1, said.column2, said.column3);
    END LOOP;
END
$comments$;
