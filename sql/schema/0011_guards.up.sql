-- What keeps telemetry that never repeats from growing without bound: rejections counted by the minute, names of spans as a dictionary.

-- Rejections. `writer` is set for a row that adds up the further ones of a minute: the backend that does, so that no two wait for one
-- another. Own rows have none, and the unique index has nothing against any number of them.
ALTER TABLE tidegauge.ingest_rejections ADD COLUMN rejection_id uuid;
UPDATE tidegauge.ingest_rejections SET rejection_id = gen_random_uuid();
ALTER TABLE tidegauge.ingest_rejections
    ALTER COLUMN rejection_id SET DEFAULT gen_random_uuid(),
    ALTER COLUMN rejection_id SET NOT NULL;
ALTER TABLE tidegauge.ingest_rejections ADD COLUMN service text NOT NULL DEFAULT '';
ALTER TABLE tidegauge.ingest_rejections ADD COLUMN sample_type text NOT NULL DEFAULT '';
ALTER TABLE tidegauge.ingest_rejections ADD COLUMN writer integer;
CREATE UNIQUE INDEX ingest_rejections_further ON tidegauge.ingest_rejections (tenant_id, signal, reason, service, writer, rejected_at);

-- Names of spans that rollups tell apart; at most so many of an application (TIDEGAUGE_CARDINALITY_MAX_SPAN_NAMES_PER_APPLICATION).
CREATE TABLE tidegauge.span_names (
    tenant_id smallint NOT NULL DEFAULT 0,
    application_id integer NOT NULL REFERENCES tidegauge.applications,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_seen timestamptz NOT NULL DEFAULT date_trunc('hour', now()),
    CONSTRAINT span_names_pkey PRIMARY KEY (application_id, name)
) WITH (fillfactor = 80);

-- Rollups group by `name`: where an application has too many of them it is '_other', and the true one stands here.
ALTER TABLE tidegauge.traces ADD COLUMN full_name text;

-- `last_seen` moves every hour and has no index: with room in its page a row moves within it, and no index notices.
ALTER TABLE tidegauge.resources SET (fillfactor = 80);
ALTER TABLE tidegauge.scopes SET (fillfactor = 80);
ALTER TABLE tidegauge.series SET (fillfactor = 80);
