"""Limits of requests, as an ASGI middleware: who asks too often gets 429 and is told when to come again.

Every answer says what is left of the window that is used up soonest: ``RateLimit-Limit``, ``RateLimit-Remaining``, ``RateLimit-Reset`` (in
seconds; draft-ietf-httpapi-ratelimit-headers-06) and all windows in ``RateLimit-Policy``; the first three as ``X-RateLimit-…`` too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tidegauge.api import problems
from tidegauge.api.auth import App, Message, Receive, Scope, Send
from tidegauge.clients import ClientOf
from tidegauge.errors import RateLimited
from tidegauge.storage.cache_interface import Allowance, RateLimiter, Verdict

# Who watches the server must not be kept from it by who uses it.
_EXEMPT = ("/api/health/", "/metrics")
_TENANT = 0

Headers = list[tuple[bytes, bytes]]


class Throttle:
    """Counts every request of a client but those for health and metrics.

    Args:
        app: the application behind it.
        limiter: counts.
        client_of: who asks.

    """

    def __init__(self, app: App, limiter: RateLimiter, client_of: ClientOf) -> None:
        self._app = app
        self._limiter = limiter
        self._client_of = client_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http" or scope["path"].startswith(_EXEMPT):
            await self._app(scope, receive, send)
            return
        verdict = await self._limiter.take(_TENANT, self._client_of(scope))
        told = _headers(verdict.allowances)
        if not verdict.allowed:
            await _refuse(verdict, told, scope, send)
            return

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *told]
            await send(message)

        await self._app(scope, receive, tell if told else send)


async def _refuse(verdict: Verdict, told: Headers, scope: Scope, send: Send) -> None:
    full = [f"{each.window.limit} in {each.window.seconds:g} s" for each in verdict.allowances if not each.remaining]
    error = RateLimited(
        "this client has made as many requests as it may" + (f": {', '.join(full)}" if full else ""),
        hint="wait for Retry-After, and ask slower; TIDEGAUGE_THROTTLE_LIMIT_SHORT, …_MEDIUM and …_LONG set the limits",
        retry_after_seconds=verdict.retry_after_seconds,
    )
    answer = problems.of_error(error, scope["path"])
    headers = [*answer.raw_headers, *told]
    if any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"]):
        # A body that was not read must not be taken for the next request.
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else bytes(answer.body)})


def _headers(allowances: Sequence[Allowance]) -> Headers:
    if not allowances:
        return []
    tightest = min(allowances, key=lambda each: (each.remaining, -each.reset_seconds))
    values = {b"limit": tightest.window.limit, b"remaining": tightest.remaining, b"reset": math.ceil(tightest.reset_seconds)}
    policy = ", ".join(f"{each.window.limit};w={max(1, math.ceil(each.window.seconds))}" for each in allowances)
    said = [(name, str(value).encode()) for name, value in values.items()]
    return [
        *((b"ratelimit-" + name, value) for name, value in said),
        (b"ratelimit-policy", policy.encode()),
        *((b"x-ratelimit-" + name, value) for name, value in said),
    ]
