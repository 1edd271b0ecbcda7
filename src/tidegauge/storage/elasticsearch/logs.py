"""Log records on Elasticsearch: every operation of ``LogStore``."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from tidegauge.errors import InvalidArgument
from tidegauge.health.circuits import Guard, unguarded
from tidegauge.model.query import Cursor, LogField, LogFilter, Order, check_step, searched_part
from tidegauge.model.records import LogContext, LogCount, StoredLog, TopValue
from tidegauge.storage.elasticsearch.client import Client, failures
from tidegauge.storage.elasticsearch.conditions import ATTRIBUTES, query
from tidegauge.storage.elasticsearch.reading import Reader
from tidegauge.storage.interface import Page

# Of a cursor: the request's digest and the record's place in it, as the other store has them.
_TIE = struct.Struct(">16si")
_LOG_ID = re.compile(r"([0-9a-f]{32})-(0|[1-9][0-9]{0,9})")
_FIELDS = {
    LogField.SERVICE: "service.name",
    LogField.SEVERITY: "severity_number",
    LogField.EVENT_NAME: "event_name",
    LogField.SCOPE: "scope.name",
    LogField.TRACE_ID: "trace_id",
}
_PAGE = 1_000
_BUCKETS = 10_000
# Values that a shard tells of at first, and at the most where the first answer was not exact.
_SHARD_VALUES = (1_000, 10_000, 60_000)
# More than anybody sends.
_SEVERITIES = 1_000
_MILLISECOND_NS = 1_000_000
_DELETE_SECONDS = 3600
# Lucene's regular expressions: every character that may mean something.
_SPECIAL = re.compile(r'[.?+*|{}\[\]()"\\#@&<>~^$-]')


class ElasticsearchLogStore:
    """A :class:`tidegauge.storage.interface.LogStore` on a data stream. ``guard`` stands around each operation."""

    def __init__(self, client: Client, stream: str, guard: Guard = unguarded) -> None:
        self._client = client
        self._stream = stream
        self._guard = guard

    async def find_logs(
        self, tenant_id: int, wanted: LogFilter, limit: int, after: Cursor | None, order: Order = Order.NEWEST_FIRST
    ) -> Page[StoredLog]:
        """See ``LogStore``."""
        with self._guard("find_logs"):
            found = await self._find(query(tenant_id, wanted), limit + 1, _search_after(after), order)
        if len(found) <= limit:
            return Page(found, None)
        return Page(found[:limit], _cursor(found[limit - 1]))

    async def log(self, tenant_id: int, log_id: str) -> StoredLog | None:
        """See ``LogStore``."""
        with self._guard("log"):
            return await self._one(tenant_id, log_id)

    async def _one(self, tenant_id: int, log_id: str) -> StoredLog | None:
        digest, ordinal = _parsed(log_id)
        conditions = [{"term": {"tidegauge.request_digest": digest}}, {"term": {"tidegauge.ordinal": ordinal}}]
        found = await self._find({"bool": {"filter": [query(tenant_id, None), *conditions]}}, 1, None, Order.NEWEST_FIRST)
        return found[0] if found else None

    async def count_logs(self, tenant_id: int, wanted: LogFilter, step_ns: int) -> Sequence[LogCount]:
        """See ``LogStore``."""
        check_step(step_ns)
        sources = [
            {"time": {"date_histogram": {"field": "@timestamp", "fixed_interval": f"{step_ns // _MILLISECOND_NS}ms"}}},
            {"severity": {"terms": {"field": "severity_number"}}},
        ]
        with self._guard("count_logs"):
            return await self._counted(query(tenant_id, wanted), sources)

    async def _counted(self, wanted: dict[str, Any], sources: list[dict[str, Any]]) -> list[LogCount]:
        counts: list[LogCount] = []
        after: Mapping[str, Any] = {}
        while True:
            composite = {"sources": sources, "size": _BUCKETS, **({"after": after} if after else {})}
            answer = await self._client.search(
                self._stream, query=wanted, size=0, track_total_hits=False, aggs={"steps": {"composite": composite}}
            )
            told = answer.get("aggregations", {}).get("steps", {})
            buckets = told.get("buckets", ())
            counts += [LogCount(each["key"]["time"] * _MILLISECOND_NS, each["key"]["severity"], each["doc_count"]) for each in buckets]
            if len(buckets) < _BUCKETS:
                return counts
            after = told["after_key"]

    async def top_values(self, tenant_id: int, wanted: LogFilter, field: LogField | str, limit: int) -> Sequence[TopValue]:
        """See ``LogStore``. Exact unless a field has more than 60,000 values in an index, all about as frequent."""
        # Numbers are ordered as numbers there, and among values of equal counts the answer's order is that of texts.
        size = max(limit, _SEVERITIES) if field is LogField.SEVERITY else limit
        terms: dict[str, Any] = {"size": size, "order": [{"_count": "desc"}, {"_key": "asc"}]}
        prefix = ""
        if isinstance(field, LogField):
            terms["field"] = _FIELDS[field]
        else:
            prefix = f"{searched_part(field)}\0t"
            terms |= {"field": ATTRIBUTES, "include": _SPECIAL.sub(r"\\\g<0>", prefix) + "(.|\n)*"}
        with self._guard("top_values"):
            buckets = await self._buckets(query(tenant_id, wanted), terms)
        found = [TopValue(str(each["key"])[len(prefix) :], each["doc_count"]) for each in buckets]
        return sorted(found, key=lambda value: (-value.count, value.value))[:limit]

    async def context(self, tenant_id: int, log_id: str, before: int, after: int, wanted: LogFilter | None = None) -> LogContext | None:
        """See ``LogStore``."""
        with self._guard("context"):
            record = await self._one(tenant_id, log_id)
            if record is None:
                return None
            neighbours, place = query(tenant_id, wanted), _search_after(_cursor(record))
            older = await self._find(neighbours, before, place, Order.NEWEST_FIRST) if before else []
            newer = await self._find(neighbours, after, place, Order.OLDEST_FIRST) if after else []
        return LogContext(tuple(reversed(older)), record, tuple(newer))

    async def delete_logs(self, tenant_id: int, wanted: LogFilter) -> int:
        """See ``LogStore``. What was acknowledged before is found: the indices are refreshed first."""
        with self._guard("delete_logs"), failures("delete"):
            patient = self._client.api.options(request_timeout=_DELETE_SECONDS)
            await patient.indices.refresh(index=self._stream, ignore_unavailable=True)
            answer = await patient.delete_by_query(
                index=self._stream, query=query(tenant_id, wanted), conflicts="proceed", refresh=True, ignore_unavailable=True
            )
        return int(answer.body["deleted"])

    async def _buckets(self, wanted: dict[str, Any], terms: dict[str, Any]) -> Sequence[Mapping[str, Any]]:
        """Of the most frequent terms; asked again for more of each shard where the first answer may be wrong."""
        told: Mapping[str, Any] = {}
        for values in _SHARD_VALUES:
            aggregation = {"terms": {**terms, "shard_size": max(values, terms["size"])}}
            answer = await self._client.search(self._stream, query=wanted, size=0, track_total_hits=False, aggs={"top": aggregation})
            told = answer.get("aggregations", {}).get("top", {})
            if not told.get("doc_count_error_upper_bound"):
                break
        buckets: Sequence[Mapping[str, Any]] = told.get("buckets", ())
        return buckets

    async def _find(self, wanted: dict[str, Any], most: int, after: list[Any] | None, order: Order) -> list[StoredLog]:
        """Records in order, each once: copies of one stand side by side."""
        found: list[StoredLog] = []
        reader = Reader()
        way = order.value
        seen = ""
        while len(found) < most:
            size = min(most - len(found), _PAGE)
            answer = await self._client.search(
                self._stream,
                query=wanted,
                size=size,
                sort=[{"@timestamp": way}, {"tidegauge.request_digest": way}, {"tidegauge.ordinal": way}],
                track_total_hits=False,
                **({} if after is None else {"search_after": after}),
            )
            hits = answer["hits"]["hits"]
            for hit in hits:
                if hit["_id"] != seen:
                    seen = hit["_id"]
                    found.append(reader.log(hit["_source"]))
            if len(hits) < size:
                break
            after = hits[-1]["sort"]
        return found


def _parsed(log_id: str) -> tuple[str, int]:
    found = _LOG_ID.fullmatch(log_id)
    if found is None or int(found[2]) >= 1 << 31:
        raise InvalidArgument(
            f"log_id={log_id[:100]!r} is not the id of a record", hint="32 hexadecimal digits, a dash and a number", parameter="log_id"
        )
    return found[1], int(found[2])


def _cursor(record: StoredLog) -> Cursor:
    digest, ordinal = _parsed(record.log_id)
    return Cursor(record.timestamp_unix_nano, _TIE.pack(bytes.fromhex(digest), ordinal))


def _search_after(cursor: Cursor | None) -> list[Any] | None:
    if cursor is None:
        return None
    if len(cursor.tie) != _TIE.size:
        raise InvalidArgument("cursor is not one of this search", parameter="cursor")
    digest, ordinal = _TIE.unpack(cursor.tie)
    return [cursor.time_ns, digest.hex(), ordinal]
