"""Log records on TimescaleDB."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from psycopg import AsyncConnection

from tidegauge.model.query import Cursor, LogField, LogFilter, Order, TimeRange, check_step
from tidegauge.model.records import LogContext, LogCount, StoredLog, StoredResource, StoredScope, TopValue
from tidegauge.storage import sqlfiles
from tidegauge.storage.interface import Page
from tidegauge.storage.postgres.database import Database
from tidegauge.storage.postgres.log_parameters import LogKey, conditions, cursor_of, may_match, page
from tidegauge.storage.postgres.origins import Origins
from tidegauge.storage.postgres.reading import LAST_TIMESTAMP, Row, rows, span_hex, timestamp, trace_hex

# tidegauge.logs.time_source: where the column timestamp comes from.
_FROM_TIME = 0
_ALWAYS = TimeRange(0, (1 << 63) - 1)
# So many records a transaction looks at that deletes: the embedded database does nothing else for as long.
_DELETED_FROM = 10_000
# Among so many records a frequent word is found often enough for a page.
_NEARBY = 2000
# So many times as many records may be read for it.
_FARTHER = 10


class PostgresLogStore:
    """``LogStore`` on ``tidegauge.logs``.

    Args:
        database: where it is.
        once_from_ns: from when on no record can stand twice, for a resend is recognised; without it every record is looked at for that.

    """

    def __init__(self, database: Database, once_from_ns: Callable[[], int] | None = None) -> None:
        self._database = database
        self._once_from_ns = once_from_ns
        self._sql = sqlfiles.queries("logs")
        self._origins = Origins(database)

    async def find_logs(
        self, tenant_id: int, wanted: LogFilter, limit: int, after: Cursor | None, order: Order = Order.NEWEST_FIRST
    ) -> Page[StoredLog]:
        """See ``LogStore``. A cursor's tie is the request's digest and the record's place in it."""
        page(wanted, after, order)
        async with self._database.reading() as connection:
            return await self._page(connection, tenant_id, wanted, limit, after, order)

    async def log(self, tenant_id: int, log_id: str) -> StoredLog | None:
        """See ``LogStore``."""
        key = LogKey.parse(log_id)
        async with self._database.reading() as connection:
            return await self._one(connection, tenant_id, key)

    async def count_logs(self, tenant_id: int, wanted: LogFilter, step_ns: int) -> Sequence[LogCount]:
        """See ``LogStore``."""
        check_step(step_ns)
        found = await self._grouped("count_logs", tenant_id, wanted, {"step": timedelta(microseconds=step_ns // 1000)})
        return [LogCount(row["step_us"] * 1000, row["severity_number"], row["count"]) for row in found]

    async def top_values(self, tenant_id: int, wanted: LogFilter, field: LogField | str, limit: int) -> Sequence[TopValue]:
        """See ``LogStore``."""
        name, key = (field.value, None) if isinstance(field, LogField) else (None, field)
        found = await self._grouped("top_values", tenant_id, wanted, {"field": name, "key": key, "limit": limit})
        return [TopValue(row["value"], row["count"]) for row in found]

    async def context(self, tenant_id: int, log_id: str, before: int, after: int, wanted: LogFilter | None = None) -> LogContext | None:
        """See ``LogStore``."""
        key = LogKey.parse(log_id)
        around = wanted or LogFilter(_ALWAYS)
        async with self._database.reading() as connection:
            record = await self._one(connection, tenant_id, key)
            if record is None:
                return None
            place = cursor_of(record)
            older, newer = [
                (await self._page(connection, tenant_id, around, size, place, order)).rows if size else ()
                for size, order in ((before, Order.NEWEST_FIRST), (after, Order.OLDEST_FIRST))
            ]
        return LogContext(tuple(reversed(older)), record, tuple(newer))

    async def delete_logs(self, tenant_id: int, wanted: LogFilter) -> int:
        """See ``LogStore``. Also what is in the columnstore; each transaction is over soon, so that others have their turn."""
        if not may_match(wanted):
            return 0
        parameters = dict(conditions(tenant_id, wanted))
        async with self._database.reading() as connection:
            parameters["applications"] = await self._applications(connection, parameters)
            chunks = await rows(connection, self._sql["log_chunks"], parameters)
        first, last = timestamp(wanted.time.start_ns), timestamp(wanted.time.end_ns, up=True)
        deleted = 0
        for chunk in chunks:
            start: datetime | None = max(first, chunk["range_start"])
            while start is not None:
                part = {**parameters, "start": start, "end": min(last, chunk["range_end"])}
                start = await self._end_of_part(part)
                deleted += await self._delete(part if start is None else {**part, "end": start})
        return deleted

    async def _end_of_part(self, parameters: Mapping[str, Any]) -> datetime | None:
        """Where so many records of a range end as are looked at in one transaction; None: at its end."""
        async with self._database.reading() as connection:
            found = await rows(connection, self._sql["log_part"], {**parameters, "records": _DELETED_FROM})
        # One microsecond may hold more.
        return max(found[0]["timestamp"], parameters["start"] + timedelta(microseconds=1)) if found else None

    async def _delete(self, parameters: Mapping[str, object]) -> int:
        async with self._database.writing() as connection:
            await connection.execute(self._sql["delete_without_limit"])
            (row,) = await rows(connection, self._sql["delete_logs"], parameters)
        count: int = row["count"]
        return count

    async def _page(
        self, connection: AsyncConnection, tenant_id: int, wanted: LogFilter, limit: int, after: Cursor | None, order: Order
    ) -> Page[StoredLog]:
        if not may_match(wanted):
            return Page((), None)
        base = conditions(tenant_id, wanted)
        applications = await self._applications(connection, base)
        if applications == []:
            return Page((), None)
        found: list[StoredLog] = []
        while len(found) <= limit:
            # More than one turn only where records stand twice.
            asked = limit + 1 - len(found)
            narrowed, place = page(wanted, after, order)
            parameters = {**conditions(tenant_id, narrowed), **place, "applications": applications, "limit": asked}
            read = await self._find(connection, parameters, order)
            found += await self._records(connection, [next(same) for _, same in groupby(read, _key)])
            if len(read) < asked:
                break
            after = cursor_of(found[-1])
        return Page(found[:limit], cursor_of(found[limit - 1]) if len(found) > limit else None)

    async def _find(self, connection: AsyncConnection, parameters: Mapping[str, Any], order: Order) -> Sequence[Row]:
        """At most ``limit`` rows in order.

        How rare words are PostgreSQL does not know, and reads all records in order where it takes rare ones for frequent. So it is looked
        how frequent they are nearby first; rare ones are found by their index, part by part.
        """
        asked = parameters["limit"]
        if parameters["text"] is not None:
            nearby = self._sql[f"find_text_logs_nearby_{order.value}"]
            found = await rows(connection, nearby, {**parameters, "nearby": _NEARBY})
            if len(found) == asked:
                return found
            if len(found) * _FARTHER < asked:
                return await self._find_rare(connection, parameters, order)
        kind = "logs" if parameters["applications"] is None else "service_logs"
        return await rows(connection, self._sql[f"find_{kind}_{order.value}"], parameters)

    async def _find_rare(self, connection: AsyncConnection, parameters: Mapping[str, Any], order: Order) -> Sequence[Row]:
        found: list[Row] = []
        parts = await rows(connection, self._sql["log_chunks"], parameters)
        for part in parts if order is Order.OLDEST_FIRST else reversed(parts):
            start, end = max(parameters["start"], part["range_start"]), min(parameters["end"], part["range_end"])
            asked = parameters["limit"] - len(found)
            within = {**parameters, "start": start, "end": end, "limit": asked}
            found += await rows(connection, self._sql[f"find_text_logs_{order.value}"], within)
            if len(found) == parameters["limit"]:
                break
        return found

    async def _one(self, connection: AsyncConnection, tenant_id: int, key: LogKey) -> StoredLog | None:
        parameters = {"tenant_id": tenant_id, "digest": key.digest, "ordinal": key.ordinal}
        found = await self._records(connection, await rows(connection, self._sql["log"], parameters))
        return found[0] if found else None

    async def _grouped(self, name: str, tenant_id: int, wanted: LogFilter, more: Mapping[str, object]) -> Sequence[Row]:
        if not may_match(wanted):
            return ()
        parameters = {**conditions(tenant_id, wanted), "once_from": self._once_from()}
        async with self._database.reading() as connection:
            applications = await self._applications(connection, parameters)
            return await rows(connection, self._sql[name], {**parameters, "applications": applications, **more})

    def _once_from(self) -> datetime:
        return LAST_TIMESTAMP if self._once_from_ns is None else timestamp(self._once_from_ns())

    async def _applications(self, connection: AsyncConnection, parameters: Mapping[str, object]) -> list[int] | None:
        """Ids of the applications of the service asked for; None for all."""
        if parameters["service"] is None:
            return None
        return [row["application_id"] for row in await rows(connection, self._sql["applications_named"], parameters)]

    async def _records(self, connection: AsyncConnection, found: Sequence[Row]) -> list[StoredLog]:
        by_resource, by_scope = await self._origins.of(found, connection)
        return [_log(row, by_resource[row["resource_id"]], by_scope[row["scope_id"]]) for row in found]


def _key(row: Row) -> tuple[object, ...]:
    return row["timestamp_us"], row["timestamp_ns"], row["request_digest"], row["ordinal"]


def _log(row: Row, resource: StoredResource, scope: StoredScope) -> StoredLog:
    timestamp_ns = row["timestamp_us"] * 1000 + row["timestamp_ns"]
    observed_us = row["observed_timestamp_us"]
    return StoredLog(
        log_id=f"{row['request_digest'].hex}-{row['ordinal']}",
        timestamp_unix_nano=timestamp_ns,
        time_unix_nano=timestamp_ns if row["time_source"] == _FROM_TIME else 0,
        observed_time_unix_nano=0 if observed_us is None else observed_us * 1000 + row["observed_timestamp_ns"],
        severity_number=row["severity_number"],
        severity_text=row["severity_text"],
        event_name=row["event_name"],
        body=row["body"],
        attributes=row["attributes"],
        dropped_attributes_count=row["dropped_attributes_count"],
        trace_id=trace_hex(row["trace_id"]),
        span_id=span_hex(row["span_id"]),
        flags=row["flags"],
        original=row["original"],
        resource=resource,
        scope=scope,
    )
