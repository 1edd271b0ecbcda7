"""Collection of unused dictionary rows by hand: for ``tidegauge db collect``. Maintenance does the same by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg.rows import class_row

from tidegauge.config import Settings
from tidegauge.errors import MigrationError, TidegaugeError, Unavailable
from tidegauge.storage import sqlfiles
from tidegauge.storage.postgres import validate

MOST_COUNTED = 1_000_000
ROWS_A_ROUND = 10_000
"""As in sql/policies/collection.sql; a round raises the epoch once, whatever the number of rows."""


@dataclass(frozen=True, slots=True)
class Unused:
    """Rows of a dictionary that nobody has seen for long; ``rows`` is counted no further than ``MOST_COUNTED``."""

    dictionary: str
    unseen_before: datetime
    rows: int


def unused(dsn: str, settings: Settings) -> Sequence[Unused]:
    """What a collection would look at; changes nothing.

    Raises:
        MigrationError: the database is not at the newest revision.
        Unavailable: it does not answer.

    """
    with _connected(dsn) as connection, _transaction(connection, settings):
        return connection.cursor(row_factory=class_row(Unused)).execute(_sql("unused"), {"most": MOST_COUNTED}).fetchall()


def collect(dsn: str, settings: Settings, progress: Callable[[str], None]) -> bool:
    """Collect until nothing is left to do; ``progress`` is told of each step. False: writers were in the way, so that it is not over.

    Raises: as ``unused``.

    """
    with _connected(dsn) as connection:
        while (did := _turn(connection, settings)) is not None:
            progress(did)
        row = connection.execute(_sql("is_over")).fetchone()
        return row is not None and bool(row[0])


def _turn(connection: psycopg.Connection[Any], settings: Settings) -> str | None:
    with _transaction(connection, settings):
        row = connection.execute(_sql("turn"), {"before": None, "most": ROWS_A_ROUND}).fetchone()
    return None if row is None or row[0] is None else str(row[0])


@contextmanager
def _transaction(connection: psycopg.Connection[Any], settings: Settings) -> Iterator[None]:
    with connection.transaction():
        validate.limit(connection, settings, str(validate.facts(connection)["timescaledb_schema"]))
        yield


@contextmanager
def _connected(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    try:
        with psycopg.connect(dsn, prepare_threshold=None, autocommit=True, application_name="tidegauge collect") as connection:
            at, newest = validate.revision(connection), validate.head()
            if at != newest:
                raise MigrationError(f"the schema is at revision {at or 'none'}, not {newest}", hint="run `tidegauge db migrate`")
            yield connection
    except psycopg.OperationalError as error:
        raise Unavailable("the database does not answer", hint=str(error).strip()) from error
    except psycopg.Error as error:
        raise TidegaugeError(f"collection: {error.diag.message_primary or error}") from error


def _sql(name: str) -> LiteralString:
    return sqlfiles.queries("collection")[name]
