"""Second hop of the ingest path: a request's bytes become a checked batch, and the writer stores it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from hashlib import blake2b
from operator import or_
from uuid import UUID, uuid4

from tidegauge.errors import InvalidArgument, PayloadTooLarge, RetryableError, TidegaugeError
from tidegauge.ingest.admission import Share
from tidegauge.ingest.limits import TimeLimits, enforce
from tidegauge.ingest.numbers import IngestNumbers, Uncounted
from tidegauge.ingest.refusals import RefusalLog
from tidegauge.ingest.throttle import IngestThrottle
from tidegauge.ingest.writer import Writer
from tidegauge.model.batch import Batch, LogBatch, Signal
from tidegauge.otlp.budget import Budget
from tidegauge.otlp.decode import Decoder
from tidegauge.otlp.encoding import Encoding
from tidegauge.storage.interface import IngestOutcome, IngestRequest

# Decoding this much takes tens of milliseconds: long enough to be worth a thread, so that health checks answer meanwhile.
_THREAD_BYTES = 1 << 18
# A decode holds several times its body: only so many run at once, and of those over this size one. Python computes one at a time anyway.
_DECODES = 2
_LARGE_BYTES = 4 << 20
# What waits for a commit counts by its body, which is a fair measure while rows take no more than this many times as much.
_ROWS_FACTOR = 4

Read = Callable[[Decoder, bytes, Budget], Batch]
"""May raise InvalidArgument and PayloadTooLarge."""


@dataclass(frozen=True, slots=True)
class Received:
    """A request as a receiver hands it over: decompressed body, and what it knows of it.

    Attributes:
        read: makes the batch of a body that is no OTLP.
        digest: what a resend is known by, or what says that when the batch is known; None for the body's own, where that tells (a random
            one is no resend of anything).

    """

    tenant_id: int
    signal: Signal
    endpoint: str
    encoding: Encoding
    body: bytes
    read: Read | None = None
    digest: UUID | Callable[[Batch], UUID] | None = None


class Ingestor:
    """Decodes, validates and counts; storing is the writer's."""

    def __init__(
        self,
        decoder: Decoder,
        writer: Writer,
        limits: Mapping[Signal, TimeLimits],
        now_ns: Callable[[], int],
        numbers: IngestNumbers | None = None,
        *,
        log_writer: Writer | None = None,
        throttle: IngestThrottle | None = None,
    ) -> None:
        """``log_writer`` is for logs that go to a store of their own, ``throttle`` counts what clients send."""
        self._throttle = throttle
        self._decoder = decoder
        self._writer = writer
        self._log_writer = log_writer or writer
        self._limits = limits
        self._now_ns = now_ns
        self._decodes = asyncio.Semaphore(_DECODES)
        self._large = asyncio.Lock()
        self._turn = asyncio.Lock()
        self._refusals = RefusalLog(now_ns)
        self._numbers = numbers or Uncounted()

    async def ingest(self, received: Received, share: Share | None = None) -> IngestOutcome:
        """Store a request; returns after it is durable. ``share`` is what its body holds already, where it was admitted as it came.

        Raises:
            InvalidArgument: the body cannot be read.
            PayloadTooLarge: it takes far more memory than its bytes.
            Overloaded: too much is waiting for a commit.
            RateLimited: the client sends more than it may.
            Unavailable: the store is away.

        """
        with nullcontext(share) if share is not None else self.admission(len(received.body), received.signal) as held:
            size = len(received.body)
            budget = Budget(size)
            held.hold(size)
            if self._throttle is not None:
                await self._throttle.take_bytes(received.tenant_id, size)
            held.arrived()
            try:
                request = await self._decoded(received, budget)
            except (InvalidArgument, PayloadTooLarge) as error:
                self._refusals.note(received.signal, received.endpoint, size, error)
                self._numbers.refused(received.signal, error)
                raise
            if not len(request.batch) and not request.batch.rejections:
                # Empty requests succeed, and nothing is worth an entry in the ledger.
                return IngestOutcome(0, "")
            if self._throttle is not None:
                await self._throttle.take_items(received.tenant_id, len(request.batch))
            held.hold(max(size, budget.used // _ROWS_FACTOR))
            held.handed_over()
            outcome = await self._written(request)
            held.stored()
            return outcome

    async def _written(self, request: IngestRequest) -> IngestOutcome:
        try:
            outcome = await self._writer_of(request.signal).write(request)
        except TidegaugeError as error:
            if not isinstance(error, RetryableError):
                self._numbers.refused(request.signal, error)
            raise
        self._numbers.stored(request, outcome)
        return outcome

    @contextmanager
    def admission(self, expected: int = 0, signal: Signal | None = None) -> Iterator[Share]:
        """A request's share of the pending bytes, to be opened before its body is read, of which ``expected`` bytes are announced.

        Logs that go to a store of their own have pending bytes of their own.

        Raises:
            Overloaded: what waits already takes too long.
            Unavailable: the server is shutting down, or the store is away and enough waits for it.

        """
        try:
            with self._writer_of(signal).admission(expected) as share:
                yield share
        except RetryableError as error:
            self._numbers.turned_away(error)
            raise

    def _writer_of(self, signal: Signal | None) -> Writer:
        return self._log_writer if signal is Signal.LOGS else self._writer

    async def _decoded(self, received: Received, budget: Budget) -> IngestRequest:
        size = len(received.body)
        if size <= _THREAD_BYTES:
            # One at a time, then whatever else is due: commits under way must not wait for every request that came at once.
            async with self._turn:
                request = self._prepare(received, budget)
                await asyncio.sleep(0)
            return request
        async with self._large if size > _LARGE_BYTES else nullcontext(), self._decodes:
            return await asyncio.to_thread(self._prepare, received, budget)

    def _prepare(self, received: Received, budget: Budget) -> IngestRequest:
        now_ns = self._now_ns()
        if received.read is None:
            batch = self._decoder.decode(received.signal, received.body, received.encoding, budget)
        else:
            batch = received.read(self._decoder, received.body, budget)
        enforce(batch, self._limits[received.signal], now_ns)
        return IngestRequest(
            tenant_id=received.tenant_id,
            signal=received.signal,
            endpoint=received.endpoint,
            digest=_digest(received, batch),
            batch=batch,
            received_at_unix_nano=now_ns,
            bytes=len(received.body),
        )


def _digest(received: Received, batch: Batch) -> UUID:
    if received.digest is None:
        return UUID(bytes=blake2b(received.body, digest_size=16).digest()) if has_times(batch) else uuid4()
    return received.digest(batch) if callable(received.digest) else received.digest


def has_times(batch: Batch) -> bool:
    """Whether every item carries its own time. Only then are equal bytes a resend: two equal records without any are two records."""
    if not isinstance(batch, LogBatch):
        return True
    return all(map(or_, batch.time_unix_nano, batch.observed_time_unix_nano))
