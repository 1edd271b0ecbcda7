"""Which database this is: what is kept of its answers elsewhere must never be taken for another one's."""

from __future__ import annotations

import secrets
from hashlib import blake2b

import psycopg

from tidegauge.errors import Unavailable
from tidegauge.storage import sqlfiles
from tidegauge.storage.postgres.database import Database
from tidegauge.storage.postgres.reading import rows


async def identity(database: Database) -> str:
    """A short name of the database with its tables as they are; one that nobody else uses where it does not tell."""
    try:
        async with database.reading() as connection:
            (row,) = await rows(connection, sqlfiles.queries("cache")["identity"], {})
    except (Unavailable, psycopg.errors.InsufficientPrivilege):
        return secrets.token_hex(8)
    return blake2b(f"{row['system']} {row['series']}".encode(), digest_size=8).hexdigest()
