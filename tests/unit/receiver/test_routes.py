"""Which way in a request takes."""

from __future__ import annotations

import pytest

from tidegauge.receiver.routes import ingest_route


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("POST", "/v1/traces", "/v1/traces"),
        ("POST", "/v1/else", "/v1/{other}"),
        ("POST", "/api/v1/logs", "/api/v1/logs"),
        ("GET", "/api/v1/logs", None),
        ("POST", "/loki/api/v1/push", "/loki/api/v1/push"),
        ("POST", "/_bulk", "/_bulk"),
        ("PUT", "/elasticsearch/index-17/_bulk/", "/_bulk"),
        ("GET", "/elasticsearch/_cluster/health", "/elasticsearch/{other}"),
        ("GET", "/api/v1/traces", None),
        ("GET", "/", None),
    ],
)
def test_route(method: str, path: str, route: str | None) -> None:
    assert ingest_route(path, method) == route
