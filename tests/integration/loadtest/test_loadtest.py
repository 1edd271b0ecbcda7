"""A load test of servers that behave, that have limits, and that break."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from tests.servers.product import Product
from tidegauge.errors import Unauthenticated, Unavailable
from tidegauge.loadtest.run import Options, run

Respond = Callable[[str], tuple[int, dict[str, str]]]
_BODIES = {
    "/api/v1/applications": {"applications": [{"name": "cart"}]},
    "/api/v1/metrics": {"metrics": [{"name": "a/b c"}]},
    "/api/v1/traces": {"spans": [{"trace_id": "f" * 32}]},
}


class Server:
    """Answers as ``respond`` says; a status of 0 closes the connection without an answer."""

    def __init__(self, respond: Respond) -> None:
        self._respond = respond
        self.paths: Counter[str] = Counter()
        self.url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await self._head(reader):
            path = head.split(" ")[1]
            length = next((int(line.split(":")[1]) for line in head.split("\r\n") if line.startswith("content-length")), 0)
            await reader.readexactly(length)
            self.paths[path.partition("?")[0]] += 1
            status, headers = self._respond(path)
            if not status:
                break
            body = json.dumps(_BODIES.get(path.partition("?")[0], {})).encode()
            lines = [
                f"HTTP/1.1 {status} X",
                f"content-length: {len(body)}",
                *(f"{name}: {value}" for name, value in headers.items()),
                "",
                "",
            ]
            writer.write("\r\n".join(lines).encode() + body)
            await writer.drain()
        writer.close()

    async def _head(self, reader: asyncio.StreamReader) -> str:
        try:
            return (await reader.readuntil(b"\r\n\r\n")).decode()
        except (asyncio.IncompleteReadError, ConnectionError):
            return ""


@asynccontextmanager
async def serving(respond: Respond) -> AsyncIterator[Server]:
    server = Server(respond)
    async with await asyncio.start_server(server.handle, "127.0.0.1", 0) as listening:
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        yield server


class Limited:
    """As many as the limit lets in within a sliding second, told as the server's own limits are."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._times: deque[float] = deque()

    def __call__(self, path: str) -> tuple[int, dict[str, str]]:
        now = asyncio.get_running_loop().time()
        while self._times and self._times[0] <= now - 1:
            self._times.popleft()
        policy = {"ratelimit-policy": f"{self._limit};w=1, 1000;w=60"}
        if len(self._times) >= self._limit:
            return 429, {**policy, "ratelimit-remaining": "0", "ratelimit-reset": "1", "retry-after": "1"}
        self._times.append(now)
        return 200, {**policy, "ratelimit-remaining": str(self._limit - len(self._times)), "ratelimit-reset": "1"}


async def loaded(server: str, **options: object) -> dict[str, object]:
    report = await run(server, None, Options(4, **{"seconds": 0.3, "timeout_seconds": 2.0, **options}), asyncio.Event())  # type: ignore[arg-type]
    return report.as_dict()


async def test_every_endpoint_is_asked_with_what_is_there() -> None:
    async with serving(lambda _: (200, {})) as server:
        said = await loaded(server.url, ingests=True)
    assert (said["ok"], said["success_rate"], said["connection_errors"]) == (True, 1.0, {})
    assert {
        f"/api/v1/{path}" for path in ("applications", "traces", "logs", "metrics", "metrics/a%2Fb%20c/range", f"traces/{'f' * 32}")
    } == set(server.paths)
    assert "ingest of logs" in said["endpoints"]  # type: ignore[operator]


async def test_it_keeps_to_the_limits_that_it_is_told() -> None:
    async with serving(Limited(8)) as server:
        said = await loaded(server.url, seconds=2.5)
    assert (said["ok"], said["rate_limited"]) == (True, 0)
    assert int(str(said["requests"])) > 8


async def test_without_pacing_refusals_are_reported_and_no_failure() -> None:
    async with serving(Limited(8)) as server:
        said = await loaded(server.url, paced=False)
    assert (said["ok"], said["success_rate"]) == (True, 1.0)
    assert int(str(said["rate_limited"])) > 0


@pytest.mark.parametrize(("status", "fault"), [(503, "503"), (502, "502"), (0, "closed before the answer was whole"), (500, "are needed")])
async def test_a_server_that_fails_has_not_passed(status: int, fault: str) -> None:
    asked = Counter[bool]()

    def respond(path: str) -> tuple[int, dict[str, str]]:
        asked[True] += 1
        return (status if asked[True] > 3 and asked[True] % 10 == 0 else 200), {}

    async with serving(respond) as server:
        said = await loaded(server.url)
    assert said["ok"] is False
    assert fault in " ".join(said["faults"])  # type: ignore[arg-type]


async def test_a_server_that_closes_waiting_connections_has_done_nothing_wrong() -> None:
    async with serving(lambda _: (200, {"connection": "close"})) as server:
        said = await loaded(server.url)
    assert (said["ok"], said["connection_errors"]) == (True, {})


async def test_where_nothing_can_be_asked() -> None:
    async with serving(lambda _: (401, {})) as server:
        with pytest.raises(Unauthenticated):
            await loaded(server.url)
    with pytest.raises(Unavailable):
        await loaded(server.url)


async def test_the_product_passes(product: Product) -> None:
    said = await loaded(product.api_url, seconds=1.0, ingests=True)
    assert said["ok"], said["faults"]
    assert said["endpoints"]["ingest of logs"]["succeeded"] > 0  # type: ignore[index]
