"""The ingest path: ingestor (decode, validate, count, reject) and writer (group commit, backpressure)."""
