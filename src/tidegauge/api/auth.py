"""Bearer tokens, as an ASGI middleware: for the API and for OTLP alike."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Collection, Iterable, MutableMapping
from typing import Any

from tidegauge.errors import Unauthenticated

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Refusal = Callable[[Unauthenticated, Scope], "tuple[str, bytes]"]

HEALTH_PATHS = frozenset({"/api/health/live", "/api/health/ready", "/api/health/circuits"})


class BearerAuth:
    """Lets through what carries the token, and what asks for an exempt path; answers everything else with 401.

    Tokens are compared in constant time. Without a token everything is let through.

    Args:
        app: the application behind it.
        token: what clients must send as ``Authorization: Bearer …``; None for an open server.
        refuse: makes media type and body of a refusal; an OTLP receiver answers in the request's encoding.
        exempt: paths that need no token.

    """

    def __init__(self, app: App, token: str | None, refuse: Refusal, exempt: Collection[str] = HEALTH_PATHS) -> None:
        self._app = app
        self._token = None if token is None else token.encode()
        self._refuse = refuse
        self._exempt = exempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if self._token is None or scope["type"] not in ("http", "websocket") or scope["path"] in self._exempt:
            await self._app(scope, receive, send)
            return
        given = _bearer(scope["headers"])
        if given is not None and hmac.compare_digest(given, self._token):
            await self._app(scope, receive, send)
            return
        await self._answer(given, scope, send)

    async def _answer(self, given: bytes | None, scope: Scope, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        what = "no API token was sent" if given is None else "the API token is not the right one"
        media_type, body = self._refuse(Unauthenticated(what, hint="send Authorization: Bearer <token>"), scope)
        challenge = b'Bearer realm="tidegauge"' + (b"" if given is None else b', error="invalid_token"')
        headers = [
            (b"content-type", media_type.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"www-authenticate", challenge),
            # The body was not read: what remains of it must not be taken for the next request.
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": Unauthenticated.http_status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _bearer(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """The token of the Authorization header (RFC 6750, section 2.1); None where there is none, or more than one."""
    values = [value for name, value in headers if name.lower() == b"authorization"]
    if len(values) != 1:
        return None
    scheme, _, token = values[0].strip().partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else None
