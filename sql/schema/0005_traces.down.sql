DROP TABLE tidegauge.trace_index;
DROP TABLE tidegauge.traces;
