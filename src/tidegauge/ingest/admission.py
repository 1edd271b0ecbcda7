"""How many bytes of requests may be in the process at once: counted from their first byte on the wire to their answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tidegauge.errors import Overloaded


class PendingBytes:
    """A limit on bytes that are held, shared by all requests. For one event loop; not thread-safe."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._total = 0

    @property
    def total(self) -> int:
        """Bytes held now."""
        return self._total

    @contextmanager
    def share(self) -> Iterator[Share]:
        """A request's share, given back where the block ends."""
        share = Share(self)
        try:
            yield share
        finally:
            self._total -= share.held
            share.held = 0

    def _resize(self, share: Share, size: int) -> None:
        others = self._total - share.held
        # A request alone is always let through: it is bounded by itself, and would otherwise never be.
        if size > share.held and others and others + size > self._limit:
            raise Overloaded(
                f"{others} bytes are waiting for a commit, the limit is {self._limit}",
                hint="send slower; TIDEGAUGE_INGEST_MAX_PENDING_BYTES sets the limit",
            )
        self._total = others + size
        share.held = size


class Share:
    """What one request holds of the limit."""

    __slots__ = ("_pending", "held")

    def __init__(self, pending: PendingBytes) -> None:
        self._pending = pending
        self.held = 0

    def hold(self, size: int) -> None:
        """Hold ``size`` bytes in all from now on.

        Raises:
            Overloaded: all requests together would hold more than the limit, and this one is not alone.

        """
        self._pending._resize(self, size)  # noqa: SLF001 - two halves of one thing
