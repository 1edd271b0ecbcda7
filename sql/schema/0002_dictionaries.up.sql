-- Dictionaries: what many rows share is stored once and referred to by a small id.
--
-- `identity` is blake2b-128 over the canonical encoding (docs/data-model.md, "Identity"). `last_seen` is kept by the hour.
-- `deletion_epoch` is set when a row is chosen for collection; a writer whose cached ids are older than the epoch asks again.
-- `original` is the OTLP message as it was sent, kept only where the columns cannot give it back (docs/data-model.md, "Lossless").

CREATE TABLE tidegauge.dictionary_epoch (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    epoch bigint NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
);
-- Never the same twice, not even in a schema made anew: writers that know the ids of the old one notice.
INSERT INTO tidegauge.dictionary_epoch (epoch) VALUES ((extract(epoch FROM clock_timestamp()) * 1000000)::bigint);

CREATE TABLE tidegauge.applications (
    application_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id smallint NOT NULL DEFAULT 0,
    namespace text NOT NULL DEFAULT '',
    name text NOT NULL,
    environment text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    last_seen timestamptz NOT NULL DEFAULT date_trunc('hour', now()),
    deletion_epoch bigint,
    CONSTRAINT applications_identity UNIQUE (tenant_id, namespace, name, environment)
);

CREATE TABLE tidegauge.resources (
    resource_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id smallint NOT NULL DEFAULT 0,
    identity uuid NOT NULL,
    application_id integer NOT NULL REFERENCES tidegauge.applications,
    schema_url text NOT NULL DEFAULT '',
    attributes jsonb NOT NULL,
    dropped_attributes_count bigint NOT NULL DEFAULT 0,
    original bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_seen timestamptz NOT NULL DEFAULT date_trunc('hour', now()),
    deletion_epoch bigint,
    CONSTRAINT resources_identity UNIQUE (tenant_id, identity)
);
CREATE INDEX resources_application ON tidegauge.resources (application_id);

CREATE TABLE tidegauge.scopes (
    scope_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id smallint NOT NULL DEFAULT 0,
    identity uuid NOT NULL,
    name text NOT NULL,
    version text NOT NULL DEFAULT '',
    schema_url text NOT NULL DEFAULT '',
    attributes jsonb NOT NULL,
    dropped_attributes_count bigint NOT NULL DEFAULT 0,
    original bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_seen timestamptz NOT NULL DEFAULT date_trunc('hour', now()),
    deletion_epoch bigint,
    CONSTRAINT scopes_identity UNIQUE (tenant_id, identity)
);

CREATE TABLE tidegauge.series (
    series_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id smallint NOT NULL DEFAULT 0,
    identity uuid NOT NULL,
    resource_id integer NOT NULL REFERENCES tidegauge.resources,
    scope_id integer NOT NULL REFERENCES tidegauge.scopes,
    application_id integer NOT NULL REFERENCES tidegauge.applications,
    metric_name text NOT NULL,
    type text NOT NULL CHECK (type IN ('gauge', 'sum', 'histogram', 'exponential_histogram', 'summary')),
    unit text NOT NULL DEFAULT '',
    temporality text CHECK (temporality IN ('unspecified', 'delta', 'cumulative')),
    is_monotonic boolean,
    bounds double precision[],
    labels jsonb NOT NULL,
    original bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_seen timestamptz NOT NULL DEFAULT date_trunc('hour', now()),
    deletion_epoch bigint,
    CONSTRAINT series_identity UNIQUE (tenant_id, identity)
);
CREATE INDEX series_metric_name ON tidegauge.series (tenant_id, metric_name);
CREATE INDEX series_labels ON tidegauge.series USING gin (labels jsonb_path_ops);
CREATE INDEX series_resource ON tidegauge.series (resource_id);
CREATE INDEX series_application ON tidegauge.series (application_id, metric_name);

CREATE TABLE tidegauge.metric_metadata (
    tenant_id smallint NOT NULL DEFAULT 0,
    application_id integer NOT NULL REFERENCES tidegauge.applications,
    metric_name text NOT NULL,
    type text NOT NULL,
    unit text NOT NULL DEFAULT '',
    description text NOT NULL DEFAULT '',
    metadata jsonb,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT metric_metadata_pkey PRIMARY KEY (tenant_id, application_id, metric_name, type, unit)
);
