"""What follows from this version's files and the settings alone: analysts' views, functions, comments, reader role, policies.

It belongs to no revision. Whenever a database has come to the newest revision it is made anew; before a revision is taken back it is
dropped, for its views stand on the revisions' tables.
"""

from __future__ import annotations

import hashlib
from typing import Any, LiteralString

import psycopg

from tidegauge.config import Settings
from tidegauge.errors import MigrationError
from tidegauge.storage import sqlfiles
from tidegauge.storage.postgres import policies, scripts
from tidegauge.storage.postgres.capabilities import Capabilities

_SCRIPTS = (
    "policies/functions.sql",
    "policies/rollups.sql",
    "policies/collection.sql",
    "policies/rights.sql",
    "policies/analysis.sql",
    "views/01_basics.sql",
    "views/02_entities.sql",
    "views/03_metrics.sql",
    "views/04_traces.sql",
    "views/05_logs.sql",
    "views/06_functions.sql",
    "views/10_planning.sql",
    "views/11_percentiles.sql",
    "views/12_search.sql",
    "views/13_analysis.sql",
    "views/14_sql.sql",
    # Grants what is there by now.
    "views/07_reader.sql",
    "views/08_comments.sql",
    "views/09_maintenance_comments.sql",
)
# A view whose columns, or a function whose result, changed otherwise than by CREATE OR REPLACE: invalid_table_definition,
# invalid_function_definition.
_NOT_REPLACEABLE = ("42P16", "42P13")


def apply(connection: psycopg.Connection[Any], settings: Settings, capabilities: Capabilities, *, repair: bool = True) -> None:
    """Make everything as it should be, in the connection's transaction, keeping what others have built on it where that is possible.

    Without ``repair`` views and functions that are of this version already are left alone: replacing one waits for everybody who reads it.
    Policies follow the settings in any case.

    Raises:
        MigrationError: a statement failed; says which and why.
        Unavailable: the connection broke.

    """
    if repair or _found(connection) != _fingerprint(connection, settings):
        _name_reader(connection, settings)
        _make(connection, settings)
        # Asked again: the reader role may have been made just now.
        connection.execute(_sql("keep_surface_fingerprint"), {"fingerprint": _fingerprint(connection, settings)})
    policies.apply_policies(connection, settings, capabilities)


def drop(connection: psycopg.Connection[Any], settings: Settings) -> None:
    """Drop all of it that is there. Raises as :func:`apply`; MigrationError also where a team's own objects stand on it."""
    _name_reader(connection, settings)
    scripts.run(connection, "views/drop.sql")
    scripts.run(connection, "policies/drop.sql")


def _make(connection: psycopg.Connection[Any], settings: Settings) -> None:
    try:
        with connection.transaction():
            _run(connection)
    except MigrationError as error:
        cause = error.__cause__
        if not isinstance(cause, psycopg.Error) or cause.sqlstate not in _NOT_REPLACEABLE:
            raise
        drop(connection, settings)
        _run(connection)


def _run(connection: psycopg.Connection[Any]) -> None:
    for script in _SCRIPTS:
        scripts.run(connection, script)


def _found(connection: psycopg.Connection[Any]) -> str | None:
    row = connection.execute(_sql("surface_fingerprint")).fetchone()
    return None if row is None else str(row[0])


def _fingerprint(connection: psycopg.Connection[Any], settings: Settings) -> str:
    reader = settings.database.reader_role
    row = connection.execute(_sql("role_exists"), {"role": reader}).fetchone()
    # A role that an administrator made later gets its grants.
    parts = [*map(sqlfiles.script, _SCRIPTS), reader, _reader_timeout(settings), str(row)]
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


def _name_reader(connection: psycopg.Connection[Any], settings: Settings) -> None:
    for name, value in (("reader_role", settings.database.reader_role), ("reader_statement_timeout", _reader_timeout(settings))):
        connection.execute(_sql("set_local"), {"name": f"tidegauge.{name}", "value": value})


def _reader_timeout(settings: Settings) -> str:
    return f"{int(settings.database.statement_timeout.total_seconds() * 1000)}ms"


def _sql(name: str) -> LiteralString:
    return sqlfiles.queries("migrations")[name]
