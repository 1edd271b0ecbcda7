"""Brings a database to the schema of this version, and back.

Two ways lead here: :func:`upgrade` and :func:`downgrade` for Python, and a shell's ``alembic``; both through ``migrations/env.py``
and :func:`run_in_alembic`. Each revision is one transaction with its own limits. On a server migrations wait for one another on
an advisory lock; the embedded database serialises transactions anyway. In either case another migration may come between
two of our transactions: a revision checks that the database is where it expects it, and if not we start over from what is there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, LiteralString

import psycopg
from alembic import command, context, op
from alembic.config import Config as AlembicConfig
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row
from sqlalchemy import Connection, NullPool, create_engine, event

from tidegauge.config import Settings
from tidegauge.errors import MigrationError, Unavailable
from tidegauge.storage import sqlfiles
from tidegauge.storage.postgres import capabilities, scripts, surface
from tidegauge.storage.postgres.capabilities import Capabilities

Report = Callable[[str], None]
VERSION_TABLE = "alembic_version"
SCHEMA = "tidegauge"
MINIMUM_POSTGRES = 15
MINIMUM_TIMESCALEDB = (2, 20)
_ATTEMPTS = 50


def upgrade(dsn: str, settings: Settings, report: Report, revision: str = "head", *, repair: bool = False) -> None:
    """Bring the database at ``dsn`` (its owner's address) to ``revision``; does nothing where it is there already.

    At head the analysts' views are made anew where this version's differ, or in any case to ``repair`` them, and the policies follow
    ``settings``. Not for two threads at once: Alembic keeps its context in its modules.

    Raises:
        MigrationError: the database is not fit for us, or a revision failed; it is at the revision before.
        Unavailable: the database is away.

    """
    command.upgrade(_alembic(dsn, settings, report, repair=repair), revision)


def downgrade(dsn: str, settings: Settings, report: Report, revision: str = "base") -> None:
    """Take the database at ``dsn`` back to ``revision``; what later revisions made is dropped with its data. Raises as upgrade."""
    command.downgrade(_alembic(dsn, settings, report), revision)


def _alembic(dsn: str, settings: Settings, report: Report, *, repair: bool = False) -> AlembicConfig:
    config = AlembicConfig(attributes={"dsn": dsn, "settings": settings, "report": report, "repair": repair})
    config.set_main_option("script_location", str(sqlfiles.folder("migrations")).replace("%", "%%"))
    return config


class _Overtaken(Exception):
    """Another migration moved the database on between two of our transactions."""


@dataclass(frozen=True, slots=True)
class _Target:
    """The database as it was found fit: what it can do, and the search path that finds TimescaleDB's functions."""

    capabilities: Capabilities
    search_path: str


def run_in_alembic(dsn: str, settings: Settings, report: Report) -> None:
    """What ``migrations/env.py`` does once it knows the address: carry out the command that Alembic was called with.

    Raises: as :func:`upgrade`.

    """
    context.config.attributes["settings"] = settings
    dsn = re.sub(r"^postgres(ql)?(\+psycopg)?://", "postgresql://", dsn)
    with _failures(), _connected(dsn, settings) as connection:
        connection.add_notice_handler(lambda notice: _report_warning(notice, report))
        target = _prepare(connection, settings, report)
        connection.commit()
        for _ in range(_ATTEMPTS):
            try:
                _run_revisions(connection, settings, report, target)
                return
            except _Overtaken:
                report("another migration is at work; going on from where it is")
            except MigrationError as error:
                if not isinstance(error.__cause__, psycopg.errors.DeadlockDetected):
                    raise
                report("a background job and this migration waited for one another; trying again")
            connection.rollback()
    raise MigrationError(
        "other sessions kept getting in the way", hint="see that only one migration is running, and no one uses the tables"
    )


def _connected(dsn: str, settings: Settings) -> psycopg.Connection[Any]:
    # Else the start waits for over two minutes for a server that takes the connection and says nothing.
    seconds = max(2, round(settings.database.connect_timeout.total_seconds()))
    patient = make_conninfo(dsn, **({} if "connect_timeout" in conninfo_to_dict(dsn) else {"connect_timeout": seconds}))
    return psycopg.connect(patient, prepare_threshold=None, application_name="tidegauge migration")


def run_revision(script: str, *, expected: str | None) -> None:
    """Run ``sql/schema/<script>`` as the body of a revision, on a database that is at ``expected`` (None: at no revision).

    Raises:
        MigrationError: a statement failed; says which and why.

    """
    connection = _driver(op.get_bind())
    found = connection.execute(_sql("version")).fetchone()
    if (found[0] if found else None) != expected:
        raise _Overtaken
    if script.endswith(".down.sql"):
        surface.drop(connection, context.config.attributes["settings"])
    scripts.run(connection, f"schema/{script}")


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except psycopg.OperationalError as error:
        if error.sqlstate is None or error.sqlstate.startswith(("57P", "08")):
            raise Unavailable("the database does not answer", hint=str(error).strip()) from error
        raise scripts.explained(error, "migration") from error
    except psycopg.Error as error:
        raise scripts.explained(error, "migration") from error


def _report_warning(notice: psycopg.errors.Diagnostic, report: Report) -> None:
    if notice.severity_nonlocalized == "WARNING":
        report(f"warning: {notice.message_primary}" + (f" ({notice.message_hint})" if notice.message_hint else ""))


def _prepare(connection: psycopg.Connection[Any], settings: Settings, report: Report) -> _Target:
    """Make extension and storage schema where they are missing; one transaction."""
    facts = _facts(connection)
    check_fit(facts)
    found = capabilities.from_facts(facts)
    _begin(connection, settings, _Target(found, "pg_catalog"), report)
    if facts["timescaledb_schema"] is None:
        connection.execute(_sql("create_extension"))
        facts = _facts(connection)
        check_fit(facts)
    connection.execute(_sql("create_storage_schema"))
    return _Target(capabilities.from_facts(facts), str(facts["timescaledb_schema"]))


def _facts(connection: psycopg.Connection[Any]) -> Mapping[str, object]:
    row = connection.cursor(row_factory=dict_row).execute(_sql("facts")).fetchone()
    assert row is not None
    return row


def check_fit(facts: Mapping[str, object]) -> None:
    """Refuse a database that this store cannot live in; ``facts`` is the row of the query of that name.

    Raises:
        MigrationError: says what is wrong and what to do.

    """
    version = int(str(facts["server_version_num"])) // 10000
    if version < MINIMUM_POSTGRES:
        raise MigrationError(
            f"the server is PostgreSQL {version}", hint=f"Tidegauge needs PostgreSQL {MINIMUM_POSTGRES} or newer with TimescaleDB"
        )
    if facts["timescaledb_schema"] is None:
        _check_available(facts)
    else:
        _check_timescaledb(facts)


def _check_available(facts: Mapping[str, object]) -> None:
    if facts["timescaledb_available"] is None:
        raise MigrationError(
            "TimescaleDB is not installed on the server",
            hint=f"install TimescaleDB {_wanted()} or newer, or use the image timescale/timescaledb",
        )
    if facts["preloaded"] is not None and "timescaledb" not in str(facts["preloaded"]):
        raise MigrationError(
            "TimescaleDB is installed on the server but not loaded",
            hint="add it to shared_preload_libraries in postgresql.conf and restart the server",
        )


def _check_timescaledb(facts: Mapping[str, object]) -> None:
    version = str(facts["timescaledb_version"])
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < MINIMUM_TIMESCALEDB:
        raise MigrationError(
            f"the database has TimescaleDB {version}",
            hint=f"Tidegauge needs {_wanted()} or newer: install it, then run ALTER EXTENSION timescaledb UPDATE in a new session",
        )
    if facts["timescaledb_license"] == "apache":
        raise MigrationError(
            "TimescaleDB runs under its Apache licence, without columnstore, continuous aggregates and jobs",
            hint="set timescaledb.license = 'timescale' in postgresql.conf and restart; packages named -oss do not have it",
        )


def _wanted() -> str:
    return ".".join(map(str, MINIMUM_TIMESCALEDB))


def _run_revisions(connection: psycopg.Connection[Any], settings: Settings, report: Report, target: _Target) -> None:
    # The engine is Alembic's way in; the connection and its transactions are ours alone.
    engine = create_engine("postgresql+psycopg://", creator=lambda: connection, poolclass=NullPool, use_native_hstore=False)
    event.listen(engine, "begin", lambda begun: _begin(_driver(begun), settings, target, report))
    bound = engine.connect()
    try:
        context.configure(
            connection=bound,
            version_table=VERSION_TABLE,
            version_table_schema=SCHEMA,
            include_schemas=True,
            transaction_per_migration=True,
            on_version_apply=lambda *, step, **_: report(f"{'up' if step.is_upgrade else 'down'}: {_named(step)}"),
        )
        with context.begin_transaction():
            context.run_migrations()
        if _is_at_head() and not context.get_context().opts.get("dont_mutate"):
            surface.apply(_driver(bound), settings, target.capabilities, repair=context.config.attributes.get("repair", True))
            bound.commit()
    except BaseException:
        bound.rollback()
        raise
    finally:
        bound.detach()


def _is_at_head() -> bool:
    return set(context.get_context().get_current_heads()) == set(context.script.get_heads())


def _named(step: Any) -> str:
    (revision,) = step.up_revisions
    return f"{revision.revision} {revision.doc.rstrip('.')}"


def _driver(connection: Connection) -> psycopg.Connection[Any]:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver


def _begin(connection: psycopg.Connection[Any], settings: Settings, target: _Target, report: Report) -> None:
    """Give a transaction its search path and limits, and make it wait for other migrations."""
    limit = settings.database.migration_statement_timeout
    _set(connection, "search_path", target.search_path)
    if target.capabilities.has_statement_timeout:
        _set(connection, "statement_timeout", _milliseconds(limit))
    if target.capabilities.has_advisory_locks:
        # Another migration may rightly take longer than we wait for a table.
        _set(connection, "lock_timeout", _milliseconds(limit))
        row = connection.execute(_sql("try_lock")).fetchone()
        if row is not None and not row[0]:
            report("another migration is at work; waiting for it")
            connection.execute(_sql("wait_lock"))
    if target.capabilities.has_statement_timeout:
        _set(connection, "lock_timeout", _milliseconds(settings.database.migration_lock_timeout))


def _set(connection: psycopg.Connection[Any], name: str, value: str) -> None:
    connection.execute(_sql("set_local"), {"name": name, "value": value})


def _sql(name: str) -> LiteralString:
    return sqlfiles.queries("migrations")[name]


def _milliseconds(value: timedelta) -> str:
    return str(int(value.total_seconds() * 1000))
