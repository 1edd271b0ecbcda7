"""What is kept for a while: in Redis where one is named, in process otherwise (``tidegauge.storage.cache_interface``)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tidegauge.config import CacheSettings
from tidegauge.errors import ConfigurationError
from tidegauge.health.circuits import Guard, unguarded
from tidegauge.storage.cache.limiter import MemoryLimiter
from tidegauge.storage.cache.local_channel import LocalChannel
from tidegauge.storage.cache.memory import MemoryCache, MemoryChannel, MemorySessions
from tidegauge.storage.cache_interface import Cache, Channel, RateLimiter, Sessions, Window

LimiterOf = Callable[[Sequence[Window], str], RateLimiter]


@dataclass(frozen=True, slots=True)
class CacheStores:
    """All of them.

    Attributes:
        cache: answers.
        channel: messages.
        sessions: who is signed in.
        limiter: makes counters of windows; the second argument keeps those of different purposes apart.
        ping: raises Unavailable where Redis does not answer; None where there is none.

    """

    cache: Cache
    channel: Channel
    sessions: Sessions
    limiter: LimiterOf
    ping: Callable[[], Awaitable[None]] | None


@asynccontextmanager
async def opened(settings: CacheSettings, guard: Guard = unguarded, workers: Path | None = None) -> AsyncIterator[CacheStores]:
    """The stores that settings name, while the block runs. Redis need not be there yet, and may go and come.

    ``workers`` is a folder that only the workers of this machine can enter, by which they pass messages on where there is no Redis.

    Raises:
        ConfigurationError: Redis is named and its client is not installed.

    """
    if settings.redis_url is None:
        async with MemoryChannel() if workers is None else LocalChannel(workers) as channel:
            yield CacheStores(
                MemoryCache(int(settings.memory_bytes)), channel, MemorySessions(settings.session_ttl), MemoryLimiter, ping=None
            )
        return
    async with AsyncExitStack() as stack:
        yield await _redis(settings, settings.redis_url.get_secret_value(), guard, stack)


async def _redis(settings: CacheSettings, url: str, guard: Guard, stack: AsyncExitStack) -> CacheStores:
    try:
        # An extra: only who names a server needs its client.
        from tidegauge.storage.cache.redis import RedisCache, RedisServer, RedisSessions
        from tidegauge.storage.cache.redis_channel import RedisChannel
        from tidegauge.storage.cache.redis_limiter import RedisLimiter
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "REDIS_URL is set, but the client for Redis is not installed", hint="pip install 'tidegauge[redis]'"
        ) from error
    prefix = settings.redis_prefix
    server = await stack.enter_async_context(RedisServer(url, settings.redis_timeout, guard))
    channel = await stack.enter_async_context(RedisChannel(server, prefix))
    return CacheStores(
        RedisCache(server, prefix),
        channel,
        RedisSessions(server, prefix, settings.session_ttl),
        lambda windows, namespace: RedisLimiter(server, prefix, windows, namespace, MemoryLimiter(windows, namespace)),
        ping=server.ping,
    )
