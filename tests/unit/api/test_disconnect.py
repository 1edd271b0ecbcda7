"""A reader who goes away: what is worked on for nobody is given up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.unit.api.conftest import NOW_NS, Stores
from tidegauge.api.app import create_app
from tidegauge.api.auth import App, Message
from tidegauge.api.disconnect import CancelOnDisconnect
from tidegauge.api.services import ApiServices
from tidegauge.config import ApiSettings


class Connection:
    """A client's end of a request."""

    def __init__(self, path: str = "/api/v1/traces", method: str = "GET") -> None:
        self.scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [],
        }
        self.sent: list[Message] = []
        self.answered = asyncio.Event()
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self.say({"type": "http.request", "body": b"", "more_body": False})

    def say(self, message: Message) -> None:
        self._incoming.put_nowait(message)

    def leave(self) -> None:
        self.say({"type": "http.disconnect"})

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self.answered.set()

    def start(self, app: App) -> asyncio.Task[None]:
        async def run() -> None:
            await app(self.scope, self._incoming.get, self.send)

        return asyncio.create_task(run())


class Handler:
    """Works until it is told to answer."""

    def __init__(self) -> None:
        self.begun, self.answers = asyncio.Event(), asyncio.Event()
        self.ended = ""

    async def __call__(self, _: Any, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]) -> None:
        self.begun.set()
        try:
            await self.answers.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"part", "more_body": True})
            await send({"type": "http.response.body", "body": b""})
            # The end of an answer is told like a client that goes away.
            assert (await receive())["type"] == "http.request"
            assert (await receive())["type"] == "http.disconnect"
            await asyncio.sleep(0)
            self.ended = "answered"
        except asyncio.CancelledError:
            self.ended = "cancelled"
            raise


@pytest.fixture
def handler() -> Handler:
    """A handler at work."""
    return Handler()


async def test_the_work_for_a_client_that_went_away_is_cancelled(handler: Handler) -> None:
    connection = Connection()
    request = connection.start(CancelOnDisconnect(handler))
    await handler.begun.wait()
    connection.leave()
    async with asyncio.timeout(10):
        await request
    assert (handler.ended, connection.sent) == ("cancelled", [])


async def test_what_comes_after_a_complete_answer_is_not_cancelled(handler: Handler) -> None:
    connection = Connection()
    handler.answers.set()
    request = connection.start(CancelOnDisconnect(handler))
    await connection.answered.wait()
    connection.leave()
    async with asyncio.timeout(10):
        await request
    assert (handler.ended, len(connection.sent)) == ("answered", 3)


@pytest.mark.parametrize(("method", "path"), [("POST", "/api/v1/traces"), ("GET", "/api/health/ready")])
async def test_nothing_else_is_cancelled(handler: Handler, method: str, path: str) -> None:
    connection = Connection(path, method)
    request = connection.start(CancelOnDisconnect(handler))
    await handler.begun.wait()
    connection.leave()
    handler.answers.set()
    async with asyncio.timeout(10):
        await request
    assert handler.ended == "answered"


async def test_a_server_that_stops_cancels_the_work_and_is_told_so(handler: Handler) -> None:
    request = Connection().start(CancelOnDisconnect(handler))
    await handler.begun.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert handler.ended == "cancelled"


async def test_a_failure_is_passed_on() -> None:
    async def fail(*_: Any) -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await Connection().start(CancelOnDisconnect(fail))


async def test_a_body_of_a_get_is_not_kept(handler: Handler) -> None:
    connection = Connection()
    for _ in range(3):
        connection.say({"type": "http.request", "body": bytes(1 << 16), "more_body": True})
    request = connection.start(CancelOnDisconnect(handler))
    await handler.begun.wait()
    connection.leave()
    async with asyncio.timeout(10):
        await request
    assert handler.ended == "cancelled"


class SlowStores(Stores):
    """Stores that never answer."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()

    async def applications(self, tenant_id: int, limit: int) -> Any:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.asked = "given up"


async def test_a_query_of_the_api_is_given_up(stores: Stores) -> None:
    slow = SlowStores()
    app = create_app(ApiServices(slow, stores, stores, stores, stores, stores.readiness, lambda: NOW_NS), ApiSettings())
    connection = Connection("/api/v1/applications")
    request = connection.start(app)
    async with asyncio.timeout(10):
        await slow.begun.wait()
        connection.leave()
        await request
    assert (slow.asked, connection.sent) == ("given up", [])
