"""The ways in for logs beside OTLP, on an ingest path whose store is in memory."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.servers.memory import MemoryStore, ingestor, writing
from tidegauge.model.batch import LogBatch
from tidegauge.receiver.http import OtlpHttp
from tidegauge.receiver.ways import Beside, LogWays, is_way_at_root

LIMIT = 1 << 20


@dataclass
class Ways:
    """A client of the receivers' port, and what is stored."""

    client: httpx.AsyncClient
    store: MemoryStore
    state: dict[str, str]

    def batches(self) -> list[LogBatch]:
        """Of all requests that were stored."""
        found = [request.batch for request in self.store.requests]
        assert all(isinstance(batch, LogBatch) for batch in found)
        return found  # type: ignore[return-value]

    def rows(self) -> list[dict[str, Any]]:
        """All records, in order: what columns say."""
        return [row for batch in self.batches() for row in _rows(batch)]


def _rows(batch: LogBatch) -> list[dict[str, Any]]:
    return [
        {
            "place": batch.ordinal[row],
            "time": batch.time_unix_nano[row],
            "body": batch.body[row],
            "service": batch.resources[batch.resource[row]].service_name,
            "scope": batch.scopes[batch.scope[row]].name,
            "severity": (batch.severity_number[row], batch.severity_text[row]),
            "attributes": json.loads(batch.attributes[row]),
            "trace_id": (batch.trace_id[row] or b"").hex(),
            "span_id": (batch.span_id[row] or b"").hex(),
        }
        for row in range(len(batch))
    ]


@asynccontextmanager
async def receiving_ways(token: str | None = None, limit: int = LIMIT) -> AsyncIterator[Ways]:
    """The port while the block runs."""
    store = MemoryStore()
    state = {"timescaledb": "ok"}

    async def readiness() -> dict[str, str]:
        return state

    async with writing(store, 4 * limit) as writer:
        intake = ingestor(writer)
        app = Beside(OtlpHttp(intake, limit), LogWays(intake, limit, token, readiness), is_way_at_root)
        transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://tidegauge") as client:
            yield Ways(client, store, state)
