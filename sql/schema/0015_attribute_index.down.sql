DROP FUNCTION tidegauge.attribute_candidates(
    smallint, integer[], timestamptz, timestamptz, bytea[], bigint[], integer[], integer[]
);
DROP FUNCTION tidegauge.attribute_hashes_may_match(bytea, bytea[], integer[]);
DROP FUNCTION tidegauge.attributes_met(bytea, integer, bigint[], integer[], integer[], integer, boolean);
DROP TABLE tidegauge.attribute_keys;
DROP TABLE tidegauge.attribute_index_state;
DROP TABLE tidegauge.attribute_blocks;
DROP TABLE tidegauge.attribute_bases;
DROP TABLE tidegauge.attribute_pieces;
