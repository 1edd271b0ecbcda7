"""Following logs live: from what is stored to what each follower gets."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from tidegauge.errors import Overloaded, Unavailable
from tidegauge.ingest.announcing import AnnouncedStore
from tidegauge.model.batch import LogBatch, Signal
from tidegauge.model.query import STORED_LOGS, AttributeFilter, LogFilter, TimeRange
from tidegauge.model.records import LogRecord
from tidegauge.otlp.budget import Budget
from tidegauge.otlp.decode import Decoder
from tidegauge.otlp.encoding import Encoding
from tidegauge.query.tail import Feed, LogTail, Lost
from tidegauge.storage.cache.memory import MemoryChannel
from tidegauge.storage.interface import IngestOutcome, IngestRequest

ALWAYS = TimeRange(0, 1 << 62)
EVERYTHING = LogFilter(ALWAYS)


class Stored:
    """Stores nothing and says it did; ``repeated``: that it had before; ``refused``: but for these."""

    repeated = False
    refused: tuple[int, ...] = ()

    async def commit(self, requests: Sequence[IngestRequest]) -> Sequence[IngestOutcome]:
        refused = tuple([(ordinal, "refused_by_database", "") for ordinal in self.refused])
        return [IngestOutcome(len(refused), "", self.repeated, refused=refused) for _ in requests]


class Counted(MemoryChannel):
    """Counts messages."""

    messages = 0

    def publish(self, tenant_id: int, topic: str, message: bytes) -> None:
        self.messages += 1
        super().publish(tenant_id, topic, message)


def request(records: Sequence[dict[str, Any]], service: str = "cart", tenant_id: int = 0) -> IngestRequest:
    """Log records as an exporter sends them."""
    attributes = [{"key": "service.name", "value": {"stringValue": service}}]
    body = {"resourceLogs": [{"resource": {"attributes": attributes}, "scopeLogs": [{"logRecords": list(records)}]}]}
    encoded = orjson.dumps(body)
    batch = Decoder().decode(Signal.LOGS, encoded, Encoding.JSON, Budget(len(encoded)))
    assert isinstance(batch, LogBatch)
    return IngestRequest(tenant_id, Signal.LOGS, "/v1/logs", uuid.uuid4(), batch, 77, len(encoded))


def record(body: str | None = "x", **fields: Any) -> dict[str, Any]:
    return {"timeUnixNano": "5"} | ({} if body is None else {"body": {"stringValue": body}}) | fields


def attribute(key: str, **value: Any) -> dict[str, Any]:
    return {"attributes": [{"key": key, "value": value}]}


async def taken(feed: Feed, count: int) -> list[LogRecord | Lost]:
    async with asyncio.timeout(10):
        return [await anext(feed) for _ in range(count)]


async def bodies(feed: Feed, count: int) -> list[Any]:
    return [each.body if isinstance(each, LogRecord) else each for each in await taken(feed, count)]


async def test_nothing_is_encoded_while_nobody_follows_nor_what_was_stored_before() -> None:
    channel, inner = Counted(), Stored()
    store, tail = AnnouncedStore(inner, channel), LogTail(channel, 5)
    await store.commit([request([record()])])
    async with tail.follow(0, EVERYTHING) as feed:
        inner.repeated = True
        await store.commit([request([record("again")])])
        inner.repeated = False
        await store.commit([request([record("elsewhere")], tenant_id=1), request([record("new")])])
        assert await bodies(feed, 1) == ["new"]
    await store.commit([request([record()])])
    assert channel.messages == 1
    assert not channel.has_listeners(0, STORED_LOGS)


async def test_what_the_store_refused_is_not_told_of() -> None:
    channel, inner = MemoryChannel(), Stored()
    inner.refused = (0, 2)
    store, tail = AnnouncedStore(inner, channel), LogTail(channel, 5)
    async with tail.follow(0, EVERYTHING) as feed:
        await store.commit([request([record(body) for body in "abcd"])])
        assert [each.body for each in await taken(feed, 2) if isinstance(each, LogRecord)] == ["b", "d"]


async def test_a_record_is_told_as_it_was_sent() -> None:
    channel = MemoryChannel()
    store, tail = AnnouncedStore(Stored(), channel), LogTail(channel, 5)
    fields = {"observedTimeUnixNano": "7", "severityNumber": 9, "severityText": "info", "eventName": "e", "flags": 1}
    ids = {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174"}
    lossless = {"body": {"kvlistValue": {"values": [{"key": "a", "value": {"bytesValue": "AAE="}}]}}}
    sent = request([record("plain", **fields, **ids), record(None) | lossless, {"body": {"stringValue": "timeless\0"}}])
    async with tail.follow(0, EVERYTHING) as feed:
        await store.commit([sent])
        first, second, third = await taken(feed, 3)
    assert isinstance(first, LogRecord)
    assert isinstance(second, LogRecord)
    assert isinstance(third, LogRecord)
    assert (first.log_id, first.timestamp_unix_nano, first.observed_time_unix_nano) == (f"{sent.digest.hex}-0", 5, 7)
    assert (first.severity_number, first.severity_text, first.event_name, first.flags) == (9, "info", "e", 1)
    assert (first.trace_id, first.span_id, first.application.name) == (ids["traceId"], ids["spanId"], "cart")
    assert dict(first.resource.attributes) == {"service.name": "cart"}
    assert dict(second.body) == {"a": b"\x00\x01"}  # type: ignore[arg-type]
    assert (third.body, third.timestamp_unix_nano, third.time_unix_nano) == ("timeless\0", 77, 0)


@pytest.mark.parametrize(
    ("wanted", "sent"),
    [
        (LogFilter(ALWAYS, text='"a b" -c'), record("A-b d")),
        (LogFilter(ALWAYS, text="-c"), record(None)),
        (LogFilter(ALWAYS, min_severity=9, max_severity=12), record(severityNumber=10)),
        (LogFilter(ALWAYS, service="cart"), record()),
        (LogFilter(ALWAYS, trace_id="ab" * 16, span_id="cd" * 8), record(traceId="ab" * 16, spanId="cd" * 8)),
        (LogFilter(ALWAYS, correlation_id="c1"), record(**attribute("correlation.id", stringValue="c1"))),
        (LogFilter(ALWAYS, attributes=(AttributeFilter("k"),)), record(**attribute("k", arrayValue={}))),
        (LogFilter(ALWAYS, attributes=(AttributeFilter("k", (1, "1")),)), record(**attribute("k", stringValue="1"))),
        (LogFilter(ALWAYS, attributes=(AttributeFilter("k", (1, "1")),)), record(**attribute("k", doubleValue=1.0))),
        (LogFilter(ALWAYS, attributes=(AttributeFilter("k", (True,)),)), record(**attribute("k", boolValue=True))),
        (LogFilter(ALWAYS, attributes=(AttributeFilter("k", ("é" * 4095,)),)), record(**attribute("k", stringValue="é" * 9000))),
    ],
)
async def test_filters(wanted: LogFilter, sent: dict[str, Any]) -> None:
    others = [
        record("a b c", traceId="ab" * 16),
        record("b a c", severityNumber=13, **attribute("k2", stringValue="1")),
        record("c", **attribute("k", stringValue="c1") if wanted.correlation_id else {}),
    ]
    channel = MemoryChannel()
    store, tail = AnnouncedStore(Stored(), channel), LogTail(channel, 5)
    async with tail.follow(0, wanted) as feed, tail.follow(0, EVERYTHING) as all_of_them:
        await store.commit([request(others, service="other"), request([sent])])
        (found,) = await taken(feed, 1)
        assert len(await taken(all_of_them, 4)) == 4
        tail.end()
        with pytest.raises(StopAsyncIteration):
            await anext(feed)
    assert isinstance(found, LogRecord)
    assert found.application.name == "cart"


async def test_who_is_too_slow_is_told_how_many_records_are_missing() -> None:
    channel = MemoryChannel()
    store, tail = AnnouncedStore(Stored(), channel), LogTail(channel, 5)
    async with tail.follow(0, EVERYTHING) as slow, tail.follow(0, EVERYTHING) as quick:
        for part in range(15):
            await store.commit([request([record(f"{part * 100 + number}") for number in range(100)])])
            assert await bodies(quick, 100) == [str(part * 100 + number) for number in range(100)]
        assert await bodies(slow, 1001) == [Lost(500), *map(str, range(500, 1500))]
        large = "y" * (1 << 20)
        for number in range(10):
            await store.commit([request([record(f"{number}{large}")])])
            await taken(quick, 1)
        lost, first, *_ = await taken(slow, 8)
    assert isinstance(lost, Lost)
    assert isinstance(first, LogRecord)
    assert str(first.body).startswith(str(lost.records))


async def test_what_did_not_arrive_is_counted() -> None:
    clock = 0.0
    channel = MemoryChannel()
    store, tail = AnnouncedStore(Stored(), channel, lambda: clock), LogTail(channel, 5)
    many = request([record(str(number)) for number in range(200)])
    async with tail.follow(0, LogFilter(ALWAYS, text="7 or last")) as feed:
        for _ in range(101):
            await store.commit([many])
        assert await bodies(feed, 100) == ["7"] * 100
        clock = 1.0
        await store.commit([request([record("last")])])
        assert await bodies(feed, 2) == [Lost(200), "last"]


async def test_at_most_so_many_follow_and_none_when_the_program_ends() -> None:
    channel = MemoryChannel()
    tail = LogTail(channel, 1)
    async with tail.follow(0, EVERYTHING) as feed:
        with pytest.raises(Overloaded):
            async with tail.follow(1, EVERYTHING):
                pass
        tail.end()
        with pytest.raises(StopAsyncIteration):
            await anext(feed)
    with pytest.raises(Unavailable):
        async with tail.follow(0, EVERYTHING):
            pass


async def test_a_channel_that_closes_ends_what_follows_on_it() -> None:
    channel = MemoryChannel()
    tail = LogTail(channel, 5)
    async with tail.follow(0, EVERYTHING) as feed:
        channel.close()
        async with asyncio.timeout(10):
            with pytest.raises(StopAsyncIteration):
                await anext(feed)
