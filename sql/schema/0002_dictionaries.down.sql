DROP TABLE tidegauge.metric_metadata;
DROP TABLE tidegauge.series;
DROP TABLE tidegauge.scopes;
DROP TABLE tidegauge.resources;
DROP TABLE tidegauge.applications;
DROP TABLE tidegauge.dictionary_epoch;
