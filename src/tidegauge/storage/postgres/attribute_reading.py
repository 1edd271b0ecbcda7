"""The catalogue of attributes, read from TimescaleDB."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import AsyncConnection

from tidegauge.model.query import TimeRange
from tidegauge.model.search import AttributeCondition, Comparison, Where
from tidegauge.storage import sqlfiles
from tidegauge.storage.attribute_interface import AttributeKey, AttributeValue, AttributeValues
from tidegauge.storage.postgres.attribute_index import Slice, alternatives, candidates
from tidegauge.storage.postgres.database import Database
from tidegauge.storage.postgres.reading import Row, rows, timestamp

_TYPES = {1: "string", 2: "int", 4: "double", 8: "bool", 16: "array", 32: "kvlist", 64: "empty"}
# What a person types a letter after is looked for in some milliseconds.
_SAMPLE, _ENOUGH_SLICES, _MOST_SLICES = 2000, 20, 100
_FIRST_WINDOW_NS, _LONGER = 3_600_000_000_000, 8


class PostgresAttributeCatalogue:
    """An :class:`tidegauge.storage.attribute_interface.AttributeCatalogueStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sqlfiles.queries("attributes")

    async def attribute_keys(
        self, tenant_id: int, prefix: str, where: Where | None, service: str | None, limit: int
    ) -> Sequence[AttributeKey]:
        """See ``AttributeCatalogueStore``."""
        location = None if where is None else where.value
        parameters = {"tenant_id": tenant_id, "prefix": prefix, "location": location, "service": service, "limit": limit}
        async with self._database.reading() as connection:
            return [_key(row) for row in await rows(connection, self._sql["attribute_keys"], parameters)]

    async def attribute_values(
        self, tenant_id: int, key: str, where: Where, prefix: str, service: str | None, time: TimeRange, limit: int
    ) -> AttributeValues:
        """See ``AttributeCatalogueStore``. Of spans and events about 2000 are looked at; of resources and scopes whatever the time."""
        parameters: dict[str, object] = {"tenant_id": tenant_id, "key": key, "prefix": prefix, "limit": limit, "sample": _SAMPLE}
        async with self._database.reading() as connection:
            found = await rows(connection, self._sql["applications_of"], {"tenant_id": tenant_id, "service": service})
            applications = [row["application_id"] for row in found]
            parameters["application_ids"] = applications
            if where in (Where.SPAN, Where.EVENT):
                slices = await self._slices(connection, tenant_id, time, applications, AttributeCondition(where, key, Comparison.PRESENT))
                parameters |= {
                    "application_ids": [application for application, _ in slices],
                    "starts": [timestamp(each.start_ns) for _, each in slices],
                    "ends": [timestamp(each.end_ns, up=True) for _, each in slices],
                    "each": _SAMPLE // max(1, len(slices)),
                }
            counted = await rows(connection, self._sql[f"{where.value}_values"], parameters)
        values = [AttributeValue(row["value"], row["count"]) for row in counted]
        return AttributeValues(values, int(counted[0]["sampled"]) if counted else 0, counted[0]["found"] if counted else 0)

    async def _slices(
        self, connection: AsyncConnection, tenant_id: int, time: TimeRange, applications: Sequence[int], condition: AttributeCondition
    ) -> Sequence[Slice]:
        """Where the newest spans with the key are, at most some of them."""
        found: list[Slice] = []
        end, length = time.end_ns, _FIRST_WINDOW_NS
        while end > time.start_ns and len(found) < _ENOUGH_SLICES:
            window = TimeRange(max(time.start_ns, end - length), end)
            slices = await candidates(connection, self._sql, tenant_id, window, applications, alternatives([condition]))
            found += [(application, window) for application in applications] if slices is None else slices
            end, length = window.start_ns, length * _LONGER
        return found[:_MOST_SLICES]


def _key(row: Row) -> AttributeKey:
    return AttributeKey(
        key=row["key"],
        where=Where(row["location"]),
        types=[name for bit, name in _TYPES.items() if row["types"] & bit],
        first_seen_unix_nano=row["first_seen_us"] * 1000,
        last_seen_unix_nano=row["last_seen_us"] * 1000,
        applications=row["applications"],
        values=row["values"],
        sampled=row["sampled"],
    )
