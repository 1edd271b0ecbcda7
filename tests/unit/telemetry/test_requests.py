"""What is noted about each HTTP request."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from tidegauge import correlation
from tidegauge.telemetry.requests import Observed

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Numbers:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, int, int]] = []

    def request(self, method: str, route: str, status: int, seconds: float, response_bytes: int) -> None:
        assert seconds > 0
        self.seen.append((method, route, status, response_bytes))


def application() -> FastAPI:
    app = FastAPI()

    @app.get("/api/v1/things/{thing}")
    async def thing(thing: str) -> dict[str, Any]:
        logging.getLogger("tidegauge.things").warning("looked at")
        return correlation.outgoing() | {"thing": thing}

    @app.get("/api/v1/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"one"
            yield b"three"

        return StreamingResponse(parts())

    @app.get("/api/v1/broken")
    async def broken() -> None:
        raise RuntimeError("defect")

    @app.get("/api/health/live")
    async def live() -> None:
        pass

    return app


async def otlp(scope: Any, _receive: Any, send: Any) -> None:
    """An ingest endpoint without a router."""
    headers = [(b"x-seen", correlation.outgoing().get("x-request-id", "none").encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def numbers() -> Numbers:
    return Numbers()


@pytest.fixture
def client(numbers: Numbers) -> httpx.AsyncClient:
    api = application()

    async def both(scope: Any, receive: Any, send: Any) -> None:
        await (otlp if scope["path"].startswith("/v1/") else api)(scope, receive, send)

    app = Observed(both, numbers, ingest_route=lambda path, _: "/v1/traces" if path == "/v1/traces" else None)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://t")


async def test_requests_are_counted_by_the_template_of_their_path(client: httpx.AsyncClient, numbers: Numbers) -> None:
    answers = [await client.get(f"/api/v1/things/{n}") for n in range(2)]
    await client.get("/api/v1/stream")
    await client.get("/api/v1/scanner-1")
    await client.get("/api/v1/scanner-2")
    await client.request("BREW", "/api/v1/stream")
    await client.get("/api/v1/broken")
    await client.post("/v1/traces")
    assert [seen[:3] for seen in numbers.seen] == [
        ("GET", "/api/v1/things/{thing}", 200),
        ("GET", "/api/v1/things/{thing}", 200),
        ("GET", "/api/v1/stream", 200),
        ("GET", "unmatched", 404),
        ("GET", "unmatched", 404),
        ("OTHER", "/api/v1/stream", 405),
        ("GET", "/api/v1/broken", 500),
        ("POST", "/v1/traces", 200),
    ]
    assert [seen[3] for seen in numbers.seen[:3]] == [len(answers[0].content), len(answers[1].content), 8]


async def test_ids_are_echoed_and_passed_on(client: httpx.AsyncClient) -> None:
    headers = {"traceparent": f"00-{TRACE}-{SPAN}-01", "x-correlation-id": "order-1", "x-request-id": "r-1"}
    answer = await client.get("/api/v1/things/1", headers=headers)
    assert (answer.headers["x-correlation-id"], answer.headers["x-request-id"]) == ("order-1", "r-1")
    sent = answer.json()
    assert (sent["x-correlation-id"], sent["x-request-id"]) == ("order-1", "r-1")
    assert sent["traceparent"].startswith(f"00-{TRACE}-")
    assert SPAN not in sent["traceparent"]


@pytest.mark.parametrize("path", ["/api/v1/things/1", "/api/v1/nothing", "/api/health/live"])
async def test_ids_are_made_where_they_are_missing(client: httpx.AsyncClient, path: str) -> None:
    one, another = [(await client.get(path)).headers["x-request-id"] for _ in range(2)]
    assert len(one) == 32
    assert one != another


async def test_ingest_has_ids_where_it_names_them_and_no_line_in_the_log(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    answer = await client.post("/v1/traces", headers={"x-request-id": "r-1"})
    assert (answer.headers["x-request-id"], answer.headers["x-seen"]) == ("r-1", "r-1")
    answer = await client.post("/v1/traces")
    assert "x-request-id" not in answer.headers
    assert [record for record in caplog.records if record.name == "tidegauge.access"] == []


async def test_a_line_says_what_was_asked_and_answered_but_not_what_was_searched(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await client.get("/api/v1/things/7?token=hidden")
    await client.get("/api/health/live")
    (record,) = [record for record in caplog.records if record.name == "tidegauge.access"]
    told = vars(record)
    assert (told["method"], told["path"], told["route"], told["status"]) == ("GET", "/api/v1/things/7", "/api/v1/things/{thing}", 200)
    assert told["duration_ms"] > 0
    assert "hidden" not in str(told)


async def test_who_goes_away_without_an_answer_is_counted_apart(numbers: Numbers) -> None:
    async def silent(_scope: Any, _receive: Any, _send: Any) -> None:
        pass

    async def nothing(*_: Any) -> None:
        pass

    await Observed(silent, numbers)({"type": "http", "method": "GET", "path": "/", "headers": []}, nothing, nothing)
    assert numbers.seen == [("GET", "unmatched", 499, 0)]
