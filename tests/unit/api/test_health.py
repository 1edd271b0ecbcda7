"""Health endpoints."""

from __future__ import annotations

import httpx
import pytest

from tests.unit.api.conftest import NOW_NS, Stores
from tidegauge.api import formats
from tidegauge.api.app import create_app
from tidegauge.api.services import ApiServices
from tidegauge.config import ApiSettings
from tidegauge.errors import CircuitOpen, Unavailable
from tidegauge.health.circuits import Circuit, CircuitLimits


async def test_not_ready_names_what_is_wrong(client: httpx.AsyncClient, stores: Stores) -> None:
    stores.checks = {"timescaledb": "does not answer", "redis": "ok"}
    answer = await client.get("/api/health/ready")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert answer.json()["errors"] == [{"parameter": "timescaledb", "message": "does not answer"}]
    assert (await client.get("/api/health/live")).json() == {"status": "ok"}


async def test_with_one_of_two_stores_away_it_is_ready_and_says_what_is_wrong(client: httpx.AsyncClient, stores: Stores) -> None:
    stores.checks = {"timescaledb": "ok", "elasticsearch": "away"}
    answer = await client.get("/api/health/ready")
    assert (answer.status_code, answer.json()) == (200, {"status": "degraded", "checks": stores.checks})


async def test_circuits_are_told_with_their_times(stores: Stores) -> None:
    circuit = Circuit("timescaledb", CircuitLimits(1, 30, 1), lambda: 5.0, lambda: NOW_NS / 1e9)
    services = ApiServices(stores, stores, stores, stores, stores, stores.readiness, lambda: NOW_NS, lambda: [circuit.status()])
    with pytest.raises(Unavailable), circuit("question"):
        raise Unavailable("away")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(services, ApiSettings())), base_url="http://t") as client:
        (told,) = (await client.get("/api/health/circuits")).json()["circuits"]
    assert told | {"next_probe_at": None} == {
        "dependency": "timescaledb",
        "state": "open",
        "failures": 1,
        "opened_at": formats.time(NOW_NS),
        "next_probe_at": None,
        "last_error": "away",
    }
    assert told["next_probe_at"] == formats.time(NOW_NS + 30_000_000_000)


async def test_an_open_circuit_is_answered_with_when_to_come_again(client: httpx.AsyncClient, stores: Stores) -> None:
    stores.failure = CircuitOpen("timescaledb is away", retry_after_seconds=17)
    answer = await client.get("/api/v1/applications")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "17")
