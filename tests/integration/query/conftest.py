"""The API on a real database, filled through OTLP as exporters do."""

from __future__ import annotations

import functools
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jsonschema
import pytest
import pytest_asyncio

from tests.servers.timescaledb import TestDatabase
from tidegauge.config import ApiSettings, Settings, ThrottleSettings
from tidegauge.runtime import Location, assembled, refresh_rollups

HOUR_NS = 3_600_000_000_000


class Client:
    """OTLP in, answers out. Every answer is held against the OpenAPI document."""

    def __init__(self, http: httpx.AsyncClient, openapi: dict[str, Any], refresh: Callable[[datetime, datetime], Awaitable[None]]) -> None:
        self.http = http
        self._openapi = openapi
        self._refresh = refresh

    async def refresh(self, start_ns: int, end_ns: int) -> None:
        """Bring the rollups up to date: what arrives late is in them after their next refresh only."""
        await self._refresh(*(datetime.fromtimestamp(time_ns // 1_000_000_000, UTC) for time_ns in (start_ns, end_ns)))

    async def send(self, signal: str, resources: Sequence[dict[str, Any]]) -> None:
        """Export in OTLP/JSON; ``resources`` are the request's resourceSpans (…Metrics, …Logs)."""
        field = {"traces": "resourceSpans", "metrics": "resourceMetrics", "logs": "resourceLogs"}[signal]
        answer = await self.http.post(f"/v1/{signal}", json={field: resources})
        assert answer.status_code == 200, answer.text
        assert not answer.json().get("partialSuccess"), answer.text

    async def send_spans(self, service: str, spans: Sequence[dict[str, Any]]) -> None:
        """Spans of one service."""
        await self.send("traces", [{"resource": resource(service), "scopeSpans": [{"spans": spans}]}])

    async def send_metric(self, service: str, metric: dict[str, Any]) -> None:
        """A metric of one service."""
        await self.send("metrics", [{"resource": resource(service), "scopeMetrics": [{"metrics": [metric]}]}])

    async def send_logs(self, service: str, records: Sequence[dict[str, Any]]) -> None:
        """Log records of one service."""
        await self.send("logs", [{"resource": resource(service), "scopeLogs": [{"logRecords": records}]}])

    async def get(self, path: str, template: str | None = None, **parameters: Any) -> Any:
        """A successful answer, as the document at ``template`` (the path itself, where it has no parameters) describes it."""
        answer = await self.http.get(path, params=parameters)
        assert answer.status_code == 200, answer.text
        responses = self._openapi["paths"][template or path]["get"]["responses"]
        schema = responses["200"]["content"]["application/json"]["schema"]
        document = json.loads(answer.content)
        jsonschema.validate(document, schema | {"components": self._openapi["components"]})
        return document

    async def refused(self, path: str, status: int = 400, **parameters: Any) -> Any:
        """The problem that a request is answered with."""
        answer = await self.http.get(path, params=parameters)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        return answer.json()


def resource(service: str) -> dict[str, Any]:
    """A resource of a service."""
    return {"attributes": [text("service.name", service)]}


def text(key: str, value: str) -> dict[str, Any]:
    """A string attribute."""
    return {"key": key, "value": {"stringValue": value}}


def span(trace_id: str, span_id: int, start_ns: int, **fields: Any) -> dict[str, Any]:
    """A span of a millisecond."""
    return {
        "traceId": trace_id,
        "spanId": f"{span_id:016x}",
        "name": "work",
        "kind": 2,
        "startTimeUnixNano": str(start_ns),
        "endTimeUnixNano": str(start_ns + 1_000_000),
    } | fields


@pytest_asyncio.fixture(scope="package")
async def client(database: TestDatabase, settings: Settings) -> AsyncIterator[Client]:
    """The API and OTLP of one assembled program."""
    # Searches have time enough on the busiest machine.
    limits = ApiSettings(max_page=50, max_points=1000, max_series=20, max_trace_spans=200, search_time=timedelta(minutes=5))
    async with connected(database, settings, limits) as found:
        yield found


@pytest_asyncio.fixture(scope="package")
async def settings_of_no_time(database: TestDatabase, settings: Settings) -> AsyncIterator[Client]:
    """The same whose searches' time is up as soon as they have got anywhere."""
    async with connected(database, settings, ApiSettings(max_page=50, search_time=timedelta(milliseconds=1))) as found:
        yield found


@asynccontextmanager
async def connected(database: TestDatabase, settings: Settings, limits: ApiSettings) -> AsyncIterator[Client]:
    """A program of these settings on a database."""
    location = Location(database.owner_dsn, None, embedded=database.kind == "embedded")
    unthrottled = ThrottleSettings(limit_short=0, limit_medium=0, limit_long=0)
    asked = settings.model_copy(update={"api": limits, "throttle": unthrottled})
    # Maintenance would hold the embedded database while a test that asks it directly, in this very loop, waits for it.
    async with assembled(asked, location, maintains=False) as runtime:
        transport = httpx.ASGITransport(app=runtime.api)
        async with httpx.AsyncClient(transport=transport, base_url="http://tidegauge") as http:
            openapi = (await http.get("/api/openapi.json")).json()
            yield Client(http, openapi, functools.partial(refresh_rollups, settings, location))


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def trace_id() -> str:
    """A trace id that no other test uses."""
    return uuid.uuid4().hex


@pytest.fixture(scope="session")
def base_ns() -> int:
    """The full hour five hours ago: every test's points lie behind it, in the same buckets whenever it runs."""
    return (time.time_ns() // HOUR_NS - 5) * HOUR_NS
