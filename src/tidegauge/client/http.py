"""The two clients: the core's steps carried out by httpx, waiting and not waiting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from tidegauge.client.core import Call, Done, Request, Response, Retries, Sleep, exchange
from tidegauge.client.errors import ConnectionFailed
from tidegauge.client.table import Table

T = TypeVar("T")
Row = TypeVar("Row")
_TIMEOUT = 60.0


class TidegaugeClient:
    """Asks a Tidegauge, and waits for the answer.

    ::

        with TidegaugeClient("http://localhost:4320") as client:
            frame = client.run(queries.metric_range("http.server.request.duration", step="1h")).to_pandas()

    Args:
        url: the server's address.
        token: TIDEGAUGE_API_TOKEN of the server, where it has one.
        timeout: seconds of one attempt.
        retries: after 429, 503 and broken connections.
        transport: of httpx, for tests and proxies.

    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout: float = _TIMEOUT,
        retries: Retries | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._http = httpx.Client(base_url=url, headers=_headers(token), timeout=timeout, transport=transport)
        self._retries = retries or Retries()

    def run(self, call: Call[T]) -> T:
        """The answer.

        Raises:
            ApiError: the server refused.
            ConnectionFailed: it did not answer.
            UnexpectedAnswer: what answered is not Tidegauge.

        """
        steps = exchange(call, self._retries)
        step = next(steps)
        while not isinstance(step, Done):
            if isinstance(step, Sleep):
                time.sleep(step.seconds)
                step = next(steps)
                continue
            try:
                found = self._http.request(**_arguments(step.request))
            except httpx.TransportError as error:
                step = steps.throw(_failed(error))
            else:
                step = steps.send(_response(found))
        return step.answer

    def pages(self, call: Call[T]) -> Iterator[T]:
        """The answer's pages, each asked for when it is wanted. Raises as ``run``."""
        wanted: Call[T] | None = call
        while wanted is not None:
            page = self.run(wanted)
            yield page
            wanted = wanted.next(page)

    def rows(self, call: Call[Table[Row]]) -> Iterator[Row]:
        """The rows of all pages. Raises as ``run``."""
        for page in self.pages(call):
            yield from page

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class AsyncTidegaugeClient:
    """Asks a Tidegauge without keeping the event loop waiting; otherwise as :class:`TidegaugeClient`."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout: float = _TIMEOUT,
        retries: Retries | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx.AsyncClient(base_url=url, headers=_headers(token), timeout=timeout, transport=transport)
        self._retries = retries or Retries()

    async def run(self, call: Call[T]) -> T:
        """See :meth:`TidegaugeClient.run`."""
        steps = exchange(call, self._retries)
        step = next(steps)
        while not isinstance(step, Done):
            if isinstance(step, Sleep):
                await asyncio.sleep(step.seconds)
                step = next(steps)
                continue
            try:
                found = await self._http.request(**_arguments(step.request))
            except httpx.TransportError as error:
                step = steps.throw(_failed(error))
            else:
                step = steps.send(_response(found))
        return step.answer

    async def pages(self, call: Call[T]) -> AsyncIterator[T]:
        """See :meth:`TidegaugeClient.pages`."""
        wanted: Call[T] | None = call
        while wanted is not None:
            page = await self.run(wanted)
            yield page
            wanted = wanted.next(page)

    async def rows(self, call: Call[Table[Row]]) -> AsyncIterator[Row]:
        """See :meth:`TidegaugeClient.rows`."""
        async for page in self.pages(call):
            for row in page:
                yield row

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()


def _headers(token: str | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def _arguments(request: Request) -> dict[str, Any]:
    return {
        "method": request.method,
        "url": request.path,
        "params": list(request.parameters),
        "json": request.document,
        "headers": {"Accept": request.accept},
    }


def _response(found: httpx.Response) -> Response:
    return Response(found.status_code, {name.lower(): value for name, value in found.headers.items()}, found.content)


def _failed(error: httpx.TransportError) -> ConnectionFailed:
    return ConnectionFailed(f"{error.request.url.copy_with(query=None)} did not answer: {str(error) or type(error).__name__}")
