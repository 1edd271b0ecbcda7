"""The composition root: Settings → adapters → applications. Nothing else names concrete adapters but the command line."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import SecretStr

from tidegauge import log_stores, read_stores, shared_stores
from tidegauge.api import problems
from tidegauge.api.app import create_app
from tidegauge.api.auth import BearerAuth
from tidegauge.clients import ClientOf
from tidegauge.config import IngestSettings, LifecycleSettings, Settings
from tidegauge.embedded import EmbeddedDatabase, running
from tidegauge.errors import MigrationError, TidegaugeError
from tidegauge.health.circuits import Circuit, CircuitLimits, Guard, unguarded
from tidegauge.health.readiness import Readiness
from tidegauge.ingest.ingestor import Ingestor
from tidegauge.ingest.limits import TimeLimits
from tidegauge.ingest.writer import ENOUGH_ROWS, SUSPECTS, Writer, writer_for
from tidegauge.maintenance import Maintenance
from tidegauge.maintenance.compact import CompactAttributesJob
from tidegauge.model.batch import Signal
from tidegauge.otlp.decode import Decoder
from tidegauge.query.tail import LogTail
from tidegauge.receiver.http import OtlpHttp
from tidegauge.receiver.http import refusal as otlp_refusal
from tidegauge.receiver.routes import ingest_route
from tidegauge.receiver.ways import Beside, LogWays, is_way, is_way_at_root
from tidegauge.receiver.ways import refusal as way_refusal
from tidegauge.shared_stores import SharedStores
from tidegauge.storage.interface import LogStore
from tidegauge.storage.postgres import validate
from tidegauge.storage.postgres.attribute_index import PostgresAttributeIndex
from tidegauge.storage.postgres.database import Database
from tidegauge.storage.postgres.ingest import PostgresIngestStore
from tidegauge.storage.postgres.lag import PostgresLag
from tidegauge.storage.postgres.logs import PostgresLogStore
from tidegauge.storage.postgres.maintenance import PostgresMaintenance
from tidegauge.telemetry.assembly import Telemetry, repeated
from tidegauge.telemetry.jobs import LAG_SECONDS, CountedJobs, Lag, states_sample
from tidegauge.telemetry.sampling import circuit_sample, ingest_sample, pool_sample, tail_sample

Report = Callable[[str], None]
_QUIET_SECONDS = 3.0
_LAST_TURN_SECONDS = 1.0
# What a request waits for is another worker's commit of the same one; its neighbours should not wait for that.
_INGEST_LOCK_TIMEOUT = timedelta(milliseconds=500)
# Where transactions are serialised, one group is made ready while another is committed, and there is time for more rows.
_SERIALISED_GROUPS = 2
_SERIALISED_ENOUGH_ROWS = 4096
# Maintenance does one thing at a time; one spare for the moment after a connection broke.
_OWN_POOL_SIZE = 2


@dataclass(frozen=True, slots=True)
class Location:
    """Where the database is. ``reader_dsn`` is None on a server: its reader role's password is not ours to know.

    ``shared_with`` is the process that runs an embedded database, where that is another one.
    """

    owner_dsn: str
    reader_dsn: str | None
    embedded: bool
    shared_with: int | None = None


@dataclass(frozen=True, slots=True)
class Runtime:
    """The program, assembled. ``otlp`` and ``api`` are ASGI applications; ``readiness`` is dependency → "ok" or what is wrong with it.

    ``end_streams`` ends the answers that have no end of their own: to be called before what is under way is waited for. ``client_of``
    names senders where what they send is limited.
    """

    otlp: Any
    api: Any
    ingestor: Ingestor
    writer: Writer
    readiness: Callable[[], Awaitable[Mapping[str, str]]]
    end_streams: Callable[[], None]
    client_of: ClientOf | None


@asynccontextmanager
async def database_location(settings: Settings, report: Report) -> AsyncIterator[Location]:
    """The server that Settings name, or the embedded database, which runs while the block runs.

    Raises:
        EmbeddedDatabaseError: it cannot start, or another process holds its folder.

    """
    if (server := _named_server(settings)) is not None:
        yield server
        return
    async with EmbeddedDatabase(settings.embedded, report) as embedded:
        yield Location(embedded.owner_dsn, embedded.reader_dsn, embedded=True)


def _named_server(settings: Settings) -> Location | None:
    url = _secret(settings.database.url)
    return None if url is None else Location(url, None, embedded=False)


def known_location(settings: Settings) -> Location | None:
    """The database that Settings name or that runs on their data folder already; None where there is neither."""
    if (server := _named_server(settings)) is not None:
        return server
    info = running(settings.embedded.data_dir)
    return None if info is None else Location(info.owner_dsn, info.reader_dsn, embedded=True, shared_with=info.pid)


@asynccontextmanager
async def assembled(
    settings: Settings,
    location: Location,
    now_ns: Callable[[], int] = time.time_ns,
    *,
    maintains: bool = True,
    telemetry: Telemetry | None = None,
) -> AsyncIterator[Runtime]:
    """The program on a database whose schema is there; what was acknowledged is committed before the block is left.

    ``maintains``: whether this process does the database's maintenance, which one process alone does. ``telemetry`` observes all of it.

    Raises:
        MigrationError: the schema is not this version's.
        Unavailable: the database does not answer.

    """
    telemetry = telemetry or Telemetry()
    async with AsyncExitStack() as stack:
        circuits = {name: Circuit(name, circuit_limits(settings)) for name in dependencies(settings)}
        guards = {name: telemetry.guard(circuit) for name, circuit in circuits.items()}
        connections = opened(
            settings,
            location.owner_dsn,
            statement_timeout=settings.api.query_timeout,
            guard=guards["timescaledb"],
            statements=telemetry.statements(),
        )
        database = await stack.enter_async_context(connections)
        await _check_revision(database)
        opening = shared_stores.opened(settings, database, guards.get("redis", unguarded), telemetry, now_ns)
        shared = await stack.enter_async_context(opening)
        caches = shared.stores
        writer = await stack.enter_async_context(_writer(settings, location, now_ns, telemetry, shared))
        pings = {"timescaledb": database.ping} | ({} if caches.ping is None else {"redis": caches.ping})
        logs: LogStore = PostgresLogStore(database, _once_from(settings.ingest, now_ns))
        log_writer = None
        if (guard := guards.get("elasticsearch")) is not None:
            elsewhere = log_stores.on_elasticsearch(settings, database, guard, shared, telemetry, now_ns)
            kept = await stack.enter_async_context(elsewhere)
            logs, log_writer, pings["elasticsearch"] = kept.store, kept.writer, kept.ping
        limits = time_limits(settings.lifecycle, settings.ingest)
        ingestor = Ingestor(Decoder(), writer, limits, now_ns, telemetry.ingest(), log_writer=log_writer, throttle=shared.throttle)
        otlp = OtlpHttp(ingestor, settings.otlp.max_body_bytes)

        readiness = Readiness(pings)
        tail = LogTail(caches.channel, settings.logs.tail_clients)
        reading = read_stores.opened(
            settings,
            (location.owner_dsn, location.reader_dsn),
            database,
            logs,
            shared,
            tail=tail,
            readiness=readiness,
            circuits=circuits.values(),
            exposition=telemetry.metrics.exposition,
            now_ns=now_ns,
        )
        services = await stack.enter_async_context(reading)
        guarded = BearerAuth(otlp, _secret(settings.api.token), otlp_refusal)
        ways = LogWays(ingestor, settings.otlp.max_body_bytes, _secret(settings.api.token), readiness)
        if maintains:
            await stack.enter_async_context(maintained(settings, location, lambda: writer.quiet_seconds, telemetry))
        api = Beside(_OtlpBeside(create_app(services, settings.api, shared.requests), guarded), ways, is_way)
        apps = (shared.with_senders(Beside(guarded, ways, is_way_at_root)), shared.with_senders(api))
        receivers, observed_api = telemetry.apps(apps, ingest_route)
        samples = (
            pool_sample(telemetry.metrics, "api", database),
            circuit_sample(telemetry.metrics, circuits.values()),
            tail_sample(telemetry.metrics, tail),
        )
        writers = [each for each in (writer, log_writer) if each is not None]
        await stack.enter_async_context(telemetry.sampling(*samples, ingest_sample(telemetry.metrics, writers)))
        yield Runtime(receivers, observed_api, ingestor, writer, readiness, tail.end, shared.client_of)


@asynccontextmanager
async def _writer(
    settings: Settings, location: Location, now_ns: Callable[[], int], telemetry: Telemetry, shared: SharedStores
) -> AsyncIterator[Writer]:
    """The writer on connections of its own: readers that hold all others for seconds must not keep anything from being stored."""
    ingest, connections = settings.ingest, settings.ingest.writer_connections + SUSPECTS
    lock_timeout = min(settings.database.lock_timeout, _INGEST_LOCK_TIMEOUT)
    statements = telemetry.statements()
    async with (
        opened(settings, location.owner_dsn, pool_size=connections, lock_timeout=lock_timeout, statements=statements) as database,
        telemetry.sampling(pool_sample(telemetry.metrics, "ingest", database)),
    ):
        abilities = await database.capabilities()
        store = PostgresIngestStore(
            database,
            now_ns,
            ingest.dedup_window,
            settings.cardinality,
            direct_compress=ingest.direct_compress and abilities.direct_compress,
        )
        async with writer_for(
            settings,
            shared.ingest(telemetry.store(store, "timescaledb")),
            groups=ingest.writer_connections if abilities.parallel_writers else min(ingest.writer_connections, _SERIALISED_GROUPS),
            enough_rows=ENOUGH_ROWS if abilities.parallel_writers else _SERIALISED_ENOUGH_ROWS,
        ) as writer:
            yield writer


async def _check_revision(database: Database) -> None:
    """Serving on another version's schema would fail at the first request, or worse, not fail."""
    found, wanted = await database.revision(), validate.head()
    if found is None:
        raise MigrationError("the database has no schema of ours yet", hint="`tidegauge db migrate` makes it, `tidegauge up` does as well")
    if found != wanted:
        raise MigrationError(
            f"the database's schema is at revision {found}, this version's is {wanted}",
            hint="run `tidegauge db migrate`" if found < wanted else "it was migrated by a newer version: run that one",
        )


@asynccontextmanager
async def maintained(
    settings: Settings, location: Location, quiet_seconds: Callable[[], float], telemetry: Telemetry | None = None
) -> AsyncIterator[None]:
    """Maintenance at work while the block runs, where the database has no workers for it. One process does it for all.

    Args:
        settings: of the database and its lifecycle.
        location: the database.
        quiet_seconds: how long ago anything was committed, by any process.
        telemetry: observes it.

    Raises:
        MigrationError: the schema is not this version's.
        Unavailable: the database does not answer.

    """
    telemetry = telemetry or Telemetry()
    metrics = telemetry.metrics
    async with opened(settings, location.owner_dsn, pool_size=_OWN_POOL_SIZE, statements=telemetry.statements()) as database:
        await _check_revision(database)
        abilities = await database.capabilities()
        maintenance = Maintenance(
            PostgresMaintenance(database),
            settings.lifecycle,
            abilities,
            lambda: quiet_seconds() > _QUIET_SECONDS,
            watch=CountedJobs(metrics),
            everywhere=[CompactAttributesJob(PostgresAttributeIndex(database))],
        )
        lag = Lag(metrics, PostgresLag(database), reads_jobs=abilities.has_background_workers)
        states = states_sample(metrics, lambda: maintenance.states() + lag.states)
        stop = asyncio.Event()
        task = asyncio.create_task(maintenance.run(stop), name="maintenance")
        try:
            async with (
                log_stores.retained(settings, time.time_ns),
                telemetry.sampling(pool_sample(metrics, "maintenance", database), states),
                repeated(LAG_SECONDS, lag.read, "lag"),
            ):
                yield
        finally:
            stop.set()
            # A turn ends soon, unless the database is away; each is a transaction, so that breaking one off breaks nothing.
            with suppress(TimeoutError):
                await asyncio.wait_for(task, _LAST_TURN_SECONDS)


async def refresh_rollups(settings: Settings, location: Location, start: datetime, end: datetime) -> None:
    """Bring every rollup up to date over [start, end), after history was filled in.

    Raises:
        Unavailable: the database does not answer.
        TidegaugeError: a refresh failed.

    """
    async with opened(settings, location.owner_dsn) as database:
        maintenance = Maintenance(PostgresMaintenance(database), settings.lifecycle, await database.capabilities(), lambda: True)
        await maintenance.refresh_range(start, end)
        await shared_stores.forget_rollups(settings, database, time.time_ns)


def opened(
    settings: Settings,
    dsn: str,
    *,
    pool_size: int | None = None,
    statement_timeout: timedelta | None = None,
    lock_timeout: timedelta | None = None,
    guard: Guard = unguarded,
    statements: Guard | None = None,
) -> Database:
    """A pool on ``dsn``, to be entered; what is not said is as in ``settings.database``."""
    return Database(
        dsn,
        pool_size=pool_size or settings.database.pool_size,
        connect_timeout=settings.database.connect_timeout,
        statement_timeout=statement_timeout or settings.database.statement_timeout,
        lock_timeout=lock_timeout or settings.database.lock_timeout,
        guard=guard,
        statements=statements,
    )


def dependencies(settings: Settings) -> Sequence[str]:
    """Names of what the program depends on, as these settings are; each has a circuit breaker in each process."""
    chosen = {"elasticsearch": settings.logs.elasticsearch_url, "redis": settings.cache.redis_url}
    return ["timescaledb", *(name for name, url in chosen.items() if url is not None)]


def circuit_limits(settings: Settings) -> CircuitLimits:
    """When a circuit opens and closes."""
    chosen = settings.circuit_breaker
    return CircuitLimits(chosen.failure_threshold, chosen.reset_timeout_ms / 1000, chosen.half_open_success_count)


def _once_from(ingest: IngestSettings, now_ns: Callable[[], int]) -> Callable[[], int]:
    """From when on no record stands twice: its resend would have been recognised."""
    seconds = (ingest.dedup_window - ingest.future_tolerance).total_seconds()
    return lambda: now_ns() - int(seconds * 1e9)


def time_limits(lifecycle: LifecycleSettings, ingest: IngestSettings) -> Mapping[Signal, TimeLimits]:
    """Accepted times by signal: retention less one chunk back, the tolerance ahead."""

    def limits(retention: timedelta, chunk: timedelta) -> TimeLimits:
        return TimeLimits(past=retention - chunk, future=ingest.future_tolerance)

    return {
        Signal.TRACES: limits(lifecycle.traces_retention, lifecycle.traces_chunk),
        Signal.METRICS: limits(lifecycle.metrics_retention, lifecycle.metrics_chunk),
        Signal.LOGS: limits(lifecycle.logs_retention, lifecycle.logs_chunk),
    }


def refusal(error: TidegaugeError, scope: Any) -> tuple[str, bytes]:
    """Media type and body of a refusal by whatever serves the requested path."""
    if scope["path"].startswith("/v1/"):
        return otlp_refusal(error, scope)
    # The root is the receivers' page and the API's; to both a problem document says as much.
    is_of_a_way = scope["path"] != "/" and is_way_at_root(scope["path"], scope["method"])
    return way_refusal(error, scope) if is_of_a_way else problems.refusal(error, scope)


class _OtlpBeside:
    """The API's port takes OTLP as well, so that one address is enough behind an ingress."""

    def __init__(self, api: Any, otlp: Any) -> None:
        self._api = api
        self._otlp = otlp

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """To the receiver what is under /v1/, to the API the rest."""
        app = self._otlp if scope["type"] == "http" and scope["path"].startswith("/v1/") else self._api
        await app(scope, receive, send)


def _secret(value: SecretStr | None) -> str | None:
    return None if value is None else value.get_secret_value()
