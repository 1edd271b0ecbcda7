"""Following logs live, on the whole product."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers import product as products
from tests.servers.product import Product

TAIL = "/api/v1/logs/tail"
PATIENCE_SECONDS = 30


class Follower:
    """Reads a stream's events."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines

    async def event(self) -> tuple[str, Any]:
        """The next event and its data."""
        kind = data = ""
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for line in self._lines:
                if line.startswith("event:"):
                    kind = line.removeprefix("event:").strip()
                elif line.startswith("data:"):
                    data += line.removeprefix("data:").strip()
                elif not line and kind:
                    return kind, json.loads(data)
        raise EOFError


@asynccontextmanager
async def following(product: Product, **parameters: Any) -> AsyncIterator[Follower]:
    """A live tail that has begun."""
    async with product.api() as http, http.stream("GET", TAIL, params={"attributes": "map", **parameters}) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        follower = Follower(answer.aiter_lines())
        assert await follower.event() == ("open", {})
        yield follower


async def send(product: Product, service: str, *records: dict[str, Any]) -> None:
    """Log records, each with its body and what else it has; returns when they are acknowledged."""
    filled = [{"timeUnixNano": str(time.time_ns())} | each | {"body": {"stringValue": each["body"]}} for each in records]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    async with httpx.AsyncClient(base_url=product.otlp_url, timeout=30) as http:
        body = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"scope": {"name": "lib"}, "logRecords": filled}]}]}
        answer = await http.post("/v1/logs", json=body)
    assert answer.status_code == 200, answer.text
    assert not answer.json().get("partialSuccess"), answer.text


async def test_what_is_stored_is_told_as_a_search_gives_it_back(product: Product) -> None:
    service = f"t{uuid.uuid4().hex[:12]}"
    attributes = [{"key": "user", "value": {"stringValue": "u1"}}, {"key": "n", "value": {"doubleValue": "NaN"}}]
    trace = {"traceId": uuid.uuid4().hex, "spanId": uuid.uuid4().hex[:16]}
    async with following(product, service=service, text='"second record" or third', min_severity="info", attributes="typed") as follower:
        await send(product, service, {"body": "the second record", "severityNumber": 5}, {"body": "first", "severityNumber": 9})
        await send(product, service + "x", {"body": "second record", "severityNumber": 9})
        await send(product, service, {"body": "the second record", "severityNumber": 9, "attributes": attributes, **trace})
        await send(product, service, {"body": "third\nline", "severityNumber": 17})
        told = [await follower.event() for _ in range(2)]
    assert [kind for kind, _ in told] == ["log", "log"]
    async with product.api() as http:
        found = (await http.get("/api/v1/logs", params={"service": service, "text": "record or third", "min_severity": "info"})).json()
    assert len(found["logs"]) == 2
    for (_, one), row in zip(told, reversed(found["logs"]), strict=True):
        resource, scope = one.pop("resource"), one.pop("scope")
        assert one == {key: value for key, value in row.items() if key not in ("resource", "scope")}
        assert resource["attributes"] == found["resources"][0]["attributes"]
        assert scope["name"] == "lib"


async def test_a_filter_that_cannot_be_read_is_refused_before_the_stream(product: Product) -> None:
    async with product.api() as http:
        answer = await http.get(TAIL, params={"severity": "loud"})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


async def test_every_worker_tells_what_any_of_them_stores_until_the_server_ends(tmp_path: Path) -> None:
    async with products.running(tmp_path / "data", workers=2) as product:
        service = f"t{uuid.uuid4().hex[:12]}"
        async with following(product, service=service) as first, following(product, service=service) as second:
            # As many connections as make sure that each worker stores some of it.
            bodies = {f"n{number}" for number in range(8)}
            await asyncio.gather(*[send(product, service, {"body": body}) for body in bodies])
            for follower in (first, second):
                told = [await follower.event() for _ in bodies]
                assert {one["body"] for _, one in told} == bodies
            stopping = asyncio.create_task(products.stop(product))
            for follower in (first, second):
                assert await follower.event() == ("end", {})
                with pytest.raises(EOFError):
                    await follower.event()
        assert await stopping == 0
