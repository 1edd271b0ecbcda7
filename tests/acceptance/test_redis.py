"""`tidegauge up --workers 2` with REDIS_URL: what workers share, and what becomes of it while Redis is away."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import httpx
import pytest
import pytest_asyncio

from tests.servers import product as products
from tests.servers import redis
from tests.servers.product import Product
from tests.servers.redis import RedisProcess

TOKEN = "0123456789abcdef"
BEARER = {"authorization": f"Bearer {TOKEN}"}
MINUTE_NS = 60_000_000_000
BLOCK_NS = 32 * MINUTE_NS
LIMIT = 5000
# Enough that both workers have some, for connections are handed to the one with the fewest.
CONNECTIONS = 6


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    if shutil.which("redis-server") is None:
        redis.choice().need("redis-server")
        pytest.skip("no redis-server on PATH to be stopped and started")
    process = RedisProcess(tmp_path_factory.mktemp("redis"))
    process.start()
    yield process
    process.stop()


@pytest_asyncio.fixture(scope="module")
async def product(tmp_path_factory: pytest.TempPathFactory, server: RedisProcess) -> AsyncIterator[Product]:
    limits = {f"THROTTLE_LIMIT_{name}": str(LIMIT) for name in ("SHORT", "MEDIUM", "LONG")}
    own = {f"TIDEGAUGE_THROTTLE_LIMIT_{name}": "" for name in ("SHORT", "MEDIUM", "LONG")}
    ttl = {"THROTTLE_TTL_SHORT": "3600000", "THROTTLE_TTL_MEDIUM": "3600000", "THROTTLE_TTL_LONG": "3600000"}
    env = own | limits | ttl | {"REDIS_URL": server.url, "TIDEGAUGE_API_TOKEN": TOKEN, "CIRCUIT_BREAKER_RESET_TIMEOUT_MS": "500"}
    async with products.running(tmp_path_factory.mktemp("product") / "data", env=env, workers=2) as running:
        yield running


@pytest_asyncio.fixture
async def clients(product: Product) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Clients with a connection each."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(product.api(headers=BEARER)) for _ in range(CONNECTIONS)]


async def remaining(client: httpx.AsyncClient) -> int:
    answer = await client.get("/api/v1/applications")
    assert answer.status_code == 200, answer.text
    return int(answer.headers["ratelimit-remaining"])


async def send(product: Product, name: str, time_ns: int, value: float) -> None:
    points = [{"timeUnixNano": str(time_ns), "asDouble": value}]
    scope = {"metrics": [{"name": name, "gauge": {"dataPoints": points}}]}
    async with product.api(headers=BEARER) as client:
        answer = await client.post("/v1/metrics", json={"resourceMetrics": [{"scopeMetrics": [scope]}]})
    assert answer.status_code == 200, answer.text


async def values(client: httpx.AsyncClient, name: str, start_ns: int) -> tuple[list[list[float]], str]:
    parameters = {"start": str(start_ns), "end": str(start_ns + BLOCK_NS), "step": "1m", "aggregation": "sum"}
    answer = await client.get(f"/api/v1/metrics/{name}/range", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()["series"][0]["points"], answer.headers["x-cache"]


async def test_workers_count_requests_together(clients: list[httpx.AsyncClient]) -> None:
    told = [await remaining(client) for client in clients * 5]

    assert told == list(range(told[0], told[0] - len(told), -1))


async def test_workers_share_answers_and_what_makes_them_worthless(product: Product, clients: list[httpx.AsyncClient]) -> None:
    start_ns = (time.time_ns() // BLOCK_NS - 10) * BLOCK_NS
    await send(product, "shared", start_ns, 1.0)
    async with asyncio.timeout(60):
        while (await values(clients[0], "shared", start_ns))[1] != "hit":  # noqa: ASYNC110 - other processes make it true
            await asyncio.sleep(0.1)
    assert [await values(client, "shared", start_ns) for client in clients] == [([[start_ns / 1e9, 1.0]], "hit")] * len(clients)

    await send(product, "shared", start_ns, 2.0)
    async with asyncio.timeout(60):
        for client in clients:
            while (await values(client, "shared", start_ns))[0] != [[start_ns / 1e9, 3.0]]:  # noqa: ASYNC110 - other processes make it true
                await asyncio.sleep(0.01)


async def test_without_redis_everything_answers_and_with_it_all_is_as_before(
    product: Product, server: RedisProcess, clients: list[httpx.AsyncClient]
) -> None:
    start_ns = (time.time_ns() // BLOCK_NS - 20) * BLOCK_NS
    await send(product, "away", start_ns, 1.0)
    server.stop()
    states: Counter[str] = Counter()
    for _ in range(3):
        for client in clients:
            points, state = await values(client, "away", start_ns)
            assert points == [[start_ns / 1e9, 1.0]]
            states[state] += 1
            assert await remaining(client) > 0
    assert set(states) == {"miss"}
    ready = await clients[0].get("/api/health/ready")
    assert ready.status_code == 200
    assert ready.json()["checks"]["redis"] != "ok"
    await send(product, "away", start_ns, 2.0)

    server.start()
    async with asyncio.timeout(60):
        for client in clients:
            while (await values(client, "away", start_ns)) != ([[start_ns / 1e9, 3.0]], "hit"):  # noqa: ASYNC110 - other processes make it true
                await asyncio.sleep(0.1)
        while (told := [await remaining(client) for client in clients]) != list(range(told[0], told[0] - CONNECTIONS, -1)):  # noqa: ASYNC110 - other processes make it true
            await asyncio.sleep(0.1)
