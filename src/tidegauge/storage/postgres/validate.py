"""Compares a database with what migrations and settings make of one.

What sql/schema makes is compared with ``sql/catalogue.json``, which ``tools/catalogue.py`` writes. What follows from files and settings
alone (views, functions, policies) is made anew in a transaction that is rolled back: what that would change is a difference. So the
definitions compared come from the same server, whatever its version writes them like.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import psycopg
from alembic.script import ScriptDirectory
from psycopg.rows import dict_row

from tidegauge.config import Settings
from tidegauge.errors import MigrationError, Unavailable
from tidegauge.storage import sqlfiles
from tidegauge.storage.postgres import capabilities, policies, surface
from tidegauge.storage.postgres.capabilities import Capabilities

# (kind, name) → definition
Catalogue = Mapping[tuple[str, str], str]


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as it should be: missing (``found`` None), not ours (``expected`` None), or different."""

    kind: str
    name: str
    expected: str | None
    found: str | None

    def __str__(self) -> str:
        if self.found is None:
            return f"{self.kind} {self.name} is missing"
        if self.expected is None:
            return f"{self.kind} {self.name} does not belong there"
        return f"{self.kind} {self.name} differs"


def validate(dsn: str, settings: Settings) -> list[Difference]:
    """Every difference of the database at ``dsn`` (its owner's address); changes nothing.

    Raises:
        Unavailable: it does not answer.

    """
    try:
        with psycopg.connect(dsn, prepare_threshold=None, application_name="tidegauge validate") as connection:
            try:
                return _differences(connection, settings)
            finally:
                if not connection.broken:
                    connection.rollback()
    except psycopg.OperationalError as error:
        raise Unavailable("the database does not answer", hint=str(error).strip()) from error


def expected_structure() -> Catalogue:
    """What the newest revision makes, from ``sql/catalogue.json``."""
    content = orjson.loads(sqlfiles.script("catalogue.json"))
    return {(kind, name): definition for kind, names in content.items() for name, definition in names.items()}


def structure(connection: psycopg.Connection[Any]) -> Catalogue:
    """What stands in the storage schema."""
    # Names in definitions are written with their schema where it is not on the path.
    _set_local(connection, "search_path", "pg_catalog")
    return _catalogue(connection, "structure")


def head() -> str:
    """The newest revision."""
    return str(ScriptDirectory(str(sqlfiles.folder("migrations"))).get_current_head())


def revision(connection: psycopg.Connection[Any]) -> str | None:
    """The revision that the database is at; None where it was never migrated."""
    row = connection.execute(sqlfiles.queries("status")["revision_table"]).fetchone()
    if row is None or row[0] is None:
        return None
    found = connection.execute(sqlfiles.queries("migrations")["version"]).fetchone()
    return str(found[0]) if found else None


def compared(expected: Catalogue, found: Catalogue) -> Iterator[Difference]:
    """Differences of two catalogues, by kind and name."""
    for key in sorted(expected.keys() | found.keys()):
        if expected.get(key) != found.get(key):
            yield Difference(*key, expected.get(key), found.get(key))


def _differences(connection: psycopg.Connection[Any], settings: Settings) -> list[Difference]:
    at = revision(connection)
    if at != head():
        # Everything else would differ as well, and say less.
        return [Difference("revision", "of the schema", head(), at or "none")]
    about = facts(connection)
    differences = list(compared(expected_structure(), structure(connection)))
    limit(connection, settings, str(about["timescaledb_schema"]))
    foreign = connection.execute(sqlfiles.queries("validate")["foreign_jobs"]).fetchall()
    differences += [Difference("job", name, None, definition) for name, definition in foreign]
    return differences + _surface_differences(connection, settings, abilities(about))


def _surface_differences(connection: psycopg.Connection[Any], settings: Settings, able: Capabilities) -> list[Difference]:
    """What making views, functions and policies anew would change; the transaction is not to be committed."""
    found = _catalogue(connection, "surface")
    differences: list[Difference] = []
    kinds = {kind for kind, _ in found} | {"view", "function"}
    try:
        with connection.transaction():
            surface.apply(connection, settings, able)
    except MigrationError as error:
        # A column that is missing, most likely. Policies can still be compared.
        differences.append(Difference("surface", "views and functions", "", str(error)))
        kinds -= {"view", "function"}
        try:
            with connection.transaction():
                policies.apply_policies(connection, settings, able)
        except MigrationError as failure:
            return [*differences, Difference("surface", "policies", "", str(failure))]
    expected = _catalogue(connection, "surface")
    return differences + [difference for difference in compared(expected, found) if difference.kind in kinds]


def facts(connection: psycopg.Connection[Any]) -> Mapping[str, object]:
    """What capabilities depend on."""
    row = connection.cursor(row_factory=dict_row).execute(sqlfiles.queries("migrations")["facts"]).fetchone()
    assert row is not None
    return row


def abilities(about: Mapping[str, object]) -> Capabilities:
    """What the database can do."""
    return capabilities.from_facts(about)


def limit(connection: psycopg.Connection[Any], settings: Settings, search_path: str) -> None:
    """Limits and search path of the transaction."""
    for name, value in (
        ("search_path", search_path),
        ("statement_timeout", f"{int(settings.database.statement_timeout.total_seconds() * 1000)}ms"),
        ("lock_timeout", f"{int(settings.database.lock_timeout.total_seconds() * 1000)}ms"),
    ):
        _set_local(connection, name, value)


def _set_local(connection: psycopg.Connection[Any], name: str, value: str) -> None:
    connection.execute(sqlfiles.queries("migrations")["set_local"], {"name": name, "value": value})


def _catalogue(connection: psycopg.Connection[Any], query: str) -> Catalogue:
    rows = connection.execute(sqlfiles.queries("validate")[query], {}).fetchall()
    return {(kind, name): definition or "" for kind, name, definition in rows}
