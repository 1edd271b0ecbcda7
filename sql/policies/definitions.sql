-- One statement: what the settings say about each relation, written to tidegauge.lifecycle. Parameters are the fields of
-- Settings.lifecycle by name, and dedup_window.
--
-- A rollup's refresh window is [now - refresh_start_offset, now - refresh_end_offset):
-- - It starts two chunks inside its source's retention: a refresh over dropped chunks would erase the rollup. Where the source has been
--   dropped further than its retention says (the retention was shorter once), it starts two chunks after that; both move with the clock.
--   Nor does it start before the rollup's own retention: of points that are kept longer than minutes are, no minutes are made.
-- - It ends before now, never open: after a refresh only buckets behind its end are computed from the source when read, so one point in
--   the far future would hide everything that comes before it. Points that are ahead by the future tolerance lie behind the end.
-- What arrives for a bucket already materialised is shown from the next refresh on (refresh_every).
WITH raw (relation, kind, chunk_interval, compress_after, retention) AS (
    VALUES
    ('metrics', 'raw', %(metrics_chunk)s::interval, %(metrics_compress_after)s::interval, %(metrics_retention)s::interval),
    ('metric_histograms', 'raw', %(metrics_chunk)s, %(metrics_compress_after)s, %(metrics_retention)s),
    ('metric_summaries', 'raw', %(metrics_chunk)s, %(metrics_compress_after)s, %(metrics_retention)s),
    ('metric_exemplars', 'raw', %(metrics_chunk)s, %(metrics_compress_after)s, %(metrics_retention)s),
    ('traces', 'raw', %(traces_chunk)s, %(traces_compress_after)s, %(traces_retention)s),
    ('trace_index', 'raw', %(traces_chunk)s, %(traces_compress_after)s, %(traces_retention)s),
    ('attribute_blocks', 'raw', INTERVAL '1 day', NULL, %(traces_retention)s),
    ('service_edges_minutely', 'raw', %(traces_chunk)s, NULL, %(minutely_retention)s),
    ('logs', 'raw', %(logs_chunk)s, %(logs_compress_after)s, %(logs_retention)s),
    ('ingest_requests', 'ledger', INTERVAL '4 hours', NULL, %(dedup_window)s),
    ('kept_spans', 'ledger', INTERVAL '30 days', NULL, %(hourly_retention)s),
    ('ingest_rejections', 'ledger', INTERVAL '1 day', NULL, %(rejections_retention)s)
),

tier (tier, bucket_width, chunk_interval, retention, refresh_end_offset, refresh_every) AS (
    VALUES
    ('minutely', INTERVAL '1 minute', INTERVAL '1 day', %(minutely_retention)s::interval, INTERVAL '10 minutes', INTERVAL '5 minutes'),
    ('hourly', INTERVAL '1 hour', INTERVAL '7 days', %(hourly_retention)s, INTERVAL '1 hour', INTERVAL '30 minutes'),
    ('daily', INTERVAL '1 day', INTERVAL '90 days', %(daily_retention)s, INTERVAL '1 day', INTERVAL '6 hours')
),

rollup (relation, source, tier) AS (
    VALUES
    ('metrics_hourly', 'metrics', 'hourly'),
    ('metrics_daily', 'metrics_hourly', 'daily'),
    ('metric_histograms_hourly', 'metric_histograms', 'hourly'),
    ('metric_histograms_daily', 'metric_histograms_hourly', 'daily'),
    ('traces_minutely', 'traces', 'minutely'),
    ('traces_hourly', 'traces_minutely', 'hourly'),
    ('traces_daily', 'traces_hourly', 'daily'),
    ('trace_durations_minutely', 'traces', 'minutely'),
    ('trace_durations_hourly', 'trace_durations_minutely', 'hourly'),
    ('trace_durations_daily', 'trace_durations_hourly', 'daily'),
    ('service_durations_minutely', 'trace_durations_minutely', 'minutely'),
    ('service_durations_hourly', 'service_durations_minutely', 'hourly'),
    ('service_durations_daily', 'service_durations_hourly', 'daily'),
    ('span_minutes', 'traces_minutely', 'minutely'),
    ('service_edges_hourly', 'service_edges_minutely', 'hourly'),
    ('service_edges_daily', 'service_edges_hourly', 'daily'),
    ('trace_examples_minutely', 'traces', 'minutely'),
    ('trace_examples_hourly', 'trace_examples_minutely', 'hourly'),
    ('trace_examples_daily', 'trace_examples_hourly', 'daily'),
    ('service_percentiles_minutely', 'service_durations_minutely', 'minutely'),
    ('service_percentiles_hourly', 'service_durations_hourly', 'hourly'),
    ('service_percentiles_daily', 'service_durations_daily', 'daily'),
    ('service_totals_minutely', 'traces_minutely', 'minutely'),
    ('service_totals_hourly', 'traces_hourly', 'hourly'),
    ('service_totals_daily', 'traces_daily', 'daily'),
    ('metric_histograms_minutely', 'metric_histograms', 'minutely'),
    ('metric_exponentials_minutely', 'metric_histograms', 'minutely'),
    ('metric_exponentials_hourly', 'metric_histograms', 'hourly'),
    ('metric_exponentials_daily', 'metric_exponentials_hourly', 'daily')
),

kept (relation, kind, source, bucket_width, chunk_interval, compress_after, retention, refresh_end_offset, refresh_every) AS (
    SELECT relation, kind, NULL, NULL::interval, chunk_interval, compress_after, retention, NULL::interval, NULL::interval FROM raw
    UNION ALL
    SELECT
        rollup.relation, 'rollup', rollup.source, tier.bucket_width, tier.chunk_interval, NULL, tier.retention,
        tier.refresh_end_offset, tier.refresh_every
    FROM rollup
    JOIN tier USING (tier)
),

grace AS (
    UPDATE tidegauge.collections SET grace = %(collection_grace)s::interval WHERE grace <> %(collection_grace)s::interval
),

windowed AS (
    SELECT
        kept.*,
        justify_hours(
            least(
                least(source.retention, date_trunc('hour', now() - nullif(dropped.dropped_through, '-infinity')))
                    - 2 * source.chunk_interval,
                CASE WHEN kept.kind = 'rollup' THEN kept.retention END
            )
        ) AS refresh_start_offset
    FROM kept
    LEFT JOIN kept AS source ON source.relation = kept.source
    LEFT JOIN tidegauge.lifecycle AS dropped ON dropped.relation = kept.source
)

INSERT INTO tidegauge.lifecycle AS l (
    relation, kind, source, bucket_width, chunk_interval, compress_after, retention, refresh_start_offset, refresh_end_offset,
    refresh_every
)
SELECT
    relation, kind, source, bucket_width, chunk_interval, compress_after, retention, refresh_start_offset, refresh_end_offset,
    refresh_every
FROM windowed
ON CONFLICT (relation) DO UPDATE SET
    chunk_interval = excluded.chunk_interval,
    compress_after = excluded.compress_after,
    retention = excluded.retention,
    refresh_start_offset = excluded.refresh_start_offset,
    refresh_end_offset = excluded.refresh_end_offset,
    refresh_every = excluded.refresh_every,
    applied_at = now();
