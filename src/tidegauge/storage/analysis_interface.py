"""The Protocol of trace analysis. All methods may raise ``tidegauge.errors.Unavailable``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tidegauge.model.analysis import Calls, Example, Red, TraceTimes
from tidegauge.model.query import TimeRange
from tidegauge.model.tiers import Reading


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which spans: of all services or one, of all operations or one, of these kinds (SpanKind's numbers)."""

    service: str | None = None
    operation: str | None = None
    kinds: tuple[int, ...] = (2, 5)
    by_operation: bool = False


class AnalysisStore(Protocol):
    """Reads what traces, calls and rates are analysed from. What it is told to read is planned (``tidegauge.query.plan``)."""

    async def trace_times(self, tenant_id: int, trace_id: str, limit: int) -> TraceTimes | None:
        """A trace's first ``limit`` spans by start time, each once; None where there is none. ``trace_id`` is 32 hex digits."""
        ...

    async def map_front(self) -> int:
        """Up to which moment (nanoseconds) calls are paired; 0 where none are."""
        ...

    async def map_pending(self, time: TimeRange) -> Sequence[TimeRange]:
        """What of a range is to be paired (again), before the front: of late spans, or never done yet; in order, apart."""
        ...

    async def calls(self, tenant_id: int, reading: Reading, service: str | None, limit: int) -> Sequence[tuple[int, Calls]]:
        """(start of the step, calls) of every edge, most first; of one service those that it makes and gets."""
        ...

    async def red(self, tenant_id: int, reading: Reading, wanted: Wanted, limit: int) -> Sequence[Red]:
        """By step, service and operation (where asked for)."""
        ...

    async def examples(self, tenant_id: int, reading: Reading, wanted: Wanted, limit: int) -> Sequence[Example]:
        """By step, slowest first."""
        ...


class NothingToAnalyse:
    """An ``AnalysisStore`` without spans."""

    async def trace_times(self, tenant_id: int, trace_id: str, limit: int) -> TraceTimes | None:
        """None."""
        return None

    async def map_front(self) -> int:
        """Nothing is paired."""
        return 0

    async def map_pending(self, time: TimeRange) -> Sequence[TimeRange]:
        """Nothing waits."""
        return ()

    async def calls(self, tenant_id: int, reading: Reading, service: str | None, limit: int) -> Sequence[tuple[int, Calls]]:
        """None."""
        return ()

    async def red(self, tenant_id: int, reading: Reading, wanted: Wanted, limit: int) -> Sequence[Red]:
        """None."""
        return ()

    async def examples(self, tenant_id: int, reading: Reading, wanted: Wanted, limit: int) -> Sequence[Example]:
        """None."""
        return ()
