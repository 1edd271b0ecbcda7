"""Runs SQL files statement by statement, so that an error names the file and line that it comes from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import LiteralString

import psycopg

from tidegauge.errors import MigrationError, Unavailable
from tidegauge.storage import sqlfiles

_TOKEN = re.compile(
    r"(?P<skip>--[^\n]*|/\*.*?\*/|\s+)|(?P<end>;)|'(?:[^']|'')*'|\"[^\"]*\"|(?P<dollar>\$\w*\$).*?(?P=dollar)|[^-/'\"$;\s]+|.",
    re.DOTALL,
)
_HINTS = {
    "55P03": "another session holds the lock; try again, or raise TIDEGAUGE_DATABASE_MIGRATION_LOCK_TIMEOUT",
    "57014": "raise TIDEGAUGE_DATABASE_MIGRATION_STATEMENT_TIMEOUT if the table is that large",
    "42501": "migrations run as the owner of the schemas tidegauge and analytics",
    "2BP01": "drop or move the objects named there first; they are not Tidegauge's",
}


def statements(text: LiteralString) -> Iterator[tuple[int, LiteralString]]:
    """(line, statement) for each statement; ``;`` inside strings, comments and dollar quotes ends none."""
    begin: int | None = None
    for token in _TOKEN.finditer(text + ";"):
        if token.lastgroup == "end" and begin is not None:
            yield text.count("\n", 0, begin) + 1, text[begin : token.start()]
            begin = None
        elif begin is None and token.lastgroup not in {"skip", "end"}:
            begin = token.start()


def run(connection: psycopg.Connection[tuple[object, ...]], path: str) -> None:
    """Run ``sql/<path>`` in the connection's transaction.

    Raises:
        MigrationError: a statement failed; says which, where and why.
        Unavailable: the connection broke.

    """
    for line, statement in statements(sqlfiles.script(path)):
        try:
            connection.execute(statement)
        except psycopg.Error as error:
            raise explained(error, f"sql/{path}, line {line}") from error


def explained(error: psycopg.Error, place: str) -> MigrationError | Unavailable:
    """The error that a person reads for ``error`` at ``place``."""
    if error.sqlstate is None or error.sqlstate.startswith("57P"):
        return Unavailable(f"the database went away during {place}")
    diagnostics = error.diag
    message = f"{place}: {diagnostics.message_primary or error}"
    if diagnostics.message_detail:
        message += f"; {diagnostics.message_detail}".replace("\n", ", ")
    return MigrationError(message, hint=_HINTS.get(error.sqlstate, diagnostics.message_hint or ""))
