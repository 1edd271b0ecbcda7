"""Runs the shop against the clock: history first where it is wanted, then the present in real time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Any, Protocol, TypeAlias

from tidegauge.simulate.exporters import Account, Outlet
from tidegauge.simulate.plan import Request
from tidegauge.simulate.recorder import Recorder, record
from tidegauge.simulate.report import Progress, Signal, Summary
from tidegauge.simulate.scenario import make_requests
from tidegauge.simulate.shop import SERVICES, Service

Refresh: TypeAlias = Callable[[datetime, datetime], Awaitable[None]]
"""Brings every rollup up to date between two times; rounds them outward to whole buckets."""
SECOND = 1_000_000_000
DAY = 86_400 * SECOND
# The present is simulated this long after the fact, so that even the slowest request has ended when it is reported.
LAG_NS = 4 * SECOND
BACKFILL_STEPS = 672  # a week in quarters of an hour
BACKFILL_REQUESTS = 10  # on average a step
BACKFILL_STEPS_A_SEND = 16


class Clock(Protocol):
    """Time, and waiting that ends early when the run is to stop."""

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch."""
        ...

    def wait_until(self, at_ns: int) -> bool:
        """Wait; whether the run is to stop."""
        ...


@dataclass(frozen=True, slots=True)
class Options:
    """What to simulate. ``duration_seconds`` None: until stopped. Spans and logs older than ``spans_kept_seconds`` are not made."""

    rate: float = 25.0
    batch: tuple[int, int] = (20, 30)
    duration_seconds: float | None = 60.0
    backfill_seconds: float = 0.0
    spans_kept_seconds: float = 28 * 86_400.0
    metric_interval_seconds: float = 5.0
    concurrency: int = len(SERVICES)


class Engine:
    """One run. ``outlets`` has an outlet for every service of the shop."""

    def __init__(
        self,
        options: Options,
        summary: Summary,
        outlets: dict[Service, Outlet],
        account: Account,
        clock: Clock,
        on_progress: Callable[[Progress], None],
        each_batch: Callable[[], None] | None = None,
    ) -> None:
        self._options = options
        self._summary = summary
        self._outlets = outlets
        self._account = account
        self._clock = clock
        self._on_progress = on_progress
        self._each_batch = each_batch
        self._random = Random(summary.seed)  # noqa: S311 (a simulation, nothing secret)
        self._recorders: dict[Service, Recorder] = {}
        self._pending: list[tuple[int, int, Request, int]] = []
        self._moments: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()
        self._metrics: dict[Service, list[Any]] = {service: [] for service in SERVICES}
        self._pool = ThreadPoolExecutor(options.concurrency, thread_name_prefix="exporter")

    def run(self, refresh: Refresh | None = None) -> None:
        """Simulate all of it; the summary and the account then say what happened. Must not be called on an event loop's thread."""
        began_ns = self._clock.now_ns()
        try:
            if self._options.backfill_seconds > 0:
                self._backfill(began_ns - LAG_NS, refresh)
            if self._options.duration_seconds != 0 and not self._summary.interrupted:
                self._live()
        finally:
            for outlet in self._outlets.values():
                outlet.close()
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._summary.seconds = (self._clock.now_ns() - began_ns) / SECOND

    def _live(self) -> None:
        options = self._options
        started_ns = self._clock.now_ns()
        base_ns = started_ns - LAG_NS
        self._start_services(base_ns)
        elapsed_ns, collected_ns = 0, -(10**18)
        while options.duration_seconds is None or elapsed_ns < options.duration_seconds * SECOND:
            requests = self._random.randint(*options.batch)
            window_ns = int(requests / options.rate * SECOND)
            self._schedule(requests, base_ns + elapsed_ns, window_ns, with_spans=True)
            elapsed_ns += window_ns
            self._summary.interrupted = self._clock.wait_until(started_ns + elapsed_ns)
            if self._summary.interrupted:
                break
            self._advance(base_ns + elapsed_ns)
            if elapsed_ns - collected_ns >= options.metric_interval_seconds * SECOND:
                self._collect(base_ns + elapsed_ns)
                collected_ns = elapsed_ns
            self._send()
            if self._each_batch is not None:
                self._each_batch()
            self._report("live", elapsed_ns / SECOND / options.duration_seconds if options.duration_seconds else None)
        self._drain(min(base_ns + elapsed_ns + LAG_NS, self._clock.now_ns()))
        self._report("live", 1.0)

    def _backfill(self, end_ns: int, refresh: Refresh | None) -> None:
        length_ns = int(self._options.backfill_seconds * SECOND)
        start_ns = end_ns - length_ns
        steps = max(1, math.ceil(length_ns / self._backfill_step(length_ns)))
        step_ns = length_ns // steps
        spans_from_ns = end_ns - int(self._options.spans_kept_seconds * SECOND)
        if start_ns < spans_from_ns:
            self._summary.notes.append("spans and logs older than the retention of traces are left out: they would be rejected")
        self._start_services(start_ns)
        for step, base_ns in enumerate(range(start_ns, start_ns + steps * step_ns, step_ns)):
            requests = self._history_requests(base_ns - start_ns)
            self._schedule(requests, base_ns, step_ns, with_spans=base_ns >= spans_from_ns)
            self._advance(base_ns + step_ns)
            self._collect(base_ns + step_ns)
            self._restart_daily(base_ns - start_ns, step_ns, base_ns + step_ns)
            if step % BACKFILL_STEPS_A_SEND == BACKFILL_STEPS_A_SEND - 1 or step == steps - 1:
                self._send()
                self._report("backfill", (step + 1) / steps)
                self._summary.interrupted = self._clock.wait_until(0)
                if self._summary.interrupted:
                    return
        self._drain(end_ns + LAG_NS)
        self._refresh(start_ns, end_ns + LAG_NS, refresh)

    @staticmethod
    def _backfill_step(length_ns: int) -> int:
        return min(max(length_ns // BACKFILL_STEPS, 60 * SECOND), 1800 * SECOND)

    def _history_requests(self, since_start_ns: int) -> int:
        """More by day than by night. Of the time since the start, not of the clock: the seed alone decides."""
        share = 1 + 0.6 * math.sin(2 * math.pi * (since_start_ns % DAY) / DAY)
        return max(1, round(BACKFILL_REQUESTS * share * self._random.uniform(0.8, 1.2)))

    def _restart_daily(self, since_start_ns: int, step_ns: int, now_ns: int) -> None:
        """Once a day each service is deployed anew, an hour after the other: counters begin again."""
        for position, service in enumerate(SERVICES):
            shifted = since_start_ns - (3 + position) * DAY // 24
            if shifted >= 0 and shifted // DAY != (shifted - step_ns) // DAY:
                self._recorders[service].restart(now_ns)

    def _refresh(self, start_ns: int, end_ns: int, refresh: Refresh | None) -> None:
        if refresh is None:
            self._summary.notes.append("rollups show the history once their policies have run; recent hours are computed when read")
            return
        self._report("refresh", None)
        asyncio.run(_awaited(refresh(_datetime(start_ns), _datetime(end_ns))))

    def _start_services(self, now_ns: int) -> None:
        self._recorders = {service: Recorder(service, now_ns) for service in SERVICES}

    def _schedule(self, requests: int, base_ns: int, window_ns: int, *, with_spans: bool) -> None:
        for request in make_requests(self._random, requests):
            self._summary.requests[request.outcome] += request.linked is None
            if request.linked is None:
                # What follows from a request shares its offset: it comes right behind it in the list.
                offset_ns = self._random.randrange(max(window_ns, 1))
            request.offset_ns = offset_ns
            begins_ns = base_ns + offset_ns
            for step in request.root.walk():
                for at_ns, take in self._recorders[step.service].moments(step, request, begins_ns):
                    heappush(self._moments, (at_ns, next(self._order), take))
            if with_spans:
                heappush(self._pending, (base_ns + request.end_ns, next(self._order), request, begins_ns))

    def _advance(self, now_ns: int) -> None:
        """Let happen what happens up to now: measurements in their order, and the spans of requests that have ended."""
        while self._moments and self._moments[0][0] <= now_ns:
            heappop(self._moments)[2]()
        while self._pending and self._pending[0][0] <= now_ns:
            _, _, request, begins_ns = heappop(self._pending)
            record(request, begins_ns, self._recorders)

    def _collect(self, now_ns: int) -> None:
        for service, recorder in self._recorders.items():
            recorder.memory(int(service.memory_bytes * self._random.uniform(1.0, 1.3)))
            self._metrics[service] += recorder.collect(now_ns)

    def _send(self) -> None:
        """Every service exports what it has, several at a time; returns when all have an answer."""
        list(self._pool.map(self._send_service, SERVICES))

    def _send_service(self, service: Service) -> None:
        outlet, recorder = self._outlets[service], self._recorders[service]
        outlet.send_spans(recorder.take_spans())
        outlet.send_logs(recorder.take_logs())
        metrics, self._metrics[service] = self._metrics[service], []
        outlet.send_metrics(metrics)

    def _drain(self, until_ns: int) -> None:
        self._advance(until_ns)
        self._collect(until_ns)
        self._send()

    def _report(self, phase: str, done: float | None) -> None:
        account = self._account
        lost = sum(account.failed.values()) + sum(account.rejected.values())
        accepted = {signal: account.accepted[signal] for signal in Signal}
        self._on_progress(Progress(phase, done, self._summary.requests.total(), accepted, lost))


def close_account(summary: Summary, account: Account) -> None:
    """Enter what the exporters counted into the summary."""
    summary.accepted = {signal: account.accepted[signal] for signal in Signal}
    summary.failed = dict(_by_reason(account.failed))
    summary.rejected = dict(_by_reason(account.rejected))


def _by_reason(counted: dict[tuple[Signal, str], int]) -> Iterator[tuple[str, int]]:
    for (signal, reason), items in sorted(counted.items(), key=lambda item: -item[1]):
        yield f"{signal.value}: {reason}", items


async def _awaited(result: Awaitable[None]) -> None:
    await result


def _datetime(at_ns: int) -> datetime:
    return datetime.fromtimestamp(at_ns / SECOND, UTC)
