"""What a load test found, for people and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil

ENOUGH = 0.95
"""Share of requests, but for those refused by a limit, that have to succeed."""
TOO_MANY = 429
_FATAL = (502, 503)


@dataclass(slots=True)
class Counted:
    """Requests to one endpoint. ``latencies`` are of those that succeeded, in seconds."""

    statuses: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    bytes: int = 0

    @property
    def total(self) -> int:
        """All requests."""
        return self.statuses.total() + self.errors.total()

    @property
    def succeeded(self) -> int:
        """Those with a 2xx."""
        return sum(count for status, count in self.statuses.items() if 200 <= status < 300)

    def add(self, other: Counted) -> None:
        """Count another's as well."""
        self.statuses += other.statuses
        self.errors += other.errors
        self.latencies += other.latencies
        self.bytes += other.bytes


@dataclass(slots=True)
class Report:
    """A finished load test. ``paused_seconds``: what one client has waited for the server's limits, on average."""

    endpoint: str
    concurrency: int
    seconds: float = 0.0
    paused_seconds: float = 0.0
    endpoints: dict[str, Counted] = field(default_factory=dict)

    @property
    def all(self) -> Counted:
        """All endpoints together."""
        found = Counted()
        for counted in self.endpoints.values():
            found.add(counted)
        return found

    @property
    def success_rate(self) -> float:
        """Of the requests that no limit has refused."""
        counted = self.all
        considered = counted.total - counted.statuses[TOO_MANY]
        return counted.succeeded / considered if considered else 0.0

    @property
    def faults(self) -> list[str]:
        """Why it has not passed; empty where it has."""
        counted = self.all
        found = [f"{counted.statuses[status]} × {status}" for status in _FATAL if counted.statuses[status]]
        found += [f"{count} × {error}" for error, count in counted.errors.most_common(5)]
        if self.success_rate < ENOUGH:
            found.append(f"{self.success_rate:.1%} succeeded, {ENOUGH:.0%} are needed")
        return found

    def as_dict(self) -> dict[str, object]:
        """For ``--json``; times in milliseconds."""
        counted = self.all
        return {
            "ok": not self.faults,
            "faults": self.faults,
            "endpoint": self.endpoint,
            "concurrency": self.concurrency,
            "seconds": round(self.seconds, 3),
            "requests_per_second": round(counted.total / self.seconds, 1) if self.seconds else 0.0,
            "success_rate": round(self.success_rate, 4),
            "rate_limited": counted.statuses[TOO_MANY],
            "paused_seconds": round(self.paused_seconds, 3),
            **_as_dict(counted),
            "endpoints": {name: _as_dict(each) for name, each in self.endpoints.items()},
        }


def _as_dict(counted: Counted) -> dict[str, object]:
    return {
        "requests": counted.total,
        "succeeded": counted.succeeded,
        "statuses": {str(status): count for status, count in sorted(counted.statuses.items())},
        "connection_errors": dict(counted.errors),
        "bytes": counted.bytes,
        "latency_ms": {name: round(value * 1000, 2) for name, value in quantiles(counted.latencies).items()},
    }


def quantiles(latencies: Sequence[float]) -> dict[str, float]:
    """Median and upper quantiles (nearest rank); empty where there is nothing."""
    ordered = sorted(latencies)
    if not ordered:
        return {}
    found = {name: ordered[ceil(share * len(ordered)) - 1] for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))}
    return {**found, "max": ordered[-1]}
