"""Limits of what clients may do, by the library limits: sliding windows, each of two counters whatever the limit is.

A sliding window counts the present window and, by the share that still lies in the last ``seconds``, the one before: no burst of twice
the limit at a window's border as with fixed windows, and not an entry for each request as in a log.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Sequence
from math import floor
from typing import Any, TypeVar

from limits import RateLimitItem
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.limits import Granularity

from tidegauge.storage.cache_interface import Allowance, Verdict, Window

_log = logging.getLogger(__name__)
T = TypeVar("T")

# Counters of a process: two for each window of each client. Some 5 MB; nobody has so many clients but an attacker.
_MOST_COUNTERS = 20_000
_SWEEP_SECONDS = 1.0


class _Item(RateLimitItem):
    """A limit of the library's, with a window that need not be whole seconds: its stores count in milliseconds."""

    __slots__ = ["seconds"]
    GRANULARITY = Granularity(1, "second")

    def __init__(self, window: Window, namespace: str) -> None:
        super().__init__(window.limit, 1, namespace)
        self.seconds = window.seconds

    def get_expiry(self) -> float:  # type: ignore[override]
        return self.seconds


class _Storage(MemoryStorage):
    """The library's, which looks through all counters at each request for those that are over; once a second is enough."""

    _swept_at = 0.0

    async def _MemoryStorage__schedule_expiry(self) -> None:  # noqa: N802 - the name that Python gives a private method
        now = time.monotonic()
        if now - self._swept_at < _SWEEP_SECONDS:
            return
        self._swept_at = now
        ended = [key for key, ends in self.expirations.items() if ends <= time.time()]
        for key in ended:
            await self.clear(key)


class _Usage:
    """How much of a window is used."""

    def __init__(self, window: Window, found: tuple[int, float, int, float]) -> None:
        self._window = window
        self._before, self._before_ends, self._present, ends = found
        # The library's is that of the counter, which is kept for one window more.
        self._shifts = max(0.0, ends - window.seconds) if self._present else 0.0

    def remaining(self) -> int:
        used = floor(self._before * self._before_ends / self._window.seconds) + self._present
        return max(0, self._window.limit - used)

    def seconds_until(self, cost: int) -> float:
        """How long until ``cost`` fits, if nothing else comes."""
        limit, seconds = self._window.limit, self._window.seconds
        if self.remaining() >= cost:
            return 0.0
        room = limit - cost + 1
        if self._present < room:
            return self._before_ends - (room - self._present) * seconds / self._before
        return self._shifts + seconds - room * seconds / self._present

    def allowance(self, taken: int) -> Allowance:
        """What is left after ``taken`` more."""
        left = max(0, self.remaining() - taken)
        renews = self._shifts or self._before_ends or self._window.seconds
        return Allowance(self._window, left, renews if left else max(renews, self.seconds_until(1)))


class Limiter:
    """Windows on one of the library's stores."""

    def __init__(self, storage: MemoryStorage | RedisStorage, windows: Sequence[Window], namespace: str) -> None:
        self._storage = storage
        self._strategy = SlidingWindowCounterRateLimiter(storage)
        self._items = [(window, _Item(window, f"{namespace}/{window.name}")) for window in windows if window.limit]

    async def take(self, tenant_id: int, client: str, cost: int = 1) -> Verdict:
        """See ``RateLimiter``. Looked at first, so that what is refused counts nowhere."""
        key = (str(tenant_id), client)
        usages = await self._all([self._usage(window, item, key) for window, item in self._items])
        costs = [min(cost, window.limit) for window, _ in self._items]
        waits = [usage.seconds_until(each) for usage, each in zip(usages, costs, strict=True)]
        allowed = not any(waits)
        if allowed:
            hits = [self._strategy.hit(item, *key, cost=each) for (_, item), each in zip(self._items, costs, strict=True)]
            # Somebody else may have been quicker: then it is refused by the window that is full.
            taken = await self._all(hits)
            allowed = all(taken)
            waits = [0.0 if hit else window.seconds for hit, (window, _) in zip(taken, self._items, strict=True)]
        allowances = [usage.allowance(each if allowed else 0) for usage, each in zip(usages, costs, strict=True)]
        return Verdict(allowed, allowances, max(waits, default=0.0))

    async def _all(self, questions: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
        """At once where each goes a long way; in process a task costs more than its question."""
        if isinstance(self._storage, MemoryStorage):
            return [await question for question in questions]
        return await asyncio.gather(*questions)

    async def _usage(self, window: Window, item: _Item, key: tuple[str, str]) -> _Usage:
        return _Usage(window, await self._storage.get_sliding_window(item.key_for(*key), item.seconds))  # type: ignore[arg-type]


class MemoryLimiter:
    """A :class:`~tidegauge.storage.cache_interface.RateLimiter` that counts in this process. With too many clients all begin anew."""

    def __init__(self, windows: Sequence[Window], namespace: str) -> None:
        self._storage = _Storage()
        self._limiter = Limiter(self._storage, windows, namespace)

    async def take(self, tenant_id: int, client: str, cost: int = 1) -> Verdict:
        """See ``RateLimiter``."""
        if len(self._storage.storage) > _MOST_COUNTERS:
            _log.warning("more than %d counters of limits: all are forgotten", _MOST_COUNTERS)
            await self._storage.reset()
        return await self._limiter.take(tenant_id, client, cost)
