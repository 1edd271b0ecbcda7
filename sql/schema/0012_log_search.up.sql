-- Log queries: words that every log store cuts alike (docs/data-model.md, "Text search"), records found by their id.

-- Of an attribute's value so much is compared (model/query.py, SEARCHED_BYTES): whole characters of the first 8191 bytes.
CREATE FUNCTION tidegauge.searched_part(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN octet_length(value) <= 8191 THEN value
    WHEN get_byte(convert_to(value, 'UTF8'), 8191) & 192 <> 128 THEN convert_from(substring(convert_to(value, 'UTF8') FOR 8191), 'UTF8')
    WHEN get_byte(convert_to(value, 'UTF8'), 8190) & 192 <> 128 THEN convert_from(substring(convert_to(value, 'UTF8') FOR 8190), 'UTF8')
    WHEN get_byte(convert_to(value, 'UTF8'), 8189) & 192 <> 128 THEN convert_from(substring(convert_to(value, 'UTF8') FOR 8189), 'UTF8')
    ELSE convert_from(substring(convert_to(value, 'UTF8') FOR 8188), 'UTF8')
END;

COMMENT ON FUNCTION tidegauge.searched_part(text) IS 'The part of an attribute''s value that searches compare: its first 8191 bytes.';

-- The parser glues words together, or leaves them out, where it sees addresses, paths, numbers with signs, tags and entities; without
-- seven characters it sees none of these. replace() for each: a third of what translate() or a regular expression costs.
-- A generated column cannot be added to a columnstore: its chunks become rows again until the policy's next run.
SELECT decompress_chunk(chunk, true) FROM show_chunks('tidegauge.logs') AS chunk;
ALTER TABLE tidegauge.logs SET (timescaledb.enable_columnstore = false);
DROP VIEW IF EXISTS analytics.logs;
ALTER TABLE tidegauge.logs DROP COLUMN search;
ALTER TABLE tidegauge.logs ADD COLUMN search tsvector GENERATED ALWAYS AS (
    to_tsvector(
        'pg_catalog.simple'::regconfig,
        replace(replace(replace(replace(replace(replace(replace(
            left(coalesce(body, ''), 200000),
            '.', ' '), '-', ' '), '/', ' '), '+', ' '), '&', ' '), '<', ' '), '~', ' ')
    )
) STORED;
CREATE INDEX logs_search ON tidegauge.logs USING gin (search);
ALTER TABLE tidegauge.logs SET (
    timescaledb.enable_columnstore, timescaledb.segmentby = 'application_id', timescaledb.orderby = 'timestamp'
);

-- A record's id has no time in it.
CREATE INDEX logs_request_digest ON tidegauge.logs (request_digest);
