"""A bounded cache for what recurs from request to request: resources, scopes, series."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class BoundedCache(Generic[Key, Value]):
    """Keeps at most ``budget_bytes`` of entries, as their sizes are declared; when it would be more, everything is forgotten.

    Forgetting all is as good as LRU here: what is alive comes back with the next requests, and a hit costs one dict lookup. Safe to share
    between threads under the GIL: the worst that a race does is to compute an entry twice.
    """

    __slots__ = ("_budget", "_entries", "_used", "get")

    def __init__(self, budget_bytes: int) -> None:
        self._budget = budget_bytes
        self._used = 0
        self._entries: dict[Key, Value] = {}
        self.get = self._entries.get
        """the entry of a key, or None"""

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, key: Key, value: Value, size: int) -> None:
        """Keep an entry of about ``size`` bytes, unless it alone would fill a tenth of the cache."""
        if size * 10 > self._budget:
            return
        if self._used + size > self._budget:
            self._entries.clear()
            self._used = 0
        self._entries[key] = value
        self._used += size
