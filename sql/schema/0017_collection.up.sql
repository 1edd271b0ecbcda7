-- Late data brought into rollups, and dictionary rows that nothing refers to any more. What works on it: sql/policies/rollups.sql and
-- sql/policies/collection.sql; why it is safe: docs/adr/0021.

-- Repairs: refreshes of buckets that had been materialised before, because data for them came late.
CREATE TABLE tidegauge.rollup_repairs (
    relation text PRIMARY KEY,
    repairs bigint NOT NULL,
    repaired interval NOT NULL,
    last_at timestamptz NOT NULL,
    last_start timestamptz NOT NULL,
    last_end timestamptz NOT NULL
);

-- What is collected: `id_column` is by which name other tables refer to a row, NULL where none does.
CREATE TABLE tidegauge.collections (
    dictionary text PRIMARY KEY,
    id_column text,
    grace interval NOT NULL DEFAULT INTERVAL '7 days',
    collected bigint NOT NULL DEFAULT 0,
    collected_at timestamptz
);
INSERT INTO tidegauge.collections (dictionary, id_column) VALUES
    ('series', 'series_id'),
    ('resources', 'resource_id'),
    ('scopes', 'scope_id'),
    ('applications', 'application_id'),
    ('span_names', NULL),
    ('metric_metadata', NULL);

-- What a collection has yet to look at: a stretch of a relation that may refer to rows of a dictionary.
CREATE TABLE tidegauge.collection_checks (
    check_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    level integer NOT NULL,
    dictionary text NOT NULL REFERENCES tidegauge.collections,
    relation text NOT NULL,
    id_column text NOT NULL,
    time_column text,
    range_start timestamptz,
    range_end timestamptz
);

-- When a collection found that a row unseen for long is referred to all the same: it is not looked at again for a while.
ALTER TABLE tidegauge.applications ADD COLUMN referenced_at timestamptz;
ALTER TABLE tidegauge.resources ADD COLUMN referenced_at timestamptz;
ALTER TABLE tidegauge.scopes ADD COLUMN referenced_at timestamptz;
ALTER TABLE tidegauge.series ADD COLUMN referenced_at timestamptz;

CREATE INDEX applications_marked ON tidegauge.applications (application_id) WHERE deletion_epoch IS NOT NULL;
CREATE INDEX resources_marked ON tidegauge.resources (resource_id) WHERE deletion_epoch IS NOT NULL;
CREATE INDEX scopes_marked ON tidegauge.scopes (scope_id) WHERE deletion_epoch IS NOT NULL;
CREATE INDEX series_marked ON tidegauge.series (series_id) WHERE deletion_epoch IS NOT NULL;
-- A scope goes when no series has it; the foreign key asks for each.
CREATE INDEX series_scope ON tidegauge.series (scope_id);

-- What describes an application goes with it.
ALTER TABLE tidegauge.span_names
    DROP CONSTRAINT span_names_application_id_fkey,
    ADD CONSTRAINT span_names_application_id_fkey FOREIGN KEY (application_id) REFERENCES tidegauge.applications ON DELETE CASCADE;
ALTER TABLE tidegauge.metric_metadata
    DROP CONSTRAINT metric_metadata_application_id_fkey,
    ADD CONSTRAINT metric_metadata_application_id_fkey FOREIGN KEY (application_id) REFERENCES tidegauge.applications ON DELETE CASCADE;
