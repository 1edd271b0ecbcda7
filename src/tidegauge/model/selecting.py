"""Parts of a batch: the same batch with some of its rows, and only the dictionary entries that these use."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import fields, replace
from typing import Any, TypeAlias, TypeVar

from tidegauge.model.batch import Batch, LogBatch, MetricBatch, Rejection, SpanBatch

Row: TypeAlias = tuple[str, int]
"""(columns, index): "" for a batch that has its columns itself, else the name of the attribute that holds them."""

_POINTS = ("numbers", "histograms", "summaries", "exemplars")
_NO_COLUMNS = frozenset({"resources", "scopes", "rejections"})
Entry = TypeVar("Entry")


def rows(batch: Batch) -> list[Row]:
    """Every row of a batch."""
    if isinstance(batch, MetricBatch):
        return [(name, index) for name in _POINTS for index in range(len(getattr(batch, name)))]
    return [("", index) for index in range(len(batch))]


def select(batch: Batch, wanted: Collection[Row], rejections: Sequence[Rejection] = ()) -> Batch:
    """A batch of these rows alone, in their order, with ``rejections`` added to those it has."""
    kept: dict[str, list[int]] = {}
    for columns, index in wanted:
        kept.setdefault(columns, []).append(index)
    gathered = [*batch.rejections, *rejections]
    if isinstance(batch, MetricBatch):
        return _metrics(batch, kept, gathered)
    return _pruned(batch, kept.get("", []), gathered)


def _pruned(batch: SpanBatch | LogBatch, keep: list[int], rejections: list[Rejection]) -> SpanBatch | LogBatch:
    part = _take(batch, keep, _NO_COLUMNS)
    resources, part.resource = _used(batch.resources, part.resource)
    scopes, part.scope = _used(batch.scopes, part.scope)
    part.resources, part.scopes, part.rejections = resources, scopes, rejections
    return part  # type: ignore[no-any-return]


def _metrics(batch: MetricBatch, kept: dict[str, list[int]], rejections: list[Rejection]) -> MetricBatch:
    points = {name: _take(getattr(batch, name), kept.get(name, [])) for name in _POINTS}
    used = sorted({index for columns in points.values() for index in columns.series})
    place = {old: new for new, old in enumerate(used)}
    for columns in points.values():
        columns.series = [place[index] for index in columns.series]
    series = [batch.series[index] for index in used]
    resources, resource = _used(batch.resources, [entry.resource for entry in series])
    scopes, scope = _used(batch.scopes, [entry.scope for entry in series])
    series = [replace(entry, resource=r, scope=s) for entry, r, s in zip(series, resource, scope, strict=True)]
    names = {(resources[entry.resource].identity, entry.metric_name) for entry in series}
    by_identity = {entry.identity: index for index, entry in enumerate(resources)}
    metadata = [
        replace(entry, resource=by_identity[batch.resources[entry.resource].identity])
        for entry in batch.metadata
        if (batch.resources[entry.resource].identity, entry.metric_name) in names
    ]
    return MetricBatch(resources=resources, scopes=scopes, series=series, metadata=metadata, rejections=rejections, **points)


def _take(columns: Any, keep: list[int], skip: frozenset[str] = frozenset()) -> Any:
    names = [column.name for column in fields(columns) if column.name not in skip]
    return type(columns)(**{name: [getattr(columns, name)[index] for index in keep] for name in names})


def _used(entries: list[Entry], references: list[int]) -> tuple[list[Entry], list[int]]:
    """The entries that are referred to, and the references to them."""
    used = sorted(set(references))
    place = {old: new for new, old in enumerate(used)}
    return [entries[index] for index in used], [place[index] for index in references]
