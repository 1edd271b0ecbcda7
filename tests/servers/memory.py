"""The ingest path on a store in memory: everything is real but the database."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

from tidegauge.ingest.ingestor import Ingestor
from tidegauge.ingest.limits import TimeLimits
from tidegauge.ingest.throttle import IngestThrottle
from tidegauge.ingest.writer import Writer
from tidegauge.model.batch import Signal
from tidegauge.otlp.decode import Decoder
from tidegauge.storage.interface import IngestOutcome, IngestRequest

NOW = 1_790_000_000_000_000_000


class MemoryStore:
    """Keeps requests in a list; raises ``failure`` where there is one, and waits while ``gate`` is not set.

    ``refuses`` are ordinals of log records that it refuses.
    """

    def __init__(self) -> None:
        self.requests: list[IngestRequest] = []
        self.failure: Exception | None = None
        self.refuses: tuple[int, ...] = ()
        self.gate = asyncio.Event()
        self.gate.set()

    async def commit(self, requests: Sequence[IngestRequest]) -> Sequence[IngestOutcome]:
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        self.requests += requests
        refused = tuple([(ordinal, "refused_by_database", "too deep") for ordinal in self.refuses])
        return [
            IngestOutcome(
                sum(each.items for each in request.batch.rejections) + len(refused),
                "; ".join([*(each.reason for each in request.batch.rejections), *(reason for _, reason, _ in refused)]),
                refused=refused,
            )
            for request in requests
        ]


@contextlib.asynccontextmanager
async def writing(store: MemoryStore, limit: int) -> AsyncIterator[Writer]:
    """A writer that takes ``limit`` bytes and gives up after a second."""
    writer = Writer(store, max_pending_bytes=limit, group_max_rows=100, group_max_bytes=limit, commit_timeout=timedelta(seconds=1))
    async with writer:
        yield writer


def ingestor(writer: Writer, throttle: IngestThrottle | None = None) -> Ingestor:
    """At the time ``NOW``; takes items of a day back and ten minutes ahead."""
    limits = dict.fromkeys(Signal, TimeLimits(timedelta(days=1), timedelta(minutes=10)))
    return Ingestor(Decoder(), writer, limits, lambda: NOW, throttle=throttle)
