DROP TABLE tidegauge.ingest_rejections;
DROP TABLE tidegauge.ingest_requests;
