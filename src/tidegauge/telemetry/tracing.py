"""The program's own spans, sent by OpenTelemetry's SDK to any OTLP/HTTP receiver: another Tidegauge, a Collector, or this one itself.

A span of a commit is itself stored by a commit. What is sent carries the resource attribute ``telemetry.distro.name``, by which each
Tidegauge knows spans of Tidegauge's making, whatever way they took; commits of nothing else have no span.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from tidegauge import __version__
from tidegauge.config import TelemetrySettings
from tidegauge.correlation import Correlation
from tidegauge.errors import ConfigurationError
from tidegauge.model.batch import ResourceEntry, SpanBatch
from tidegauge.storage.interface import IngestRequest

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

_OURS = ("telemetry.distro.name", "tidegauge")
_SCOPE = "tidegauge"
_PATH = "/v1/traces"
_SYSTEMS = {"timescaledb": "postgresql", "elasticsearch": "elasticsearch", "redis": "redis"}
_LAST_SECONDS = 2.0


class Tracing:
    """:class:`tidegauge.telemetry.spans.Spans` by OpenTelemetry's SDK.

    Attribute names are those of its semantic conventions (https://opentelemetry.io/docs/specs/semconv/). Of errors the type alone is
    told: messages may hold anything.
    """

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry import trace

        self._trace = trace
        self._provider = provider
        self._tracer = provider.get_tracer(_SCOPE, __version__)

    @contextmanager
    def request(self, correlation: Correlation, method: str, scope: Mapping[str, Any]) -> Iterator[_RequestSpan]:
        """See ``RequestSpans``."""
        attributes = {"http.request.method": method, "url.path": scope["path"][:500], "url.scheme": scope.get("scheme", "http")}
        span = self._tracer.start_span(method, self._parent(correlation), self._trace.SpanKind.SERVER, attributes)
        with self._current(span):
            yield _RequestSpan(span, correlation)

    def question(self, dependency: str, operation: str) -> AbstractContextManager[object]:
        """See ``Spans``."""
        if not self._trace.get_current_span().is_recording():
            return nullcontext()
        attributes = {"db.system.name": _SYSTEMS.get(dependency, dependency), "db.operation.name": operation}
        return self._leaf(f"{dependency} {operation}", attributes)

    def commit(self, store: str, requests: Sequence[IngestRequest]) -> AbstractContextManager[object]:
        """See ``Spans``."""
        if all(map(_is_own, requests)):
            return nullcontext()
        attributes: dict[str, str | int] = {
            "tidegauge.store": store,
            "tidegauge.requests": len(requests),
            "tidegauge.items": sum(len(request.batch) for request in requests),
        }
        return self._current(self._tracer.start_span("commit", attributes=attributes))

    def close(self) -> None:
        """Send what is left, for two seconds at the most: the receiver may be away, or be this very process, which ends."""
        last = threading.Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        last.start()
        last.join(_LAST_SECONDS)

    @contextmanager
    def _leaf(self, name: str, attributes: Mapping[str, str]) -> Iterator[None]:
        """Not made the current one: what stands in an asynchronous generator may be ended in another context."""
        span = self._tracer.start_span(name, kind=self._trace.SpanKind.CLIENT, attributes=attributes)
        try:
            yield
        except BaseException as error:
            _failed(span, error)
            raise
        finally:
            span.end()

    @contextmanager
    def _current(self, span: Span) -> Iterator[None]:
        with self._trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                yield
            except BaseException as error:
                _failed(span, error)
                raise

    def _parent(self, correlation: Correlation) -> Any:
        if not correlation.parent_span_id:
            # None would be the present one, and this is a request's beginning.
            return self._trace.set_span_in_context(self._trace.INVALID_SPAN)
        parent = self._trace.SpanContext(
            trace_id=int(correlation.trace_id, 16),
            span_id=int(correlation.parent_span_id, 16),
            is_remote=True,
            trace_flags=self._trace.TraceFlags(1 if correlation.sampled else 0),
        )
        return self._trace.set_span_in_context(self._trace.NonRecordingSpan(parent))


class _RequestSpan:
    def __init__(self, span: Span, correlation: Correlation) -> None:
        context = span.get_span_context()
        self._span = span
        self.correlation = replace(
            correlation,
            trace_id=f"{context.trace_id:032x}",
            span_id=f"{context.span_id:016x}",
            sampled=context.trace_flags.sampled,
        )

    def answered(self, route: str, status: int) -> None:
        """See ``RequestSpan``."""
        self._span.update_name(f"{self._span.name} {route}" if hasattr(self._span, "name") else route)
        self._span.set_attributes({"http.route": route, "http.response.status_code": status})
        if status >= 500:
            _failed(self._span, None)


def start_tracing(settings: TelemetrySettings, process: str) -> Tracing | None:
    """Make spans from now on, where an endpoint is set.

    Raises:
        ConfigurationError: OpenTelemetry's SDK is not installed.

    """
    if settings.traces_endpoint is None:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
    except ImportError as error:
        raise ConfigurationError(
            "TIDEGAUGE_TELEMETRY_TRACES_ENDPOINT is set, but OpenTelemetry's SDK is not installed", hint="pip install 'tidegauge[tracing]'"
        ) from error
    resource = Resource.create(
        {"service.name": settings.service_name, "service.version": __version__, "tidegauge.process": process, _OURS[0]: _OURS[1]}
    )
    provider = TracerProvider(
        resource=resource, sampler=ParentBased(TraceIdRatioBased(settings.traces_sample_ratio)), shutdown_on_exit=False
    )
    endpoint = settings.traces_endpoint.rstrip("/")
    exporter = OTLPSpanExporter(endpoint if endpoint.endswith(_PATH) else endpoint + _PATH)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Tracing(provider)


def _failed(span: Span, error: BaseException | None) -> None:
    from opentelemetry.trace import StatusCode

    if error is not None:
        span.set_attribute("error.type", type(error).__name__)
    span.set_status(StatusCode.ERROR)


def _is_own(request: IngestRequest) -> bool:
    return isinstance(request.batch, SpanBatch) and all(map(_is_of_tidegauge, request.batch.resources))


def _is_of_tidegauge(resource: ResourceEntry) -> bool:
    found: dict[str, object] = orjson.loads(resource.attributes)
    return found.get(_OURS[0]) == _OURS[1]
