"""Databases to measure on: one of our own on a server, made and dropped, or the embedded one in a folder of its own."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

_FACTS = """
SELECT
    current_setting('server_version'),
    (SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'timescaledb'),
    current_setting('synchronous_commit'), current_setting('fsync'), current_setting('shared_buffers'), current_setting('max_wal_size')
"""


@contextlib.contextmanager
def scratch(url: str) -> Iterator[str]:
    """The URL of an empty database on the server, dropped afterwards. Ends the program where that is not allowed."""
    name = f"tidegauge_bench_{uuid.uuid4().hex[:12]}"
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except psycopg.errors.InsufficientPrivilege:
        sys.exit("benchmarks make a database of their own and drop it: the role needs CREATEDB (ALTER ROLE … CREATEDB)")
    except psycopg.OperationalError as error:
        sys.exit(f"the server does not answer: {error}")
    try:
        yield _with_database(url, name)
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _with_database(url: str, name: str) -> str:
    parts = conninfo_to_dict(url)
    user, password = parts.get("user") or "", parts.get("password")
    return f"postgresql://{user}{f':{password}' if password else ''}@{parts.get('host', '127.0.0.1')}:{parts.get('port', 5432)}/{name}"


def connect(dsn: str) -> psycopg.Connection:
    """As every client of the embedded database has to: no named statements, no session state."""
    return psycopg.connect(dsn, autocommit=True, prepare_threshold=None)


def machine(dsn: str | None = None, *, embedded: bool = False) -> str:
    """Facts without which a figure means nothing."""
    facts = [f"{os.cpu_count()} cores", _cpu_model(), f"Python {platform.python_version()}"]
    if dsn is not None:
        with connect(dsn) as connection:
            row = connection.execute(_FACTS).fetchone()
        assert row is not None
        postgres, timescaledb, commit, fsync, buffers, wal = row
        kind = "embedded" if embedded else "server"
        facts += [f"PostgreSQL {postgres.split()[0]}, TimescaleDB {timescaledb} ({kind})", f"synchronous_commit {commit}, fsync {fsync}"]
        facts.append(f"shared_buffers {buffers}, max_wal_size {wal}")
    return "\n".join((", ".join(facts[:3]), *((", ".join(facts[3:]),) if dsn else ())))


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
