-- Schemas, extension and types. Storage in `tidegauge`, the analysts' surface in `analytics`, nothing in `public`.

CREATE EXTENSION IF NOT EXISTS timescaledb;

-- `tidegauge` exists already: migrations/env.py makes it for its own version table.
CREATE SCHEMA IF NOT EXISTS tidegauge;
CREATE SCHEMA IF NOT EXISTS analytics;

-- Ascending, so that ORDER BY severity DESC puts CRITICAL first.
CREATE TYPE tidegauge.alert_severity AS ENUM ('INFO', 'LOW', 'MEDIUM', 'HIGH', 'CRITICAL');
CREATE TYPE tidegauge.alert_status AS ENUM ('ACTIVE', 'ACKNOWLEDGED', 'RESOLVED', 'SILENCED');
