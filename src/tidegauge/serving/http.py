"""HTTP/1.1 on one ASGI application: uvicorn's protocol without uvicorn's server.

Connections come from a socket that listens here or from another process that accepted them, and the end is ours to order: new requests
are refused while those under way are finished.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from socket import socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from tidegauge.errors import TidegaugeError, Unavailable

Refusal = Callable[[TidegaugeError, Any], "tuple[str, bytes]"]
Closed = Callable[[bool], None]

# A request that was on its way when the stop began still gets an answer.
_LINGER_SECONDS = 0.2
# How long the rest of a body may take that was arriving when the stop began.
_UPLOAD_SECONDS = 2.0
_POLL_SECONDS = 0.01


class _Connection(HttpToolsProtocol):
    """A connection that can be asked to close after its next answer."""

    def __init__(self, closed: Callable[[_Connection], None], config: uvicorn.Config, state: ServerState, loop: Any) -> None:
        super().__init__(config=config, server_state=state, app_state={}, _loop=loop)
        self.leaving = False
        self._closed = closed

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._closed(self)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if self.leaving and self.busy:
            self.cycle.keep_alive = False

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""
        # None before the first request, whatever its annotation says.
        return bool(self.cycle) and not self.cycle.response_complete

    @property
    def uploading(self) -> bool:
        """Whether a request's body is still to come."""
        return self.busy and self.cycle.more_body

    def leave(self) -> None:
        """Close after the next answer, which says so: a client that is sending at this moment loses nothing."""
        self.leaving = True
        if self.busy:
            self.cycle.keep_alive = False

    def cut_off(self, refuse: Refusal) -> None:
        """Answer a request that cannot wait any longer with 503, and close."""
        if self.busy and not self.cycle.response_started:
            media_type, body = refuse(_stopping(), self.cycle.scope)
            head = "".join(f"{name.decode()}: {value.decode()}\r\n" for name, value in _refusal_headers(media_type, body))
            self.transport.write(f"HTTP/1.1 503 {HTTPStatus(503).phrase}\r\n{head}\r\n".encode() + body)
        self.transport.close()


class HttpServer:
    """Serves one application, as an async context manager; leaving it ends as :meth:`drain` does."""

    def __init__(self, app: Any, refuse: Refusal, drain_seconds: float, closed: Closed | None = None) -> None:
        """Prepare; nothing is served yet.

        Args:
            app: the ASGI application.
            refuse: media type and body of a refusal while the server stops.
            drain_seconds: how long requests under way may take to end.
            closed: called when a connection has closed, with whether it had been asked to leave.

        """
        self._refuse = refuse
        self._drain_seconds = drain_seconds
        self._on_closed = closed
        self._config = uvicorn.Config(
            app,
            interface="asgi3",
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            # Nobody asks where a client is.
            proxy_headers=False,
            # An exporter keeps its connection between exports, by default a minute apart; with uvicorn's 5 s it would connect each time.
            timeout_keep_alive=75,
        )
        self._config.load()
        self._state = ServerState()
        self._listeners: list[asyncio.Server] = []
        self._clock: asyncio.Task[None] | None = None
        self._draining: asyncio.Task[None] | None = None

    async def __aenter__(self) -> HttpServer:
        logging.getLogger("uvicorn.error").addFilter(_not_given_up)
        self._set_date()
        self._clock = asyncio.create_task(self._tick(), name="http-date")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.start_draining()
        assert self._draining is not None
        await self._draining
        if self._clock is not None:
            self._clock.cancel()

    @property
    def open_connections(self) -> int:
        """How many there are."""
        return len(self._state.connections)

    async def listen(self, listening: socket) -> None:
        """Serve what connects to a socket, which listens already."""
        self._listeners.append(await asyncio.get_running_loop().create_server(self._connection, sock=listening))

    async def adopt(self, connected: socket) -> None:
        """Serve a connection that was accepted elsewhere."""
        try:
            connected.setblocking(False)
            await asyncio.get_running_loop().connect_accepted_socket(self._connection, connected)
        except OSError:
            # The client went away on the way here.
            connected.close()
            self._tell(leaving=False)

    def let_one_go(self) -> bool:
        """Ask one connection to leave, so that its client connects anew; False where there is none to ask."""
        for connection in self._connections():
            if not connection.leaving:
                connection.leave()
                return True
        return False

    def start_draining(self) -> None:
        """Refuse what is new from now on, and let what is under way end."""
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain(), name="http-drain")

    async def _drain(self) -> None:
        """New connections are refused, new requests answered with 503; after the time is over what is still under way gets 503 as well."""
        ends = time.monotonic() + self._drain_seconds
        for server in self._listeners:
            server.close()
        self._config.loaded_app = self._refusing
        for connection in self._connections():
            connection.app = self._refusing
            connection.leave()
        await self._ended(_LINGER_SECONDS, ends)
        for connection in self._connections():
            if not connection.busy:
                connection.transport.close()
        await self._ended(_UPLOAD_SECONDS, ends)
        for connection in self._connections():
            if connection.uploading:
                connection.cut_off(self._refuse)
        await self._ended(self._drain_seconds, ends)
        await self._cut_off_rest()

    async def _cut_off_rest(self) -> None:
        for connection in self._connections():
            connection.cut_off(self._refuse)
        # They notice that nobody listens any more before they are cancelled: what they would say then is an error.
        await asyncio.sleep(_POLL_SECONDS)
        logging.getLogger("uvicorn.error").addFilter(_not_cancelled)
        tasks = list(self._state.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_LINGER_SECONDS)
        for connection in self._connections():
            connection.transport.abort()

    async def _ended(self, seconds: float, ends: float) -> None:
        """Return when nothing is under way, or after ``seconds``, or at ``ends``."""
        until = min(time.monotonic() + seconds, ends)
        while (self._state.connections or self._state.tasks) and time.monotonic() < until:  # noqa: ASYNC110 - two sets of uvicorn's, which tell nobody
            await asyncio.sleep(_POLL_SECONDS)

    def _connections(self) -> list[_Connection]:
        return [connection for connection in self._state.connections if isinstance(connection, _Connection)]

    def _connection(self) -> _Connection:
        return _Connection(self._lost, self._config, self._state, asyncio.get_running_loop())

    def _lost(self, connection: _Connection) -> None:
        self._tell(leaving=connection.leaving)

    def _tell(self, *, leaving: bool) -> None:
        if self._on_closed is not None:
            self._on_closed(leaving)

    async def _refusing(self, scope: Any, _receive: Any, send: Any) -> None:
        media_type, body = self._refuse(_stopping(), scope)
        await send({"type": "http.response.start", "status": 503, "headers": _refusal_headers(media_type, body)})
        await send({"type": "http.response.body", "body": body})

    async def _tick(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                await asyncio.sleep(1)
                self._set_date()

    def _set_date(self) -> None:
        self._state.default_headers = [(b"date", formatdate(time.time(), usegmt=True).encode())]


def _stopping() -> Unavailable:
    return Unavailable("the server is shutting down")


def _refusal_headers(media_type: str, body: bytes) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", media_type.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", b"1"),
        (b"connection", b"close"),
    ]


def _not_cancelled(record: logging.LogRecord) -> bool:
    """A request that was cancelled by the end of the program is no error of the application."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def _not_given_up(record: logging.LogRecord) -> bool:
    """An answer that is left unfinished because nobody takes it is no error of the application; its connection is closed then."""
    return record.msg != "ASGI callable returned without completing response."
