"""Dictionary ids: known ones from bounded caches, new ones from a short transaction of their own.

The transaction comes before the one that holds the rows: in one transaction two writers would wait for each other's dictionary rows.
What the cardinality guards do not let in is found out here, and taken out of its request.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from psycopg import AsyncConnection

from tidegauge.config import CardinalitySettings
from tidegauge.model.batch import MetadataEntry, MetricBatch, ResourceEntry, ScopeEntry, SeriesEntry, SpanBatch
from tidegauge.storage import sqlfiles
from tidegauge.storage.interface import IngestRequest
from tidegauge.storage.postgres.database import Database
from tidegauge.storage.postgres.group import Group, Resource
from tidegauge.storage.postgres.guards import Guard, too_many_resources, too_many_series, without
from tidegauge.storage.postgres.idcache import MINUTE_NS, IdCache, Key
from tidegauge.storage.postgres.span_names import SpanNames

Metric: TypeAlias = tuple[int, str]
"""(application_id, metric_name)"""
Application: TypeAlias = tuple[int, str, str, str]
"""(tenant_id, namespace, name, environment)"""
# Rows are marked as seen every few seconds and some at a time, so that no request waits for long.
_TOUCH_EVERY_NS = 10_000_000_000
_TOUCHES = 2000


@dataclass(frozen=True, slots=True)
class Interned:
    """The ids of one request's dictionary entries, in the order of its batch."""

    resources: Sequence[Resource]
    scopes: Sequence[int]
    series: Sequence[int]
    epoch: int | None
    """The dictionaries' epoch that the ids are of; None where there are none."""
    rollup_names: Sequence[str] | None = None
    """The spans' names as rollups know them, where one differs from the span's own."""


class StaleIds(Exception):
    """Dictionary rows may be deleted that cached ids refer to, by a collection or a reset of the schema.

    ``epoch`` is the one of now; None where a row was deleted at this moment.
    """

    def __init__(self, epoch: int | None) -> None:
        super().__init__()
        self.epoch = epoch


class Dictionaries:
    """Turns the dictionary entries of requests into ids.

    Cached ids are of an epoch (``tidegauge.dictionary_epoch``), which a transaction that uses them compares: several may be under way
    while the ids of another epoch are fetched.
    """

    def __init__(
        self, database: Database, now_ns: Callable[[], int], limits: CardinalitySettings | None = None, *, cache_limit: int = 200_000
    ) -> None:
        limits = limits or CardinalitySettings()
        self._database = database
        self._now_ns = now_ns
        self._sql = sqlfiles.queries("intern")
        self._resources: IdCache[Resource] = IdCache(cache_limit)
        self._scopes: IdCache[int] = IdCache(cache_limit)
        self._series: IdCache[int] = IdCache(cache_limit)
        self._names = SpanNames(limits.max_span_names_per_application, cache_limit)
        self._resource_guard: Guard[int] = Guard(limits.max_resources_per_application)
        self._series_guard: Guard[Metric] = Guard(limits.max_series_per_metric)
        self._metadata: dict[tuple[int, int, str, str, str], MetadataEntry] = {}
        self._metadata_limit = cache_limit
        self._due_applications: set[int] = set()
        self._epoch: int | None = None
        self._touched_ns = 0
        self._fetching = asyncio.Lock()

    def forget(self, epoch: int | None) -> None:
        """Empty the caches, unless they are of this epoch: another group may have found out before."""
        if epoch is not None and self._epoch == epoch:
            return
        for cache in (self._resources, self._scopes, self._series, self._names):
            cache.clear()
        self._metadata.clear()
        self._epoch = None

    async def intern(self, requests: Sequence[IngestRequest]) -> list[tuple[IngestRequest, Interned]]:
        """Each request, without what may not be stored, and the ids of every entry of its batch.

        Raises:
            StaleIds: the epoch is not the one of the cached ids: :meth:`forget` them and intern again.
            Unavailable: the database is away.

        """
        now_ns = self._now_ns()
        found = [self._cached(request, now_ns) for request in requests]
        if None in found:
            # One group at a time: guards count exactly, and what the group before has fetched is known.
            async with self._fetching:
                found = [ids or self._cached(request, now_ns) for request, ids in zip(requests, found, strict=True)]
                missing = [request for request, ids in zip(requests, found, strict=True) if ids is None]
                fetched = iter(await self._fetched(missing, now_ns) if missing else ())
        interned = [(request, ids) if ids is not None else next(fetched) for request, ids in zip(requests, found, strict=True)]
        if now_ns - self._touched_ns >= _TOUCH_EVERY_NS:
            self._touched_ns = now_ns
            await self._touch()
        return interned

    def _cached(self, request: IngestRequest, now_ns: int) -> Interned | None:
        """The ids of a request, None where one of them is not known."""
        batch, tenant, minute = request.batch, request.tenant_id, now_ns // MINUTE_NS
        resources = self._resources.ids(tenant, batch.resources, minute)
        scopes = self._scopes.ids(tenant, batch.scopes, minute)
        if resources is None or scopes is None:
            return None
        if isinstance(batch, MetricBatch):
            series = self._series.ids(tenant, batch.series, minute)
            if series is None or self._new_metadata(tenant, batch, resources):
                return None
            return Interned(resources, scopes, series, self._epoch)
        if isinstance(batch, SpanBatch):
            unknown = self._names.unknown(batch, resources, minute)
            if unknown and self._names.to_fetch(unknown, now_ns):
                return None
            names = self._names.rollup_names(batch, resources, unknown) if unknown else None
            return Interned(resources, scopes, (), self._epoch, names)
        return Interned(resources, scopes, (), self._epoch)

    async def _fetched(self, requests: Sequence[IngestRequest], now_ns: int) -> list[tuple[IngestRequest, Interned]]:
        """The ids of requests, from the database where they are not known; what is not there is added, as far as guards let it in."""
        cached_epoch, minute = self._epoch, now_ns // MINUTE_NS
        self._names.trim()
        group = Group(requests, self._resources, self._scopes, self._series)
        async with self._database.writing() as connection:
            row = await (await connection.execute(self._sql["epoch"])).fetchone()
            assert row is not None
            epoch = int(row[0])
            if cached_epoch not in (None, epoch):
                raise StaleIds(epoch)
            await self._resolve_resources(connection, group, now_ns)
            await self._resolve_scopes(connection, group)
            await self._resolve_series(connection, group, now_ns)
            kept = [without(request, group.resources.refused, group.series.refused) for request in requests]
            names = await self._names.fetch(connection, self._unknown_names(kept, group, now_ns))
            metadata = [row for request in kept for row in self._metadata_rows(request, group)]
            if metadata:
                await connection.execute(self._sql["put_metadata"], _columns(metadata, _METADATA_COLUMNS))
        if self._epoch in (None, epoch):
            # Only now: ids of a transaction that was rolled back must not stay in the caches; nor those of an epoch that is over.
            self._epoch = epoch
            self._resources.put(group.resources.fetched, group.resources.due, minute)
            self._scopes.put(group.scopes.fetched, group.scopes.due, minute)
            self._series.put(group.series.fetched, group.series.due, minute)
            self._remember(metadata)
        self._names.keep(names, now_ns, minute)
        return [(request, self._interned(request, group, epoch, minute)) for request in kept]

    def _interned(self, request: IngestRequest, group: Group, epoch: int, minute: int) -> Interned:
        batch, tenant = request.batch, request.tenant_id
        resources = group.resources.of(tenant, batch.resources)
        scopes = group.scopes.of(tenant, batch.scopes)
        if isinstance(batch, MetricBatch):
            return Interned(resources, scopes, group.series.of(tenant, batch.series), epoch)
        names = None
        if isinstance(batch, SpanBatch) and (other := self._names.unknown(batch, resources, minute)):
            names = self._names.rollup_names(batch, resources, other)
        return Interned(resources, scopes, (), epoch, names)

    def _unknown_names(self, requests: Sequence[IngestRequest], group: Group, now_ns: int) -> dict[int, set[str]]:
        found: dict[int, set[str]] = {}
        for request in requests:
            if isinstance(request.batch, SpanBatch):
                resources = group.resources.of(request.tenant_id, request.batch.resources)
                for application, names in self._names.unknown(request.batch, resources, now_ns // MINUTE_NS).items():
                    found.setdefault(application, set()).update(names)
        return self._names.to_fetch(found, now_ns)

    async def _resolve_resources(self, connection: AsyncConnection, group: Group, now_ns: int) -> None:
        part = group.resources
        if not part.missing:
            return
        for tenant, identity, *ids, is_due in await self._found(connection, "resources", part.identities()):
            part.found((tenant, identity.int), (ids[0], ids[1]), is_due)
        new = part.still_missing()
        if not new:
            return
        applications = await self._applications(connection, new)
        wanted = Counter(applications[_application(tenant, entry)] for (tenant, _), entry in new.items())
        uncounted = {"application_id": self._resource_guard.uncounted(wanted, now_ns), "limit": self._resource_guard.limit}
        counts: dict[int, int] = dict(await self._rows(connection, "count_resources", uncounted)) if uncounted["application_id"] else {}
        left = self._resource_guard.grant(wanted, counts, now_ns)
        rows = []
        for key, entry in new.items():
            application_id = applications[_application(key[0], entry)]
            if left[application_id]:
                left[application_id] -= 1
                rows.append(_resource_row(key[0], entry, application_id))
            else:
                part.refused[key] = too_many_resources(entry.service_name, self._resource_guard.limit)
        for tenant, identity, *ids, is_due in await self._added(connection, "resources", rows, _RESOURCE_COLUMNS):
            part.found((tenant, identity.int), (ids[0], ids[1]), is_due)

    async def _applications(self, connection: AsyncConnection, resources: Mapping[Key, ResourceEntry]) -> dict[Application, int]:
        """Ids of the resources' applications, which are added where they are not there."""
        wanted = sorted({_application(tenant, entry) for (tenant, _), entry in resources.items()})
        found = await self._found(connection, "applications", _columns(wanted, _APPLICATION_COLUMNS))
        ids: dict[Application, int] = {(row[0], row[1], row[2], row[3]): row[4] for row in found}
        new = [application for application in wanted if application not in ids]
        found += await self._added(connection, "applications", new, _APPLICATION_COLUMNS)
        self._due_applications.update(row[4] for row in found if row[5])
        return {(row[0], row[1], row[2], row[3]): row[4] for row in found}

    async def _resolve_scopes(self, connection: AsyncConnection, group: Group) -> None:
        part = group.scopes
        if not part.missing:
            return
        found = await self._found(connection, "scopes", part.identities())
        there = {(row[0], row[1].int) for row in found}
        rows = [_scope_row(key[0], entry) for key, entry in part.missing.items() if key not in there]
        for tenant, identity, scope_id, is_due in found + await self._added(connection, "scopes", rows, _SCOPE_COLUMNS):
            part.found((tenant, identity.int), scope_id, is_due)

    async def _resolve_series(self, connection: AsyncConnection, group: Group, now_ns: int) -> None:
        part = group.series
        for key in [key for key in part.missing if group.origins[key][0] in group.resources.refused]:
            del part.missing[key]
        if not part.missing:
            return
        for tenant, identity, series_id, is_due in await self._found(connection, "series", part.identities()):
            part.found((tenant, identity.int), series_id, is_due)
        new = part.still_missing()
        metrics = {key: (group.resources.ids[group.origins[key][0]][1], entry.metric_name) for key, entry in new.items()}
        wanted = Counter(metrics.values())
        left = self._series_guard.grant(wanted, await self._series_counts(connection, wanted, now_ns), now_ns)
        rows = []
        for key, entry in new.items():
            if left[metrics[key]]:
                left[metrics[key]] -= 1
                rows.append(_series_row(key[0], entry, group.resources.ids[group.origins[key][0]], group.scopes.ids[group.origins[key][1]]))
            else:
                part.refused[key] = too_many_series(entry.metric_name, group.origins[key][2], self._series_guard.limit)
        for tenant, identity, series_id, is_due in await self._added(connection, "series", rows, _SERIES_COLUMNS):
            part.found((tenant, identity.int), series_id, is_due)

    async def _series_counts(self, connection: AsyncConnection, wanted: Mapping[Metric, int], now_ns: int) -> dict[Metric, int]:
        metrics = self._series_guard.uncounted(wanted, now_ns)
        if not metrics:
            return {}
        parameters = {"application_id": [each[0] for each in metrics], "metric_name": [each[1] for each in metrics]}
        counted = await self._rows(connection, "count_series", parameters | {"limit": self._series_guard.limit})
        return {(application_id, metric_name): count for application_id, metric_name, count in counted}

    async def _rows(self, connection: AsyncConnection, name: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        return await (await connection.execute(self._sql[name], parameters)).fetchall()

    async def _added(
        self, connection: AsyncConnection, what: str, rows: Sequence[tuple[Any, ...]], names: Sequence[str]
    ) -> list[tuple[Any, ...]]:
        if not rows:
            return []
        columns = _columns(rows, names)
        added = await self._rows(connection, f"add_{what}", columns)
        if len(added) < len(rows):
            # Another writer added some of them at this moment: then all are read.
            added = await self._found(connection, what, columns)
        if len(added) < len(rows):
            raise StaleIds(epoch=None)
        return added

    async def _found(self, connection: AsyncConnection, what: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """The rows that are there. Those marked for collection lose the mark first; one that is gone by then is not there."""
        rows = await self._rows(connection, what, parameters)
        marked = [row[_ID_COLUMNS[what]] for row in rows if row[-1] is None]
        if not marked:
            return rows
        return [row for row in rows if row[-1] is not None] + await self._rows(connection, f"keep_{what}", {"ids": sorted(marked)})

    def _new_metadata(self, tenant_id: int, batch: MetricBatch, resources: Sequence[Resource]) -> list[tuple[Any, ...]]:
        """Rows for put_metadata, with the entry as a last column that the statement does not use."""
        found: dict[tuple[int, int, str, str, str], tuple[Any, ...]] = {}
        for entry in batch.metadata:
            key = (tenant_id, resources[entry.resource][1], entry.metric_name, entry.type, entry.unit)
            before = self._metadata.get(key)
            if before is not entry and (before is None or (before.description, before.metadata) != (entry.description, entry.metadata)):
                metadata = entry.metadata.decode() if entry.metadata is not None else None
                found[key] = (*key, entry.description, metadata, entry)
        return list(found.values())

    def _metadata_rows(self, request: IngestRequest, group: Group) -> list[tuple[Any, ...]]:
        if not isinstance(request.batch, MetricBatch):
            return []
        return self._new_metadata(request.tenant_id, request.batch, group.resources.of(request.tenant_id, request.batch.resources))

    def _remember(self, metadata: Sequence[tuple[Any, ...]]) -> None:
        for row in metadata:
            if len(self._metadata) >= self._metadata_limit:
                self._metadata.clear()
            self._metadata[row[:5]] = row[7]

    async def _touch(self) -> None:
        """Mark some of the rows that are due as seen."""
        resources = self._resources.due(_TOUCHES)
        self._due_applications.update(application_id for _, application_id in resources)
        due = {
            "applications": sorted(self._due_applications),
            "resources": sorted(resource_id for resource_id, _ in resources),
            "scopes": sorted(self._scopes.due(_TOUCHES)),
            "series": sorted(self._series.due(_TOUCHES)),
        }
        names = self._names.due(_TOUCHES)
        self._due_applications.clear()
        if not (names or any(due.values())):
            return
        async with self._database.writing() as connection:
            await connection.execute(self._sql["without_waiting_for_disk"])
            for what, ids in due.items():
                if ids:
                    await connection.execute(self._sql[f"touch_{what}"], {"ids": ids})
            await self._names.put(connection, names)


_ID_COLUMNS = {"applications": 4, "resources": 2, "scopes": 2, "series": 2}
_APPLICATION_COLUMNS = ("tenant_id", "namespace", "name", "environment")
_RESOURCE_COLUMNS = ("tenant_id", "identity", "application_id", "schema_url", "attributes", "dropped_attributes_count", "original")
_SCOPE_COLUMNS = ("tenant_id", "identity", "name", "version", "schema_url", "attributes", "dropped_attributes_count", "original")
_SERIES_COLUMNS = (
    "tenant_id", "identity", "resource_id", "scope_id", "application_id", "metric_name", "type", "unit", "temporality", "is_monotonic",
    "bounds", "labels", "original",
)  # fmt: skip
_METADATA_COLUMNS = ("tenant_id", "application_id", "metric_name", "type", "unit", "description", "metadata")


def _application(tenant_id: int, entry: ResourceEntry) -> Application:
    return tenant_id, entry.service_namespace, entry.service_name, entry.environment


def _resource_row(tenant_id: int, entry: ResourceEntry, application_id: int) -> tuple[Any, ...]:
    return (
        tenant_id, entry.identity, application_id, entry.schema_url, entry.attributes.decode(), entry.dropped_attributes_count,
        entry.original,
    )  # fmt: skip


def _scope_row(tenant_id: int, entry: ScopeEntry) -> tuple[Any, ...]:
    return (
        tenant_id, entry.identity, entry.name, entry.version, entry.schema_url, entry.attributes.decode(), entry.dropped_attributes_count,
        entry.original,
    )  # fmt: skip


def _series_row(tenant_id: int, entry: SeriesEntry, resource: Resource, scope_id: int) -> tuple[Any, ...]:
    bounds = None if entry.bounds is None else "{" + ",".join(map(repr, entry.bounds)) + "}"
    return (
        tenant_id, entry.identity, resource[0], scope_id, resource[1], entry.metric_name, entry.type, entry.unit, entry.temporality,
        entry.is_monotonic, bounds, entry.labels.decode(), entry.original,
    )  # fmt: skip


def _columns(rows: Sequence[tuple[Any, ...]], names: Sequence[str]) -> dict[str, list[Any]]:
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}
