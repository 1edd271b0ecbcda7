"""Log records as they are stored: server-sent events (WHATWG HTML, "Server-sent events")."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from typing import Annotated

import orjson
from fastapi import APIRouter, Query
from fastapi.responses import Response
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError

from tidegauge.api import answers, log_document, log_schemas
from tidegauge.api.auth import Receive, Scope, Send
from tidegauge.api.context import InContext
from tidegauge.api.formats import AttributesForm
from tidegauge.api.log_parameters import TailParameters
from tidegauge.errors import Unavailable
from tidegauge.model.query import TimeRange
from tidegauge.query.tail import Feed, Lost

router = APIRouter(prefix=log_document.LOGS, tags=["logs"])

_ALWAYS = TimeRange(0, (1 << 63) - 1)
_HEARTBEAT_SECONDS = 10
# A client that takes nothing for so long is given up: it holds a place that another may want.
_STUCK_SECONDS = 60
_RETRY_MS = 2000
_EVENTS = (
    "A stream of events until the client or the server ends. `open`: from here on nothing is missed without a word; `log`: a record "
    "(its `id` is the `log_id`); `dropped`: how many `records` are missing at this place, for they came faster than they were read; `end`: "
    "the server stops. A comment comes every 10 s."
)


class _Events(EventSourceResponse):
    """The stream of a feed; leaves the feed when it ends, and gives up without an error what nobody takes."""

    media_type = "text/event-stream"

    def __init__(self, feed: Feed, form: AttributesForm, left: AsyncExitStack) -> None:
        super().__init__(_events(feed, form), ping=_HEARTBEAT_SECONDS, send_timeout=_STUCK_SECONDS, sep="\n")
        self._left = left

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._left:
            with suppress(SendTimeoutError):
                await super().__call__(scope, receive, send)


@router.get(
    "/tail",
    response_class=_Events,
    status_code=200,
    responses={200: {"model": log_schemas.TailLog | log_schemas.TailDropped, "description": _EVENTS}, **answers.problems()},
)
async def tail_logs(context: InContext, query: Annotated[TailParameters, Query()]) -> Response:
    """Follow log records live: what matches the filter, as server-sent events, at the moment when it is acknowledged to its sender.

    Nothing is repeated, and what was stored before does not come: a search finds that.
    """
    tail = context.services.tail
    if tail is None:
        raise Unavailable("this server has no live tail")
    wanted = query.filter().within(_ALWAYS)
    # Entered here, so that who may not follow gets a problem document instead of a stream.
    async with AsyncExitStack() as stack:
        feed = await stack.enter_async_context(tail.follow(context.tenant_id, wanted))
        return _Events(feed, query.attributes, stack.pop_all())


async def _events(feed: Feed, form: AttributesForm) -> AsyncIterator[ServerSentEvent]:
    yield ServerSentEvent("{}", event="open", retry=_RETRY_MS)
    async for each in feed:
        if isinstance(each, Lost):
            yield ServerSentEvent(orjson.dumps({"records": each.records}).decode(), event="dropped")
        else:
            yield ServerSentEvent(orjson.dumps(log_document.whole(each, form)).decode(), event="log", id=each.log_id)
    yield ServerSentEvent("{}", event="end")
