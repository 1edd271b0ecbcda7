"""Makes blocks of the attribute index out of its pieces, in short turns; where TimescaleDB has workers of its own as well."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Protocol

from tidegauge.maintenance.turn import Turn


class CompactingStore(Protocol):
    """What the job needs of a database."""

    async def compact(self) -> int:
        """Make blocks of pieces that are due, a bounded number of them in one transaction; how many pieces there were.

        Raises:
            Unavailable: the database is away.

        """
        ...

    async def backfill(self) -> int:
        """Index one hour of spans that were stored before there was an index, the newest first; how many there were, 0 at the end.

        Raises:
            Unavailable: the database is away.

        """
        ...

    async def sample(self) -> int:
        """Count the values of one application's attributes in a sample; how many keys were counted, 0 where nothing is due.

        Raises:
            Unavailable: the database is away.

        """
        ...

    async def tidy(self) -> int:
        """Give back the space that pieces have left behind, where it is much; how many bytes, 0 where nothing is to be done.

        Raises:
            Unavailable: the database is away.

        """
        ...


class CompactAttributesJob:
    """Takes pieces that are enough for a block, and those of days that are over, small ones where they are many; then spans that have none.

    Several processes may do it at once.
    """

    name = "attribute index"
    period = timedelta(seconds=10)

    def __init__(self, store: CompactingStore) -> None:
        self._store = store

    async def turn(self) -> Turn | None:
        """Make some blocks."""
        began = time.perf_counter()
        pieces = await self._store.compact()
        if pieces:
            return Turn(time.perf_counter() - began, f"made blocks of {pieces} pieces")
        spans = await self._store.backfill()
        if spans:
            return Turn(time.perf_counter() - began, f"indexed {spans} spans")
        keys = await self._store.sample()
        if keys:
            return Turn(time.perf_counter() - began, f"counted the values of {keys} attributes")
        freed = await self._store.tidy()
        return Turn(time.perf_counter() - began, f"freed {freed} bytes of the attribute index") if freed else None
