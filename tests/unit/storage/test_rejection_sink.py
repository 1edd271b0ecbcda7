"""Rejections that are written down behind the answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tidegauge.errors import Unavailable
from tidegauge.model.batch import LogBatch, Rejection, Signal
from tidegauge.storage.interface import IngestRequest
from tidegauge.storage.postgres import rejection_sink
from tidegauge.storage.postgres.rejection_sink import PostgresRejectionSink


class Database:
    """Comes back after it was away so many times."""

    def __init__(self, away: int) -> None:
        self.away = away

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Any]:
        await asyncio.sleep(0)
        if self.away:
            self.away -= 1
            raise Unavailable("away")
        yield None


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the requests whose rejections were written."""
    numbers: list[int] = []

    async def record(_: object, __: object, requests: Sequence[IngestRequest]) -> None:
        numbers.extend(request.bytes for request in requests)

    monkeypatch.setattr(rejection_sink.RejectionRecorder, "record", record)
    monkeypatch.setattr(rejection_sink, "_PAUSE_SECONDS", 0.0)
    return numbers


def request(number: int) -> IngestRequest:
    return IngestRequest(0, Signal.LOGS, "/v1/logs", UUID(int=number), LogBatch(rejections=[Rejection("too_old", "")]), 0, number)


async def test_they_wait_until_the_database_is_back(written: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    all_three, record = asyncio.Event(), rejection_sink.RejectionRecorder.record

    async def told(recorder: Any, connection: Any, requests: Sequence[IngestRequest]) -> None:
        await record(recorder, connection, requests)
        if len(written) == 3:
            all_three.set()

    monkeypatch.setattr(rejection_sink.RejectionRecorder, "record", told)
    async with PostgresRejectionSink(Database(away=5)) as sink:  # type: ignore[arg-type]
        sink.note([request(1), request(2)])
        sink.note([request(3)])
        async with asyncio.timeout(10):
            await all_three.wait()
    assert written == [1, 2, 3]


async def test_what_waits_at_the_end_is_still_written(written: list[int]) -> None:
    async with PostgresRejectionSink(Database(away=0)) as sink:  # type: ignore[arg-type]
        sink.note([request(number) for number in range(250)])
    assert written == list(range(250))


async def test_the_oldest_are_given_up_and_that_is_said(written: list[int], caplog: pytest.LogCaptureFixture) -> None:
    async with PostgresRejectionSink(Database(away=0)) as sink:  # type: ignore[arg-type]
        sink.note([request(number) for number in range(1500)])
    assert written == list(range(500, 1500))
    assert "rejections of 500 requests" in caplog.text


async def test_one_that_cannot_be_written_keeps_no_others(written: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    record = rejection_sink.RejectionRecorder.record

    async def fails(recorder: Any, connection: Any, requests: Sequence[IngestRequest]) -> None:
        if any(request.bytes == 2 for request in requests):
            raise psycopg.DataError("a defect")
        await record(recorder, connection, requests)

    monkeypatch.setattr(rejection_sink.RejectionRecorder, "record", fails)
    async with PostgresRejectionSink(Database(away=0)) as sink:  # type: ignore[arg-type]
        sink.note([request(number) for number in range(5)])
    assert written == [0, 1, 3, 4]
