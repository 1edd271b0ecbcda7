"""The attribute index on TimescaleDB: where spans with certain attributes may be, and the making of its blocks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from psycopg import AsyncConnection
from psycopg.rows import class_row

from tidegauge.model.batch import SpanBatch
from tidegauge.model.query import TimeRange
from tidegauge.model.search import AttributeCondition, Comparison, Where
from tidegauge.storage import sqlfiles
from tidegauge.storage.postgres import attribute_pairs
from tidegauge.storage.postgres.attribute_bases import FEW_HASHES, Filters, Kindred, NewBase, filters_of
from tidegauge.storage.postgres.attribute_blocks import BLOCK_SPANS, StoredPiece, compacted
from tidegauge.storage.postgres.attribute_hashes import SEEDS, finalised, key_hash, pair_hash, parts
from tidegauge.storage.postgres.database import Database
from tidegauge.storage.postgres.reading import Row, rows, timestamp

Slice = tuple[int, TimeRange]
"""An application and a stretch of time"""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# So many small pieces of an application and day are made one, which is small up to so many spans; it waits for its block.
_MOST_PIECES, _SMALL_SPANS = 64, 2048
_GRACE = timedelta(seconds=60)
# Of a turn: at the most a few MB are read, and merged in some 10 ms.
_SPANS, _PIECES = 2 * BLOCK_SPANS, 2000
_FETCH, _SAMPLE = 5000, 2000
# Pieces come and go: what a rush has left behind is given back, where it is worth it.
_LARGE_BYTES, _GROWTH = 32 << 20, 1.5
_MOST_CONDITIONS, _MOST_ALTERNATIVES = 8, 16
_TELLING = frozenset(Comparison) - {Comparison.ABSENT}


class PostgresAttributeIndex:
    """An :class:`tidegauge.storage.attribute_interface.AttributeIndex`, and a ``CompactingStore``."""

    def __init__(self, database: Database, *, grace: timedelta = _GRACE, block_spans: int = BLOCK_SPANS) -> None:
        """Prepare; pieces of a day that is over are left alone for ``grace``, in which more of them may come."""
        self._database = database
        self._block_spans = block_spans
        self._grace = grace
        self._sql = sqlfiles.queries("attributes")
        self._tidied_bytes = 0

    async def attribute_candidates(
        self, tenant_id: int, time: TimeRange, application_ids: Sequence[int] | None, conditions: Sequence[AttributeCondition]
    ) -> Sequence[Slice] | None:
        """See ``AttributeIndex``."""
        wanted = alternatives(conditions)
        if not wanted:
            return None
        async with self._database.reading() as connection:
            return await candidates(connection, self._sql, tenant_id, time, application_ids, wanted)

    async def compact(self) -> int:
        """See ``CompactingStore``."""
        limits = {
            "block_spans": self._block_spans, "most_pieces": _MOST_PIECES, "small_spans": _SMALL_SPANS, "grace": self._grace,
            "spans": _SPANS, "pieces": _PIECES,
        }  # fmt: skip
        async with self._database.writing() as connection:
            async with connection.cursor(row_factory=class_row(StoredPiece), binary=True) as cursor:
                await cursor.execute(self._sql["take_pieces"], limits)
                taken = await cursor.fetchall()
            blocks, rest = compacted(taken, self._block_spans)
            if rest:
                await connection.execute(self._sql["put_pieces"], _columns(rest))
            used: dict[int, datetime] = {}
            for block in blocks:
                base = (await self._put_block(connection, block)).base
                if isinstance(base, int):
                    used[base] = max(block.start_time, used.get(base, block.start_time))
            if used:
                await connection.execute(self._sql["use_bases"], {"base_id": list(used), "used_until": list(used.values())})
        return len(taken)

    async def _put_block(self, connection: AsyncConnection, block: StoredPiece) -> Filters:
        found = Filters(None, 0, None)
        if block.hashes is not None:
            kindred: list[Kindred] = []
            if len(block.hashes) >= 4 * FEW_HASHES:
                async with connection.cursor(row_factory=class_row(Kindred), binary=True) as cursor:
                    await cursor.execute(self._sql["kindred_filters"], _row(block))
                    kindred = await cursor.fetchall()
            found = filters_of(block.hashes, block.span_count, kindred)
        base_id = found.base
        if isinstance(base_id, NewBase):
            (row,) = await rows(connection, self._sql["put_base"], _row(block) | _row(base_id))
            base_id = int(row["base_id"])
        own = {"base_id": base_id, "seed": found.seed, "filter": found.filter}
        await connection.execute(self._sql["put_block"], _row(block) | own)
        return found

    async def backfill(self) -> int:
        """See ``CompactingStore``."""
        async with self._database.writing() as connection:
            (state,) = await rows(connection, self._sql["backfill_window"], {})
            if state["complete_from"] is None:
                return 0
            pieces = await self._pieces_of(connection, state) if state["start_time"] is not None else []
            if pieces:
                await connection.execute(self._sql["put_pieces"], _columns(pieces))
            await connection.execute(self._sql["set_complete_from"], {"complete_from": state["start_time"]})
        return sum(piece.span_count for piece in pieces) or 1

    async def sample(self) -> int:
        """See ``CompactingStore``."""
        async with self._database.writing() as connection:
            found = await rows(connection, self._sql["sample_values"], {"sample": _SAMPLE})
            if not found:
                await connection.execute(self._sql["forget_attribute_keys"])
        return len(found)

    async def tidy(self) -> int:
        """See ``CompactingStore``."""
        async with self._database.autocommit() as connection:
            if deleted := await rows(connection, self._sql["delete_bases"], {}):
                await connection.execute(self._sql["vacuum_bases"])
                return sum(row["bytes"] for row in deleted)
            before = await self._pieces_bytes(connection)
            if before <= max(_LARGE_BYTES, self._tidied_bytes * _GROWTH):
                return 0
            await connection.execute(self._sql["vacuum_pieces"])
            self._tidied_bytes = await self._pieces_bytes(connection)
        return max(before - self._tidied_bytes, 1)

    async def _pieces_bytes(self, connection: AsyncConnection) -> int:
        (row,) = await rows(connection, self._sql["pieces_bytes"], {})
        return int(row["bytes"])

    async def _pieces_of(self, connection: AsyncConnection, window: Row) -> list[StoredPiece]:
        pieces: list[StoredPiece] = []
        async with connection.cursor(name="attribute_backfill") as cursor:
            await cursor.execute(self._sql["backfill_spans"], {"start": window["start_time"], "end": window["complete_from"]})
            while found := await cursor.fetchmany(_FETCH):
                pieces += _pieces_of(found)
        return pieces


def _pieces_of(found: Sequence[tuple[Any, ...]]) -> list[StoredPiece]:
    """Of spans as they are stored: (tenant_id, application_id, start in µs, attributes, events)."""
    by_tenant: dict[int, SpanBatch] = {}
    for tenant_id, application_id, start_us, attributes, events in found:
        batch = by_tenant.setdefault(tenant_id, SpanBatch())
        batch.resource.append(application_id)
        batch.start_time_unix_nano.append(start_us * 1000)
        batch.attributes.append(orjson.dumps(orjson.loads(attributes)))
        batch.events.append(None if events is None else orjson.dumps(orjson.loads(events)))
    now = datetime.now(UTC)
    return [
        StoredPiece(
            tenant_id, piece.application_id, _day(piece.start_ns), timestamp(piece.start_ns), timestamp(piece.end_ns), now,
            piece.span_count, piece.hashes, is_closed=False,
        )
        for tenant_id, batch in by_tenant.items()
        for piece in attribute_pairs.pieces(batch, range(max(batch.resource) + 1))
    ]  # fmt: skip


def _day(unix_nano: int) -> datetime:
    return timestamp(unix_nano).replace(hour=0, minute=0, second=0, microsecond=0)


def alternatives(conditions: Iterable[AttributeCondition]) -> list[list[int]]:
    """Of each condition that the index can help with, the hashes of which one has to be there."""
    found: list[list[int]] = []
    for condition in conditions:
        if condition.where not in (Where.SPAN, Where.EVENT) or condition.comparison not in _TELLING:
            continue
        of_event = condition.where is Where.EVENT
        if condition.comparison is Comparison.EQUAL and 0 < len(condition.values) <= _MOST_ALTERNATIVES:
            found.append(list(dict.fromkeys([pair_hash(condition.name, value, of_event=of_event) for value in condition.values])))
        else:
            found.append([key_hash(condition.name, of_event=of_event)])
    # Pairs tell more than keys.
    return found[:_MOST_CONDITIONS]


async def candidates(
    connection: AsyncConnection,
    sql: Any,
    tenant_id: int,
    time: TimeRange,
    application_ids: Sequence[int] | None,
    wanted: Sequence[Sequence[int]],
) -> Sequence[Slice] | None:
    """Slices in which there may be spans with one of each of the ``wanted`` hashes; None where nothing is known of the whole range."""
    start, end = timestamp(time.start_ns), timestamp(time.end_ns, up=True)
    (state,) = await rows(connection, sql["indexed_from"], {})
    indexed_from: datetime | None = state["indexed_from"]
    if indexed_from is not None and indexed_from >= end:
        return None
    found = await rows(
        connection,
        sql["attribute_candidates"],
        _parameters(wanted) | {"tenant_id": tenant_id, "application_ids": _ids(application_ids), "start": start, "end": end},
    )
    slices = [(row["application_id"], row["start_us"] * 1000, (row["end_us"] + 1) * 1000) for row in found]
    if indexed_from is not None and indexed_from > start:
        # Nothing is known of what was stored earlier than the index, or of what its retention has left over.
        until = min((indexed_from - _EPOCH) // timedelta(microseconds=1) * 1000, time.end_ns)
        ids = application_ids
        if ids is None:
            ids = [row["application_id"] for row in await rows(connection, sql["application_ids"], {"tenant_id": tenant_id})]
        slices += [(application, time.start_ns, until) for application in ids]
    return _disjoint(slices, time)


def _ids(application_ids: Sequence[int] | None) -> list[int] | None:
    return None if application_ids is None else list(application_ids)


def _parameters(wanted: Sequence[Sequence[int]]) -> dict[str, object]:
    hashes = [(number, hashed) for number, alternative in enumerate(wanted, 1) for hashed in alternative]
    chosen = [parts(finalised(hashed, seed)) for _, hashed in hashes for seed in range(SEEDS)]
    return {
        "conditions": [number for number, _ in hashes],
        "hashes": [hashed.to_bytes(4, "big") for _, hashed in hashes],
        "slots": [slot for one in chosen for slot in one[:3]],
        "results": [one[3] for one in chosen],
    }


def _disjoint(slices: Iterable[tuple[int, int, int]], time: TimeRange) -> list[Slice]:
    """Within the range, those of one application that overlap or touch as one; the newest first."""
    found: list[list[int]] = []
    for application, first, last in sorted(slices):
        start, end = max(first, time.start_ns), min(last, time.end_ns)
        if found and found[-1][0] == application and found[-1][2] >= start:
            found[-1][2] = max(found[-1][2], end)
        elif start < end:
            found.append([application, start, end])
    found.sort(key=lambda each: -each[2])
    return [(application, TimeRange(start, end)) for application, start, end in found]


def _columns(found: Sequence[StoredPiece]) -> dict[str, list[Any]]:
    return {name: [getattr(one, name) for one in found] for name in StoredPiece.__slots__}


def _row(one: StoredPiece | NewBase) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__slots__}
