"""Third hop of the ingest path: group commit with bounded memory.

Requests that arrive while a commit is under way share the next one; an idle server commits at once. Several groups may be under way:
while one is committed, the next is made ready. Whatever happens to the database, a request is answered only after the transaction
that holds it has committed.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from tidegauge.config import Settings
from tidegauge.errors import NotAsAGroup, Overloaded, TidegaugeError, Unavailable
from tidegauge.ingest.admission import Admission, Share
from tidegauge.storage.interface import IngestOutcome, IngestRequest, IngestStore

# Requests that were parted from their group and are stored alone, at a time: one that is to blame, and its last neighbour.
SUSPECTS = 2
# Rows of a group that is worth its transaction where several are under way: a larger one gains little.
ENOUGH_ROWS = 2048
# Of the time that a stop may take: what receivers have let go by then is not waited for much longer.
_CLOSE_SHARE = 0.1
_PROBE_SECONDS = 0.5
# A small group waits for company: while another group is under way as long as a commit takes, but not for longer than this,
_COMPANY_SECONDS = 0.25
_COMPANY_ROW_BYTES = 512
# and else for requests that are here already and have to be decoded first; one whose body comes slowly is not waited for.
_COMING_SECONDS = 0.01
_PAUSE_SECONDS = 0.003
_WEIGHT = 0.2
_logger = logging.getLogger(__name__)


def writer_for(settings: Settings, store: IngestStore, *, groups: int, enough_rows: int = ENOUGH_ROWS) -> Writer:
    """A writer to ``store`` as Settings have it; what depends on the store is told: see :class:`Writer`."""
    ingest = settings.ingest
    return Writer(
        store,
        max_pending_bytes=ingest.max_pending_bytes,
        group_max_rows=ingest.group_max_rows,
        group_max_bytes=ingest.group_max_bytes,
        commit_timeout=ingest.commit_timeout,
        max_queue_delay=ingest.max_queue_delay,
        groups=groups,
        enough_rows=enough_rows,
        close_timeout=settings.serve.shutdown_timeout * _CLOSE_SHARE,
    )


@dataclass(slots=True, eq=False)
class _Waiting:
    request: IngestRequest
    answer: asyncio.Future[IngestOutcome]
    since: float
    deadline: float


class Writer:
    """Stores requests in groups. Used as an async context manager: leaving it commits what waits, then ends.

    Args:
        store: where to.
        max_pending_bytes: of all requests from admission to answer.
        max_queue_delay: how long what waits may take to be stored before more is refused.
        group_max_rows: of one group, but for one larger request.
        group_max_bytes: likewise.
        groups: how many are under way at a time. A group whose requests had to be parted is not counted; of its commits and those of the
            others ``SUSPECTS`` more are under way at the most.
        enough_rows: a group of so many does not wait for more while another is under way; likewise one of half a kilobyte for each.
        commit_timeout: bounds how long a request waits for its commit.
        close_timeout: bounds how long leaving takes; requests that are not stored by then are told so.

    """

    def __init__(
        self,
        store: IngestStore,
        *,
        max_pending_bytes: int,
        group_max_rows: int,
        group_max_bytes: int,
        commit_timeout: timedelta,
        max_queue_delay: timedelta = timedelta(seconds=1),
        groups: int = 1,
        enough_rows: int = ENOUGH_ROWS,
        close_timeout: timedelta | None = None,
    ) -> None:
        self._store = store
        self._group_max_rows = group_max_rows
        self._group_max_bytes = group_max_bytes
        self._enough_rows = min(enough_rows, group_max_rows)
        self._enough_bytes = min(enough_rows * _COMPANY_ROW_BYTES, group_max_bytes)
        self._groups = groups
        self._commit_timeout = commit_timeout.total_seconds()
        self._close_timeout = (close_timeout or commit_timeout).total_seconds()
        self._admission = Admission(max_pending_bytes, max_queue_delay.total_seconds(), _now)
        # In order of arrival; a dictionary, since who gives up may stand anywhere in it.
        self._queue: OrderedDict[_Waiting, None] = OrderedDict()
        self._queued_rows = self._queued_bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._under_way = 0
        self._slots = asyncio.Semaphore(groups + SUSPECTS)
        self._suspects = asyncio.Semaphore(SUSPECTS)
        self._timer: asyncio.TimerHandle | None = None
        self._commit_seconds = 0.0
        self._last_commit = 0.0
        self._closing = self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing = True
        try:
            async with asyncio.timeout(self._close_timeout):
                while self._queue or self._tasks:
                    self._start_groups()
                    await asyncio.gather(*self._tasks, return_exceptions=True)
        except TimeoutError:
            _logger.error("the server ends before the database has taken everything; what was not stored was not acknowledged")
        finally:
            self._closed = True
            await self._abandon()

    async def _abandon(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        _fail(self._queue, Unavailable("the server is shutting down"))
        self._queue.clear()

    @property
    def pending_bytes(self) -> int:
        """Bytes admitted and not yet answered."""
        return self._admission.total

    @property
    def queued_requests(self) -> int:
        """Requests whose commit has not begun."""
        return len(self._queue)

    @property
    def quiet_seconds(self) -> float:
        """Time since the last commit ended; 0 while anything is pending."""
        return 0.0 if self._admission.total else _now() - self._last_commit

    def admission(self, expected: int = 0) -> AbstractContextManager[Share]:
        """A request's share of the pending bytes; it holds more as more of the request arrives, ``expected`` bytes as it says.

        Raises:
            Overloaded: what waits already would take too long (raised when the block is entered, as the next).
            Unavailable: the server is shutting down, or the store is away and enough waits for it.

        """
        if self._closing:
            raise Unavailable("the server is shutting down")
        return self._admission.share(expected)

    async def write(self, request: IngestRequest) -> IngestOutcome:
        """Store a request with others; returns after it is durable.

        Raises:
            Unavailable: the store was away until the commit timeout, or the server ends. The request may still have been stored: a resend
                is recognised.

        """
        if self._closed:
            raise Unavailable("the server is shutting down")
        now = _now()
        waiting = _Waiting(request, asyncio.get_running_loop().create_future(), now, now + self._commit_timeout)
        self._queue[waiting] = None
        self._queued_rows += len(request.batch)
        self._queued_bytes += request.bytes
        # Not at once: what else is written at this moment goes with it.
        asyncio.get_running_loop().call_soon(self._start_groups)
        try:
            # Not left to its group: a database that hangs is not done with a statement when it is told to end it.
            async with asyncio.timeout_at(waiting.deadline):
                return await waiting.answer
        except TimeoutError:
            raise self._too_late() from None
        finally:
            # Whoever gives up, by its deadline or because its client went away, must not hold memory that nobody counts any more.
            self._forget(waiting)

    def _too_late(self) -> Unavailable:
        """Why a request is given up: one for each, since an error keeps the frames of all who raise it."""
        away = self._admission.away
        return Unavailable("the commit took too long") if away is None else _again(away)

    def _forget(self, waiting: _Waiting) -> None:
        """Take a request out of the queue, if it is still there."""
        if waiting in self._queue:
            del self._queue[waiting]
            self._queued_rows -= len(waiting.request.batch)
            self._queued_bytes -= waiting.request.bytes

    def _start_groups(self) -> None:
        while self._queue and self._under_way < self._groups and self._is_due():
            if group := self._next_group():
                self._under_way += 1
                task = asyncio.create_task(self._run(group), name="ingest-group")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def _is_due(self) -> bool:
        """Whether a group should start now. If not, a timer looks again when it should."""
        if self._closing or self._queued_rows >= self._enough_rows or self._queued_bytes >= self._enough_bytes:
            return True
        since, coming = next(iter(self._queue)).since, self._admission.coming
        if self._under_way:
            due = since + min(self._commit_seconds, _COMPANY_SECONDS)
        else:
            due = min(since + _COMING_SECONDS, self._admission.came + _PAUSE_SECONDS) if coming else since
        if _now() >= due:
            return True
        self._look_again(due)
        return False

    def _look_again(self, when: float) -> None:
        if self._timer is not None and self._timer.when() <= when:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._start_groups()

    def _next_group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        rows = size = 0
        while self._queue:
            waiting = next(iter(self._queue))
            rows += len(waiting.request.batch)
            size += waiting.request.bytes
            if group and (rows > self._group_max_rows or size > self._group_max_bytes):
                break
            self._forget(waiting)
            group.append(waiting)
        return group

    async def _run(self, group: Sequence[_Waiting]) -> None:
        started = _now()
        try:
            halves = await self._store_group(group)
            self._last_commit = _now()
            self._commit_seconds += _WEIGHT * (self._last_commit - started - self._commit_seconds)
        except asyncio.CancelledError:
            _fail(group, Unavailable("the server is shutting down"))
            raise
        except Exception as error:
            # A defect of ours; nobody may wait for ever because of it.
            _fail(group, error)
            raise
        finally:
            self._under_way -= 1
            if not self._closed:
                self._start_groups()
        # What had to be parted holds up nobody else any more.
        await asyncio.gather(*(self._part(half) for half in halves))

    async def _part(self, group: Sequence[_Waiting]) -> None:
        try:
            # One that is to blame takes long, row by row, and there may be many.
            async with self._suspects if len(group) == 1 else nullcontext():
                halves = await self._store_group(group)
        except asyncio.CancelledError:
            _fail(group, Unavailable("the server is shutting down"))
            raise
        self._last_commit = _now()
        await asyncio.gather(*(self._part(half) for half in halves))

    async def _store_group(self, group: Sequence[_Waiting]) -> Sequence[Sequence[_Waiting]]:
        """Answer every request of the group: stored, or why not. While the store is away it is asked again until nobody waits any more.

        Returns the halves of a group that cannot be stored as one. The ledger tells the store whether a commit whose answer was lost
        had succeeded.
        """
        while group := [waiting for waiting in group if not waiting.answer.done()]:
            try:
                # As long as anybody waits. By the first one's deadline a commit would be broken off for the others each time one gives up.
                async with asyncio.timeout_at(max(waiting.deadline for waiting in group)), self._slots:
                    outcomes = await self._store.commit([waiting.request for waiting in group])
            except TimeoutError:
                _fail(group, self._too_late())
            except Overloaded as error:
                # In smaller parts or at once again it would have no less to do; without the way it came.
                _fail(group, Overloaded(error.message, hint=error.hint, retry_after_seconds=error.retry_after_seconds))
                return ()
            except Exception as error:
                if len(group) > 1 and (isinstance(error, NotAsAGroup) or not isinstance(error, Unavailable)):
                    # One of them is to blame, or another worker's digest is in its way; alone it takes nobody with it.
                    return group[: len(group) // 2], group[len(group) // 2 :]
                if not isinstance(error, Unavailable):
                    _logger.exception("a request could not be stored")
                    _fail(group, error)
                    return ()
                if not isinstance(error, NotAsAGroup):
                    # Without the way it came, whose frames would keep the group.
                    self._admission.away = _again(error)
                await asyncio.sleep(_PROBE_SECONDS)
            else:
                self._admission.away = None
                _answer(group, outcomes)
                return ()
        return ()


def _again(error: Unavailable) -> Unavailable:
    return Unavailable(error.message, hint=error.hint, retry_after_seconds=error.retry_after_seconds)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _answer(group: Sequence[_Waiting], outcomes: Sequence[IngestOutcome]) -> None:
    for waiting, outcome in zip(group, outcomes, strict=True):
        if not waiting.answer.done():
            waiting.answer.set_result(outcome)


def _fail(group: Iterable[_Waiting], error: Exception) -> None:
    for waiting in group:
        if not waiting.answer.done():
            waiting.answer.set_exception(error if isinstance(error, TidegaugeError) else _unexpected(error))


def _unexpected(error: Exception) -> TidegaugeError:
    wrapped = TidegaugeError("the request could not be stored")
    wrapped.__cause__ = error
    return wrapped
