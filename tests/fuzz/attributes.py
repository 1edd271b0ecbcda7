"""What is fuzzed beside the receivers: the attribute index's reading of JSON, as decoders write it and damaged, and its filters.

``python -m tests.fuzz --target tests.fuzz.attributes:attributes`` runs it. The compiled part and Python have to say the same of what is
JSON; of what is not, that nothing is known, or no less than Python knows.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any
from zlib import crc32

import orjson

from tests.fuzz.cases import Case, Wrong
from tests.fuzz.comparing import ENCODINGS, SIGNALS
from tests.fuzz.mutate import damaged
from tests.property.attribute_pieces import compared, holds
from tidegauge.errors import TidegaugeError
from tidegauge.model.batch import Signal, SpanBatch
from tidegauge.otlp.decode import Decoder
from tidegauge.otlp.encoding import Encoding
from tidegauge.storage.postgres import attribute_hashes, attribute_pairs
from tidegauge.storage.postgres.attribute_hashes import packed, unpacked

KEYS = ["a", "b", "http.route", "attributes", "", 'quo"te', "back\\", "é", "\u2028", "\x01", "k" * 300]
SCALARS = [
    *(0, -1, 1, 10**17, -(10**17), 10**18, 2**63 - 1, -(2**63), 2**53 + 1, 123456789012345),
    *(0.0, -0.0, 0.1, 1e15, 1e16, 1e300, 5e-324, -1.7976931348623157e308, 0.30000000000000004, 12345678.90123),
    *(True, False, None, "", "x", '"', "\\", '\\"', "\n,\n", "}", "é😀", "x" * 700, "1", "null"),
]
VALUES: list[Any] = [*SCALARS, [], {}, [1, "]", [{}]], {"a": {"}": "["}}, [[[[]]]]]
STUMPS = [
    b"",
    b"\0",
    b"{",
    b"[",
    b'{"',
    b'{"a',
    b'{"a"',
    b'{"a":',
    b'{"a":-',
    b'{"a":1',
    b'{"a":x}',
    b'{"a":"\\',
    b"[{",
    b'[{"attributes":',
]
HOUR_NS = 3_600_000_000_000
LARGEST_FILTER = 20_000


class Attributes:
    """The scanner and the filters; ``run`` raises Wrong where the two ways disagree."""

    def __init__(self) -> None:
        self._decoder = Decoder(1 << 20)

    async def run(self, case: Case) -> None:
        """What the request has of spans, and what is made of spans with its bytes for a seed."""
        random = Random(crc32(case.body))
        try:
            spans = self._decoded(case)
            if spans is not None:
                compared(spans, range(len(spans.resources)))
            made = spans if spans is not None and random.random() < 0.5 else _made(case.body, random)
            pieces = compared(made, range(9))
            self._damage(made, random)
            _check_filters([piece.hashes for piece in pieces if piece.hashes is not None], case.body, random)
        except AssertionError as error:
            raise Wrong(str(error)[:300]) from None

    def _decoded(self, case: Case) -> SpanBatch | None:
        encoding = Encoding.PROTOBUF if case.method == b"GRPC" else ENCODINGS.get(dict(case.headers).get(b"content-type", b""))
        if encoding is None or SIGNALS.get(case.path) != "traces" or len(case.body) > 100_000:
            return None
        try:
            found = self._decoder.decode(Signal.TRACES, case.body, encoding)
        except TidegaugeError:
            return None
        assert isinstance(found, SpanBatch)
        return found if 0 < len(found.resources) <= 9 and len(found) else None

    def _damage(self, spans: SpanBatch, random: Random) -> None:
        for column in (spans.attributes, spans.events):
            for row, text in enumerate(column):
                if text is not None and random.random() < 0.3:
                    column[row] = _broken(text, random)
        ways = [
            {(p.application_id, p.start_ns, p.end_ns, p.span_count): p for p in attribute_pairs.pieces(spans, range(9), compiled=compiled)}
            for compiled in (True, False)
        ]
        assert ways[0].keys() == ways[1].keys()
        if any(text is not None and _is_of_others(text) for column in (spans.attributes, spans.events) for text in column):
            return
        for key, piece in ways[0].items():
            expected = ways[1][key].hashes
            if piece.hashes is not None and expected is not None:
                assert set(unpacked(piece.hashes)) >= set(unpacked(expected)), "less is known than there is"


def _is_of_others(text: bytes) -> bool:
    """Whether it is JSON, but not as the store writes it: what is escaped without need is another text to the scanner."""
    try:
        return orjson.dumps(orjson.loads(text)) != text
    except orjson.JSONDecodeError:
        return False


def _made(body: bytes, random: Random) -> SpanBatch:
    """Spans of a few applications and hours; now and then something very large."""
    spans = SpanBatch()
    own = body[:400].decode("utf-8", "replace").replace("\0", "")
    keys = [*KEYS, own[:40], own[40:60]]
    values = [*VALUES, own, own[:20]]
    count = random.choice([1, 2, 5, 40]) if random.random() < 0.99 else random.randint(2047, 4200)
    base = [_object(keys, values, random) for _ in range(3)]
    for row in range(count):
        attributes = random.choice(base) if random.random() < 0.6 else _object(keys, values, random)
        spans.attributes.append(orjson.dumps(attributes))
        events = None if random.random() < 0.7 else [_event(keys, values, random) for _ in range(random.choice([0, 1, 3]))]
        spans.events.append(None if events is None else orjson.dumps(events))
        spans.resource.append(random.randrange(2 if count < 100 else 1))
        spans.start_time_unix_nano.append(1_790_000_000_000_000_000 + (row % 2 * HOUR_NS if random.random() < 0.1 else 0) + row)
    if random.random() < 0.02:
        spans.attributes[0] = orjson.dumps(_large(random))
    return spans


def _object(keys: list[str], values: list[Any], random: Random) -> dict[str, Any]:
    return {random.choice(keys): random.choice(values) for _ in range(random.choice([0, 1, 2, 5, 12, 40]))}


def _event(keys: list[str], values: list[Any], random: Random) -> dict[str, Any]:
    event = {"name": random.choice(KEYS), "time_unix_nano": "1", "attributes": _object(keys, values, random)}
    return event if random.random() < 0.9 else {**event, "dropped_attributes_count": 7}


def _large(random: Random) -> dict[str, Any]:
    match random.randrange(4):
        case 0:
            return {"k" * random.randint(1, 1 << 20): "v"}
        case 1:
            return {f"key.{number}": number for number in range(random.choice([511, 512, 513, 6000]))}
        case 2:
            return {"text": '"\\' * random.randint(1, 1 << 18)}
        case _:
            nested: Any = 1
            for _ in range(random.randint(1, 200)):
                nested = [nested] if random.random() < 0.5 else {"]": nested}
            return {"deep": nested}


def _broken(text: bytes, random: Random) -> bytes:
    kind = random.randrange(10)
    if kind == 0:
        return text[: random.randint(0, len(text))]
    if kind == 1:
        return random.choice(STUMPS)
    if kind == 2:
        return b'{"a":' + random.choice([b"[", b"{", b'[{"', b'"\\"']) * random.choice([3, 500, 100_000]) + b"}"
    if kind == 3:
        return b'{"a":' + random.choice([b"1", b"-9", b"1.", b"1e", b".5", b"0x1F", b"1E+", b"9" * random.randint(14, 5000)]) + text[-3:]
    if kind == 4:
        return text.replace(b"a", random.choice([b"\xff", b"\xc3", b"\0", b"\\", b'"']))
    return damaged(text, random)


def _check_filters(pieces: Sequence[bytes], body: bytes, random: Random) -> None:
    """Of the pieces, of a few numbers, and of whatever bytes."""
    few = packed({random.randrange(1, 2**32) for _ in range(random.choice([0, 1, 2, 3, 50]))})
    whole = attribute_hashes.merged([*pieces, few])
    assert set(unpacked(whole)) == set(unpacked(attribute_hashes.merged([*pieces, few], compiled=False))), "merged"
    chosen = whole[: 4 * random.randint(0, len(whole) // 4)] if random.random() < 0.9 else whole[: 4 * LARGEST_FILTER]
    for hashes in (few, chosen):
        seed, made = attribute_hashes.filter_of(hashes)
        assert made is not None, "no filter"
        assert all(holds(seed, made, number) for number in unpacked(hashes)[:200]), "a hash is not in its filter"
        assert attribute_hashes.split(hashes, made, seed) == (hashes, b""), "a hash is not in its filter"
        if len(hashes) < 4000:
            assert (seed, made) == attribute_hashes.filter_of(hashes, compiled=False), "filters"
            other = body[: random.randint(0, 200)]
            assert attribute_hashes.split(hashes, other, seed) == attribute_hashes.split(hashes, other, seed, compiled=False), "split"
    strange = body[: random.randint(0, 2000)]
    try:
        expected = attribute_hashes.filter_of(strange, compiled=False)
    except struct.error:
        attribute_hashes.filter_of(strange)
        attribute_hashes.merged([strange, whole])
        return
    assert attribute_hashes.filter_of(strange) == expected, "filters of strange bytes"


@asynccontextmanager
async def attributes() -> AsyncIterator[Attributes]:
    """A target for the runner."""
    yield Attributes()
