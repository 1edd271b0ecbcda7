-- What plans are made from.

-- name: states
-- Raw data and rollups of a family, and how far each can be trusted.
SELECT t.level, t.watermark_us, t.dropped_us, t.pending_us FROM tidegauge.tier_states(%(family)s) t;
