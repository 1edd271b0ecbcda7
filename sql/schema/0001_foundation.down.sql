-- The extension stays: other tables of the database may use it. `tidegauge` stays: it holds the version table.

DROP TYPE tidegauge.alert_status;
DROP TYPE tidegauge.alert_severity;
DROP SCHEMA analytics;
