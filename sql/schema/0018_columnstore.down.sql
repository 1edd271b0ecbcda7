-- Chunks that are in the columnstore stay as they are.
ALTER TABLE tidegauge.traces SET (timescaledb.segmentby = 'application_id', timescaledb.orderby = 'start_time');
DO $$
BEGIN
    ALTER TABLE tidegauge.traces RESET (timescaledb.index);
EXCEPTION WHEN invalid_parameter_value THEN
    NULL;
END
$$;
