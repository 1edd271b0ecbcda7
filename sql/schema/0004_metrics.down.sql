DROP TABLE tidegauge.metric_exemplars;
DROP TABLE tidegauge.metric_summaries;
DROP TABLE tidegauge.metric_histograms;
DROP TABLE tidegauge.metrics;
