"""Use cases: a trace analysed, two compared; the service map, rates of services, two periods compared, examples."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from tidegauge.errors import AnswerTooLarge, InvalidArgument, NotFound
from tidegauge.model.analysis import Calls, Example, Red, SpanTimes, TraceTimes
from tidegauge.model.query import TimeRange
from tidegauge.model.tiers import END_OF_TIME_NS, Family, Level, Steps, TierState
from tidegauge.query.analysis import periods, trees
from tidegauge.query.analysis.critical_path import PathPart, critical_path, main_root
from tidegauge.query.analysis.self_time import self_times
from tidegauge.query.plan import Bound, Meta, fixed_steps, plan
from tidegauge.query.quantiles import DURATION_ERROR
from tidegauge.query.times import MINUTE_NS
from tidegauge.query.trace_tree import Node, build
from tidegauge.query.traces import parse_trace_id
from tidegauge.storage.analysis_interface import AnalysisStore, Wanted
from tidegauge.storage.tier_interface import TierStore

T = TypeVar("T")
MIN_STEP_NS = MINUTE_NS
# The newest minutes' calls are paired while the answer is made; more than these is left to the job that does it beforehand.
_PAIRED_WHEN_ASKED_NS = 5 * MINUTE_NS
_PERCENTILES = Bound("percentiles are read from buckets of durations", relative=DURATION_ERROR)


@dataclass(frozen=True, slots=True)
class Analysis:
    """A trace: its trees (of any depth), self times by span id, the main root (None of no spans) and its critical path."""

    trace_id: str
    trace: TraceTimes
    roots: Sequence[Node[SpanTimes]]
    self_times: dict[str, int]
    root: Node[SpanTimes] | None
    path: Sequence[PathPart]

    def path_times(self) -> dict[str, int]:
        """Span id → nanoseconds on the path, of the spans that are on it."""
        times: defaultdict[str, int] = defaultdict(int)
        for part in self.path:
            times[part.span.span_id] += part.end_ns - part.start_ns
        return times


@dataclass(frozen=True, slots=True)
class Read:
    """What of: the range or None of steps (one step: all of it), and the most rows of the answer."""

    time: TimeRange
    step_ns: int | None
    limit: int


async def analyse(store: AnalysisStore, tenant_id: int, trace_id: str, max_spans: int, parameter: str = "trace_id") -> Analysis:
    """Where the time of a trace went.

    Raises:
        InvalidArgument: the id is not 32 hexadecimal digits.
        NotFound: no span of it is stored.

    """
    wanted = parse_trace_id(trace_id, parameter)
    trace = await store.trace_times(tenant_id, wanted, max_spans)
    if trace is None:
        raise NotFound(f"no span of trace {wanted} is stored", hint="it may not have arrived yet, or be older than the retention")
    roots = build(trace.spans, max_depth=len(trace.spans) + 1)
    root = main_root(roots)
    return Analysis(wanted, trace, roots, self_times(trace.spans), root, [] if root is None else critical_path(root))


async def compare_traces(
    store: AnalysisStore, tenant_id: int, ids: tuple[str, str], max_spans: int
) -> tuple[Analysis, Analysis, list[trees.Place]]:
    """Two traces, and their spans by path. Raises as :func:`analyse`."""
    a, b = await asyncio.gather(analyse(store, tenant_id, ids[0], max_spans, "a"), analyse(store, tenant_id, ids[1], max_spans, "b"))
    return a, b, trees.compare(a.roots, a.self_times, b.roots, b.self_times)


async def service_map(
    store: AnalysisStore, tiers: TierStore, tenant_id: int, wanted: Read, service: str | None, now_ns: int
) -> tuple[Steps, Sequence[tuple[int, Calls]], Meta]:
    """Calls between services by step.

    Raises:
        InvalidArgument: the step is shorter than a minute, or there are too many.
        AnswerTooLarge: more edges than an answer holds.

    """
    steps = _steps(wanted)
    rollups, front, pending = await asyncio.gather(tiers.states(Family.SERVICE_EDGES), store.map_front(), store.map_pending(steps.time))
    planned = plan(steps, map_states(rollups, front, pending, now_ns))
    found = await store.calls(tenant_id, planned.reading, service, wanted.limit + 1)
    return steps, _within(found, wanted.limit), planned.meta.bounded(_PERCENTILES)


def map_states(rollups: Sequence[TierState], front_ns: int, pending: Sequence[TimeRange], now_ns: int) -> list[TierState]:
    """The tiers of the service map: its table by the minute is what its rollups are made from, and spans are raw data.

    ``rollups`` as the store of tiers has them; spans are paired for an answer only behind the front, and not many minutes of them.
    """
    states = []
    for state in rollups:
        minutely = state.level is Level.RAW
        states.append(replace(state, level=Level.MINUTELY, watermark_ns=front_ns, pending=tuple(pending)) if minutely else state)
    states.append(TierState(Level.RAW, END_OF_TIME_NS, max(front_ns, now_ns - _PAIRED_WHEN_ASKED_NS)))
    return states


async def red(store: AnalysisStore, tiers: TierStore, tenant_id: int, read: Read, wanted: Wanted) -> tuple[Steps, Sequence[Red], Meta]:
    """Rate, errors and duration by step and service, or operation. Raises as :func:`service_map`."""
    steps = _steps(read)
    totals, durations = await asyncio.gather(tiers.states(Family.SPANS), tiers.states(Family.SPAN_DURATIONS))
    planned = plan(steps, both(totals, durations))
    found = await store.red(tenant_id, planned.reading, wanted, read.limit + 1)
    return steps, _within(found, read.limit), planned.meta.bounded(_PERCENTILES)


def both(ones: Sequence[TierState], others: Sequence[TierState]) -> list[TierState]:
    """The tiers that two families have, each as the one of them that can be trusted less."""
    by_level = {state.level: state for state in others}
    return [
        replace(
            one,
            watermark_ns=min(one.watermark_ns, other.watermark_ns),
            dropped_through_ns=max(one.dropped_through_ns, other.dropped_through_ns),
            pending=tuple(sorted({*one.pending, *other.pending}, key=lambda part: part.start_ns)),
        )
        for one in ones
        if (other := by_level.get(one.level)) is not None
    ]


async def compare_periods(
    store: AnalysisStore, tiers: TierStore, tenant_id: int, reads: tuple[Read, Read], wanted: Wanted, by: periods.Impact
) -> tuple[list[periods.Change], tuple[Meta, Meta]]:
    """What changed between two periods, the greatest impact first. Raises as :func:`service_map`."""
    (_, before, before_meta), (_, after, after_meta) = await asyncio.gather(
        red(store, tiers, tenant_id, reads[0], wanted), red(store, tiers, tenant_id, reads[1], wanted)
    )
    seconds = [(read.time.end_ns - read.time.start_ns) / 1e9 for read in reads]
    return periods.compare(before, seconds[0], after, seconds[1], by), (before_meta, after_meta)


async def examples(
    store: AnalysisStore, tiers: TierStore, tenant_id: int, read: Read, wanted: Wanted
) -> tuple[Steps, Sequence[Example], Meta, bool]:
    """Of each step and operation the slowest span and the newest that failed; whether there were more than the limit.

    Raises:
        InvalidArgument: the step is shorter than a minute, or there are too many.

    """
    steps = _steps(read)
    rollups, spans = await asyncio.gather(tiers.states(Family.TRACE_EXAMPLES), tiers.states(Family.SPANS))
    raw = [state for state in spans if state.level is Level.RAW]
    planned = plan(steps, [*rollups, *raw])
    found = await store.examples(tenant_id, planned.reading, wanted, read.limit + 1)
    return steps, found[: read.limit], planned.meta, len(found) > read.limit


def _steps(read: Read) -> Steps:
    """The range as one step, or widened to whole ones."""
    start, end = read.time.start_ns, read.time.end_ns
    if read.step_ns is None:
        # Microseconds are what spans are found by.
        return Steps((start // 1000 * 1000, -(-end // 1000) * 1000))
    if read.step_ns < MIN_STEP_NS:
        raise InvalidArgument("step is shorter than a minute", hint="expected 1m or more", parameter="step")
    start, end = start // read.step_ns * read.step_ns, -(-end // read.step_ns) * read.step_ns
    if (end - start) // read.step_ns > read.limit:
        raise InvalidArgument(f"more than {read.limit} steps", hint="ask for a longer step or a shorter range", parameter="step")
    return fixed_steps(TimeRange(start, end), read.step_ns)


def _within(found: Sequence[T], limit: int) -> Sequence[T]:
    if len(found) > limit:
        raise AnswerTooLarge(f"the answer has more than {limit} rows", hint="name a service, or ask for a longer step")
    return found
