"""Group commit, backpressure and what happens while the store is away, on a store that a test controls."""

from __future__ import annotations

import asyncio
import gc
import uuid
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from tidegauge.errors import NotAsAGroup, Overloaded, TidegaugeError, Unavailable
from tidegauge.ingest.writer import Writer
from tidegauge.model.batch import Signal, SpanBatch
from tidegauge.storage.interface import IngestOutcome, IngestRequest


class Store:
    """Remembers what was committed together. ``failures`` are raised first, one a commit.

    ``gate`` holds commits back; ``gates`` those of groups that begin with a certain request. ``loner`` is stored only alone;
    a commit that is cancelled ends once ``stubborn`` lets it.
    """

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.gates: dict[str, asyncio.Event] = {}
        self.loner: str | None = None
        self.failures: list[Exception] = []
        self.poison: str | None = None
        self.entered = asyncio.Event()
        self.under_way = self.most_under_way = 0
        self.stubborn: asyncio.Event | None = None

    async def commit(self, requests: Sequence[IngestRequest]) -> Sequence[IngestOutcome]:
        names = [request.endpoint for request in requests]
        if self.loner in names and len(names) > 1:
            raise NotAsAGroup("one of them is refused")
        self.entered.set()
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self.gates.get(names[0], self.gate).wait()
        except asyncio.CancelledError:
            if self.stubborn is not None:
                await self.stubborn.wait()
            raise
        finally:
            self.under_way -= 1
        if self.failures:
            raise self.failures.pop(0)
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


async def test_a_deadline_holds_also_while_the_store_does_not_let_go_of_a_commit() -> None:
    """As a database that hangs: a statement that is told to end takes its time; what waits in the queue is told in time as well."""
    store = Store()
    store.stubborn = asyncio.Event()
    store.gate.clear()
    async with writer(store, commit_timeout=timedelta(seconds=0.3)) as running:
        hung = asyncio.create_task(running.write(request("hung")))
        await store.entered.wait()
        queued = [asyncio.create_task(running.write(request(name))) for name in "ab"]
        async with asyncio.timeout(10):
            answers = await asyncio.gather(hung, *queued, return_exceptions=True)
        assert store.under_way == 1
        store.gate.set()
        store.stubborn.set()
        assert (await running.write(request("next"))).message == "next"
    assert [str(answer) for answer in answers] == ["the commit took too long"] * 3
    assert store.groups == [["next"]]


class _Batch(SpanBatch):
    """One that can be watched."""


async def test_who_gave_up_holds_no_place_in_the_queue() -> None:
    """Clients that go away while the store hangs are not counted any more: what they sent must not be kept."""
    store = Store()
    store.gate.clear()
    async with writer(store) as running:
        first = asyncio.create_task(running.write(request("first")))
        await store.entered.wait()
        sent = [replace(request("gone"), batch=_Batch()) for _ in range(3)]
        batches = [weakref.ref(each.batch) for each in sent]
        gone = [asyncio.create_task(running.write(each)) for each in sent]
        await asyncio.sleep(0)
        for task in gone:
            task.cancel()
        await asyncio.wait(gone)
        del gone, sent, task
        gc.collect()
        assert [batch() for batch in batches] == [None, None, None]
        store.gate.set()
        await first


async def test_a_commit_goes_on_while_anybody_of_its_group_waits() -> None:
    """Were it broken off at the first deadline, those of a busy moment would all be given up, one after the other."""
    store = Store()
    async with writer(store, commit_timeout=timedelta(seconds=1), group_max_rows=2) as running:
        store.gates["first"], store.gates["early"] = asyncio.Event(), asyncio.Event()
        first = asyncio.create_task(running.write(request("first")))
        await store.entered.wait()
        early = asyncio.create_task(running.write(request("early")))
        await asyncio.sleep(0.4)
        late = asyncio.create_task(running.write(request("late")))
        await asyncio.sleep(0)
        store.gates["first"].set()
        await first
        with pytest.raises(Unavailable):
            await early
        store.gates["early"].set()
        assert (await late).message == "late"
    assert store.groups == [["first"], ["early", "late"]]


async def test_a_request_in_anothers_way_does_not_make_the_store_away() -> None:
    store = Store()
    store.failures = [NotAsAGroup("contended")] * 100
    running = writer(store, commit_timeout=timedelta(seconds=0.2))
    async with running:
        with pytest.raises(Unavailable):
            await running.write(request("contended"))
        with running.admission() as share:
            share.hold(90)
            with running.admission() as other, pytest.raises(Overloaded):
                other.hold(20)
        store.failures.clear()


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


async def until(condition: Callable[[], bool]) -> None:
    """Come back when it is so; the test's time limit ends a wait for what never comes."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - a condition of the store, not an event
            await asyncio.sleep(0.001)


async def test_a_second_group_goes_while_the_first_is_under_way_and_may_end_before_it() -> None:
    store = Store()
    store.gates["first"] = asyncio.Event()
    async with writer(store, groups=2) as running:
        first = asyncio.create_task(running.write(request("first")))
        await store.entered.wait()
        assert [outcome.message for outcome in await asyncio.gather(*(running.write(request(name)) for name in "ab"))] == ["a", "b"]
        assert not first.done()
        store.gates["first"].set()
        await first
    assert store.groups == [["a", "b"], ["first"]]


async def test_no_more_groups_are_under_way_than_said_and_the_others_share_the_next() -> None:
    store = Store()
    store.gate.clear()
    async with writer(store, groups=2) as running:
        tasks = [asyncio.create_task(running.write(request("first")))]
        await until(lambda: store.under_way == 1)
        tasks.append(asyncio.create_task(running.write(request("second"))))
        await until(lambda: store.under_way == 2)
        tasks += [asyncio.create_task(running.write(request(name))) for name in "abc"]
        # Longer than anything waits for company.
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(tasks[2]), 0.3)
        store.gate.set()
        await asyncio.gather(*tasks)
    assert store.most_under_way == 2
    assert store.groups[2:] == [["a", "b", "c"]]


async def test_a_full_group_does_not_wait_for_company() -> None:
    store = Store()
    store.gates["first"] = asyncio.Event()
    async with writer(store, groups=2, group_max_rows=2) as running:
        first = asyncio.create_task(running.write(request("first")))
        await store.entered.wait()
        await asyncio.gather(*(running.write(request(name)) for name in "abcd"))
        store.gates["first"].set()
        await first
    assert store.groups[:2] == [["a", "b"], ["c", "d"]]


async def test_requests_that_are_here_already_go_with_the_first_one_that_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    # As if the clock stood still: nobody is left behind for being slow on a busy machine.
    monkeypatch.setattr("tidegauge.ingest.writer._COMING_SECONDS", 60)
    monkeypatch.setattr("tidegauge.ingest.writer._PAUSE_SECONDS", 60)
    store = Store()
    async with writer(store) as running:
        with running.admission(10) as second:
            second.arrived()
            first = asyncio.create_task(running.write(request("first")))
            for _ in range(5):
                await asyncio.sleep(0)
            second.handed_over()
            await running.write(request("second"))
        await first
    assert store.groups == [["first", "second"]]


async def test_a_body_that_comes_slowly_is_not_waited_for() -> None:
    store = Store()
    async with writer(store) as running:
        with running.admission(10):
            await running.write(request("first"))
        assert store.groups == [["first"]]


async def test_neighbours_of_a_bad_request_do_not_wait_for_it() -> None:
    """It takes the database long to say what is wrong with it; meanwhile those of its group and later ones are stored."""
    store = Store()
    store.loner = "bad"
    store.gates["bad"] = asyncio.Event()
    async with writer(store) as running:
        good, bad, neighbour = (asyncio.create_task(running.write(request(name))) for name in ("good", "bad", "neighbour"))
        assert (await good).message == "good"
        assert (await neighbour).message == "neighbour"
        assert (await running.write(request("later"))).message == "later"
        assert not bad.done()
        store.gates["bad"].set()
        assert (await bad).message == "bad"


async def test_several_groups_are_all_committed_before_the_end() -> None:
    store = Store()
    running = writer(store, groups=3, group_max_rows=1)
    store.gate.clear()
    async with running:
        tasks = [asyncio.create_task(running.write(request(name))) for name in "abcde"]
        await until(lambda: store.under_way == 3)
        asyncio.get_running_loop().call_soon(store.gate.set)
    assert [task.result().message for task in tasks] == list("abcde")


async def test_an_end_that_would_take_too_long_tells_who_was_not_stored() -> None:
    store = Store()
    store.gates["hung"] = asyncio.Event()
    async with writer(store, groups=2, group_max_rows=1, close_timeout=timedelta(seconds=0.2)) as running:
        hung = [asyncio.create_task(running.write(request("hung")))]
        await until(lambda: store.under_way == 1)
        stored = asyncio.create_task(running.write(request("stored")))
        hung += [asyncio.create_task(running.write(request("hung"))) for _ in range(3)]
        await asyncio.sleep(0)
    assert (await stored).message == "stored"
    answers = await asyncio.gather(*hung, return_exceptions=True)
    assert all(isinstance(answer, Unavailable) for answer in answers)
    assert store.under_way == 0
    with pytest.raises(Unavailable):
        await running.write(request("after the end"))
