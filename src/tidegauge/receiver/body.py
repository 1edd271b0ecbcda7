"""Reads a request's body with bounds: its size on the wire and its size after decompression."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any, NoReturn

from tidegauge.errors import InvalidArgument, PayloadTooLarge, RequestTimeout, UnsupportedMediaType

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_GZIP = 16 + zlib.MAX_WBITS
_THREAD_BYTES = 1 << 18
# Of a body that is too large this much is read and thrown away, for so long, so that the client reads our answer and not a broken pipe.
_DRAIN_FACTOR = 4
# An SDK gives up after 10 s; who takes longer only holds memory.
_READ_SECONDS = 30
_DRAIN_SECONDS = 5
_STEP_BYTES = 4 << 20
_SLICE_BYTES = 1 << 16
# Tools that compress in parallel make one a block of 64 KiB and more; a member costs a copy of the slice it ends in.
_MEMBERS = 10_000
Hold = Callable[[int], None]


class ClientGone(Exception):
    """The client went away before its body was whole; there is nobody to answer."""


def announced(content_length: bytes | None) -> int:
    """What the Content-Length header says; 0 where there is none or it is no number."""
    return int(content_length) if content_length is not None and content_length.isdigit() and len(content_length) < 20 else 0


async def read(receive: Receive, length: int, limit: int, hold: Hold) -> bytes:
    """The whole body, of ``length`` bytes as its sender says; ``hold`` is told how many bytes there are before more are read.

    Raises:
        PayloadTooLarge: it is over ``limit`` bytes.
        RequestTimeout: it did not arrive within 30 s.
        ClientGone: it did not arrive whole.

    """
    try:
        async with asyncio.timeout(_READ_SECONDS):
            if length > limit:
                await _drain(receive, limit, 0)
            return await _read(receive, limit, hold)
    except TimeoutError:
        raise RequestTimeout(f"the body did not arrive within {_READ_SECONDS} s", hint="send smaller batches, or compress them") from None


async def _read(receive: Receive, limit: int, hold: Hold) -> bytes:
    size = 0
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        size += len(part)
        more = message.get("more_body", False)
        if size > limit:
            parts.clear()
            await _drain(receive, limit, size, more=more)
        if part:
            hold(size)
            parts.append(part)
        if not more:
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def _drain(receive: Receive, limit: int, size: int, *, more: bool = True) -> NoReturn:
    """Read and throw away, within bounds, then refuse."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            while more and size <= limit * _DRAIN_FACTOR:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                size += len(message.get("body", b""))
                more = message.get("more_body", False)
    raise PayloadTooLarge(f"the body has more than {limit} bytes", hint="send smaller batches")


async def decompressed(body: bytes, content_encoding: str, limit: int, hold: Hold) -> bytes:
    """The body without its Content-Encoding (RFC 9110, section 8.4): identity or gzip; ``hold`` is told what both take.

    Raises:
        UnsupportedMediaType: another encoding.
        InvalidArgument: it is not whole and sound gzip.
        PayloadTooLarge: it is over ``limit`` bytes when decompressed.

    """
    match content_encoding.strip().lower():
        case "" | "identity" | "none":
            return body
        case "gzip" | "x-gzip":
            return await _gunzip(body, limit, hold)
        case other:
            raise UnsupportedMediaType(f"Content-Encoding {other[:100]!r} is not supported", hint="send gzip or identity")


async def _gunzip(body: bytes, limit: int, hold: Hold) -> bytes:
    """Decompress gzip (RFC 1952, any number of members), a step at a time so that what it takes is known before it is taken."""
    parts: list[bytes] = []
    size = 0
    for step in gunzip_steps(body, limit):
        # zlib works without Python's lock: a large body is decompressed beside everything else.
        part = await asyncio.to_thread(step) if len(body) > _THREAD_BYTES else step()
        size += len(part)
        hold(len(body) + size)
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def gunzip_steps(body: bytes, limit: int) -> Iterator[Callable[[], bytes]]:
    """Functions to be called in turn, each once: each gives at most 4 MiB more of the decompressed body.

    Raises (where iterated or called):
        InvalidArgument: it is not whole and sound gzip.
        PayloadTooLarge: it is over ``limit`` bytes when decompressed.

    """
    stream = _Members(body, limit)
    while not stream.ended:
        yield stream.step


class _Members:
    """A gzip body of any number of members, read in slices: what is behind a member is copied each time one ends."""

    def __init__(self, body: bytes, limit: int) -> None:
        self.ended = False
        self._body = memoryview(body)
        self._position = 0
        self._pending = b""
        self._members = 0
        self._left = limit
        self._limit = limit
        self._stream = zlib.decompressobj(_GZIP)

    def step(self) -> bytes:
        """At most 4 MiB more, of as many members as that takes."""
        parts: list[bytes] = []
        room = min(_STEP_BYTES, self._left + 1)
        while room and not self.ended:
            part = self._slice(room)
            room -= len(part)
            parts.append(part)
        size = sum(map(len, parts))
        self._left -= size
        if self._left < 0:
            raise PayloadTooLarge(f"the body has more than {self._limit} bytes after decompression", hint="send smaller batches")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _slice(self, room: int) -> bytes:
        source = self._pending or self._body[self._position : self._position + _SLICE_BYTES]
        if not self._pending:
            self._position += len(source)
        fed = len(source)
        try:
            part = self._stream.decompress(source, room)
        except zlib.error as error:
            raise InvalidArgument(f"the body is not gzip: {error}") from error
        if self._stream.eof:
            self._next_member()
        else:
            self._pending = self._stream.unconsumed_tail
            if not fed and not part:
                raise InvalidArgument("the gzip body ends too early", hint="is it cut off?")
        return part

    def _next_member(self) -> None:
        self._members += 1
        self._pending = self._stream.unused_data
        self.ended = not self._pending and self._position >= len(self._body)
        if not self.ended and self._members >= _MEMBERS:
            raise InvalidArgument(f"the gzip body has more than {_MEMBERS} members", hint="compress a request as a whole")
        self._stream = zlib.decompressobj(_GZIP)
