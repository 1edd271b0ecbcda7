"""The log store on Elasticsearch 8.19 or 9.x: nothing but this package knows its client, an extra that is loaded only where it is used."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from tidegauge.config import LogsSettings
from tidegauge.errors import ConfigurationError
from tidegauge.health.circuits import Guard
from tidegauge.storage.interface import IngestRequest, IngestStore, LogStore


class RejectionSink(Protocol):
    """Writes down what was rejected, when it can; never waits and never fails."""

    def note(self, requests: Sequence[IngestRequest]) -> None:
        """Write down the rejections of these requests."""
        ...


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """Of logs: how long they are kept, what a backing index spans, how long resends are recognised."""

    retention: timedelta
    chunk: timedelta
    dedup_window: timedelta


@dataclass(frozen=True, slots=True)
class ElasticsearchStores:
    """What the program needs of Elasticsearch. ``ping`` raises Unavailable where it does not answer."""

    ingest: IngestStore
    logs: LogStore
    ping: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class LogStoreStatus:
    """The data stream of logs: what is in its backing indices, without replicas; or ``error``."""

    data_stream: str
    version: str = ""
    records: int = 0
    bytes: int = 0
    indices: int = 0
    error: str = ""


async def status(settings: LogsSettings) -> LogStoreStatus:
    """The stream as it is. Raises ConfigurationError: there is no client."""
    try:
        from tidegauge.storage.elasticsearch.status import read
    except ModuleNotFoundError as error:
        raise _missing() from error
    return await read(settings)


@asynccontextmanager
async def opened(
    settings: LogsSettings, lifecycle: Lifecycle, guard: Guard, rejections: RejectionSink, now_ns: Callable[[], int]
) -> AsyncIterator[ElasticsearchStores]:
    """The stores while the block runs. A server that is away is no hindrance: what needs it says so until it is back.

    Raises:
        ConfigurationError: what answers is no Elasticsearch, or one that is too old; the client is not installed.
        InvalidArgument: it refuses the template.

    """
    try:
        from tidegauge.storage.elasticsearch.opening import connected_stores
    except ModuleNotFoundError as error:
        raise _missing() from error
    async with connected_stores(settings, lifecycle, guard, rejections, now_ns) as stores:
        yield stores


@asynccontextmanager
async def retained(settings: LogsSettings, lifecycle: Lifecycle, now_ns: Callable[[], int]) -> AsyncIterator[None]:
    """See to the retention while the block runs; one process does it for all. Raises ConfigurationError: there is no client."""
    try:
        from tidegauge.storage.elasticsearch.opening import retention_applied
    except ModuleNotFoundError as error:
        raise _missing() from error
    async with retention_applied(settings, lifecycle, now_ns):
        yield


def _missing() -> ConfigurationError:
    return ConfigurationError(
        "ELASTICSEARCH_URL is set, but the client for Elasticsearch is not installed", hint="pip install 'tidegauge[elasticsearch]'"
    )
