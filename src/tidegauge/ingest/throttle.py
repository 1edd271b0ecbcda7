"""Limits of what a client may send: bytes and items in ten seconds, whatever way they come in.

Not by the second: exporters send a batch every few seconds, and one may be larger than what a second allows. A request that is larger than
what ten seconds allow is let in where its client has sent nothing in that time.
"""

from __future__ import annotations

from contextvars import ContextVar

from tidegauge.errors import RateLimited
from tidegauge.storage.cache_interface import RateLimiter, Window

_SECONDS = 10

sender: ContextVar[str] = ContextVar("sender", default="unknown")
"""Who sends the request that is being handled: receivers set it where there are limits (``tidegauge.clients``)."""


def window(name: str, per_second: int) -> Window:
    """The window of a limit that is said by the second."""
    return Window(name, per_second * _SECONDS, float(_SECONDS))


class IngestThrottle:
    """Counts what :data:`sender` sends; None for what is not limited."""

    def __init__(self, by_bytes: RateLimiter | None, by_items: RateLimiter | None) -> None:
        self._bytes = by_bytes
        self._items = by_items

    async def take_bytes(self, tenant_id: int, size: int) -> None:
        """Count a request's bytes, decompressed; raises RateLimited where there are too many."""
        await _take(self._bytes, tenant_id, size, "bytes", "BYTES")

    async def take_items(self, tenant_id: int, count: int) -> None:
        """Count its spans, points or records; raises RateLimited where there are too many."""
        await _take(self._items, tenant_id, count, "items", "ITEMS")


async def _take(limiter: RateLimiter | None, tenant_id: int, cost: int, what: str, setting: str) -> None:
    if limiter is None or not cost:
        return
    verdict = await limiter.take(tenant_id, sender.get(), cost)
    if not verdict.allowed:
        limit = verdict.allowances[0].window.limit // _SECONDS
        raise RateLimited(
            f"this client sends more than {limit} {what} per second",
            hint=f"send slower; TIDEGAUGE_THROTTLE_INGEST_{setting}_PER_SECOND sets the limit",
            retry_after_seconds=verdict.retry_after_seconds,
        )
