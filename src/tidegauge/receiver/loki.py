"""Loki's push endpoint (https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs), for Promtail and its like.

``X-Scope-OrgID`` is taken and not looked at: there is one tenant, and a header alone would not make anybody another.
"""

from __future__ import annotations

import asyncio

import cramjam

from tidegauge.errors import InvalidArgument, PayloadTooLarge, TidegaugeError, UnsupportedMediaType
from tidegauge.logforms.loki import LokiReader
from tidegauge.receiver.body import Hold, decompressed
from tidegauge.receiver.log_intake import Headers, Intake, Receive, Scope, Send, Stored, answer, error_headers, media_type, method_is

ENDPOINT = "/loki/api/v1/push"
READY = "/ready"
_TEXT = "text/plain; charset=utf-8"
_TOLD = 10
_THREAD_BYTES = 1 << 18


class Loki:
    """The endpoint."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._reader = LokiReader()

    async def __call__(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        """One push. 204; or, as Loki says it, 400 where a part was refused though the rest is stored: nobody should send that again."""
        method_is(scope, "POST")
        match media_type(headers):
            case "application/x-protobuf":
                stored = await self._intake.store(ENDPOINT, headers, receive, self._reader.parse_protobuf, _unsnappy)
            case "application/json":
                stored = await self._intake.store(ENDPOINT, headers, receive, self._reader.parse_json)
            case other:
                raise UnsupportedMediaType(
                    f"Content-Type {other[:100]!r} is not supported", hint="send application/x-protobuf or application/json"
                )
        if stored.outcome.rejected:
            await answer(send, 400, _TEXT, _refused(stored))
        else:
            await answer(send, 204, "", b"")


def text_of(error: TidegaugeError) -> tuple[int, str, bytes, list[tuple[bytes, bytes]]]:
    """An error as Loki says it, a line of text: status, media type, body, headers."""
    return error.http_status, _TEXT, f"{error}\n".encode(errors="replace"), error_headers(error)


async def _unsnappy(body: bytes, coding: str, limit: int, hold: Hold) -> bytes:
    """A body without its snappy, which is in the block format (https://github.com/google/snappy/blob/main/format_description.txt).

    It has it whatever Content-Encoding says; what else that says is undone before. What it will take is read from its first bytes.
    """
    if coding.strip().lower() != "snappy":
        body = await decompressed(body, coding, limit, hold)
    if not body:
        return b""
    try:
        size = cramjam.snappy.decompress_raw_len(body)
        if size > limit:
            raise PayloadTooLarge(f"the body has more than {limit} bytes after decompression", hint="send smaller batches")
        hold(len(body) + size)
        if size > _THREAD_BYTES:
            return bytes(await asyncio.to_thread(cramjam.snappy.decompress_raw, body))
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as error:
        raise InvalidArgument(f"the body is not snappy: {error}", hint="protobuf is sent in snappy's block format") from error


def _refused(stored: Stored) -> bytes:
    lines = [f"entry {fault.place} ignored, reason: {fault.reason}: {fault.message}" for fault in stored.faults[:_TOLD]]
    lines = lines or [stored.outcome.message]
    return "\n".join([*lines, f"total ignored: {stored.outcome.rejected} out of {stored.items}", ""]).encode(errors="replace")
