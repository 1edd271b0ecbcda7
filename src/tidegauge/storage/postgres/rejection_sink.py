"""Writes down what was rejected of requests that are stored elsewhere: when the database can, and never in anybody's way."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from typing import Self

import psycopg

from tidegauge.errors import TidegaugeError
from tidegauge.storage.interface import IngestRequest
from tidegauge.storage.postgres.database import Database
from tidegauge.storage.postgres.rejections import RejectionRecorder

_MOST_WAITING = 1_000
_AT_ONCE = 100
_PAUSE_SECONDS = 1.0
_LAST_SECONDS = 1.0
_logger = logging.getLogger(__name__)


class PostgresRejectionSink:
    """A queue of requests with rejections, the oldest of which are given up where it is full. Used as an async context manager."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._recorder = RejectionRecorder()
        self._waiting: deque[IngestRequest] = deque(maxlen=_MOST_WAITING)
        self._given_up = 0
        self._at_once = _AT_ONCE
        self._came = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="rejections")
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        try:
            async with asyncio.timeout(_LAST_SECONDS):
                while self._waiting and await self._write():
                    pass
        except TimeoutError:
            pass
        self._given_up += len(self._waiting)
        self._tell()

    def note(self, requests: Sequence[IngestRequest]) -> None:
        """Write down the rejections of these requests, soon."""
        self._given_up += max(0, len(self._waiting) + len(requests) - _MOST_WAITING)
        self._waiting.extend(requests)
        self._came.set()

    async def _run(self) -> None:
        while True:
            await self._came.wait()
            self._came.clear()
            while self._waiting:
                if not await self._write():
                    await asyncio.sleep(_PAUSE_SECONDS)

    async def _write(self) -> bool:
        """Write some of them; whether it succeeded."""
        some = list(self._waiting)[: self._at_once]
        try:
            async with self._database.writing() as connection:
                await self._recorder.record(connection, some)
        except (psycopg.DataError, psycopg.IntegrityError, UnicodeError) as error:
            # One of them cannot be written, now or later: the others must not wait for it.
            if len(some) > 1:
                self._at_once = 1
                return True
            _logger.error("the rejections of a request of logs cannot be written down", exc_info=error)
        except (TidegaugeError, psycopg.Error) as error:
            _logger.debug("rejections wait: %s", error)
            return False
        else:
            self._at_once = min(2 * self._at_once, _AT_ONCE)
        # Some may have been given up meanwhile.
        written = set(map(id, some))
        self._waiting = deque((each for each in self._waiting if id(each) not in written), maxlen=_MOST_WAITING)
        self._tell()
        return True

    def _tell(self) -> None:
        if self._given_up:
            _logger.warning("the rejections of %d requests of logs could not be written down: too many for too long", self._given_up)
            self._given_up = 0
