"""What maintenance needs of a database; ``storage/postgres/maintenance.py`` has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tidegauge.maintenance.chunks import Chunk, Cut
    from tidegauge.maintenance.upkeep import Relation, Task
    from tidegauge.maintenance.userjobs import UserJob
    from tidegauge.maintenance.windows import Load, Rollup, Span


class Abilities(Protocol):
    """The two capabilities of a database that maintenance depends on (``storage/postgres/capabilities.py``)."""

    @property
    def has_background_workers(self) -> bool:
        """TimescaleDB runs its jobs itself: then no maintenance of ours is needed."""

    @property
    def parallel_writers(self) -> bool:
        """Several transactions proceed at once."""


@dataclass(frozen=True, slots=True)
class Run:
    """The last run of a job.

    Attributes:
        turns: how many times it held the database; ``longest_turn_seconds`` the longest of them.
        result: what it did, for people; ``error`` why it failed, empty where it did not.

    """

    job: str
    started_at: datetime
    duration_seconds: float
    longest_turn_seconds: float
    turns: int
    result: str = ""
    error: str = ""
    consecutive_failures: int = 0


@dataclass(frozen=True, slots=True)
class RollupLag:
    """How far a rollup is behind; ``pending_seconds`` of time have changed since they were materialised, or never were.

    ``repairs`` of ``repaired_seconds`` have been done since the database was made: refreshes of buckets that late data had come for.
    """

    rollup: str
    lag_seconds: float
    pending_seconds: float
    repairs: int
    repaired_seconds: float


@dataclass(frozen=True, slots=True)
class Collected:
    """How many rows of a dictionary have been collected since the database was made."""

    dictionary: str
    rows: int


@dataclass(frozen=True, slots=True)
class JobCounts:
    """A job that the database runs itself: its runs since it was made, how long the last took, and what it does now.

    ``state`` is one of those of :data:`tidegauge.maintenance.scheduler.JOB_STATES`, or ``disabled``.
    """

    job: str
    completed: int
    failed: int
    duration_seconds: float
    state: str


class LagStore(Protocol):
    """What metrics are told; all methods may raise ``Unavailable``."""

    async def rollups(self) -> Sequence[RollupLag]:
        """Every rollup."""
        ...

    async def jobs(self) -> Sequence[JobCounts]:
        """Every job of ours that the database runs itself."""
        ...

    async def collected(self) -> Sequence[Collected]:
        """Every dictionary."""
        ...


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """How a table of raw data is kept, as the settings said when policies were applied."""

    table: str
    chunk_interval: timedelta
    compress_after: timedelta | None


@dataclass(frozen=True, slots=True)
class Paired:
    """Minutes of the service map that were computed, up to ``end``, from so many spans."""

    end: datetime
    spans: int


class MaintenanceStore(Protocol):
    """Each method is one short transaction, or one statement outside of any; all may raise ``Unavailable``."""

    async def rollups(self, now: datetime) -> Sequence[Rollup]:
        """Our continuous aggregates with what is out of date, those that others are made from first."""
        ...

    async def loads(self, source_id: int, span: Span) -> Sequence[Load]:
        """What there is to read of a hypertable in ``span``, by chunk and finer where statistics tell."""
        ...

    async def refresh(self, view: str, window: Span) -> None:
        """Refresh a continuous aggregate."""
        ...

    async def repaired(self, view: str, window: Span) -> None:
        """Count a refresh of what had been materialised before data for it came late."""
        ...

    async def chunks(self) -> Sequence[Chunk]:
        """Chunks of raw data."""
        ...

    async def lifecycles(self) -> Sequence[Lifecycle]:
        """How each table of raw data is kept."""
        ...

    async def set_chunk_interval(self, table: str, interval: timedelta) -> None:
        """How long new chunks are."""
        ...

    async def cut(self, cut: Cut) -> None:
        """Cut a chunk in two and drop the later part where it is empty."""
        ...

    async def compress(self, chunk: Chunk) -> None:
        """Move a chunk to the columnstore."""
        ...

    async def expired(self) -> Sequence[str]:
        """Tables and rollups, without schema, with chunks beyond their retention."""
        ...

    async def drop_expired(self, relation: str) -> None:
        """Drop one such chunk; refreshes first what its rollups do not cover yet."""
        ...

    async def collect(self, most: int) -> str | None:
        """One step of a collection of at most so many rows of each dictionary; what it did, None where nothing is left to do."""
        ...

    async def relations(self) -> Sequence[Relation]:
        """Tables that may need ANALYZE or VACUUM."""
        ...

    async def look_after(self, task: Task) -> None:
        """ANALYZE or VACUUM."""
        ...

    async def user_jobs(self) -> Sequence[UserJob]:
        """Scheduled jobs that are not ours."""
        ...

    async def run_user_job(self, job: UserJob) -> None:
        """Run one; what it raises is the job's own error."""
        ...

    async def runs(self) -> Mapping[str, Run]:
        """Job → its last run."""
        ...

    async def record(self, run: Run) -> None:
        """Remember a run as its job's last."""
        ...

    async def refresh_service_map(self, most: int) -> Paired | None:
        """Compute the oldest minutes of the service map that are due, of ``most`` spans together, one minute at least; None: none is."""
        ...
