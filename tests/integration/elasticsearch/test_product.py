"""The whole product with logs in Elasticsearch, which goes away and comes back."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.servers import elasticsearch
from tests.servers import product as products
from tests.servers.elasticsearch import Launcher
from tests.servers.product import Product

_SECONDS = 60
NOW = time.time_ns()


@pytest.fixture(scope="module")
def server(elasticsearch_server: elasticsearch.Server) -> Launcher:
    """A server that may be killed."""
    if elasticsearch_server.launcher is None:
        pytest.skip(f"needs a server that may be stopped, not {elasticsearch.choice().what}")
    return elasticsearch_server.launcher


@dataclass
class Running:
    """The product and its Elasticsearch."""

    product: Product
    server: Launcher
    http: httpx.AsyncClient

    async def send(self, signal: str, content: dict[str, Any]) -> httpx.Response:
        return await self.http.post(f"{self.product.otlp_url}/v1/{signal}", json=content)

    async def get(self, path: str, **parameters: Any) -> httpx.Response:
        return await self.http.get(f"{self.product.api_url}/api/v1{path}", params=parameters)


@pytest_asyncio.fixture(scope="module")
async def running(server: Launcher, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """Both, running."""
    settings = {
        "ELASTICSEARCH_URL": server.url,
        "TIDEGAUGE_LOGS_DATASET": f"product_{uuid.uuid4().hex[:12]}",
        "TIDEGAUGE_LOGS_ELASTICSEARCH_TIMEOUT": "3s",
        # One failure more than a test makes: what answers is asked again at once.
        "CIRCUIT_BREAKER_FAILURE_THRESHOLD": "100000",
    }
    folder: Path = tmp_path_factory.mktemp("product-es") / "data"
    async with products.running(folder, env=settings | products.UNTHROTTLED) as product, httpx.AsyncClient(timeout=30) as http:
        yield Running(product, server, http)


def logs(service: str, bodies: list[str]) -> dict[str, Any]:
    records = [{"timeUnixNano": str(NOW + place), "severityNumber": 9, "body": {"stringValue": body}} for place, body in enumerate(bodies)]
    return {"resourceLogs": [{"resource": _resource(service), "scopeLogs": [{"logRecords": records}]}]}


def spans(service: str) -> dict[str, Any]:
    span = {
        "traceId": uuid.uuid4().hex,
        "spanId": uuid.uuid4().hex[:16],
        "name": "GET /",
        "startTimeUnixNano": str(NOW),
        "endTimeUnixNano": str(NOW),
    }
    return {"resourceSpans": [{"resource": _resource(service), "scopeSpans": [{"spans": [span]}]}]}


def _resource(service: str) -> dict[str, Any]:
    return {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    ends = time.monotonic() + _SECONDS
    while not await condition():
        assert time.monotonic() < ends
        await asyncio.sleep(0.1)


@pytest.fixture
def service() -> str:
    """A name that no other test has."""
    return f"es-{uuid.uuid4().hex[:12]}"


async def bodies(running: Running, service: str) -> list[str]:
    found = await running.get("/logs", service=service, start="now-1h", limit=1000)
    assert found.status_code == 200, found.text
    return sorted(row["body"]["stringValue"] for row in found.json()["logs"])


async def searchable(running: Running) -> None:
    """Make everything that Elasticsearch has taken visible to searches."""
    (await running.http.post(f"{running.server.url}/_refresh")).raise_for_status()


async def test_logs_are_found_soon_after_their_acknowledgement(running: Running, service: str) -> None:
    sent = [f"n{place}" for place in range(20)]
    answer = await running.send("logs", logs(service, sent))
    assert (answer.status_code, answer.json()) == (200, {})

    async def are_found() -> bool:
        return await bodies(running, service) == sorted(sent)

    await eventually(are_found)
    # The same again is the same.
    assert (await running.send("logs", logs(service, sent))).status_code == 200
    await searchable(running)
    assert await are_found()


async def test_rejected_records_are_told_and_written_down(running: Running, service: str) -> None:
    content = logs(service, ["good", "bad"])
    content["resourceLogs"][0]["scopeLogs"][0]["logRecords"][1]["timeUnixNano"] = "1"
    answer = await running.send("logs", content)
    assert answer.json()["partialSuccess"]["rejectedLogRecords"] == "1"

    async def are_written() -> bool:
        found = await running.get("/rejections", service=service, start="now-1h")
        return [(row["signal"], row["reason"], row["items"]) for row in found.json()["rejections"]] == [("logs", "too_old", 1)]

    await eventually(are_written)


async def test_elasticsearch_killed_and_started_again(running: Running, service: str) -> None:
    acknowledged: list[str] = []
    ended = asyncio.Event()

    async def send_and_send_again(lane: int) -> None:
        """As an exporter does: the same bytes until they are taken."""
        number = 0
        while not ended.is_set():
            body = f"lane {lane} number {number}"
            answer = await running.send("logs", logs(service, [body]))
            assert answer.status_code in (200, 429, 503), answer.text
            if answer.status_code == 200:
                acknowledged.append(body)
                number += 1
            else:
                assert int(answer.headers["retry-after"]) > 0
                await asyncio.sleep(0.2)

    lanes = [asyncio.create_task(send_and_send_again(lane)) for lane in range(4)]

    async def more_than(count: int) -> bool:
        return len(acknowledged) > count

    await eventually(lambda: more_than(50))
    await asyncio.to_thread(running.server.kill)
    refused = await running.send("logs", logs(f"{service}-other", ["nobody takes it"]))
    assert (refused.status_code, int(refused.headers["retry-after"]) > 0) == (503, True)
    assert (await running.send("traces", spans(service))).status_code == 200
    search = await running.get("/logs", service=service)
    assert (search.status_code, int(search.headers["retry-after"]) > 0) == (503, True)
    assert (await running.get("/traces", service=service, start="now-1h")).status_code == 200
    before = len(acknowledged)
    await asyncio.to_thread(running.server.start)
    await eventually(lambda: more_than(before + 50))
    ended.set()
    await asyncio.gather(*lanes)

    async def are_found() -> bool:
        found: list[str] = []
        cursor = None
        while True:
            parameters = {"service": service, "start": "now-1h", "limit": 1000} | ({"cursor": cursor} if cursor else {})
            answer = await running.get("/logs", **parameters)
            if answer.status_code != 200:
                return False
            found += [row["body"]["stringValue"] for row in answer.json()["logs"]]
            cursor = answer.json()["next_cursor"]
            if cursor is None:
                # None is lost, and none stands twice.
                return sorted(found) == sorted(acknowledged)

    await eventually(are_found)


async def test_timescaledb_that_hangs_does_not_keep_logs_from_anything(running: Running, service: str) -> None:
    (database,) = [pid for pid, command in products.children(running.product.pid) if "server.mjs" in command]
    content = logs(service, ["good", "bad"])
    content["resourceLogs"][0]["scopeLogs"][0]["logRecords"][1]["timeUnixNano"] = "1"
    os.kill(database, signal.SIGSTOP)
    try:
        answer = await running.send("logs", content)
        assert answer.json()["partialSuccess"]["rejectedLogRecords"] == "1"

        async def is_found() -> bool:
            return await bodies(running, service) == ["good"]

        await eventually(is_found)
        assert (await running.send("traces", spans(service))).status_code == 503
    finally:
        os.kill(database, signal.SIGCONT)

    async def is_written() -> bool:
        found = await running.get("/rejections", service=service, start="now-1h")
        return found.status_code == 200 and [row["reason"] for row in found.json()["rejections"]] == ["too_old"]

    await eventually(is_written)
