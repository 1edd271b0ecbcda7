"""The SDK's own OTLP exporters, and an account of what became of every item.

The SDK tells SUCCESS or FAILURE and hides the rest, partial_success included. So the HTTP session under each protobuf exporter is watched:
it keeps the last answer's status, message and number of rejected items. Of the others' exporters only the result is known.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from threading import Lock
from typing import Any, Protocol

import requests
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.metrics.export import Metric, MetricsData, ResourceMetrics, ScopeMetrics
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from tidegauge.errors import ConfigurationError
from tidegauge.simulate.report import Signal

JSON_PACKAGE = "opentelemetry-exporter-otlp-json-http"
GRPC_PACKAGE = "opentelemetry-exporter-otlp-proto-grpc"
PROTOCOLS = ("http/protobuf", "http/json", "grpc")
_MAX_ITEMS = 512  # the SDK's batch processors send no more at once


class Exporter(Protocol):
    """What the three exporters of the SDK have in common."""

    def export(self, batch: Any) -> Any:
        """Send; the result's ``name`` is SUCCESS or FAILURE."""
        ...

    def shutdown(self) -> None:
        """End, also a retry that waits."""
        ...


@dataclass(slots=True)
class Account:
    """Items sent by signal, and items lost by signal and reason. Safe for threads."""

    accepted: Counter[Signal] = field(default_factory=Counter)
    failed: Counter[tuple[Signal, str]] = field(default_factory=Counter)
    rejected: Counter[tuple[Signal, str]] = field(default_factory=Counter)
    requests: int = 0
    lock: Lock = field(default_factory=Lock)

    def add(self, signal: Signal, items: int, failure: str | None, rejected: int, message: str) -> None:
        """Enter one export."""
        with self.lock:
            self.requests += 1
            if failure is not None:
                self.failed[signal, failure] += items
                return
            self.accepted[signal] += items - rejected
            if rejected:
                self.rejected[signal, message] += rejected


class Watch:
    """The last answer that a session got."""

    def __init__(self) -> None:
        self.session = requests.Session()
        # Proxies and .netrc of the environment are not for telemetry about a demo shop; and .netrc would replace the token.
        self.session.trust_env = False
        self.session.hooks["response"].append(self._note)
        self.session.mount("http://", _Adapter(self))
        self.session.mount("https://", _Adapter(self))
        self.forget()

    def forget(self) -> None:
        """Before a new export."""
        self.failure = "the exporter reported a failure"
        self.rejected = 0
        self.message = ""

    def _note(self, response: requests.Response, *_: Any, **__: Any) -> None:
        if response.status_code < 300:
            # The three signals' answers have the same fields (opentelemetry/proto/collector/*/v1/*_service.proto).
            partial = ExportTraceServiceResponse.FromString(response.content).partial_success
            self.rejected, self.message = partial.rejected_spans, partial.error_message
            return
        self.failure = f"HTTP {response.status_code}: {_message(response) or response.reason}"


class _Adapter(requests.adapters.HTTPAdapter):
    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def send(self, *arguments: Any, **options: Any) -> requests.Response:
        try:
            return super().send(*arguments, **options)
        except requests.RequestException as error:
            self._watch.failure = f"no answer: {_cause(error)}"
            raise


def _message(response: requests.Response) -> str:
    try:
        return str(Status.FromString(response.content).message)
    except Exception:  # noqa: BLE001 (anything may answer at that address)
        return response.text[:200]


def _cause(error: BaseException) -> str:
    while error.__context__ is not None:
        error = error.__context__
    return str(error) or type(error).__name__


class Outlet:
    """The three exporters of one service."""

    def __init__(self, exporters: Mapping[Signal, tuple[Exporter, Watch | None]], account: Account) -> None:
        self._exporters = exporters
        self._account = account

    def send_spans(self, spans: Sequence[Any]) -> None:
        """Export spans in batches of the SDK's size."""
        for start in range(0, len(spans), _MAX_ITEMS):
            batch = spans[start : start + _MAX_ITEMS]
            self._send(Signal.SPANS, batch, len(batch))

    def send_logs(self, logs: Sequence[Any]) -> None:
        """Export log records likewise."""
        for start in range(0, len(logs), _MAX_ITEMS):
            batch = logs[start : start + _MAX_ITEMS]
            self._send(Signal.LOGS, batch, len(batch))

    def send_metrics(self, metrics: Sequence[Any]) -> None:
        """Export collections (ResourceMetrics), several at once."""
        points = sum(len(m.data.data_points) for r in metrics for s in r.scope_metrics for m in s.metrics)
        if points:
            self._send(Signal.POINTS, MetricsData(resource_metrics=merged(metrics)), points)

    def _send(self, signal: Signal, batch: Any, items: int) -> None:
        exporter, watch = self._exporters[signal]
        if watch is not None:
            watch.forget()
        succeeded = exporter.export(batch).name == "SUCCESS"
        failure = None if succeeded else watch.failure if watch else "the exporter reported a failure"
        self._account.add(signal, items, failure, watch.rejected if watch else 0, watch.message if watch else "")

    def close(self) -> None:
        """End the exporters; a retry that waits gives up."""
        for exporter, _ in self._exporters.values():
            exporter.shutdown()


def merged(collections: Sequence[ResourceMetrics]) -> list[ResourceMetrics]:
    """The same metrics with each resource and each scope once.

    The SDK's encoder keeps scopes by resource and metrics by scope: of several collections of one resource it would send the last alone.
    """
    scopes: dict[Resource, dict[InstrumentationScope, list[Metric]]] = {}
    for collection in collections:
        found = scopes.setdefault(collection.resource, {})
        for scope in collection.scope_metrics:
            found.setdefault(scope.scope, []).extend(scope.metrics)
    return [ResourceMetrics(resource, _scoped(found), resource.schema_url) for resource, found in scopes.items()]


def _scoped(scopes: Mapping[InstrumentationScope, list[Metric]]) -> list[ScopeMetrics]:
    return [ScopeMetrics(scope, metrics, scope.schema_url or "") for scope, metrics in scopes.items()]


def make_outlet(endpoint: str, headers: Mapping[str, str], protocol: str, timeout_seconds: float, account: Account) -> Outlet:
    """The exporters of one service for a base address of OTLP/HTTP, or the address of OTLP/gRPC.

    Raises:
        ConfigurationError: the protocol is unknown, or the package for it is missing.

    """
    if protocol == "http/json":
        return Outlet({s: (e, None) for s, e in _json_exporters(endpoint, headers, timeout_seconds).items()}, account)
    if protocol == "grpc":
        return Outlet({s: (e, None) for s, e in _grpc_exporters(endpoint, headers, timeout_seconds).items()}, account)
    if protocol != "http/protobuf":
        raise ConfigurationError(f"{protocol} is not a protocol of the simulator", hint=f"it knows {', '.join(PROTOCOLS)}")
    common: dict[str, Any] = {"headers": dict(headers), "timeout": timeout_seconds, "compression": Compression.Gzip}
    watches = {signal: Watch() for signal in Signal}
    exporters: dict[Signal, Any] = {
        Signal.SPANS: OTLPSpanExporter(f"{endpoint}/v1/traces", session=watches[Signal.SPANS].session, **common),
        Signal.LOGS: OTLPLogExporter(f"{endpoint}/v1/logs", session=watches[Signal.LOGS].session, **common),
        Signal.POINTS: OTLPMetricExporter(f"{endpoint}/v1/metrics", session=watches[Signal.POINTS].session, **common),
    }
    return Outlet({signal: (exporters[signal], watches[signal]) for signal in Signal}, account)


def _json_exporters(endpoint: str, headers: Mapping[str, str], timeout_seconds: float) -> dict[Signal, Any]:
    try:
        package = import_module("opentelemetry.exporter.otlp.json.http")
        logs = import_module("opentelemetry.exporter.otlp.json.http._log_exporter")
    except ImportError as error:
        raise ConfigurationError("http/json needs one more package", hint=f"pip install {JSON_PACKAGE}") from error
    common: dict[str, Any] = {"headers": dict(headers), "timeout": timeout_seconds}
    return {
        Signal.SPANS: package.OTLPSpanExporter(f"{endpoint}/v1/traces", **common),
        Signal.LOGS: logs.OTLPLogExporter(f"{endpoint}/v1/logs", **common),
        Signal.POINTS: package.OTLPMetricExporter(f"{endpoint}/v1/metrics", **common),
    }


def _grpc_exporters(endpoint: str, headers: Mapping[str, str], timeout_seconds: float) -> dict[Signal, Any]:
    package = "opentelemetry.exporter.otlp.proto.grpc"
    try:
        compression = import_module("grpc").Compression.Gzip
        modules = {each: import_module(f"{package}.{each}") for each in ("trace_exporter", "_log_exporter", "metric_exporter")}
    except ImportError as error:
        raise ConfigurationError("grpc needs one more package", hint=f"pip install {GRPC_PACKAGE}") from error
    common: dict[str, Any] = {
        "endpoint": endpoint,
        "insecure": not endpoint.startswith("https:"),
        # Names in gRPC's metadata are lower-case.
        "headers": {name.lower(): value for name, value in headers.items()},
        "timeout": timeout_seconds,
        "compression": compression,
        # As above: the environment's proxies are not for this.
        "channel_options": (("grpc.enable_http_proxy", 0),),
    }
    return {
        Signal.SPANS: modules["trace_exporter"].OTLPSpanExporter(**common),
        Signal.LOGS: modules["_log_exporter"].OTLPLogExporter(**common),
        Signal.POINTS: modules["metric_exporter"].OTLPMetricExporter(**common),
    }


@contextmanager
def quiet_sdk() -> Iterator[None]:
    """Keep the SDK's own log lines off the terminal: the account says the same, once."""
    logger = logging.getLogger("opentelemetry")
    before, logger.propagate = logger.propagate, False
    silence = logging.NullHandler()
    logger.addHandler(silence)
    try:
        yield
    finally:
        logger.removeHandler(silence)
        logger.propagate = before
