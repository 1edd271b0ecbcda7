"""Stores of each adapter, for suites that hold for all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.servers import redis
from tidegauge.config import CacheSettings
from tidegauge.storage.cache import CacheStores, opened


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis for the session; tests keep apart by prefixes."""
    redis.choice().need("Redis")
    with redis.running(tmp_path_factory.mktemp("redis")) as url:
        yield url


@dataclass
class Caches:
    """Makes stores of one adapter that share what is in them, as those of several workers do; in process there is only one worker."""

    kind: str
    settings: dict[str, Any]
    folder: Path | None = None

    def opened(self, **more: Any) -> AbstractAsyncContextManager[CacheStores]:
        return opened(CacheSettings(**(self.settings | more)), workers=self.folder)


@pytest.fixture(params=["memory", "redis"])
def caches(request: pytest.FixtureRequest) -> Caches:
    """Each adapter."""
    if request.param == "memory":
        return Caches("memory", {})
    return Caches("redis", {"redis_url": request.getfixturevalue("redis_url"), "redis_prefix": redis.own_prefix()})


@pytest_asyncio.fixture
async def workers(caches: Caches) -> AsyncIterator[list[CacheStores]]:
    """The stores of two workers; in process the same twice."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(caches.opened())
        yield [first, first if caches.kind == "memory" else await stack.enter_async_context(caches.opened())]
