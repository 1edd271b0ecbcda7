"""JSON strings that are no text: the request is stored, with U+FFFD where something cannot be read."""

from __future__ import annotations

import json

import pytest

from tests.decoders import Decoder
from tidegauge.errors import InvalidArgument
from tidegauge.model.batch import Signal, SpanBatch
from tidegauge.otlp.encoding import Encoding

SPANS = (
    b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "0102030405060708090a0b0c0d0e0fab", "spanId": "0102030405060708",'
    b'"startTimeUnixNano": "1760000000000000000", "name": "%b", "attributes": [{"key": "%b", "value": {"stringValue": "%b"}}]}]}]}]}'
)


def decode(name: bytes, key: bytes = b"k", value: bytes = b"v") -> SpanBatch:
    batch = Decoder().decode(Signal.TRACES, SPANS % (name, key, value), Encoding.JSON)
    assert isinstance(batch, SpanBatch)
    return batch


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (rb"cut \ud83d", "cut \ufffd"),
        (rb"\uD83D cut", "\ufffd cut"),
        (rb"\ude00 cut", "\ufffd cut"),
        (rb"\uDE00\uD83D", "\ufffd\ufffd"),
        (rb"\ud83d\ud83d\ude00\ude00", "\ufffd\U0001f600\ufffd"),
        (rb"\ud83d\u0041", "\ufffdA"),
        (rb"\ud83d\\ude00", "\ufffd\\ude00"),
        (rb"\ud83d\n\ude00", "\ufffd\n\ufffd"),
        (rb"\\\ud83d", "\\\ufffd"),
        (rb"\\ud83d \ud83d", "\\ud83d \ufffd"),
        (rb"\\\\ud83d \\\\\ude00", "\\\\ud83d \\\\\ufffd"),
        (rb"\"\ud83d\"", '"\ufffd"'),
        (b"caf\xe9", "caf\ufffd"),
        (b"\xed\xa0\xbd", "\ufffd\ufffd\ufffd"),
        (b"\xf0\x9f\x98\x80 \xf0\x9f\x98", "\U0001f600 \ufffd"),
        (b"\\ud83d\xe9", "\ufffd\ufffd"),
    ],
)
def test_it_is_stored_with_a_warning(sent: bytes, stored: str) -> None:
    batch = decode(sent, sent, sent)
    assert batch.name == [stored]
    assert [json.loads(attributes) for attributes in batch.attributes] == [{stored: stored}]
    assert batch.original == [None]
    [warning] = batch.rejections
    assert (warning.reason, warning.items) == ("invalid_text", 0)


@pytest.mark.parametrize(
    ("sent", "stored"),
    [(rb"\ud83d\ude00", "\U0001f600"), (rb"\\ud83d", "\\ud83d"), (rb"\\\\ude00", "\\\\ude00"), (rb"\ufffd", "\ufffd")],
)
def test_what_is_text_stays(sent: bytes, stored: str) -> None:
    """Alone, and beside what is not."""
    whole, beside = decode(sent), decode(sent, rb"\ud83d")
    assert (whole.name, beside.name) == ([stored], [stored])
    assert not whole.rejections
    assert len(beside.rejections) == 1


def test_the_rest_of_the_request_is_stored_and_what_else_is_wrong_refused() -> None:
    span = b'{"traceId": "%b", "spanId": "0102030405060708", "startTimeUnixNano": 1, "name": "%b"}'
    spans = [span % (b"01" * 16, b"good"), span % (b"xx", b"\\ud83d"), span % (b"02" * 16, b"\\ud83d")]
    body = b'{"\\ud83d": 1, "resourceSpans": [{"scopeSpans": [{"spans": [%b]}]}]}' % b",".join(spans)
    batch = Decoder().decode(Signal.TRACES, body, Encoding.JSON)
    assert isinstance(batch, SpanBatch)
    assert batch.name == ["good", "\ufffd"]
    assert {(rejection.reason, rejection.items) for rejection in batch.rejections} == {("invalid_text", 0), ("malformed_item", 1)}


@pytest.mark.parametrize("sent", [rb"\ud83d", b"\xe9"])
def test_the_sample_is_the_text_around_the_first_place(sent: bytes) -> None:
    [warning] = decode(b"first", b"x" * 10_000 + b"here " + sent, sent).rejections
    assert b"xhere " in warning.sample
    assert b"first" not in warning.sample
    warning.sample.decode()


def test_places_in_messages_are_those_of_the_body() -> None:
    with pytest.raises(InvalidArgument, match="char 19"):
        Decoder().decode(Signal.TRACES, rb'{"\ud83d": "\ude00",}', Encoding.JSON)
