"""The program's metrics about its work on a real database."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
import pytest_asyncio

from tests.acceptance.test_workers import PROTOBUF, spans
from tests.servers.timescaledb import TestDatabase
from tests.unit.telemetry.test_metrics import samples, value
from tidegauge.config import Settings
from tidegauge.errors import Busy
from tidegauge.health.circuits import Circuit
from tidegauge.runtime import Location, assembled
from tidegauge.storage.postgres.database import Database


@pytest_asyncio.fixture
async def client(database: TestDatabase, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    location = Location(database.owner_dsn, None, embedded=database.kind == "embedded")
    async with assembled(settings, location) as runtime:
        transport = httpx.ASGITransport(runtime.api)
        async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
            yield client


async def test_statements_pools_commits_and_rollups_are_told(client: httpx.AsyncClient) -> None:
    assert (await client.post("/v1/traces", content=spans("own", 0), headers=PROTOBUF)).status_code == 200
    assert (await client.get("/api/v1/traces?limit=1")).status_code == 200
    text = ""
    async with asyncio.timeout(120):
        while "tidegauge_rollup_lag_seconds{" not in text:
            text = (await client.get("/metrics")).text
    assert value(text, "ingest_items_total", signal="traces", result="stored") == 20
    assert value(text, "ingest_commit_duration_seconds_count", store="timescaledb") == 1
    for query in ("ingest.copy_traces", "traces.find_spans"):
        assert value(text, "database_query_duration_seconds_count", query=query) == 1
    assert value(text, "dependency_request_duration_seconds_count", dependency="timescaledb", operation="read") >= 1
    for pool in ("api", "ingest", "maintenance"):
        assert value(text, "database_pool_limit_connections", pool=pool) >= 2
    assert value(text, "http_requests_total", method="POST", route="/v1/traces", status="200") == 1
    rollups = {dict(labels)["rollup"] for name, labels in samples(text) if name == "tidegauge_rollup_lag_seconds"}
    assert {"metrics_hourly", "traces_daily"} <= rollups
    assert sum(count for (name, _), count in samples(text).items() if name == "tidegauge_jobs") >= 1


async def test_a_pool_that_is_in_use_is_no_failure_of_the_database(database: TestDatabase) -> None:
    circuit = Circuit("timescaledb")
    second = timedelta(seconds=10)
    limits = {"pool_size": 2, "connect_timeout": timedelta(seconds=0.2), "statement_timeout": second, "lock_timeout": second}
    async with Database(database.owner_dsn, **limits, guard=circuit) as own:  # type: ignore[arg-type]
        async with contextlib.AsyncExitStack() as held:
            for _ in range(2):
                await held.enter_async_context(own.autocommit())
            assert own.usage()[0] == 2
            with pytest.raises(Busy):
                async with own.reading():
                    raise AssertionError("there was another connection")
        assert circuit.status().failures == 0
        async with own.reading() as connection:
            await connection.execute("SELECT 1")
