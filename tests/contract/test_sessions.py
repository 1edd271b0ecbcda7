"""Sessions: one suite for Redis and the process' own memory."""

from __future__ import annotations

import asyncio

from tests.contract.conftest import Caches
from tests.servers import redis
from tidegauge.storage.cache import CacheStores
from tidegauge.storage.cache_interface import Session, Sessions


async def until_ended(sessions: Sessions, tenant_id: int) -> None:
    async with asyncio.timeout(10):
        while await sessions.count(tenant_id):  # noqa: ASYNC110 - time or another process makes it true
            await asyncio.sleep(0.005)


async def test_a_session_is_found_by_its_id_alone(workers: list[CacheStores]) -> None:
    here, there = (worker.sessions for worker in workers)
    first, second = await here.create(0, b"ann"), await here.create(7, b"\x00bob")

    assert await there.get(first) == Session(0, b"ann")
    assert await there.get(second) == Session(7, b"\x00bob")
    assert [await there.count(tenant) for tenant in (0, 7, 1)] == [1, 1, 0]


async def test_ids_are_random_and_another_tenant_s_name_opens_nothing(workers: list[CacheStores]) -> None:
    sessions = workers[0].sessions
    ids = {await sessions.create(0, b"") for _ in range(20)}
    one = ids.pop()

    assert len(ids) == 19
    assert len(one) > 40
    forged = [
        "1" + one[1:],
        one[:-1] + ("A" if one[-1] != "A" else "B"),
        "",
        "0.",
        one + "x",
        "0." + "*" * 43,
        "../" + one,
        one.encode().hex(),
    ]
    assert [await sessions.get(each) for each in forged] == [None] * len(forged)
    for each in forged:
        await sessions.delete(each)
    assert await sessions.count(0) == 20


async def test_an_ended_session_is_gone_everywhere(workers: list[CacheStores]) -> None:
    here, there = (worker.sessions for worker in workers)
    kept, ended = await here.create(0, b"kept"), await here.create(0, b"ended")
    await there.delete(ended)

    assert await here.get(ended) is None
    assert await here.get(kept) == Session(0, b"kept")
    assert await here.count(0) == 1


async def test_a_session_that_is_not_used_ends_and_one_that_is_lives_on(caches: Caches) -> None:
    async with caches.opened(session_ttl="1s") as stores:
        used, unused = await stores.sessions.create(0, b"used"), await stores.sessions.create(0, b"unused")
        async with asyncio.timeout(10):
            while await stores.sessions.count(0) == 2:
                assert await stores.sessions.get(used) == Session(0, b"used")
                await asyncio.sleep(0.02)

        assert await stores.sessions.get(unused) is None
        assert await stores.sessions.get(used) == Session(0, b"used")
        await until_ended(stores.sessions, 0)
        assert await stores.sessions.get(used) is None


async def test_reading_redis_signs_nobody_in(redis_url: str) -> None:
    prefix = redis.own_prefix()
    async with Caches("redis", {"redis_url": redis_url, "redis_prefix": prefix}).opened() as stores, redis.client(redis_url) as server:
        session_id = await stores.sessions.create(3, b"data")
        keys = [key async for key in server.scan_iter(prefix + "*")]
        members = await server.zrange(f"{prefix}sessions:3", 0, -1)

        assert len(keys) == 2
        secret = session_id.partition(".")[2].encode()
        assert not any(secret in each for each in [*keys, *members])
        assert 0 < await server.pttl(min(keys)) <= 12 * 3600 * 1000
