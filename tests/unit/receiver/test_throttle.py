"""Limits of what a client may send, over HTTP."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from tests.servers.memory import NOW, MemoryStore, ingestor, writing
from tidegauge.clients import client_naming
from tidegauge.ingest.throttle import IngestThrottle, window
from tidegauge.receiver.http import OtlpHttp
from tidegauge.receiver.senders import KnownSender
from tidegauge.receiver.ways import Beside, LogWays, is_way_at_root
from tidegauge.storage.cache.limiter import MemoryLimiter

PROTOBUF = {"content-type": "application/x-protobuf"}
LIMIT = 1 << 20
TOKEN = "0123456789abcdef"
ClientOf = Callable[[str], httpx.AsyncClient]


def records(count: int, body: str = "") -> bytes:
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for _ in range(count):
        scope.log_records.add(time_unix_nano=NOW).body.string_value = body
    return request.SerializeToString()


@asynccontextmanager
async def receiving(
    store: MemoryStore, by_bytes: int | None = None, by_items: int | None = None, token: str | None = None
) -> AsyncIterator[ClientOf]:
    """Clients by address."""
    limits = [None if rate is None else MemoryLimiter([window(name, rate)], "ingest") for name, rate in (("b", by_bytes), ("i", by_items))]

    async def readiness() -> dict[str, str]:
        return {"timescaledb": "ok"}

    async with writing(store, LIMIT) as writer:
        intake = ingestor(writer, IngestThrottle(*limits))
        app = KnownSender(
            Beside(OtlpHttp(intake, LIMIT), LogWays(intake, LIMIT, token, readiness), is_way_at_root), client_naming(token, 0)
        )

        def client(peer: str) -> httpx.AsyncClient:
            transport = httpx.ASGITransport(app, client=(peer, 1))  # type: ignore[arg-type]
            return httpx.AsyncClient(transport=transport, base_url="http://tidegauge")

        yield client


async def sent(client: httpx.AsyncClient, body: bytes) -> int:
    return (await client.post("/v1/logs", content=body, headers=PROTOBUF)).status_code


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


async def test_items_are_limited_by_client(store: MemoryStore) -> None:
    async with receiving(store, by_items=10) as clients:
        assert [await sent(clients("192.0.2.1"), records(60)) for _ in range(2)] == [200, 429]
        assert await sent(clients("192.0.2.1"), records(40, "other")) == 200
        assert await sent(clients("192.0.2.2"), records(60, "another")) == 200

    assert sum(len(request.batch) for request in store.requests) == 160


async def test_bytes_are_limited_as_they_are_without_compression(store: MemoryStore) -> None:
    body = records(1, "x" * 6000)
    async with receiving(store, by_bytes=1000) as clients:
        client = clients("192.0.2.1")
        answer = await client.post("/v1/logs", content=gzip.compress(body), headers=PROTOBUF | {"content-encoding": "gzip"})
        assert answer.status_code == 200
        assert await sent(client, records(2, "y" * 2500)) == 429

    assert len(store.requests) == 1


async def test_a_refusal_says_when_to_come_again(store: MemoryStore) -> None:
    async with receiving(store, by_items=1) as clients:
        client = clients("192.0.2.1")
        await sent(client, records(10))
        answer = await client.post("/v1/logs", content=records(10, "b"), headers=PROTOBUF)

        assert answer.status_code == 429
        assert 1 <= int(answer.headers["retry-after"]) <= 20
        status = Status.FromString(answer.content)
        assert status.code == 14
        assert "1 items per second" in status.message
        assert "TIDEGAUGE_THROTTLE_INGEST_ITEMS_PER_SECOND" in status.message
        assert status.details[0].type_url.endswith("google.rpc.RetryInfo")


async def test_one_request_above_the_limit_is_let_in_by_itself(store: MemoryStore) -> None:
    async with receiving(store, by_items=1) as clients:
        assert [await sent(clients("192.0.2.1"), records(50, body)) for body in "ab"] == [200, 429]


async def test_every_way_in_counts(store: MemoryStore) -> None:
    async with receiving(store, by_items=1) as clients:
        client = clients("192.0.2.1")
        assert (await client.post("/api/v1/logs", json=[{"message": str(number)} for number in range(10)])).status_code == 200
        assert await sent(client, records(1)) == 429
        loki = {"streams": [{"stream": {"job": "a"}, "values": [[str(NOW), "line"]]}]}
        assert (await client.post("/loki/api/v1/push", json=loki)).status_code == 429


async def test_who_bears_the_token_is_one_client(store: MemoryStore) -> None:
    async with receiving(store, by_items=1, token=TOKEN) as clients:
        assert await sent(clients("192.0.2.1"), records(10)) == 200
        assert await sent(clients("192.0.2.2"), records(10, "b")) == 429
