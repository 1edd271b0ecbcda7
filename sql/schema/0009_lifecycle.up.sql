-- What is kept how long, as the settings said when they were last applied, and how far each relation has been dropped.

CREATE TABLE tidegauge.lifecycle (
    relation text PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('raw', 'rollup', 'ledger')),
    source text REFERENCES tidegauge.lifecycle (relation) DEFERRABLE INITIALLY DEFERRED,
    bucket_width interval,
    chunk_interval interval NOT NULL,
    chunk_interval_set interval,
    compress_after interval,
    retention interval NOT NULL,
    refresh_start_offset interval,
    refresh_end_offset interval,
    refresh_every interval,
    dropped_through timestamptz NOT NULL DEFAULT '-infinity',
    applied_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT lifecycle_rollups CHECK (
        (kind = 'rollup') = (source IS NOT NULL) AND (kind = 'rollup') = (bucket_width IS NOT NULL)
        AND (kind = 'rollup') = (refresh_start_offset IS NOT NULL) AND (kind = 'rollup') = (refresh_end_offset IS NOT NULL)
        AND (kind = 'rollup') = (refresh_every IS NOT NULL)
    )
);

-- Which version of the analysts' surface (sql/views, sql/policies) is there, so that a start that changes nothing locks nothing.
CREATE TABLE tidegauge.surface (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    fingerprint text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
);
