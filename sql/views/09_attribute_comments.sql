-- Comments on the attribute index and the catalogue of attributes.

DO $comments$
DECLARE
    said record;
BEGIN
    FOR said IN
        VALUES
        ('TABLE', 'tidegauge.attribute_pieces', 'Which attributes spans have, as they came: a row for each request, application and hour. Maintenance makes blocks of them.'),
        ('COLUMN', 'tidegauge.attribute_pieces.start_time', 'The earliest start of its spans.'),
        ('COLUMN', 'tidegauge.attribute_pieces.end_time', 'The latest start of its spans, on the same day (UTC).'),
        ('COLUMN', 'tidegauge.attribute_pieces.stored_at', 'When it was stored.'),
        ('COLUMN', 'tidegauge.attribute_pieces.application_id', 'The spans'' application.'),
        ('COLUMN', 'tidegauge.attribute_pieces.span_count', 'Number of spans.'),
        ('COLUMN', 'tidegauge.attribute_pieces.tenant_id', 'Tenant.'),
        ('COLUMN', 'tidegauge.attribute_pieces.hashes', 'Hashes of the attributes, four bytes each; NULL: nothing is known.'),
        ('TABLE', 'tidegauge.attribute_blocks', 'Which attributes about 32768 spans of an application and day, or all of the day, may have. Hypertable by start_time.'),
        ('COLUMN', 'tidegauge.attribute_blocks.start_time', 'The earliest start of its spans.'),
        ('COLUMN', 'tidegauge.attribute_blocks.end_time', 'The latest start of its spans, on the same day (UTC).'),
        ('COLUMN', 'tidegauge.attribute_blocks.application_id', 'The spans'' application.'),
        ('COLUMN', 'tidegauge.attribute_blocks.span_count', 'Number of spans.'),
        ('COLUMN', 'tidegauge.attribute_blocks.tenant_id', 'Tenant.'),
        ('COLUMN', 'tidegauge.attribute_blocks.base_id', 'Filter that holds what others have as well; NULL: none.'),
        ('COLUMN', 'tidegauge.attribute_blocks.seed', 'Seed of the filter.'),
        ('COLUMN', 'tidegauge.attribute_blocks.filter', 'Xor filter of the attributes'' hashes that the base does not hold; no bytes: of none; NULL: nothing is known.'),
        ('TABLE', 'tidegauge.attribute_bases', 'Filters of attributes that many blocks have. Deleted when retention has dropped the last of these.'),
        ('COLUMN', 'tidegauge.attribute_bases.base_id', 'Id.'),
        ('COLUMN', 'tidegauge.attribute_bases.application_id', 'Application whose block it was made for; others may have it too.'),
        ('COLUMN', 'tidegauge.attribute_bases.used_until', 'The latest start of a block that has it.'),
        ('COLUMN', 'tidegauge.attribute_bases.hash_count', 'Number of hashes.'),
        ('COLUMN', 'tidegauge.attribute_bases.tenant_id', 'Tenant.'),
        ('COLUMN', 'tidegauge.attribute_bases.seed', 'Seed of the filter.'),
        ('COLUMN', 'tidegauge.attribute_bases.is_proven', 'Whether two blocks at least have what it holds; else it is that of a first block.'),
        ('COLUMN', 'tidegauge.attribute_bases.filter', 'Xor filter of the attributes'' hashes.'),
        ('TABLE', 'tidegauge.attribute_index_state', 'What the attribute index knows of. One row.'),
        ('COLUMN', 'tidegauge.attribute_index_state.singleton', 'True: there is one row.'),
        ('COLUMN', 'tidegauge.attribute_index_state.complete_from', 'Every span that started then or later is in a piece or a block.'),
        ('COLUMN', 'tidegauge.attribute_index_state.made_at', 'When there began to be an index.'),
        ('TABLE', 'tidegauge.attribute_keys', 'Attribute keys that have been sent, a bounded number of each application.'),
        ('COLUMN', 'tidegauge.attribute_keys.application_id', 'Application that sends it.'),
        ('COLUMN', 'tidegauge.attribute_keys.location', 'Whose attributes: resource, scope, span or event.'),
        ('COLUMN', 'tidegauge.attribute_keys.key', 'The key.'),
        ('COLUMN', 'tidegauge.attribute_keys.types', 'Types seen, as bits: 1 string, 2 int, 4 double, 8 bool, 16 array, 32 kvlist, 64 empty.'),
        ('COLUMN', 'tidegauge.attribute_keys.tenant_id', 'Tenant.'),
        ('COLUMN', 'tidegauge.attribute_keys.first_seen', 'When it was first sent, by the hour.'),
        ('COLUMN', 'tidegauge.attribute_keys.last_seen', 'When it was last sent, by the hour.'),
        ('COLUMN', 'tidegauge.attribute_keys.value_count', 'How many values the last sample had; NULL: none was taken.'),
        ('COLUMN', 'tidegauge.attribute_keys.value_sample', 'How many of the sample had the key.'),
        ('COLUMN', 'tidegauge.attribute_keys.sampled_at', 'When the last sample was taken.'),
        ('VIEW', 'analytics.attributes', 'Attribute keys that have been sent, by application and by whose attributes they are.'),
        ('COLUMN', 'analytics.attributes.application_id', 'Application that sends it.'),
        ('COLUMN', 'analytics.attributes.application', 'Its name (service.name).'),
        ('COLUMN', 'analytics.attributes.location', 'Whose attributes: resource, scope, span or event.'),
        ('COLUMN', 'analytics.attributes.key', 'The key.'),
        ('COLUMN', 'analytics.attributes.types', 'Types that its values have had, as OTLP names them.'),
        ('COLUMN', 'analytics.attributes.value_count', 'How many values the newest 2000 spans (or resources) have; there may be more. NULL: not counted.'),
        ('COLUMN', 'analytics.attributes.value_sample', 'How many of these have the key.'),
        ('COLUMN', 'analytics.attributes.first_seen', 'When it was first sent, by the hour.'),
        ('COLUMN', 'analytics.attributes.last_seen', 'When it was last sent, by the hour.'),
        ('FUNCTION', 'tidegauge.attributes_met(bytea, integer, bigint[], integer[], integer[], integer, boolean)', 'Which conditions a filter may meet, as bits.'),
        ('FUNCTION', 'tidegauge.attribute_hashes_may_match(bytea, bytea[], integer[])', 'Whether a piece may hold what conditions want.'),
        ('FUNCTION', 'tidegauge.attribute_candidates(smallint, integer[], timestamptz, timestamptz, bytea[], bigint[], integer[], integer[])', 'Where spans that meet conditions on attributes may be, newest first.')
    LOOP
        EXECUTE format('COMMENT ON %s %s IS %L', said.column1, said.column2, said.column3);
    END LOOP;
END
$comments$;
