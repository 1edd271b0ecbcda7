"""What in a database refers to something that is not there: ``sql/checks/integrity.sql``, for ``tidegauge check``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg
from psycopg.rows import class_row

from tidegauge.config import Settings
from tidegauge.errors import MigrationError, TidegaugeError, Unavailable
from tidegauge.storage import sqlfiles
from tidegauge.storage.postgres import scripts, validate

_FILE = "checks/integrity.sql"
_CANCELED = "57014"


@dataclass(frozen=True, slots=True)
class Violation:
    """Rows with the same fault: what it is, how many were found, and where one of them is."""

    problem: str
    found: int
    example: str


def check(dsn: str, settings: Settings, since: timedelta) -> Sequence[Violation]:
    """Everything that is wrong in the database at ``dsn`` with its dictionaries and the rows of the last ``since``; empty is good.

    Each statement of the file is a transaction of its own: what is written meanwhile waits for none, and none sees half of it.

    Raises:
        MigrationError: it is not at the newest revision.
        Unavailable: it does not answer.
        TidegaugeError: a statement failed, or took longer than a statement may.

    """
    try:
        with psycopg.connect(dsn, prepare_threshold=None, autocommit=True, application_name="tidegauge check") as connection:
            at, newest = validate.revision(connection), validate.head()
            if at != newest:
                raise MigrationError(f"the schema is at revision {at or 'none'}, not {newest}", hint="run `tidegauge db migrate`")
            found = [
                violation
                for _, statement in scripts.statements(sqlfiles.script(_FILE))
                for violation in _run(connection, statement, settings, since)
            ]
    except psycopg.OperationalError as error:
        if error.sqlstate == _CANCELED:
            raise TidegaugeError(
                "a check took longer than a statement may", hint="shorten --since, or raise TIDEGAUGE_DATABASE_STATEMENT_TIMEOUT"
            ) from error
        raise Unavailable("the database does not answer", hint=str(error).strip()) from error
    except psycopg.Error as error:
        raise TidegaugeError(f"sql/{_FILE}: {error.diag.message_primary or error}") from error
    return found


def _run(connection: psycopg.Connection[Any], statement: str, settings: Settings, since: timedelta) -> list[Violation]:
    options = {
        "tidegauge.check_since": f"{since.total_seconds():.0f} seconds",
        "statement_timeout": f"{settings.database.statement_timeout.total_seconds() * 1000:.0f}",
    }
    with connection.transaction():
        for name, value in options.items():
            connection.execute("SELECT set_config(%s, %s, true)", (name, value))
        # As literal as its file; it has no parameters.
        return connection.cursor(row_factory=class_row(Violation)).execute(statement.encode()).fetchall()
