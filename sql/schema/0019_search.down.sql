-- Search.
ALTER TABLE tidegauge.trace_index DROP COLUMN written_by;
