-- The last run of each maintenance job, where TimescaleDB's background workers are not there to keep such a record.

CREATE TABLE tidegauge.maintenance_runs (
    job text PRIMARY KEY,
    started_at timestamptz NOT NULL,
    duration_seconds double precision NOT NULL,
    -- how long the longest of its turns held the database
    longest_turn_seconds double precision NOT NULL,
    turns bigint NOT NULL,
    result text NOT NULL DEFAULT '',
    error text NOT NULL DEFAULT '',
    consecutive_failures integer NOT NULL DEFAULT 0,
    last_success_at timestamptz,
    runs bigint NOT NULL DEFAULT 1
);
