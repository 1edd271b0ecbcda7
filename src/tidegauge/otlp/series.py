"""Series of a request, each interned once in its batch."""

from __future__ import annotations

import struct
from collections.abc import Collection

from opentelemetry.proto.common.v1.common_pb2 import KeyValue, KeyValueList

from tidegauge.model.batch import MetricBatch, SeriesEntry
from tidegauge.model.identity import series_identity
from tidegauge.otlp.cache import BoundedCache
from tidegauge.otlp.values import JsonColumns, model_pairs

MetricKey = tuple[str, str, str, str | None, bool | None]
"""metric_name, type, unit, temporality, is_monotonic"""
ContextKey = tuple[bytes, bytes, int, int, MetricKey, bytes | None]
"""identities and indexes of resource and scope, the metric, its bounds as packed floats (equal floats may differ: 0.0 and -0.0)"""
SeriesCache = BoundedCache[tuple[ContextKey, bytes], tuple[bytes, SeriesEntry]]
"""Entries and their identities by context and labels (JSON, or a KeyValueList where that is not faithful)."""


class SeriesTable:
    """The series of one batch."""

    def __init__(self, cache: SeriesCache, batch: MetricBatch) -> None:
        self._cache = cache
        self._batch = batch
        self._indexes: dict[bytes, int] = {}
        self._contexts: dict[ContextKey, LabelTable] = {}

    def metric(self, resource: int, scope: int, metric: MetricKey) -> MetricSeries:
        """The series of one metric of a resource and scope (indexes into the batch's lists)."""
        return MetricSeries(self, resource, scope, metric)

    def labels(self, resource: int, scope: int, metric: MetricKey, bounds: bytes | None) -> LabelTable:
        """The series of one metric with these bounds (packed native floats)."""
        batch = self._batch
        key = (batch.resources[resource].identity.bytes, batch.scopes[scope].identity.bytes, resource, scope, metric, bounds)
        table = self._contexts.get(key)
        if table is None:
            table = self._contexts[key] = LabelTable(self, key)
        return table

    def index(self, context: ContextKey, key: bytes, pairs: Collection[KeyValue], columns: JsonColumns) -> int:
        """Index of the series with these labels; ``key`` is their JSON."""
        lossy = columns.lossy
        labels = key
        if lossy:
            columns.lossy = False
            key = KeyValueList(values=pairs).SerializeToString()
        found = self._cache.get((context, key))
        if found is None:
            entry = self._entry(context, labels, pairs, key if lossy else None)
            found = (entry.identity.bytes, entry)
            self._cache.put((context, key), found, 1000 + 4 * len(key) + len(context[5] or b""))
        index = self._indexes.setdefault(found[0], len(self._batch.series))
        if index == len(self._batch.series):
            self._batch.series.append(found[1])
        return index

    def _entry(self, context: ContextKey, labels: bytes, pairs: Collection[KeyValue], original: bytes | None) -> SeriesEntry:
        _, _, resource, scope, (name, type_, unit, temporality, is_monotonic), packed = context
        bounds = None if packed is None else struct.unpack(f"{len(packed) // 8}d", packed)
        identity = series_identity(
            self._batch.resources[resource].identity,
            self._batch.scopes[scope].identity,
            name,
            type_,
            unit,
            temporality,
            is_monotonic,
            bounds,
            model_pairs(pairs),
        )
        return SeriesEntry(identity, resource, scope, name, type_, unit, temporality, is_monotonic, bounds, labels, original)


class LabelTable:
    """The series of one context, by labels."""

    __slots__ = ("_columns", "_context", "_known", "_table")

    def __init__(self, table: SeriesTable, context: ContextKey) -> None:
        self._table = table
        self._context = context
        self._columns = JsonColumns()
        self._known: dict[bytes, int] = {}

    def index(self, pairs: Collection[KeyValue]) -> int:
        """Index of the series with these labels."""
        columns = self._columns
        key = columns.attributes(pairs) if pairs else b"{}"
        if columns.lossy:
            return self._table.index(self._context, key, pairs, columns)
        index = self._known.get(key)
        if index is None:
            index = self._known[key] = self._table.index(self._context, key, pairs, columns)
        return index


class MetricSeries:
    """The series of one metric, by labels and bounds."""

    __slots__ = ("_last_bounds", "_last_labels", "_of", "cumulative", "metric_name")

    def __init__(self, table: SeriesTable, resource: int, scope: int, metric: MetricKey) -> None:
        self.metric_name = metric[0]
        self.cumulative = metric[3] == "cumulative"
        self._of = (table, resource, scope, metric)
        self._last_bounds: bytes | None = b"none yet"
        self._last_labels: LabelTable

    def with_bounds(self, bounds: bytes | None) -> LabelTable:
        """Series by labels, of points with these bounds (packed native floats; None: the type has none). They seldom change."""
        if bounds != self._last_bounds:
            table, resource, scope, metric = self._of
            self._last_labels = table.labels(resource, scope, metric, bounds)
            self._last_bounds = bounds
        return self._last_labels
