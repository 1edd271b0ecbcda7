"""Answers over closed time steps are kept for a while; what may still change is read each time.

A range of whole steps is cut into blocks of so many steps, which begin at multiples of their length since the Unix epoch: a dashboard that
shows "the last hour" finds most of its blocks again a minute later. Of long ranges eight make one where they can, for each costs time; what
is left at the ends is one as well, as it is until the next step begins. A block is kept when it ended ``margin`` ago or more, so that what
arrives at its usual pace is in it. What arrives later all the same makes everything kept of its topic worthless (:meth:`QueryCache.late`),
in this process before its sender is answered, in others a moment later: kept answers equal those that would be computed.

One computation serves all who wait for the same block; the cache's failures are misses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from hashlib import blake2b
from itertools import chain
from typing import Any, Generic, Self, TypeVar

from tidegauge.model.query import TimeRange
from tidegauge.query.cache_codec import Codec
from tidegauge.storage.cache_interface import Cache

Row = TypeVar("Row")

# Version of what is kept: another one's entries are not found.
_FORMAT = 2
# For so long after something late nothing is kept: clocks of workers differ, and a log store shows what it took only after its refresh.
_SETTLE_NS = 5_000_000_000
# More in one answer would push out too much else.
_MOST_BLOCKS = 1000
_LONG_BLOCK = 8
_STAMP_BYTES = 8
# Others know of what is late no later than this, and are told no more often.
_TELL_SECONDS = 0.05
_LAST_WORDS_SECONDS = 1.0


class Topic(Enum):
    """What becomes worthless together."""

    METRICS = "metrics"
    ROLLUPS = "rollups"
    LOGS = "logs"


@dataclass(slots=True)
class CacheUse:
    """What one request found: blocks, and when the oldest of them was computed."""

    hits: int = 0
    misses: int = 0
    oldest_ns: int = 0


_use: ContextVar[CacheUse | None] = ContextVar("cache_use", default=None)


@contextmanager
def noting_use() -> Iterator[CacheUse]:
    """What the queries of the block find in the cache."""
    use = CacheUse()
    token = _use.set(use)
    try:
        yield use
    finally:
        _use.reset(token)


@dataclass(slots=True)
class CacheStatistics:
    """Of this process, in blocks; ``bypassed``: questions that have none, for all they ask about may still change."""

    hits: int = 0
    misses: int = 0
    bypassed: int = 0


@dataclass(frozen=True, slots=True)
class Question(Generic[Row]):
    """A question about a range of time, whose answer is rows that belong to one block each.

    Attributes:
        topic: see :class:`Topic`.
        subject: all that the answer depends on beside the time; its ``repr`` says it.
        time: the range.
        block_ns: a block's length; None where an answer cannot be cut: then ``time`` is one block.
        read: reads the rows of a part of the range.
        limit: of ``read``; a part that has so many rows is not complete.
        codec: rows to bytes and back.
        order: key that sorts the rows of all parts as ``read`` sorts those of one.
        at_most: how long an answer is kept that may change unseen.

    """

    topic: Topic
    subject: object
    time: TimeRange
    block_ns: int | None
    read: Callable[[TimeRange], Awaitable[Sequence[Row]]]
    limit: int
    codec: Codec[Row]
    order: Callable[[Row], Any]
    at_most: timedelta = timedelta.max


@dataclass(slots=True)
class _Computation:
    """A block that somebody reads; the result is None where that failed, and cancelled where nobody is left who reads."""

    started_ns: int
    result: asyncio.Future[Sequence[Any] | None]


class QueryCache:
    """The policy above, on a store of bytes. For one event loop.

    Args:
        cache: what keeps them.
        namespace: tells apart what others keep in the same store of other databases.
        ttl: how long at most.
        margin: how long after its end a block may be kept.
        shared: whether other processes keep answers there.
        now_ns: the clock, which all who share the cache have.
        count: is told of blocks: ``hit`` or ``miss`` and how many; and of ``error``: the store was away.

    """

    def __init__(
        self,
        cache: Cache,
        namespace: str,
        ttl: timedelta,
        margin: timedelta,
        *,
        shared: bool,
        now_ns: Callable[[], int],
        count: Callable[[str, int], None] = lambda _result, _times: None,
    ) -> None:
        self.statistics = CacheStatistics()
        self._count = count
        self._cache = cache
        self._prefix = f"{_FORMAT}:{namespace}"
        self._ttl = ttl
        self._margin_ns = round(margin.total_seconds() * 1e9)
        self._shared = shared
        self._now_ns = now_ns
        self._late: dict[tuple[int, Topic], int] = {}
        self._told: dict[tuple[int, Topic], int] = {}
        self._telling: asyncio.Task[None] | None = None
        self._computing: dict[tuple[int, str], _Computation] = {}
        self._kept_until_ns = 0
        self._away_ns = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """What is late is still told, where that does not take long."""
        if self._telling is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._telling, _LAST_WORDS_SECONDS)

    def closed_before_ns(self) -> int:
        """What ended by then may be kept, and is late where it comes now. 0 where nobody has kept anything: then nothing is late."""
        if not self._shared and not self._computing and self._kept_until_ns < self._now_ns():
            return 0
        return self._now_ns() - self._margin_ns

    def late(self, tenant_id: int, topic: Topic) -> None:
        """What was closed has changed: nothing that is kept of the topic counts from now on. Returns at once."""
        self._late[tenant_id, topic] = self._now_ns()
        if self._shared and (self._telling is None or self._telling.done()):
            self._telling = asyncio.create_task(self._tell(), name="cache-late")

    async def rows(self, tenant_id: int, question: Question[Row]) -> Sequence[Row]:
        """The answer, as much of it as can be from what is kept. Raises what reading raises."""
        blocks = self._blocks(question)
        if not blocks:
            self.statistics.bypassed += 1
            return await question.read(question.time)
        keys = dict(zip(self._keys(question, blocks), blocks, strict=True))
        kept, late_ns = await self._kept(tenant_id, question, list(keys))
        others = self._others(tenant_id, [key for key in keys if key not in kept], late_ns)
        own = {key: block for key, block in keys.items() if key not in kept and key not in others}
        self._note(len(kept) + len(others), len(own))
        parts = list(kept.values())
        covered = [block for key, block in keys.items() if key not in own]
        parts += await self._computed(tenant_id, question, own, _gaps(question.time, covered), late_ns)
        if others:
            await asyncio.wait([computation.result for computation in others.values()])
        if any(computation.result.cancelled() for computation in others.values()):
            # Its client went away: the first of those who wait reads it, for all of them.
            return await self.rows(tenant_id, question)
        for key, computation in others.items():
            rows = computation.result.result()
            # Where it failed each reads by itself: the other may have asked for far more.
            parts.append(await question.read(keys[key]) if rows is None else rows)
        return parts[0] if len(parts) == 1 else sorted(chain.from_iterable(parts), key=question.order)

    def _blocks(self, question: Question[Row]) -> list[TimeRange]:
        time, length = question.time, question.block_ns
        closed_ns = self._now_ns() - self._margin_ns
        if length is None:
            return [time] if time.end_ns <= closed_ns else []
        end_ns = time.end_ns if time.end_ns <= closed_ns else closed_ns // length * length
        found = _in_blocks(time.start_ns, end_ns, length)
        return found if len(found) <= _MOST_BLOCKS else []

    def _keys(self, question: Question[Row], blocks: Sequence[TimeRange]) -> list[str]:
        subject = blake2b(repr(question.subject).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        return [f"{self._prefix}:{question.topic.value}:{subject}:{block.start_ns}:{block.end_ns}" for block in blocks]

    async def _kept(self, tenant_id: int, question: Question[Row], keys: Sequence[str]) -> tuple[dict[str, Sequence[Row]], int]:
        """What is kept and still counts, and when something late came last."""
        failures = self._cache.failures
        told, *values = await self._cache.get(tenant_id, [self._late_key(question.topic), *keys])
        if self._cache.failures != failures:
            self._count("error", 1)
            self._away_ns = self._now_ns()
        key_of_late = tenant_id, question.topic
        late_ns = max(_stamp(told), self._late.get(key_of_late, 0))
        if _stamp(told) == late_ns > 0:
            # Remembered, for the store may lose it.
            self._late[key_of_late] = self._told[key_of_late] = late_ns
        found: dict[str, Sequence[Row]] = {}
        for key, value in zip(keys, values, strict=True):
            computed_ns = _stamp(value)
            # While the store was away others could not say what came late, and may not have done so yet.
            if value is None or computed_ns <= max(late_ns + _SETTLE_NS, self._away_ns):
                continue
            rows = question.codec.decode(value[_STAMP_BYTES:])
            if rows is not None:
                found[key] = rows
                if (use := _use.get()) is not None:
                    use.oldest_ns = min(use.oldest_ns or computed_ns, computed_ns)
        return found, late_ns

    def _others(self, tenant_id: int, keys: Sequence[str], late_ns: int) -> dict[str, _Computation]:
        """What others are reading at this moment, and began to after anything late came."""
        found = {key: self._computing.get((tenant_id, key)) for key in keys}
        return {key: computation for key, computation in found.items() if computation is not None and computation.started_ns > late_ns}

    def _note(self, hits: int, misses: int) -> None:
        self.statistics.hits += hits
        self.statistics.misses += misses
        self._count("hit", hits)
        self._count("miss", misses)
        if (use := _use.get()) is not None:
            use.hits += hits
            use.misses += misses

    async def _computed(
        self, tenant_id: int, question: Question[Row], own: Mapping[str, TimeRange], gaps: Sequence[TimeRange], late_ns: int
    ) -> list[Sequence[Row]]:
        """Read the gaps; keep the blocks that are in them, and give them to who waits for them."""
        started_ns = self._now_ns()
        loop = asyncio.get_running_loop()
        computations = {key: _Computation(started_ns, loop.create_future()) for key in own}
        self._computing.update({(tenant_id, key): computation for key, computation in computations.items()})
        try:
            parts = [await question.read(gap) for gap in gaps]
            if any(len(part) >= question.limit for part in parts):
                return parts
            blocks = _cut(own, question.codec, parts)
            for key, rows in blocks.items():
                computations[key].result.set_result(rows)
            await self._keep(tenant_id, question, blocks, started_ns, late_ns)
            return parts
        except asyncio.CancelledError:
            for computation in computations.values():
                computation.result.cancel()
            raise
        finally:
            for key, computation in computations.items():
                if not computation.result.done():
                    computation.result.set_result(None)
                if self._computing.get((tenant_id, key)) is computation:
                    del self._computing[tenant_id, key]

    async def _keep(
        self, tenant_id: int, question: Question[Row], blocks: Mapping[str, Sequence[Row]], started_ns: int, late_ns: int
    ) -> None:
        late_ns = max(late_ns, self._late.get((tenant_id, question.topic), 0))
        if not blocks or started_ns <= late_ns + _SETTLE_NS:
            return
        stamp, ttl = started_ns.to_bytes(_STAMP_BYTES), min(self._ttl, question.at_most)
        self._kept_until_ns = max(self._kept_until_ns, self._now_ns() + round(ttl.total_seconds() * 1e9))
        await self._cache.set(tenant_id, {key: stamp + question.codec.encode(rows) for key, rows in blocks.items()}, ttl)

    async def _tell(self) -> None:
        """Tell the others, until they know all; while the store is away they find nothing either."""
        while news := {key: at for key, at in self._late.items() if self._told.get(key) != at}:
            failures = self._cache.failures
            for (tenant_id, topic), at in news.items():
                # Longer than anything older is kept: then it need not be known any more.
                await self._cache.set(tenant_id, {self._late_key(topic): at.to_bytes(_STAMP_BYTES)}, 2 * self._ttl)
            if self._cache.failures == failures:
                self._told.update(news)
            await asyncio.sleep(_TELL_SECONDS)

    def _late_key(self, topic: Topic) -> str:
        return f"{self._prefix}:late:{topic.value}"


def _stamp(value: bytes | None) -> int:
    return 0 if value is None else int.from_bytes(value[:_STAMP_BYTES])


def _gaps(time: TimeRange, covered: Sequence[TimeRange]) -> list[TimeRange]:
    """What is left of a range, in order, as few parts as can be; ``covered`` is in order."""
    starts = [time.start_ns, *(block.end_ns for block in covered)]
    ends = [*(block.start_ns for block in covered), time.end_ns]
    return [TimeRange(start, end) for start, end in zip(starts, ends, strict=True) if start < end]


def _in_blocks(start_ns: int, end_ns: int, length: int) -> list[TimeRange]:
    """A range in blocks: as long ones as begin and end in it, and what is left at its ends."""
    found: list[TimeRange] = []
    long = _LONG_BLOCK * length
    # Of a range that has far too many the rest does not matter.
    while start_ns < end_ns and len(found) <= _MOST_BLOCKS:
        is_long = start_ns % long == 0 and start_ns + long <= end_ns
        end = start_ns + long if is_long else min((start_ns // length + 1) * length, end_ns)
        found.append(TimeRange(start_ns, end))
        start_ns = end
    return found


def _cut(blocks: Mapping[str, TimeRange], codec: Codec[Row], parts: Sequence[Sequence[Row]]) -> dict[str, list[Row]]:
    """The rows of each block; those in none are left out."""
    found: dict[str, list[Row]] = {key: [] for key in blocks}
    if blocks:
        starts = {block.start_ns: key for key, block in blocks.items()}
        edges = sorted({edge for block in blocks.values() for edge in (block.start_ns, block.end_ns)})
        for part in parts:
            for place, row in codec.cut(part, edges):
                # A first step may begin before the range does, which holds a part of it then.
                if (key := starts.get(edges[max(place, 0)])) is not None:
                    found[key].append(row)
    return found
