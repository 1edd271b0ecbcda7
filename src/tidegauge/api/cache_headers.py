"""Says of each answer how much of it was kept: ``X-Cache: hit``, ``partial`` or ``miss``, and ``Age``, as an ASGI middleware.

``Age`` (RFC 9111, section 5.1) is of the oldest part, in seconds. Answers that no cache was asked for have neither.
"""

from __future__ import annotations

from collections.abc import Callable

from tidegauge.api.auth import App, Message, Receive, Scope, Send
from tidegauge.query.caching import CacheUse, noting_use


class CacheHeaders:
    """See the module's docstring; ``now_ns`` is the clock that the cache has."""

    def __init__(self, app: App, now_ns: Callable[[], int]) -> None:
        self._app = app
        self._now_ns = now_ns

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with noting_use() as use:

            async def tell(message: Message) -> None:
                if message["type"] == "http.response.start" and message["status"] < 400 and use.hits + use.misses:
                    message["headers"] = [*message.get("headers", ()), *self._headers(use)]
                await send(message)

            await self._app(scope, receive, tell)

    def _headers(self, use: CacheUse) -> list[tuple[bytes, bytes]]:
        state = b"miss" if not use.hits else b"partial" if use.misses else b"hit"
        headers = [(b"x-cache", state)]
        if use.oldest_ns:
            headers.append((b"age", str(max(0, self._now_ns() - use.oldest_ns) // 1_000_000_000).encode()))
        return headers
