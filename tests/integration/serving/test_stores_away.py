"""Two stores, of which one is away: what is kept in the other goes on."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic, time_ns
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest_asyncio
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import SecretStr

from tests.servers.proxy import Relay, relay
from tests.servers.timescaledb import TestDatabase
from tidegauge.config import Settings, ThrottleSettings
from tidegauge.runtime import Location, assembled

SERVICE = f"away-{uuid.uuid4().hex[:12]}"
RESET_MS = 300


@dataclass
class Stores:
    """The program, and what may be taken away from it."""

    api: httpx.AsyncClient
    otlp: httpx.AsyncClient
    timescaledb: Relay
    elasticsearch: Relay

    async def send(self, signal: str, name: str) -> int:
        """A span or a record of that name; the status that it got."""
        attributes = [{"key": "service.name", "value": {"stringValue": SERVICE}}]
        now = str(time_ns())
        items: dict[str, Any] = {
            "traces": {"scopeSpans": [{"spans": [_span(name, now)]}]},
            "logs": {"scopeLogs": [{"logRecords": [{"timeUnixNano": now, "body": {"stringValue": name}}]}]},
        }
        outer = {"traces": "resourceSpans", "logs": "resourceLogs"}[signal]
        answer = await self.otlp.post(f"/v1/{signal}", json={outer: [{"resource": {"attributes": attributes}, **items[signal]}]})
        return answer.status_code

    async def status(self, path: str) -> int:
        return (await self.api.get(path, params={"service": SERVICE})).status_code

    async def bodies(self) -> list[str] | None:
        answer = await self.api.get("/api/v1/logs", params={"service": SERVICE, "start": "now-1h"})
        return sorted(row["body"]["stringValue"] for row in answer.json()["logs"]) if answer.status_code == 200 else None

    async def ready(self) -> tuple[int, dict[str, Any]]:
        answer = await self.api.get("/api/health/ready")
        return answer.status_code, answer.json()


def _span(name: str, now: str) -> dict[str, Any]:
    return {"traceId": uuid.uuid4().hex, "spanId": uuid.uuid4().hex[:16], "name": name, "startTimeUnixNano": now, "endTimeUnixNano": now}


@pytest_asyncio.fixture
async def stores(database: TestDatabase, elasticsearch_url: str, settings: Settings) -> AsyncIterator[Stores]:
    """The program on both, each behind a relay; quick to give up, and to try again."""
    place, other = conninfo_to_dict(database.owner_dsn), urlsplit(elasticsearch_url)
    assert other.hostname is not None
    async with contextlib.AsyncExitStack() as stack:
        timescaledb = await stack.enter_async_context(relay(str(place["host"]), int(str(place["port"]))))
        elasticsearch = await stack.enter_async_context(relay(other.hostname, other.port or 9200))
        dsn = make_conninfo(database.owner_dsn, host="127.0.0.1", port=timescaledb.port)
        userinfo = f"{other.username}:{other.password}@" if other.username else ""
        url = SecretStr(f"{other.scheme}://{userinfo}127.0.0.1:{elasticsearch.port}")
        fitted = settings.model_copy(
            update={
                "database": settings.database.model_copy(update={"connect_timeout": timedelta(seconds=0.3)}),
                "logs": settings.logs.model_copy(update={"elasticsearch_url": url, "dataset": "away", "namespace": "test"}),
                "ingest": settings.ingest.model_copy(update={"commit_timeout": timedelta(seconds=3)}),
                "circuit_breaker": settings.circuit_breaker.model_copy(update={"failure_threshold": 2, "reset_timeout_ms": RESET_MS}),
                "throttle": ThrottleSettings(limit_short=0, limit_medium=0, limit_long=0),
            }
        )
        location = Location(dsn, None, embedded=database.kind == "embedded")
        runtime = await stack.enter_async_context(assembled(fitted, location, maintains=False))
        clients = [
            await stack.enter_async_context(httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t", timeout=30))
            for app in (runtime.api, runtime.otlp)
        ]
        yield Stores(clients[0], clients[1], timescaledb, elasticsearch)


async def until(what: Callable[[], Any], wanted: object) -> None:
    ends = monotonic() + 30
    while (found := await what()) != wanted:
        assert monotonic() < ends, found
        await asyncio.sleep(0.1)


async def test_either_store_may_be_away_and_the_other_goes_on(stores: Stores) -> None:
    # The first one makes the data stream, which takes its time.
    await until(lambda: stores.send("logs", "zero"), 200)
    assert await stores.send("logs", "one") == 200
    assert await stores.send("traces", "one") == 200

    async def found(*names: str) -> bool:
        return set(names) <= set(await stores.bodies() or ())

    await until(lambda: found("one"), wanted=True)

    await stores.timescaledb.cut()
    assert [await stores.status("/api/v1/traces") for _ in range(3)] == [503] * 3
    assert await stores.send("logs", "two") == 200
    await until(lambda: found("one", "two"), wanted=True)
    assert await stores.send("traces", "two") == 503
    status, told = await stores.ready()
    assert (status, told["status"], told["checks"]["elasticsearch"]) == (200, "degraded", "ok")
    assert told["checks"]["timescaledb"] != "ok"

    await stores.timescaledb.restore()
    await stores.elasticsearch.cut()
    assert [await stores.status("/api/v1/logs") for _ in range(3)] == [503] * 3
    await until(lambda: stores.status("/api/v1/traces"), 200)
    await until(lambda: stores.send("traces", "three"), 200)
    assert await stores.send("logs", "three") == 503
    circuits = (await stores.api.get("/api/health/circuits")).json()["circuits"]
    assert {each["dependency"]: each["state"] == "closed" for each in circuits} == {"timescaledb": True, "elasticsearch": False}

    await stores.elasticsearch.restore()
    await until(lambda: stores.send("logs", "four"), 200)
    await until(lambda: found("one", "two", "four"), wanted=True)
    assert (await stores.ready())[1]["status"] == "ok"
