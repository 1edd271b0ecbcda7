"""Messages in all serialisations that protobuf readers have to take (https://protobuf.dev/programming-guides/encoding/).

Fields in any order, scalars sent twice (the last counts), messages in pieces (they are merged), defaults written out, packed and unpacked
numbers, varints longer than they need be, unknown fields; and strings that are not UTF-8, which are no protobuf but sent all the same.
"""

from __future__ import annotations

import struct
from random import Random
from typing import Any

from google.protobuf.descriptor import FieldDescriptor as Field
from hypothesis import strategies as st

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
ODDITIES = ("order", "twice", "pieces", "defaults", "unpacked", "unknown")
RARE = ("groups", "long varints")
"""No writer of proto3 makes these."""
oddities = st.sets(st.sampled_from(ODDITIES)).map(frozenset)
all_oddities = st.sets(st.sampled_from(ODDITIES + RARE)).map(frozenset)
seeds = st.integers(0, 2**32 - 1)
_NOT_UTF8 = [b"\xff", b"caf\xe9", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"a\xe2\x82", b"\x80\0"]


class Writer:
    """Writes messages with oddities, each with a probability of a quarter wherever it can stand."""

    def __init__(self, seed: int, odd: frozenset[str], *, not_utf8: float = 0.0) -> None:
        self._random = Random(seed)
        self._odd = odd
        self._not_utf8 = not_utf8

    def write(self, message: Any, *, whole: bool = True) -> bytes:
        """Bytes of a message; one that is not whole is merged with others, in which its defaults may stand otherwise."""
        fields: list[tuple[int, bytes]] = []
        odd = self._odd
        if message.DESCRIPTOR.name == "Metric" and message.WhichOneof("data") is None:
            # What is unknown in a metric itself may be its data; what is unknown further down is not.
            self._odd = odd - {"unknown", "groups"}
        for field, value in message.ListFields():
            fields += self._field(field, value)
        if whole and self._is("defaults"):
            fields += [(field.number, self._default(field)) for field in message.DESCRIPTOR.fields if self._has_default(message, field)]
        self._odd = odd
        if self._is("unknown"):
            fields.append((0, self._unknown()))
        if self._is("groups"):
            fields.append((0, self._varint(1000 << 3 | 3) + b"\x08\x01" + self._varint(1000 << 3 | 4)))
        if self._is("order"):
            fields = self._shuffled(fields)
        return b"".join(raw for _, raw in fields)

    def _is(self, oddity: str) -> bool:
        return oddity in self._odd and self._random.random() < 0.25

    def _shuffled(self, fields: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
        """Any order in which those of one number keep theirs."""
        numbers = [number for number, _ in fields]
        self._random.shuffle(numbers)
        queues = {number: [raw for found, raw in fields if found == number] for number in numbers}
        return [(number, queues[number].pop(0)) for number in numbers]

    def _field(self, field: Any, value: Any) -> list[tuple[int, bytes]]:
        if field.is_repeated and field.cpp_type in (Field.CPPTYPE_MESSAGE, Field.CPPTYPE_STRING):
            return [(field.number, self._one(field, element)) for element in value]
        if field.is_repeated:
            return self._numbers(field, list(value))
        if field.message_type and self._is("pieces"):
            return [(field.number, self._length_delimited(field, piece)) for piece in self._pieces(value)]
        found = [(field.number, self._one(field, value))]
        if self._is("twice") and not field.message_type:
            found.insert(0, (field.number, self._default(field)))
        return found

    def _pieces(self, message: Any) -> list[bytes]:
        """Messages that merged are the message."""
        first, second, third = (type(message)() for _ in range(3))
        for field, value in message.ListFields():
            if field.is_repeated:
                cut = self._random.randint(0, len(value))
                getattr(first, field.name).extend(value[:cut])
                getattr(second, field.name).extend(value[cut:])
            elif field.message_type:
                getattr(self._random.choice([first, second]), field.name).CopyFrom(value)
            else:
                setattr(self._random.choice([first, second]), field.name, value)
        return [
            self.write(piece, whole=False)
            for piece in self._random.choice([(first, second), (first, second, third), (third, first, second)])
        ]

    def _numbers(self, field: Any, values: list[Any]) -> list[tuple[int, bytes]]:
        if not self._is("unpacked"):
            return [(field.number, self._length_delimited(field, b"".join(self._scalar(field, value)[1] for value in values)))]
        cut = self._random.randint(0, len(values))
        packed = self._length_delimited(field, b"".join(self._scalar(field, value)[1] for value in values[cut:]))
        return [(field.number, self._one(field, value)) for value in values[:cut]] + [(field.number, packed)]

    def _one(self, field: Any, value: Any) -> bytes:
        if field.message_type:
            return self._length_delimited(field, self.write(value))
        if field.cpp_type == Field.CPPTYPE_STRING:
            return self._length_delimited(field, value if isinstance(value, bytes) else self._text(value))
        wire_type, raw = self._scalar(field, value)
        return self._varint(field.number << 3 | wire_type) + raw

    def _text(self, value: str) -> bytes:
        if self._random.random() >= self._not_utf8:
            return value.encode()
        raw = value.encode()
        cut = self._random.randint(0, len(raw))
        return raw[:cut] + self._random.choice(_NOT_UTF8) + raw[cut:]

    def _length_delimited(self, field: Any, raw: bytes) -> bytes:
        return self._varint(field.number << 3 | LENGTH) + self._varint(len(raw)) + raw

    def _scalar(self, field: Any, value: Any) -> tuple[int, bytes]:
        if field.type == Field.TYPE_DOUBLE:
            return FIXED64, struct.pack("<d", value)
        if field.type == Field.TYPE_FIXED64:
            return FIXED64, struct.pack("<Q", value)
        if field.type == Field.TYPE_SFIXED64:
            return FIXED64, struct.pack("<q", value)
        if field.type == Field.TYPE_FIXED32:
            return FIXED32, struct.pack("<I", value)
        if field.type == Field.TYPE_SINT32:
            return VARINT, self._varint(((value << 1) ^ (value >> 31)) & 0xFFFFFFFF)
        return VARINT, self._varint(int(value) % 2**64)

    def _varint(self, number: int) -> bytes:
        found = bytearray()
        while number > 127:
            found.append(number & 127 | 128)
            number >>= 7
        found.append(number)
        # A tag or length has at most five bytes, a number ten.
        if self._is("long varints") and len(found) < 4:
            found[-1] |= 128
            found.append(0)
        return bytes(found)

    def _has_default(self, message: Any, field: Any) -> bool:
        """Whether a field may be written as its default without a change of the message."""
        return not (field.is_repeated or field.message_type or field.has_presence or getattr(message, field.name))

    def _default(self, field: Any) -> bytes:
        if field.cpp_type == Field.CPPTYPE_STRING:
            return self._length_delimited(field, b"")
        return self._one(field, 0)

    def _unknown(self) -> bytes:
        number, kind = self._random.choice([100, 1000, 536_870_911]), self._random.choice([VARINT, FIXED64, LENGTH, FIXED32])
        return self._varint(number << 3 | kind) + {VARINT: b"\x07", FIXED64: bytes(8), FIXED32: bytes(4), LENGTH: b"\x03\xff\xfe\xfd"}[kind]
