"""What a database holds and how its maintenance fares: for ``tidegauge db status``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString

import psycopg
from psycopg.rows import class_row, dict_row

from tidegauge.config import Settings
from tidegauge.errors import MigrationError, TidegaugeError, Unavailable
from tidegauge.storage import sqlfiles
from tidegauge.storage.postgres import validate


@dataclass(frozen=True, slots=True)
class Table:
    """A hypertable, or a rollup's.

    Attributes:
        kind: ``raw``, ``rollup`` or ``ledger``.
        rows: estimate.
        oldest: where its oldest chunk begins.
        bytes: indexes and TOAST included.
        bytes_before_compression: of the compressed chunks alone, as ``bytes_after_compression``; None where none is.

    """

    name: str
    kind: str
    chunk_interval: timedelta
    compress_after: timedelta | None
    retention: timedelta
    chunks: int
    compressed_chunks: int
    oldest: datetime | None
    bytes: int
    rows: int
    bytes_before_compression: int | None
    bytes_after_compression: int | None

    @property
    def compression_ratio(self) -> float | None:
        """How many times smaller compression made what is compressed."""
        if not self.bytes_before_compression or not self.bytes_after_compression:
            return None
        return self.bytes_before_compression / self.bytes_after_compression


@dataclass(frozen=True, slots=True)
class Freshness:
    """How far a rollup is materialised; what lies behind is computed when read.

    Attributes:
        watermark: up to here it is read from what is materialised; None: nothing is.
        window_end: up to here it would be by now.
        lag: how much time of data lies between the two.
        pending: how much time below ``window_end`` has changed since, or was never made; ``pending_ranges`` tells which, oldest first.
        repairs: how often it was refreshed for late data since the database was made; ``repaired`` is how much time that was, added up,
            and ``repaired_at`` when the last was done.

    """

    name: str
    watermark: datetime | None
    window_end: datetime
    lag: timedelta
    pending: timedelta
    pending_ranges: Sequence[Sequence[datetime]]
    repairs: int
    repaired: timedelta
    repaired_at: datetime | None


@dataclass(frozen=True, slots=True)
class Dictionary:
    """What many rows share; ``collected`` counts rows that went because nothing referred to them any more."""

    name: str
    rows: int
    collected: int
    collected_at: datetime | None


@dataclass(frozen=True, slots=True)
class Promoted:
    """An attribute that has a column in ``analytics.traces``, named ``view_name``.

    Attributes:
        is_active: whether it is filled still.
        filled_from: every span that begins there or later was stored with it; None: all were.

    """

    key: str
    type: str
    view_name: str
    is_active: bool
    filled_from: datetime | None


@dataclass(frozen=True, slots=True)
class JobRun:
    """A job's last run; ``started_at`` None: it never ran."""

    job: str
    started_at: datetime | None
    duration_seconds: float | None
    result: str
    error: str


@dataclass(frozen=True, slots=True)
class Status:
    """A database. ``background_workers``: TimescaleDB runs the jobs itself; otherwise our maintenance does."""

    name: str
    postgres: str
    timescaledb: str
    revision: str
    newest_revision: str
    bytes: int
    background_workers: bool
    tables: Sequence[Table]
    rollups: Sequence[Freshness]
    dictionaries: Sequence[Dictionary]
    promoted: Sequence[Promoted]
    jobs: Sequence[JobRun]


def read(dsn: str, settings: Settings) -> Status:
    """The status of the database at ``dsn`` (its owner's address).

    Raises:
        MigrationError: it is not at the newest revision.
        Unavailable: it does not answer.

    """
    try:
        with psycopg.connect(dsn, prepare_threshold=None, application_name="tidegauge status") as connection:
            return _read(connection, settings)
    except psycopg.OperationalError as error:
        raise Unavailable("the database does not answer", hint=str(error).strip()) from error
    except psycopg.Error as error:
        raise TidegaugeError(f"status: {error.diag.message_primary or error}", hint="`tidegauge db validate` says what is wrong") from error


def _read(connection: psycopg.Connection[Any], settings: Settings) -> Status:
    at, newest = validate.revision(connection), validate.head()
    if at != newest:
        raise MigrationError(f"the schema is at revision {at or 'none'}, not {newest}", hint="run `tidegauge db migrate`")
    facts = validate.facts(connection)
    validate.limit(connection, settings, str(facts["timescaledb_schema"]))
    database = connection.cursor(row_factory=dict_row).execute(_sql("database")).fetchone()
    assert database is not None
    workers = validate.abilities(facts).has_background_workers
    return Status(
        **database,
        revision=at,
        newest_revision=newest,
        background_workers=workers,
        tables=connection.cursor(row_factory=class_row(Table)).execute(_sql("tables"), {}).fetchall(),
        rollups=connection.cursor(row_factory=class_row(Freshness)).execute(_sql("rollups"), {}).fetchall(),
        dictionaries=connection.cursor(row_factory=class_row(Dictionary)).execute(_sql("collections"), {}).fetchall(),
        promoted=connection.cursor(row_factory=class_row(Promoted)).execute(_sql("promoted"), {}).fetchall(),
        jobs=connection.cursor(row_factory=class_row(JobRun)).execute(_sql("jobs" if workers else "runs"), {}).fetchall(),
    )


def _sql(name: str) -> LiteralString:
    return sqlfiles.queries("status")[name]
