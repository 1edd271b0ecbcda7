"""Limits of requests, as a client sees them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from tests.unit.api.conftest import NOW_NS, Stores
from tidegauge.api.app import create_app
from tidegauge.api.services import ApiServices, Limits
from tidegauge.clients import address
from tidegauge.config import ApiSettings
from tidegauge.storage.cache.limiter import MemoryLimiter
from tidegauge.storage.cache_interface import Window

WINDOWS = (Window("short", 3, 3600.0), Window("medium", 0, 1.0), Window("long", 5, 7200.0))
PATH = "/api/v1/applications"
TOKEN = "0123456789abcdef"


def client_of(limits: Limits | None, peer: str = "192.0.2.1", **settings: Any) -> httpx.AsyncClient:
    stores = Stores()
    services = ApiServices(stores, stores, stores, stores, stores, stores.readiness, lambda: NOW_NS)
    app = create_app(services, ApiSettings(**settings), limits)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False, client=(peer, 1234))
    return httpx.AsyncClient(transport=transport, base_url="http://tidegauge")


@pytest.fixture
def limits() -> Limits:
    return Limits(MemoryLimiter(WINDOWS, "api"))


async def statuses(client: httpx.AsyncClient, times: int, **options: Any) -> list[int]:
    return [(await client.get(PATH, **options)).status_code for _ in range(times)]


async def test_answers_say_what_is_left(limits: Limits) -> None:
    client = client_of(limits)
    answers = [await client.get(PATH), await client.get("/api/v1/nothing"), await client.get(PATH + "?unknown=1")]

    assert [answer.status_code for answer in answers] == [200, 404, 400]
    assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["2", "1", "0"]
    for answer in answers:
        assert answer.headers["ratelimit-limit"] == "3"
        assert answer.headers["ratelimit-policy"] == "3;w=3600, 5;w=7200"
        assert 0 < int(answer.headers["ratelimit-reset"]) <= 7200
        assert {name: answer.headers[f"x-ratelimit-{name}"] for name in ("limit", "remaining", "reset")} == {
            name: answer.headers[f"ratelimit-{name}"] for name in ("limit", "remaining", "reset")
        }


async def test_too_many_are_refused_with_a_problem(limits: Limits) -> None:
    client = client_of(limits)
    await statuses(client, 3)
    answer = await client.get(PATH)

    assert answer.status_code == 429
    assert answer.headers["content-type"] == "application/problem+json"
    assert 1 <= int(answer.headers["retry-after"]) <= 7200
    assert answer.headers["ratelimit-remaining"] == "0"
    document = answer.json()
    assert (document["status"], document["title"], document["instance"]) == (429, "Too many requests", PATH)
    assert "3 in 3600 s" in document["detail"]
    assert "TIDEGAUGE_THROTTLE_LIMIT_SHORT" in document["hint"]


async def test_a_body_that_was_not_read_ends_the_connection(limits: Limits) -> None:
    client = client_of(limits)
    await statuses(client, 3)

    assert "connection" not in (await client.get(PATH)).headers
    assert (await client.post(PATH, content=b"x" * 100)).headers["connection"] == "close"
    assert (await client.head(PATH)).content == b""


async def test_health_and_metrics_are_never_refused(limits: Limits) -> None:
    client = client_of(limits)
    await statuses(client, 3)

    for path in ("/api/health/live", "/api/health/ready"):
        answers = [await client.get(path) for _ in range(10)]
        assert {answer.status_code for answer in answers} == {200}
        assert not any("ratelimit-limit" in answer.headers for answer in answers)
    assert (await client.get("/metrics")).status_code != 429
    assert await statuses(client, 1) == [429]


async def test_each_address_is_a_client(limits: Limits) -> None:
    assert await statuses(client_of(limits), 4) == [200, 200, 200, 429]
    assert await statuses(client_of(limits, "192.0.2.2"), 4) == [200, 200, 200, 429]
    # Made up tokens make no new clients where no token is asked for.
    assert await statuses(client_of(limits), 2, headers={"authorization": "Bearer new"}) == [429, 429]


async def test_who_bears_the_token_is_one_client_and_who_does_not_counts_nowhere(limits: Limits) -> None:
    token = {"authorization": f"Bearer {TOKEN}"}
    assert await statuses(client_of(limits, token=TOKEN), 10) == [401] * 10
    assert await statuses(client_of(limits, token=TOKEN), 2, headers=token) == [200, 200]
    assert await statuses(client_of(limits, "192.0.2.2", token=TOKEN), 2, headers=token) == [200, 429]


async def test_without_limits_there_are_no_headers() -> None:
    for limits in (None, Limits(MemoryLimiter([Window("short", 0, 1.0)], "api"))):
        client = client_of(limits)
        assert await statuses(client, 30) == [200] * 30
        assert "ratelimit-limit" not in (await client.get(PATH)).headers


def scope(peer: str | None, *forwarded: str) -> Mapping[str, Any]:
    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded]
    return {"client": None if peer is None else (peer, 1), "headers": headers}


@pytest.mark.parametrize(
    ("found", "proxies", "expected"),
    [
        (scope("192.0.2.1"), 0, "192.0.2.1"),
        (scope("192.0.2.1", "198.51.100.7"), 0, "192.0.2.1"),
        (scope("192.0.2.1", "198.51.100.7"), 1, "198.51.100.7"),
        # What a client wrote itself stands before what our proxy adds.
        (scope("192.0.2.1", "203.0.113.9, 198.51.100.7"), 1, "198.51.100.7"),
        (scope("192.0.2.1", "203.0.113.9", "198.51.100.7, 192.0.2.9"), 2, "198.51.100.7"),
        (scope("192.0.2.1", "198.51.100.7"), 2, "198.51.100.7"),
        (scope("192.0.2.1", "made up"), 1, "192.0.2.1"),
        (scope("192.0.2.1"), 1, "192.0.2.1"),
        (scope("192.0.2.1", "198.51.100.7:4711"), 1, "198.51.100.7"),
        (scope("192.0.2.1", "[2001:db8:1:2:3:4:5:6]:4711"), 1, "2001:db8:1:2::/64"),
        (scope("2001:db8:1:2::1"), 0, "2001:db8:1:2::/64"),
        (scope("fe80::1%eth0"), 0, "fe80::/64"),
        (scope("::ffff:192.0.2.1"), 0, "192.0.2.1"),
        (scope(None), 0, "unknown"),
    ],
)
def test_the_address_is_what_can_be_believed(found: Mapping[str, Any], proxies: int, expected: str) -> None:
    assert address(found, proxies) == expected
