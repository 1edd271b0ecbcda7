ALTER TABLE tidegauge.series RESET (fillfactor);
ALTER TABLE tidegauge.scopes RESET (fillfactor);
ALTER TABLE tidegauge.resources RESET (fillfactor);
-- Names are not lost with the column, also in the columnstore.
SET LOCAL timescaledb.max_tuples_decompressed_per_dml_transaction = 0;
UPDATE tidegauge.traces SET name = full_name WHERE full_name IS NOT NULL;
ALTER TABLE tidegauge.traces DROP COLUMN full_name;
DROP TABLE tidegauge.span_names;
DROP INDEX tidegauge.ingest_rejections_further;
ALTER TABLE tidegauge.ingest_rejections DROP COLUMN writer;
ALTER TABLE tidegauge.ingest_rejections DROP COLUMN sample_type;
ALTER TABLE tidegauge.ingest_rejections DROP COLUMN service;
ALTER TABLE tidegauge.ingest_rejections DROP COLUMN rejection_id;
