"""Passwords of the embedded database: random, made once, kept in the data folder for its owner alone."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from tidegauge.embedded.files import read_json, write_private
from tidegauge.errors import EmbeddedDatabaseError

_NAME = "credentials.json"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What connects to the database, and the port it had last (0: never ran)."""

    owner_password: str
    reader_password: str
    port: int = 0

    def __repr__(self) -> str:
        return f"Credentials(port={self.port})"


def load_or_create(folder: Path) -> Credentials:
    """The folder's credentials, made where there are none yet. The caller holds the folder's lock.

    Raises:
        EmbeddedDatabaseError: the file is there but not readable as ours.

    """
    path = folder / _NAME
    if not path.exists():
        made = Credentials(secrets.token_urlsafe(32), secrets.token_urlsafe(32))
        save(folder, made)
        return made
    content = read_json(path) or {}
    try:
        return Credentials(str(content["owner_password"]), str(content["reader_password"]), int(content.get("port", 0)))
    except (KeyError, TypeError, ValueError):
        raise EmbeddedDatabaseError(
            f"{path} cannot be read", hint="delete the file: new passwords are made at the next start, the data stays"
        ) from None


def save(folder: Path, credentials: Credentials) -> None:
    """Write the credentials, mode 0600."""
    write_private(
        folder / _NAME,
        {"owner_password": credentials.owner_password, "reader_password": credentials.reader_password, "port": credentials.port},
    )
