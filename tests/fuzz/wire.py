"""Mutations that know protobuf's wire format, so that most of a request stays readable around what is changed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

NUMBERS = [0, 1, 2, 127, 128, 2**15 - 1, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1]
FIXED = [
    bytes(8),
    b"\xff" * 8,
    b"\xff" * 7 + b"\x7f",
    bytes(7) + b"\x80",
    bytes(6) + b"\xf0\x7f",
    bytes(6) + b"\xf8\xff",
    b"\x01" + bytes(7),
]
STRINGS = [
    b"",
    b"\0",
    b"a\0b",
    b"\xff",
    b"caf\xe9",
    b"\xed\xa0\x80",
    "é😀".encode(),
    b"\\u0000",
    b"\n,\n",
    b'"',
    bytes(16),
    b"\x01" * 16,
    b"x" * 700,
]
DEEPEST = 400


class Place(NamedTuple):
    """A field of a message: where its tag, its length, its value and what follows begin; ``around`` has the fields it is in."""

    start: int
    length: int
    value: int
    end: int
    wire_type: int
    around: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Body:
    """A request with the places of its fields, at all depths."""

    raw: bytes
    places: tuple[Place, ...]

    @classmethod
    def of(cls, raw: bytes) -> Body:
        """Fields of what can be read as messages; of strings that can, too."""
        places: list[Place] = []
        with suppress(ValueError):
            _find(raw, 0, len(raw), (), places)
        return cls(raw, tuple(places))


def varint(number: int) -> bytes:
    """A number as protobuf writes it."""
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)


def _read_varint(raw: bytes, position: int, end: int) -> tuple[int, int]:
    number = shift = 0
    while position < end and shift < 70:
        byte = raw[position]
        number |= (byte & 127) << shift
        position += 1
        if byte < 128:
            return number, position
        shift += 7
    raise ValueError


def _find(raw: bytes, position: int, end: int, around: tuple[tuple[int, int, int], ...], places: list[Place]) -> None:
    """Append the fields between two places; raises ValueError, and appends nothing, where this is no message."""
    found: list[Place] = []
    while position < end:
        start = position
        tag, position = _read_varint(raw, position, end)
        wire_type, length, value = tag & 7, position, position
        if wire_type == 0:
            _, position = _read_varint(raw, position, end)
        elif wire_type == 2:
            size, value = _read_varint(raw, position, end)
            position = value + size
        elif wire_type in (1, 5):
            position += 8 if wire_type == 1 else 4
        else:
            raise ValueError
        if position > end or not tag >> 3:
            raise ValueError
        found.append(Place(start, length, value, position, wire_type, around))
        if wire_type == 2 and position > value and len(around) < 40:
            with suppress(ValueError):
                _find(raw, value, position, (*around, (length, value, position)), found)
    places += found


def replaced(raw: bytes, start: int, end: int, new: bytes, around: tuple[tuple[int, int, int], ...]) -> bytes:
    """The request with other bytes in a place, and the lengths of all that is around it made right."""
    for length_start, value, stop in reversed(around):
        content = raw[value:start] + new + raw[end:stop]
        new, start, end = varint(len(content)) + content, length_start, stop
    return raw[:start] + new + raw[end:]


def mutated(body: Body, others: Body, random: Random) -> bytes:
    """A request with one field changed; ``others`` is where strange fields come from."""
    raw = body.raw
    if not body.places:
        return raw + (others.raw if random.random() < 0.5 else random.randbytes(random.randint(1, 12)))
    place = random.choice(body.places)
    whole = raw[place.start : place.end]
    kind = random.randrange(16)
    if kind == 0:
        return replaced(raw, place.start, place.end, b"", place.around)
    if kind == 1:
        return replaced(raw, place.start, place.end, whole * _often(len(whole), random), place.around)
    if kind == 2:  # another field of the same message in its place, or what it was before it
        other = random.choice(body.places)
        return replaced(raw, place.start, place.end, raw[other.start : other.end] + (whole if random.random() < 0.5 else b""), place.around)
    if kind == 3 and others.places:
        other = random.choice(others.places)
        return replaced(raw, place.start, place.start, others.raw[other.start : other.end], place.around)
    if kind == 4:  # a length that is wrong, and nothing around it that knows
        return raw[: place.length] + varint(random.choice(NUMBERS)) + raw[place.value :]
    if kind == 5:  # another tag
        tag = varint(random.randint(1, 20) << 3 | random.choice([place.wire_type, place.wire_type, random.randrange(8)]))
        return replaced(raw, place.start, place.length, tag, place.around)
    if kind == 6 and place.wire_type == 2:
        return replaced(raw, place.length, place.end, _nested(raw[place.value : place.end], random), place.around)
    return replaced(raw, place.length, place.end, _value(place, raw, random), place.around)


def _often(size: int, random: Random) -> int:
    """How often a field is repeated: mostly a few times, seldom until the request is large."""
    if random.random() < 0.97:
        return random.randint(2, 8)
    target = 1 << random.randint(10, 17) if random.random() < 0.97 else 1 << random.randint(18, 22)
    return 2 + target // max(size, 1)


def _nested(content: bytes, random: Random) -> bytes:
    """A value within values: AnyValue.array_value.values, or kvlist_value.values.value; or anything within anything."""
    for _ in range(random.choice([1, 2, 30, 60, random.randint(1, DEEPEST)])):
        inner = b"\x0a" + varint(len(content)) + content
        tag = random.choice([b"\x2a", b"\x2a", b"\x0a", b"\x32"])
        if tag == b"\x32":
            inner = b"\x0a" + varint(len(content) + 1 + len(varint(len(content)))) + b"\x12" + varint(len(content)) + content
        content = tag + varint(len(inner)) + inner
        if len(content) > 50_000:
            break
    return varint(len(content)) + content


def _value(place: Place, raw: bytes, random: Random) -> bytes:
    """Other bytes for a value; of strings with their length."""
    if place.wire_type == 0:
        number = varint(random.choice(NUMBERS))
        return number if random.random() < 0.9 else number[:-1] + bytes([number[-1] | 128]) + b"\x80" * random.randint(0, 9) + b"\0"
    if place.wire_type in (1, 5):
        return random.choice(FIXED)[: place.end - place.value]
    content = random.choice(STRINGS) if random.random() < 0.7 else raw[place.value : place.end] + random.choice(STRINGS)
    return varint(len(content)) + content
