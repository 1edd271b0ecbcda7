DROP TABLE tidegauge.maintenance_runs;
