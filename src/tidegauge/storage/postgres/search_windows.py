"""In which order time is searched, newest first: pieces of one application each, taken together in windows that grow. Pure.

A search knows little at first: what it wants may be in every second or nowhere. It begins with a short window, and each next one is as
long as the last one's cost allows, so that no statement reads much more than the one before did.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

_TARGET_SECONDS = 0.1
_GROWTH = (0.25, 8.0)
_FIRST_PIECES = 32
SHORTEST_US = 1_000
MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
_FIRST_AHEAD_US, _AHEAD_GROWTH = 24 * HOUR_US, 8


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of an application's time, [start, end) in microseconds, that may hold what is wanted; none slower than ``slowest_ns``."""

    application_id: int
    start_us: int
    end_us: int
    slowest_ns: int | None = None
    count: int = 0

    def within(self, start_us: int, end_us: int) -> Piece:
        """The part of it in a range that it overlaps."""
        return Piece(self.application_id, max(start_us, self.start_us), min(end_us, self.end_us), self.slowest_ns, self.count)


@dataclass(frozen=True, slots=True)
class Window:
    """[start, end) in microseconds, and the pieces in it; outside of these there is nothing."""

    start_us: int
    end_us: int
    pieces: Sequence[Piece]


class Sweep:
    """Windows from the end of a range back to its start.

    Whatever tells where to look costs the more the longer the time it tells of. So it is asked about stretches that grow: most searches end
    within the first.
    """

    def __init__(self, start_us: int, end_us: int, application_ids: Sequence[int], first_us: int) -> None:
        self.start_us = start_us
        self.at_us = end_us
        self._application_ids = application_ids
        self._length = first_us
        self._count = _FIRST_PIECES
        self._reach = end_us - start_us
        self._pieces: list[Piece] | None = None
        self._known_us = end_us
        self._ahead_us = _FIRST_AHEAD_US

    def ahead(self) -> int | None:
        """From where on it is to be asked what lies before ``at_us``; None where that is known, or soon searched."""
        if self._pieces is not None or self.at_us - self.start_us <= HOUR_US:
            return None
        return max(self.start_us, self.at_us - self._ahead_us)

    def narrow(self, pieces: Iterable[Piece], from_us: int) -> None:
        """From here back to there is nothing outside of the pieces, which do not overlap within an application."""
        self._pieces = sorted(hours([one for one in pieces if one.start_us < self.at_us]), key=lambda piece: -piece.start_us)
        self._known_us = from_us
        self._ahead_us *= _AHEAD_GROWTH

    def window(self) -> Window | None:
        """The next one; None at the end of what is known, or at the start (``at_us``)."""
        if self.at_us <= self.start_us:
            return None
        if self._pieces is not None:
            self._pieces = [one for one in self._pieces if one.start_us < self.at_us]
            if not self._pieces:
                self.at_us, self._pieces = self._known_us, None
                return None
        if self._pieces is None:
            start = max(self.start_us, self.at_us - self._length)
            return Window(start, self.at_us, [Piece(one, start, self.at_us) for one in self._application_ids])
        end = min(self.at_us, max(one.end_us for one in self._pieces))
        start = max(self.start_us, self._pieces[min(self._count, len(self._pieces)) - 1].start_us)
        start = max(start, end - self._reach)
        inside = [one.within(start, end) for one in self._pieces if one.end_us > start and one.start_us < end]
        return Window(start, end, inside)

    def passed(self, to_us: int, seconds: float, whole: bool) -> None:
        """All down to there has been searched, the last window in so much time; not ``whole`` where its page was full before its start."""
        self.at_us = to_us
        if whole:
            factor = min(max(_TARGET_SECONDS / max(seconds, 1e-6), _GROWTH[0]), _GROWTH[1])
            # What a statement costs whatever it reads makes no window shorter than this: the end would never be reached.
            self._length = max(min(self._length, MINUTE_US), int(self._length * factor))
            self._count = max(1, int(self._count * factor))

    def shrink(self) -> bool:
        """The last window took too long; False where there is no shorter one."""
        possible = self._length > SHORTEST_US if self._pieces is None else self._count > 1 or self._reach > SHORTEST_US
        self._length = max(SHORTEST_US, self._length // 32)
        if self._pieces is not None and self._count == 1:
            self._reach = max(SHORTEST_US, min(self._reach, HOUR_US) // 32)
        self._count = 1
        return possible


def hours(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """No piece is longer than an hour: so many pieces are so much to read."""
    for piece in pieces:
        start = piece.start_us
        while start < piece.end_us:
            end = min(piece.end_us, (start // HOUR_US + 1) * HOUR_US)
            yield piece.within(start, end)
            start = end


def apart(pieces: Iterable[Piece]) -> list[Piece]:
    """The same time in pieces that do not overlap within an application."""
    by_application: defaultdict[int, list[Piece]] = defaultdict(list)
    for piece in sorted(pieces, key=lambda one: one.start_us):
        mine = by_application[piece.application_id]
        if mine and piece.start_us < mine[-1].end_us:
            mine[-1] = Piece(piece.application_id, mine[-1].start_us, max(mine[-1].end_us, piece.end_us))
        else:
            mine.append(piece)
    return [one for mine in by_application.values() for one in mine]


def merged(ranges: Iterable[tuple[int, int]], step: int, start: int, end: int) -> list[tuple[int, int]]:
    """Ranges widened to whole steps, in order and apart, within [start, end)."""
    found: list[tuple[int, int]] = []
    for low, high in sorted([(low // step * step, -(-high // step) * step) for low, high in ranges if low < high]):
        first, last = max(low, start), min(high, end)
        if first >= last:
            continue
        if found and first <= found[-1][1]:
            found[-1] = found[-1][0], max(last, found[-1][1])
        else:
            found.append((first, last))
    return found


def gaps(ranges: Sequence[tuple[int, int]], start: int, end: int) -> list[tuple[int, int]]:
    """What :func:`merged` ranges leave of [start, end)."""
    edges = [start, *[edge for one in ranges for edge in one], end]
    return [(low, high) for low, high in zip(edges[::2], edges[1::2], strict=True) if low < high]
