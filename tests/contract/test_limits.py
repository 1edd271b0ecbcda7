"""Limits of what clients may do: one suite for Redis and the process' own counters."""

from __future__ import annotations

import asyncio

from tidegauge.storage.cache import CacheStores
from tidegauge.storage.cache_interface import RateLimiter, Window

HOUR = 3600.0


async def taken(limiter: RateLimiter, times: int, client: str = "ann", tenant_id: int = 0) -> list[bool]:
    return [(await limiter.take(tenant_id, client)).allowed for _ in range(times)]


async def test_workers_count_together(workers: list[CacheStores]) -> None:
    windows = [Window("hour", 5, HOUR)]
    here = workers[0].limiter(windows, "api")
    # In process there is only one worker, and a counter of its own each.
    there = here if workers[1] is workers[0] else workers[1].limiter(windows, "api")

    assert await taken(here, 3) == [True] * 3
    assert await taken(there, 3) == [True, True, False]
    assert await taken(here, 2) == [False, False]


async def test_clients_tenants_and_purposes_are_apart(workers: list[CacheStores]) -> None:
    windows = [Window("hour", 1, HOUR)]
    limiter, other = workers[0].limiter(windows, "api"), workers[0].limiter(windows, "ingest")

    assert await taken(limiter, 2) == [True, False]
    assert await taken(limiter, 2, client="bob") == [True, False]
    assert await taken(limiter, 2, tenant_id=1) == [True, False]
    assert await taken(other, 2) == [True, False]


async def test_it_says_what_is_left_of_each_window(workers: list[CacheStores]) -> None:
    limiter = workers[0].limiter([Window("short", 3, HOUR), Window("long", 10, 2 * HOUR)], "api")
    left = []
    for _ in range(4):
        verdict = await limiter.take(0, "ann")
        left.append((verdict.allowed, [each.remaining for each in verdict.allowances]))
        assert [each.window.name for each in verdict.allowances] == ["short", "long"]
        assert all(0 < each.reset_seconds <= 2 * each.window.seconds for each in verdict.allowances)

    # What is refused counts nowhere.
    assert left == [(True, [2, 9]), (True, [1, 8]), (True, [0, 7]), (False, [0, 7])]


async def test_refused_says_when_to_come_again_and_then_lets_in(workers: list[CacheStores]) -> None:
    limiter = workers[0].limiter([Window("short", 2, 0.2)], "api")
    async with asyncio.timeout(20):
        for _ in range(3):
            while (verdict := await limiter.take(0, "ann")).allowed:
                assert verdict.retry_after_seconds == 0
            assert 0 < verdict.retry_after_seconds <= 0.4
            await asyncio.sleep(verdict.retry_after_seconds)


async def test_what_costs_more_counts_more(workers: list[CacheStores]) -> None:
    limiter = workers[0].limiter([Window("bytes", 1000, HOUR)], "ingest")

    assert [(await limiter.take(0, "ann", cost)).allowed for cost in (600, 600, 400, 1)] == [True, False, True, False]


async def test_more_than_a_window_holds_is_let_through_when_it_is_empty(workers: list[CacheStores]) -> None:
    limiter = workers[0].limiter([Window("bytes", 1000, HOUR)], "ingest")

    assert [(await limiter.take(0, "ann", cost)).allowed for cost in (5000, 5000, 1)] == [True, False, False]
    assert [(await limiter.take(0, "bob", cost)).allowed for cost in (1, 5000)] == [True, False]


async def test_a_limit_of_0_is_none(workers: list[CacheStores]) -> None:
    limiter = workers[0].limiter([Window("short", 0, 1.0), Window("long", 2, HOUR)], "api")

    assert await taken(limiter, 3) == [True, True, False]
    assert [each.window.name for each in (await limiter.take(0, "ann")).allowances] == ["long"]
    assert await taken(workers[0].limiter([Window("short", 0, 1.0)], "none"), 30) == [True] * 30


async def test_at_the_same_moment_no_more_than_the_limit_are_let_in(workers: list[CacheStores]) -> None:
    limiter = workers[0].limiter([Window("hour", 7, HOUR)], "api")
    verdicts = await asyncio.gather(*[limiter.take(0, "ann") for _ in range(30)])

    assert sum(verdict.allowed for verdict in verdicts) == 7
    assert all(verdict.retry_after_seconds > 0 for verdict in verdicts if not verdict.allowed)
