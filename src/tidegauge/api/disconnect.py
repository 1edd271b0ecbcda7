"""Ends the work for a reader who has gone away, as an ASGI middleware."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from tidegauge.api.auth import App, Message, Receive, Scope, Send

Result = TypeVar("Result")


class ClientGone(Exception):
    """A client went away before its answer was there."""


class CancelOnDisconnect:
    """Cancels the handler of a GET under ``prefix`` when its client goes away before the answer is complete.

    A cancelled handler's statement is cancelled as well: otherwise the database would go on working for nobody, which the embedded
    one, with a single turn at a time, would let everyone else wait for.

    What such a GET has for a body is read and dropped: it means nothing (RFC 9110, section 9.3.1), and waiting for the client to go
    away is reading on.
    """

    def __init__(self, app: App, prefix: str = "/api/v1/") -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "http" and scope["method"] == "GET" and scope["path"].startswith(self._prefix):
            await self._watched(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _watched(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = _Answer(send)
        gone = asyncio.create_task(_gone(receive))
        work = asyncio.ensure_future(self._app(scope, _Emptied(gone), answer.send))
        try:
            await asyncio.wait((gone, work), return_when=asyncio.FIRST_COMPLETED)
            if gone.done() and not answer.is_complete:
                work.cancel()
            # Not `await work`: its cancellation, which is meant, could not be told from our own.
            await asyncio.wait((work,))
        finally:
            gone.cancel()
            work.cancel()
            await asyncio.gather(gone, work, return_exceptions=True)
        if not work.cancelled():
            work.result()


async def while_connected(receive: Receive, work: Coroutine[Any, Any, Result]) -> Result:
    """What ``work`` returns; cancelled and waited for when the client goes away. The request's body must have been read.

    Raises:
        ClientGone: and so there is nobody to answer.

    """
    gone = asyncio.create_task(_gone(receive))
    task = asyncio.create_task(work)
    try:
        await asyncio.wait((gone, task), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGone
        return await task
    finally:
        gone.cancel()
        task.cancel()
        await asyncio.gather(gone, task, return_exceptions=True)


class _Answer:
    """Passes an answer on and notes its end: servers say of a finished one, too, that its client has gone."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.is_complete = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.is_complete = True
        await self._send(message)


class _Emptied:
    """The request as the handler sees it: no body, then nothing until the client has gone."""

    def __init__(self, gone: asyncio.Task[None]) -> None:
        self._gone = gone
        self._begun = False

    async def __call__(self) -> Message:
        if not self._begun:
            self._begun = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await asyncio.wait((self._gone,))
        return {"type": "http.disconnect"}


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
