DROP INDEX tidegauge.logs_request_digest;
SELECT decompress_chunk(chunk, true) FROM show_chunks('tidegauge.logs') AS chunk;
ALTER TABLE tidegauge.logs SET (timescaledb.enable_columnstore = false);
ALTER TABLE tidegauge.logs DROP COLUMN search;
ALTER TABLE tidegauge.logs ADD COLUMN search tsvector GENERATED ALWAYS AS (
    to_tsvector('pg_catalog.simple'::regconfig, left(coalesce(body, ''), 200000))
) STORED;
CREATE INDEX logs_search ON tidegauge.logs USING gin (search);
ALTER TABLE tidegauge.logs SET (
    timescaledb.enable_columnstore, timescaledb.segmentby = 'application_id', timescaledb.orderby = 'timestamp'
);
DROP FUNCTION tidegauge.searched_part(text);
