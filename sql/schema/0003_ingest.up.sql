-- The ledger of requests and what was rejected.
--
-- `ingest_requests` makes a byte-identical resend a read: its key stands in the same transaction as the rows. A unique index of a
-- hypertable holds within a chunk only, so the key carries `slot`, the start of the chunk's interval; a writer looks the digest up in
-- all slots of the window first, and in the first minute of a slot enters it into the slot before as well, so that two workers
-- on either side of the border meet (docs/adr/0004).

CREATE TABLE tidegauge.ingest_requests (
    slot timestamptz NOT NULL,
    digest uuid NOT NULL,
    tenant_id smallint NOT NULL DEFAULT 0,
    signal smallint NOT NULL,
    endpoint text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    items bigint NOT NULL DEFAULT 0,
    rejected bigint NOT NULL DEFAULT 0,
    message text NOT NULL DEFAULT ''
);
SELECT create_hypertable('tidegauge.ingest_requests', by_range('slot', INTERVAL '4 hours'), create_default_indexes => false);
CREATE UNIQUE INDEX ingest_requests_key ON tidegauge.ingest_requests (digest, tenant_id, signal, endpoint, slot);

CREATE TABLE tidegauge.ingest_rejections (
    rejected_at timestamptz NOT NULL DEFAULT now(),
    tenant_id smallint NOT NULL DEFAULT 0,
    signal smallint NOT NULL,
    reason text NOT NULL,
    message text NOT NULL,
    items bigint NOT NULL,
    digest uuid,
    sample bytea
);
SELECT create_hypertable('tidegauge.ingest_rejections', by_range('rejected_at', INTERVAL '1 day'), create_default_indexes => false);
CREATE INDEX ingest_rejections_rejected_at ON tidegauge.ingest_rejections (rejected_at DESC);
