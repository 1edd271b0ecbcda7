"""Group commit, backpressure and what happens while the store is away, on a store that a test controls."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from datetime import timedelta

import pytest

from tidegauge.errors import NotAsAGroup, Overloaded, TidegaugeError, Unavailable
from tidegauge.ingest.writer import Writer
from tidegauge.model.batch import Signal, SpanBatch
from tidegauge.storage.interface import IngestOutcome, IngestRequest


class Store:
    """Remembers what was committed together. ``gate`` holds commits back; ``failures`` are raised first, one a commit."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.failures: list[Exception] = []
        self.poison: str | None = None
        self.entered = asyncio.Event()

    async def commit(self, requests: Sequence[IngestRequest]) -> Sequence[IngestOutcome]:
        self.entered.set()
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        names = [request.endpoint for request in requests]
        if self.poison in names:
            raise ValueError("the database does not like it")
        self.groups.append(names)
        return [IngestOutcome(0, name) for name in names]


def request(name: str, size: int = 10, rows: int = 1) -> IngestRequest:
    batch = SpanBatch(trace_id=[bytes(16)] * rows)
    return IngestRequest(0, Signal.TRACES, name, uuid.uuid4(), batch, 0, size)


def writer(store: Store, **options: object) -> Writer:
    settings: dict[str, object] = {
        "max_pending_bytes": 100,
        "group_max_rows": 100,
        "group_max_bytes": 1000,
        "commit_timeout": timedelta(seconds=5),
    }
    return Writer(store, **(settings | options))  # type: ignore[arg-type]


async def test_an_idle_writer_commits_at_once_and_a_busy_one_in_groups() -> None:
    store = Store()
    async with writer(store) as running:
        store.gate.clear()
        first = asyncio.create_task(running.write(request("first")))
        await store.entered.wait()
        others = [asyncio.create_task(running.write(request(name))) for name in "abc"]
        await asyncio.sleep(0)
        store.gate.set()
        assert [(await task).message for task in (first, *others)] == ["first", "a", "b", "c"]
    assert store.groups == [["first"], ["a", "b", "c"]]


async def test_a_group_is_bounded_by_rows_and_bytes_and_one_large_request_still_goes() -> None:
    store = Store()
    async with writer(store, group_max_rows=10, group_max_bytes=50) as running:
        store.gate.clear()
        first = asyncio.create_task(running.write(request("first")))
        await store.entered.wait()
        sizes = {"rows": (1, 9), "more rows": (1, 9), "large": (500, 50), "after": (1, 1)}
        tasks = [asyncio.create_task(running.write(request(name, size, rows))) for name, (size, rows) in sizes.items()]
        await asyncio.sleep(0)
        store.gate.set()
        await asyncio.gather(first, *tasks)
    assert store.groups == [["first"], ["rows"], ["more rows"], ["large"], ["after"]]


async def test_pending_bytes_are_bounded_and_freed() -> None:
    running = writer(Store())
    with running.admission() as first:
        first.hold(60)
        with running.admission() as second:
            second.hold(40)
            with pytest.raises(Overloaded) as caught:
                second.hold(41)
            assert caught.value.http_status == 429
            assert running.pending_bytes == 100
        first.hold(100)
    assert running.pending_bytes == 0


async def test_a_request_above_the_whole_limit_is_admitted_when_nothing_else_waits() -> None:
    running = writer(Store())
    with running.admission() as share:
        share.hold(5000)
        assert running.pending_bytes == 5000
        with pytest.raises(Overloaded), running.admission() as other:
            other.hold(1)


async def test_a_request_that_breaks_the_store_takes_no_neighbour_with_it() -> None:
    store = Store()
    store.poison = "b"
    async with writer(store) as running:
        store.gate.clear()
        first = asyncio.create_task(running.write(request("first")))
        await store.entered.wait()
        tasks = [asyncio.create_task(running.write(request(name))) for name in "abc"]
        await asyncio.sleep(0)
        store.gate.set()
        await first
        a, b, c = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(a, IngestOutcome)
    assert isinstance(b, TidegaugeError)
    assert isinstance(c, IngestOutcome)


async def test_a_store_that_comes_back_is_tried_again_unseen() -> None:
    store = Store()
    store.failures = [Unavailable("away")]
    async with writer(store) as running:
        assert (await running.write(request("patient"))).message == "patient"
    assert store.groups == [["patient"]]


async def test_a_store_that_stays_away_is_told_after_the_commit_timeout() -> None:
    store = Store()
    store.failures = [Unavailable("away") for _ in range(100)]
    async with writer(store, commit_timeout=timedelta(seconds=0.3)) as running:
        with pytest.raises(Unavailable) as caught:
            await running.write(request("late"))
        assert caught.value.http_status == 503
        store.failures.clear()
        assert (await running.write(request("next"))).message == "next"


async def test_a_commit_that_never_returns_is_given_up_at_the_deadline() -> None:
    store = Store()
    async with writer(store, commit_timeout=timedelta(seconds=0.3)) as running:
        store.gate.clear()
        with pytest.raises(Unavailable, match="took too long"):
            await running.write(request("hung"))
        store.gate.set()
        assert (await running.write(request("next"))).message == "next"


async def test_only_who_waited_too_long_is_told_so() -> None:
    store = Store()
    async with writer(store, commit_timeout=timedelta(seconds=0.3)) as running:
        store.gate.clear()
        early = asyncio.create_task(running.write(request("early")))
        await store.entered.wait()
        loop = asyncio.get_running_loop()
        late = asyncio.create_task(running.write(request("late")))
        loop.call_later(0.35, store.gate.set)
        with pytest.raises(Unavailable):
            await early
        late.cancel()
        assert (await running.write(request("fresh"))).message == "fresh"


async def test_requests_that_keep_each_other_out_are_parted() -> None:
    store = Store()
    store.failures = [NotAsAGroup("contended")]
    async with writer(store) as running:
        outcomes = await asyncio.gather(*(running.write(request(name)) for name in "abc"))
    assert [outcome.message for outcome in outcomes] == ["a", "b", "c"]
    assert store.groups == [["a"], ["b", "c"]]


async def test_what_waits_is_committed_before_the_end_and_nothing_is_taken_after() -> None:
    store = Store()
    running = writer(store)
    async with running:
        store.gate.clear()
        tasks = [asyncio.create_task(running.write(request(name))) for name in "ab"]
        await store.entered.wait()
        store.gate.set()
    assert {(await task).message for task in tasks} == {"a", "b"}
    with pytest.raises(Unavailable), running.admission():
        pass


async def test_a_client_that_gave_up_before_its_turn_gets_nothing_stored() -> None:
    store = Store()
    async with writer(store) as running:
        store.gate.clear()
        first = asyncio.create_task(running.write(request("first")))
        await store.entered.wait()
        gone = asyncio.create_task(running.write(request("gone")))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        store.gate.set()
        await first
    assert store.groups == [["first"]]
