"""What counts and times the parts of the program: each implements the Protocol of the part, or stands around an adapter."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from types import TracebackType

from prometheus_client import Counter, Histogram

from tidegauge import correlation
from tidegauge.errors import Overloaded, RateLimited, RetryableError, TidegaugeError
from tidegauge.health.circuits import Guard
from tidegauge.model.batch import Signal
from tidegauge.storage.interface import IngestOutcome, IngestRequest, IngestStore
from tidegauge.telemetry import catalogue
from tidegauge.telemetry.metrics import Metrics
from tidegauge.telemetry.spans import Spans


class CountedHttp:
    """:class:`tidegauge.telemetry.requests.HttpNumbers`. What is looked up is kept: methods, routes and statuses are few."""

    def __init__(self, metrics: Metrics) -> None:
        self._instruments: Callable[[str, str, int], tuple[Counter, Histogram, Histogram]] = cache(
            lambda method, route, status: (
                metrics.counter(catalogue.HTTP_REQUESTS, method, route, str(status)),
                metrics.histogram(catalogue.HTTP_SECONDS, method, route),
                metrics.histogram(catalogue.HTTP_BYTES, method, route),
            )
        )

    def request(self, method: str, route: str, status: int, seconds: float, response_bytes: int) -> None:
        """Count a request."""
        requests, durations, sizes = self._instruments(method, route, status)
        requests.inc()
        durations.observe(seconds)
        sizes.observe(response_bytes)


class CountedIngest:
    """:class:`tidegauge.ingest.numbers.IngestNumbers`."""

    def __init__(self, metrics: Metrics) -> None:
        names = {signal: signal.name.lower() for signal in Signal}
        self._requests: Callable[[Signal, str], Counter] = cache(
            lambda signal, result: metrics.counter(catalogue.INGEST_REQUESTS, names[signal], result)
        )
        self._items: Callable[[Signal, str], Counter] = cache(
            lambda signal, result: metrics.counter(catalogue.INGEST_ITEMS, names[signal], result)
        )
        self._rejected: Callable[[Signal, str], Counter] = cache(
            lambda signal, reason: metrics.counter(catalogue.INGEST_REJECTED, names[signal], reason)
        )
        self._bytes: Callable[[Signal], Counter] = cache(lambda signal: metrics.counter(catalogue.INGEST_BYTES, names[signal]))
        self._turned_away: Callable[[str], Counter] = cache(lambda reason: metrics.counter(catalogue.INGEST_TURNED_AWAY, reason))

    def stored(self, request: IngestRequest, outcome: IngestOutcome) -> None:
        """Count a request and its items."""
        signal, items = request.signal, len(request.batch)
        if outcome.repeated:
            self._requests(signal, "repeated").inc()
            self._items(signal, "repeated").inc(items)
            return
        self._requests(signal, "stored").inc()
        self._bytes(signal).inc(request.bytes)
        # The batch lacks what was rejected before it came to the store; the outcome has that as well as what the store rejected.
        before = sum(each.items for each in request.batch.rejections if each.refuses_items) if outcome.rejected else 0
        self._items(signal, "stored").inc(max(items - (outcome.rejected - before), 0))
        if outcome.rejected:
            self._items(signal, "rejected").inc(outcome.rejected)
        for reason, count in outcome.reasons:
            self._rejected(signal, reason).inc(count)

    def refused(self, signal: Signal, error: TidegaugeError) -> None:
        """Count a request that is refused for what it is, or that met a defect."""
        self._requests(signal, "refused" if error.http_status < 500 else "failed").inc()

    def turned_away(self, error: RetryableError) -> None:
        """Count a request that is to come again."""
        self._turned_away("overloaded" if isinstance(error, Overloaded | RateLimited) else "unavailable").inc()


class ObservedStore:
    """An :class:`~tidegauge.storage.interface.IngestStore` whose commits are timed."""

    def __init__(self, store: IngestStore, name: str, metrics: Metrics, spans: Spans | None) -> None:
        self._store = store
        self._name = name
        self._spans = spans
        self._seconds = metrics.histogram(catalogue.COMMIT_SECONDS, name)
        self._items = metrics.histogram(catalogue.COMMIT_ITEMS, name)
        self._errors: Callable[[str], Counter] = lambda error: metrics.counter(catalogue.COMMIT_ERRORS, name, error)

    async def commit(self, requests: Sequence[IngestRequest]) -> Sequence[IngestOutcome]:
        """See :meth:`tidegauge.storage.interface.IngestStore.commit`."""
        began = time.perf_counter()
        try:
            # Begun by one of several requests, and for all of them.
            with correlation.correlated(None), nullcontext() if self._spans is None else self._spans.commit(self._name, requests):
                outcomes = await self._store.commit(requests)
        except Exception as error:
            self._errors(kind(error)).inc()
            raise
        self._seconds.observe(time.perf_counter() - began)
        self._items.observe(sum(len(request.batch) for request in requests))
        return outcomes


class ObservedGuard:
    """A :class:`~tidegauge.health.circuits.Guard` that times what another lets through.

    Args:
        dependency: what is asked.
        guard: the other.
        metrics: where to.
        spans: makes a span of each question; None where the adapter's statements have spans of their own.

    """

    def __init__(self, dependency: str, guard: Guard, metrics: Metrics, spans: Spans | None) -> None:
        self._dependency = dependency
        self._guard = guard
        self._spans = spans
        self._seconds: Callable[[str], Histogram] = cache(
            lambda operation: metrics.histogram(catalogue.DEPENDENCY_SECONDS, dependency, operation)
        )
        self._errors: Callable[[str], Counter] = lambda error: metrics.counter(catalogue.DEPENDENCY_ERRORS, dependency, error)

    def __call__(self, operation: str) -> AbstractContextManager[object]:
        """One question."""
        span = None if self._spans is None else self._spans.question(self._dependency, operation)
        return _Timed((self._guard(operation), span), self._seconds(operation), self._errors)


def observed_statements(metrics: Metrics, spans: Spans | None) -> Guard:
    """What stands around each statement in TimescaleDB, by the name of its query."""
    seconds: Callable[[str], Histogram] = cache(lambda query: metrics.histogram(catalogue.QUERY_SECONDS, query))

    def statement(operation: str) -> AbstractContextManager[object]:
        span = None if spans is None else spans.question("timescaledb", operation)
        return _Timed((span,), seconds(operation), lambda _: metrics.counter(catalogue.QUERY_ERRORS, operation))

    return statement


class _Timed(AbstractContextManager[None]):
    """Within other contexts, the first outermost: how long it took, or what it raised, which is said by ``errors``."""

    __slots__ = ("_began", "_errors", "_inner", "_seconds")

    def __init__(
        self, inner: Iterable[AbstractContextManager[object] | None], seconds: Histogram, errors: Callable[[str], Counter]
    ) -> None:
        self._inner = [each for each in inner if each is not None]
        self._seconds = seconds
        self._errors = errors
        self._began = 0.0

    def __enter__(self) -> None:
        entered: list[AbstractContextManager[object]] = []
        self._began = time.perf_counter()
        try:
            for each in self._inner:
                each.__enter__()
                entered.append(each)
        except BaseException as error:
            # Whatever it is: a circuit that waits for the end of a probe would wait for ever.
            if isinstance(error, Exception):
                self._errors(kind(error)).inc()
            for each in reversed(entered):
                each.__exit__(type(error), error, error.__traceback__)
            raise

    def __exit__(self, of: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(error, Exception):
            self._errors(kind(error)).inc()
        elif error is None:
            self._seconds.observe(time.perf_counter() - self._began)
        for each in reversed(self._inner):
            each.__exit__(of, error, trace)


class CountedLog(logging.Handler):
    """Counts lines of the log from warnings on."""

    def __init__(self, metrics: Metrics) -> None:
        super().__init__(logging.WARNING)
        self._counters = {
            level: metrics.counter(catalogue.LOGGED, logging.getLevelName(level).lower())
            for level in (logging.WARNING, logging.ERROR, logging.CRITICAL)
        }

    def emit(self, record: logging.LogRecord) -> None:
        """Count a line."""
        counter = self._counters.get(record.levelno)
        if counter is not None:
            counter.inc()


def kind(error: Exception) -> str:
    """An error of ours by its class, of which there are few; whatever else there is by one name."""
    return type(error).__name__ if isinstance(error, TidegaugeError) else "other"
