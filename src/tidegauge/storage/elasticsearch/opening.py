"""The log store as the program uses it: both adapters on one client, made ready as soon as the server answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

from tidegauge.config import LogsSettings
from tidegauge.errors import TidegaugeError, Unavailable
from tidegauge.health.circuits import Guard
from tidegauge.storage.elasticsearch.client import Client, connected
from tidegauge.storage.elasticsearch.documents import Stream
from tidegauge.storage.elasticsearch.ingest import ElasticsearchIngestStore, RejectionSink
from tidegauge.storage.elasticsearch.logs import ElasticsearchLogStore
from tidegauge.storage.elasticsearch.retention import Retention
from tidegauge.storage.elasticsearch.schema import prepare
from tidegauge.storage.interface import IngestOutcome, IngestRequest

_logger = logging.getLogger(__name__)
_RETENTION_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """Of logs: how long they are kept, what a backing index spans, how long resends are recognised."""

    retention: timedelta
    chunk: timedelta
    dedup_window: timedelta


class _Prepared:
    """An ingest store that writes nothing before the template is there: else the server's own would shape the stream."""

    def __init__(self, store: ElasticsearchIngestStore, client: Client, stream: Stream, retention: timedelta) -> None:
        self._store = store
        self._client = client
        self._stream = stream
        self._retention = retention
        self._ready = False
        self._turn = asyncio.Lock()

    async def prepare(self) -> None:
        """Once it has succeeded, nothing."""
        async with self._turn:
            if not self._ready:
                await prepare(self._client, self._stream, self._retention)
                self._ready = True

    async def commit(self, requests: Sequence[IngestRequest]) -> Sequence[IngestOutcome]:
        """See ``IngestStore``."""
        if not self._ready:
            await self.prepare()
        return await self._store.commit(requests)


@dataclass(frozen=True, slots=True)
class ElasticsearchStores:
    """What the program needs of Elasticsearch."""

    ingest: _Prepared
    logs: ElasticsearchLogStore
    ping: Callable[[], Awaitable[None]]


@asynccontextmanager
async def opened(
    settings: LogsSettings,
    lifecycle: Lifecycle,
    guard: Guard,
    rejections: RejectionSink,
    now_ns: Callable[[], int],
    *,
    maintains: bool,
) -> AsyncIterator[ElasticsearchStores]:
    """The stores while the block runs. A server that is away is no hindrance: what needs it says so until it is back.

    ``maintains``: whether this process sees to the retention.

    Raises:
        ConfigurationError: what answers is no Elasticsearch, or one that is too old.
        InvalidArgument: it refuses the template.

    """
    stream = Stream(settings.dataset, settings.namespace)
    async with connected(settings) as client:
        store = ElasticsearchIngestStore(
            client, stream, lifecycle.dedup_window, rejections, in_flight=settings.elasticsearch_connections, now_ns=now_ns
        )
        ingest = _Prepared(store, client, stream, lifecycle.retention)
        try:
            await ingest.prepare()
        except Unavailable as error:
            _logger.warning("logs are refused until Elasticsearch answers: %s", error)
        retention = Retention(client, stream.name, lifecycle.retention, lifecycle.chunk, now_ns)
        task = asyncio.create_task(_keep(retention), name="log-retention") if maintains else None
        try:
            yield ElasticsearchStores(ingest, ElasticsearchLogStore(client, stream.name, guard), client.ping)
        finally:
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


async def _keep(retention: Retention) -> None:
    while True:
        try:
            await retention.apply()
        except TidegaugeError as error:
            _logger.warning("the retention of logs could not be applied: %s", error)
        await asyncio.sleep(_RETENTION_SECONDS)
