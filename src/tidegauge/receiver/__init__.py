"""The ingest path's first hop: OTLP over HTTP."""
