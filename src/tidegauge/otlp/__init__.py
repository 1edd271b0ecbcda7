"""OTLP, protobuf and JSON, to column batches and back. Pure: no I/O, nothing third-party but protobuf and orjson."""
