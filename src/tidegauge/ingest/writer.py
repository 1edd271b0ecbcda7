"""Third hop of the ingest path: group commit with bounded memory.

Requests that arrive while a commit is under way share the next one; an idle server commits at once. Whatever happens to the database,
a request is answered only after the transaction that holds it has committed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from tidegauge.errors import Overloaded, TidegaugeError, Unavailable
from tidegauge.storage.interface import IngestOutcome, IngestRequest, IngestStore

_PROBE_SECONDS = 0.5


@dataclass(slots=True, eq=False)
class _Waiting:
    request: IngestRequest
    answer: asyncio.Future[IngestOutcome]
    deadline: float


class Writer:
    """Stores requests in groups. Used as an async context manager: leaving it commits what waits, then ends.

    ``max_pending_bytes`` counts decompressed bytes from admission to answer.
    """

    def __init__(
        self, store: IngestStore, *, max_pending_bytes: int, group_max_rows: int, group_max_bytes: int, commit_timeout: timedelta
    ) -> None:
        self._store = store
        self._max_pending_bytes = max_pending_bytes
        self._group_max_rows = group_max_rows
        self._group_max_bytes = group_max_bytes
        self._commit_timeout = commit_timeout.total_seconds()
        self._pending_bytes = 0
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
        """Decompressed bytes admitted and not yet answered."""
        return self._pending_bytes

    @property
    def quiet_seconds(self) -> float:
        """Time since the last commit ended; 0 while something waits."""
        return 0.0 if self._queue else asyncio.get_running_loop().time() - self._last_commit

    @contextmanager
    def admitted(self, size: int) -> Iterator[None]:
        """Count ``size`` bytes as pending while the block runs.

        Raises:
            Overloaded: they would go beyond the limit, and something else is pending.

        """
        if self._closing:
            raise Unavailable("the server is shutting down")
        if self._pending_bytes and self._pending_bytes + size > self._max_pending_bytes:
            raise Overloaded(
                f"{self._pending_bytes} bytes are waiting for a commit, the limit is {self._max_pending_bytes}",
                hint="send slower; TIDEGAUGE_INGEST_MAX_PENDING_BYTES sets the limit",
            )
        self._pending_bytes += size
        try:
            yield
        finally:
            self._pending_bytes -= size

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
        if not group:
            return
        try:
            outcomes = await self._commit(group)
        except Unavailable as error:
            _fail(group, error)
        except Exception as error:  # noqa: BLE001 - whatever a request does to the store, the writer goes on with the next
            if len(group) > 1:
                # One of them is to blame; by itself it takes no neighbour with it.
                for waiting in group:
                    await self._store_group([waiting])
            else:
                _fail(group, error)
        else:
            for waiting, outcome in zip(group, outcomes, strict=True):
                if not waiting.answer.done():
                    waiting.answer.set_result(outcome)

    async def _commit(self, group: Sequence[_Waiting]) -> Sequence[IngestOutcome]:
        """Commit, and again while the store is away: the ledger tells whether a commit whose answer was lost had succeeded."""
        loop = asyncio.get_running_loop()
        deadline = min(waiting.deadline for waiting in group)
        while True:
            try:
                return await self._store.commit([waiting.request for waiting in group])
            except Unavailable:
                if loop.time() + _PROBE_SECONDS > deadline:
                    raise
                await asyncio.sleep(_PROBE_SECONDS)


def _fail(group: Sequence[_Waiting], error: Exception) -> None:
    for waiting in group:
        if not waiting.answer.done():
            waiting.answer.set_exception(error if isinstance(error, TidegaugeError) else _unexpected(error))


def _unexpected(error: Exception) -> TidegaugeError:
    wrapped = TidegaugeError("the request could not be stored")
    wrapped.__cause__ = error
    return wrapped
