"""Messages among workers: one suite for Redis, workers of one machine without it, and one process alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.conftest import Caches
from tests.servers import redis
from tidegauge.storage.cache import CacheStores
from tidegauge.storage.cache_interface import Channel, Subscription


@pytest.fixture(params=["memory", "local", "redis"])
def caches(request: pytest.FixtureRequest, tmp_path: Path) -> Caches:
    """Each adapter."""
    if request.param == "redis":
        return Caches("redis", {"redis_url": request.getfixturevalue("redis_url"), "redis_prefix": redis.own_prefix()})
    return Caches(request.param, {}, tmp_path if request.param == "local" else None)


async def take(subscription: Subscription, count: int) -> list[bytes]:
    messages: AsyncIterator[bytes] = aiter(subscription)
    async with asyncio.timeout(10):
        return [await anext(messages) for _ in range(count)]


async def until_listened(channel: Channel, tenant_id: int, topic: str, *, expected: bool = True) -> None:
    async with asyncio.timeout(10):
        while channel.has_listeners(tenant_id, topic) != expected:  # noqa: ASYNC110 - time or another process makes it true
            await asyncio.sleep(0.005)


async def until_heard(here: Channel, there: Channel) -> None:
    """Until what one worker publishes reaches the other, whoever listens to the topic of the test."""
    async with there.subscribe(0, "probe") as subscription:
        await until_listened(here, 0, "probe")
        here.publish(0, "probe", b"")
        await take(subscription, 1)


async def test_messages_reach_all_who_listen_in_order(workers: list[CacheStores]) -> None:
    here, there = (worker.channel for worker in workers)
    async with there.subscribe(0, "logs") as second, here.subscribe(0, "logs") as first:
        await until_heard(here, there)
        messages = [b"\x00%d" % number for number in range(50)]
        for message in messages:
            here.publish(0, "logs", message)

        assert await take(first, 50) == messages
        assert await take(second, 50) == messages
        assert first.dropped() == second.dropped() == 0


async def test_a_listener_elsewhere_is_known_when_it_has_entered(workers: list[CacheStores]) -> None:
    here, there = (worker.channel for worker in workers)
    assert not here.has_listeners(0, "logs")
    async with there.subscribe(0, "logs") as subscription:
        await until_listened(here, 0, "logs")
        here.publish(0, "logs", b"x")
        assert await take(subscription, 1) == [b"x"]
    await until_listened(here, 0, "logs", expected=False)


async def test_tenants_and_topics_are_apart(workers: list[CacheStores]) -> None:
    here, there = (worker.channel for worker in workers)
    async with there.subscribe(1, "logs") as wanted, there.subscribe(2, "logs") as other:
        await until_listened(here, 1, "logs")
        await until_listened(here, 2, "logs")
        assert not here.has_listeners(1, "spans")
        for tenant, topic in ((2, "spans"), (1, "spans"), (1, "logs"), (2, "logs")):
            here.publish(tenant, topic, f"{tenant} {topic}".encode())

        assert await take(wanted, 1) == [b"1 logs"]
        assert await take(other, 1) == [b"2 logs"]


async def test_who_is_slow_loses_the_oldest_and_is_told_how_many(workers: list[CacheStores]) -> None:
    channel = workers[0].channel
    async with channel.subscribe(0, "logs", capacity=10) as slow:
        for number in range(25):
            channel.publish(0, "logs", b"%d" % number)

        assert slow.dropped() == 15
        assert await take(slow, 10) == [b"%d" % number for number in range(15, 25)]
        assert slow.dropped() == 0


async def test_what_waits_is_bounded_in_bytes_too(workers: list[CacheStores]) -> None:
    channel = workers[0].channel
    async with channel.subscribe(0, "logs") as slow:
        for _ in range(30):
            channel.publish(0, "logs", bytes(1 << 20))

        dropped = slow.dropped()
        assert 20 <= dropped < 30
        assert len(await take(slow, 30 - dropped)) == 30 - dropped


async def test_closing_ends_what_is_listened_to(caches: Caches) -> None:
    async with caches.opened() as stores:
        stack = stores.channel.subscribe(0, "logs")
        subscription = await stack.__aenter__()
        stores.channel.publish(0, "logs", b"last")
    async with asyncio.timeout(10):
        assert [message async for message in subscription] == [b"last"]
    await stack.__aexit__(None, None, None)


async def test_nobody_who_listens_later_gets_it(workers: list[CacheStores]) -> None:
    channel = workers[0].channel
    channel.publish(0, "logs", b"too early")
    async with channel.subscribe(0, "logs") as subscription:
        channel.publish(0, "logs", b"in time")
        assert await take(subscription, 1) == [b"in time"]


async def test_workers_of_a_machine_come_and_go_while_somebody_listens(tmp_path: Path) -> None:
    caches = Caches("local", {}, tmp_path)
    async with caches.opened() as first, first.channel.subscribe(0, "logs") as subscription:
        for message in (b"one", b"two" * 1_000_000):
            async with caches.opened() as second:
                await until_listened(second.channel, 0, "logs")
                second.channel.publish(0, "logs", message)
                assert await take(subscription, 1) == [message]
