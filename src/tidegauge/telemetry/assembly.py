"""What a process tells about itself, as one object: it gives every part of the program what observes it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field

from tidegauge.errors import TidegaugeError
from tidegauge.health.circuits import Circuit, Guard
from tidegauge.storage.interface import IngestStore
from tidegauge.telemetry.metrics import Metrics, Sample
from tidegauge.telemetry.observing import CountedHttp, CountedIngest, ObservedGuard, ObservedStore, observed_statements
from tidegauge.telemetry.requests import App, Observed
from tidegauge.telemetry.spans import Spans

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Telemetry:
    """Of a process. ``spans`` is None where it makes none of its own."""

    metrics: Metrics = field(default_factory=Metrics)
    spans: Spans | None = None

    def guard(self, circuit: Circuit) -> Guard:
        """A dependency's circuit breaker, with each question timed. Statements in TimescaleDB have spans of their own."""
        return ObservedGuard(circuit.dependency, circuit, self.metrics, None if circuit.dependency == "timescaledb" else self.spans)

    def statements(self) -> Guard:
        """What stands around each statement in TimescaleDB."""
        return observed_statements(self.metrics, self.spans)

    def ingest(self) -> CountedIngest:
        """What counts requests with telemetry."""
        return CountedIngest(self.metrics)

    def store(self, store: IngestStore, name: str) -> IngestStore:
        """A store with its commits timed."""
        return ObservedStore(store, name, self.metrics, self.spans)

    def apps(self, apps: Sequence[App], ingest_route: Callable[[str, str], str | None]) -> list[App]:
        """Applications with their requests observed, counted together."""
        numbers = CountedHttp(self.metrics)
        return [Observed(app, numbers, self.spans, ingest_route) for app in apps]

    def sampling(self, *samples: Sample) -> AbstractAsyncContextManager[None]:
        """Gauges kept up to date while the block runs."""
        return self.metrics.sampling(*samples)


@asynccontextmanager
async def repeated(seconds: float, read: Callable[[], Awaitable[None]], what: str) -> AsyncIterator[None]:
    """Do something again and again while the block runs; a failure is logged, and tried again."""

    async def follow() -> None:
        while True:
            try:
                await read()
            except TidegaugeError as error:
                # A dependency is away, which others say loudly enough.
                _log.debug("%s cannot be read: %s", what, error)
            except Exception:  # noqa: BLE001 - logged below, and tried again
                _log.exception("%s cannot be read", what)
            await asyncio.sleep(seconds)

    task = asyncio.create_task(follow(), name=what)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
