"""A gRPC server on an ingest path whose store is in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio

from tests.servers.memory import MemoryStore, ingestor, writing
from tidegauge.config import ListenAddress
from tidegauge.ingest.writer import Writer
from tidegauge.receiver.grpc import GrpcLimits, serving_grpc

LIMIT = 200_000
ANYWHERE = ListenAddress(host="127.0.0.1", port=0)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest_asyncio.fixture
async def writer(store: MemoryStore) -> AsyncIterator[Writer]:
    async with writing(store, LIMIT) as writer:
        yield writer
        store.gate.set()


@pytest.fixture
def checks() -> dict[str, str]:
    """What readiness says; a test may change it."""
    return {"timescaledb": "ok"}


@pytest.fixture
def token() -> str | None:
    return None


@pytest_asyncio.fixture
async def port(writer: Writer, checks: dict[str, str], token: str | None) -> AsyncIterator[int]:
    async def readiness() -> dict[str, str]:
        return checks

    limits = GrpcLimits(max_body_bytes=LIMIT, grace_seconds=5, max_reads=2)
    async with serving_grpc(ingestor(writer), ANYWHERE, limits, token=token, readiness=readiness) as port:
        yield port


@pytest_asyncio.fixture
async def channel(port: int) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
