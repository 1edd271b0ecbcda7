"""Dictionary ids: known ones from bounded caches, new ones from a short transaction of their own.

The transaction comes before the one that holds the rows: in one transaction two writers would wait for each other's dictionary rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from psycopg import AsyncConnection

from tidegauge.model.batch import MetadataEntry, MetricBatch, ResourceEntry, ScopeEntry, SeriesEntry
from tidegauge.storage import sqlfiles
from tidegauge.storage.interface import IngestRequest
from tidegauge.storage.postgres.database import Database

Key = tuple[int, UUID]
Id = TypeVar("Id")
_HOUR_NS = 3_600_000_000_000


@dataclass(frozen=True, slots=True)
class Interned:
    """The ids of one request's dictionary entries, in the order of its batch."""

    resources: Sequence[tuple[int, int]]
    """(resource_id, application_id)"""
    scopes: Sequence[int]
    series: Sequence[int]
    epoch: int | None
    """The dictionaries' epoch that the ids are of; None where there are none."""


class IdCache(Generic[Id]):
    """(tenant, identity) → id, with the hour it was last seen in. Emptied when full: what is used comes back at once."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._ids: dict[Key, tuple[Id, int]] = {}

    def known(self, keys: Iterable[Key], hour: int) -> dict[Key, Id]:
        """The ids that are known and whose rows' ``last_seen`` is of this hour already."""
        found = ((key, self._ids.get(key)) for key in keys)
        return {key: entry[0] for key, entry in found if entry is not None and entry[1] == hour}

    def clear(self) -> None:
        """Forget all."""
        self._ids.clear()

    def put(self, ids: Mapping[Key, Id], hour: int) -> None:
        """Remember ids."""
        if len(self._ids) + len(ids) > self._limit:
            self._ids.clear()
        self._ids.update((key, (value, hour)) for key, value in ids.items())


class StaleIds(Exception):
    """Dictionary rows were deleted since ids were cached, by a collection or a reset of the schema."""


class Dictionaries:
    """Turns the dictionary entries of requests into ids.

    Cached ids are of an epoch (``tidegauge.dictionary_epoch``), which a transaction that uses them compares: several may be under way
    while the ids of another epoch are fetched.
    """

    def __init__(self, database: Database, now_ns: Callable[[], int], *, cache_limit: int = 200_000) -> None:
        self._database = database
        self._now_ns = now_ns
        self._sql = sqlfiles.queries("intern")
        self._resources: IdCache[tuple[int, int]] = IdCache(cache_limit)
        self._scopes: IdCache[int] = IdCache(cache_limit)
        self._series: IdCache[int] = IdCache(cache_limit)
        self._metadata: dict[tuple[int, int, str, str, str], MetadataEntry] = {}
        self._metadata_limit = cache_limit
        self._epoch: int | None = None

    def forget(self) -> None:
        """Empty the caches."""
        for cache in (self._resources, self._scopes, self._series):
            cache.clear()
        self._metadata.clear()
        self._epoch = None

    async def _read_epoch(self, connection: AsyncConnection) -> int:
        row = await (await connection.execute(self._sql["epoch"])).fetchone()
        assert row is not None
        return int(row[0])

    async def intern(self, requests: Sequence[IngestRequest]) -> list[tuple[IngestRequest, Interned]]:
        """Each request, without what may not be stored, and the ids of every entry of its batch.

        Raises:
            StaleIds: the epoch is not the one of the cached ids: :meth:`forget` them and intern again.
            Unavailable: the database is away.

        """
        hour, cached_epoch = self._now_ns() // _HOUR_NS, self._epoch
        known = _Group(requests, hour, self._resources, self._scopes, self._series)
        if known.complete and not self._new_metadata(requests, known):
            return list(zip(requests, known.interned(cached_epoch), strict=True))
        async with self._database.writing() as connection:
            epoch = await self._read_epoch(connection)
            if cached_epoch not in (None, epoch):
                raise StaleIds
            await self._add(connection, known)
            metadata = self._new_metadata(requests, known)
            if metadata:
                await connection.execute(self._sql["put_metadata"], _columns(metadata, _METADATA_COLUMNS))
        ids = list(zip(requests, known.interned(epoch), strict=True))
        if self._epoch not in (None, epoch):
            # Another group has met a newer epoch meanwhile.
            return ids
        self._epoch = epoch
        # Only now: ids of a transaction that was rolled back must not stay in the caches.
        self._resources.put(known.resources, hour)
        self._scopes.put(known.scopes, hour)
        self._series.put(known.series, hour)
        for row in metadata:
            if len(self._metadata) >= self._metadata_limit:
                self._metadata.clear()
            self._metadata[row[:5]] = row[7]
        return ids

    async def _add(self, connection: AsyncConnection, known: _Group) -> None:
        resources = known.missing_resources()
        if resources:
            applications = sorted({(tenant, r.service_namespace, r.service_name, r.environment) for (tenant, _), r in resources.items()})
            ids = {tuple(row[:4]): row[4] for row in await self._merge(connection, "application", applications, _APPLICATION_COLUMNS)}
            rows = [
                (tenant, identity, ids[tenant, r.service_namespace, r.service_name, r.environment], r.schema_url, r.attributes.decode(),
                 r.dropped_attributes_count, r.original)
                for (tenant, identity), r in resources.items()
            ]  # fmt: skip
            for tenant, identity, resource_id, application_id in await self._merge(connection, "resource", rows, _RESOURCE_COLUMNS):
                known.resources[tenant, identity] = (resource_id, application_id)
        scopes = known.missing_scopes()
        if scopes:
            scope_rows = [
                (tenant, identity, s.name, s.version, s.schema_url, s.attributes.decode(), s.dropped_attributes_count, s.original)
                for (tenant, identity), s in scopes.items()
            ]
            for tenant, identity, scope_id in await self._merge(connection, "scope", scope_rows, _SCOPE_COLUMNS):
                known.scopes[tenant, identity] = scope_id
        series = known.missing_series()
        if series:
            series_rows = [
                _series_row(key, entry, known.resources[resource], known.scopes[scope]) for key, (entry, resource, scope) in series.items()
            ]
            for tenant, identity, series_id in await self._merge(connection, "series", series_rows, _SERIES_COLUMNS):
                known.series[tenant, identity] = series_id

    async def _merge(
        self, connection: AsyncConnection, what: str, rows: Sequence[tuple[Any, ...]], names: Sequence[str]
    ) -> Sequence[tuple[Any, ...]]:
        columns = _columns(rows, names)
        plural = "series" if what == "series" else f"{what}s"
        await connection.execute(self._sql[f"add_{plural}"], columns)
        await connection.execute(self._sql[f"touch_{plural}"], columns)
        cursor = await connection.execute(self._sql[f"{what}_ids"], columns)
        return await cursor.fetchall()

    def _new_metadata(self, requests: Sequence[IngestRequest], known: _Group) -> list[tuple[Any, ...]]:
        """Rows for put_metadata, with the entry as a last column that the statement does not use."""
        found: dict[tuple[int, int, str, str, str], tuple[Any, ...]] = {}
        for request in requests:
            if not isinstance(request.batch, MetricBatch):
                continue
            for entry in request.batch.metadata:
                resource = known.resources.get((request.tenant_id, request.batch.resources[entry.resource].identity))
                if resource is None:
                    continue
                key = (request.tenant_id, resource[1], entry.metric_name, entry.type, entry.unit)
                before = self._metadata.get(key)
                if before is None or (before.description, before.metadata) != (entry.description, entry.metadata):
                    metadata = entry.metadata.decode() if entry.metadata is not None else None
                    found[key] = (*key, entry.description, metadata, entry)
        return list(found.values())


class _Group:
    """The dictionary entries of a group of requests by key, and the ids known so far."""

    def __init__(
        self, requests: Sequence[IngestRequest], hour: int, resources: IdCache[tuple[int, int]], scopes: IdCache[int], series: IdCache[int]
    ) -> None:
        self._requests = requests
        self._resources = {(r.tenant_id, e.identity): e for r in requests for e in r.batch.resources}
        self._scopes = {(r.tenant_id, e.identity): e for r in requests for e in r.batch.scopes}
        self._series = {(r.tenant_id, e.identity): (e, r) for r in requests for e in _series_of(r)}
        self.resources = resources.known(self._resources, hour)
        self.scopes = scopes.known(self._scopes, hour)
        self.series = series.known(self._series, hour)

    @property
    def complete(self) -> bool:
        """Whether every id is known."""
        return (len(self.resources), len(self.scopes), len(self.series)) == (len(self._resources), len(self._scopes), len(self._series))

    def missing_resources(self) -> dict[Key, ResourceEntry]:
        """Resources without an id."""
        return {key: entry for key, entry in self._resources.items() if key not in self.resources}

    def missing_scopes(self) -> dict[Key, ScopeEntry]:
        """Scopes without an id."""
        return {key: entry for key, entry in self._scopes.items() if key not in self.scopes}

    def missing_series(self) -> dict[Key, tuple[SeriesEntry, Key, Key]]:
        """Series without an id, with the keys of their resource and scope."""
        return {
            key: (
                entry,
                (request.tenant_id, request.batch.resources[entry.resource].identity),
                (request.tenant_id, request.batch.scopes[entry.scope].identity),
            )
            for key, (entry, request) in self._series.items()
            if key not in self.series
        }

    def interned(self, epoch: int | None) -> list[Interned]:
        """The ids by request; they are of ``epoch``."""
        return [
            Interned(
                [self.resources[r.tenant_id, e.identity] for e in r.batch.resources],
                [self.scopes[r.tenant_id, e.identity] for e in r.batch.scopes],
                [self.series[r.tenant_id, e.identity] for e in _series_of(r)],
                epoch,
            )
            for r in self._requests
        ]


_APPLICATION_COLUMNS = ("tenant_id", "namespace", "name", "environment")
_RESOURCE_COLUMNS = ("tenant_id", "identity", "application_id", "schema_url", "attributes", "dropped_attributes_count", "original")
_SCOPE_COLUMNS = ("tenant_id", "identity", "name", "version", "schema_url", "attributes", "dropped_attributes_count", "original")
_SERIES_COLUMNS = (
    "tenant_id", "identity", "resource_id", "scope_id", "application_id", "metric_name", "type", "unit", "temporality", "is_monotonic",
    "bounds", "labels", "original",
)  # fmt: skip
_METADATA_COLUMNS = ("tenant_id", "application_id", "metric_name", "type", "unit", "description", "metadata")


def _series_row(key: Key, entry: SeriesEntry, resource: tuple[int, int], scope_id: int) -> tuple[Any, ...]:
    bounds = None if entry.bounds is None else "{" + ",".join(map(repr, entry.bounds)) + "}"
    return (
        *key, resource[0], scope_id, resource[1], entry.metric_name, entry.type, entry.unit, entry.temporality, entry.is_monotonic,
        bounds, entry.labels.decode(), entry.original,
    )  # fmt: skip


def _columns(rows: Sequence[tuple[Any, ...]], names: Sequence[str]) -> Mapping[str, list[Any]]:
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}


def _series_of(request: IngestRequest) -> Sequence[SeriesEntry]:
    return request.batch.series if isinstance(request.batch, MetricBatch) else ()
