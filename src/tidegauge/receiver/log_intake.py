"""What all ways in for logs but OTLP have in common: admission, body, decompression, storing, and who may."""

from __future__ import annotations

import base64
import hmac
import logging
import math
from binascii import Error as Base64Error
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any
from uuid import UUID, uuid4

from tidegauge.errors import InvalidArgument, MethodNotAllowed, RetryableError, TidegaugeError, Unauthenticated
from tidegauge.ingest.ingestor import Ingestor, Received, has_times
from tidegauge.logforms.reading import Fault, Parse, Reading
from tidegauge.model.batch import Batch, Signal
from tidegauge.otlp.encoding import Encoding
from tidegauge.receiver.body import Hold, announced, decompressed, read
from tidegauge.storage.interface import IngestOutcome

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = dict[bytes, bytes]
Expand = Callable[[bytes, str, int, Hold], Awaitable[bytes]]
"""Body, Content-Encoding, limit, hold → body without its compression (``body.decompressed``)."""
_KEY_LENGTH = 255
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a request. With ``digest`` and an item's place comes its record's id.

    Attributes:
        digest: the request's.
        items: how many it had.
        faults: those that are not stored, as far as it is known which these are.
        outcome: what the store says; of a request that was stored earlier, more may be rejected than there are faults.

    """

    digest: UUID
    items: int
    faults: list[Fault]
    outcome: IngestOutcome

    @property
    def untold(self) -> int:
        """Items that were refused when the request came for the first time, so that nobody can say which these were."""
        return max(self.outcome.rejected - len(self.faults), 0)


class Intake:
    """Takes requests in and stores them."""

    def __init__(self, ingestor: Ingestor, max_body_bytes: int) -> None:
        self._ingestor = ingestor
        self._max_body_bytes = max_body_bytes

    async def store(
        self,
        endpoint: str,
        headers: Headers,
        receive: Receive,
        parse: Parse,
        expand: Expand = decompressed,
        coding: str | None = None,
        *,
        again: str | None = None,
    ) -> Stored:
        """Read the body and store its records; returns after they are durable.

        A resend is known by its Idempotency-Key, for as long as the ledger of requests goes back (`ingest.dedup_window`): two equal bodies
        without one are two requests, but for ``again``; and whatever comes with a known key gets the first one's answer.

        Args:
            endpoint: names the way in.
            headers: the request's.
            receive: ASGI's.
            parse: makes records of a body.
            expand: undoes its compression.
            coding: the Content-Encoding, where it is not what the header says.
            again: where senders send a request again of which any item was refused: what such a request is beside its body.

        Raises:
            InvalidArgument: the body as a whole cannot be read.
            PayloadTooLarge, UnsupportedMediaType, RequestTimeout, Overloaded, Unavailable: as for OTLP.
            ClientGone: there is nobody to answer.

        """
        key = _digest(endpoint, headers.get(b"idempotency-key"))
        length = announced(headers.get(b"content-length"))
        with self._ingestor.admission(length, Signal.LOGS) as share:
            body = await read(receive, length, self._max_body_bytes, share.hold)
            coding = headers.get(b"content-encoding", b"").decode("latin-1") if coding is None else coding
            body = await expand(body, coding, self._max_body_bytes, share.hold)
            reading = Reading(parse)
            identity = _Identity(key, again, body)
            received = Received(0, Signal.LOGS, endpoint, Encoding.JSON, body, reading, identity)
            outcome = await self._ingestor.ingest(received, share)
            faults = sorted([*reading.faults(), *(Fault(*refused) for refused in outcome.refused)])
            return Stored(identity.digest, reading.items, faults, outcome)


class _Identity:
    """What a resend of a request is known by: its key, if it has one.

    Without one it is the body, where an item is refused and each of the others has its time: Fluent Bit sends a whole bulk request again
    for one such item, and would do so for ever, and the others would be stored each time.
    """

    def __init__(self, key: UUID | None, again: str | None, body: bytes) -> None:
        self.digest = key or uuid4()
        self._again = again if key is None else None
        self._body = body

    def __call__(self, batch: Batch) -> UUID:
        if self._again is not None and any(each.refuses_items for each in batch.rejections) and has_times(batch):
            parts = self._again.encode(errors="replace") + b"\0" + self._body
            self.digest = UUID(bytes=blake2b(parts, digest_size=16, person=b"partly-refused").digest())
        return self.digest


def _digest(endpoint: str, key: bytes | None) -> UUID | None:
    """Of a key. It is part of the records' ids as well: the same key at another endpoint is another request."""
    if key is None:
        return None
    if not 0 < len(key) <= _KEY_LENGTH:
        raise InvalidArgument(f"Idempotency-Key must have 1 to {_KEY_LENGTH} characters")
    return UUID(bytes=blake2b(endpoint.encode() + b"\0" + key, digest_size=16, person=b"idempotency-key").digest())


class Token:
    """Who may send. Shippers know Basic authentication (any user, the token as password) and Elasticsearch's ApiKey beside Bearer."""

    def __init__(self, token: str | None) -> None:
        self._token = None if token is None else token.encode()

    def check(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Raises Unauthenticated where the token is not among them."""
        if self._token is None:
            return
        values = [value for name, value in headers if name.lower() == b"authorization"]
        if not values:
            raise Unauthenticated("no API token was sent", hint="send Authorization: Bearer <token>, or Basic with it as the password")
        if len(values) > 1 or not any(hmac.compare_digest(given, self._token) for given in _given(values[0])):
            raise Unauthenticated("the API token is not the right one", hint="send Authorization: Bearer <token>")


def _given(authorization: bytes) -> list[bytes]:
    """What may be the token. ApiKey is base64 of ``id:key`` (Elasticsearch), or the key as it is."""
    scheme, _, value = authorization.strip().partition(b" ")
    scheme, value = scheme.lower(), value.strip()
    found = [value] if scheme in (b"bearer", b"apikey") else []
    if scheme in (b"basic", b"apikey"):
        with suppress(Base64Error, ValueError):
            found.append(base64.b64decode(value, validate=True).partition(b":")[2])
    return found


def method_is(scope: Scope, *allowed: str) -> None:
    """Raises MethodNotAllowed for any other method."""
    if scope["method"] not in allowed:
        raise MethodNotAllowed(
            f"{scope['method'][:20]} is not allowed here", hint=f"allowed: {', '.join(allowed)}", allowed=", ".join(allowed)
        )


def media_type(headers: Headers) -> str:
    """The Content-Type without its parameters, in lower case."""
    return headers.get(b"content-type", b"").split(b";", 1)[0].strip().lower().decode("latin-1")


def error_headers(error: TidegaugeError) -> list[tuple[bytes, bytes]]:
    """What an error says in headers, in every form of answer."""
    found = []
    if isinstance(error, RetryableError):
        found.append((b"retry-after", str(max(1, math.ceil(error.retry_after_seconds))).encode()))
    if isinstance(error, MethodNotAllowed):
        found.append((b"allow", error.allowed.encode()))
    if isinstance(error, Unauthenticated):
        # The body was not read: what remains of it must not be taken for the next request.
        found += [(b"www-authenticate", b'Bearer realm="tidegauge"'), (b"connection", b"close")]
    return found


def known_error(error: Exception, scope: Scope) -> TidegaugeError:
    """The error to answer with; what is no client's doing is written to the log, and its inside is nobody else's business."""
    if not isinstance(error, TidegaugeError):
        _logger.error("%s failed", scope["path"], exc_info=error)
        return TidegaugeError("internal error")
    if error.http_status == TidegaugeError.http_status:
        _logger.error("%s could not be stored: %s", scope["path"], error, exc_info=error.__cause__)
    return error


async def answer(send: Send, status: int, content_type: str, body: bytes, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """Send one answer. ``body`` is empty for 204 and for HEAD."""
    found = [*([(b"content-type", content_type.encode())] if content_type else []), *headers]
    if status != 204:
        found.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": found})
    await send({"type": "http.response.body", "body": body})
