"""Ways in for logs beside OTLP, as one ASGI application: JSON, Elasticsearch's ``_bulk`` and Loki's push."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tidegauge.errors import TidegaugeError
from tidegauge.health.readiness import OK
from tidegauge.ingest.ingestor import Ingestor
from tidegauge.receiver import elasticsearch, json_logs, loki
from tidegauge.receiver.body import ClientGone
from tidegauge.receiver.log_intake import Headers, Intake, Receive, Scope, Send, Token, answer, known_error, method_is

Readiness = Callable[[], Awaitable[Mapping[str, str]]]
_TEXT = "text/plain; charset=utf-8"


class LogWays:
    """The endpoints, behind the token that is asked for. ``readiness`` says of each dependency "ok" or what is wrong with it."""

    def __init__(self, ingestor: Ingestor, max_body_bytes: int, token: str | None, readiness: Readiness) -> None:
        intake = Intake(ingestor, max_body_bytes)
        self._token = Token(token)
        self._readiness = readiness
        self._json = json_logs.JsonLogs(intake)
        self._elasticsearch = elasticsearch.Elasticsearch(intake)
        self._loki = loki.Loki(intake)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request to a path that :func:`is_way` or :func:`is_way_at_root` knows."""
        headers: Headers = dict(scope["headers"])
        try:
            self._token.check(scope["headers"])
            await self._handle(scope["path"], scope, headers, receive, send)
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001 (the last handler)
            status, content_type, body, extra = _error(known_error(error, scope), scope, headers)
            await answer(send, status, content_type, b"" if scope["method"] == "HEAD" else body, extra)

    async def _handle(self, path: str, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        if path == json_logs.ENDPOINT:
            await self._json(scope, headers, receive, send)
        elif path == loki.ENDPOINT:
            await self._loki(scope, headers, receive, send)
        elif path == loki.READY:
            method_is(scope, "GET", "HEAD")
            ready = await self._is_ready()
            body = b"" if scope["method"] == "HEAD" else b"ready\n" if ready else b"not ready\n"
            await answer(send, 200 if ready else 503, _TEXT, body)
        else:
            below = path.removeprefix(elasticsearch.PREFIX) or "/"
            ready = below != "/_cluster/health" or await self._is_ready()
            await self._elasticsearch(below, scope, headers, receive, send, ready=ready)

    async def _is_ready(self) -> bool:
        """Whether the store of logs answers: Elasticsearch, where there is one."""
        checks = await self._readiness()
        return checks.get("elasticsearch", checks.get("timescaledb")) == OK


def is_way(path: str, method: str) -> bool:
    """Whether a request is one of these wherever it arrives. What else can be done with ``/api/v1/logs`` is the query API's."""
    if path == json_logs.ENDPOINT:
        return method == "POST"
    return path in (loki.ENDPOINT, loki.READY) or path == elasticsearch.PREFIX or path.startswith(elasticsearch.PREFIX + "/")


def is_way_at_root(path: str, method: str) -> bool:
    """Likewise, and Elasticsearch's paths without a prefix: on the receivers' port nothing else has them."""
    return is_way(path, method) or elasticsearch.is_elasticsearch(path)


class Beside:
    """Two ASGI applications on one port: ``ways`` takes the requests that ``takes`` says, by path and method; ``rest`` the others."""

    def __init__(self, rest: Any, ways: Any, takes: Callable[[str, str], bool]) -> None:
        self._rest = rest
        self._ways = ways
        self._takes = takes

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One connection."""
        # Most are OTLP: one look tells these.
        if scope["type"] != "http" or scope["path"].startswith("/v1/") or not self._takes(scope["path"], scope["method"]):
            await self._rest(scope, receive, send)
        else:
            await self._ways(scope, receive, send)


def refusal(error: TidegaugeError, scope: Scope) -> tuple[str, bytes]:
    """Media type and body of an answer to a request that was not let in, as its client reads it."""
    _, content_type, body, _ = _error(error, scope, dict(scope["headers"]))
    return content_type, body


def _error(error: TidegaugeError, scope: Scope, headers: Headers) -> tuple[int, str, bytes, list[tuple[bytes, bytes]]]:
    path = scope["path"]
    if path == json_logs.ENDPOINT:
        return json_logs.problem_of(error, scope)
    if path in (loki.ENDPOINT, loki.READY):
        return loki.text_of(error)
    return elasticsearch.error_of(error, headers)
