"""What is kept in Redis, while it goes and comes."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from tests.servers import redis
from tests.servers.redis import RedisProcess
from tidegauge.config import CacheSettings
from tidegauge.errors import CircuitOpen, Unavailable
from tidegauge.health.circuits import Circuit, CircuitLimits
from tidegauge.storage.cache import CacheStores, opened
from tidegauge.storage.cache_interface import Subscription, Window

MINUTE = timedelta(minutes=1)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisProcess]:
    """One of the test's own, not started yet."""
    if shutil.which("redis-server") is None:
        redis.choice().need("redis-server")
        pytest.skip("no redis-server on PATH to be stopped and started")
    process = RedisProcess(tmp_path / "redis")
    yield process
    process.stop()


@pytest_asyncio.fixture
async def stores(server: RedisProcess) -> AsyncIterator[CacheStores]:
    """On that server, which is not there yet."""
    async with opened(CacheSettings(redis_url=server.url)) as found:
        yield found


async def until_cached(stores: CacheStores) -> None:
    async with asyncio.timeout(20):
        while await stores.cache.get(0, ["probe"]) != [b"1"]:
            await stores.cache.set(0, {"probe": b"1"}, MINUTE)


async def test_everything_begins_without_it_and_recovers_by_itself(server: RedisProcess, stores: CacheStores) -> None:
    limiter = stores.limiter([Window("hour", 2, 3600.0)], "api")
    for _ in range(2):
        await stores.cache.set(0, {"a": b"1"}, MINUTE)
        assert await stores.cache.get(0, ["a", "b"]) == [None, None]
        assert stores.cache.failures > 0
        with pytest.raises(Unavailable):
            await stores.sessions.create(0, b"ann")
        # Counted by the process itself meanwhile.
        assert [(await limiter.take(0, "ann")).allowed for _ in range(3)][-1] is False
        assert stores.ping is not None
        with pytest.raises(Unavailable):
            await stores.ping()

        server.start()
        await until_cached(stores)
        await stores.ping()
        session = await stores.sessions.create(0, b"ann")
        assert await stores.sessions.get(session) is not None
        assert (await limiter.take(0, "ann")).allowed
        server.stop()


async def until_arrived(subscription: Subscription, message: bytes) -> None:
    async for each in subscription:
        if each == message:
            return


async def test_messages_within_the_process_need_no_redis_and_others_come_again_with_it(server: RedisProcess, stores: CacheStores) -> None:
    async with stores.channel.subscribe(0, "logs") as here, opened(CacheSettings(redis_url=server.url)) as other:
        stores.channel.publish(0, "logs", b"own")
        async with asyncio.timeout(10):
            assert await anext(aiter(here)) == b"own"
        for message in (b"first", b"second"):
            server.start()
            arrived = asyncio.create_task(until_arrived(here, message))
            async with asyncio.timeout(30):
                # Again and again: what is sent before both are connected again is lost.
                while not arrived.done():
                    other.channel.publish(0, "logs", message)
                    await asyncio.sleep(0.05)
            server.stop()


async def test_it_is_not_asked_while_its_circuit_is_open(server: RedisProcess) -> None:
    circuit = Circuit("redis", CircuitLimits(failure_threshold=2))
    async with opened(CacheSettings(redis_url=server.url), circuit) as stores:
        while circuit.status().opened_at is None:
            assert await stores.cache.get(0, ["a"]) == [None]
        server.start()
        with pytest.raises(CircuitOpen):
            await stores.sessions.get("0." + "A" * 43)
        assert await stores.cache.get(0, ["a"]) == [None]
        assert (await stores.limiter([Window("hour", 1, 3600.0)], "api").take(0, "ann")).allowed


async def test_one_that_says_nothing_is_given_up_after_its_time() -> None:
    silent = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    settings = CacheSettings(redis_url=f"redis://127.0.0.1:{port}/0", redis_timeout="50ms")
    async with silent, opened(settings) as stores, asyncio.timeout(20):
        assert await stores.cache.get(0, ["a"]) == [None]
        with pytest.raises(Unavailable):
            await stores.sessions.count(0)
        assert (await stores.limiter([Window("hour", 1, 3600.0)], "api").take(0, "ann")).allowed
