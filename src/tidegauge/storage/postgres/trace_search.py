"""Searches for traces: by the index of traces where nothing is asked of single spans, else by the spans that match.

Newest first, a trace's place is when it began, as far as was known when the first page was read: a row of the index that was written
later tells its transaction, and the cursor the snapshot (docs/adr/0022). So a trace whose earlier spans arrive between two pages keeps its
place. Its spans may be found long before its place is reached: it waits, and a page that ends meanwhile says from where on those behind it
are found again.
"""

from __future__ import annotations

import struct
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from tidegauge.errors import InvalidArgument, StatementTimeout
from tidegauge.model.query import Cursor, SpanFilter, TraceFilter
from tidegauge.model.records import TraceSummary
from tidegauge.storage import sqlfiles
from tidegauge.storage.interface import Page
from tidegauge.storage.postgres.database import Database
from tidegauge.storage.postgres.reading import Row, by_name, span_hex, timestamp, trace_hex
from tidegauge.storage.postgres.search_windows import HOUR_US, MINUTE_US, Piece, Sweep
from tidegauge.storage.postgres.span_search import ATTEMPTS, Deadline, SpanKey, SpanSearch, Wanted, key_of

# Of a trace that began before the range or goes on behind it, this much is looked at.
_AROUND_US = HOUR_US
# More days than this are looked through trace by trace.
_LONG_US = 7 * 24 * HOUR_US
_ROWS_PER_TRACE = 10
_WINDOWS_BEFORE_PRUNING = 2
_LATER = struct.Struct(">16sq")
_SLOWEST = struct.Struct(">q16sq")
_NO_ID = UUID(int=0)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a page begins: behind a trace, with spans from ``scan_from_us`` down, as of a snapshot."""

    key_us: int
    trace_id: UUID
    scan_from_us: int
    snapshot: str

    def cursor(self) -> Cursor:
        return Cursor(self.key_us * 1000, _LATER.pack(self.trace_id.bytes, self.scan_from_us) + self.snapshot.encode())


@dataclass(slots=True)
class _Seen:
    """A trace of which a span was found: what the index knows of it (the ``whole`` range, or around), and its earliest span so far."""

    row: Row
    match_us: int
    whole: bool

    @property
    def key(self) -> tuple[int, UUID]:
        return self.row["key_us"], self.row["trace_id"]


@dataclass(frozen=True, slots=True)
class _Sighting:
    """Traces by the time of a span of theirs, newest first; all down to ``reached_us``."""

    found: Sequence[tuple[UUID, int]]
    reached_us: int


@dataclass(slots=True)
class _Listing:
    """Traces that were seen, those that are due, and what has waited."""

    wanted: TraceFilter
    start_us: int
    after: _Place | None
    seen: dict[UUID, _Seen] = field(default_factory=dict)

    def due(self, reached_us: int) -> list[_Seen]:
        """What is listed when all down to there has been searched, in order."""
        found = [one for one in self.seen.values() if one.key[0] >= max(reached_us, self.start_us) and self._listed(one)]
        return sorted(found, key=lambda one: one.key, reverse=True)

    def scan_from(self, key: tuple[int, UUID]) -> int:
        """From where down the spans are found of all that comes behind a place."""
        return max([key[0] + 1, *[one.match_us + 1 for one in self.seen.values() if one.key < key]])

    def passed(self, row: Row) -> bool:
        """Whether a trace's place is on a page before."""
        return self.after is not None and (row["key_us"], row["trace_id"]) >= (self.after.key_us, self.after.trace_id)

    def _listed(self, one: _Seen) -> bool:
        # A part of a trace does not tell what the whole is.
        return not self.passed(one.row) and (not one.whole or is_wanted(one.row, self.wanted))


def is_wanted(row: Row, wanted: TraceFilter) -> bool:
    """Whether a trace as a whole is what is asked for; it began in the range."""
    duration_ns = (row["end_time_us"] - row["start_time_us"]) * 1000
    return (
        (wanted.errors is None or (row["error_count"] > 0) is wanted.errors)
        and (wanted.min_duration_ns is None or duration_ns >= wanted.min_duration_ns)
        and (wanted.max_duration_ns is None or duration_ns <= wanted.max_duration_ns)
    )


class TraceSearch:
    """Runs the statements."""

    def __init__(self, database: Database, spans: SpanSearch) -> None:
        self._database = database
        self._spans = spans
        self._sql = sqlfiles.queries("traces")

    async def newest(self, tenant_id: int, wanted: TraceFilter, limit: int, after: Cursor | None) -> Page[TraceSummary]:
        """A page by when traces began. A cursor's tie is :class:`_Place`'s."""
        place = None if after is None else _place(after)
        deadline = self._spans.deadline()
        prepared = await self._spans.prepared(tenant_id, wanted.spans)
        snapshot = await self._snapshot() if place is None else place.snapshot
        listing = _Listing(wanted, prepared.start_us, place)
        sightings = self._sightings(prepared, wanted, limit, place, deadline)
        reached_us = prepared.end_us
        async for one in sightings:
            reached_us = one.reached_us
            await self._see(prepared, listing, one.found, snapshot)
            due = await self._due(prepared, listing, reached_us, snapshot, limit + 1)
            if len(due) > limit:
                key = due[limit - 1].key
                following = _Place(*key, listing.scan_from(key), snapshot)
                return Page([trace_summary(seen.row) for seen in due[:limit]], following.cursor())
        last = await self._due(prepared, listing, reached_us, snapshot, len(listing.due(reached_us)))
        found = [trace_summary(seen.row) for seen in last]
        if reached_us <= prepared.start_us:
            return Page(found, None)
        if place is not None and reached_us >= place.key_us:
            raise StatementTimeout("a part of the search ran into its time limit", hint="ask for a shorter time range")
        key = (reached_us, _NO_ID)
        return Page(found, _Place(*key, listing.scan_from(key), snapshot).cursor(), complete=False, reached_ns=reached_us * 1000)

    async def slowest(self, tenant_id: int, wanted: TraceFilter, limit: int, after: Cursor | None) -> Page[TraceSummary]:
        """A page by the slowest span that matches. A cursor's tie is that span's duration and ids."""
        place = None if after is None else _slow_place(after)
        deadline = self._spans.deadline()
        prepared = await self._spans.prepared(tenant_id, wanted.spans)
        snapshot = await self._snapshot()
        found: dict[UUID, tuple[Row, SpanKey]] = {}
        passed: set[UUID] = set()
        while True:
            batch = await self._spans.slowest(prepared, (limit + 1) * _ROWS_PER_TRACE, place, deadline)
            new = {row["trace_id"]: key_of(row) for row in reversed(batch.rows) if row["trace_id"] not in passed}
            summaries = await self._summaries(prepared, list(new), _around(prepared.start_us, prepared.end_us), snapshot)
            for trace_id in await self._listed_before(prepared, new, summaries, place):
                new.pop(trace_id)
            passed.update([row["trace_id"] for row in batch.rows])
            for trace_id, key in sorted(new.items(), key=lambda one: one[1].slowest, reverse=True):
                row = summaries.get(trace_id)
                if row is not None and row["start_time_us"] >= prepared.start_us and is_wanted(row, wanted):
                    found[trace_id] = (row, key)
            page = [trace_summary(row) for row, _ in found.values()]
            if len(found) > limit:
                return Page(page[:limit], _slow_cursor(list(found.values())[limit - 1][1]))
            if batch.reached.duration_ns == -(1 << 63):
                return Page(page, None)
            if deadline.over():
                return Page(page, _slow_cursor(batch.reached), complete=False)
            place = batch.reached

    async def _listed_before(
        self, prepared: Wanted, new: dict[UUID, SpanKey], summaries: dict[UUID, Row], place: SpanKey | None
    ) -> list[UUID]:
        """Which traces have a span that matches before the place: they were listed by it."""
        if place is None or not new:
            return []
        pieces = [
            Piece(application_id, max(row["start_time_us"], prepared.start_us), min(row["end_time_us"] + 1, prepared.end_us))
            for trace_id in new
            if (row := summaries.get(trace_id)) is not None
            for application_id in _applications(row)
            if application_id in prepared.services
        ]
        pieces = [one for one in pieces if one.start_us < one.end_us]
        slower = await self._spans.of_traces(prepared, list(new), pieces, place.duration_ns)
        return list({row["trace_id"] for row in slower if key_of(row).slowest >= place.slowest})

    async def _snapshot(self) -> str:
        (row,) = await self._database.read(self._sql["snapshot"], {}, by_name)
        return str(row["snapshot"])

    async def _due(self, prepared: Wanted, listing: _Listing, reached_us: int, snapshot: str, enough: int) -> list[_Seen]:
        """What is due. ``enough`` of it is known as a whole: a trace may have begun long before what was found of it at first."""
        while True:
            due = listing.due(reached_us)
            parts = [one for one in due[:enough] if not one.whole]
            if not parts or len(due) < enough:
                return due
            found = await self._summaries(prepared, [one.key[1] for one in parts], _around(prepared.start_us, prepared.end_us), snapshot)
            for one in parts:
                one.row, one.whole = found.get(one.key[1], one.row), True

    async def _see(self, prepared: Wanted, listing: _Listing, found: Iterable[tuple[UUID, int]], snapshot: str) -> None:
        earliest: dict[UUID, int] = {}
        for trace_id, match_us in found:
            earliest[trace_id] = min(match_us, earliest.get(trace_id, match_us))
        new = [one for one in earliest if one not in listing.seen]
        if new:
            # Most traces lie close together, and their index rows with them; the rest is looked for when it is their turn.
            everything = _around(prepared.start_us, prepared.end_us)
            close = _around(min(earliest.values()), max(earliest.values()))
            bounds = max(close[0], everything[0]), min(close[1], everything[1])
            close_by = await self._summaries(prepared, new, bounds, snapshot)
            # What came in one request has one row, where the first of it began; and what seems to be listed already may have begun earlier.
            others = [one for one in new if one not in close_by or listing.passed(close_by[one])]
            elsewhere = {} if bounds == everything else await self._summaries(prepared, others, everything, snapshot)
            for trace_id, row in (close_by | elsewhere).items():
                listing.seen[trace_id] = _Seen(row, earliest[trace_id], trace_id in elsewhere or bounds == everything)
        for trace_id, match_us in earliest.items():
            if trace_id in listing.seen:
                listing.seen[trace_id].match_us = min(match_us, listing.seen[trace_id].match_us)

    async def _summaries(self, prepared: Wanted, trace_ids: Sequence[UUID], bounds_us: tuple[int, int], snapshot: str) -> dict[UUID, Row]:
        if not trace_ids:
            return {}
        parameters = {
            "tenant_id": prepared.tenant_id,
            "trace_ids": list(trace_ids),
            "start": timestamp(bounds_us[0] * 1000),
            "end": timestamp(bounds_us[1] * 1000),
            "is_long": bounds_us[1] - bounds_us[0] > _LONG_US,
            "snapshot": snapshot,
        }
        found = await self._database.read(self._sql["trace_summaries"], parameters, by_name)
        return {row["trace_id"]: row for row in found}

    async def _sightings(
        self, prepared: Wanted, wanted: TraceFilter, limit: int, place: _Place | None, deadline: Deadline
    ) -> AsyncIterator[_Sighting]:
        rows_at_once = (limit + 1) * _ROWS_PER_TRACE
        if _asks_of_spans(wanted.spans):
            after = None if place is None else SpanKey(place.scan_from_us)
            at_least_us = None if place is None else place.key_us
            async for batch in self._spans.newest(prepared, rows_at_once, after, deadline, at_least_us):
                found = [(row["trace_id"], row["start_time_us"]) for row in batch.rows]
                # Of a batch that is full there may be more at its last microsecond.
                yield _Sighting(found, batch.reached.start_us + (len(batch.rows) >= rows_at_once))
        else:
            async for one in self._indexed(prepared, wanted, rows_at_once, place, deadline):
                yield one

    async def _indexed(
        self, prepared: Wanted, wanted: TraceFilter, limit: int, place: _Place | None, deadline: Deadline
    ) -> AsyncIterator[_Sighting]:
        """By the index of traces: newest first, with growing windows, which leave out hours that have no spans."""
        end_us = prepared.end_us if place is None else min(prepared.end_us, place.scan_from_us)
        sweep = Sweep(prepared.start_us, end_us, [0], 15 * MINUTE_US)
        passed = attempts = 0
        while prepared.services and sweep.at_us > sweep.start_us:
            if passed >= _WINDOWS_BEFORE_PRUNING and (from_us := sweep.ahead()) is not None:
                await self._narrow(sweep, prepared, from_us, deadline)
            if (window := sweep.window()) is None:
                continue
            parameters = {
                "tenant_id": prepared.tenant_id,
                "start": timestamp(window.start_us * 1000),
                "end": timestamp(window.end_us * 1000),
                "errors": wanted.errors,
                "limit": limit,
            }
            began = time.monotonic()
            try:
                patience = None if attempts == ATTEMPTS else deadline.limit()
                found = await self._database.read(self._sql["indexed_traces"], parameters, by_name, patience)
            except StatementTimeout:
                attempts += 1
                if passed and (place is None or sweep.at_us < place.key_us):
                    return
                if attempts > ATTEMPTS or not sweep.shrink():
                    raise
                continue
            whole = len(found) < limit
            reached_us = window.start_us if whole else found[-1]["start_time_us"] + 1
            if reached_us >= window.end_us:
                # One microsecond has more than was read of it.
                limit *= 2
                continue
            sweep.passed(reached_us, time.monotonic() - began, whole)
            passed += 1
            yield _Sighting([(row["trace_id"], row["start_time_us"]) for row in found], reached_us)
            if deadline.over() and (place is None or reached_us < place.key_us):
                return
        yield _Sighting((), prepared.start_us)

    async def _narrow(self, sweep: Sweep, prepared: Wanted, from_us: int, deadline: Deadline) -> None:
        left = await self._spans.pieces(prepared, from_us, sweep.at_us, deadline=deadline)
        stretches = {(one.start_us, one.end_us) for one in left}
        sweep.narrow([Piece(0, *one) for one in stretches], from_us)


def _asks_of_spans(wanted: SpanFilter) -> bool:
    """Whether the index of traces is not enough. What it knows of services does not tell when their spans were."""
    return wanted != SpanFilter(wanted.time)


def _around(start_us: int, end_us: int) -> tuple[int, int]:
    """A range with what is looked at on both sides."""
    return start_us - _AROUND_US, end_us + _AROUND_US


def _applications(row: Row) -> set[int]:
    return {int(one) for one in row["all_application_ids"].split(",") if one}


def _place(after: Cursor) -> _Place:
    try:
        trace_id, scan_from_us = _LATER.unpack_from(after.tie)
        snapshot = after.tie[_LATER.size :].decode("ascii")
        low, high, running = snapshot.split(":")
        if not all(one.isdigit() for one in (low, high, *filter(None, running.split(",")))):
            raise ValueError(snapshot)
    except (ValueError, struct.error) as error:
        raise InvalidArgument("cursor is not one of this search", parameter="cursor") from error
    return _Place(after.time_ns // 1000, UUID(bytes=trace_id), scan_from_us, snapshot)


def _slow_cursor(key: SpanKey) -> Cursor:
    return Cursor(key.start_us * 1000 + key.start_ns, _SLOWEST.pack(key.duration_ns, key.trace_id.bytes, key.span_id))


def _slow_place(after: Cursor) -> SpanKey:
    try:
        duration_ns, trace_id, span_id = _SLOWEST.unpack(after.tie)
    except struct.error as error:
        raise InvalidArgument("cursor is not one of this search", parameter="cursor") from error
    return SpanKey(after.time_ns // 1000, after.time_ns % 1000, UUID(bytes=trace_id), span_id, duration_ns)


def trace_summary(row: Row) -> TraceSummary:
    """From a row of ``trace_summaries``."""
    return TraceSummary(
        trace_id=trace_hex(row["trace_id"]),
        start_time_unix_nano=row["start_time_us"] * 1000,
        end_time_unix_nano=row["end_time_us"] * 1000,
        span_count=row["span_count"],
        error_count=row["error_count"],
        services=tuple(row["services"]),
        root_span_id=span_hex(row["root_span_id"]),
        root_service=row["root_service"] or "",
        root_name=row["root_name"] or "",
        root_duration_ns=row["root_duration_ns"],
    )
