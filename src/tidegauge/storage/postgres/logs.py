"""Log records on TimescaleDB."""

from __future__ import annotations

import struct
from uuid import UUID

from tidegauge.errors import InvalidArgument
from tidegauge.model.query import Cursor, LogFilter
from tidegauge.model.records import StoredLog, StoredResource, StoredScope
from tidegauge.storage import sqlfiles
from tidegauge.storage.interface import Page
from tidegauge.storage.postgres.database import Database
from tidegauge.storage.postgres.reading import (
    Row,
    attribute_conditions,
    resources,
    rows,
    scopes,
    span_hex,
    span_number,
    timestamp,
    trace_hex,
)

_TIE = struct.Struct(">16si")
# tidegauge.logs.time_source: where the column timestamp comes from.
_FROM_TIME = 0


class PostgresLogStore:
    """``LogStore`` on ``tidegauge.logs``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sqlfiles.queries("logs")
        self._dictionaries = sqlfiles.queries("applications")

    async def find_logs(self, tenant_id: int, wanted: LogFilter, limit: int, after: Cursor | None) -> Page[StoredLog]:
        """See ``LogStore``. A cursor's tie is the request's digest and the record's place in it."""
        statement = self._sql["find_logs" if wanted.service is None else "find_service_logs"]
        parameters = _parameters(tenant_id, wanted, limit, after)
        async with self._database.reading() as connection:
            found = await rows(connection, statement, parameters)
            by_resource = await resources(connection, self._dictionaries["resources"], {row["resource_id"] for row in found})
            by_scope = await scopes(connection, self._dictionaries["scopes"], {row["scope_id"] for row in found})
        page = [_log(row, by_resource[row["resource_id"]], by_scope[row["scope_id"]]) for row in found[:limit]]
        if len(found) <= limit:
            return Page(page, None)
        last = found[limit - 1]
        return Page(page, Cursor(page[-1].timestamp_unix_nano, _TIE.pack(last["request_digest"].bytes, last["ordinal"])))


def _parameters(tenant_id: int, wanted: LogFilter, limit: int, after: Cursor | None) -> dict[str, object]:
    before: dict[str, object] = {"before": None, "before_ns": None, "before_digest": None, "before_ordinal": None}
    end_ns = wanted.time.end_ns
    if after is not None:
        if len(after.tie) != _TIE.size:
            raise InvalidArgument("cursor is not one of this search", parameter="cursor")
        digest, ordinal = _TIE.unpack(after.tie)
        before = {
            "before": timestamp(after.time_ns),
            "before_ns": after.time_ns % 1000,
            "before_digest": UUID(bytes=digest),
            "before_ordinal": ordinal,
        }
        end_ns = min(end_ns, after.time_ns + 1000)
    return {
        "tenant_id": tenant_id,
        "start": timestamp(wanted.time.start_ns),
        "end": timestamp(end_ns, up=True),
        "text": wanted.text,
        "min_severity": wanted.min_severity,
        "max_severity": wanted.max_severity,
        "service": wanted.service,
        "trace_id": None if wanted.trace_id is None else UUID(wanted.trace_id),
        "span_id": None if wanted.span_id is None else span_number(wanted.span_id),
        "limit": limit + 1,
        **before,
        **attribute_conditions(wanted.attributes),
    }


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
