"""Bodies with bounds."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import MutableMapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegauge.errors import InvalidArgument, Overloaded, PayloadTooLarge, UnsupportedMediaType
from tidegauge.receiver import body
from tidegauge.receiver.body import ClientGone, Receive, announced, decompressed, read

LIMIT = 1000


def ignore(_: int) -> None:
    """Nobody counts."""


async def gunzip(body: bytes, limit: int) -> bytes:
    return await decompressed(body, "gzip", limit, ignore)


def receiving(*parts: bytes, then: str = "http.request") -> tuple[Receive, list[bytes]]:
    """An ASGI receive that hands out ``parts``, and the list of those not handed out yet."""
    rest = list(parts)

    async def receive() -> MutableMapping[str, Any]:
        if not rest:
            return {"type": then}
        return {"type": "http.request", "body": rest.pop(0), "more_body": bool(rest) or then != "http.request"}

    return receive, rest


@given(st.lists(st.binary(max_size=100), max_size=10))
async def test_a_body_arrives_whole_however_it_is_cut(parts: list[bytes]) -> None:
    receive, _ = receiving(*parts)
    assert await read(receive, 0, LIMIT, ignore) == b"".join(parts)


@pytest.mark.parametrize("length", [0, 5000])
async def test_a_large_body_is_refused_after_it_was_read_so_that_the_client_sees_why(length: int) -> None:
    receive, rest = receiving(*[bytes(500)] * 6)
    with pytest.raises(PayloadTooLarge, match="more than 1000 bytes"):
        await read(receive, length, LIMIT, ignore)
    assert not rest


@pytest.mark.parametrize(("header", "length"), [(b"12", 12), (None, 0), (b"", 0), (b"-1", 0), (b"+1", 0), (b"9" * 5000, 0)])
def test_what_a_sender_announces(header: bytes | None, length: int) -> None:
    assert announced(header) == length


async def test_an_endless_body_is_not_read_to_its_end() -> None:
    receive, rest = receiving(*[bytes(500)] * 100)
    with pytest.raises(PayloadTooLarge):
        await read(receive, 0, LIMIT, ignore)
    assert len(rest) > 80


@pytest.mark.parametrize(("length", "sent"), [(5000, 0), (0, 2000)], ids=["announced", "in chunks"])
async def test_a_large_body_that_does_not_come_to_its_end_is_too_large_all_the_same(
    monkeypatch: pytest.MonkeyPatch, length: int, sent: int
) -> None:
    monkeypatch.setattr(body, "_DRAIN_SECONDS", 0.01)
    receive, rest = receiving(*[bytes(500)] * (sent // 500))

    async def stalled() -> MutableMapping[str, Any]:
        return {**await receive(), "more_body": True} if rest else await asyncio.Future()

    with pytest.raises(PayloadTooLarge):
        await read(stalled, length, LIMIT, ignore)


async def test_a_client_that_goes_away_is_noticed() -> None:
    receive, _ = receiving(b"half", then="http.disconnect")
    with pytest.raises(ClientGone):
        await read(receive, 0, LIMIT, ignore)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=3))
async def test_gzip_of_any_number_of_members(members: list[bytes]) -> None:
    body = b"".join(gzip.compress(member) for member in members)
    assert await gunzip(body, LIMIT) == b"".join(members)


async def test_a_bomb_is_refused_at_the_limit() -> None:
    bomb = gzip.compress(bytes(10_000_000))
    assert len(bomb) < 20_000
    with pytest.raises(PayloadTooLarge, match="after decompression"):
        await gunzip(bomb, LIMIT)
    with pytest.raises(PayloadTooLarge):
        await gunzip(gzip.compress(bytes(600)) * 2, LIMIT)
    assert len(await gunzip(gzip.compress(bytes(LIMIT)), LIMIT)) == LIMIT


@pytest.mark.parametrize(
    "body",
    [b"", b"plain text", gzip.compress(b"x" * 500)[:-5], gzip.compress(b"x") + b"trailing", zlib.compress(b"x")],
    ids=["empty", "not gzip", "cut off", "trailing bytes", "zlib without gzip"],
)
async def test_unsound_gzip_is_refused_with_a_reason(body: bytes) -> None:
    with pytest.raises(InvalidArgument, match="gzip"):
        await gunzip(body, LIMIT)


@pytest.mark.parametrize(("name", "is_gzip"), [("", False), ("identity", False), ("gzip", True), ("GZIP", True), (" gzip ", True)])
async def test_known_encodings(name: str, is_gzip: bool) -> None:
    assert await decompressed(gzip.compress(b"abc") if is_gzip else b"abc", name, LIMIT, ignore) == b"abc"


@pytest.mark.parametrize("name", ["br", "deflate", "gzip, gzip", "zstd"])
async def test_unknown_encodings_are_named(name: str) -> None:
    with pytest.raises(UnsupportedMediaType, match=name):
        await decompressed(b"", name, LIMIT, ignore)


async def test_every_byte_is_counted_before_more_are_taken() -> None:
    counted: list[int] = []
    receive, _ = receiving(b"x" * 300, b"y" * 200)
    await read(receive, 0, LIMIT, counted.append)
    assert counted == [300, 500]
    packed = gzip.compress(bytes(LIMIT))
    counted.clear()
    await decompressed(packed, "gzip", LIMIT, counted.append)
    assert counted[-1] == len(packed) + LIMIT


async def test_reading_stops_where_there_is_no_room() -> None:
    receive, rest = receiving(*[bytes(100)] * 9)

    def hold(size: int) -> None:
        if size > 200:
            raise Overloaded("no room")

    with pytest.raises(Overloaded):
        await read(receive, 0, LIMIT, hold)
    assert len(rest) == 6
