"""Ids of dictionary rows that this process knows, and which of these rows are due to be marked as seen.

``last_seen`` is kept by the hour. Were every row marked when the hour turns, all writers would update all rows at the same moment: each
identity has a minute of the hour of its own instead, in which it is due once it is seen, and what is due is marked a few at a time.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Generic, Protocol, TypeAlias, TypeVar
from uuid import UUID

MINUTE_NS = 60_000_000_000
Key: TypeAlias = tuple[int, int]
"""(tenant, identity as a number: a UUID's hash is computed in Python)"""
Id = TypeVar("Id", bound=Hashable)


class Entry(Protocol):
    """What has an identity."""

    @property
    def identity(self) -> UUID:
        """The identity."""
        ...


class IdCache(Generic[Id]):
    """(tenant, identity) → id. Emptied when full: what is used comes back at once."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._tenants: dict[int, dict[int, tuple[Id, int]]] = {}
        self._due: set[Id] = set()

    def ids(self, tenant_id: int, entries: Sequence[Entry], minute: int) -> list[Id] | None:
        """The ids of all entries; None where one is not known. ``minute`` is the time, in minutes since the Unix epoch."""
        known = self._tenants.get(tenant_id)
        if known is None:
            return None if entries else []
        found: list[Id] = []
        for entry in entries:
            number = entry.identity.int
            one = known.get(number)
            if one is None:
                return None
            if one[1] <= minute:
                known[number] = (one[0], next_due(number, minute))
                self._due.add(one[0])
            found.append(one[0])
        return found

    def get(self, key: Key) -> Id | None:
        """One id, None where it is not known."""
        one = self._tenants.get(key[0], {}).get(key[1])
        return None if one is None else one[0]

    def put(self, ids: Mapping[Key, Id], stale: Iterable[Id], minute: int) -> None:
        """Remember ids; those of ``stale`` have rows that are due."""
        if self._size + len(ids) > self._limit:
            self.clear()
        self._due.update(stale)
        for (tenant_id, number), value in ids.items():
            self._tenants.setdefault(tenant_id, {})[number] = (value, next_due(number, minute))
        self._size = sum(map(len, self._tenants.values()))

    def due(self, most: int) -> list[Id]:
        """Take up to ``most`` ids whose rows are due."""
        return [self._due.pop() for _ in range(min(most, len(self._due)))]

    def clear(self) -> None:
        """Forget all."""
        self._tenants.clear()
        self._due.clear()
        self._size = 0


def next_due(number: int, minute: int) -> int:
    """The minute of the next hour in which a row is due."""
    return (minute // 60 + 1) * 60 + number % 60
