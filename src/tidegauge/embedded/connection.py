"""How other commands find a database that is running: a file in its data folder, for its owner alone."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from urllib.parse import quote

from tidegauge.embedded.files import read_json, write_private
from tidegauge.embedded.lock import is_locked

_NAME = "tidegauge.json"
_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """A running embedded database.

    Attributes:
        pid: process that supervises it.
        node_pid: process that is it.
        port: TCP port on 127.0.0.1.
        since: RFC 3339 time of its start.

    """

    pid: int
    node_pid: int
    port: int
    database: str
    owner_role: str
    owner_password: str
    reader_role: str
    reader_password: str
    since: str

    @property
    def owner_dsn(self) -> str:
        """URI for libpq of the role that owns everything."""
        return self._dsn(self.owner_role, self.owner_password)

    @property
    def reader_dsn(self) -> str:
        """URI for libpq of the role that may only read."""
        return self._dsn(self.reader_role, self.reader_password)

    def _dsn(self, role: str, password: str) -> str:
        return f"postgresql://{quote(role)}:{quote(password, safe='')}@{_HOST}:{self.port}/{quote(self.database)}?sslmode=disable"

    def __repr__(self) -> str:
        return f"ConnectionInfo(pid={self.pid}, port={self.port})"


def publish(folder: Path, info: ConnectionInfo) -> None:
    """Let other processes of the same user find the database."""
    write_private(folder / _NAME, asdict(info))


def withdraw(folder: Path) -> None:
    """The database ends. A file that cannot be removed is not believed either, once the folder's lock is free."""
    with contextlib.suppress(OSError):
        (folder / _NAME).unlink(missing_ok=True)


def running(data_dir: Path) -> ConnectionInfo | None:
    """The database that runs on this data folder, or None. A file left by a killed process is not believed."""
    content = read_json(data_dir / _NAME)
    if content is None or not is_locked(data_dir):
        return None
    try:
        return ConnectionInfo(**{field.name: content[field.name] for field in fields(ConnectionInfo)})
    except KeyError:
        return None
