"""Runs SQL files statement by statement, so that an error names the file and line that it comes from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import LiteralString, cast

import psycopg

from tidegauge.errors import MigrationError, Unavailable
from tidegauge.storage import sqlfiles

_TOKEN = re.compile(
    r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\"[^\"]*\"|(?P<dollar>\$\w*\$).*?(?P=dollar)|(?P<end>;)|[^-/'\"$;]+|.",
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
    line = begin = 1
    gathered: list[str] = []
    for token in _TOKEN.finditer(text):
        part = token.group()
        comment = part.startswith(("--", "/*"))
        if not gathered:
            begin = line + (len(part) - len(part.lstrip())) if not comment and part.strip() else begin
        if not comment:
            if token.group("end"):
                if "".join(gathered).strip():
                    yield begin, cast("LiteralString", "".join(gathered).strip())
                gathered = []
            elif gathered or part.strip():
                if not gathered:
                    begin = line + part[: len(part) - len(part.lstrip())].count("\n")
                gathered.append(part)
        line += part.count("\n")
    if "".join(gathered).strip():
        yield begin, cast("LiteralString", "".join(gathered).strip())


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
