"""Says whose request is being handled, for limits of what a client may send."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

import grpc  # type: ignore[import-untyped]

from tidegauge.clients import ClientOf
from tidegauge.ingest.throttle import sender

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class KnownSender:
    """An ASGI application before which every request's sender is known."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]], client_of: ClientOf) -> None:
        self._app = app
        self._client_of = client_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        if scope["type"] == "http":
            sender.set(self._client_of(scope))
        await self._app(scope, receive, send)


def note_caller(context: grpc.aio.ServicerContext, client_of: ClientOf) -> None:
    """The same for a gRPC call; its peer is ``ipv4:192.0.2.1:4711``, ``ipv6:%5B2001:db8::1%5D:4711`` or ``unix:…``."""
    host = unquote(context.peer()).partition(":")[2]
    # Values of binary metadata are bytes, and none of them is looked for.
    headers = [
        (name.encode(), value.encode("latin-1", "replace")) for name, value in context.invocation_metadata() or () if isinstance(value, str)
    ]
    sender.set(client_of({"client": (host, 0), "headers": headers}))
