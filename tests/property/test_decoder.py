"""The decoder makes of every request what the reference makes of it."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.decoders import Decoder
from tests.property.comparing import SIGNALS, check
from tests.property.json_text import JsonWriter
from tests.property.profile import FEWER, USUAL
from tests.property.strategies import requests
from tests.property.wire import Writer, all_oddities, oddities, seeds
from tests.reference.requests import LISTS, REQUESTS
from tidegauge.otlp.encoding import Encoding

pytestmark = [pytest.mark.parametrize("signal", SIGNALS), pytest.mark.filterwarnings("ignore:Generating overly large repr")]
PART_BYTES = 1 << 18
"""Larger requests are decoded in parts."""


def test_every_serialisation_says_the_same(signal: str) -> None:
    """The writer of the tests below writes what the official reader reads."""

    @settings(FEWER)
    @given(requests[signal], seeds, all_oddities)
    def run(request: Message, seed: int, odd: frozenset[str]) -> None:
        read = REQUESTS[signal].FromString(Writer(seed, odd).write(request))
        read.DiscardUnknownFields()
        assert read.SerializeToString(deterministic=True) == request.SerializeToString(deterministic=True)

    run()


def test_protobuf(signal: str) -> None:
    @settings(USUAL)
    @given(requests[signal], seeds, all_oddities)
    def run(request: Message, seed: int, odd: frozenset[str]) -> None:
        check(Decoder(), signal, Writer(seed, odd).write(request))

    run()


def test_strings_that_are_not_utf8(signal: str) -> None:
    @settings(FEWER)
    @given(requests[signal], seeds, all_oddities, st.sampled_from([0.05, 0.5]))
    def run(request: Message, seed: int, odd: frozenset[str], share: float) -> None:
        check(Decoder(), signal, Writer(seed, odd, not_utf8=share).write(request))

    run()


def test_json(signal: str) -> None:
    @settings(USUAL)
    @given(requests[signal], seeds)
    def run(request: Message, seed: int) -> None:
        check(Decoder(), signal, JsonWriter(seed).write(request), Encoding.JSON)

    run()


def test_json_with_wrong_values(signal: str) -> None:
    @settings(FEWER)
    @given(requests[signal], seeds, st.sampled_from([0.01, 0.1]))
    def run(request: Message, seed: int, wrong: float) -> None:
        check(Decoder(), signal, JsonWriter(seed, wrong=wrong).write(request), Encoding.JSON)

    run()


def test_json_with_surrogates_alone(signal: str) -> None:
    @settings(FEWER)
    @given(requests[signal], seeds, st.sampled_from([0.05, 0.5]))
    def run(request: Message, seed: int, no_text: float) -> None:
        check(Decoder(), signal, JsonWriter(seed, no_text=no_text).write(request), Encoding.JSON)

    run()


def test_damaged_bytes(signal: str) -> None:
    """What is cut off or has a byte changed is refused whole, or read as the official reader reads it."""

    @settings(FEWER)
    @given(requests[signal], seeds)
    def run(request: Message, seed: int) -> None:
        random, body = Random(seed), bytearray(request.SerializeToString())
        if body and random.random() < 0.5:
            body[random.randrange(len(body))] = random.randrange(256)
        else:
            del body[random.randint(0, len(body)) :]
        check(Decoder(), signal, bytes(body))

    run()


def test_one_decoder_keeps_requests_apart(signal: str) -> None:
    """What it remembers of one request changes nothing in the next; also where it has room for little."""

    @settings(FEWER)
    @given(st.lists(requests[signal], min_size=1, max_size=3), seeds, st.sampled_from([0, 20_000, 64 << 20]))
    def run(sent: list[Message], seed: int, cache_bytes: int) -> None:
        random, decoder = Random(seed), Decoder(cache_bytes)
        for _ in range(5):
            request = random.choice(sent)
            if random.random() < 0.5:
                request = shuffled(request, random)
            odd = frozenset(random.sample(["order", "twice", "pieces", "unknown"], random.randint(0, 2)))
            if random.random() < 0.7:
                check(decoder, signal, Writer(seed, odd, not_utf8=random.choice([0, 0, 0.1])).write(request))
            else:
                check(decoder, signal, JsonWriter(seed).write(request), Encoding.JSON)

    run()


def test_order_of_attributes_is_no_part_of_identity(signal: str) -> None:
    @settings(FEWER)
    @given(requests[signal], seeds)
    def run(request: Message, seed: int) -> None:
        sent = [request, shuffled(request, Random(seed))]
        first, second = (Decoder().decode(SIGNALS[signal], each.SerializeToString(), Encoding.PROTOBUF) for each in sent)
        assert identities(first) == identities(second)

    run()


def test_requests_in_parts(signal: str) -> None:
    """Of large requests, too, rows and rejections are those of the whole."""

    @settings(FEWER, max_examples=max(3, FEWER.max_examples // 12))
    @given(requests[signal].filter(lambda request: any(True for _ in scopes_of(signal, request))), seeds, oddities)
    def run(request: Message, seed: int, odd: frozenset[str]) -> None:
        large = grown(signal, request)
        body = Writer(seed, odd).write(large)
        assert len(body) > PART_BYTES
        check(Decoder(), signal, body)

    run()


def scopes_of(signal: str, request: Any) -> Any:
    """Lists of items that are not empty."""
    name, items = LISTS[signal]
    for outer in getattr(request, f"resource_{name}"):
        for inner in getattr(outer, f"scope_{name}"):
            if getattr(inner, items):
                yield getattr(inner, items)


def grown(signal: str, request: Message) -> Message:
    """The request with one of its lists so often repeated that it is large; strings in it make that soon."""
    large = type(request)()
    large.CopyFrom(request)
    items = next(scopes_of(signal, large))
    few = [type(item).FromString(item.SerializeToString()) for item in items]
    for item in few:
        if signal == "logs":
            item.body.string_value = "x" * 3000
        elif signal == "traces":
            item.status.message = "x" * 3000
        else:
            item.description = "x" * 3000
    while large.ByteSize() <= PART_BYTES:
        items.extend(few)
    return large


def shuffled(message: Any, random: Random) -> Any:
    """A message with all key-values in it in another order."""
    found = type(message)()
    found.CopyFrom(message)
    _shuffle(found, random)
    return found


def _shuffle(message: Any, random: Random) -> None:
    for field, value in message.ListFields():
        if not field.message_type:
            continue
        for nested in value if field.is_repeated else [value]:
            _shuffle(nested, random)
        if field.message_type.name == "KeyValue":
            pairs = [type(pair).FromString(pair.SerializeToString()) for pair in value]
            random.shuffle(pairs)
            del value[:]
            value.extend(pairs)


def identities(batch: Any) -> list[list[Any]]:
    """Of resources, scopes and series, in their order."""
    return [[entry.identity for entry in getattr(batch, name, [])] for name in ("resources", "scopes", "series")]
