"""What is told about jobs while they run, for whoever counts."""

from __future__ import annotations

from typing import Protocol


class JobWatch(Protocol):
    """Is told of every run of a job."""

    def began(self, job: str, waited_seconds: float) -> None:
        """A run has begun, so long after it was due."""
        ...

    def ended(self, job: str, seconds: float, *, failed: bool) -> None:
        """A run has ended after so long at work."""
        ...

    def queue_failed(self) -> None:
        """A run could not be recorded."""
        ...


class Unwatched:
    """:class:`JobWatch` that nobody looks at."""

    def began(self, job: str, waited_seconds: float) -> None:
        """Note nothing."""

    def ended(self, job: str, seconds: float, *, failed: bool) -> None:
        """Note nothing."""

    def queue_failed(self) -> None:
        """Note nothing."""
