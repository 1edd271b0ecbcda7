"""The composition root's part for logs that are kept in Elasticsearch: their stores, and a writer of their own.

So the two stores do not wait for one another: while one of them is away, what goes to the other goes on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass

from tidegauge.config import Settings
from tidegauge.health.circuits import Guard
from tidegauge.ingest.writer import Writer, writer_for
from tidegauge.shared_stores import SharedStores
from tidegauge.storage import elasticsearch
from tidegauge.storage.elasticsearch import Lifecycle, LogStoreStatus
from tidegauge.storage.interface import LogStore
from tidegauge.storage.postgres.database import Database
from tidegauge.storage.postgres.rejection_sink import PostgresRejectionSink
from tidegauge.telemetry.assembly import Telemetry

# Of a commit's time Elasticsearch waits for its disk, of which several may be under way.
_GROUPS = 4


@dataclass(frozen=True, slots=True)
class Logs:
    """What stores logs, what reads them, and whether it answers."""

    writer: Writer
    store: LogStore
    ping: Callable[[], Awaitable[None]]


@asynccontextmanager
async def on_elasticsearch(
    settings: Settings, database: Database, guard: Guard, shared: SharedStores, telemetry: Telemetry, now_ns: Callable[[], int]
) -> AsyncIterator[Logs]:
    """Logs in Elasticsearch; ``database`` is for what was rejected of them.

    Raises:
        ConfigurationError: what answers is no Elasticsearch, or one that is too old.

    """
    async with (
        PostgresRejectionSink(database) as rejections,
        elasticsearch.opened(settings.logs, _lifecycle(settings), guard, rejections, now_ns) as stores,
        writer_for(
            settings,
            shared.ingest(telemetry.store(stores.ingest, "elasticsearch")),
            groups=min(_GROUPS, settings.logs.elasticsearch_connections),
        ) as writer,
    ):
        yield Logs(writer, stores.logs, stores.ping)


def retained(settings: Settings, now_ns: Callable[[], int]) -> AbstractAsyncContextManager[None]:
    """Sees to how long logs in Elasticsearch are kept; does nothing where there is none."""
    if settings.logs.elasticsearch_url is None:
        return nullcontext()
    return elasticsearch.retained(settings.logs, _lifecycle(settings), now_ns)


async def status(settings: Settings) -> LogStoreStatus | None:
    """What is in Elasticsearch; None where logs are in TimescaleDB."""
    return None if settings.logs.elasticsearch_url is None else await elasticsearch.status(settings.logs)


def _lifecycle(settings: Settings) -> Lifecycle:
    return Lifecycle(settings.lifecycle.logs_retention, settings.lifecycle.logs_chunk, settings.ingest.dedup_window)
