"""Cache and sessions in Redis 7 or newer.

Keys: ``<prefix>cache:<tenant>:…``, ``<prefix>session:<tenant>:<hash>``, ``<prefix>sessions:<tenant>``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from tidegauge.errors import ConfigurationError, Unavailable
from tidegauge.health.circuits import Guard, unguarded
from tidegauge.storage.cache.identifiers import new_session_id, session_key
from tidegauge.storage.cache_interface import Session

_CONNECTIONS = 32


class RedisServer:
    """Connections to a server, as an async context manager. Nothing is connected before it is asked for something.

    Args:
        url: redis://, rediss:// or unix://.
        timeout: after which a question is given up.
        guard: stands around each question.

    Raises:
        ConfigurationError: the address cannot be read.

    """

    def __init__(self, url: str, timeout: timedelta, guard: Guard = unguarded) -> None:
        self._seconds = timeout.total_seconds()
        self._guard = guard
        try:
            self.pool = BlockingConnectionPool.from_url(
                url,
                max_connections=_CONNECTIONS,
                timeout=self._seconds,
                socket_timeout=self._seconds,
                socket_connect_timeout=self._seconds,
                # Once: a connection from before the server's restart is found broken only when it is used.
                retry=Retry(NoBackoff(), 1),
            )
        except ValueError:
            # Not what the client says: where a password is not quoted, that is a part of it.
            raise ConfigurationError(
                "REDIS_URL cannot be read", hint="expected redis://user:password@host:6379/0; in a password / is %2F, # is %23, @ is %40"
            ) from None
        self.client: Redis = Redis(connection_pool=self.pool)

    async def __aenter__(self) -> RedisServer:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()
        await self.pool.disconnect()

    @asynccontextmanager
    async def asking(self, operation: str) -> AsyncIterator[Redis]:
        """The client, for one question.

        Raises:
            CircuitOpen: it was away so often that it is not asked.
            Unavailable: it is away, or did not answer in time.

        """
        with self._guard(operation):
            try:
                async with asyncio.timeout(self._seconds):
                    yield self.client
            except (RedisError, OSError, TimeoutError) as error:
                raise away(error) from error

    async def ping(self) -> None:
        """Raise Unavailable where it does not answer. It is asked whatever its circuit says."""
        try:
            async with asyncio.timeout(self._seconds):
                # Typed as either kind of client's.
                answer: Any = self.client.ping()
                await answer
        except (RedisError, OSError, TimeoutError) as error:
            raise away(error) from error


def away(error: Exception) -> Unavailable:
    """What the program is told; the address, which may hold a password, is not part of it."""
    return Unavailable("Redis does not answer", hint=type(error).__name__)


class RedisCache:
    """A :class:`~tidegauge.storage.cache_interface.Cache` that workers share."""

    def __init__(self, server: RedisServer, prefix: str) -> None:
        self.failures = 0
        self._server = server
        self._prefix = prefix

    async def get(self, tenant_id: int, keys: Sequence[str]) -> Sequence[bytes | None]:
        """See ``Cache``."""
        if not keys:
            return []
        try:
            async with self._server.asking("cache_get") as redis:
                # Answers are bytes: nothing is decoded.
                found: Any = await redis.mget([self._key(tenant_id, key) for key in keys])
                return list(found)
        except Unavailable:
            self.failures += 1
            return [None] * len(keys)

    async def set(self, tenant_id: int, entries: Mapping[str, bytes], ttl: timedelta) -> None:
        """See ``Cache``."""
        if not entries:
            return
        try:
            async with self._server.asking("cache_set") as redis, redis.pipeline(transaction=False) as pipeline:
                for key, value in entries.items():
                    pipeline.set(self._key(tenant_id, key), value, px=ttl)
                await pipeline.execute()
        except Unavailable:
            self.failures += 1

    async def delete(self, tenant_id: int, keys: Sequence[str]) -> None:
        """See ``Cache``."""
        if not keys:
            return
        try:
            async with self._server.asking("cache_delete") as redis:
                await redis.unlink(*[self._key(tenant_id, key) for key in keys])
        except Unavailable:
            self.failures += 1

    def _key(self, tenant_id: int, key: str) -> str:
        return f"{self._prefix}cache:{tenant_id}:{key}"


class RedisSessions:
    """:class:`~tidegauge.storage.cache_interface.Sessions` that workers share and that outlive them.

    Beside each session its end stands in a sorted set of its tenant's, so that counting costs no scan.
    """

    def __init__(self, server: RedisServer, prefix: str, ttl: timedelta, now: Callable[[], float] = time.time) -> None:
        self._server = server
        self._prefix = prefix
        self._ttl = ttl
        self._now = now

    async def create(self, tenant_id: int, data: bytes) -> str:
        """See ``Sessions``."""
        session_id = new_session_id(tenant_id)
        key = session_key(session_id)
        assert key is not None
        async with self._server.asking("session_create") as redis, redis.pipeline(transaction=True) as pipeline:
            pipeline.set(self._session(*key), data, px=self._ttl)
            pipeline.zadd(self._all(tenant_id), {key[1]: self._ends()})
            pipeline.zremrangebyscore(self._all(tenant_id), "-inf", self._now())
            await pipeline.execute()
        return session_id

    async def get(self, session_id: str) -> Session | None:
        """See ``Sessions``."""
        key = session_key(session_id)
        if key is None:
            return None
        async with self._server.asking("session_get") as redis, redis.pipeline(transaction=True) as pipeline:
            pipeline.getex(self._session(*key), px=self._ttl)
            pipeline.zadd(self._all(key[0]), {key[1]: self._ends()}, xx=True)
            data, _ = await pipeline.execute()
            if data is None:
                await redis.zrem(self._all(key[0]), key[1])
                return None
            return Session(key[0], data)

    async def delete(self, session_id: str) -> None:
        """See ``Sessions``."""
        key = session_key(session_id)
        if key is None:
            return
        async with self._server.asking("session_delete") as redis, redis.pipeline(transaction=True) as pipeline:
            pipeline.delete(self._session(*key))
            pipeline.zrem(self._all(key[0]), key[1])
            await pipeline.execute()

    async def count(self, tenant_id: int) -> int:
        """See ``Sessions``."""
        async with self._server.asking("session_count") as redis:
            count: int = await redis.zcount(self._all(tenant_id), f"({self._now()}", "+inf")
            return count

    def _ends(self) -> float:
        return self._now() + self._ttl.total_seconds()

    def _session(self, tenant_id: int, hashed: str) -> str:
        return f"{self._prefix}session:{tenant_id}:{hashed}"

    def _all(self, tenant_id: int) -> str:
        return f"{self._prefix}sessions:{tenant_id}"
