-- Collection of unused dictionary rows; what it does stands in sql/policies/collection.sql.

-- name: turn
-- One short step; NULL where nothing is left to do.
SELECT tidegauge.collect_turn(%(before)s::timestamptz, %(most)s::integer) AS did;

-- name: unused
-- What a collection would look at now, counted no further than `most`: rows unseen for so long that whatever referred to them should be
-- gone. Names and descriptions go as they are; of the others only those that nothing refers to.
SELECT
    k.dictionary,
    tidegauge.unseen_before(k.dictionary) AS unseen_before,
    CASE k.dictionary
        WHEN 'span_names' THEN (
            SELECT count(*) FROM (
                SELECT FROM tidegauge.span_names n WHERE n.last_seen < (SELECT tidegauge.unseen_before('span_names')) LIMIT %(most)s
            ) n
        )
        WHEN 'metric_metadata' THEN (
            SELECT count(*) FROM (
                SELECT FROM tidegauge.metric_metadata m
                WHERE m.updated_at < (SELECT tidegauge.unseen_before('metric_metadata'))
                AND NOT EXISTS (
                    SELECT FROM tidegauge.series s WHERE s.application_id = m.application_id AND s.metric_name = m.metric_name
                )
                LIMIT %(most)s
            ) m
        )
        ELSE (SELECT count(*) FROM tidegauge.unseen_rows(k.dictionary, tidegauge.unseen_before(k.dictionary), %(most)s))
    END AS rows
FROM tidegauge.collections k
ORDER BY k.dictionary;

-- name: is_over
-- Whether no round is under way: one is where writers did not let the epoch be raised.
SELECT NOT EXISTS (SELECT FROM tidegauge.series s WHERE s.deletion_epoch IS NOT NULL)
    AND NOT EXISTS (SELECT FROM tidegauge.resources r WHERE r.deletion_epoch IS NOT NULL)
    AND NOT EXISTS (SELECT FROM tidegauge.scopes c WHERE c.deletion_epoch IS NOT NULL)
    AND NOT EXISTS (SELECT FROM tidegauge.applications a WHERE a.deletion_epoch IS NOT NULL);
