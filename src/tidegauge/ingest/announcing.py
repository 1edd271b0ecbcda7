"""Tells those who follow logs live of what was stored, at the moment of its acknowledgement.

A message (topic :data:`~tidegauge.model.query.STORED_LOGS`, JSON) holds some records of one request as columns had them, so that a reader
makes of it the same record that the store gives back:

``sender``
    a random name of the process,
``before``
    how many records it had told of, or had meant to, before these: who gets it knows how many did not arrive,
``digest``, ``received``
    the request's digest in hex, and when it arrived in nanoseconds,
``resources``, ``scopes``
    those that records refer to by index,
``records``
    in the request's order, each as a list (:func:`_record`). ``original`` is base64.
"""

from __future__ import annotations

import secrets
import time
from base64 import b64encode
from collections.abc import Callable, Collection, Iterator, Sequence

import orjson

from tidegauge.model.batch import LogBatch, ResourceEntry, ScopeEntry
from tidegauge.model.query import STORED_LOGS
from tidegauge.storage.cache_interface import Channel
from tidegauge.storage.interface import IngestOutcome, IngestRequest, IngestStore

_MESSAGE_RECORDS = 200
_MESSAGE_BYTES = 128 << 10
# Of a process: more than anybody reads, and little of its time. Followers are told how many there were.
_RECORDS_A_SECOND = 20_000


class AnnouncedStore:
    """An :class:`~tidegauge.storage.interface.IngestStore` that tells of the logs which another has stored.

    While nobody listens it costs a question a request; nothing is encoded. A request that was stored earlier is not told of again, nor
    are records that the store refused.
    """

    def __init__(self, store: IngestStore, channel: Channel, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._channel = channel
        self._clock = clock
        self._sender = secrets.token_hex(8)
        self._before = 0
        self._room = float(_RECORDS_A_SECOND)
        self._filled_at = clock()

    async def commit(self, requests: Sequence[IngestRequest]) -> Sequence[IngestOutcome]:
        """See ``IngestStore``."""
        outcomes = await self._store.commit(requests)
        for request, outcome in zip(requests, outcomes, strict=True):
            if isinstance(request.batch, LogBatch) and not outcome.repeated and self._channel.has_listeners(request.tenant_id, STORED_LOGS):
                self._announce(request, request.batch, {ordinal for ordinal, _, _ in outcome.refused})
        return outcomes

    def _announce(self, request: IngestRequest, batch: LogBatch, refused: Collection[int]) -> None:
        for part in _parts(batch):
            rows = [row for row in part if batch.ordinal[row] not in refused] if refused else part
            before, self._before = self._before, self._before + len(rows)
            if rows and self._may_send(len(rows)):
                message = {"sender": self._sender, "before": before} | _content(request, batch, rows)
                self._channel.publish(request.tenant_id, STORED_LOGS, orjson.dumps(message))

    def _may_send(self, records: int) -> bool:
        now = self._clock()
        self._room = min(self._room + (now - self._filled_at) * _RECORDS_A_SECOND, _RECORDS_A_SECOND)
        self._filled_at = now
        if self._room < records:
            return False
        self._room -= records
        return True


def _parts(batch: LogBatch) -> Iterator[range]:
    """Rows of a message each."""
    start = size = 0
    for row in range(len(batch)):
        size += len(batch.body[row] or "") + len(batch.attributes[row]) + len(batch.original[row] or b"")
        if row - start + 1 == _MESSAGE_RECORDS or size > _MESSAGE_BYTES:
            yield range(start, row + 1)
            start, size = row + 1, 0
    if start < len(batch):
        yield range(start, len(batch))


def _content(request: IngestRequest, batch: LogBatch, rows: Sequence[int]) -> dict[str, object]:
    resources = {index: place for place, index in enumerate(dict.fromkeys(batch.resource[row] for row in rows))}
    scopes = {index: place for place, index in enumerate(dict.fromkeys(batch.scope[row] for row in rows))}
    return {
        "digest": request.digest.hex,
        "received": request.received_at_unix_nano,
        "resources": [_resource(batch.resources[index]) for index in resources],
        "scopes": [_scope(batch.scopes[index]) for index in scopes],
        "records": [_record(batch, row, resources[batch.resource[row]], scopes[batch.scope[row]]) for row in rows],
    }


def _record(batch: LogBatch, row: int, resource: int, scope: int) -> tuple[object, ...]:
    trace_id, span_id = batch.trace_id[row], batch.span_id[row]
    return (
        resource,
        scope,
        batch.ordinal[row],
        batch.time_unix_nano[row],
        batch.observed_time_unix_nano[row],
        batch.severity_number[row],
        batch.severity_text[row],
        batch.event_name[row],
        batch.body[row],
        orjson.Fragment(batch.attributes[row]),
        batch.dropped_attributes_count[row],
        trace_id.hex() if trace_id else "",
        span_id.hex() if span_id else "",
        batch.flags[row],
        _base64(batch.original[row]),
    )


def _resource(entry: ResourceEntry) -> tuple[object, ...]:
    return (
        entry.service_namespace,
        entry.service_name,
        entry.environment,
        entry.schema_url,
        orjson.Fragment(entry.attributes),
        entry.dropped_attributes_count,
        _base64(entry.original),
    )


def _scope(entry: ScopeEntry) -> tuple[object, ...]:
    return (
        entry.name,
        entry.version,
        entry.schema_url,
        orjson.Fragment(entry.attributes),
        entry.dropped_attributes_count,
        _base64(entry.original),
    )


def _base64(value: bytes | None) -> str | None:
    return None if value is None else b64encode(value).decode()
