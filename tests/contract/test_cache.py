"""Cached answers: one suite for Redis and the process' own memory."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from tests.contract.conftest import Caches
from tidegauge.storage.cache import CacheStores

MINUTE = timedelta(minutes=1)


async def test_what_one_worker_keeps_another_finds(workers: list[CacheStores]) -> None:
    await workers[0].cache.set(0, {"a": b"1", "b": b"\x00\xff" * 1000}, MINUTE)

    assert await workers[1].cache.get(0, ["b", "c", "a"]) == [b"\x00\xff" * 1000, None, b"1"]


async def test_tenants_do_not_see_each_other_s(workers: list[CacheStores]) -> None:
    cache = workers[0].cache
    await cache.set(1, {"a": b"one"}, MINUTE)
    await cache.set(11, {"a": b"eleven"}, MINUTE)

    assert [await cache.get(tenant, ["a", "1:a"]) for tenant in (1, 11, 0)] == [[b"one", None], [b"eleven", None], [None, None]]


async def test_the_newest_counts(workers: list[CacheStores]) -> None:
    await workers[0].cache.set(0, {"a": b"old"}, MINUTE)
    await workers[1].cache.set(0, {"a": b"new"}, MINUTE)

    assert await workers[0].cache.get(0, ["a"]) == [b"new"]


async def test_deleted_is_gone(workers: list[CacheStores]) -> None:
    await workers[0].cache.set(0, {"a": b"1", "b": b"2"}, MINUTE)
    await workers[1].cache.delete(0, ["a", "never there"])

    assert await workers[0].cache.get(0, ["a", "b"]) == [None, b"2"]


async def test_nothing_asked_is_nothing_answered(workers: list[CacheStores]) -> None:
    cache = workers[0].cache
    await cache.set(0, {}, MINUTE)
    await cache.delete(0, [])

    assert list(await cache.get(0, [])) == []
    assert cache.failures == 0


async def test_an_entry_ends_with_its_time(workers: list[CacheStores]) -> None:
    cache = workers[0].cache
    await cache.set(0, {"short": b"1"}, timedelta(milliseconds=30))
    await cache.set(0, {"long": b"1"}, MINUTE)

    async with asyncio.timeout(10):
        while await cache.get(0, ["short"]) != [None]:  # noqa: ASYNC110 - time or another process makes it true
            await asyncio.sleep(0.005)
    assert await cache.get(0, ["short", "long"]) == [None, b"1"]


async def test_memory_is_bounded_and_keeps_what_is_asked_for() -> None:
    async with Caches("memory", {"memory_bytes": 1 << 16}).opened() as stores:
        cache = stores.cache
        await cache.set(0, {"wanted": b"w" * 1000}, MINUTE)
        for number in range(200):
            await cache.set(0, {f"other {number}": b"o" * 1000}, MINUTE)
            assert await cache.get(0, ["wanted"]) == [b"w" * 1000]
        kept = await cache.get(0, [f"other {number}" for number in range(200)])

        assert kept[0] is None
        assert kept[-1] is not None
        assert sum(len(value) for value in kept if value) < 1 << 16


async def test_one_huge_answer_pushes_nothing_out_of_memory() -> None:
    async with Caches("memory", {"memory_bytes": 1 << 16}).opened() as stores:
        await stores.cache.set(0, {"a": b"1"}, MINUTE)
        await stores.cache.set(0, {"huge": b"h" * (1 << 16)}, MINUTE)

        assert await stores.cache.get(0, ["a", "huge"]) == [b"1", None]
