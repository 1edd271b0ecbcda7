"""Counters of limits in process: how many there may be."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tidegauge.storage.cache import limiter
from tidegauge.storage.cache.limiter import MemoryLimiter
from tidegauge.storage.cache_interface import Window


async def test_counters_of_clients_that_have_left_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limiter, "_SWEEP_SECONDS", 0.0)
    counts = MemoryLimiter([Window("short", 10, 0.02)], "api")
    for number in range(200):
        await counts.take(0, f"client {number}")

    async with asyncio.timeout(10):
        while len(counts._storage.storage) > 3:
            await counts.take(0, "the one that is left")
            await asyncio.sleep(0.005)
    assert len(counts._storage.expirations) == len(counts._storage.storage)
    assert len(counts._storage.locks) <= 3


async def test_with_too_many_clients_all_begin_anew(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(limiter, "_MOST_COUNTERS", 50)
    counts = MemoryLimiter([Window("hour", 1, 3600.0)], "api")
    assert [(await counts.take(0, "ann")).allowed for _ in range(2)] == [True, False]
    with caplog.at_level(logging.WARNING):
        for number in range(100):
            await counts.take(0, f"client {number}")

    assert len(counts._storage.storage) <= 51
    assert "more than 50 counters" in caplog.text
    assert (await counts.take(0, "ann")).allowed
