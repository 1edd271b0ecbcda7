"""Stores ingest requests in TimescaleDB: dictionaries first, then ledger and rows in one transaction."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from uuid import UUID

import psycopg
from psycopg import AsyncConnection

from tidegauge.config import CardinalitySettings
from tidegauge.errors import NotAsAGroup, StatementTimeout, Unavailable
from tidegauge.model.batch import LogBatch, MetricBatch, SpanBatch
from tidegauge.storage import sqlfiles
from tidegauge.storage.interface import IngestOutcome, IngestRequest
from tidegauge.storage.postgres import attribute_pairs, copy
from tidegauge.storage.postgres.attribute_catalogue import AttributeCatalogue
from tidegauge.storage.postgres.database import Database
from tidegauge.storage.postgres.intern import Dictionaries, Interned, StaleIds
from tidegauge.storage.postgres.isolation import REFUSED, Isolation
from tidegauge.storage.postgres.rejections import RejectionRecorder
from tidegauge.storage.postgres.segments import dense

_logger = logging.getLogger(__name__)
_Key = tuple[UUID, int, int, str]
_Rows = Mapping[str, bytes]
_Encoded = tuple[_Rows, Sequence[attribute_pairs.Piece]]
_ATTEMPTS = 3
_PAUSE_SECONDS = 0.02
_IN_THE_WAY = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure, psycopg.errors.LockNotAvailable)
# A row is at fault: class 22 data exception, 23 integrity constraint violation, 54 program limit exceeded (an index key too long).
_REFUSALS = ("22", "23", "54")
_TABLES = ("traces", "trace_index", "metrics", "metric_histograms", "metric_summaries", "metric_exemplars", "logs")
# To write once more costs as much as to copy so many bytes.
_SMALL_BYTES = 1 << 17
_EMPTY = copy.framed(())
_HEADER, _TRAILER = _EMPTY[:-2], _EMPTY[-2:]


class PostgresIngestStore:
    """An :class:`tidegauge.storage.interface.IngestStore`."""

    def __init__(
        self,
        database: Database,
        now_ns: Callable[[], int],
        dedup_window: timedelta,
        cardinality: CardinalitySettings | None = None,
        *,
        direct_compress: bool = False,
        attribute_index: bool = True,
    ) -> None:
        """Prepare; ``attribute_index`` is for measuring: what is stored without it is not found by searches for attributes."""
        self._database = database
        cardinality = cardinality or CardinalitySettings()
        self._dictionaries = Dictionaries(database, now_ns, cardinality)
        self._attributes = AttributeCatalogue(database, now_ns, cardinality.max_attribute_keys_per_application)
        self._encode = partial(_encoded, attributes=self._attributes if attribute_index else None)
        self._rejections = RejectionRecorder()
        self._isolation = Isolation(self._refusal)
        self._sql = sqlfiles.queries("ingest")
        self._window = dedup_window
        self._direct_compress = direct_compress

    async def commit(self, requests: Sequence[IngestRequest]) -> Sequence[IngestOutcome]:
        """See :meth:`tidegauge.storage.interface.IngestStore.commit`."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return await self._attempt(requests)
            except _IN_THE_WAY as error:
                # Another writer was in the way: the same again succeeds, and nobody needs to see it. Who waits for another's request
                # leaves the group at once, so that the others don't.
                if attempt == _ATTEMPTS or (len(requests) > 1 and isinstance(error, psycopg.errors.LockNotAvailable)):
                    raise NotAsAGroup("other writers are in the way", hint="too many writers on the same requests") from error
                await asyncio.sleep(random.uniform(0.5, 1.5) * _PAUSE_SECONDS * attempt)  # noqa: S311 - jitter
            except StaleIds as error:
                self._dictionaries.forget(error.epoch)
            except StatementTimeout as error:
                raise NotAsAGroup(error.message, hint="the group may be too large") from error
            except psycopg.Error as error:
                # Disk full, read-only after a fail-over, out of memory, …: none of it is the clients' doing, who must send again.
                _logger.error("the database cannot store: %s", error)
                raise Unavailable("the database cannot store at the moment") from error
        raise Unavailable("the dictionaries keep changing", hint="is the database being reset again and again?")

    async def _attempt(self, requests: Sequence[IngestRequest]) -> Sequence[IngestOutcome]:
        try:
            return await self._commit(requests)
        except psycopg.Error as error:
            if not _is_refusal(error):
                raise
            if len(requests) > 1:
                raise NotAsAGroup("the database refuses one of the requests") from error
        kept = await self._isolation.without_refused(requests[0])
        (outcome,) = await self._commit([kept])
        return [outcome if outcome.repeated else replace(outcome, refused=_refused(requests[0], kept))]

    async def _refusal(self, request: IngestRequest) -> str | None:
        """Why the database refuses the request's rows; None if it takes them. Nothing is stored but dictionary entries."""
        try:
            interned = await self._dictionaries.intern([request])
            async with self._database.writing() as connection:
                await self._copy(connection, [(await self._encode(*each))[0] for each in interned])
                await connection.rollback()
        except psycopg.Error as error:
            if not _is_refusal(error):
                raise
            return error.diag.message_primary or type(error).__name__
        return None

    async def _commit(self, requests: Sequence[IngestRequest]) -> Sequence[IngestOutcome]:
        first = {_key(request): request for request in reversed(requests)}
        interned = {_key(request): (request, ids) for request, ids in await self._dictionaries.intern(list(first.values()))}
        # Before the transaction begins: nobody should wait for its locks because of us.
        parts = {key: await self._encode(request, ids) for key, (request, ids) in interned.items()}
        await self._attributes.put()
        stored = {key: _outcome(request) for key, (request, _) in interned.items()}
        entries = _entries([(request, stored[key]) for key, (request, _) in interned.items()], self._window)
        pieces = [(place, piece) for place, (_, found) in enumerate(parts.values()) for piece in found]
        if pieces:
            entries |= attribute_pairs.columns(pieces, [request.tenant_id for request, _ in interned.values()])
        async with self._database.writing_after(self._sql["enter_spans" if pieces else "enter_requests"], entries) as (connection, found):
            epoch = found[0][0]
            if any(ids.epoch not in (None, epoch) for _, ids in interned.values()):
                raise StaleIds(epoch)
            known = {tuple(row[1:5]): IngestOutcome(row[5], row[6], repeated=True) for row in found if row[5] is not None}
            entered = {tuple(row[1:5]) for row in found if row[1] is not None and row[5] is None}
            if len(known) + len(entered) < len(first):
                # Another writer stored some of them at this moment; its answer is theirs.
                known.update(await self._known(connection, first.keys() - known.keys() - entered))
            if first.keys() - known.keys() - entered:
                raise NotAsAGroup("the ledger has lost an entry", hint="was a part of it dropped at this moment?")
            straight = dense(interned[key] for key in entered) if self._direct_compress else ()
            await self._copy(connection, [parts[key][0] for key in interned if key in entered], straight)
            await self._rejections.record(connection, [request for key, (request, _) in interned.items() if key in entered])
        return [known.get(_key(request)) or stored[_key(request)] for request in requests]

    async def _known(self, connection: AsyncConnection, keys: set[_Key]) -> dict[_Key, IngestOutcome]:
        cursor = await connection.execute(
            self._sql["known_requests"], {"digests": sorted({key[0] for key in keys}), "window": self._window}
        )
        found: dict[_Key, IngestOutcome] = {}
        for digest, tenant_id, signal, endpoint, rejected, message in await cursor.fetchall():
            key = (digest, tenant_id, signal, endpoint)
            if key in keys:
                found.setdefault(key, IngestOutcome(rejected, message, repeated=True))
        return found

    async def _copy(self, connection: AsyncConnection, requests: Sequence[_Rows], straight: Collection[str] = ()) -> None:
        """Write the rows, those of the tables ``straight`` into the columnstore."""
        async with connection.cursor() as cursor:
            for table in _TABLES:
                if buffers := [rows[table] for rows in requests if rows.get(table)]:
                    if straight:
                        await connection.execute(self._sql["direct_compress"], {"value": "on" if table in straight else "off"})
                    async with cursor.copy(self._sql[f"copy_{table}"]) as stream:
                        if sum(map(len, buffers)) <= _SMALL_BYTES:
                            await stream.write(copy.framed(buffers))
                            continue
                        await stream.write(_HEADER)
                        for buffer in buffers:
                            # The stream takes it apart: a view's parts are no copies.
                            await stream.write(memoryview(buffer))
                        await stream.write(_TRAILER)


def _is_refusal(error: psycopg.Error) -> bool:
    return (error.sqlstate or "").startswith(_REFUSALS)


def _key(request: IngestRequest) -> _Key:
    return request.digest, request.tenant_id, int(request.signal), request.endpoint


def _outcome(request: IngestRequest) -> IngestOutcome:
    rejections = [rejection for rejection in request.batch.rejections if rejection.refuses_items]
    # One of no items is a warning: everything was stored.
    reasons = "; ".join(f"{each.items} × {each.reason}: {each.message}" if each.items else each.message for each in rejections)
    counted = tuple((rejection.reason, rejection.items) for rejection in request.batch.rejections)
    return IngestOutcome(sum(rejection.items for rejection in rejections), reasons[:4000], reasons=counted)


def _refused(request: IngestRequest, kept: IngestRequest) -> tuple[tuple[int, str, str], ...]:
    """Of log records: which of them are not in what was kept. Why is said of all that were refused, not of each."""
    if not isinstance(request.batch, LogBatch) or not isinstance(kept.batch, LogBatch):
        return ()
    said = "; ".join(dict.fromkeys(each.message for each in kept.batch.rejections if each.reason == REFUSED))[:1000]
    return tuple([(ordinal, REFUSED, said) for ordinal in sorted(set(request.batch.ordinal) - set(kept.batch.ordinal))])


def _entries(requests: Sequence[tuple[IngestRequest, IngestOutcome]], window: timedelta) -> dict[str, object]:
    return {
        "digest": [request.digest for request, _ in requests],
        "tenant_id": [request.tenant_id for request, _ in requests],
        "signal": [int(request.signal) for request, _ in requests],
        "endpoint": [request.endpoint for request, _ in requests],
        "items": [len(request.batch) for request, _ in requests],
        "rejected": [answer.rejected for _, answer in requests],
        "message": [answer.message for _, answer in requests],
        "window": window,
    }


async def _encoded(request: IngestRequest, ids: Interned, attributes: AttributeCatalogue | None) -> _Encoded:
    """The request's rows by table, and its pieces of the attribute index.

    Then it is others' turn: answers and other commits must not wait for a whole group's.
    """
    rows = _encode(request, ids, attributes)
    await asyncio.sleep(0)
    return rows


def _encode(request: IngestRequest, ids: Interned, attributes: AttributeCatalogue | None) -> _Encoded:
    batch, tenant = request.batch, request.tenant_id
    buffers: dict[str, bytes] = {}
    pieces: Sequence[attribute_pairs.Piece] = ()
    match batch:
        case SpanBatch():
            buffers["traces"] = copy.spans(batch, tenant, ids.resources, ids.scopes, ids.rollup_names)
            buffers["trace_index"] = copy.trace_index(batch, tenant, ids.resources)
            if attributes is not None:
                applications = [application for _, application in ids.resources]
                pieces = attribute_pairs.pieces(batch, applications, attributes.known)
                attributes.note(tenant, batch, applications, pieces)
        case MetricBatch():
            buffers["metrics"] = copy.numbers(batch.numbers, ids.series)
            buffers["metric_histograms"] = copy.histograms(batch.histograms, ids.series)
            buffers["metric_summaries"] = copy.summaries(batch.summaries, ids.series)
            buffers["metric_exemplars"] = copy.exemplars(batch.exemplars, ids.series)
        case LogBatch():
            buffers["logs"] = copy.logs(batch, tenant, ids.resources, ids.scopes, request.digest, request.received_at_unix_nano)
    return buffers, pieces
