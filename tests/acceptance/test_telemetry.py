"""What the product tells about itself: two workers behind a token, and the product's own spans sent to the product itself."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.test_workers import ITEMS, PROTOBUF, spans
from tests.servers import product as products
from tests.servers.product import Product

TOKEN = "a-token-0123456789abcdef"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADERS = {"authorization": f"Bearer {TOKEN}"}
CONNECTIONS = 4


@pytest_asyncio.fixture(scope="module")
async def told(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Product]:
    """The product, with its log at its most talkative."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        otlp = f"127.0.0.1:{free.getsockname()[1]}"
    env = {
        "TIDEGAUGE_API_TOKEN": TOKEN,
        "TIDEGAUGE_TELEMETRY_LOG_LEVEL": "debug",
        "TIDEGAUGE_TELEMETRY_LOG_FORMAT": "json",
        "TIDEGAUGE_TELEMETRY_TRACES_ENDPOINT": f"http://{otlp}",
        "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer%20{TOKEN}",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    async with products.running(tmp_path_factory.mktemp("told") / "data", "--otlp", otlp, env=env, workers=2) as running:
        yield running


def api(product: Product) -> httpx.AsyncClient:
    return product.api(headers=HEADERS)


async def send(product: Product, kind: str, requests: int) -> None:
    """Requests over several connections, so that both workers get some."""
    clients = [httpx.AsyncClient(base_url=product.otlp_url, headers=HEADERS | PROTOBUF) for _ in range(CONNECTIONS)]
    for number in range(requests):
        answer = await clients[number % CONNECTIONS].post("/v1/traces", content=spans(kind, number * ITEMS))
        assert answer.status_code == 200, answer.text
    for client in clients:
        await client.aclose()


async def numbers(client: httpx.AsyncClient) -> dict[str, float]:
    """Name → sum over labels."""
    answer = await client.get("/metrics")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0) + sample.value
    return found


async def until(product: Product, condition: Callable[[dict[str, float]], object]) -> dict[str, float]:
    """The numbers, once they are so; a connection that a worker's death breaks is made anew."""
    ends = time.monotonic() + 30
    found: dict[str, float] = {}
    while time.monotonic() < ends:
        try:
            async with api(product) as client:
                found = await numbers(client)
        except httpx.TransportError:
            continue
        if condition(found):
            return found
        await asyncio.sleep(0.1)
    pytest.fail(f"waited in vain: {found}")


def lines(product: Product) -> list[dict[str, Any]]:
    """The log so far."""
    return [json.loads(line) for line in product.stderr]


async def test_metrics_need_the_token(told: Product) -> None:
    async with told.api() as client:
        assert (await client.get("/metrics")).status_code == 401


async def test_workers_add_up_and_what_a_killed_one_had_counted_stays(told: Product) -> None:
    await send(told, "sum", 8)
    before = await until(told, lambda found: found["tidegauge_ingest_items_total"] >= 8 * ITEMS)
    assert before["process_resident_memory_bytes"] > 3e7
    victims = told.workers()
    for pid in victims:
        os.kill(pid, signal.SIGKILL)

    def both_are_there_again(found: dict[str, float]) -> bool:
        return not set(victims) & set(told.workers()) and found["tidegauge_circuit_breaker_state"] == 2

    after = await until(told, both_are_there_again)
    for name in ("tidegauge_ingest_items_total", "tidegauge_ingest_requests_total", "tidegauge_ingest_commit_duration_seconds_count"):
        assert after[name] >= before[name], name
    await send(told, "sum again", 4)
    assert (await until(told, lambda _: True))["tidegauge_ingest_items_total"] >= before["tidegauge_ingest_items_total"] + 4 * ITEMS


async def test_a_request_is_followed_from_its_sender_into_log_and_spans(told: Product) -> None:
    headers = {"traceparent": f"00-{TRACE}-{SPAN}-01", "x-correlation-id": "order-4711"}
    async with api(told) as client:
        answer = await client.get("/api/v1/traces?service=nobody", headers=headers)
        assert answer.headers["x-correlation-id"] == "order-4711"
        found: list[dict[str, Any]] = []
        ends = time.monotonic() + 30
        while not found and time.monotonic() < ends:
            await asyncio.sleep(0.2)
            trace = await client.get(f"/api/v1/traces/{TRACE}")
            found = trace.json().get("spans", []) if trace.status_code == 200 else []
    assert {span["name"] for span in found} >= {"GET /api/v1/traces"}
    request_id = answer.headers["x-request-id"]
    (line,) = [line for line in lines(told) if line.get("request_id") == request_id and line["logger"] == "tidegauge.access"]
    assert (line["trace_id"], line["correlation_id"], line["status"]) == (TRACE, "order-4711", 200)
    assert line["process"] in ("worker-1", "worker-2")
    assert line["span_id"] in {span["span_id"] for span in found}


async def test_spans_of_its_own_make_no_spans(told: Product) -> None:
    await send(told, "last", 1)

    async def stored() -> float:
        async with api(told) as client:
            return (await numbers(client))["tidegauge_ingest_items_total"]

    # Spans come for what was sent, then none for storing those, and so on: two looks without any between them find the same.
    ends = time.monotonic() + 30
    one, another = -1.0, await stored()
    while one != another:
        assert time.monotonic() < ends, "there is no end of spans"
        await asyncio.sleep(1.5)
        one, another = another, await stored()


async def test_the_log_is_lines_of_json_without_secrets(told: Product) -> None:
    password = json.loads((told.data_dir / "credentials.json").read_text())["owner_password"]
    found = lines(told)
    assert {"tidegauge.access", "tidegauge.cli.workers"} <= {line["logger"] for line in found}
    assert all({"timestamp", "level", "message"} <= line.keys() for line in found)
    for secret in (TOKEN, password):
        assert [line for line in told.stderr if secret in line] == []
