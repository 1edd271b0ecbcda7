"""Which requests are let in: bytes are bounded, and so is the time until what waits already would be committed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tidegauge.errors import Overloaded, Unavailable

# Assumed until there is a measurement: a slow machine's. A burst on a server that has just started is let in up to this much a second.
_FIRST_RATE = 8 << 20
# So much may always wait: a dozen usual requests, however little the last ones were.
_FLOOR_BYTES = 2 << 20
_SAMPLE_SECONDS = 0.25
# Less is believed sooner than more: too much let in makes everybody wait, too little is sent again.
_WEIGHT_UP, _WEIGHT_DOWN = 0.3, 0.5
# A measurement may not raise the rate by more at once: a single large answer in a short time says little.
_RISE = 1.5


class Pace:
    """Bytes a second that requests are answered with, as measured lately.

    What is answered is all that could be only while requests have to wait. So a measurement counts for what it is where they waited
    for long, and else is what can be done at the least.
    """

    def __init__(self, long_wait: float) -> None:
        self._long_wait = long_wait
        self._since = 0.0
        self._bytes = 0
        self._waited = 0.0
        self.rate = float(_FIRST_RATE)

    def answered(self, size: int, waited: float, now: float) -> None:
        """A request of ``size`` bytes was stored at ``now`` and had waited for so many seconds."""
        if now - waited > self._since and not self._bytes:
            # Nothing was under way before: the time until then says nothing.
            self._since = now - waited
        self._bytes += size
        self._waited = max(self._waited, waited)
        if now - self._since < _SAMPLE_SECONDS:
            return
        rate = min(self._bytes / (now - self._since), self.rate * _RISE)
        if rate > self.rate or self._waited > self._long_wait:
            self.rate += (_WEIGHT_UP if rate > self.rate else _WEIGHT_DOWN) * (rate - self.rate)
        self._since, self._bytes, self._waited = now, 0, 0.0


class Admission:
    """Lets requests in while there is room, for one event loop; not thread-safe.

    ``limit`` bounds the bytes of all requests between their first byte on the wire and their answer; ``max_delay`` the seconds until what
    waits is stored, of which it is told by :meth:`answered`. ``away`` is the store's last error while it is away. ``coming`` is how many
    requests are let in and not yet with the writer, ``came`` when the last of them began or was there.
    """

    def __init__(self, limit: int, max_delay: float, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._max_delay = max_delay
        self.clock = clock
        self._pace = Pace(max_delay / 2)
        self._expected = 0
        self.total = 0
        self.away: Unavailable | None = None
        self.coming = 0
        self.came = 0.0

    @property
    def rate(self) -> float:
        """Bytes a second, as measured lately."""
        return self._pace.rate

    @contextmanager
    def share(self, expected: int = 0) -> Iterator[Share]:
        """A request's share, given back where the block ends. ``expected`` is what its sender says that it will bring.

        Raises:
            Overloaded: what waits already takes too long.
            Unavailable: as much waits as may while the store is away.

        """
        # A promise is not worth more than a usual request: the one of a sender that never sends keeps nobody out.
        expected = min(expected, _FLOOR_BYTES // 4)
        waiting = max(self._expected, self.total)
        if waiting and waiting + expected > min(max(_FLOOR_BYTES, self.rate * self._max_delay), self._limit):
            raise self._refusal(f"{waiting} bytes are waiting, which takes {waiting / self.rate:.1f} s", waiting)
        share = Share(self, expected, self.clock())
        self._expected += expected
        self.coming += 1
        self.came = share.since
        try:
            yield share
        finally:
            share.handed_over()
            self._expected -= share.expected
            self.total -= share.held

    def _refusal(self, reason: str, waiting: int) -> Overloaded | Unavailable:
        seconds = waiting / self.rate
        if self.away is not None:
            return Unavailable(self.away.message, hint=self.away.hint, retry_after_seconds=seconds)
        return Overloaded(
            reason,
            hint="send slower; TIDEGAUGE_INGEST_MAX_QUEUE_DELAY and TIDEGAUGE_INGEST_MAX_PENDING_BYTES set the limits",
            retry_after_seconds=seconds,
        )

    def resize(self, share: Share, size: int) -> None:
        """See :meth:`Share.hold`."""
        others = self.total - share.held
        # A request alone is always let through: it is bounded by itself, and would otherwise never be.
        if size > share.held and others and others + size > self._limit:
            raise self._refusal(f"{others} bytes are waiting for a commit, the limit is {self._limit}", others)
        self.total = others + size
        self._expected += max(size - share.expected, 0)
        share.expected = max(size, share.expected)
        share.held = size

    def stored(self, share: Share) -> None:
        """See :meth:`Share.stored`."""
        now = self.clock()
        self._pace.answered(share.held, now - share.since, now)


class Share:
    """What one request holds of the limit.

    Attributes:
        held: bytes that it has brought, or takes by now.
        expected: bytes that it is going to hold, as far as is known.
        is_coming: whether it is still on its way to the writer.
        since: when it was let in or, later, there, by the clock of the event loop.

    """

    __slots__ = ("_admission", "expected", "held", "is_coming", "since")

    def __init__(self, admission: Admission, expected: int, since: float) -> None:
        self._admission = admission
        self.held = 0
        self.expected = expected
        self.is_coming = True
        self.since = since

    def hold(self, size: int) -> None:
        """Hold ``size`` bytes in all from now on.

        Raises:
            Overloaded: all requests together would hold more than the limit, and this one is not alone.
            Unavailable: the same, while the store is away.

        """
        self._admission.resize(self, size)

    def arrived(self) -> None:
        """The whole request is there: what it waits from now on is our doing."""
        self.since = self._admission.came = self._admission.clock()

    def handed_over(self) -> None:
        """The request is the writer's now, or will never be."""
        if self.is_coming:
            self.is_coming = False
            self._admission.coming -= 1

    def stored(self) -> None:
        """The request is stored, and how long that took counts for how fast that goes."""
        self._admission.stored(self)
