"""Circuit breakers: a dependency that failed again and again is not asked for a while. Pure; one event loop, no I/O.

::

    CLOSED ──(failure_threshold failures in a row)──> OPEN ──(reset_seconds)──> HALF_OPEN ──(half_open_successes probes)──> CLOSED
                                                        ^──────(a probe fails)──────┘

What counts is decided by the error tree. :class:`~tidegauge.errors.Unavailable` is a failure: nobody was there, or did not answer in time.
A statement that ran into its own limit (:class:`~tidegauge.errors.StatementTimeout`), a dependency that is busy
(:class:`~tidegauge.errors.Busy`, :class:`~tidegauge.errors.Overloaded`) and everything else of our tree are answers. What is cancelled, and
what is no error of ours, tells nothing either way.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Protocol

from tidegauge.errors import Busy, CircuitOpen, NotAsAGroup, StatementTimeout, TidegaugeError, Unavailable

_log = logging.getLogger(__name__)

# While a probe is under way nobody knows when it ends.
_PROBE_SECONDS = 1.0
_ANSWERS = (Busy, NotAsAGroup, StatementTimeout)


class Guard(Protocol):
    """Stands around each question to a dependency: ``with guard("find_logs"): …``.

    What is raised inside has to be of our error tree by then. ``operation`` names the question: a word of the program's, of which there
    are few (it labels metrics and names spans).
    """

    def __call__(self, operation: str) -> AbstractContextManager[object]:
        """The context; entering it raises :class:`~tidegauge.errors.CircuitOpen` where the dependency is not to be asked."""
        ...


def unguarded(operation: str) -> AbstractContextManager[object]:
    """A :class:`Guard` that lets everything through and counts nothing."""
    del operation
    return nullcontext()


class State(Enum):
    """Of a circuit."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class CircuitLimits:
    """When a circuit opens and closes; see the module's docstring."""

    failure_threshold: int = 5
    reset_seconds: float = 30.0
    half_open_successes: int = 1


@dataclass(frozen=True, slots=True)
class CircuitStatus:
    """A circuit as it is.

    Attributes:
        failures: in a row, until now.
        opened_at: seconds since the Unix epoch, None where it is closed; ``next_probe_at`` likewise: when a question is let through again.
        last_error: of the last failure, also where it is closed again; empty where there was none.

    """

    dependency: str
    state: State
    failures: int
    opened_at: float | None
    next_probe_at: float | None
    last_error: str


class Circuit:
    """A :class:`Guard` of one dependency.

    Attributes:
        dependency: its name.
        opened: how often it has opened.

    Args:
        dependency: its name.
        limits: when it opens and closes.
        clock: seconds, never going back.
        wall_clock: seconds since the Unix epoch.

    """

    def __init__(
        self,
        dependency: str,
        limits: CircuitLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.dependency = dependency
        self.opened = 0
        self._limits = limits or CircuitLimits()
        self._clock = clock
        self._wall_clock = wall_clock
        self._failures = self._successes = 0
        self._opened_at: float | None = None
        self._probing = False
        # What was asked before the circuit changed tells nothing about it now.
        self._era = 0
        self._last_error = ""

    def __call__(self, operation: str) -> AbstractContextManager[object]:
        """One question to the dependency; ``operation`` is not looked at."""
        return _Question(self)

    @property
    def state(self) -> State:
        """The state at this moment; an open circuit is half open from when a probe may come."""
        if self._opened_at is None:
            return State.CLOSED
        return State.OPEN if self._clock() < self._opened_at + self._limits.reset_seconds else State.HALF_OPEN

    def status(self) -> CircuitStatus:
        """What health endpoints tell."""
        opened_at = next_probe_at = None
        if self._opened_at is not None:
            opened_at = self._wall_clock() - (self._clock() - self._opened_at)
            next_probe_at = opened_at + self._limits.reset_seconds
        return CircuitStatus(self.dependency, self.state, self._failures, opened_at, next_probe_at, self._last_error)

    def enter(self) -> int:
        """Let a question through and return the era that it belongs to; raises CircuitOpen."""
        if self._opened_at is not None:
            remaining = self._opened_at + self._limits.reset_seconds - self._clock()
            if remaining > 0 or self._probing:
                raise self._refusal(remaining)
            self._probing = True
        return self._era

    def leave(self, era: int, error: BaseException | None) -> None:
        """Take the outcome of a question that :meth:`enter` had let through."""
        if era != self._era:
            return
        self._probing = False
        if isinstance(error, Unavailable) and not isinstance(error, _ANSWERS):
            self._failed(error)
        elif error is None or isinstance(error, TidegaugeError):
            self._answered()

    def _failed(self, error: Unavailable) -> None:
        self._failures += 1
        self._last_error = error.message
        if self._opened_at is not None or self._failures >= self._limits.failure_threshold:
            if self._opened_at is None:
                _log.warning("circuit of %s opens after %d failures: %s", self.dependency, self._failures, error)
            self._change(self._clock())

    def _answered(self) -> None:
        if self._opened_at is None:
            self._failures = 0
            return
        self._successes += 1
        if self._successes >= self._limits.half_open_successes:
            _log.warning("circuit of %s closes: it answers again", self.dependency)
            self._failures = 0
            self._change(None)

    def _change(self, opened_at: float | None) -> None:
        self._opened_at = opened_at
        self.opened += opened_at is not None
        self._successes = 0
        self._era += 1

    def _refusal(self, remaining: float) -> CircuitOpen:
        return CircuitOpen(
            f"{self.dependency} is away",
            hint=f"{self._failures} questions in a row failed, the last: {self._last_error}",
            retry_after_seconds=math.ceil(remaining) if remaining > 0 else _PROBE_SECONDS,
        )


class _Question(AbstractContextManager[None]):
    __slots__ = ("_circuit", "_era")

    def __init__(self, circuit: Circuit) -> None:
        self._circuit = circuit
        self._era = -1

    def __enter__(self) -> None:
        self._era = self._circuit.enter()

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        self._circuit.leave(self._era, error)
