DROP TABLE tidegauge.logs;
