"""What the OTLP specification asks of a server whatever carries the request."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import pytest
from google.rpc.error_details_pb2 import BadRequest

from tests.conformance.conftest import REQUESTS, Way
from tests.conformance.items import REJECTED, SIGNALS, request, stored
from tests.servers.product import Product

MIB = 1 << 20
LIMIT = 64 * MIB
each_signal = pytest.mark.parametrize("signal", SIGNALS)
plain_or_gzip = pytest.mark.parametrize("zipped", [False, True], ids=["none", "gzip"])


def is_success(code: int | str) -> bool:
    return code in {200, "OK"}


@each_signal
@plain_or_gzip
async def test_full_success_has_no_partial_success(product: Product, way: Way, signal: str, zipped: bool) -> None:
    mark = secrets.token_bytes(16)
    answer = await way.export(signal, request(signal, mark, good=3), zipped=zipped)
    assert is_success(answer.code)
    assert not answer.response.HasField("partial_success")
    assert await stored(product, signal, mark) == 3


def _empty(signal: str, depth: int) -> Any:
    """A request, a request with an envelope in it, and one with an envelope in that."""
    message = REQUESTS[signal]()
    if depth:
        resource = getattr(message, {"traces": "resource_spans", "metrics": "resource_metrics", "logs": "resource_logs"}[signal]).add()
        if depth > 1:
            getattr(resource, {"traces": "scope_spans", "metrics": "scope_metrics", "logs": "scope_logs"}[signal]).add()
    return message


@each_signal
@plain_or_gzip
async def test_empty_requests_and_envelopes_succeed(way: Way, signal: str, zipped: bool) -> None:
    for depth in range(3):
        answer = await way.export(signal, _empty(signal, depth), zipped=zipped)
        assert is_success(answer.code)
        assert not answer.response.HasField("partial_success")


@each_signal
async def test_partial_success_counts_what_was_rejected_and_says_why(product: Product, way: Way, signal: str) -> None:
    mark = secrets.token_bytes(16)
    answer = await way.export(signal, request(signal, mark, good=2, bad=3))
    assert is_success(answer.code)
    partial = answer.response.partial_success
    assert getattr(partial, REJECTED[signal]) == 3
    assert "kept no longer" in partial.error_message
    assert await stored(product, signal, mark) == 2


@pytest.mark.parametrize("name", ["http/protobuf", "grpc"])
async def test_a_warning_has_a_message_and_rejects_nothing(product: Product, ways: dict[str, Way], name: str) -> None:
    mark = secrets.token_bytes(16)
    body = request("traces", mark).SerializeToString().replace(b"\x2a\x01s", b"\x2a\x01\xff")  # Span.name: a byte that is not UTF-8
    answer = await ways[name].send("traces", body)
    assert is_success(answer.code)
    assert answer.response.partial_success.rejected_spans == 0
    assert "UTF-8" in answer.response.partial_success.error_message
    assert await stored(product, "traces", mark) == 1


@each_signal
@plain_or_gzip
async def test_bad_data_is_not_to_be_sent_again_and_is_described(way: Way, signal: str, zipped: bool) -> None:
    answer = await way.send(signal, b"\x0a\x10{", zipped=zipped)
    assert answer.code in {400, "INVALID_ARGUMENT"}
    assert not answer.is_retryable
    assert answer.status is not None
    bad = BadRequest()
    assert any(detail.Unpack(bad) for detail in answer.status.details)
    assert answer.status.message
    assert bad.field_violations[0].description == answer.status.message


@plain_or_gzip
async def test_too_large_before_or_after_decompression_is_refused_for_good(way: Way, zipped: bool) -> None:
    answer = await way.send("logs", bytes(LIMIT + 1), zipped=zipped)
    assert answer.code in {413, "RESOURCE_EXHAUSTED"}
    assert not answer.is_retryable


async def test_what_is_below_the_limit_is_read(product: Product, way: Way) -> None:
    """More than the 4 MiB at which gRPC stops by itself."""
    mark = secrets.token_bytes(16)
    message = request("logs", mark)
    message.resource_logs[0].scope_logs[0].log_records[0].body.string_value = "x" * (5 * MIB)
    assert is_success((await way.export("logs", message)).code)
    assert await stored(product, "logs", mark) == 1


@each_signal
async def test_concurrent_requests(product: Product, way: Way, signal: str) -> None:
    """Over gRPC all on one connection."""
    mark = secrets.token_bytes(16)
    answers = await asyncio.gather(*[way.export(signal, request(signal, mark, good=2), zipped=bool(number % 2)) for number in range(30)])
    assert all(is_success(answer.code) for answer in answers)
    assert await stored(product, signal, mark) == 60


async def test_all_ways_at_the_same_time(product: Product, ways: dict[str, Way]) -> None:
    marks = {signal: secrets.token_bytes(16) for signal in SIGNALS}
    sent = [way.export(signal, request(signal, mark)) for way in ways.values() for signal, mark in marks.items() for _ in range(5)]
    assert all(is_success(answer.code) for answer in await asyncio.gather(*sent))
    assert [await stored(product, signal, mark) for signal, mark in marks.items()] == [15, 15, 15]


@each_signal
async def test_equal_bytes_over_both_transports_are_one_request(product: Product, ways: dict[str, Way], signal: str) -> None:
    mark = secrets.token_bytes(16)
    body = request(signal, mark, good=2, bad=1).SerializeToString()
    both = [ways["http/protobuf"], ways["grpc"]]
    answers = await asyncio.gather(*[way.send(signal, body) for way in both for _ in range(5)])
    assert {(is_success(answer.code), answer.response.SerializeToString()) for answer in answers} == {
        (True, answers[0].response.SerializeToString())
    }
    assert getattr(answers[0].response.partial_success, REJECTED[signal]) == 1
    assert await stored(product, signal, mark) == 2


@each_signal
async def test_unknown_fields_of_protobuf_are_ignored(product: Product, ways: dict[str, Way], signal: str) -> None:
    """Field 1000 of every wire type, before and behind what is known."""
    unknown = b"\xc0\x3e\x05" + b"\xc1\x3e" + bytes(8) + b"\xc2\x3e\x03abc" + b"\xc5\x3e" + bytes(4)
    for name in ("http/protobuf", "grpc"):
        mark = secrets.token_bytes(16)
        answer = await ways[name].send(signal, unknown + request(signal, mark).SerializeToString() + unknown)
        assert is_success(answer.code)
        assert not answer.response.HasField("partial_success")
        assert await stored(product, signal, mark) == 1


@each_signal
async def test_answers_are_small_however_much_was_rejected(way: Way, signal: str) -> None:
    answer = await way.export(signal, request(signal, secrets.token_bytes(16), good=0, bad=5000))
    assert is_success(answer.code)
    assert getattr(answer.response.partial_success, REJECTED[signal]) == 5000
    assert len(answer.body) < 100_000
