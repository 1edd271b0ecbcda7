DROP TABLE tidegauge.kept_spans;
DROP MATERIALIZED VIEW tidegauge.trace_examples_daily;
DROP MATERIALIZED VIEW tidegauge.trace_examples_hourly;
DROP MATERIALIZED VIEW tidegauge.trace_examples_minutely;
DROP TABLE tidegauge.service_map_minutes;
DROP MATERIALIZED VIEW tidegauge.service_edges_daily;
DROP MATERIALIZED VIEW tidegauge.service_edges_hourly;
DROP TABLE tidegauge.service_edges_minutely;
DROP MATERIALIZED VIEW tidegauge.span_minutes;
