"""Around every HTTP request, as an ASGI middleware: its ids, its line in the log, its numbers and its span."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from tidegauge import correlation
from tidegauge.correlation import Correlation

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_ROUTE = "tidegauge.route"
UNMATCHED = "unmatched"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
# Asked for again and again by machines: of no interest to anybody.
_QUIET = ("/api/health/", "/metrics")
_log = logging.getLogger("tidegauge.access")


class HttpNumbers(Protocol):
    """Counts requests."""

    def request(self, method: str, route: str, status: int, seconds: float, response_bytes: int) -> None:
        """A request has been answered; a status of 499 says that its client went away before."""
        ...


class RequestSpans(Protocol):
    """Makes spans of requests."""

    def request(self, correlation: Correlation, method: str, scope: Scope) -> AbstractContextManager[RequestSpan]:
        """The span of a request while the block runs."""
        ...


class RequestSpan(Protocol):
    """The span of one request."""

    @property
    def correlation(self) -> Correlation:
        """The request's ids with those of the span."""

    def answered(self, route: str, status: int) -> None:
        """What it took and what it got."""
        ...


class Observed:
    """Observes the requests of an application.

    Args:
        app: the application.
        numbers: counts them; None: nobody does.
        spans: makes spans of them; None: nobody does.
        ingest_route: which way in a path and method are, None where they are none. Such a request has no line in the log and no span of
            its own, and ids only where it names them: there are thousands a second, and a span of each would be telemetry about telemetry.

    """

    def __init__(
        self,
        app: App,
        numbers: HttpNumbers | None,
        spans: RequestSpans | None = None,
        ingest_route: Callable[[str, str], str | None] = lambda *_: None,
    ) -> None:
        self._app = app
        self._numbers = numbers
        self._spans = spans
        self._ingest_route = ingest_route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if (route := self._ingest_route(scope["path"], scope["method"])) is not None:
            scope[_ROUTE] = route
            found = correlation.of_headers(scope["headers"]) if correlation.given(scope["headers"]) else None
            answer = _Answer(send, found)
            with nullcontext() if found is None else correlation.correlated(found):
                await self._measured(scope, receive, answer)
            return
        await self._with_span(scope, receive, send, correlation.of_headers(scope["headers"]))

    async def _with_span(self, scope: Scope, receive: Receive, send: Send, found: Correlation) -> None:
        if self._spans is None or scope["path"].startswith(_QUIET):
            with correlation.correlated(found):
                await self._logged(scope, receive, _Answer(send, found))
            return
        with self._spans.request(found, _method(scope), scope) as span:
            answer = _Answer(send, found)
            with correlation.correlated(span.correlation):
                try:
                    await self._logged(scope, receive, answer)
                finally:
                    span.answered(_route(scope), answer.status)

    async def _logged(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        try:
            await self._measured(scope, receive, answer)
        finally:
            level = logging.DEBUG if scope["path"].startswith(_QUIET) else logging.INFO
            if _log.isEnabledFor(level):
                _log.log(level, "request", extra=_facts(scope, answer))

    async def _measured(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        try:
            await self._app(scope, receive, answer)
        finally:
            answer.seconds = time.perf_counter() - answer.since
            if self._numbers is not None:
                self._numbers.request(_method(scope), _route(scope), answer.status, answer.seconds, answer.bytes)


class _Answer:
    """Passes an answer on, with the request's ids in its head, and notes what it was."""

    __slots__ = ("_send", "_sent", "bytes", "seconds", "since", "status")

    def __init__(self, send: Send, found: Correlation | None) -> None:
        self._send = send
        self._sent = (
            []
            if found is None
            else [
                (correlation.CORRELATION_ID.encode(), found.correlation_id.encode()),
                (correlation.REQUEST_ID.encode(), found.request_id.encode()),
            ]
        )
        # Until there is another: what is not answered at all has a client that went away.
        self.status = 499
        self.bytes = 0
        self.since = time.perf_counter()
        self.seconds = 0.0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self._sent:
                message = {**message, "headers": [*message.get("headers", ()), *self._sent]}
        elif message["type"] == "http.response.body":
            self.bytes += len(message.get("body", b""))
        await self._send(message)


def _facts(scope: Scope, answer: _Answer) -> dict[str, object]:
    # Not the query string: what people search for is nobody's business.
    client = scope.get("client")
    return {
        "method": scope["method"],
        "path": scope["path"][:500],
        "route": _route(scope),
        "status": answer.status,
        "duration_ms": round(answer.seconds * 1000, 3),
        "response_bytes": answer.bytes,
        "client": client[0] if client else None,
    }


def _route(scope: Scope) -> str:
    """The template of the path; one name for all that are none, however many a scanner tries."""
    found = scope.get(_ROUTE) or getattr(scope.get("route"), "path", None)
    return found if isinstance(found, str) else UNMATCHED


def _method(scope: Scope) -> str:
    method: str = scope["method"]
    return method if method in _METHODS else "OTHER"
