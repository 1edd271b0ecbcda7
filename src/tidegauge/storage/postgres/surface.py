"""What follows from this version's files and the settings alone: analysts' views, functions, comments, reader role, policies.

It belongs to no revision. Whenever a database has come to the newest revision it is made anew; before a revision is taken back it is
dropped, for its views stand on the revisions' tables.
"""

from __future__ import annotations

from typing import Any

import psycopg

from tidegauge.config import Settings
from tidegauge.errors import MigrationError
from tidegauge.storage import sqlfiles
from tidegauge.storage.postgres import policies, scripts
from tidegauge.storage.postgres.capabilities import Capabilities

_SCRIPTS = (
    "policies/functions.sql",
    "views/01_basics.sql",
    "views/02_entities.sql",
    "views/03_metrics.sql",
    "views/04_traces.sql",
    "views/05_logs.sql",
    "views/06_functions.sql",
    "views/07_reader.sql",
    "views/08_comments.sql",
)
# A view whose columns, or a function whose result, changed otherwise than by CREATE OR REPLACE: invalid_table_definition,
# invalid_function_definition.
_NOT_REPLACEABLE = ("42P16", "42P13")


def apply(connection: psycopg.Connection[Any], settings: Settings, capabilities: Capabilities) -> None:
    """Make everything as it should be, in the connection's transaction, keeping what others have built on it where that is possible.

    Raises:
        MigrationError: a statement failed; says which and why.
        Unavailable: the connection broke.

    """
    _name_reader(connection, settings)
    try:
        with connection.transaction():
            _run(connection)
    except MigrationError as error:
        cause = error.__cause__
        if not isinstance(cause, psycopg.Error) or cause.sqlstate not in _NOT_REPLACEABLE:
            raise
        drop(connection, settings)
        _run(connection)
    policies.apply_policies(connection, settings, capabilities)


def drop(connection: psycopg.Connection[Any], settings: Settings) -> None:
    """Drop all of it that is there. Raises as :func:`apply`; MigrationError also where a team's own objects stand on it."""
    _name_reader(connection, settings)
    scripts.run(connection, "views/drop.sql")
    scripts.run(connection, "policies/drop.sql")


def _run(connection: psycopg.Connection[Any]) -> None:
    for script in _SCRIPTS:
        scripts.run(connection, script)


def _name_reader(connection: psycopg.Connection[Any], settings: Settings) -> None:
    set_local = sqlfiles.queries("migrations")["set_local"]
    milliseconds = int(settings.database.statement_timeout.total_seconds() * 1000)
    connection.execute(set_local, {"name": "tidegauge.reader_role", "value": settings.database.reader_role})
    connection.execute(set_local, {"name": "tidegauge.reader_statement_timeout", "value": f"{milliseconds}ms"})
