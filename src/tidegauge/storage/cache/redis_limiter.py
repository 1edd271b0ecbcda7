"""Limits that all workers share through Redis. Keys: ``<prefix>limits:…``, which hold the tenant and the client."""

from __future__ import annotations

from collections.abc import Sequence

from limits.aio.storage import RedisStorage

from tidegauge.errors import Unavailable
from tidegauge.storage.cache.limiter import Limiter
from tidegauge.storage.cache.redis import RedisServer
from tidegauge.storage.cache_interface import RateLimiter, Verdict, Window


class RedisLimiter:
    """A :class:`~tidegauge.storage.cache_interface.RateLimiter` that all workers share; ``local`` counts while Redis is away."""

    def __init__(self, server: RedisServer, prefix: str, windows: Sequence[Window], namespace: str, local: RateLimiter) -> None:
        self._server = server
        self._local = local
        # The address is the pool's already; the library wants one that looks like it.
        storage = RedisStorage("async+redis://", implementation="redispy", key_prefix=f"{prefix}limits", connection_pool=server.pool)  # type: ignore[arg-type]
        self._limiter = Limiter(storage, windows, namespace)

    async def take(self, tenant_id: int, client: str, cost: int = 1) -> Verdict:
        """See ``RateLimiter``."""
        try:
            async with self._server.asking("limits"):
                return await self._limiter.take(tenant_id, client, cost)
        except Unavailable:
            return await self._local.take(tenant_id, client, cost)
