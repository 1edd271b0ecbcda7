"""Reads a request's body with bounds: its size on the wire and its size after decompression."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from tidegauge.errors import InvalidArgument, PayloadTooLarge, UnsupportedMediaType

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_GZIP = 16 + zlib.MAX_WBITS
_THREAD_BYTES = 1 << 18
# Of a body that is too large this much is read and thrown away, so that the client reads our answer and not a broken pipe.
_DRAIN_FACTOR = 4


class ClientGone(Exception):
    """The client went away before its body was whole; there is nobody to answer."""


async def read(receive: Receive, content_length: str | None, limit: int) -> bytes:
    """The whole body.

    Raises:
        PayloadTooLarge: it is over ``limit`` bytes.
        ClientGone: it did not arrive whole.

    """
    size = 0
    declared = int(content_length) if content_length is not None and content_length.isdigit() else 0
    too_large = declared > limit
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        size += len(part)
        if size > limit and not too_large:
            too_large = True
            parts.clear()
        if not too_large and part:
            parts.append(part)
        if not message.get("more_body", False) or size > limit * _DRAIN_FACTOR:
            break
    if too_large:
        raise PayloadTooLarge(f"the body has more than {limit} bytes", hint="send smaller batches")
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def decompressed(body: bytes, content_encoding: str, limit: int) -> bytes:
    """The body without its Content-Encoding (RFC 9110, section 8.4): identity or gzip.

    Raises:
        UnsupportedMediaType: another encoding.
        InvalidArgument: it is not whole and sound gzip.
        PayloadTooLarge: it is over ``limit`` bytes when decompressed.

    """
    match content_encoding.strip().lower():
        case "" | "identity" | "none":
            return body
        case "gzip" | "x-gzip":
            if len(body) > _THREAD_BYTES:
                return await asyncio.to_thread(gunzip, body, limit)
            return gunzip(body, limit)
        case other:
            raise UnsupportedMediaType(f"Content-Encoding {other[:100]!r} is not supported", hint="send gzip or identity")


def gunzip(body: bytes, limit: int) -> bytes:
    """Decompress gzip (RFC 1952, any number of members) to at most ``limit`` bytes."""
    parts: list[bytes] = []
    size = 0
    rest = body
    try:
        while True:
            stream = zlib.decompressobj(_GZIP)
            part = stream.decompress(rest, limit - size + 1)
            size += len(part)
            if size > limit:
                raise PayloadTooLarge(f"the body has more than {limit} bytes after decompression", hint="send smaller batches")
            parts.append(part)
            if not stream.eof:
                raise InvalidArgument("the gzip body ends too early", hint="is it cut off?")
            rest = stream.unused_data
            if not rest:
                break
    except zlib.error as error:
        raise InvalidArgument(f"the body is not gzip: {error}") from error
    return parts[0] if len(parts) == 1 else b"".join(parts)
