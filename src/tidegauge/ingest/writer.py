"""Third hop of the ingest path: group commit with bounded memory.

Requests that arrive while a commit is under way share the next one; an idle server commits at once. Whatever happens to the database,
a request is answered only after the transaction that holds it has committed.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from tidegauge.errors import NotAsAGroup, TidegaugeError, Unavailable
from tidegauge.ingest.admission import PendingBytes, Share
from tidegauge.storage.interface import IngestOutcome, IngestRequest, IngestStore

_PROBE_SECONDS = 0.5
_logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Waiting:
    request: IngestRequest
    answer: asyncio.Future[IngestOutcome]
    deadline: float


class Writer:
    """Stores requests in groups. Used as an async context manager: leaving it commits what waits, then ends.

    ``max_pending_bytes`` counts bytes from admission to answer; ``commit_timeout`` bounds how long a request waits for its commit, and so
    how long leaving takes.
    """

    def __init__(
        self, store: IngestStore, *, max_pending_bytes: int, group_max_rows: int, group_max_bytes: int, commit_timeout: timedelta
    ) -> None:
        self._store = store
        self._group_max_rows = group_max_rows
        self._group_max_bytes = group_max_bytes
        self._commit_timeout = commit_timeout.total_seconds()
        self._pending = PendingBytes(max_pending_bytes)
        self._queue: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._last_commit = 0.0
        self._loop_task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._loop_task = asyncio.create_task(self._run(), name="ingest-writer")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing = True
        self._wake.set()
        if self._loop_task is not None:
            await self._loop_task

    @property
    def pending_bytes(self) -> int:
        """Bytes admitted and not yet answered."""
        return self._pending.total

    @property
    def quiet_seconds(self) -> float:
        """Time since the last commit ended; 0 while anything is pending."""
        return 0.0 if self._pending.total else asyncio.get_running_loop().time() - self._last_commit

    @contextmanager
    def admission(self) -> Iterator[Share]:
        """A request's share of the pending bytes; it holds more as more of the request arrives.

        Raises:
            Unavailable: the server is shutting down.

        """
        if self._closing:
            raise Unavailable("the server is shutting down")
        with self._pending.share() as share:
            yield share

    async def write(self, request: IngestRequest) -> IngestOutcome:
        """Store a request with others; returns after it is durable.

        Raises:
            Unavailable: the store was away until the commit timeout. The request may still have been stored: a resend is recognised.

        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(request, loop.create_future(), loop.time() + self._commit_timeout)
        self._queue.append(waiting)
        self._wake.set()
        return await waiting.answer

    async def _run(self) -> None:
        while self._queue or not self._closing:
            if not self._queue:
                self._wake.clear()
                await self._wake.wait()
                continue
            await self._store_group(self._next_group())
            self._last_commit = asyncio.get_running_loop().time()

    def _next_group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        rows = size = 0
        while self._queue:
            request = self._queue[0].request
            rows += len(request.batch)
            size += request.bytes
            if group and (rows > self._group_max_rows or size > self._group_max_bytes):
                break
            waiting = self._queue.popleft()
            # A client that went away before its turn gets nothing stored: it was not acknowledged.
            if not waiting.answer.cancelled():
                group.append(waiting)
        return group

    async def _store_group(self, group: Sequence[_Waiting]) -> None:
        """Answer every request of the group: stored, or why not. While the store is away it is asked again until each one's deadline.

        The ledger tells the store whether a commit whose answer was lost had succeeded.
        """
        clock = asyncio.get_running_loop().time
        away = Unavailable("the commit took too long")
        while group := _not_late(group, clock(), away):
            try:
                async with asyncio.timeout_at(min(waiting.deadline for waiting in group)):
                    outcomes = await self._store.commit([waiting.request for waiting in group])
            except TimeoutError:
                continue
            except Unavailable as error:
                away = error
                if isinstance(error, NotAsAGroup) and len(group) > 1:
                    await self._store_singly(group)
                    return
                await asyncio.sleep(_PROBE_SECONDS)
            except Exception as error:
                if len(group) > 1:
                    # One of them is to blame; by itself it takes no neighbour with it.
                    await self._store_singly(group)
                    return
                _logger.exception("a request could not be stored")
                _fail(group, error)
                return
            else:
                _answer(group, outcomes)
                return

    async def _store_singly(self, group: Sequence[_Waiting]) -> None:
        for waiting in group:
            await self._store_group([waiting])


def _not_late(group: Sequence[_Waiting], now: float, error: Unavailable) -> list[_Waiting]:
    """Those whose deadline is ahead; the others are told."""
    _fail([waiting for waiting in group if waiting.deadline <= now], error)
    return [waiting for waiting in group if waiting.deadline > now]


def _answer(group: Sequence[_Waiting], outcomes: Sequence[IngestOutcome]) -> None:
    for waiting, outcome in zip(group, outcomes, strict=True):
        if not waiting.answer.done():
            waiting.answer.set_result(outcome)


def _fail(group: Sequence[_Waiting], error: Exception) -> None:
    for waiting in group:
        if not waiting.answer.done():
            waiting.answer.set_exception(error if isinstance(error, TidegaugeError) else _unexpected(error))


def _unexpected(error: Exception) -> TidegaugeError:
    wrapped = TidegaugeError("the request could not be stored")
    wrapped.__cause__ = error
    return wrapped
