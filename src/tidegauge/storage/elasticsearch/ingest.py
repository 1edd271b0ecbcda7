"""Stores requests of logs in the data stream: bulk requests, several at a time, acknowledged by what they answer."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from tidegauge.errors import Overloaded, RequestError, Unavailable
from tidegauge.model.batch import LogBatch, Rejection
from tidegauge.storage.elasticsearch import RejectionSink, documents
from tidegauge.storage.elasticsearch.client import Client, is_the_servers, reason
from tidegauge.storage.elasticsearch.documents import Stream
from tidegauge.storage.elasticsearch.repeats import Repeats
from tidegauge.storage.interface import IngestOutcome, IngestRequest

_logger = logging.getLogger(__name__)
BULK_BYTES = 4 << 20
BULK_DOCUMENTS = 2_000
# Answers are read at this size; of what is taken nothing is said but where it went.
_ANSWER = "errors,items.*.status,items.*._index,items.*.error"
_CREATED, _CONFLICT = 201, 409
_REFUSED = (400, 413)
_BUSY = (429, 503)
_ATTEMPTS = 3
_PAUSE_SECONDS = 0.25
_BUSY_SECONDS = 2.0
REFUSED = "refused_by_log_store"


@dataclass(slots=True)
class _Stored:
    """What became of the records of a request; ``refused``: which rows, and why."""

    request: IngestRequest
    created: int = 0
    conflicts: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)


@dataclass(slots=True)
class _Lines:
    """Lines to send, and whose they are: (request, row) each."""

    owners: list[tuple[int, int]]
    lines: list[bytes]


class ElasticsearchIngestStore:
    """An :class:`tidegauge.storage.interface.IngestStore` for requests of logs.

    A record's ``_id`` is its request's digest and its place in it, and it is created, never overwritten: a resend conflicts, which is fine,
    and completes what an attempt before it had not stored. There is no ledger: what answered a request the first time is found out again.

    Args:
        client: the cluster.
        stream: where to.
        dedup_window: how long a resend is recognised after the stream went on to a new backing index.
        rejections: whom to tell of what was rejected.
        in_flight: bulk requests at a time.
        now_ns: the clock.

    """

    def __init__(
        self,
        client: Client,
        stream: Stream,
        dedup_window: timedelta,
        rejections: RejectionSink,
        *,
        in_flight: int,
        now_ns: Callable[[], int],
    ) -> None:
        self._client = client
        self._stream = stream
        self._repeats = Repeats(client, stream.name, dedup_window, now_ns)
        self._rejections = rejections
        self._slots = asyncio.Semaphore(in_flight)

    async def commit(self, requests: Sequence[IngestRequest]) -> Sequence[IngestOutcome]:
        """See :meth:`tidegauge.storage.interface.IngestStore.commit`: what one attempt has stored the next one finds.

        Raises:
            Overloaded: Elasticsearch has too much to do, also after a few more attempts.
            Unavailable: it is away.

        """
        # Equal requests of one group are one: both at a time would only conflict.
        places = {documents.log_id(request, 0): place for place, request in reversed(list(enumerate(requests)))}
        stored = {place: _Stored(requests[place]) for place in places.values()}
        everything = _Lines([], [])
        for place, each in stored.items():
            lines = documents.lines(each.request, self._stream)
            everything.owners += [(place, row) for row in range(len(lines))]
            everything.lines += lines
            # Others' turn: answers must not wait for a whole group's documents.
            await asyncio.sleep(0)
        refused = await self._send(everything, stored)
        if refused:
            again = _Lines(
                [owner for owner, _ in refused],
                [documents.careful_line(stored[place].request, row, self._stream) for (place, row), _ in refused],
            )
            for (place, row), said in await self._send(again, stored):
                stored[place].refused.append((row, said))
        outcomes = {place: self._outcome(each) for place, each in stored.items()}
        return [outcomes[places[documents.log_id(request, 0)]] for request in requests]

    async def _send(self, wanted: _Lines, stored: Mapping[int, _Stored]) -> list[tuple[tuple[int, int], str]]:
        """Send lines in bounded parts; returns those that were refused, and why."""
        parts = list(documents.chunks([len(line) for line in wanted.lines], BULK_BYTES, BULK_DOCUMENTS))
        sending = [self._bulk(wanted.owners[part], wanted.lines[part], stored) for part in parts]
        if len(sending) == 1:
            return await sending[0]
        refused: list[tuple[tuple[int, int], str]] = []
        tasks = [asyncio.ensure_future(each) for each in sending]
        try:
            for found in await asyncio.gather(*tasks):
                refused += found
        finally:
            for task in tasks:
                task.cancel()
        return refused

    async def _bulk(
        self, owners: Sequence[tuple[int, int]], lines: Sequence[bytes], stored: Mapping[int, _Stored]
    ) -> list[tuple[tuple[int, int], str]]:
        refused: list[tuple[tuple[int, int], str]] = []
        attempt = 0
        while busy := await self._sent(owners, lines, stored, refused):
            # While some are taken the others go on: who is told to come again sends all, and of some requests no resend is recognised.
            attempt = attempt + 1 if len(busy) == len(lines) else 1
            if attempt == _ATTEMPTS:
                raise Overloaded("Elasticsearch has too much to do", retry_after_seconds=_BUSY_SECONDS)
            owners, lines = [owners[place] for place in busy], [lines[place] for place in busy]
            await asyncio.sleep(_PAUSE_SECONDS * attempt)
        return refused

    async def _sent(
        self,
        owners: Sequence[tuple[int, int]],
        lines: Sequence[bytes],
        stored: Mapping[int, _Stored],
        refused: list[tuple[tuple[int, int], str]],
    ) -> Sequence[int]:
        """One request; returns which lines were not taken because Elasticsearch has too much to do, and adds to those that it refuses."""
        try:
            async with self._slots:
                answer = await self._client.bulk(self._stream.name, b"".join(lines), _ANSWER)
        except Overloaded:
            return range(len(lines))
        except RequestError as error:
            refused += await self._apart(owners, lines, stored, error)
            return ()
        items = [next(iter(item.values())) for item in answer.get("items", ())]
        if len(items) != len(lines):
            raise Unavailable("Elasticsearch gave an answer that is not of this request")
        await self._repeats.remove(self._taken(owners, items, stored))
        return self._counted(owners, items, stored, refused)

    async def _apart(
        self, owners: Sequence[tuple[int, int]], lines: Sequence[bytes], stored: Mapping[int, _Stored], error: RequestError
    ) -> list[tuple[tuple[int, int], str]]:
        """A bulk request that was refused as a whole, by halves: one that is larger than it takes must not cost the others."""
        if len(lines) == 1:
            return [(owners[0], error.message)]
        half = len(lines) // 2
        first = await self._bulk(owners[:half], lines[:half], stored)
        return first + await self._bulk(owners[half:], lines[half:], stored)

    def _taken(
        self, owners: Sequence[tuple[int, int]], items: Sequence[Mapping[str, Any]], stored: Mapping[int, _Stored]
    ) -> dict[str, dict[str, list[str]]]:
        """Index → digest → ids of what is in it, as far as that index is new."""
        indices = {item["_index"] for item in (items[0], items[-1]) if "_index" in item}
        if not any(self._repeats.is_suspect(index) for index in indices):
            return {}
        found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for (place, row), item in zip(owners, items, strict=True):
            if item["status"] in (_CREATED, _CONFLICT):
                request = stored[place].request
                found[item["_index"]][request.digest.hex].append(documents.log_id(request, _ordinal(request, row)))
        return found

    def _counted(
        self,
        owners: Sequence[tuple[int, int]],
        items: Sequence[Mapping[str, Any]],
        stored: Mapping[int, _Stored],
        refused: list[tuple[tuple[int, int], str]],
    ) -> list[int]:
        """Count what was taken; returns which were not because Elasticsearch has too much to do."""
        busy: list[int] = []
        for place, (owner, item) in enumerate(zip(owners, items, strict=True)):
            match item["status"]:
                case 201:
                    stored[owner[0]].created += 1
                case 409:
                    stored[owner[0]].conflicts += 1
                case status if status in _BUSY:
                    busy.append(place)
                case status if status in _REFUSED and not is_the_servers(item):
                    refused.append((owner, reason(item)))
                case _:
                    raise Unavailable(f"Elasticsearch cannot store: {reason(item)}")
        return busy

    def _outcome(self, stored: _Stored) -> IngestOutcome:
        request = stored.request
        batch = request.batch
        assert isinstance(batch, LogBatch)
        repeated = bool(stored.conflicts) and not stored.created
        rejections = [*batch.rejections, *_rejections(batch, stored.refused)]
        if rejections and not repeated:
            # Without its records, which nobody should hold for that long.
            self._rejections.note([replace(request, batch=LogBatch(rejections=rejections))])
        counted = [rejection for rejection in rejections if rejection.refuses_items]
        message = "; ".join(f"{each.items} × {each.reason}: {each.message}" if each.items else each.message for each in counted)
        return IngestOutcome(
            sum(each.items for each in counted),
            message[:4000],
            repeated=repeated,
            reasons=() if repeated else tuple([(each.reason, each.items) for each in rejections]),
            refused=tuple([(batch.ordinal[row], REFUSED, said) for row, said in stored.refused]),
        )


def _ordinal(request: IngestRequest, row: int) -> int:
    assert isinstance(request.batch, LogBatch)
    return request.batch.ordinal[row]


def _rejections(batch: LogBatch, refused: Iterable[tuple[int, str]]) -> list[Rejection]:
    """One of each message and service, with the first record as it can be shown."""
    services = Counter((said, batch.resources[batch.resource[row]].service_name) for row, said in refused)
    return [Rejection(REFUSED, said, items, service=service) for (said, service), items in services.items()]
