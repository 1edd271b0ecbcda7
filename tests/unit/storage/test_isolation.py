"""Halving, on a database that a test plays."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from tests.decoders import Decoder
from tidegauge.errors import Unavailable
from tidegauge.model.batch import Signal
from tidegauge.otlp.encoding import Encoding
from tidegauge.storage.interface import IngestRequest
from tidegauge.storage.postgres.isolation import Isolation


class Database:
    """Refuses spans that are called "bad"; is away after ``patience`` trials."""

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.trials = 0

    async def trial(self, request: IngestRequest) -> str | None:
        if self.patience == 0:
            raise Unavailable("away")
        self.patience -= 1
        self.trials += 1
        await asyncio.sleep(0)
        return "no bad ones" if "bad" in request.batch.name else None  # type: ignore[union-attr]


def request(names: list[str], now_ns: int = 10**18) -> IngestRequest:
    spans = ",".join(
        f'{{"traceId":"{1:032x}","spanId":"{number + 1:016x}","name":"{name}","startTimeUnixNano":"{now_ns}","endTimeUnixNano":"{now_ns}"}}'
        for number, name in enumerate(names)
    )
    body = f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{spans}]}}]}}]}}'.encode()
    batch = Decoder().decode(Signal.TRACES, body, Encoding.JSON)
    return IngestRequest(0, Signal.TRACES, "/v1/traces", uuid.UUID(int=1), batch, now_ns, len(body))


NAMES = ["bad" if number % 16 == 3 else f"good {number}" for number in range(64)]
GOOD = [name for name in NAMES if name != "bad"]


async def test_what_was_found_out_before_the_database_went_away_is_not_tried_again() -> None:
    undisturbed = Database(1000)
    await Isolation(undisturbed.trial).without_refused(request(NAMES))
    database = Database(10)
    isolation = Isolation(database.trial)
    for _ in range(undisturbed.trials // 10):
        with pytest.raises(Unavailable):
            await isolation.without_refused(request(NAMES))
        database.patience = 10
    found = await isolation.without_refused(request(NAMES))
    assert found.batch.name == GOOD  # type: ignore[union-attr]
    assert [(each.items, each.message) for each in found.batch.rejections] == [(4, "no bad ones")]
    assert database.trials == undisturbed.trials


async def test_the_same_request_twice_at_a_time_has_one_answer() -> None:
    isolation = Isolation(Database(1000).trial)
    found = await asyncio.gather(*(isolation.without_refused(request(NAMES)) for _ in range(2)))
    assert [each.batch.name for each in found] == [GOOD, GOOD]  # type: ignore[union-attr]
    assert found[0].batch.rejections == found[1].batch.rejections


async def test_a_request_of_nothing_but_bad_rows_comes_to_an_end() -> None:
    database = Database(10_000)
    found = await Isolation(database.trial).without_refused(request(["bad"] * 2000))
    assert len(found.batch) == 0
    assert sum(each.items for each in found.batch.rejections) == 2000
    assert database.trials <= 512
