"""The engine against a clock that needs no time, and outlets that keep what they are given."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tidegauge.simulate.engine import LAG_NS, SECOND, Engine, Options
from tidegauge.simulate.exporters import Account
from tidegauge.simulate.report import Progress, Summary
from tidegauge.simulate.shop import FRONTEND, SERVICES, Service

NOW_NS = 1_700_000_000 * SECOND


@dataclass
class FakeClock:
    at_ns: int = NOW_NS
    stops_after: int = 1 << 62
    waits: int = 0

    def now_ns(self) -> int:
        return self.at_ns

    def wait_until(self, at_ns: int) -> bool:
        self.at_ns = max(self.at_ns, at_ns)
        self.waits += 1
        return self.waits > self.stops_after


@dataclass
class Kept:
    spans: list[Any] = field(default_factory=list)
    logs: list[Any] = field(default_factory=list)
    metrics: list[Any] = field(default_factory=list)
    closed: bool = False

    def send_spans(self, spans: Sequence[Any]) -> None:
        self.spans += spans

    def send_logs(self, logs: Sequence[Any]) -> None:
        self.logs += logs

    def send_metrics(self, metrics: Sequence[Any]) -> None:
        self.metrics += metrics

    def close(self) -> None:
        self.closed = True

    def points(self, name: str) -> list[Any]:
        return [
            point
            for collected in self.metrics
            for scope in collected.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


@dataclass
class Ran:
    outlets: dict[Service, Kept]
    summary: Summary
    clock: FakeClock
    progress: list[Progress]

    def spans(self) -> list[Any]:
        return [span for kept in self.outlets.values() for span in kept.spans]

    def logs(self) -> list[Any]:
        return [log.log_record for kept in self.outlets.values() for log in kept.logs]

    def all_points(self) -> list[tuple[str, str, Any]]:
        return [
            (service.name, metric.name, point)
            for service, kept in self.outlets.items()
            for collected in kept.metrics
            for scope in collected.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        ]


async def run(options: Options, seed: int = 3, clock: FakeClock | None = None, refresh: Any = None) -> Ran:
    outlets = {service: Kept() for service in SERVICES}
    ran = Ran(outlets, Summary(seed, "http://example.test"), clock or FakeClock(), [])
    engine = Engine(options, ran.summary, outlets, Account(), ran.clock, ran.progress.append)  # type: ignore[arg-type]
    await asyncio.to_thread(engine.run, refresh)
    return ran


def shape(ran: Ran, since_ns: int) -> tuple[list[Any], list[Any], list[Any]]:
    """Everything that was sent, with times since ``since_ns``."""
    spans = [
        (
            span.context.trace_id,
            span.context.span_id,
            span.name,
            span.start_time - since_ns,
            span.end_time - since_ns,
            dict(span.attributes),
            [(event.name, event.timestamp - since_ns, dict(event.attributes)) for event in span.events],
        )
        for span in ran.spans()
    ]
    logs = [(log.trace_id, log.span_id, log.body, log.timestamp - since_ns, dict(log.attributes)) for log in ran.logs()]
    points = [
        (
            service,
            name,
            point.time_unix_nano - since_ns,
            dict(point.attributes),
            getattr(point, "value", None),
            getattr(point, "sum", None),
            [(exemplar.span_id, exemplar.value, exemplar.time_unix_nano - since_ns) for exemplar in point.exemplars],
        )
        for service, name, point in ran.all_points()
    ]
    return spans, logs, points


LIVE = Options(duration_seconds=12)
HISTORY = Options(duration_seconds=0, backfill_seconds=2 * 86_400, spans_kept_seconds=6 * 3600)


@pytest.mark.parametrize("options", [LIVE, Options(duration_seconds=2, backfill_seconds=1800)])
async def test_the_same_seed_gives_the_same_data_at_another_time(options: Options) -> None:
    later_ns = 1_234_567_891
    first = await run(options)
    second = await run(options, clock=FakeClock(NOW_NS + later_ns))
    assert shape(first, NOW_NS) == shape(second, NOW_NS + later_ns)
    other = await run(options, seed=4)
    assert {span.context.trace_id for span in other.spans()}.isdisjoint(span.context.trace_id for span in first.spans())


@pytest.fixture(name="live", scope="module")
async def _live() -> Ran:
    return await run(LIVE)


async def test_a_live_run_keeps_rate_and_batch_size_and_reports_nothing_from_the_future(live: Ran) -> None:
    ran = live
    requests = ran.summary.requests.total()
    assert 20 <= requests / len([p for p in ran.progress if p.phase == "live" and p.done]) <= 31
    assert requests / (ran.summary.seconds or 1) == pytest.approx(25, rel=0.05)
    latest = max(span.end_time for span in ran.spans())
    assert min(span.start_time for span in ran.spans()) >= NOW_NS - LAG_NS
    assert latest <= ran.clock.now_ns()
    assert all(kept.closed for kept in ran.outlets.values())


async def test_metrics_agree_with_the_spans(live: Ran) -> None:
    ran = live
    for service, kept in ran.outlets.items():
        served = [span for span in kept.spans if span.kind.name == "SERVER"]
        durations = kept.points("http.server.request.duration")
        last = max(point.time_unix_nano for point in durations)
        final = [point for point in durations if point.time_unix_nano == last]
        assert sum(point.count for point in final) == len(served), service.name
        assert sum(point.sum for point in final) == pytest.approx(sum(s.end_time - s.start_time for s in served) / 1e9)
        active = [point for point in kept.points("http.server.active_requests") if point.time_unix_nano == last]
        assert [point.value for point in active] == [0] * len(active)


async def test_logs_and_exemplars_share_trace_ids_with_spans(live: Ran) -> None:
    ran = live
    spans = {(span.context.trace_id, span.context.span_id): span for span in ran.spans()}
    assert ran.logs()
    for log in ran.logs():
        span = spans[log.trace_id, log.span_id]
        assert span.start_time <= log.timestamp <= span.end_time
    exemplars = [e for _, name, point in ran.all_points() if name == "http.server.request.duration" for e in point.exemplars]
    assert exemplars
    for exemplar in exemplars:
        assert exemplar.time_unix_nano == spans[exemplar.trace_id, exemplar.span_id].end_time


async def test_spans_form_trees_across_services(live: Ran) -> None:
    ran = live
    ids = {(span.context.trace_id, span.context.span_id) for span in ran.spans()}
    roots = [span for span in ran.spans() if span.parent is None]
    assert all((span.context.trace_id, span.parent.span_id) in ids for span in ran.spans() if span.parent is not None)
    assert len({span.context.trace_id for span in roots}) == len(roots)
    consumers = [span for span in roots if span.kind.name == "CONSUMER"]
    assert consumers
    assert all((link.context.trace_id, link.context.span_id) in ids for span in consumers for link in span.links)


@pytest.fixture(name="history", scope="module")
async def _history() -> Ran:
    return await run(HISTORY)


async def test_history_lies_in_the_past_and_is_bounded(history: Ran) -> None:
    ran = history
    start_ns, end_ns = NOW_NS - LAG_NS - 2 * 86_400 * SECOND, NOW_NS
    times = [point.time_unix_nano for _, _, point in ran.all_points()]
    assert start_ns <= min(times)
    assert max(times) <= end_ns
    assert start_ns <= min(span.start_time for span in ran.spans())
    assert max(span.end_time for span in ran.spans()) <= end_ns
    hours = {time // (3600 * SECOND) for time in times}
    assert len(hours) >= 48  # every hourly bucket has something
    assert ran.summary.requests.total() < 10_000


async def test_services_restart_daily_and_count_anew(history: Ran) -> None:
    points = list(history.outlets[FRONTEND].points("http.server.request.duration"))
    starts = sorted({point.start_time_unix_nano for point in points})
    assert len(starts) == 3
    for start in starts:
        times = [point.time_unix_nano for point in points if point.start_time_unix_nano == start]
        assert start <= min(times)
    per_start = {start: max(p.count for p in points if p.start_time_unix_nano == start) for start in starts}
    assert max(per_start.values()) < sum(per_start.values())


async def test_spans_beyond_retention_are_left_out_and_metrics_stay(history: Ran) -> None:
    ran, kept_from_ns = history, NOW_NS - LAG_NS - 6 * 3600 * SECOND
    assert min(span.start_time for span in ran.spans()) >= kept_from_ns
    assert min(log.timestamp for log in ran.logs()) >= kept_from_ns
    assert min(point.time_unix_nano for _, _, point in ran.all_points()) < kept_from_ns - 86_400 * SECOND
    assert any("retention" in note for note in ran.summary.notes)


async def test_a_backfill_refreshes_its_own_closed_range() -> None:
    asked: list[tuple[datetime, datetime]] = []

    async def refresh(start: datetime, end: datetime) -> None:
        asked.append((start, end))

    ran = await run(Options(duration_seconds=0, backfill_seconds=3600), refresh=refresh)
    now = datetime.fromtimestamp(NOW_NS / SECOND, UTC)
    assert asked == [(now - timedelta(seconds=3604), now)]
    assert ran.summary.notes == []
    without = await run(Options(duration_seconds=0, backfill_seconds=3600))
    assert any("policies" in note for note in without.summary.notes)


async def test_stopping_sends_what_is_done_and_ends() -> None:
    ran = await run(Options(duration_seconds=None), clock=FakeClock(stops_after=3))
    assert ran.summary.interrupted
    assert ran.spans()
    assert all(kept.closed for kept in ran.outlets.values())
