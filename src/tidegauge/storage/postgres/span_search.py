"""Searches for spans: in windows of time or of the slowest hours, each a statement that reads little, until a page is full."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import psycopg

from tidegauge.errors import InvalidArgument, StatementTimeout
from tidegauge.model.query import SpanFilter, TimeRange
from tidegauge.model.search import AttributeCondition, Comparison, Where
from tidegauge.storage import sqlfiles
from tidegauge.storage.attribute_interface import AttributeIndex
from tidegauge.storage.postgres import attribute_paths as paths
from tidegauge.storage.postgres import search_pruning
from tidegauge.storage.postgres.database import Database
from tidegauge.storage.postgres.promoted import PromotedCondition, promoted_conditions, with_columns
from tidegauge.storage.postgres.reading import Row, attribute_conditions, by_name, rows, timestamp
from tidegauge.storage.postgres.search_windows import HOUR_US, MINUTE_US, Piece, Sweep, Window, apart, hours

# Short enough to read whatever is asked for, long enough to fill most pages.
_FIRST_US, _FIRST_COSTLY_US = 15 * MINUTE_US, MINUTE_US
# Most searches are over before it pays to ask where not to look.
_WINDOWS_BEFORE_PRUNING, _SECONDS_BEFORE_PRUNING = 3, 0.005
# All that attributes leave is read for the slowest; rollups tell what need not be.
_WORTH_ALL = 0.05
ATTEMPTS = 3
_LEAST_SECONDS = 1.0
_HEAVY_HOUR = 50_000
_MOST_PIECES = 1024
_MOST_OF_TRACES = 100_000
LAST_SPAN = (1 << 63) - 1


_NO_ID = UUID(int=0)
_LEAST = -(1 << 63)


@dataclass(frozen=True, slots=True)
class SpanKey:
    """A place in the order of spans: a span's own, or one between spans. Microseconds, and nanoseconds beyond."""

    start_us: int
    start_ns: int = 0
    trace_id: UUID = _NO_ID
    span_id: int = _LEAST
    duration_ns: int = 0

    @property
    def newest(self) -> tuple[int, int, UUID, int]:
        """What goes before what, newest first: the greater."""
        return self.start_us, self.start_ns, self.trace_id, self.span_id

    @property
    def slowest(self) -> tuple[int, int, int, UUID, int]:
        """Likewise, slowest first."""
        return self.duration_ns, *self.newest

    def parameters(self) -> dict[str, object]:
        """For the statements' ``before``."""
        return {
            "before": timestamp(self.start_us * 1000),
            "before_ns": self.start_ns,
            "before_trace_id": self.trace_id,
            "before_span_id": self.span_id,
            "before_duration_ns": self.duration_ns,
        }


_FIRST = SpanKey(0, duration_ns=LAST_SPAN)
_NOWHERE: dict[str, object] = dict.fromkeys(SpanKey(0).parameters())


def key_of(row: Row) -> SpanKey:
    """A found span's."""
    return SpanKey(row["start_time_us"], row["start_time_ns"], row["trace_id"], row["span_id"], row["duration_ns"])


@dataclass(frozen=True, slots=True)
class Wanted:
    """A search as statements have it; ``services`` is application → name."""

    tenant_id: int
    start_us: int
    end_us: int
    services: Mapping[int, str]
    parameters: Mapping[str, object]
    attributes: Sequence[AttributeCondition]
    promoted: Sequence[PromotedCondition]
    costly: bool


@dataclass(slots=True)
class Deadline:
    """When a search's time is up."""

    seconds: float
    began: float = field(default_factory=time.monotonic)

    def over(self) -> bool:
        """Whether it is."""
        return time.monotonic() - self.began > self.seconds

    def limit(self) -> timedelta:
        """How long a statement may take: the time that is left, or as long as one needs that gets anywhere."""
        return timedelta(seconds=max(self.seconds - (time.monotonic() - self.began), _LEAST_SECONDS))


@dataclass(frozen=True, slots=True)
class Batch:
    """What a part of the search found, in its order. Nothing that is not in this or an earlier batch comes before ``reached``."""

    rows: Sequence[Row]
    reached: SpanKey


class SpanSearch:
    """Runs the statements."""

    def __init__(self, database: Database, index: AttributeIndex | None, budget: timedelta) -> None:
        self._database = database
        self._index = index
        self._budget = budget.total_seconds()
        self._sql = sqlfiles.queries("traces")

    def deadline(self) -> Deadline:
        """Of a search that begins now."""
        return Deadline(self._budget)

    async def prepared(self, tenant_id: int, wanted: SpanFilter) -> Wanted:
        """What of the search dictionaries answer: applications, resources and scopes.

        Raises:
            InvalidArgument: a regular expression is malformed.

        """
        parameters: dict[str, object] = {
            "tenant_id": tenant_id,
            "service": wanted.service,
            "operation": wanted.operation,
            "kind": wanted.kind,
            "status_code": wanted.status_code,
            "min_duration_ns": wanted.min_duration_ns,
            "max_duration_ns": wanted.max_duration_ns,
            "span_path": paths.object_path(paths.of(wanted.conditions, Where.SPAN)),
            "event_path": paths.member_path(paths.of(wanted.conditions, Where.EVENT)),
            "link_path": paths.member_path(paths.of(wanted.conditions, Where.LINK)),
            "text": wanted.text,
            "text_path": None if wanted.text is None else paths.text_path(wanted.text),
            "resource_ids": None,
            "scope_ids": None,
        } | attribute_conditions(wanted.attributes)
        found = await self._database.read(self._sql["search_applications"], parameters, by_name)
        services: Mapping[int, str] = {row["application_id"]: row["name"] for row in found}
        promoted: Sequence[PromotedCondition] = ()
        if _attributes(wanted):
            services, promoted = await self._by_dictionaries(tenant_id, wanted, services, parameters)
        start_us, end_us = -(-wanted.time.start_ns // 1000), -(-wanted.time.end_ns // 1000)
        costly = bool(wanted.attributes or wanted.conditions or wanted.text)
        return Wanted(tenant_id, start_us, end_us, services, parameters, _attributes(wanted), promoted, costly)

    async def _by_dictionaries(
        self, tenant_id: int, wanted: SpanFilter, services: Mapping[int, str], parameters: dict[str, object]
    ) -> tuple[Mapping[int, str], Sequence[PromotedCondition]]:
        """What is left of the services, and conditions on columns; resources and scopes that match go into the parameters."""
        async with self._database.reading() as connection:
            promoted = await promoted_conditions(connection, _attributes(wanted))
            if (path := paths.object_path(paths.of(wanted.conditions, Where.RESOURCE))) is not None:
                asked = {"tenant_id": tenant_id, "application_ids": list(services), "path": path}
                matching = await self._matching(connection, "search_resources", asked)
                parameters["resource_ids"] = [row["resource_id"] for row in matching]
                services = {row["application_id"]: services[row["application_id"]] for row in matching}
            if (path := paths.object_path(paths.of(wanted.conditions, Where.SCOPE))) is not None:
                matching = await self._matching(connection, "search_scopes", {"tenant_id": tenant_id, "path": path})
                parameters["scope_ids"] = [row["scope_id"] for row in matching]
                services = services if matching else {}
        return services, promoted

    async def _matching(self, connection: psycopg.AsyncConnection, name: str, parameters: Mapping[str, object]) -> list[Row]:
        with _patterns():
            return await rows(connection, self._sql[name], parameters)

    async def newest(
        self, wanted: Wanted, limit: int, after: SpanKey | None, deadline: Deadline, at_least_us: int | None = None
    ) -> AsyncIterator[Batch]:
        """Batches newest first, of at most ``limit`` spans; the last one reaches the start of the range, unless time is up.

        Time is not up before the search came below ``at_least_us``.
        """
        end_us = wanted.end_us if after is None else min(wanted.end_us, after.start_us + 1)
        sweep = Sweep(wanted.start_us, end_us, list(wanted.services), _FIRST_COSTLY_US if wanted.costly else _FIRST_US)
        passed = attempts = 0
        spent = 0.0
        while wanted.services and sweep.at_us > sweep.start_us:
            prunes = passed > 0 and (wanted.costly or spent > _SECONDS_BEFORE_PRUNING or passed >= _WINDOWS_BEFORE_PRUNING)
            if prunes and (from_us := sweep.ahead()) is not None:
                sweep.narrow(await self.pieces(wanted, from_us, sweep.at_us, deadline=deadline), from_us)
            if (window := sweep.window()) is None:
                continue
            began = time.monotonic()
            try:
                # Nobody is helped by no answer: the last attempt may take as long as any statement.
                patience = None if attempts == ATTEMPTS else deadline.limit()
                found = await self._read("find_spans", wanted, window, limit, after, patience=patience)
            except StatementTimeout:
                attempts += 1
                if passed and (at_least_us is None or sweep.at_us < at_least_us):
                    return
                if attempts > ATTEMPTS or not sweep.shrink():
                    raise
                continue
            whole = len(found) < limit
            after = after if whole else key_of(found[-1])
            seconds = time.monotonic() - began
            sweep.passed(window.start_us if whole else found[-1]["start_time_us"] + 1, seconds, whole)
            passed, spent = passed + 1, spent + seconds
            yield Batch(found, SpanKey(window.start_us) if whole else key_of(found[-1]))
            if deadline.over() and (at_least_us is None or sweep.at_us < at_least_us):
                return
        yield Batch((), SpanKey(wanted.start_us))

    async def pieces(
        self, wanted: Wanted, start_us: int, end_us: int, at_most: float = 1.0, deadline: Deadline | None = None
    ) -> list[Piece]:
        """Where in [start, end) there may be spans that match: by their attributes, if in that part of the time at most.

        Anywhere, where it takes too long to tell.
        """
        limit = self.deadline().limit() if deadline is None else deadline.limit()
        try:
            indexed = await self._indexed(wanted, start_us, end_us)
            if indexed is not None:
                seconds = sum(one.end_us - one.start_us for one in indexed)
                if seconds <= at_most * len(wanted.services) * (end_us - start_us):
                    return indexed
            async with self._database.reading(limit) as connection:
                return await search_pruning.candidates(connection, wanted.parameters, list(wanted.services), start_us, end_us)
        except StatementTimeout:
            return [Piece(one, start_us, end_us) for one in wanted.services]

    async def _indexed(self, wanted: Wanted, start_us: int, end_us: int) -> list[Piece] | None:
        if self._index is None or not wanted.attributes:
            return None
        whole = TimeRange(start_us * 1000, end_us * 1000)
        found = await self._index.attribute_candidates(wanted.tenant_id, whole, list(wanted.services), wanted.attributes)
        if found is None:
            return None
        pieces = [Piece(one, max(part.start_ns // 1000, start_us), min(-(-part.end_ns // 1000), end_us)) for one, part in found]
        return apart(piece for piece in pieces if piece.start_us < piece.end_us)

    async def slowest(self, wanted: Wanted, limit: int, after: SpanKey | None, deadline: Deadline) -> Batch:
        """The slowest spans behind a place, at most ``limit``; all there are down to where the batch reaches.

        An hour's or minute's slowest span is known, so that those are read first which may hold what comes next, and no more once
        the page is better than all that is left could be (the threshold algorithm of Fagin, Lotem and Naor, 2001, section 4).
        """
        last = SpanKey(wanted.start_us, duration_ns=-(1 << 63))
        left = await self._promising(wanted, after)
        found: list[Row] = []
        # Nothing is known of some.
        count = limit + sum(one.slowest_ns is None for one in left[:_MOST_PIECES])
        least = _least_of_page(wanted, left, limit, after)
        while left:
            first, left = left[:count], left[count:]
            if heavy := [one for one in first if one.count > _HEAVY_HOUR and one.end_us - one.start_us > MINUTE_US]:
                light = [one for one in first if one not in heavy]
                left = sorted([*left, *light, *await self._by_minute(wanted, heavy)], key=_Bounds(after), reverse=True)
                continue
            floor = found[-1]["duration_ns"] if len(found) == limit else least
            try:
                more = await self._read("slowest_spans", wanted, _window(first), limit, after, floor)
            except StatementTimeout:
                if count == 1:
                    raise
                left, count = first + left, max(1, count // 16)
                continue
            found = sorted([*found, *more], key=_slowness, reverse=True)[:limit]
            bound = _Bounds(after).key(left[0]) if left else last
            sure = [row for row in found if _slowness(row) >= bound.slowest]
            if len(sure) == limit:
                return Batch(sure, key_of(sure[-1]))
            # Time is not up before the search got anywhere.
            if left and deadline.over() and bound.slowest < (_FIRST if after is None else after).slowest:
                return Batch(sure, bound)
            count = min(count * 2, _MOST_PIECES)
        return Batch(found, last)

    async def of_traces(self, wanted: Wanted, trace_ids: Sequence[UUID], pieces: Sequence[Piece], floor_ns: int) -> list[Row]:
        """Spans of these traces that match and are no faster; ``pieces`` are where the traces lie.

        All of them; of a trace that has very many, so many.
        """
        if not pieces:
            return []
        # Traces lie side by side: each stretch is read once, however many of them share it.
        together = apart(pieces)
        found = await self._read("slowest_spans", wanted, _window(together), _MOST_OF_TRACES, None, floor_ns, trace_ids)
        if len(found) < _MOST_OF_TRACES or len(trace_ids) == 1:
            return found
        middle = len(trace_ids) // 2
        halves = trace_ids[:middle], trace_ids[middle:]
        return [row for half in halves for row in await self.of_traces(wanted, half, together, floor_ns)]

    async def _promising(self, wanted: Wanted, after: SpanKey | None) -> list[Piece]:
        """Where there may be spans that match, what may hold the slowest first; what is unknown comes before all."""
        if not wanted.services or wanted.start_us >= wanted.end_us:
            return []
        pieces = await self.pieces(wanted, wanted.start_us, wanted.end_us, _WORTH_ALL)
        return sorted(hours(pieces), key=_Bounds(after), reverse=True)

    async def _by_minute(self, wanted: Wanted, hours: Sequence[Piece]) -> list[Piece]:
        known = sorted({(one.start_us, one.end_us) for one in hours})
        wanted_hours = {(one.application_id, one.start_us // HOUR_US) for one in hours}
        async with self._database.reading() as connection:
            found = await search_pruning.minutes(connection, wanted.parameters, sorted({one.application_id for one in hours}), known)
        return [one for one in found if (one.application_id, one.start_us // HOUR_US) in wanted_hours]

    async def _read(
        self,
        name: str,
        wanted: Wanted,
        window: Window,
        limit: int,
        after: SpanKey | None,
        floor_ns: int | None = None,
        trace_ids: Sequence[UUID] | None = None,
        patience: timedelta | None = None,
    ) -> list[Row]:
        # What columns tell; of earlier spans they do not.
        promoted = [one for one in wanted.promoted if one.holds_from(window.start_us)]
        statement, values = with_columns(self._sql[name], promoted)
        parameters = {
            **wanted.parameters,
            **values,
            **(_NOWHERE if after is None else after.parameters()),
            "application_ids": [one.application_id for one in window.pieces],
            "starts": [timestamp(one.start_us * 1000) for one in window.pieces],
            "ends": [timestamp(one.end_us * 1000) for one in window.pieces],
            "start": timestamp(window.start_us * 1000),
            "end": timestamp(window.end_us * 1000),
            "limit": limit,
            "floor_ns": floor_ns,
            "trace_ids": None if trace_ids is None else list(trace_ids),
        }
        with _patterns():
            return await self._database.read(statement, parameters, by_name, patience)


@contextmanager
def _patterns() -> Iterator[None]:
    """What PostgreSQL cannot read of a regular expression is the client's fault."""
    try:
        yield
    except psycopg.errors.InvalidRegularExpression as error:
        said = str(error).splitlines()[0]
        raise InvalidArgument("a regular expression cannot be read", hint=said, parameter="attribute") from error


def _attributes(wanted: SpanFilter) -> tuple[AttributeCondition, ...]:
    """All conditions on attributes."""
    own = [
        AttributeCondition(Where.SPAN, one.name, Comparison.EQUAL if one.values else Comparison.PRESENT, one.values)
        for one in wanted.attributes
    ]
    return (*own, *wanted.conditions)


def _least_of_page(wanted: Wanted, pieces: Sequence[Piece], limit: int, after: SpanKey | None) -> int | None:
    """What the slowest page is no faster than, where rollups tell: each of so many hours has a span as slow as that, which matches."""
    if after is not None or wanted.costly or wanted.parameters["operation"] is not None or wanted.parameters["max_duration_ns"] is not None:
        return None
    whole = (MINUTE_US, HOUR_US)
    slowest = sorted([one.slowest_ns for one in pieces if one.slowest_ns is not None and one.end_us - one.start_us in whole], reverse=True)
    # A rollup has no negative durations.
    return slowest[limit - 1] if len(slowest) >= limit and slowest[limit - 1] > 0 else None


class _Bounds:
    """What comes before anything in a piece and behind a place, slowest first."""

    def __init__(self, after: SpanKey | None) -> None:
        self._most = LAST_SPAN if after is None else after.duration_ns

    def key(self, piece: Piece) -> SpanKey:
        """The bound."""
        slowest = LAST_SPAN if piece.slowest_ns is None else piece.slowest_ns
        return SpanKey(piece.end_us, duration_ns=min(slowest, self._most))

    def __call__(self, piece: Piece) -> tuple[int, int]:
        """The bound, to be sorted by."""
        bound = self.key(piece)
        return bound.duration_ns, bound.start_us


def _slowness(row: Row) -> tuple[int, int, int, UUID, int]:
    return key_of(row).slowest


def _window(pieces: Sequence[Piece]) -> Window:
    return Window(min(one.start_us for one in pieces), max(one.end_us for one in pieces), pieces)
