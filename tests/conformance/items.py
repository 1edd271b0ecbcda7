"""Requests of one kind of item, and how many of them the product has."""

from __future__ import annotations

import secrets
import time
from typing import Any

import psycopg
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.servers.product import Product

SIGNALS = ("traces", "metrics", "logs")
REJECTED = {"traces": "rejected_spans", "metrics": "rejected_data_points", "logs": "rejected_log_records"}
ANCIENT_NS = 10**18  # of 2001: long before anything that is kept


def request(signal: str, mark: bytes, good: int = 1, bad: int = 0) -> Any:
    """A request with items that can be stored and items that cannot be; ``mark`` (16 bytes) tells a test's items from others'."""
    now = time.time_ns()
    times = [now + number for number in range(good)] + [ANCIENT_NS] * bad
    if signal == "traces":
        traces = ExportTraceServiceRequest()
        scope = traces.resource_spans.add().scope_spans.add()
        for time_ns in times:
            scope.spans.add(
                trace_id=mark, span_id=secrets.token_bytes(8), name="s", start_time_unix_nano=time_ns, end_time_unix_nano=time_ns
            )
        return traces
    if signal == "metrics":
        metrics = ExportMetricsServiceRequest()
        metric = metrics.resource_metrics.add().scope_metrics.add().metrics.add(name=mark.hex())
        for number, time_ns in enumerate(times):
            point = metric.gauge.data_points.add(time_unix_nano=time_ns, as_int=number)
            point.attributes.add(key="id").value.string_value = secrets.token_hex(8)
        return metrics
    logs = ExportLogsServiceRequest()
    records = logs.resource_logs.add().scope_logs.add()
    for time_ns in times:
        records.log_records.add(time_unix_nano=time_ns, trace_id=mark, span_id=secrets.token_bytes(8))
    return logs


async def stored(product: Product, signal: str, mark: bytes) -> int:
    """How many items of ``mark`` there are."""
    if signal == "metrics":
        async with await psycopg.AsyncConnection.connect(product.reader_dsn, prepare_threshold=None) as connection:
            [found] = await (await connection.execute("SELECT count(*) FROM metrics WHERE metric_name = %s", [mark.hex()])).fetchall()
            return int(found[0])
    async with product.api() as api:
        if signal == "traces":
            got = await api.get(f"/api/v1/traces/{mark.hex()}")
            return int(got.json()["span_count"]) if got.status_code == 200 else 0
        return len((await api.get("/api/v1/logs", params={"trace_id": mark.hex(), "limit": "1000"})).json()["logs"])


async def span(product: Product, trace_id: str) -> dict[str, Any]:
    """The only span of a trace, as OTLP in JSON."""
    async with product.api() as api:
        got = await api.get(f"/api/v1/traces/{trace_id}", params={"format": "otlp"})
        assert got.status_code == 200, got.text
        [resource] = got.json()["resourceSpans"]
        [scope] = resource["scopeSpans"]
        [found] = scope["spans"]
        return {**found, "resource": resource.get("resource", {}), "scope": scope.get("scope", {})}
