"""The log store as the program uses it: both adapters on one client, made ready as soon as the server answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from tidegauge.config import LogsSettings
from tidegauge.errors import ConfigurationError, RequestError, TidegaugeError, Unavailable
from tidegauge.health.circuits import Guard
from tidegauge.storage.elasticsearch import ElasticsearchStores, Lifecycle, RejectionSink
from tidegauge.storage.elasticsearch.client import Client, connected
from tidegauge.storage.elasticsearch.documents import Stream
from tidegauge.storage.elasticsearch.ingest import ElasticsearchIngestStore
from tidegauge.storage.elasticsearch.logs import ElasticsearchLogStore
from tidegauge.storage.elasticsearch.retention import Retention
from tidegauge.storage.elasticsearch.schema import prepare
from tidegauge.storage.interface import IngestOutcome, IngestRequest

_logger = logging.getLogger(__name__)
_RETENTION_SECONDS = 600.0


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
            await self._prepare_again()
        try:
            return await self._store.commit(requests)
        except Unavailable:
            # Another server may come back than the one that went, or this one without our template.
            self._ready = False
            raise

    async def _prepare_again(self) -> None:
        try:
            await self.prepare()
        except (ConfigurationError, RequestError) as error:
            # The start says so and ends. Later it is no fault of the records'.
            raise Unavailable(error.message, hint=error.hint) from error


@asynccontextmanager
async def connected_stores(
    settings: LogsSettings, lifecycle: Lifecycle, guard: Guard, rejections: RejectionSink, now_ns: Callable[[], int]
) -> AsyncIterator[ElasticsearchStores]:
    """See :func:`tidegauge.storage.elasticsearch.opened`."""
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
        yield ElasticsearchStores(ingest, ElasticsearchLogStore(client, stream.name, guard), client.ping)


@asynccontextmanager
async def retention_applied(settings: LogsSettings, lifecycle: Lifecycle, now_ns: Callable[[], int]) -> AsyncIterator[None]:
    """See :func:`tidegauge.storage.elasticsearch.retained`."""
    async with connected(settings) as client:
        retention = Retention(client, Stream(settings.dataset, settings.namespace).name, lifecycle.retention, lifecycle.chunk, now_ns)
        task = asyncio.create_task(_keep(retention), name="log-retention")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _keep(retention: Retention) -> None:
    while True:
        try:
            await retention.apply()
        except TidegaugeError as error:
            _logger.warning("the retention of logs could not be applied: %s", error)
        await asyncio.sleep(_RETENTION_SECONDS)
