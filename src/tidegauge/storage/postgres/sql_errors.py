"""What PostgreSQL says about an analyst's statement, as our errors."""

from __future__ import annotations

import re

import psycopg
from psycopg import pq

from tidegauge.errors import Busy, SqlFailed, SqlForbidden, SqlNotReady, SqlTooCostly, TidegaugeError, Unavailable

_AWAY = ("57P", "08", "58", "53300")
_NOT_LET_IN = ("28", "3D", "42501", "55000")
# Read-only transactions, privileges.
_FORBIDDEN = ("25006", "42501")
# Out of memory, disk or a limit on temporary files; and limits on a result's size.
_TOO_COSTLY = ("53", "54000")
_ONE_SELECT = "this takes one statement that reads: SELECT, VALUES, TABLE, or WITH … SELECT"
_FIRST_WORD = re.compile(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/|\()*(\w*)", re.DOTALL)
_NOT_AS_CURSOR = re.compile(r"DECLARE .*CURSOR|multiple commands|SELECT INTO")


def of_connecting(error: psycopg.Error) -> TidegaugeError:
    """No connection, or one that broke."""
    state = error.sqlstate or ""
    said = str(error).strip()
    if state.startswith("53300"):
        return Busy("the database takes no more connections", hint="try again soon")
    if state.startswith(_NOT_LET_IN) or re.search(
        r"authentication failed|no password supplied|pg_hba\.conf|does not exist|not permitted", said
    ):
        return SqlNotReady(
            "the SQL endpoint cannot sign in to the database: its role is missing or not let in",
            hint="run `tidegauge db migrate` as an owner that may make roles, let the role tidegauge_sql in (pg_hba.conf), or set "
            "TIDEGAUGE_SQL_DATABASE_URL to the address of a role that is a member of tidegauge_reader and no more",
        )
    return Unavailable("the database is away")


def taken_too_long(seconds: float) -> SqlTooCostly:
    """The statement was ended."""
    return SqlTooCostly(
        f"the statement was ended after {seconds:g} s",
        hint="ask for a shorter time range or read a rollup (metrics_hourly, traces_hourly, …); TIDEGAUGE_SQL_TIMEOUT is the limit",
        sqlstate="57014",
    )


def of_result(result: pq.abc.PGresult, offset: int, text: str, seconds: float) -> TidegaugeError:
    """The error that a result is; ``offset`` characters of ours stood before the analyst's text."""
    field = pq.DiagnosticField

    def told(name: pq.DiagnosticField) -> str:
        return (result.error_field(name) or b"").decode(errors="replace")

    state, message = told(field.SQLSTATE), told(field.MESSAGE_PRIMARY)
    hint = told(field.MESSAGE_HINT)
    given = told(field.STATEMENT_POSITION)
    position = int(given) - offset if given.isdigit() and 0 < int(given) - offset <= len(text) + 1 else None
    # 08P01: as many values as the statement has $n were not given.
    if not state or (state.startswith(_AWAY) and state != "08P01"):
        return Unavailable("the database is away, or was restarted")
    if state == "57014":
        return taken_too_long(seconds)
    if state.startswith(_TOO_COSTLY):
        return SqlTooCostly(message, hint=hint, sqlstate=state, position=position)
    if state.startswith(_FORBIDDEN):
        return SqlForbidden(message, hint=hint, sqlstate=state, position=position)
    if _NOT_AS_CURSOR.search(message) or (state == "42601" and not _reads(text)):
        return SqlForbidden(_ONE_SELECT, hint=f"PostgreSQL says: {message}", sqlstate=state, position=position)
    return SqlFailed(message, hint=hint, sqlstate=state, position=position)


def _reads(text: str) -> bool:
    """Whether it begins like what reads; for the message alone."""
    first = _FIRST_WORD.match(text)
    return first is not None and first[1].upper() in ("SELECT", "VALUES", "TABLE", "WITH", "")
