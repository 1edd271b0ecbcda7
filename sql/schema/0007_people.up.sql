-- Alerts and users: regular tables, joined by analysts, filled by later parts of the product and by a team's own tools.

CREATE TABLE tidegauge.alerts (
    alert_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id smallint NOT NULL DEFAULT 0,
    application_id integer REFERENCES tidegauge.applications,
    name text NOT NULL,
    description text NOT NULL DEFAULT '',
    status tidegauge.alert_status NOT NULL DEFAULT 'ACTIVE',
    severity tidegauge.alert_severity NOT NULL,
    labels jsonb NOT NULL DEFAULT '{}',
    value double precision,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz
);
CREATE INDEX alerts_status_severity ON tidegauge.alerts (status, severity DESC, created_at DESC);
CREATE INDEX alerts_application ON tidegauge.alerts (application_id);

CREATE TABLE tidegauge.users (
    user_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id smallint NOT NULL DEFAULT 0,
    email text NOT NULL,
    display_name text NOT NULL DEFAULT '',
    role text NOT NULL DEFAULT 'viewer' CHECK (role IN ('viewer', 'editor', 'admin')),
    password_hash text,
    api_token_hash bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_login_at timestamptz,
    disabled_at timestamptz
);
CREATE UNIQUE INDEX users_email ON tidegauge.users (tenant_id, lower(email));
