"""What a run did, for people and for programs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

from tidegauge.simulate.plan import Outcome


class Signal(Enum):
    """What is counted: items, not requests."""

    SPANS = "spans"
    LOGS = "logs"
    POINTS = "metric_points"


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands. ``done`` is a share of what is planned, None where there is no end."""

    phase: str
    done: float | None
    requests: int
    accepted: dict[Signal, int]
    lost: int


@dataclass(slots=True)
class Summary:
    """A finished run. ``failed`` and ``rejected`` map "signal: reason" to items; ``malformed`` maps answers to broken requests."""

    seed: int
    endpoint: str
    seconds: float = 0.0
    interrupted: bool = False
    requests: Counter[Outcome] = field(default_factory=Counter)
    accepted: dict[Signal, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    malformed: Counter[str] = field(default_factory=Counter)
    malformed_accepted: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything arrived and nothing broken was taken."""
        return not self.failed and not self.rejected and not self.malformed_accepted

    def as_dict(self) -> dict[str, object]:
        """For ``--json``."""
        return {
            "ok": self.ok,
            "seed": self.seed,
            "endpoint": self.endpoint,
            "seconds": round(self.seconds, 3),
            "interrupted": self.interrupted,
            "requests": {outcome.value: self.requests[outcome] for outcome in Outcome},
            "accepted": {signal.value: self.accepted.get(signal, 0) for signal in Signal},
            "failed": self.failed,
            "rejected": self.rejected,
            "malformed_otlp": dict(self.malformed),
            "notes": self.notes,
        }
