"""What a request counts for while it waits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from tidegauge.errors import Overloaded
from tidegauge.ingest.ingestor import Ingestor, Received
from tidegauge.ingest.limits import TimeLimits
from tidegauge.ingest.writer import Writer
from tidegauge.model.batch import Signal
from tidegauge.otlp.decode import Decoder
from tidegauge.otlp.encoding import Encoding
from tidegauge.storage.interface import IngestOutcome, IngestRequest

NOW = 1_790_000_000_000_000_000
LIMITS = dict.fromkeys(Signal, TimeLimits(past=timedelta(hours=1), future=timedelta(minutes=10)))


class Store:
    """Commits when it is let."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.entered = asyncio.Event()

    async def commit(self, requests: Sequence[IngestRequest]) -> Sequence[IngestOutcome]:
        self.entered.set()
        await self.gate.wait()
        return [IngestOutcome(0, "") for _ in requests]


def logs(records: int, body: str) -> Received:
    request = ExportLogsServiceRequest()
    target = request.resource_logs.add().scope_logs.add().log_records
    for _ in range(records):
        target.add().body.string_value = body
    return Received(0, Signal.LOGS, "/v1/logs", Encoding.PROTOBUF, request.SerializeToString())


async def waiting(received: Received, pending: list[int]) -> None:
    """Note what a request counts for while its commit waits, and that another is refused when that is the limit."""
    store = Store()
    writer = Writer(store, max_pending_bytes=1 << 20, group_max_rows=100_000, group_max_bytes=1 << 30, commit_timeout=timedelta(seconds=5))
    async with writer:
        ingestor = Ingestor(Decoder(), writer, LIMITS, lambda: NOW)
        first = asyncio.create_task(ingestor.ingest(received))
        await store.entered.wait()
        pending.append(writer.pending_bytes)
        try:
            if writer.pending_bytes > 1 << 20:
                with pytest.raises(Overloaded):
                    await ingestor.ingest(logs(1, "one more"))
        finally:
            store.gate.set()
        assert await first == IngestOutcome(0, "")
        assert writer.pending_bytes == 0


async def test_ordinary_requests_count_by_their_bodies() -> None:
    pending: list[int] = []
    received = logs(100, "a body of ordinary length, as applications write them, with a few numbers: " + "0123456789 " * 10)
    await waiting(received, pending)
    assert pending == [len(received.body)]


async def test_requests_of_many_tiny_items_count_by_what_they_hold() -> None:
    """An empty request could otherwise hold hundreds of times what it counts for."""
    pending: list[int] = []
    received = logs(20_000, "")
    assert len(received.body) < 200_000
    await waiting(received, pending)
    assert pending[0] > 1 << 20
