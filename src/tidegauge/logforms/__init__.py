"""Other ways in for logs: JSON documents, Elasticsearch's ``_bulk`` and Loki's push, each to the batch that OTLP logs become. No I/O."""
