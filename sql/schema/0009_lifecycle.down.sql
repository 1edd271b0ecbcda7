DROP TABLE tidegauge.lifecycle;
