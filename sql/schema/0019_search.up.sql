-- Search: which transaction wrote what is known of a trace, so that a listing in pages knows what came after its first page.

-- NULL: before this revision. A snapshot of the first page tells of a row whether it was there then (docs/adr/0022).
ALTER TABLE tidegauge.trace_index ADD COLUMN written_by bigint;
ALTER TABLE tidegauge.trace_index ALTER COLUMN written_by SET DEFAULT pg_current_xact_id()::text::bigint;
