"""What answers say of the cache."""

from __future__ import annotations

from typing import Any

import pytest

from tidegauge.api.auth import Message, Receive, Scope, Send
from tidegauge.api.cache_headers import CacheHeaders
from tidegauge.query import caching


@pytest.mark.parametrize(("status", "headers"), [(200, [(b"x-cache", b"hit"), (b"age", b"2")]), (503, [])])
async def test_an_error_is_no_kept_answer(status: int, headers: list[tuple[bytes, bytes]]) -> None:
    async def app(_: Scope, __: Receive, send: Send) -> None:
        use = caching._use.get()
        assert use is not None
        use.hits, use.oldest_ns = 1, 1_000_000_000
        await send({"type": "http.response.start", "status": status, "headers": []})

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError

    await CacheHeaders(app, lambda: 3_000_000_000)({"type": "http"}, receive, send)
    assert sent[0]["headers"] == headers
