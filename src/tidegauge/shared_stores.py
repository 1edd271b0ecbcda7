"""The composition root's part for what is kept for a while and shared by workers: answers, messages, sessions, counters of limits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from tidegauge.api.services import Limits
from tidegauge.clients import ClientOf, client_naming
from tidegauge.config import Settings, ThrottleSettings
from tidegauge.health.circuits import Guard
from tidegauge.ingest import throttle
from tidegauge.ingest.announcing import AnnouncedStore
from tidegauge.ingest.throttle import IngestThrottle
from tidegauge.query.cached_stores import CachedLogStore, CachedMetricStore, LateIngest
from tidegauge.query.caching import QueryCache, Topic
from tidegauge.receiver.senders import KnownSender
from tidegauge.storage import cache
from tidegauge.storage.cache import CacheStores
from tidegauge.storage.cache_interface import RateLimiter, Window
from tidegauge.storage.interface import IngestStore, LogStore, MetricStore
from tidegauge.storage.postgres.database import Database
from tidegauge.storage.postgres.identity import identity
from tidegauge.telemetry import catalogue
from tidegauge.telemetry.assembly import Telemetry, repeated
from tidegauge.telemetry.metrics import Metrics

_SESSIONS_SECONDS = 15.0
_TENANT = 0


@dataclass(frozen=True, slots=True)
class SharedStores:
    """What the program's parts are given.

    Attributes:
        stores: the adapters.
        queries: keeps answers; None where it cannot know what other processes change.
        requests: limits of the API's clients.
        throttle: limits of what clients send, and ``client_of`` who sends; None where there are none.

    """

    stores: CacheStores
    queries: QueryCache | None
    requests: Limits
    throttle: IngestThrottle | None
    client_of: ClientOf | None

    def with_senders(self, app: Any) -> Any:
        """An ASGI application that takes telemetry, whose requests' senders are known where that matters."""
        return app if self.client_of is None else KnownSender(app, self.client_of)

    def metrics(self, store: MetricStore) -> MetricStore:
        """The store with its answers kept."""
        return store if self.queries is None else CachedMetricStore(store, self.queries)

    def logs(self, store: LogStore) -> LogStore:
        """The store with its answers kept."""
        return store if self.queries is None else CachedLogStore(store, self.queries)

    def ingest(self, store: IngestStore) -> IngestStore:
        """The store, which tells who follows logs, and what is kept, of what came."""
        announced = AnnouncedStore(store, self.stores.channel)
        return announced if self.queries is None else LateIngest(announced, self.queries)


@asynccontextmanager
async def opened(
    settings: Settings, database: Database, guard: Guard, telemetry: Telemetry, now_ns: Callable[[], int]
) -> AsyncIterator[SharedStores]:
    """All of it while the block runs; ``database`` is the one whose answers are kept.

    Raises:
        ConfigurationError: Redis is named, and its address cannot be read or its client is not installed.

    """
    async with AsyncExitStack() as stack:
        stores = await stack.enter_async_context(cache.opened(settings.cache, guard, telemetry.metrics.folder))
        queries = await _query_cache(settings, database, stores, telemetry.metrics, now_ns)
        if queries is not None:
            await stack.enter_async_context(queries)
        await stack.enter_async_context(_counted_sessions(stores, telemetry.metrics))
        chosen = settings.throttle
        ingest = _ingest_throttle(chosen, stores)
        token = settings.api.token
        named = client_naming(None if token is None else token.get_secret_value(), chosen.trusted_proxies)
        yield SharedStores(stores, queries, request_limits(chosen, stores), ingest, None if ingest is None else named)


async def forget_rollups(settings: Settings, database: Database, now_ns: Callable[[], int]) -> None:
    """Tell all processes that rollups have changed where they were closed. Without Redis there is nobody whom this could reach."""
    if settings.cache.redis_url is None or not settings.cache.queries:
        return
    async with cache.opened(settings.cache) as stores:
        name = await _namespace(settings, database)
        async with QueryCache(
            stores.cache, name, settings.cache.query_ttl, settings.cache.query_margin, shared=True, now_ns=now_ns
        ) as queries:
            queries.late(_TENANT, Topic.ROLLUPS)


def request_limits(chosen: ThrottleSettings, stores: CacheStores) -> Limits:
    """What a client may ask of the API."""
    windows = (
        Window("short", chosen.limit_short, chosen.ttl_short.total_seconds()),
        Window("medium", chosen.limit_medium, chosen.ttl_medium.total_seconds()),
        Window("long", chosen.limit_long, chosen.ttl_long.total_seconds()),
    )
    return Limits(stores.limiter(windows, "api"), chosen.trusted_proxies)


def _ingest_throttle(chosen: ThrottleSettings, stores: CacheStores) -> IngestThrottle | None:
    def limiter(name: str, per_second: int | None) -> RateLimiter | None:
        return None if per_second is None else stores.limiter([throttle.window(name, int(per_second))], "ingest")

    by_bytes, by_items = limiter("bytes", chosen.ingest_bytes_per_second), limiter("items", chosen.ingest_items_per_second)
    return None if by_bytes is None and by_items is None else IngestThrottle(by_bytes, by_items)


async def _query_cache(
    settings: Settings, database: Database, stores: CacheStores, metrics: Metrics, now_ns: Callable[[], int]
) -> QueryCache | None:
    chosen = settings.cache
    shared = chosen.redis_url is not None
    # What one of several workers stores late, the others would not know of without Redis.
    if not chosen.queries or (settings.serve.workers > 1 and not shared):
        return None
    counters = {result: metrics.counter(catalogue.CACHE_REQUESTS, "query", result) for result in ("hit", "miss", "error")}
    return QueryCache(
        stores.cache,
        await _namespace(settings, database),
        chosen.query_ttl,
        chosen.query_margin,
        shared=shared,
        now_ns=now_ns,
        count=lambda result, times: counters[result].inc(times),
    )


async def _namespace(settings: Settings, database: Database) -> str:
    """Answers are of this database and, where logs are elsewhere, of that place."""
    name = await identity(database)
    logs = settings.logs
    if logs.elasticsearch_url is None:
        return name
    place = (logs.elasticsearch_url.get_secret_value(), logs.dataset, logs.namespace)
    return f"{name}:{blake2b(repr(place).encode(), digest_size=8).hexdigest()}"


def _counted_sessions(stores: CacheStores, metrics: Metrics) -> AbstractAsyncContextManager[None]:
    gauge = metrics.gauge(catalogue.SESSIONS)

    async def count() -> None:
        gauge.set(await stores.sessions.count(_TENANT))

    return repeated(_SESSIONS_SECONDS, count, "sessions")
