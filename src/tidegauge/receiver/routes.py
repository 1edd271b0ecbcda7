"""Names of the ways in, for metrics: templates of paths, of which there are few."""

from __future__ import annotations

from tidegauge.receiver import elasticsearch, json_logs, loki
from tidegauge.receiver.http import PATHS
from tidegauge.receiver.ways import is_way_at_root

OTHER_OTLP = "/v1/{other}"
OTHER_ELASTICSEARCH = "/elasticsearch/{other}"
_ITSELF = frozenset((*PATHS, json_logs.ENDPOINT, loki.ENDPOINT, loki.READY))


def ingest_route(path: str, method: str) -> str | None:
    """The way in that a request takes; None where it is not one of them."""
    if path in PATHS:
        return path
    if path.startswith("/v1/"):
        return OTHER_OTLP
    # The root is Elasticsearch's to a shipper, and nobody's to the others.
    if path == "/" or not is_way_at_root(path, method):
        return None
    if path in _ITSELF:
        return path
    return elasticsearch.ENDPOINT if path.rstrip("/").endswith(elasticsearch.ENDPOINT) else OTHER_ELASTICSEARCH
