"""Writes the seed corpus: ``python -m tests.fuzz.seeds``. Requests of every kind, small, for mutations to begin with."""

from __future__ import annotations

import gzip
import json
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.fuzz.cases import CORPUS, GRPC, Case
from tests.property.json_text import JsonWriter
from tests.reference.otlp_json import JsonRequest

NOW = 1_790_000_000_123_456_789
PROTOBUF, JSON = b"application/x-protobuf", b"application/json"
TYPES = {"traces": ExportTraceServiceRequest, "metrics": ExportMetricsServiceRequest, "logs": ExportLogsServiceRequest}
RESOURCE = {
    "attributes": [
        {"key": "service.name", "value": {"stringValue": "checkout"}},
        {"key": "service.namespace", "value": {"stringValue": "shop"}},
        {"key": "deployment.environment.name", "value": {"stringValue": "prod"}},
        {"key": "process.command_args", "value": {"arrayValue": {"values": [{"stringValue": "serve"}, {"intValue": "2"}]}}},
    ],
    "droppedAttributesCount": 1,
    "entityRefs": [{"type": "service", "idKeys": ["service.name"], "descriptionKeys": ["service.version"]}],
}
SCOPE = {"name": "otel.asgi", "version": "0.50b0", "attributes": [{"key": "short", "value": {"boolValue": True}}]}
ATTRIBUTES = [
    {"key": "http.route", "value": {"stringValue": "/pay"}},
    {"key": "http.response.status_code", "value": {"intValue": "200"}},
    {"key": "ratio", "value": {"doubleValue": 0.25}},
    {"key": "sampled", "value": {"boolValue": False}},
    {"key": "raw", "value": {"bytesValue": "AP8="}},
    {"key": "empty", "value": {}},
    {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": "-1"}, {"arrayValue": {}}]}}},
    {"key": "map", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"doubleValue": "NaN"}}, {"key": "k", "value": {}}]}}},
]
IDS = {"traceId": "0102030405060708090a0b0c0d0e0f10", "spanId": "0102030405060708"}
SPAN = {
    **IDS,
    "parentSpanId": "1112131415161718",
    "traceState": "a=b",
    "flags": 257,
    "name": "GET /pay",
    "kind": 2,
    "startTimeUnixNano": str(NOW),
    "endTimeUnixNano": str(NOW + 1_500_000),
    "attributes": ATTRIBUTES,
    "droppedAttributesCount": 1,
    "events": [{"name": "exception", "timeUnixNano": str(NOW + 5), "attributes": ATTRIBUTES[:2], "droppedAttributesCount": 2}],
    "droppedEventsCount": 1,
    "links": [{**IDS, "traceState": "c=d", "attributes": ATTRIBUTES[1:2], "flags": 1, "droppedAttributesCount": 1}],
    "droppedLinksCount": 1,
    "status": {"code": 2, "message": "refused"},
}
RECORD = {
    **IDS,
    "timeUnixNano": str(NOW),
    "observedTimeUnixNano": str(NOW + 1),
    "severityNumber": 9,
    "severityText": "INFO",
    "body": {"stringValue": "paid 12.50"},
    "attributes": ATTRIBUTES,
    "droppedAttributesCount": 1,
    "flags": 1,
    "eventName": "payment",
}
POINT = {"attributes": ATTRIBUTES[:4], "startTimeUnixNano": str(NOW - 10**9), "timeUnixNano": str(NOW), "flags": 0}
EXEMPLAR = {**IDS, "timeUnixNano": str(NOW), "filteredAttributes": ATTRIBUTES[:1]}
DISTRIBUTION = {**POINT, "count": "6", "sum": 1.5, "min": 0.1, "max": 0.9}
METRICS: list[dict[str, Any]] = [
    {
        "name": "temperature",
        "unit": "Cel",
        "gauge": {"dataPoints": [{**POINT, "asDouble": 21.5, "exemplars": [{**EXEMPLAR, "asDouble": 1}]}]},
    },
    {
        "name": "requests",
        "unit": "1",
        "description": "Requests served.",
        "metadata": ATTRIBUTES[:2],
        "sum": {
            "dataPoints": [{**POINT, "asInt": "9007199254740993", "exemplars": [{**EXEMPLAR, "asInt": "3"}]}, {**POINT, "flags": 1}],
            "aggregationTemporality": 2,
            "isMonotonic": True,
        },
    },
    {
        "name": "duration",
        "unit": "s",
        "histogram": {
            "dataPoints": [
                {**DISTRIBUTION, "bucketCounts": ["1", "2", "3"], "explicitBounds": [0.1, 1], "exemplars": [{**EXEMPLAR, "asDouble": 0.5}]}
            ],
            "aggregationTemporality": 2,
        },
    },
    {
        "name": "size",
        "unit": "By",
        "exponentialHistogram": {
            "dataPoints": [
                {
                    **DISTRIBUTION,
                    "scale": 3,
                    "zeroCount": "1",
                    "zeroThreshold": 1e-9,
                    "positive": {"offset": -2, "bucketCounts": ["1", "0", "200"]},
                    "negative": {"offset": 4, "bucketCounts": ["3"]},
                    "exemplars": [{**EXEMPLAR, "asInt": "-7"}],
                }
            ],
            "aggregationTemporality": 1,
        },
    },
    {
        "name": "latency",
        "unit": "ms",
        "summary": {
            "dataPoints": [
                {**POINT, "count": "3", "sum": 2.5, "quantileValues": [{"quantile": 0.5, "value": 1}, {"quantile": 1, "value": 2}]}
            ]
        },
    },
]


def request(signal: str, *items: dict[str, Any]) -> dict[str, Any]:
    """A request in OTLP/JSON."""
    name = {"traces": "Spans", "metrics": "Metrics", "logs": "Logs"}[signal]
    list_name = {"traces": "spans", "metrics": "metrics", "logs": "logRecords"}[signal]
    scoped = {"scope": SCOPE, list_name: list(items), "schemaUrl": "https://opentelemetry.io/schemas/1.40.0"}
    bare = {list_name: [dict(list(item.items())[:3]) for item in items]}
    return {f"resource{name}": [{"resource": RESOURCE, f"scope{name}": [scoped]}, {f"scope{name}": [bare]}]}


PLAIN = {
    "timestamp": "2026-09-21T14:13:20.5+02:00",
    "level": "warn",
    "message": "paid 12.50",
    "service": "checkout",
    "logger": "shop.pay",
    "traceparent": "00-0102030405060708090a0b0c0d0e0f10-0102030405060708-01",
    "user": {"id": 7, "tags": ["a", None, 1.5, True], "address": {"city": "Köln"}},
}
ECS = {
    "@timestamp": NOW // 10**6,
    "log": {"level": "error", "logger": "shop"},
    "service": {"name": "cart", "version": "2"},
    "trace": {"id": IDS["traceId"]},
    "body": {"text": "oops"},
    "attributes": {"http.route": "/pay"},
    "resource": {"attributes": {"service.name": "cart"}},
    "severity_number": 18,
}
PUSH = {
    "streams": [
        {
            "stream": {"job": "api", "level": "error"},
            "values": [[str(NOW), "level=warn x"], [str(NOW + 1), "é", {"trace_id": IDS["traceId"]}]],
        },
        {"labels": '{job="a\\"b", host=`c`}', "entries": [{"ts": "2026-09-21T14:13:20.123456789Z", "line": "x"}]},
    ]
}


def _ways() -> dict[str, Case]:
    """Ways in for logs that are not OTLP, beside those in ``corpus/recorded``."""

    def lines(*documents: Any) -> bytes:
        return b"".join(json.dumps(each, separators=(",", ":")).encode() + b"\n" for each in documents)

    ndjson = ((b"content-type", b"application/x-ndjson"),)
    bulk = lines({"create": {"_index": "logs"}}, PLAIN, {"index": {"_id": "7"}}, ECS, {"delete": {"_id": "1"}}, {"update": {}}, {"doc": {}})
    return {
        "json-logs-object": Case(b"POST", b"/api/v1/logs", ((b"content-type", JSON), (b"x-request-id", b"r1")), lines(ECS)),
        "json-logs-array": Case(b"POST", b"/api/v1/logs", ((b"content-type", JSON),), json.dumps([PLAIN, ECS, 5]).encode()),
        "json-logs-lines": Case(b"POST", b"/api/v1/logs", ndjson, lines(PLAIN, ECS, "x")),
        "bulk": Case(b"POST", b"/shop/_bulk", ndjson, bulk),
        "loki-json": Case(b"POST", b"/loki/api/v1/push", ((b"content-type", JSON),), json.dumps(PUSH).encode()),
    }


def seeds() -> dict[str, Case]:
    """Cases by name."""
    found: dict[str, Case] = _ways()
    bodies: list[tuple[str, str, dict[str, Any]]] = [
        ("traces", "traces", request("traces", SPAN, {**SPAN, "parentSpanId": ""})),
        ("logs", "logs", request("logs", RECORD, {**RECORD, "body": {"kvlistValue": {"values": ATTRIBUTES}}})),
        ("metrics", "metrics", request("metrics", *METRICS)),
        *[(f"metric-{metric['name']}", "metrics", request("metrics", metric)) for metric in METRICS],
        *[(f"{signal}-empty", signal, {}) for signal in TYPES],
        ("logs-tiny", "logs", {"resourceLogs": [{"scopeLogs": [{"logRecords": [{}] * 5}]}]}),
        ("traces-many", "traces", request("traces", *[{**SPAN, "spanId": f"{number:016x}"} for number in range(1, 12)])),
    ]
    for name, signal, body in bodies:
        text = json.dumps(body, separators=(",", ":")).encode()
        message = JsonRequest(TYPES[signal], text).message
        path, binary = f"/v1/{signal}".encode(), message.SerializeToString()
        found[f"{name}-protobuf"] = Case(b"POST", path, ((b"content-type", PROTOBUF),), binary)
        found[f"{name}-json"] = Case(b"POST", path, ((b"content-type", JSON),), text)
        if name in TYPES:
            zipped = ((b"content-type", PROTOBUF), (b"content-encoding", b"gzip"))
            found[f"{name}-gzip"] = Case(b"POST", path, zipped, gzip.compress(binary, mtime=0), chunks=2)
            found[f"{name}-json-gzip"] = Case(b"POST", path, ((b"content-type", JSON), zipped[1]), gzip.compress(text, mtime=0))
            found[f"{name}-json-odd"] = Case(b"POST", path, ((b"content-type", JSON),), JsonWriter(3).write(message))
            found[f"{name}-grpc"] = Case(GRPC.encode(), signal.encode(), (), binary)
            found[f"{name}-grpc-gzip"] = Case(GRPC.encode(), signal.encode(), (), gzip.compress(binary, mtime=0))
    return found


def main() -> None:
    folder = CORPUS / "seeds"
    folder.mkdir(parents=True, exist_ok=True)
    for name, case in seeds().items():
        (folder / f"{name}.request").write_bytes(case.to_bytes())


if __name__ == "__main__":
    main()
