"""Answers that are kept equal those that would be computed."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from tidegauge.model.batch import LogBatch, MetricBatch, NumberColumns, Signal, SpanBatch
from tidegauge.model.query import Aggregation, LogFilter, Tier, TimeRange
from tidegauge.model.records import Epoch, LogCount, Series
from tidegauge.model.tiers import Level, Reading, Segment, StepColumn, Steps
from tidegauge.query import caching
from tidegauge.query.cache_codec import CountCodec, EpochCodec, StepCodec
from tidegauge.query.cached_stores import CachedLogStore, CachedMetricStore, LateIngest
from tidegauge.query.caching import QueryCache, Topic, noting_use
from tidegauge.query.times import DAY_NS
from tidegauge.storage.cache.memory import MemoryCache
from tidegauge.storage.interface import IngestOutcome, IngestRequest

SECOND = 1_000_000_000
STEP = 10 * SECOND
BLOCK = 32 * STEP
# Where ten long blocks begin.
START = 1_790_000_000 * SECOND // (80 * BLOCK) * (80 * BLOCK)
MARGIN = 300 * SECOND


def by_steps(start: int, end: int) -> Reading:
    return Reading(Steps(range(start, end + 1, STEP)), (Segment(Level.RAW, TimeRange(start, end)),))


def series(number: int, type_: str = "gauge", temporality: str | None = None) -> Series:
    return Series(number, type_, "1", temporality, None, None, (), ())


@dataclass
class Clock:
    now_ns: int = START + 100 * BLOCK

    def __call__(self) -> int:
        return self.now_ns


@dataclass
class Store:
    """Metrics, logs and their ingest: what was committed is read. Each read is noted; ``gate`` holds them up."""

    points: list[tuple[int, int, float]] = field(default_factory=list)
    reads: list[TimeRange] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    failure: Exception | None = None

    def __post_init__(self) -> None:
        self.gate.set()

    async def steps(
        self, tenant_id: int, series: Sequence[Series], groups: Sequence[int], reading: Reading, aggregation: Any, limit: int
    ) -> Sequence[StepColumn]:
        found = await self._read(reading.steps.time)
        groups_of = {one.series_id: group for one, group in zip(series, groups, strict=True)}
        sums: dict[tuple[int, int], float] = {}
        for at, series_id, value in found:
            if series_id in groups_of:
                key = groups_of[series_id], reading.steps.start_of(at)
                sums[key] = sums.get(key, 0.0) + value
        columns: dict[int, list[tuple[int, float]]] = {}
        for (group, at), value in sorted(sums.items()):
            columns.setdefault(group, []).append((at, value))
        return [
            StepColumn(group, tuple([at for at, _ in members]), tuple([value for _, value in members]))
            for group, members in columns.items()
        ]

    async def epochs(self, tenant_id: int, series: Sequence[Series], time: TimeRange, tier: Tier, limit: int) -> Sequence[Epoch]:
        return [Epoch(1, at, None, 1, value, value, value, value, value) for at, _, value in sorted(await self._read(time))][:limit]

    async def count_logs(self, tenant_id: int, wanted: LogFilter, step_ns: int) -> Sequence[LogCount]:
        counts: dict[tuple[int, int], int] = {}
        for at, severity, _ in await self._read(wanted.time):
            key = at // step_ns * step_ns, severity
            counts[key] = counts.get(key, 0) + 1
        return [LogCount(*key, count) for key, count in sorted(counts.items())]

    async def delete_logs(self, tenant_id: int, wanted: LogFilter) -> int:
        self.points = [point for point in self.points if not wanted.time.start_ns <= point[0] < wanted.time.end_ns]
        return 0

    async def commit(self, requests: Sequence[IngestRequest]) -> Sequence[IngestOutcome]:
        for request in requests:
            if isinstance(request.batch, MetricBatch):
                columns = request.batch.numbers
                self.points += zip(columns.time_unix_nano, columns.series, columns.value, strict=True)  # type: ignore[arg-type]
            elif isinstance(request.batch, LogBatch):
                self.points += [(at, 9, 0.0) for at in request.batch.time_unix_nano]
        if self.failure is not None:
            raise self.failure
        return [IngestOutcome(0, "")] * len(requests)

    async def _read(self, time: TimeRange) -> list[tuple[int, int, float]]:
        self.reads.append(time)
        found = [point for point in self.points if time.start_ns <= point[0] < time.end_ns]
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return found


@dataclass
class Product:
    """One worker."""

    store: Store
    clock: Clock
    bytes_: Any = field(default_factory=lambda: MemoryCache(1 << 20))
    shared: bool = False

    def __post_init__(self) -> None:
        ttl, margin = timedelta(minutes=10), timedelta(microseconds=MARGIN // 1000)
        self.cache = QueryCache(self.bytes_, "db", ttl, margin, shared=self.shared, now_ns=self.clock)
        self.metrics = CachedMetricStore(self.store, self.cache)  # type: ignore[arg-type]
        self.logs = CachedLogStore(self.store, self.cache)  # type: ignore[arg-type]
        self.ingest = LateIngest(self.store, self.cache)

    async def asked(self, start: int, end: int, **more: Any) -> Sequence[StepColumn]:
        options: dict[str, Any] = {
            "series": [series(1), series(2)],
            "groups": [0, 1],
            "aggregation": Aggregation.SUM,
            "limit": 10_000,
        } | more
        return await self.metrics.steps(
            0, options["series"], options["groups"], by_steps(start, end), options["aggregation"], options["limit"]
        )

    async def sent(self, *times: int, signal: Signal = Signal.METRICS) -> None:
        batch: Any = MetricBatch(numbers=NumberColumns([1] * len(times), list(times), [None] * len(times), [1.0] * len(times)))
        if signal is Signal.LOGS:
            batch = LogBatch(ordinal=list(range(len(times))), time_unix_nano=list(times), observed_time_unix_nano=[0] * len(times))
        await self.ingest.commit([IngestRequest(0, signal, "", uuid4(), batch, self.clock(), 0)])


@pytest.fixture
def product() -> Product:
    store = Store(points=[(START + number * SECOND, 1 + number % 2, number / 7) for number in range(0, 100 * 320, 3)])
    return Product(store, Clock())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - other tasks make it true
            await asyncio.sleep(0)


async def test_closed_blocks_are_read_once_and_the_rest_each_time(product: Product) -> None:
    start, end = START + 90 * BLOCK - 3 * STEP, START + 100 * BLOCK
    first = await product.asked(start, end)
    assert product.store.reads == [TimeRange(start, end)]

    assert await product.asked(start, end) == first
    # 300 s before now ended the 98th block, and the 99th did not.
    assert product.store.reads[1:] == [TimeRange(START + 99 * BLOCK, end)]
    assert (product.cache.statistics.hits, product.cache.statistics.misses) == (10, 10)


@pytest.mark.parametrize(
    ("first", "last"),
    [(50 * 32, 60 * 32), (50 * 32 - 7, 90 * 32 + 9), (50 * 32 + 3, 50 * 32 + 8), (50 * 32 - 3, 50 * 32 + 3), (56 * 32, 64 * 32)],
)
async def test_of_a_range_that_is_closed_nothing_is_read_twice(product: Product, first: int, last: int) -> None:
    time = START + first * STEP, START + last * STEP
    before = await product.asked(*time)
    assert await product.asked(*time) == before
    assert product.store.reads == [TimeRange(*time)]


async def test_a_range_that_moves_on_finds_most_of_it(product: Product) -> None:
    length, moves = 20 * BLOCK, 400
    await product.asked(product.clock() - length, product.clock())
    product.store.reads.clear()
    for _ in range(moves):
        product.clock.now_ns += STEP
        asked = product.clock() - length, product.clock()
        answer = await product.asked(*asked)
        assert max(read.end_ns for read in product.store.reads) == product.clock()
    assert answer == await product.store.steps(0, [series(1), series(2)], [0, 1], by_steps(*asked), None, 10_000)
    assert sum(read.end_ns - read.start_ns for read in product.store.reads) < 0.2 * moves * length


async def test_what_arrives_late_is_seen_at_once(product: Product) -> None:
    start, end = START + 50 * BLOCK, START + 60 * BLOCK
    before = await product.asked(start, end)
    await product.sent(start)

    after = await product.asked(start, end)
    assert after[0].values[0] == before[0].values[0] + 1
    assert after[1:] == before[1:]


async def test_what_a_failed_commit_may_have_stored_is_seen_at_once(product: Product) -> None:
    start, end = START + 50 * BLOCK, START + 60 * BLOCK
    before = await product.asked(start, end)
    product.store.failure = ConnectionError()
    with pytest.raises(ConnectionError):
        await product.sent(start)
    product.store.failure = None

    assert (await product.asked(start, end))[0].values[0] == before[0].values[0] + 1


async def test_what_arrives_at_its_pace_leaves_what_is_kept(product: Product) -> None:
    start, end = START + 50 * BLOCK, START + 60 * BLOCK
    await product.asked(start, end)
    await product.sent(product.clock() - MARGIN, product.clock())
    await product.ingest.commit([IngestRequest(0, Signal.TRACES, "", uuid4(), SpanBatch(), 0, 0)])
    await product.sent(START, signal=Signal.LOGS)
    await product.asked(start, end)

    assert len(product.store.reads) == 1


async def test_nothing_is_kept_until_what_is_late_has_settled(product: Product) -> None:
    start, end = START + 50 * BLOCK, START + 60 * BLOCK
    await product.asked(start, end)
    await product.sent(start)
    for _ in range(2):
        await product.asked(start, end)
    assert len(product.store.reads) == 3
    product.clock.now_ns += 6 * SECOND
    for _ in range(2):
        await product.asked(start, end)

    assert len(product.store.reads) == 4


async def test_different_questions_are_kept_apart(product: Product) -> None:
    start, end = START + 50 * BLOCK, START + 60 * BLOCK
    variants: list[Mapping[str, Any]] = [
        {},
        {"groups": [0, 0]},
        {"series": [series(2), series(1)]},
        {"series": [series(1)], "groups": [0]},
        {"aggregation": Aggregation.AVG},
    ]
    cold = [await product.asked(start, end, **variant) for variant in variants]

    assert len(product.store.reads) == len(variants)
    assert [await product.asked(start, end, **variant) for variant in variants] == cold
    assert len(product.store.reads) == len(variants)
    await product.metrics.steps(1, [series(1), series(2)], [0, 1], by_steps(start, end), Aggregation.SUM, 10_000)
    assert len(product.store.reads) == len(variants) + 1


async def test_what_rises_from_before_is_kept_whole_or_not_at_all(product: Product) -> None:
    rising = {"series": [series(1, "sum", "cumulative")], "groups": [0], "aggregation": Aggregation.INCREASE}
    closed, open_ = (START + 50 * BLOCK, START + 60 * BLOCK), (START + 50 * BLOCK, product.clock())
    for start, end in (closed, closed, open_, open_, (closed[0] + BLOCK, closed[1])):
        await product.asked(start, end, **rising)

    assert product.store.reads == [TimeRange(*closed), TimeRange(*open_), TimeRange(*open_), TimeRange(closed[0] + BLOCK, closed[1])]


async def test_steps_that_begin_elsewhere_than_blocks_are_not_cut(product: Product) -> None:
    # A single one, within which a block would end.
    time = START + 50 * BLOCK - STEP, START + 51 * BLOCK - STEP
    reading = Reading(Steps(range(time[0], time[1] + 1, BLOCK)), (Segment(Level.RAW, TimeRange(*time)),))
    found = [await product.metrics.steps(0, [series(1)], [0], reading, Aggregation.SUM, 10) for _ in range(2)]
    assert [len(column.times) for column in found[0]] == [1]
    assert found[0] == found[1]
    assert product.store.reads == [TimeRange(*time)]


async def test_what_has_no_times_may_stand_beside_the_rest(product: Product) -> None:
    class WithEmpty(Store):
        async def steps(self, *asked: Any) -> Sequence[StepColumn]:
            return [*await super().steps(*asked), StepColumn(7, (), ())]

    start, end = START + 90 * BLOCK, product.clock()
    worker = Product(WithEmpty(product.store.points), product.clock)
    for _ in range(2):
        assert (await worker.asked(start, end))[:2] == await product.asked(start, end)


async def test_rollups_of_many_series_are_kept(product: Product) -> None:
    """No entry may be more than a quarter of the cache, as that of all these days would be."""
    days = TimeRange(START // (8 * DAY_NS) * 8 * DAY_NS, (START // (8 * DAY_NS) + 1) * 8 * DAY_NS)
    product.store.points = [(at, 1, number / 7) for at in range(days.start_ns, days.end_ns, 3600 * SECOND) for number in range(100)]
    worker = Product(product.store, product.clock, MemoryCache(1 << 22))
    product.clock.now_ns = days.end_ns + 2 * MARGIN
    for _ in range(2):
        assert len(await worker.metrics.epochs(0, [series(1)], days, Tier.HOURLY, 100_000)) == 8 * 24 * 100
    assert len(product.store.reads) == 1


async def test_an_answer_that_is_cut_off_is_not_kept(product: Product) -> None:
    days = START // DAY_NS * DAY_NS, START // DAY_NS * DAY_NS + DAY_NS
    product.clock.now_ns = days[1] + 2 * MARGIN
    assert len(await product.metrics.epochs(0, [series(1)], TimeRange(*days), Tier.HOURLY, 50)) == 50
    assert len(await product.metrics.epochs(0, [series(1)], TimeRange(*days), Tier.HOURLY, 10_000)) > 50
    assert len(product.store.reads) == 2


async def test_one_reads_for_all_who_wait(product: Product) -> None:
    start, end = START + 50 * BLOCK, START + 60 * BLOCK
    product.store.gate.clear()
    asking = [asyncio.create_task(product.asked(start, end)) for _ in range(10)]
    await until(lambda: bool(product.store.reads))
    await asyncio.sleep(0)
    product.store.gate.set()
    answers = await asyncio.gather(*asking)

    assert len(product.store.reads) == 1
    assert all(answer == answers[0] for answer in answers)


async def test_one_of_those_who_wait_for_one_that_gives_up_reads_for_all(product: Product) -> None:
    start, end = START + 50 * BLOCK, START + 60 * BLOCK
    expected = await Product(product.store, product.clock).asked(start, end)
    product.store.reads.clear()
    product.store.gate.clear()
    asking = [asyncio.create_task(product.asked(start, end)) for _ in range(10)]
    await until(lambda: bool(product.store.reads))
    await asyncio.sleep(0)
    asking[0].cancel()
    await until(lambda: len(product.store.reads) > 1)
    product.store.gate.set()

    assert await asyncio.gather(*asking[1:]) == [expected] * 9
    assert len(product.store.reads) == 2


async def test_who_asks_after_something_late_does_not_wait_for_who_asked_before(product: Product) -> None:
    start, end = START + 50 * BLOCK, START + 60 * BLOCK
    product.store.gate.clear()
    before = asyncio.create_task(product.asked(start, end))
    await until(lambda: bool(product.store.reads))
    product.clock.now_ns += 1
    await product.sent(start)
    product.clock.now_ns += 1
    after = asyncio.create_task(product.asked(start, end))
    await until(lambda: len(product.store.reads) > 1)
    product.store.gate.set()

    assert (await after)[0].values[0] == (await before)[0].values[0] + 1
    product.clock.now_ns += 10 * SECOND
    assert await product.asked(start, end) == await after


async def test_errors_reach_who_asked_and_are_not_kept(product: Product) -> None:
    start, end = START + 50 * BLOCK, START + 60 * BLOCK
    product.store.failure = ConnectionError()
    with pytest.raises(ConnectionError):
        await product.asked(start, end)
    product.store.failure = None

    assert sum(len(column.times) for column in await product.asked(start, end)) == 2 * 320


async def test_workers_that_share_a_cache_tell_each_other_what_is_late(product: Product) -> None:
    bytes_ = MemoryCache(1 << 20)
    here, there = (Product(product.store, product.clock, bytes_, shared=True) for _ in range(2))
    start, end = START + 50 * BLOCK, START + 60 * BLOCK
    before = await here.asked(start, end)
    assert await there.asked(start, end) == before
    assert len(product.store.reads) == 1
    product.clock.now_ns += 1
    await there.sent(start)
    async with asyncio.timeout(10):
        while (after := await here.asked(start, end)) == before:  # noqa: ASYNC110 - the other worker makes it true
            await asyncio.sleep(0)

    assert after[0].values[0] == before[0].values[0] + 1
    await there.cache.__aexit__()


async def test_what_cannot_be_read_back_is_read_anew(product: Product) -> None:
    class Broken(MemoryCache):
        async def get(self, tenant_id: int, keys: Sequence[str]) -> Sequence[bytes | None]:
            return [None if value is None else value[:-3] for value in await super().get(tenant_id, keys)]

    broken = Product(product.store, product.clock, Broken(1 << 20))
    start, end = START + 50 * BLOCK, START + 60 * BLOCK
    assert await broken.asked(start, end) == await broken.asked(start, end) == await product.asked(start, end)


async def test_requests_can_tell_what_they_found(product: Product) -> None:
    start, end = START + 50 * BLOCK, START + 60 * BLOCK
    with noting_use() as first:
        await product.asked(start, end)
    product.clock.now_ns += 7 * SECOND
    with noting_use() as second:
        await product.asked(start, end + BLOCK)

    assert (first.hits, first.misses, first.oldest_ns) == (0, 10, 0)
    assert (second.hits, second.misses, second.oldest_ns) == (10, 1, product.clock() - 7 * SECOND)


async def test_log_counts_are_kept_and_deletion_is_seen(product: Product) -> None:
    wanted = LogFilter(TimeRange(START + 50 * BLOCK, START + 60 * BLOCK), text="a")
    counts = await product.logs.count_logs(0, wanted, STEP)
    assert await product.logs.count_logs(0, wanted, STEP) == counts
    assert len(product.store.reads) == 1
    await product.logs.count_logs(0, LogFilter(wanted.time, text="b"), STEP)
    assert len(product.store.reads) == 2
    product.clock.now_ns += 1
    await product.logs.delete_logs(0, wanted)
    assert await product.logs.count_logs(0, wanted, STEP) == []
    await product.sent(wanted.time.start_ns, signal=Signal.LOGS)
    assert await product.logs.count_logs(0, wanted, STEP) == [LogCount(wanted.time.start_ns, 9, 1)]


async def test_rollups_are_kept_by_day(product: Product) -> None:
    day = 86_400 * SECOND
    time = TimeRange(START // day * day - day, START // day * day)
    product.store.points = [(time.start_ns + hour * 3600 * SECOND, 1, float(hour)) for hour in range(24)]
    rows = await product.metrics.epochs(0, [series(1)], time, Tier.HOURLY, 1000)
    assert len(rows) == 24
    assert await product.metrics.epochs(0, [series(1)], time, Tier.HOURLY, 1000) == rows
    assert len(product.store.reads) == 1


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_happens_the_answer_is_the_store_s_own(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers that share a cache, points on time and late, ranges of all kinds, small memory."""
    monkeypatch.setattr(caching, "_TELL_SECONDS", 0)
    chosen = random.Random(seed)
    store, clock, bytes_ = Store(), Clock(), MemoryCache(1 << 16)
    workers = [Product(store, clock, bytes_, shared=True) for _ in range(2)]
    for _ in range(150):
        worker = chosen.choice(workers)
        match chosen.randrange(4):
            case 0:
                clock.now_ns += chosen.randrange(20 * SECOND)
            case 1:
                age = chosen.randrange(MARGIN) if chosen.random() < 0.7 else chosen.randrange(3 * MARGIN)
                await worker.sent(*[clock() - age + number * SECOND for number in range(chosen.randrange(1, 4))])
                clock.now_ns += 1
                await until(lambda cache=worker.cache: cache._told == cache._late)
            case _:
                end = (clock() - chosen.choice([0, chosen.randrange(4 * BLOCK)])) // STEP * STEP + STEP
                start = end - chosen.randrange(1, 20 * 32) * STEP
                asked = await worker.asked(start, end)
                assert asked == await store.steps(0, [series(1), series(2)], [0, 1], by_steps(start, end), None, 10_000)
    assert sum(worker.cache.statistics.hits for worker in workers) > 0
    for worker in workers:
        await worker.cache.__aexit__()


def test_rows_are_read_back_as_they_were() -> None:
    steps = [
        StepColumn(0, (START, START + 1), (-0.0, 1e-320)),
        StepColumn(1, (START, START + 1), (0.0, math.nan)),
        StepColumn(2**31, (START,), (math.inf,), 2**40, 0.1),
        StepColumn(2**31, (), ()),
        StepColumn(2**31, (START,), (5.0,)),
    ]
    assert repr(StepCodec().decode(StepCodec().encode(steps))) == repr(steps)
    epochs = [
        Epoch(2**62, START, None, 2**60, None, 0.1, -math.inf, -0.0, None),
        Epoch(1, START, 5, 1, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, (1, 2**62), (), None),
        Epoch(1, START, 5, 1, math.nan, 2.0, 3.0, 4.0, 5.0),
    ]
    assert repr(EpochCodec().decode(EpochCodec().encode(epochs))) == repr(epochs)
    counts = [LogCount(START, 0, 2**40), LogCount(START + 1, 24, 1)]
    assert CountCodec().decode(CountCodec().encode(counts)) == counts
    for codec in (StepCodec(), EpochCodec(), CountCodec()):
        assert codec.decode(codec.encode([])) == []
        assert codec.decode(b"{nonsense") is None


def test_what_comes_when_nothing_is_kept_is_not_looked_at() -> None:
    cache = QueryCache(MemoryCache(1 << 16), "db", timedelta(minutes=1), timedelta(minutes=5), shared=False, now_ns=Clock())
    assert cache.closed_before_ns() == 0
    assert Topic("logs") is Topic.LOGS


async def test_what_was_kept_before_the_store_was_away_is_read_anew(product: Product) -> None:
    bytes_ = Away(1 << 20)
    here, there = (Product(product.store, product.clock, bytes_, shared=True) for _ in range(2))
    start, end = START + 50 * BLOCK, START + 60 * BLOCK
    before = await here.asked(start, end)
    bytes_.away = True
    product.clock.now_ns += 1
    assert await here.asked(start, end) == before
    refused = bytes_.refused
    await there.sent(start)
    # The other worker has tried to tell what came late by it, and will again soon.
    await until(lambda: bytes_.refused > refused)
    bytes_.away = False
    assert (await here.asked(start, end))[0].values[0] == before[0].values[0] + 1
    await there.cache.__aexit__()


class Away(MemoryCache):
    """May be away."""

    away = False
    refused = 0

    async def get(self, tenant_id: int, keys: Sequence[str]) -> Sequence[bytes | None]:
        self.failures += self.away
        return [None for _ in keys] if self.away else await super().get(tenant_id, keys)

    async def set(self, tenant_id: int, entries: Mapping[str, bytes], ttl: timedelta) -> None:
        self.failures += self.away
        self.refused += self.away
        if not self.away:
            await super().set(tenant_id, entries, ttl)
