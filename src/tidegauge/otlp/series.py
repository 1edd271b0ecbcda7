"""Series of a request, each interned once in its batch."""

from __future__ import annotations

import struct
from collections.abc import Collection, Sequence
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import KeyValue, KeyValueList

from tidegauge.model.batch import MetricBatch, SeriesEntry
from tidegauge.model.identity import series_identity
from tidegauge.otlp.values import JsonColumns, model_pairs

MetricKey = tuple[str, str, str, str | None, bool | None]
"""metric_name, type, unit, temporality, is_monotonic"""
ContextKey = tuple[bytes, bytes, int, int, MetricKey, bytes | None]
"""identities and indexes of resource and scope, the metric, its bounds as packed floats (equal floats may differ: 0.0 and -0.0)"""
Known = tuple[bytes, SeriesEntry]
"""An entry and its identity as bytes."""
Labels = bytes | tuple[bytes, ...]
"""Labels as JSON, as a KeyValueList where JSON is not faithful, or as the KeyValue messages that were sent, in their order: as messages, or
as the fields of a point that hold them, tags and all. Nothing is at once two of them, but for a KeyValueList, which may be the fields."""


class SeriesCache:
    """Series seen, by context and then by labels; bounded as BoundedCache is."""

    __slots__ = ("_budget", "_contexts", "_used")

    def __init__(self, budget_bytes: int) -> None:
        self._budget = budget_bytes
        self._used = 0
        self._contexts: dict[ContextKey, dict[Labels, Known]] = {}

    def known(self, context: ContextKey) -> dict[Labels, Known]:
        """The series of one context; whoever adds one calls :meth:`spend`."""
        found = self._contexts.get(context)
        if found is None:
            self.spend(1000)
            found = self._contexts.setdefault(context, {})
        return found

    def spend(self, size: int) -> None:
        """Account for ``size`` bytes; forgets everything when the budget is used up (a batch under way keeps what it holds)."""
        self._used += size
        if self._used > self._budget:
            self._contexts.clear()
            self._used = 0


class SeriesTable:
    """The series of one batch."""

    def __init__(self, cache: SeriesCache, batch: MetricBatch) -> None:
        self.cache = cache
        self.columns = JsonColumns()
        self._batch = batch
        self.indexes: dict[bytes, int] = {}
        """by identity"""

    def labels(self, resource: int, scope: int, metric: MetricKey, bounds: bytes | None) -> LabelTable:
        """The series of one metric of a resource and scope (indexes into the batch's lists) with these bounds (packed native floats)."""
        batch = self._batch
        context = (batch.resources[resource].identity.bytes, batch.scopes[scope].identity.bytes, resource, scope, metric, bounds)
        return LabelTable(self, context, self.cache.known(context))

    def index(self, known: Known) -> int:
        """Index of a series; of series with one identity the first stands for all."""
        series = self._batch.series
        index = self.indexes.setdefault(known[0], len(series))
        if index == len(series):
            series.append(known[1])
        return index

    def take_written(self) -> int:
        """Bytes of all JSON made since it was asked for last."""
        written, self.columns.written = self.columns.written, 0
        return written

    def spend(self, size: int) -> None:
        """Account for what is kept of a series."""
        self.cache.spend(size)

    def entry(self, context: ContextKey, labels: bytes, pairs: Collection[KeyValue], original: bytes | None) -> Known:
        """A series met for the first time."""
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
        self.cache.spend(1000 + 5 * len(labels) + 3 * len(original or b""))
        return identity.bytes, SeriesEntry(
            identity, resource, scope, name, type_, unit, temporality, is_monotonic, bounds, labels, original
        )


class LabelTable:
    """The series of one context, by labels."""

    __slots__ = ("_context", "_find", "_known", "_table")

    def __init__(self, table: SeriesTable, context: ContextKey, known: dict[Labels, Known]) -> None:
        self._table = table
        self._context = context
        self._known = known
        self._find = known.get

    def index(self, raw: tuple[bytes, ...], points: Sequence[Any], place: int) -> int:
        """Index of the series with these labels, as sent; the message at a place among points has them as well."""
        known = self._find(raw)
        if known is None:
            known = self._known[raw] = self._canonical(points[place].attributes)
            self._table.spend(200 + sum(map(len, raw)) + 40 * len(raw))
        return self._table.index(known)

    def add(self, fields: bytes, pairs: Collection[KeyValue]) -> Known:
        """A series whose labels were not yet met as they stand in a point's fields."""
        known = self._known[fields] = self._canonical(pairs)
        self._table.spend(200 + len(fields))
        return known

    def _canonical(self, pairs: Collection[KeyValue]) -> Known:
        """The series with these labels, whose order has no meaning."""
        columns = self._table.columns
        key: Labels
        key = labels = columns.attributes(pairs) if pairs else b"{}"
        original = None
        if columns.lossy:
            columns.lossy = False
            # The JSON of two different label sets may be the same: the message tells them apart.
            key = original = KeyValueList(values=pairs).SerializeToString()
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._table.entry(self._context, labels, pairs, original)
        return known


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
