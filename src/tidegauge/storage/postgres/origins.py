"""Resources and scopes of what is read. Rows never change, but for when they were seen last: those that come again are remembered.

Not for long: a schema may be made anew, and its ids with it, without whoever reads being told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import TypeVar

from psycopg import AsyncConnection

from tidegauge.model.records import StoredResource, StoredScope
from tidegauge.storage import sqlfiles
from tidegauge.storage.postgres.database import Database
from tidegauge.storage.postgres.reading import Row, application, by_name

_MOST = 1024
# Of attributes as text: what is larger is read again each time.
_LARGE = 8192
_SECONDS = 60.0
_Stored = TypeVar("_Stored", StoredResource, StoredScope)


class Origins:
    """Where spans and records come from, by id."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` tells seconds."""
        self._database = database
        self._clock = clock
        self._began = clock()
        self._sql = sqlfiles.queries("applications")
        self._resources: dict[int, StoredResource] = {}
        self._scopes: dict[int, StoredScope] = {}

    async def of(
        self, found: Collection[Row], connection: AsyncConnection | None = None
    ) -> tuple[dict[int, StoredResource], dict[int, StoredScope]]:
        """Resources and scopes of rows, by id: what is not known is read in one round trip, on the connection if there is one.

        Raises:
            Unavailable: the database is away.

        """
        self._forget()
        resource_ids, scope_ids = {row["resource_id"] for row in found}, {row["scope_id"] for row in found}
        new_resources, new_scopes = resource_ids - self._resources.keys(), scope_ids - self._scopes.keys()
        resources = {one: self._resources[one] for one in resource_ids - new_resources}
        scopes = {one: self._scopes[one] for one in scope_ids - new_scopes}
        if new_resources or new_scopes:
            if connection is None:
                async with self._database.reading() as connection:
                    read = await self._read(connection, new_resources, new_scopes)
            else:
                read = await self._read(connection, new_resources, new_scopes)
            _remember(self._resources, read[0])
            _remember(self._scopes, read[1])
            resources |= read[0]
            scopes |= read[1]
        return resources, scopes

    def _forget(self) -> None:
        if (now := self._clock()) - self._began > _SECONDS:
            self._began = now
            self._resources.clear()
            self._scopes.clear()

    async def _read(
        self, connection: AsyncConnection, resource_ids: Collection[int], scope_ids: Collection[int]
    ) -> tuple[dict[int, StoredResource], dict[int, StoredScope]]:
        async with connection.pipeline():
            of_resources, of_scopes = by_name(connection), by_name(connection)
            await of_resources.execute(self._sql["resources"], {"ids": sorted(resource_ids)})
            await of_scopes.execute(self._sql["scopes"], {"ids": sorted(scope_ids)})
        return (
            {row["resource_id"]: _resource(row) for row in await of_resources.fetchall()},
            {row["scope_id"]: _scope(row) for row in await of_scopes.fetchall()},
        )


def _remember(known: dict[int, _Stored], read: dict[int, _Stored]) -> None:
    small = {number: one for number, one in read.items() if len(str(one.attributes)) + len(one.original or b"") <= _LARGE}
    if len(known) + len(small) > _MOST:
        # What is used comes back at once.
        known.clear()
    if len(small) <= _MOST:
        known.update(small)


def _resource(row: Row) -> StoredResource:
    return StoredResource(
        application=application(row),
        schema_url=row["schema_url"],
        attributes=row["attributes"],
        dropped_attributes_count=row["dropped_attributes_count"],
        original=row["original"],
    )


def _scope(row: Row) -> StoredScope:
    return StoredScope(
        name=row["name"],
        version=row["version"],
        schema_url=row["schema_url"],
        attributes=row["attributes"],
        dropped_attributes_count=row["dropped_attributes_count"],
        original=row["original"],
    )
