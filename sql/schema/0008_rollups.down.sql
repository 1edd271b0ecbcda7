-- Tiers from the coarsest down: each stands on the one below.

DROP MATERIALIZED VIEW tidegauge.service_durations_daily;
DROP MATERIALIZED VIEW tidegauge.service_durations_hourly;
DROP MATERIALIZED VIEW tidegauge.service_durations_minutely;
DROP MATERIALIZED VIEW tidegauge.trace_durations_daily;
DROP MATERIALIZED VIEW tidegauge.trace_durations_hourly;
DROP MATERIALIZED VIEW tidegauge.trace_durations_minutely;
DROP MATERIALIZED VIEW tidegauge.traces_daily;
DROP MATERIALIZED VIEW tidegauge.traces_hourly;
DROP MATERIALIZED VIEW tidegauge.traces_minutely;
DROP MATERIALIZED VIEW tidegauge.metric_histograms_daily;
DROP MATERIALIZED VIEW tidegauge.metric_histograms_hourly;
DROP MATERIALIZED VIEW tidegauge.metrics_daily;
DROP MATERIALIZED VIEW tidegauge.metrics_hourly;
DROP AGGREGATE tidegauge.sum_arrays(bigint[]);
DROP FUNCTION tidegauge.add_arrays(bigint[], bigint[]);
