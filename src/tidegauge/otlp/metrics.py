"""Metrics (opentelemetry/proto/metrics/v1/metrics.proto) to a MetricBatch: which series a point belongs to. points.py does the points.

The compiled reader does it all where it was built, but for what is out of the ordinary.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from tidegauge import compiled
from tidegauge.model.batch import MetadataEntry, MetricBatch
from tidegauge.otlp.budget import SERIES_BYTES, Budget
from tidegauge.otlp.items import Part, Repaired
from tidegauge.otlp.limits import METRIC_NAME_LENGTH, UNIT_LENGTH
from tidegauge.otlp.origins import Origins
from tidegauge.otlp.points import PointDecoder
from tidegauge.otlp.rejections import Rejections
from tidegauge.otlp.series import MetricSeries, SeriesCache, SeriesTable
from tidegauge.otlp.values import REPLACEMENT, JsonColumns

_compiled = compiled.module("tidegauge.otlp._metrics")
_TEMPORALITY = {0: "unspecified", 1: "delta", 2: "cumulative"}


def decode_metrics(parts: Iterable[Part], origins: Origins, rejections: Rejections, budget: Budget, cache: SeriesCache) -> MetricBatch:
    """All points of all metrics of a request, which may come in parts."""
    return MetricDecoder(origins, rejections, budget, cache).decode(parts)


class MetricDecoder:
    """Gathers the metrics of one request."""

    def __init__(self, origins: Origins, rejections: Rejections, budget: Budget, cache: SeriesCache) -> None:
        self._origins = origins
        self._batch = MetricBatch(origins.resources, origins.scopes)
        self._rejections = rejections
        self._budget = budget
        self._table = SeriesTable(cache, self._batch)
        self._points = PointDecoder(self._batch, rejections, budget)
        self._metadata: dict[tuple[int, str, str, str], MetadataEntry] = {}

    def decode(self, parts: Iterable[Part]) -> MetricBatch:
        """All points of all metrics."""
        reader = self._reader()
        for part in parts:
            if part.body is None or reader is None or not reader.read(part, part.body):
                self._part(_message(part), part.lean)
        self._points.hand_over()
        self._batch.metadata = list(self._metadata.values())
        self._batch.rejections = self._rejections.listed()
        return self._batch

    def _reader(self) -> Any:
        """What is compiled of this decoder; None if it was not built."""
        if _compiled is None:
            return None
        return _compiled.MetricReader(
            self, self._origins, self._batch, self._rejections, self._budget, self._table, self._points, self._metadata
        )

    def _part(self, message: ExportMetricsServiceRequest, lean: Any) -> None:
        for resource_metrics, lean_resource in zip(message.resource_metrics, lean.items, strict=True):
            resource = self._origins.resource(lean_resource, partial(getattr, resource_metrics, "resource"))
            self._rejections.service = self._origins.resources[resource].service_name
            for scope_metrics, lean_scope in zip(resource_metrics.scope_metrics, lean_resource.items, strict=True):
                scope = self._origins.scope(lean_scope, partial(getattr, scope_metrics, "scope"))
                for metric, lean_metric in zip(scope_metrics.metrics, lean_scope.items, strict=True):
                    self.metric(metric, lean_metric, resource, scope)

    def metric(self, metric: Metric, lean: Any, resource: int, scope: int) -> None:
        """Add the points of a metric. Its twin is looked at only where they are stored."""
        kind = metric.WhichOneof("data")
        if kind is None:
            self._without_data(metric)
            return
        data = getattr(metric, kind)
        points = data.data_points
        temporality = None if kind in ("gauge", "summary") else _TEMPORALITY.get(data.aggregation_temporality, "")
        if not points:
            return
        fault = _fault(metric, temporality)
        if fault:
            self._rejections.add(*fault, metric, len(points))
            return
        is_monotonic = data.is_monotonic if kind == "sum" else None
        series = MetricSeries(self._table, resource, scope, (metric.name, kind, metric.unit, temporality, is_monotonic))
        before = len(self._batch.series)
        self._points.add(kind, points, getattr(lean, kind).items, series)
        self._budget.spend((len(self._batch.series) - before) * SERIES_BYTES + 2 * self._table.take_written())
        if metric.description or metric.metadata:
            self.describe(metric, kind, resource)

    def describe(self, metric: Metric, kind: str, resource: int) -> None:
        """Keep what a metric is described as, of each the first."""
        key = (resource, metric.name, kind, metric.unit)
        if key not in self._metadata:
            description = metric.description.replace("\0", REPLACEMENT)
            metadata = JsonColumns().attributes(metric.metadata) if metric.metadata else None
            self._budget.spend(SERIES_BYTES + len(description) + len(metadata or b""))
            self._metadata[key] = MetadataEntry(resource, metric.name, kind, metric.unit, description, metadata)

    def _without_data(self, metric: Metric) -> None:
        """An empty metric is nothing. One of a type that this version does not know is data lost, of which the sender must hear."""
        if len(UnknownFieldSet(metric)):
            self._rejections.add("unsupported_metric_type", f"{_shown(metric.name)}: a type of metric that is not known here", metric)


def _message(part: Part) -> ExportMetricsServiceRequest:
    """All of a part's message is read, so it is checked first."""
    try:
        found: ExportMetricsServiceRequest = part.message()
    except Repaired:
        found = part.message()
    return found


def _fault(metric: Metric, temporality: str | None) -> tuple[str, str] | None:
    """Reason and message for a metric none of whose points can be stored. A name is what a metric is found by, so it is kept exactly."""
    name, unit = metric.name, metric.unit
    if not name or len(name) > METRIC_NAME_LENGTH or "\0" in name:
        return "invalid_metric_name", f"{_shown(name)}: a metric's name must have 1 to {METRIC_NAME_LENGTH} characters and no NUL"
    if len(unit) > UNIT_LENGTH or "\0" in unit:
        return "invalid_unit", f"{_shown(name)}: a unit must have at most {UNIT_LENGTH} characters and no NUL"
    if temporality == "":
        return "invalid_temporality", f"{_shown(name)}: aggregation_temporality must be 1 (delta) or 2 (cumulative)"
    return None


def _shown(name: str) -> str:
    return repr(name[:100])
