"""The owner's database for a command: the server that settings name, the embedded database that runs, or one started for the moment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from tidegauge import config
from tidegauge.cli.psql import place, with_user
from tidegauge.config import Settings
from tidegauge.errors import NotFound
from tidegauge.runtime import Location, database_location, known_location

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
    known = known_location(settings)
    folder = settings.embedded.data_dir
    if known is None and not create and not (folder / "credentials.json").exists():
        raise NotFound(
            f"there is no database in {folder}", hint="`tidegauge up` or `tidegauge db migrate` makes one; --data names another folder"
        )
    async with database_location(settings, report) if known is None else nullcontext(known) as location:
        yield OpenDatabase(
            location.owner_dsn,
            location.reader_dsn or with_user(location.owner_dsn, settings.database.reader_role),
            _description(location, folder),
            location.embedded,
            location.shared_with,
        )


def _description(location: Location, folder: Path) -> str:
    if not location.embedded:
        return f"server {place(location.owner_dsn)}"
    by = "started for this command" if location.shared_with is None else f"run by process {location.shared_with}"
    return f"embedded database in {folder}, {by}"
