"""The HTTP server on a real socket: how it ends, and how a connection is asked to go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tidegauge.config import ListenAddress
from tidegauge.serving import HttpServer, taken

Answer = tuple[int, dict[str, str], bytes]


class Echo:
    """Answers with the request's body; /wait only once it is let go."""

    def __init__(self) -> None:
        self.let_go = asyncio.Event()
        self.begun = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        self.begun.set()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        if scope["path"] == "/wait":
            await self.let_go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
        await send({"type": "http.response.body", "body": body})


class Client:
    """One kept-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, path: str, body: bytes, *, announced: int | None = None) -> None:
        length = len(body) if announced is None else announced
        self.writer.write(f"POST {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {length}\r\n\r\n".encode() + body)

    async def answer(self) -> Answer:
        async with asyncio.timeout(20):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            return int(head[0].split()[1]), headers, await self.reader.readexactly(int(headers["content-length"]))

    async def ended(self) -> bool:
        async with asyncio.timeout(20):
            return await self.reader.read() == b""


@asynccontextmanager
async def running(app: Any, drain_seconds: float = 10) -> AsyncIterator[tuple[HttpServer, Any]]:
    clients: list[Client] = []
    with taken(ListenAddress(host="127.0.0.1", port=0), "") as address:
        async with HttpServer(app, lambda error, scope: ("text/plain", str(error).encode()), drain_seconds) as server:
            await server.listen(address.start_listening())

            async def connect() -> Client:
                clients.append(Client(*await asyncio.open_connection(address.listen.host, address.listen.port)))
                return clients[-1]

            try:
                yield server, connect
            finally:
                for client in clients:
                    client.writer.close()


async def test_while_it_ends_what_is_under_way_is_finished_and_what_is_new_is_refused() -> None:
    app = Echo()
    async with running(app) as (server, connect):
        waiting, other = await connect(), await connect()
        other.send("/", b"before")
        assert (await other.answer())[::2] == (200, b"before")
        app.begun.clear()
        waiting.send("/wait", b"under way")
        await app.begun.wait()
        server.start_draining()
        other.send("/", b"after")
        status, headers, body = await other.answer()
        assert (status, headers["retry-after"], headers["connection"]) == (503, "1", "close")
        assert body == b"the server is shutting down"
        assert await other.ended()
        with pytest.raises(ConnectionRefusedError):
            await connect()
        app.let_go.set()
        status, headers, body = await waiting.answer()
        assert (status, headers["connection"], body) == (200, "close", b"under way")


async def test_a_body_that_does_not_come_does_not_hold_up_the_end() -> None:
    app = Echo()
    async with running(app, drain_seconds=3600) as (server, connect):
        slow = await connect()
        slow.send("/", b"some", announced=1000)
        await app.begun.wait()
        server.start_draining()
        status, headers, _ = await slow.answer()
        assert (status, headers["retry-after"], headers["connection"]) == (503, "1", "close")


async def test_what_is_not_finished_in_time_is_told_so(caplog: pytest.LogCaptureFixture) -> None:
    app = Echo()
    async with running(app, drain_seconds=0.3) as (server, connect):
        waiting = await connect()
        waiting.send("/wait", b"")
        await app.begun.wait()
        server.start_draining()
        status, headers, _ = await waiting.answer()
        assert (status, headers["retry-after"]) == (503, "1")
    assert caplog.records == []


async def test_a_connection_that_is_let_go_gets_its_answer_first() -> None:
    async with running(Echo()) as (server, connect):
        client = await connect()
        client.send("/", b"one")
        assert "connection" not in (await client.answer())[1]
        assert server.let_one_go()
        assert not server.let_one_go()
        client.send("/", b"two")
        status, headers, body = await client.answer()
        assert (status, headers["connection"], body) == (200, "close", b"two")
        assert await client.ended()


async def _half(_scope: Any, _receive: Any, send: Any) -> None:
    """Gives its client up in the middle of the answer, as a live tail does with one that takes nothing."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})


async def test_giving_a_client_up_closes_its_connection_and_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async with running(_half) as (_, connect):
        client = await connect()
        client.send("/", b"")
        async with asyncio.timeout(20):
            assert (await client.reader.read()).endswith(b"half\r\n")
    assert caplog.records == []
