"""What follows from this version's files and the settings alone: analysts' views, functions, comments, reader role, policies.

It belongs to no revision. Whenever a database has come to the newest revision it is made anew; before a revision is taken back it is
dropped, for its views stand on the revisions' tables.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, LiteralString

import orjson
import psycopg

from tidegauge.config import Settings
from tidegauge.errors import MigrationError
from tidegauge.storage import sqlfiles
from tidegauge.storage.postgres import policies, scripts, sql_role
from tidegauge.storage.postgres.capabilities import Capabilities

_SCRIPTS = (
    "policies/functions.sql",
    "policies/rollups.sql",
    "policies/collection.sql",
    "policies/analysis.sql",
    # Before the view that shows the columns.
    "policies/promotion.sql",
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
    # Of every routine that is there by now.
    "policies/rights.sql",
    # Grants what is there by now.
    "views/07_reader.sql",
    "views/08_comments.sql",
    "views/09_analysis_comments.sql",
    "views/09_maintenance_comments.sql",
    "views/09_attribute_comments.sql",
    "views/09_percentile_comments.sql",
    "views/09_stored_comments.sql",
    "views/09_promotion_comments.sql",
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
    named = _named(connection, settings, capabilities)
    if repair or _found(connection) != _fingerprint(connection, named):
        _tell(connection, named)
        _make(connection, settings, named)
        # Asked again: the reader role may have been made just now.
        connection.execute(_sql("keep_surface_fingerprint"), {"fingerprint": _fingerprint(connection, named)})
    policies.apply_policies(connection, settings, capabilities)


def drop(connection: psycopg.Connection[Any], settings: Settings) -> None:
    """Drop all of it that is there. Raises as :func:`apply`; MigrationError also where a team's own objects stand on it."""
    _tell(connection, {"reader_role": settings.database.reader_role, "sql_role": settings.sql.role})
    scripts.run(connection, "views/drop.sql")
    scripts.run(connection, "policies/drop.sql")


def _make(connection: psycopg.Connection[Any], settings: Settings, named: Mapping[str, str]) -> None:
    try:
        with connection.transaction():
            _run(connection)
    except MigrationError as error:
        cause = error.__cause__
        if not isinstance(cause, psycopg.Error) or cause.sqlstate not in _NOT_REPLACEABLE:
            raise
        drop(connection, settings)
        _tell(connection, named)
        _run(connection)


def _run(connection: psycopg.Connection[Any]) -> None:
    for script in _SCRIPTS:
        scripts.run(connection, script)


def _found(connection: psycopg.Connection[Any]) -> str | None:
    row = connection.execute(_sql("surface_fingerprint")).fetchone()
    return None if row is None else str(row[0])


def _fingerprint(connection: psycopg.Connection[Any], named: Mapping[str, str]) -> str:
    row = connection.execute(_sql("role_exists"), {"role": named["reader_role"]}).fetchone()
    # A role that an administrator made later gets its grants.
    parts = [*map(sqlfiles.script, _SCRIPTS), *named.values(), str(row)]
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


def _named(connection: psycopg.Connection[Any], settings: Settings, capabilities: Capabilities) -> Mapping[str, str]:
    """What the scripts are told of roles (sql/views/07_reader.sql) and of promoted attributes (sql/policies/promotion.sql), by name."""
    role, endpoint = settings.sql.role if capabilities.role_is_boundary else "", settings.sql
    password = connection.info.password
    return {
        "reader_role": settings.database.reader_role,
        "reader_statement_timeout": _milliseconds(settings.database.statement_timeout),
        "sql_role": role,
        "sql_verifier": sql_role.verifier(sql_role.password(password, role)) if role and password else "",
        "sql_timeout": _milliseconds(endpoint.timeout),
        "sql_work_mem": f"{endpoint.work_mem // 1024}kB",
        "sql_temp_bytes": f"{endpoint.temp_bytes // 1024}kB",
        "promoted_attributes": orjson.dumps([(one.key, one.type.value) for one in settings.traces.promoted_attributes]).decode(),
    }


def _tell(connection: psycopg.Connection[Any], named: Mapping[str, str]) -> None:
    for name, value in named.items():
        connection.execute(_sql("set_local"), {"name": f"tidegauge.{name}", "value": value})


def _milliseconds(value: timedelta) -> str:
    return f"{int(value.total_seconds() * 1000)}ms"


def _sql(name: str) -> LiteralString:
    return sqlfiles.queries("migrations")[name]
