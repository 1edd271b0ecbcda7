"""Cache, channel and sessions in process, bounded; for one event loop."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Self

from tidegauge.storage.cache.identifiers import new_session_id, session_key
from tidegauge.storage.cache_interface import Session

# Of one entry: the dictionary's, and what Python keeps beside the bytes.
_ENTRY_BYTES = 200
# One answer may not push out most others.
_LARGEST_PART = 4
_SUBSCRIPTION_BYTES = 8 << 20
_MOST_SESSIONS = 100_000


class MemoryCache:
    """A :class:`~tidegauge.storage.cache_interface.Cache` of so many bytes; what was not asked for longest goes first."""

    def __init__(self, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.failures = 0
        self._max_bytes = max_bytes
        self._clock = clock
        self._size = 0
        self._entries: OrderedDict[tuple[int, str], tuple[bytes, float]] = OrderedDict()

    async def get(self, tenant_id: int, keys: Sequence[str]) -> Sequence[bytes | None]:
        """See ``Cache``."""
        return [self._get((tenant_id, key)) for key in keys]

    async def set(self, tenant_id: int, entries: Mapping[str, bytes], ttl: timedelta) -> None:
        """See ``Cache``. An entry of more than a quarter of all bytes is not kept."""
        ends = self._clock() + ttl.total_seconds()
        for name, value in entries.items():
            self._drop((tenant_id, name))
            if _size(name, value) <= self._max_bytes // _LARGEST_PART:
                self._entries[tenant_id, name] = value, ends
                self._size += _size(name, value)
        while self._size > self._max_bytes:
            self._drop(next(iter(self._entries)))

    async def delete(self, tenant_id: int, keys: Sequence[str]) -> None:
        """See ``Cache``."""
        for key in keys:
            self._drop((tenant_id, key))

    def _get(self, key: tuple[int, str]) -> bytes | None:
        value, ends = self._entries.get(key, (None, 0.0))
        if value is None:
            return None
        if ends <= self._clock():
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return value

    def _drop(self, key: tuple[int, str]) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._size -= _size(key[1], entry[0])


def _size(key: str, value: bytes) -> int:
    return len(key) + len(value) + _ENTRY_BYTES


class MemorySubscription:
    """Messages that wait for one listener: at most ``capacity``, and at most 8 MiB but for a single larger one."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._dropped = 0
        self._ended = False
        self._something = asyncio.Event()

    def put(self, message: bytes) -> None:
        """Add a message; the oldest go where there is no room."""
        self._waiting.append(message)
        self._bytes += len(message)
        while len(self._waiting) > self._capacity or (self._bytes > _SUBSCRIPTION_BYTES and len(self._waiting) > 1):
            self._bytes -= len(self._waiting.popleft())
            self._dropped += 1
        self._something.set()

    def end(self) -> None:
        """No more messages come; those that wait are still given."""
        self._ended = True
        self._something.set()

    def dropped(self) -> int:
        """See ``Subscription``."""
        count, self._dropped = self._dropped, 0
        return count

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while not self._waiting:
            if self._ended:
                raise StopAsyncIteration
            self._something.clear()
            await self._something.wait()
        message = self._waiting.popleft()
        self._bytes -= len(message)
        return message


class MemoryChannel:
    """A :class:`~tidegauge.storage.cache_interface.Channel` within one process; a context manager."""

    def __init__(self) -> None:
        self._listeners: dict[tuple[int, str], set[MemorySubscription]] = {}

    def has_listeners(self, tenant_id: int, topic: str) -> bool:
        """See ``Channel``."""
        return (tenant_id, topic) in self._listeners

    def publish(self, tenant_id: int, topic: str, message: bytes) -> None:
        """See ``Channel``."""
        for subscription in self._listeners.get((tenant_id, topic), ()):
            subscription.put(message)

    @asynccontextmanager
    async def subscribe(self, tenant_id: int, topic: str, capacity: int = 1000) -> AsyncIterator[MemorySubscription]:
        """See ``Channel``."""
        subscription = MemorySubscription(capacity)
        listeners = self._listeners.setdefault((tenant_id, topic), set())
        listeners.add(subscription)
        try:
            yield subscription
        finally:
            listeners.discard(subscription)
            if not listeners and self._listeners.get((tenant_id, topic)) is listeners:
                del self._listeners[tenant_id, topic]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all subscriptions."""
        for listeners in self._listeners.values():
            for subscription in listeners:
                subscription.end()


class MemorySessions:
    """:class:`~tidegauge.storage.cache_interface.Sessions` of one process: they end with it. At most 100,000, the least used go first."""

    def __init__(self, ttl: timedelta, clock: Callable[[], float] = time.monotonic) -> None:
        self._ttl = ttl.total_seconds()
        self._clock = clock
        # In the order in which they end, for all live equally long.
        self._sessions: OrderedDict[tuple[int, str], tuple[bytes, float]] = OrderedDict()

    async def create(self, tenant_id: int, data: bytes) -> str:
        """See ``Sessions``."""
        self._forget_ended()
        session_id = new_session_id(tenant_id)
        self._put(session_id, data)
        if len(self._sessions) > _MOST_SESSIONS:
            self._sessions.popitem(last=False)
        return session_id

    async def get(self, session_id: str) -> Session | None:
        """See ``Sessions``."""
        self._forget_ended()
        key = session_key(session_id)
        if key is None or key not in self._sessions:
            return None
        data, _ = self._sessions.pop(key)
        self._put(session_id, data)
        return Session(key[0], data)

    async def delete(self, session_id: str) -> None:
        """See ``Sessions``."""
        key = session_key(session_id)
        if key is not None:
            self._sessions.pop(key, None)

    async def count(self, tenant_id: int) -> int:
        """See ``Sessions``."""
        self._forget_ended()
        return sum(1 for tenant, _ in self._sessions if tenant == tenant_id)

    def _put(self, session_id: str, data: bytes) -> None:
        key = session_key(session_id)
        assert key is not None
        self._sessions[key] = data, self._clock() + self._ttl

    def _forget_ended(self) -> None:
        now = self._clock()
        while self._sessions and next(iter(self._sessions.values()))[1] <= now:
            self._sessions.popitem(last=False)
