"""The owner's database for a command: the server that settings name, the embedded database that runs, or one started for the moment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tidegauge import config, embedded
from tidegauge.cli.psql import place, with_user
from tidegauge.config import Settings
from tidegauge.embedded import EmbeddedDatabase
from tidegauge.errors import NotFound

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class OpenDatabase:
    """A database that a command works on.

    Attributes:
        owner_dsn: libpq URI of the owner.
        reader_dsn: the reader's; on a server without a password, which is not ours to know.
        description: which it is, for people.
        embedded: whether it is ours.
        shared_with: process id of the `tidegauge up` that runs it; None where no other process of ours is known to.

    """

    owner_dsn: str
    reader_dsn: str
    description: str
    embedded: bool
    shared_with: int | None


def settings_for(data: Path | None) -> Settings:
    """Settings, with ``--data`` where it is given: it means the embedded database, whatever the environment names.

    Raises:
        ConfigurationError: a setting is malformed.

    """
    if data is None:
        return config.load()
    return config.load(overrides={"embedded": {"data_dir": data}, "database": {"url": None}})


@asynccontextmanager
async def opened(settings: Settings, report: Report, *, create: bool = False) -> AsyncIterator[OpenDatabase]:
    """The database of these settings while the block runs. ``create``: an embedded one is made where there is none.

    Raises:
        NotFound: there is no embedded database in the data folder.
        EmbeddedDatabaseError: it cannot start, or another process is just starting or stopping it.

    """
    if settings.database.url is not None:
        url = settings.database.url.get_secret_value().replace("postgresql+psycopg://", "postgresql://", 1)
        reader = with_user(url, settings.database.reader_role)
        yield OpenDatabase(url, reader, f"server {place(url)}", embedded=False, shared_with=None)
        return
    folder = settings.embedded.data_dir
    if running := embedded.running(folder):
        where = f"embedded database in {folder}, run by process {running.pid}"
        yield OpenDatabase(running.owner_dsn, running.reader_dsn, where, embedded=True, shared_with=running.pid)
        return
    if not create and not (folder / "credentials.json").exists():
        raise NotFound(
            f"there is no database in {folder}", hint="`tidegauge up` or `tidegauge db migrate` makes one; --data names another folder"
        )
    async with EmbeddedDatabase(settings.embedded, report) as database:
        where = f"embedded database in {folder}, started for this command"
        yield OpenDatabase(database.owner_dsn, database.reader_dsn, where, embedded=True, shared_with=None)
