"""A database that goes away and comes back, as readers see it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from time import monotonic

import httpx
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.servers.proxy import relay
from tests.servers.timescaledb import TestDatabase
from tidegauge.config import Settings
from tidegauge.runtime import Location, assembled

RESET_MS = 4000


def fitted(settings: Settings) -> Settings:
    """Quick to give up, and to try again."""
    return settings.model_copy(
        update={
            "database": settings.database.model_copy(update={"connect_timeout": timedelta(seconds=0.3)}),
            "circuit_breaker": settings.circuit_breaker.model_copy(update={"failure_threshold": 3, "reset_timeout_ms": RESET_MS}),
        }
    )


async def test_readers_of_a_database_that_is_away_are_told_at_once_and_it_is_found_again(
    database: TestDatabase, settings: Settings
) -> None:
    place = conninfo_to_dict(database.owner_dsn)
    async with relay(str(place["host"]), int(str(place["port"]))) as database_relay:
        dsn = make_conninfo(database.owner_dsn, host="127.0.0.1", port=database_relay.port)
        location = Location(dsn, None, embedded=database.kind == "embedded")
        async with assembled(fitted(settings), location, maintains=False) as runtime:
            transport = httpx.ASGITransport(app=runtime.api)
            async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
                assert (await client.get("/api/v1/applications")).status_code == 200
                assert await _state(client) == "closed"

                await database_relay.cut()
                failures = [await client.get("/api/v1/applications") for _ in range(3)]
                assert [answer.status_code for answer in failures] == [503] * 3
                (circuit,) = (await client.get("/api/health/circuits")).json()["circuits"]
                assert (circuit["state"], circuit["failures"]) == ("open", 3)
                refused = await client.get("/api/v1/metrics")
                assert (refused.status_code, 1 <= int(refused.headers["retry-after"]) <= 4) == (503, True)
                assert "timescaledb is away" in refused.text
                assert (await client.get("/api/health/ready")).status_code == 503
                assert (await client.get("/api/health/live")).status_code == 200

                await database_relay.restore()
                await _recovered(client)
                assert await _state(client) == "closed"
                assert (await client.get("/api/health/ready")).json()["status"] == "ok"


async def _state(client: httpx.AsyncClient) -> str:
    (circuit,) = (await client.get("/api/health/circuits")).json()["circuits"]
    return str(circuit["state"])


async def _recovered(client: httpx.AsyncClient) -> None:
    until = monotonic() + 30
    while (await client.get("/api/v1/applications")).status_code != 200:
        assert monotonic() < until
        await asyncio.sleep(0.1)
