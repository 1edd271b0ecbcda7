"""The compiled part reads what Python reads: of mutated bytes, and of every character and many a number."""

from __future__ import annotations

from random import Random

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.decoders import Decoder
from tests.property.comparing import SIGNALS
from tests.property.profile import FEWER, USUAL
from tests.property.strategies import NOW, requests
from tests.property.wire import Writer, all_oddities, seeds
from tidegauge.errors import InvalidArgument, PayloadTooLarge
from tidegauge.model.batch import Batch, Signal, SpanBatch
from tidegauge.otlp.encoding import Encoding

pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")
MUTATIONS = 20
"""Of one request."""
BYTES = bytes([0, 1, 2, 7, 8, 9, 10, 15, 16, 17, 18, 24, 26, 33, 127, 128, 129, 192, 237, 255])


def read(decoder: Decoder, signal: str, body: bytes) -> Batch | None:
    """What both read, or None where both refuse it."""
    try:
        return decoder.decode(SIGNALS[signal], body, Encoding.PROTOBUF)
    except (InvalidArgument, PayloadTooLarge):
        return None


@pytest.mark.parametrize("signal", SIGNALS)
def test_mutated_bytes(signal: str) -> None:
    @settings(USUAL)
    @given(requests[signal], seeds, all_oddities)
    def run(request: Message, seed: int, odd: frozenset[str]) -> None:
        random, decoder = Random(seed), Decoder(1 << 20)
        body = Writer(seed, odd).write(request)
        for _ in range(MUTATIONS):
            read(decoder, signal, mutated(body, random))

    run()


def mutated(body: bytes, random: Random) -> bytes:
    """With a few bytes changed, left out, put in or repeated: sizes and tags among them, as these are many."""
    found = bytearray(body)
    for _ in range(random.choice([1, 1, 1, 2, 4])):
        place = random.randrange(len(found) + 1)
        size = random.choice([1, 1, 2, 8])
        match random.randrange(5):
            case 0:
                found[place : place + 1] = bytes([random.choice(BYTES)])
            case 1:
                found[place : place + 1] = random.randbytes(1)
            case 2:
                del found[place : place + size]
            case 3:
                found[place:place] = random.choices(BYTES, k=size)
            case _:
                found[place:place] = found[place : place + size]
    return bytes(found)


def spans(values: list[AnyValue]) -> SpanBatch:
    """A span for each value, as an attribute and as one of an event and within a list."""
    request = ExportTraceServiceRequest()
    items = request.resource_spans.add().scope_spans.add().spans
    for value in values:
        pairs = [KeyValue(key="k" + value.string_value, value=value)]
        pairs.append(KeyValue(key="list", value=AnyValue(array_value={"values": [value, value]})))
        items.add(
            trace_id=b"\1" * 16, span_id=b"\2" * 8, start_time_unix_nano=NOW, name=value.string_value, attributes=pairs,
            status={"message": value.string_value}, events=[Span.Event(name=value.string_value, attributes=pairs)],
        )  # fmt: skip
    batch = Decoder().decode(Signal.TRACES, request.SerializeToString(), Encoding.PROTOBUF)
    assert isinstance(batch, SpanBatch)
    return batch


def test_every_character() -> None:
    codes = [
        code for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF and (code < 0x1000 or code % 61 == 0 or code & 0xFF in (0, 255))
    ]
    # At every place in a word of eight bytes.
    texts = ["x" * (code % 9) + chr(code) + "y" * (code % 7) for code in codes]
    batch = spans([AnyValue(string_value=text) for text in texts])
    assert batch.name == [text.replace("\0", "\ufffd") for text in texts]


@settings(USUAL)
@given(
    st.lists(st.floats() | st.floats(-1e6, 1e6).map(lambda value: round(value, 3)) | st.integers(-(2**60), 2**60).map(float), max_size=50),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20),
)
def test_numbers(doubles: list[float], integers: list[int]) -> None:
    spans([AnyValue(double_value=value) for value in doubles] + [AnyValue(int_value=value) for value in integers])


def test_short_decimals() -> None:
    random = Random(1)
    spans([AnyValue(double_value=random.randrange(10**12) / 10 ** random.randrange(12)) for _ in range(5000)])


@settings(FEWER)
@given(st.lists(st.binary(max_size=6), min_size=1, max_size=30), st.sampled_from(["name", "key", "value", "state", "url"]))
def test_bytes_for_text(texts: list[bytes], place: str) -> None:
    """UTF-8 or not, both see the same."""
    for text in texts:
        span = Span(trace_id=b"\1" * 16, span_id=b"\2" * 8, start_time_unix_nano=NOW).SerializeToString()
        size = bytes([len(text)])
        pair = b"\x0a\1k\x12" + bytes([len(text) + 2]) + b"\x0a" + size + text
        if place == "key":
            pair = b"\x0a" + size + text + b"\x12\2\x18\1"
        if place in ("key", "value"):
            span += b"\x4a" + bytes([len(pair)]) + pair
        elif place in ("name", "state"):
            span += (b"\x2a" if place == "name" else b"\x1a") + size + text
        spans_of_scope = b"\x12" + bytes([len(span)]) + span + (b"\x1a" + size + text if place == "url" else b"")
        resource = b"\x12" + bytes([len(spans_of_scope)]) + spans_of_scope
        read(Decoder(), "traces", b"\x0a" + bytes([len(resource)]) + resource)
