"""Runs psql on a database. Its password is passed in a file for its owner alone: arguments and environments are seen by others."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from tidegauge.errors import TidegaugeError


class PsqlMissing(TidegaugeError):
    """There is no psql on PATH."""

    title = "psql is missing"
    exit_code = 127


def executable(dsn: str, password_place: str) -> str:
    """The path of psql.

    Raises:
        PsqlMissing: says how to connect otherwise.

    """
    found = shutil.which("psql")
    if found is None:
        raise PsqlMissing(
            "psql is not on PATH",
            hint=f"install PostgreSQL's client, or connect another one to {without_password(dsn)}; the password is in {password_place}",
        )
    return found


async def run(psql: str, dsn: str, arguments: Sequence[str]) -> int:
    """Run psql on the terminal; returns its exit status."""
    with _password_file(dsn) as address:
        # A PGPASSWORD for another database would win over our file.
        without = ("env", "-u", "PGPASSWORD") if "passfile=" in address else ()
        process = await asyncio.create_subprocess_exec(*without, psql, *arguments, "--dbname", address)
        loop = asyncio.get_running_loop()
        # Ctrl-C is psql's: it ends a statement, not the session.
        loop.add_signal_handler(signal.SIGINT, lambda: None)
        try:
            return await process.wait()
        finally:
            loop.remove_signal_handler(signal.SIGINT)
            if process.returncode is None:
                process.terminate()
                await process.wait()


def without_password(dsn: str) -> str:
    """The address as it may be shown."""
    parts = urlsplit(dsn)
    user = f"{quote(unquote(parts.username), safe='')}@" if parts.username else ""
    query = urlencode([(name, value) for name, value in parse_qsl(parts.query) if name != "password"])
    # Not urlunsplit(): it drops the // of an address without a host.
    return f"{parts.scheme}://{user}{parts.netloc.rpartition('@')[2]}{parts.path}" + (f"?{query}" if query else "")


def with_user(dsn: str, user: str) -> str:
    """The same database for another user, whose password is not known."""
    parts = urlsplit(dsn)
    return without_password(parts._replace(netloc=f"{quote(user, safe='')}@{parts.netloc.rpartition('@')[2]}").geturl())


def place(dsn: str) -> str:
    """Host, port and database, for people."""
    parts = urlsplit(dsn)
    return f"{parts.netloc.rpartition('@')[2] or 'localhost'}{parts.path}"


@contextlib.contextmanager
def _password_file(dsn: str) -> Iterator[str]:
    """The address with a reference to a file in place of the password."""
    parts = urlsplit(dsn)
    password = unquote(parts.password) if parts.password else dict(parse_qsl(parts.query)).get("password")
    shown = without_password(dsn)
    if password is None:
        yield shown
        return
    with tempfile.TemporaryDirectory(prefix="tidegauge-") as folder:
        path = Path(folder) / "pgpass"
        path.touch(mode=0o600)
        escaped = password.replace("\\", "\\\\").replace(":", "\\:")
        path.write_text(f"*:*:*:*:{escaped}\n", encoding="utf-8")
        yield shown + ("&" if "?" in shown else "?") + urlencode({"passfile": str(path)}, quote_via=quote)
