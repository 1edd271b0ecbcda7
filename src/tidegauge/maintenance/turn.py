"""What a job is: work that comes up again and again, done in short turns."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn's work.

    Attributes:
        seconds: how long it held the database, waiting for it included.
        what: what it did, for people.

    """

    seconds: float
    what: str


class Job(Protocol):
    """A job does at most one turn's work when asked."""

    @property
    def name(self) -> str:
        """What it is recorded under."""

    @property
    def period(self) -> timedelta:
        """How long after nothing was due it looks again."""

    async def turn(self) -> Turn | None:
        """Do one turn's work; None where nothing is due (any more)."""
        ...


async def timed(work: Awaitable[object]) -> float:
    """Seconds that ``work`` took."""
    began = time.perf_counter()
    await work
    return time.perf_counter() - began
