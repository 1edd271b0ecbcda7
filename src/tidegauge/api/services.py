"""What the API needs of the rest of the program."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from tidegauge.health.circuits import CircuitStatus
from tidegauge.query.tail import LogTail
from tidegauge.storage.cache_interface import RateLimiter
from tidegauge.storage.interface import ApplicationStore, LogStore, MetricStore, RejectionStore, TraceStore


async def _nothing() -> bytes:
    return b""


@dataclass(frozen=True, slots=True)
class ApiServices:
    """The stores, whether the program is ready, and the clock.

    Attributes:
        readiness: dependency → "ok", or what is wrong with it.
        now_ns: nanoseconds since the Unix epoch.
        circuits: circuit breakers of this process as they are.
        exposition: the program's metrics about itself, as text.
        tail: who follows logs live; None where nobody can.

    """

    applications: ApplicationStore
    traces: TraceStore
    metrics: MetricStore
    logs: LogStore
    rejections: RejectionStore
    readiness: Callable[[], Awaitable[Mapping[str, str]]]
    now_ns: Callable[[], int]
    circuits: Callable[[], Sequence[CircuitStatus]] = tuple
    exposition: Callable[[], Awaitable[bytes]] = _nothing
    tail: LogTail | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Of a client's requests: what counts them, and how many proxies in front say truly who asks (``tidegauge.clients``)."""

    limiter: RateLimiter
    trusted_proxies: int = 0
