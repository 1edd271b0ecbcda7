"""The attribute index misses nothing: whatever attribute a span has, its hashes are in the span's piece and in filters made of it."""

from __future__ import annotations

from zlib import crc32

import orjson
import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from tests.decoders import Decoder
from tests.property.attribute_pieces import compared, holds
from tests.property.profile import FEWER, USUAL
from tests.property.strategies import requests
from tidegauge.model.batch import Signal, SpanBatch
from tidegauge.otlp.encoding import Encoding
from tidegauge.storage.postgres import attribute_hashes, attribute_pairs
from tidegauge.storage.postgres.attribute_hashes import filter_of, finalised, key_hash, pair_hash, parts, unpacked

pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")
HOUR_NS = 3_600_000_000_000
scalars = st.one_of(
    st.text(max_size=20).filter(lambda text: "\0" not in text),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(-1e15, 1e15, allow_nan=False).filter(lambda value: value != 0 or str(value) == "0.0"),
    st.booleans(),
)
values = st.recursive(
    scalars | st.none(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)
keys = st.sampled_from(["a", "b", 'quote"', "back\\", "é", "attributes", ""]) | st.text(max_size=5)
objects = st.dictionaries(keys, values, max_size=12)


def batch(spans: list[tuple[dict[str, object], list[dict[str, object]] | None, int]]) -> SpanBatch:
    """Spans with attributes, events' attributes, and the place of their resource; an hour apart every third."""
    made = SpanBatch()
    for place, (attributes, events, resource) in enumerate(spans):
        made.attributes.append(orjson.dumps(attributes))
        made.events.append(
            None if events is None else orjson.dumps([{"name": "e", "time_unix_nano": "1", "attributes": one, "n": [{}]} for one in events])
        )
        made.resource.append(resource)
        made.start_time_unix_nano.append(1_790_000_000_000_000_000 + place % 3 * HOUR_NS + place)
    return made


def check(found: SpanBatch, applications: list[int]) -> None:
    """Every attribute that there is is found, in its span's piece."""
    pieces = compared(found, applications)
    filters = {piece.hashes: filter_of(piece.hashes) for piece in pieces if piece.hashes is not None}
    for hashes, (seed, made) in filters.items():
        assert made is not None
        assert (seed, made) == filter_of(hashes, compiled=False)
    for row, text in enumerate(found.attributes):
        start, application = found.start_time_unix_nano[row], applications[found.resource[row]]
        own = [
            p
            for p in pieces
            if p.application_id == application and p.start_ns <= start <= p.end_ns and p.start_ns // HOUR_NS == start // HOUR_NS
        ]
        (piece,) = own
        assert piece.hashes is not None
        own_hashes = set(unpacked(piece.hashes))
        seed, made = filters[piece.hashes]
        assert made is not None
        events = orjson.loads(found.events[row] or b"[]")
        for of_event, attributes in (
            (False, orjson.loads(text)),
            *((True, event["attributes"]) for event in events if "attributes" in event),
        ):
            for key, value in attributes.items():
                wanted = [key_hash(key, of_event=of_event)]
                if isinstance(value, str | int | float):
                    wanted.append(pair_hash(key, value, of_event=of_event))
                assert own_hashes.issuperset(wanted)
                assert all(holds(seed, made, number) for number in wanted)


@FEWER
@given(st.lists(st.tuples(objects, st.none() | st.lists(objects, max_size=2), st.integers(0, 2)), min_size=1, max_size=8))
def test_every_attribute_is_found(spans: list[tuple[dict[str, object], list[dict[str, object]] | None, int]]) -> None:
    check(batch(spans), [7, 8, 7])


@FEWER
@given(requests["traces"])
def test_every_attribute_of_a_request_is_found(request: Message) -> None:
    found = Decoder().decode(Signal.TRACES, request.SerializeToString(), Encoding.PROTOBUF)
    assert isinstance(found, SpanBatch)
    if len(found):
        check(found, [100 + place for place in range(len(found.resources))])


@USUAL
@given(objects, st.integers(0, 200), st.binary(max_size=3), st.booleans())
def test_what_is_no_json_leaves_nothing_known_or_harms_nothing(attributes: dict[str, object], at: int, put: bytes, cuts: bool) -> None:
    """The compiled part reads bytes that could only be there by a defect, and never behind their end."""
    broken = batch([(attributes, [attributes], 0)])
    for column in (broken.attributes, broken.events):
        text = column[0] or b""
        at = min(at, len(text))
        column[0] = text[:at] + put + (b"" if cuts else text[at + len(put) :])
    (piece,) = attribute_pairs.pieces(broken, [1])
    assert piece.span_count == 1


def test_an_unreadable_value_leaves_nothing_behind_for_the_next_span() -> None:
    spans = batch([({"a": 1}, None, 0), ({"long key": 1}, None, 0), ({"long key": 1}, None, 0)])
    spans.start_time_unix_nano[:] = [1_790_000_000_000_000_000] * 3
    for texts in ([b'{"a":x}', b'{"a":1}'], [b'{"a":1}', b'{"long key":x}']):
        spans.attributes[:2] = texts
        (piece,) = attribute_pairs.pieces(spans, [1])
        assert (piece.span_count, piece.hashes) == (3, None)


@FEWER
@given(st.lists(st.sets(st.integers(1, 2**32 - 1), max_size=50), max_size=5))
def test_pieces_are_merged_without_losing_a_hash(sets: list[set[int]]) -> None:
    pieces = [attribute_hashes.packed(one) for one in sets]
    both = [set(unpacked(attribute_hashes.merged(pieces, compiled=compiled))) for compiled in (True, False)]
    assert both[0] == both[1] == set().union(*sets)


@pytest.mark.parametrize("equal", [(200, 200.0), (1, True), (0, 0.0, False), (2**53 + 1, float(2**53)), (1e15, 10**15)])
def test_numbers_that_are_equal_in_jsonb_have_one_hash(equal: tuple[float, ...]) -> None:
    assert len({pair_hash("n", value) for value in equal}) == 1


def test_hashes_are_what_the_documentation_says() -> None:
    """They are stored: these may never change without a new version."""
    assert key_hash("http.route") == 0xB1C74248 == crc32(b"http.route")
    assert pair_hash("http.route", "/cart") == 0xF9D6B9BD == crc32(b'http.route":"/cart')
    assert pair_hash("http.status_code", 200) == 0x966FED9E
    assert key_hash("exception.type", of_event=True) == 0xF027F587
    assert parts(finalised(1, 0)) == (885181228, 1704364759, 1525936339, 208)
    assert parts(finalised(0xB1C74248, 3)) == (3310045179, 4286286818, 2086353685, 53)


def test_of_what_is_not_there_a_filter_holds_little() -> None:
    hashes = attribute_hashes.packed(range(1, 20_001))
    seed, made = filter_of(hashes)
    assert made is not None
    assert len(made) < 20_000 * 1.25
    assert sum(holds(seed, made, number) for number in range(100_000, 200_000)) < 500
