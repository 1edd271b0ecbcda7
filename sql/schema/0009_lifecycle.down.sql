DROP TABLE tidegauge.surface;
DROP TABLE tidegauge.lifecycle;
