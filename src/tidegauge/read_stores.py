"""The composition root's part for what the API reads: its stores on TimescaleDB, and analysts' SQL on connections of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import replace

from tidegauge.api.app import ApiServices
from tidegauge.config import Settings
from tidegauge.health.circuits import Circuit
from tidegauge.health.readiness import Readiness
from tidegauge.model.sql import Bounds
from tidegauge.query.sql import SqlEndpoint
from tidegauge.query.tail import LogTail
from tidegauge.shared_stores import SharedStores
from tidegauge.storage.interface import LogStore
from tidegauge.storage.postgres.analysis import PostgresAnalysisStore
from tidegauge.storage.postgres.applications import PostgresApplicationStore
from tidegauge.storage.postgres.attribute_index import PostgresAttributeIndex
from tidegauge.storage.postgres.attribute_reading import PostgresAttributeCatalogue
from tidegauge.storage.postgres.database import Database
from tidegauge.storage.postgres.metrics import PostgresMetricStore
from tidegauge.storage.postgres.percentiles import PostgresPercentileStore
from tidegauge.storage.postgres.rejections import PostgresRejectionStore
from tidegauge.storage.postgres.span_rates import PostgresSpanRateStore
from tidegauge.storage.postgres.sql_endpoint import PostgresSqlStore
from tidegauge.storage.postgres.tiers import PostgresTierStore
from tidegauge.storage.postgres.traces import PostgresTraceStore


@asynccontextmanager
async def opened(
    settings: Settings,
    dsns: tuple[str, str | None],
    database: Database,
    logs: LogStore,
    shared: SharedStores,
    *,
    tail: LogTail,
    readiness: Readiness,
    circuits: Collection[Circuit],
    exposition: Callable[[], Awaitable[bytes]],
    now_ns: Callable[[], int],
) -> AsyncIterator[ApiServices]:
    """What the API needs, while the block runs. ``dsns``: the owner's, and the reader's where it is known.

    Raises:
        Unavailable: the database does not answer.

    """
    services = ApiServices(
        applications=PostgresApplicationStore(database),
        traces=PostgresTraceStore(database, PostgresAttributeIndex(database), settings.api.search_time),
        metrics=shared.metrics(PostgresMetricStore(database)),
        logs=shared.logs(logs),
        rejections=PostgresRejectionStore(database),
        attributes=PostgresAttributeCatalogue(database),
        readiness=readiness,
        now_ns=now_ns,
        circuits=lambda: [circuit.status() for circuit in circuits],
        exposition=exposition,
        tail=tail,
        tiers=PostgresTierStore(database),
        span_rates=PostgresSpanRateStore(database),
        analysis=PostgresAnalysisStore(database),
        percentiles=PostgresPercentileStore(database),
    )
    asked = settings.sql
    if not asked.enabled:
        yield services
        return
    async with PostgresSqlStore(database, *dsns, asked) as store:
        bounds = Bounds(asked.timeout.total_seconds(), asked.max_cost, asked.max_rows, asked.max_bytes)
        yield replace(services, sql=SqlEndpoint(store, bounds))
