"""Use case: following logs live.

A process listens once for all who follow on it: a message is read once, and each gets what its filter lets through. Whoever is too slow
loses the oldest of what waits for it, and is told how many records that were.
"""

from __future__ import annotations

import asyncio
import logging
from base64 import b64decode
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from tidegauge.errors import Overloaded, Unavailable
from tidegauge.model.query import STORED_LOGS, LogFilter
from tidegauge.model.records import Application, LogRecord, StoredLog, StoredResource, StoredScope
from tidegauge.query.log_matching import Matcher
from tidegauge.query.restoring import Restorer
from tidegauge.storage.cache_interface import Channel

_log = logging.getLogger(__name__)
_WAITING_RECORDS = 1000
_WAITING_BYTES = 8 << 20
_MESSAGES = 1000
# Of a record, beside what it takes in its message.
_RECORD_BYTES = 1000


@dataclass(frozen=True, slots=True)
class Lost:
    """So many records were left out at this place, whatever the filter would have made of those that never arrived."""

    records: int


class Feed:
    """What one follower gets; ends when the program does."""

    def __init__(self, wanted: LogFilter) -> None:
        self._matches = Matcher(wanted)
        self._waiting: deque[tuple[StoredLog, int]] = deque()
        self._bytes = self._lost = 0
        self._ended = False
        self._something = asyncio.Event()

    def put(self, record: StoredLog, size: int) -> None:
        """Add a record of so many bytes, if it is asked for; the oldest go where there is no room."""
        if not self._matches(record):
            return
        self._waiting.append((record, size))
        self._bytes += size
        while len(self._waiting) > _WAITING_RECORDS or (self._bytes > _WAITING_BYTES and len(self._waiting) > 1):
            self._bytes -= self._waiting.popleft()[1]
            self._lost += 1
        self._something.set()

    def lose(self, records: int) -> None:
        """Say that records did not arrive."""
        self._lost += records
        self._something.set()

    def end(self) -> None:
        """Nothing more comes; what waits is still given."""
        self._ended = True
        self._something.set()

    def __aiter__(self) -> AsyncIterator[LogRecord | Lost]:
        return self

    async def __anext__(self) -> LogRecord | Lost:
        while not self._lost and not self._waiting:
            if self._ended:
                raise StopAsyncIteration
            self._something.clear()
            await self._something.wait()
        if self._lost:
            lost, self._lost = Lost(self._lost), 0
            return lost
        record, size = self._waiting.popleft()
        self._bytes -= size
        return Restorer().log(record)


class LogTail:
    """Everybody who follows logs in this process.

    Args:
        channel: brings what was stored, by any process.
        most: how many may follow at a time.

    """

    def __init__(self, channel: Channel, most: int) -> None:
        self._channel = channel
        self._most = most
        self._feeds: dict[int, set[Feed]] = {}
        self._listeners: dict[int, _Listener] = {}
        self._ended = False

    @asynccontextmanager
    async def follow(self, tenant_id: int, wanted: LogFilter) -> AsyncIterator[Feed]:
        """What is stored while the block runs and matches ``wanted``, but for its time.

        Raises:
            Overloaded: too many follow already.
            Unavailable: the program ends.

        """
        if self._ended:
            raise Unavailable("the server is shutting down")
        if self.followers >= self._most:
            raise Overloaded(f"{self._most} live tails are open already", hint="TIDEGAUGE_LOGS_TAIL_CLIENTS says how many may be")
        feed, feeds = Feed(wanted), self._feeds.setdefault(tenant_id, set())
        feeds.add(feed)
        try:
            await self._listening(tenant_id, feeds)
            yield feed
        finally:
            feeds.discard(feed)
            if not feeds and (listener := self._listeners.pop(tenant_id, None)) is not None:
                await listener.stop()

    @property
    def followers(self) -> int:
        """How many follow."""
        return sum(map(len, self._feeds.values()))

    def end(self) -> None:
        """Tell all who follow that nothing more comes; nobody may begin to."""
        self._ended = True
        for feeds in self._feeds.values():
            for feed in feeds:
                feed.end()

    async def _listening(self, tenant_id: int, feeds: set[Feed]) -> None:
        listener = self._listeners.get(tenant_id)
        if listener is None:
            listener = self._listeners[tenant_id] = _Listener(self._channel, tenant_id, feeds)
        await listener.entered.wait()


class _Listener:
    """Reads a tenant's messages and gives them to all its followers."""

    def __init__(self, channel: Channel, tenant_id: int, feeds: set[Feed]) -> None:
        self.entered = asyncio.Event()
        self._feeds = feeds
        self._arrived: dict[str, int] = {}
        self._task = asyncio.create_task(self._run(channel, tenant_id), name="log-tail")
        self._task.add_done_callback(self._done)

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.wait((self._task,))

    async def _run(self, channel: Channel, tenant_id: int) -> None:
        async with channel.subscribe(tenant_id, STORED_LOGS, _MESSAGES) as subscription:
            self.entered.set()
            async for message in subscription:
                self._give(orjson.loads(message), len(message))
                # Others have their turn after each message, however many wait.
                await asyncio.sleep(0)

    def _done(self, task: asyncio.Task[None]) -> None:
        # One that was stopped had no followers; somebody new has a listener of their own.
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            _log.error("the live tails end", exc_info=error)
        self.entered.set()
        for feed in self._feeds:
            feed.end()

    def _give(self, message: dict[str, Any], size: int) -> None:
        sender, before = message["sender"], message["before"]
        lost = max(0, before - self._arrived.get(sender, before))
        self._arrived[sender] = before + len(message["records"])
        feeds = tuple(self._feeds)
        if lost:
            for feed in feeds:
                feed.lose(lost)
        # Of a record its share, resources and attributes included: what counts is that the sum is right.
        share = _RECORD_BYTES + size // max(1, len(message["records"]))
        for record in _records(message):
            for feed in feeds:
                feed.put(record, share)


def _records(message: dict[str, Any]) -> Iterator[StoredLog]:
    """The records of a message (``tidegauge.ingest.announcing``), as a store would give them back."""
    resources = [_resource(*each) for each in message["resources"]]
    scopes = [_scope(*each) for each in message["scopes"]]
    for (
        resource, scope, ordinal, time, observed, severity, severity_text, event_name, body, attributes, dropped, trace_id, span_id, flags,
        original,
    ) in message["records"]:  # fmt: skip
        yield StoredLog(
            log_id=f"{message['digest']}-{ordinal}",
            timestamp_unix_nano=time or observed or message["received"],
            time_unix_nano=time,
            observed_time_unix_nano=observed,
            severity_number=severity,
            severity_text=severity_text,
            event_name=event_name,
            body=body,
            attributes=attributes,
            dropped_attributes_count=dropped,
            trace_id=trace_id,
            span_id=span_id,
            flags=flags,
            original=_bytes(original),
            resource=resources[resource],
            scope=scopes[scope],
        )


def _resource(
    namespace: str, service: str, environment: str, schema_url: str, attributes: object, dropped: int, original: str | None
) -> StoredResource:
    # What is stored has a number; who reads a tail knows an application by its name.
    application = Application(0, namespace, service, environment, 0, 0)
    return StoredResource(application, schema_url, attributes, dropped, _bytes(original))


def _scope(name: str, version: str, schema_url: str, attributes: object, dropped: int, original: str | None) -> StoredScope:
    return StoredScope(name, version, schema_url, attributes, dropped, _bytes(original))


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text)
