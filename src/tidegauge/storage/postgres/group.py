"""The dictionary entries of a group of requests while their ids are looked for."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

from tidegauge.model.batch import MetricBatch, ResourceEntry, ScopeEntry, SeriesEntry
from tidegauge.storage.interface import IngestRequest
from tidegauge.storage.postgres.guards import Refusal
from tidegauge.storage.postgres.idcache import IdCache, Key

Resource: TypeAlias = tuple[int, int]
"""(resource_id, application_id)"""
Entry = TypeVar("Entry", ResourceEntry, ScopeEntry, SeriesEntry)
Id = TypeVar("Id", bound=Hashable)


class Part(Generic[Entry, Id]):
    """The entries of one kind in a group of requests: ids known so far, what is missing, and what is refused."""

    def __init__(self) -> None:
        self.ids: dict[Key, Id] = {}
        self.fetched: dict[Key, Id] = {}
        self.due: list[Id] = []
        self.missing: dict[Key, Entry] = {}
        self.refused: dict[Key, Refusal] = {}

    def add(self, tenant_id: int, entry: Entry, cache: IdCache[Id]) -> Key:
        """Look for an entry among the cached ones; returns its key."""
        key = (tenant_id, entry.identity.int)
        if key not in self.ids and key not in self.missing:
            known = cache.get(key)
            if known is None:
                self.missing[key] = entry
            else:
                self.ids[key] = known
        return key

    def found(self, key: Key, value: Id, is_due: bool) -> None:
        """The database has it."""
        self.ids[key] = self.fetched[key] = value
        if is_due:
            self.due.append(value)

    def identities(self) -> dict[str, list[Any]]:
        """Parameters that ask for what is missing."""
        return {
            "tenant_id": sorted({tenant_id for tenant_id, _ in self.missing}),
            "identity": [entry.identity for entry in self.missing.values()],
        }

    def still_missing(self) -> dict[Key, Entry]:
        """What the database does not have."""
        return {key: entry for key, entry in self.missing.items() if key not in self.ids}

    def of(self, tenant_id: int, entries: Sequence[Entry]) -> list[Id]:
        """The ids of entries."""
        return [self.ids[tenant_id, entry.identity.int] for entry in entries]


class Group:
    """The dictionary entries of a group of requests."""

    def __init__(self, requests: Sequence[IngestRequest], resources: IdCache[Resource], scopes: IdCache[int], series: IdCache[int]) -> None:
        self.resources: Part[ResourceEntry, Resource] = Part()
        self.scopes: Part[ScopeEntry, int] = Part()
        self.series: Part[SeriesEntry, int] = Part()
        self.origins: dict[Key, tuple[Key, Key, str]] = {}
        """of a series: keys of its resource and scope, and its service"""
        for request in requests:
            batch, tenant = request.batch, request.tenant_id
            by_resource = [self.resources.add(tenant, entry, resources) for entry in batch.resources]
            by_scope = [self.scopes.add(tenant, entry, scopes) for entry in batch.scopes]
            for entry in batch.series if isinstance(batch, MetricBatch) else ():
                key = self.series.add(tenant, entry, series)
                self.origins[key] = (by_resource[entry.resource], by_scope[entry.scope], batch.resources[entry.resource].service_name)
