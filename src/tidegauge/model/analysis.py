"""Records of trace analysis: a span's times alone, calls between services, rates, examples."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SpanTimes:
    """What analysis needs of a span: ids are lower-case hex ("" for no parent), times nanoseconds since the Unix epoch, start ≤ end."""

    span_id: str
    parent_span_id: str
    service: str
    name: str
    kind: int
    start_ns: int
    end_ns: int
    status_code: int = 0

    @property
    def duration_ns(self) -> int:
        """From start to end."""
        return self.end_ns - self.start_ns


@dataclass(frozen=True, slots=True)
class TraceTimes:
    """A trace's spans by start time, each once. ``kept``: its raw spans are gone, these are the copy made for the examples."""

    spans: tuple[SpanTimes, ...]
    span_count: int
    truncated: bool
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls from a service to another, or to a peer that sends no spans, added up.

    Attributes:
        client, server: services' names; ``server`` is "" for a peer.
        peer: its name, "" for a service.
        call: 1 request, 2 message, 3 database.
        duration_sum_ns: of the called spans; of the caller's for a peer. ``client_duration_sum_ns``: of the callers' spans.
        durations: (bucket, count): bucket b holds 1.1^b ≤ duration < 1.1^(b+1) nanoseconds.

    """

    client: str
    server: str
    peer: str
    call: int
    count: int
    errors: int
    duration_sum_ns: int
    duration_max_ns: int
    client_duration_sum_ns: int
    durations: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Red:
    """Rate, errors and duration of an operation (or of a service: ``operation`` is None) in a step of time."""

    start_ns: int
    service: str
    operation: str | None
    count: int
    errors: int
    duration_sum_ns: int
    duration_min_ns: int
    duration_max_ns: int
    durations: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class ExampleSpan:
    """A span worth looking at."""

    trace_id: str
    span_id: str
    start_ns: int
    duration_ns: int
    status_code: int
    status_message: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """The examples of an operation in a bucket of time."""

    start_ns: int
    service: str
    operation: str
    slowest: ExampleSpan
    error: ExampleSpan | None = field(default=None)
