"""The instruments of one service (semantic conventions, "HTTP metrics") and what they have counted.

Instruments cannot be told a time; what their reader collects is given the simulated times before it is exported.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider, TraceBasedExemplarFilter
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, Metric, MetricsData, ResourceMetrics
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

from tidegauge.simulate.shop import SCHEMA_URL, Service

# https://opentelemetry.io/docs/specs/semconv/http/http-metrics/
DURATION_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)


class Meters:
    """One life of a process: its instruments, which count from its start."""

    def __init__(self, service: Service, resource: Resource, started_ns: int) -> None:
        self.started_ns = started_ns
        self._reader = InMemoryMetricReader()
        provider = MeterProvider(
            [self._reader],
            resource=resource,
            exemplar_filter=TraceBasedExemplarFilter(),
            shutdown_on_exit=False,
            views=[View(instrument_name="shop.order.value", aggregation=ExponentialBucketHistogramAggregation())],
        )
        meter = provider.get_meter(f"shop.{service.name}", service.version, SCHEMA_URL)
        self.server_duration = meter.create_histogram(
            "http.server.request.duration", "s", "Duration of HTTP server requests.", explicit_bucket_boundaries_advisory=DURATION_BOUNDS
        )
        self.client_duration = meter.create_histogram(
            "http.client.request.duration", "s", "Duration of HTTP client requests.", explicit_bucket_boundaries_advisory=DURATION_BOUNDS
        )
        self.active = meter.create_up_down_counter("http.server.active_requests", "{request}", "Number of active HTTP server requests.")
        self.memory = meter.create_gauge("process.memory.usage", "By", "The amount of physical memory in use.")
        self.orders = meter.create_counter("shop.orders", "{order}", "Orders by payment method and outcome.")
        self.order_value = meter.create_histogram("shop.order.value", "EUR", "What orders are worth.")

    def collect(self, now_ns: int, exemplar_times: dict[int, int]) -> list[ResourceMetrics]:
        """All metrics as they stand at ``now_ns``; an exemplar's time is that of its span (id → time)."""
        data: MetricsData | None = self._reader.get_metrics_data()
        if data is None:
            return []
        retimed = partial(_retimed, start_ns=self.started_ns, now_ns=now_ns, exemplar_times=exemplar_times)
        return [
            replace(
                of_resource,
                scope_metrics=[
                    replace(of_scope, metrics=[retimed(metric) for metric in of_scope.metrics]) for of_scope in of_resource.scope_metrics
                ],
            )
            for of_resource in data.resource_metrics
        ]


def _retimed(metric: Metric, start_ns: int, now_ns: int, exemplar_times: dict[int, int]) -> Metric:
    def point(of: Any) -> Any:
        exemplars = [
            replace(exemplar, time_unix_nano=exemplar_times[exemplar.span_id])
            for exemplar in of.exemplars
            if exemplar.span_id in exemplar_times
        ]
        # A gauge has no start.
        start = None if of.start_time_unix_nano is None else start_ns
        return replace(of, start_time_unix_nano=start, time_unix_nano=now_ns, exemplars=exemplars)

    points = [point(of) for of in metric.data.data_points]
    data: Any = metric.data
    return replace(metric, data=replace(data, data_points=points))
