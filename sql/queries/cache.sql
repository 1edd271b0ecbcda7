-- What kept answers are told apart by.

-- name: identity
-- Changes when the database is another one, or its tables were made anew: then ids mean other things.
SELECT (SELECT system_identifier FROM pg_control_system()) AS system, 'tidegauge.series'::regclass::oid::bigint AS series;
