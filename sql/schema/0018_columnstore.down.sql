CREATE INDEX metrics_hourly_series_bucket ON tidegauge.metrics_hourly (series_id, bucket DESC);
DROP INDEX _timescaledb_internal.metrics_hourly_series_values;
CREATE INDEX metrics_daily_series_bucket ON tidegauge.metrics_daily (series_id, bucket DESC);
DROP INDEX _timescaledb_internal.metrics_daily_series_values;
-- Chunks that are in the columnstore stay as they are.
ALTER TABLE tidegauge.traces SET (timescaledb.segmentby = 'application_id', timescaledb.orderby = 'start_time');
DO $$
BEGIN
    ALTER TABLE tidegauge.traces RESET (timescaledb.index);
EXCEPTION WHEN invalid_parameter_value THEN
    NULL;
END
$$;
