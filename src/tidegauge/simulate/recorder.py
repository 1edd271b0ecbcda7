"""Plans become telemetry: spans and logs through the SDK's tracers and loggers, measurements through its instruments.

Every time is chosen by the caller, so that history is made by the same code as the present.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk.metrics.export import ResourceMetrics
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.sdk.version import __version__ as sdk_version
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from tidegauge.simulate.meters import Meters
from tidegauge.simulate.plan import Attributes, Kind, Request, Step
from tidegauge.simulate.shop import SCHEMA_URL, Service

Moment: TypeAlias = "tuple[int, Callable[[], None]]"
"""When, and the measurement to take then."""
SERVER_LABELS = ("http.request.method", "url.scheme", "http.route", "http.response.status_code", "error.type", "network.protocol.version")
CLIENT_LABELS = ("http.request.method", "server.address", "server.port", "http.response.status_code", "error.type")


class PlannedIds(IdGenerator):
    """Hands the SDK the ids that the plan chose."""

    def __init__(self) -> None:
        self.trace_id = 0
        self.span_id = 0

    def generate_trace_id(self) -> int:
        """The trace id set last."""
        return self.trace_id

    def generate_span_id(self) -> int:
        """The span id set last."""
        return self.span_id


class _Spans(SpanProcessor):
    def __init__(self) -> None:
        self.ended: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.ended.append(span)


class _Logs(LogRecordProcessor):
    def __init__(self) -> None:
        self.emitted: list[ReadableLogRecord] = []

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        self.emitted.append(
            ReadableLogRecord(
                log_record=log_record.log_record,
                resource=log_record.resource or Resource.get_empty(),
                instrumentation_scope=log_record.instrumentation_scope,
                limits=log_record.limits,
            )
        )

    def shutdown(self) -> None:
        """Nothing to end."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Nothing waits here."""
        return True


class Recorder:
    """One service's SDK: what is recorded waits in ``take_spans``, ``take_logs`` and ``collect`` for its exporters."""

    def __init__(self, service: Service, started_ns: int) -> None:
        self.service = service
        sdk = {"telemetry.sdk.name": "opentelemetry", "telemetry.sdk.language": "python", "telemetry.sdk.version": sdk_version}
        # Not Resource.create(): it would add what OTEL_RESOURCE_ATTRIBUTES says, and the same seed would give other data.
        self._resource = Resource({**service.resource(), **sdk}, SCHEMA_URL)
        self._ids = PlannedIds()
        self._spans = _Spans()
        self._logs = _Logs()
        tracers = TracerProvider(ALWAYS_ON, self._resource, shutdown_on_exit=False, id_generator=self._ids)
        tracers.add_span_processor(self._spans)
        self._tracer = tracers.get_tracer(f"shop.{service.name}", service.version, schema_url=SCHEMA_URL)
        loggers = LoggerProvider(self._resource, shutdown_on_exit=False)
        loggers.add_log_record_processor(self._logs)
        self._logger = loggers.get_logger(f"shop.{service.name}", service.version, SCHEMA_URL)
        self._exemplar_times: dict[int, int] = {}
        self._meters = Meters(service, self._resource, started_ns)

    def restart(self, now_ns: int) -> None:
        """The process starts again: cumulative metrics begin at zero with a new start time."""
        self._meters = Meters(self.service, self._resource, now_ns)

    def span(self, step: Step, request: Request, parent: SpanContext | None, base_ns: int) -> SpanContext:
        """Record one step's span and logs; returns its context."""
        self._ids.trace_id, self._ids.span_id = request.trace_id, step.span_id
        links = []
        if parent is None and request.linked is not None:
            links.append(Link(context(*request.linked, remote=True), {"messaging.operation.type": "process"}))
        span = self._tracer.start_span(
            step.name,
            context=set_span_in_context(NonRecordingSpan(parent), Context()) if parent else Context(),
            kind=_KINDS[step.kind],
            attributes=step.attributes,
            links=links,
            start_time=base_ns + step.start_ns,
        )
        for event in step.events:
            span.add_event(event.name, event.attributes, base_ns + step.at(event.position))
        if step.error is not None:
            span.set_status(StatusCode.ERROR, step.error or None)
        self._log(step, span, base_ns)
        span.end(base_ns + step.end_ns)
        return span.get_span_context()

    def _log(self, step: Step, span: Span, base_ns: int) -> None:
        within = set_span_in_context(span, Context())
        for log in step.logs:
            at_ns = base_ns + step.at(log.position)
            self._logger.emit(
                LogRecord(
                    timestamp=at_ns,
                    observed_timestamp=at_ns,
                    context=within,
                    severity_text=log.severity.name,
                    severity_number=SeverityNumber(log.severity.value),
                    body=log.body,
                    attributes=log.attributes,
                )
            )

    def moments(self, step: Step, request: Request, base_ns: int) -> list[Moment]:
        """The measurements of a step, each with its time: they have to be taken in that order."""
        # Bound to this life of the process: what is under way when it restarts is lost with it.
        meters, end_ns = self._meters, base_ns + step.end_ns
        if step.kind is Kind.SERVER:
            active = _labels(step.attributes, ("http.request.method", "url.scheme"))
            return [
                (base_ns + step.start_ns, lambda: meters.active.add(1, active)),
                (end_ns, lambda: self._finish(meters, step, request, end_ns)),
                (end_ns, lambda: meters.active.add(-1, active)),
            ]
        if step.kind is Kind.CLIENT and "http.request.method" in step.attributes:
            return [(end_ns, lambda: self._finish_call(meters, step, request, end_ns))]
        return []

    def _finish(self, meters: Meters, step: Step, request: Request, end_ns: int) -> None:
        labels = _labels(step.attributes, SERVER_LABELS)
        meters.server_duration.record(step.duration_ns / 1e9, labels, self._within(step, request, end_ns))
        for measurement in step.measurements:
            # No context: exemplars here would be drawn at random by the SDK, and the same seed would give other data.
            if measurement.instrument == "shop.orders":
                meters.orders.add(measurement.value, measurement.attributes, Context())
            else:
                meters.order_value.record(measurement.value, measurement.attributes, Context())

    def _finish_call(self, meters: Meters, step: Step, request: Request, end_ns: int) -> None:
        labels = _labels(step.attributes, CLIENT_LABELS)
        meters.client_duration.record(step.duration_ns / 1e9, labels, self._within(step, request, end_ns))

    def _within(self, step: Step, request: Request, end_ns: int) -> Context:
        self._exemplar_times[step.span_id] = end_ns
        return set_span_in_context(NonRecordingSpan(context(request.trace_id, step.span_id)), Context())

    def memory(self, in_use_bytes: int) -> None:
        """Report the memory in use."""
        self._meters.memory.set(in_use_bytes)

    def collect(self, now_ns: int) -> list[ResourceMetrics]:
        """All metrics as they stand at ``now_ns``."""
        times, self._exemplar_times = self._exemplar_times, {}
        return self._meters.collect(now_ns, times)

    def take_spans(self) -> list[ReadableSpan]:
        """Spans ended since the last call."""
        taken, self._spans.ended = self._spans.ended, []
        return taken

    def take_logs(self) -> list[ReadableLogRecord]:
        """Log records emitted since the last call."""
        taken, self._logs.emitted = self._logs.emitted, []
        return taken


def record(request: Request, base_ns: int, recorders: dict[Service, Recorder]) -> None:
    """Record a request's spans and logs, each with the service whose step it is."""

    def below(step: Step, parent: SpanContext | None) -> None:
        made = recorders[step.service].span(step, request, parent, base_ns)
        for child in step.children:
            below(child, context(made.trace_id, made.span_id, remote=child.service is not step.service))

    below(request.root, None)


def context(trace_id: int, span_id: int, remote: bool = False) -> SpanContext:
    """A sampled span's context."""
    return SpanContext(trace_id, span_id, remote, TraceFlags(TraceFlags.SAMPLED))


_KINDS = {
    Kind.INTERNAL: SpanKind.INTERNAL,
    Kind.SERVER: SpanKind.SERVER,
    Kind.CLIENT: SpanKind.CLIENT,
    Kind.PRODUCER: SpanKind.PRODUCER,
    Kind.CONSUMER: SpanKind.CONSUMER,
}


def _labels(attributes: Attributes, names: tuple[str, ...]) -> Attributes:
    return {name: attributes[name] for name in names if name in attributes}
