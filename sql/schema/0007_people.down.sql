DROP TABLE tidegauge.users;
DROP TABLE tidegauge.alerts;
