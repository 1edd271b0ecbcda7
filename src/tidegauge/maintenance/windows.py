"""Which window of a rollup to refresh next, so that the refresh is short and never touches what must stay.

Times are whole microseconds since 1970-01-01 UTC, as TimescaleDB's own logs keep them; a span is half open.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

SECOND = 1_000_000


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """From ``start`` to before ``end``."""

    start: int
    end: int

    @property
    def is_empty(self) -> bool:
        """Whether no moment lies in it."""
        return self.start >= self.end

    def clipped(self, other: Span) -> Span:
        """What of it lies in ``other``; may be empty."""
        return Span(max(self.start, other.start), min(self.end, other.end))


@dataclass(frozen=True, slots=True)
class Load:
    """A stretch of a rollup's source and what there is to read in it, taken as spread evenly."""

    span: Span
    bytes: int


@dataclass(frozen=True, slots=True)
class Rollup:
    """A continuous aggregate of ours.

    Attributes:
        view: its schema-qualified name.
        level: 0 where it reads raw data, else one more than the rollup that it reads.
        root: name of the table of raw data at the bottom, without schema.
        source_id: id of the hypertable that it reads.
        bucket: its width, µs.
        bounds: in which it may be refreshed.
        pending: what TimescaleDB knows to be out of date or never refreshed; may overlap.
        watermark: up to here it has been materialised, and a refresh repairs it; None: nowhere.

    """

    view: str
    level: int
    root: str
    source_id: int
    bucket: int
    bounds: Span
    pending: tuple[Span, ...]
    watermark: int | None = None

    def is_repair(self, window: Span) -> bool:
        """Whether a refresh of ``window`` is for data that came late."""
        return self.watermark is not None and window.end <= self.watermark


def merged(spans: Iterable[Span]) -> list[Span]:
    """The spans in order, those that touch or overlap made one, empty ones left out."""
    result: list[Span] = []
    for span in sorted(span for span in spans if not span.is_empty):
        if result and span.start <= result[-1].end:
            result[-1] = Span(result[-1].start, max(result[-1].end, span.end))
        else:
            result.append(span)
    return result


def intersection(some: Sequence[Span], others: Sequence[Span]) -> list[Span]:
    """What lies in both of two lists, each in order and without overlap."""
    ends = [other.end for other in others]
    result: list[Span] = []
    for span in some:
        for other in others[bisect_left(ends, span.start) :]:
            if other.start >= span.end:
                break
            both = span.clipped(other)
            if not both.is_empty:
                result.append(both)
    return result


def aligned(span: Span, bucket: int) -> Span:
    """The whole buckets that ``span`` touches."""
    return Span(span.start // bucket * bucket, -(-span.end // bucket) * bucket)


def inner(span: Span, bucket: int) -> Span:
    """The whole buckets inside ``span``: a partly dropped bucket must not be computed anew, an unfinished one not yet."""
    return Span(-(-span.start // bucket) * bucket, span.end // bucket * bucket)


def out_of_date(rollup: Rollup) -> list[Span]:
    """What is pending inside the rollup's bounds, before looking at its source; cheap."""
    limits = inner(rollup.bounds, rollup.bucket)
    return merged(span.clipped(limits) for span in rollup.pending)


def due(rollup: Rollup, loads: Sequence[Load]) -> list[Span]:
    """What of the rollup is to be refreshed: out of date, inside its bounds, and where the source has chunks at all.

    A refresh over dropped chunks would erase the rollup, and one over emptiness gains nothing.
    """
    limits = inner(rollup.bounds, rollup.bucket)
    there = intersection(out_of_date(rollup), merged(load.span for load in loads))
    return merged(aligned(span, rollup.bucket).clipped(limits) for span in there)


def first_window(spans: Sequence[Span], bucket: int, loads: Sequence[Load], budget: int) -> tuple[Span, int] | None:
    """The oldest stretch of ``spans`` that reads at most ``budget`` bytes, one bucket at the least, and its bytes."""
    if not spans:
        return None
    oldest = spans[0]
    end = _reach(oldest, loads, budget) // bucket * bucket
    window = Span(oldest.start, min(max(end, oldest.start + bucket), oldest.end))
    return window, weight(window, loads)


def spread(chunk: Span, filled_to: int, size: int, analyzed: int, bounds: Sequence[int]) -> list[Load]:
    """A chunk's bytes over its time.

    Args:
        chunk: its range.
        filled_to: no row lies behind this moment; today's chunk holds nothing of tonight.
        size: its bytes.
        analyzed: its bytes at the last ANALYZE, whose histogram ``bounds`` (as many rows between one and the next) is.
        bounds: without them the bytes are taken as spread evenly. What came after ANALYZE is taken to lie behind the last bound.

    """
    if chunk.start < filled_to < chunk.end:
        rest = Load(Span(filled_to, chunk.end), 0)
        return [*spread(Span(chunk.start, filled_to), filled_to, size, analyzed, bounds), rest]
    steps = [min(max(bound, chunk.start), chunk.end) for bound in sorted(bounds)]
    inside = sorted(set(steps))
    if len(inside) < 2:
        return [Load(chunk, size)]
    known = min(size, analyzed)
    segments = [Span(start, end) for start, end in pairwise([*inside, chunk.end]) if start < end]
    shares = [0] * len(segments)
    last = len(inside) - 2
    for step in steps[:-1]:
        shares[min(bisect_left(inside, step), last)] += known // (len(steps) - 1)
    shares[-1] += size - known
    before = [] if inside[0] == chunk.start else [Load(Span(chunk.start, inside[0]), 0)]
    return before + [Load(segment, share) for segment, share in zip(segments, shares, strict=True)]


def weight(span: Span, loads: Iterable[Load]) -> int:
    """Bytes to read in ``span``."""
    total = 0.0
    for load in loads:
        both = load.span.clipped(span)
        if not both.is_empty:
            total += load.bytes * (both.end - both.start) / (load.span.end - load.span.start)
    return round(total)


def _reach(span: Span, loads: Iterable[Load], budget: int) -> int:
    """How far from the span's start ``budget`` bytes reach."""
    left = float(budget)
    for load in sorted(loads, key=lambda load: load.span):
        both = load.span.clipped(span)
        if both.is_empty or load.bytes == 0:
            continue
        density = load.bytes / (load.span.end - load.span.start)
        cost = density * (both.end - both.start)
        if cost > left:
            return both.start + int(left / density)
        left -= cost
    return span.end


@dataclass(slots=True)
class Budget:
    """How many bytes one turn may take, learnt from how long turns took: doubled when short, cut when long.

    Turns of the same bytes take up to four times as long as the one before: denser in groups, or on a machine busy with something else.
    So at most a third of the limit is aimed at.
    """

    turn_seconds: float
    smallest: int = 128 << 10
    largest: int = 1 << 30
    bytes: int = 128 << 10

    def observe(self, took_seconds: float, read_bytes: int, waited_seconds: float = 0.0) -> None:
        """Learn from a turn that read ``read_bytes``; ``waited_seconds`` of it may have been others' use of the database.

        It counts against growing and not for shrinking: load must neither lengthen turns nor make them ever smaller.
        """
        if took_seconds - waited_seconds > 0.4 * self.turn_seconds:
            fitting = read_bytes * 0.25 * self.turn_seconds / took_seconds
            self.bytes = round(max(self.smallest, min(self.bytes / 2, fitting)))
        elif took_seconds < 0.15 * self.turn_seconds and read_bytes >= self.bytes // 2:
            # A turn that had little to do says nothing about larger ones.
            self.bytes = min(self.bytes * 2, self.largest)
