"""Large protobuf requests in parts: cut by their wire format (https://protobuf.dev/programming-guides/encoding/), parsed one by one.

A parsed message takes many times its bytes: an empty event has 2 and becomes an object of 400. What is parsed at once is therefore bounded:
a part is at most ``2 * PART_BYTES``, or one item that is larger by itself and has at most ``PART_FIELDS`` messages and list elements.
Only sizes are read here. It costs 0.1 µs an item, and requests that are no larger than one part nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias, Union

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from tidegauge.errors import InvalidArgument

PART_BYTES = 1 << 17
"""Items are gathered up to this many bytes; about 300 spans."""
PART_FIELDS = 1 << 17
"""As many as ``2 * PART_BYTES`` can have, of 2 bytes each. A span with 128 events and 128 links of 128 attributes each has half of it."""
HEAD_FIELDS = 1000
HEAD_BYTES = 1 << 20
"""Of what stands around a list of items: a resource, a scope, a metric's name. It is read again with every part."""
LIST_ITEMS = 1 << 20
"""Items that one message may have in a list."""

_LENGTH = 2
"""Wire type of strings, bytes, messages and packed numbers."""
_UNKNOWN = -1
Levels: TypeAlias = Mapping[int, "Levels"]
"""Where to cut: the tags of fields that hold lists of items, and what is in them. All fields have numbers below 16: a tag is one byte."""
Piece: TypeAlias = bytes | memoryview
Shape: TypeAlias = dict[int, Union["Shape", int]]
"""Of a message, by field number: a message's shape, the least size of an element of a repeated number, or 0 for what is there once."""
_ITEM: Levels = {}
_ITEMS: Levels = {0x0A: {0x12: {0x12: _ITEM}}}
_POINTS: Levels = {0x0A: _ITEM}
_METRIC: Levels = {0x2A: _POINTS, 0x3A: _POINTS, 0x4A: _POINTS, 0x52: _POINTS, 0x5A: _POINTS}
SPANS = LOG_RECORDS = _ITEMS
"""Export…ServiceRequest.resource_… (1), .scope_… (2), .spans or .log_records (2)"""
METRICS: Levels = {0x0A: {0x12: {0x12: _METRIC}}}
"""Likewise .metrics (2), .gauge (5), .sum (7), .histogram (9), .exponential_histogram (10), .summary (11), .data_points (1)"""


def parts(body: bytes, levels: Levels, shape: Shape) -> Iterator[bytes]:
    """Requests that together hold what ``body`` does, in its order. Resource and scope are in each part that has items of them.

    Raises:
        InvalidArgument: the body is malformed, or larger in memory than it has any reason to be. Parts may have been given before.

    """
    if len(body) <= 2 * PART_BYTES:
        yield body
        return
    try:
        for pieces in _cut(body, 0, len(body), levels):
            part = b"".join(pieces)
            del pieces
            if len(part) > 2 * PART_BYTES:
                _check_fields(part, shape)
            yield part
    except IndexError as error:
        raise _corrupt(len(body)) from error


def shape_of(descriptor: Descriptor, known: dict[str, Shape] | None = None) -> Shape:
    """The shape of a message and of all in it."""
    known = {} if known is None else known
    shape = known.get(descriptor.full_name)
    if shape is None:
        shape = known[descriptor.full_name] = {}
        for field in descriptor.fields:
            if field.message_type:
                shape[field.number] = shape_of(field.message_type, known)
            elif not field.is_repeated:
                shape[field.number] = 0
            elif field.type in (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FIXED64):
                shape[field.number] = 8
            else:
                shape[field.number] = 1
    return shape


def _cut(body: bytes, start: int, end: int, levels: Levels) -> Iterator[list[Piece]]:
    """A message in messages of its type that are at most ``PART_BYTES`` and what stands around the list, or hold one item.

    Each comes in pieces, to be joined once: one item may be as large as the body.
    """
    view = memoryview(body)
    if end - start <= PART_BYTES or not levels:
        yield [view[start:end]]
        return
    head, ranges = _ranges(body, start, end, levels)
    for tag, first, last in ranges:
        if not tag:
            yield [head, view[first:last]]
            continue
        for part in _cut(body, first, last, levels[tag]):
            yield [head, bytes([tag]), _varint(sum(map(len, part))), *part]
    if not ranges:
        yield [head]


def _ranges(body: bytes, start: int, end: int, levels: Levels) -> tuple[bytes, list[tuple[int, int, int]]]:
    """Fields that are not cut, and where the others are: (0, first, last) of whole fields, (tag, first, last) of one large value."""
    head: list[bytes] = []
    ranges: list[tuple[int, int, int]] = []
    position = run = start
    items = 0
    while position < end:
        tag = body[position]
        if tag in levels:
            items += 1
            # Nearly all items have sizes of one or two bytes.
            value, size = position + 2, body[position + 1]
            if size > 127:
                value, more = position + 3, body[position + 2]
                size = size & 127 | more << 7
                if more > 127:
                    size, value = _read_varint(body, position + 1)
            after = value + size
            if after - run > PART_BYTES:
                ranges.append((0, run, position))
                run = position
                if size > PART_BYTES:
                    ranges.append((tag, value, after))
                    run = after
                if items > LIST_ITEMS:
                    raise _too_many(f"more than {LIST_ITEMS} items in one list")
        else:
            after = field_end(body, position)
            ranges.append((0, run, position))
            head.append(body[position:after])
            run = after
            if len(head) > HEAD_FIELDS or after - position > HEAD_BYTES:
                raise _too_many(f"a resource, scope or metric of more than {HEAD_FIELDS} fields or {HEAD_BYTES} bytes")
        position = after
    if position > end:
        raise _corrupt(len(body))
    ranges.append((0, run, end))
    return b"".join(head), [found for found in ranges if found[1] < found[2]]


def _check_fields(body: bytes, shape: Shape) -> None:
    """Refuse a message of more than ``PART_FIELDS`` messages and list elements. Stops counting there."""
    found = 0
    waiting: list[tuple[int, int, Shape]] = [(0, len(body), shape)]
    while waiting:
        position, end, fields = waiting.pop()
        while position < end:
            tag, value = _read_varint(body, position)
            # protobuf keeps what it does not know.
            kind = fields.get(tag >> 3, _UNKNOWN)
            position = after = field_end(body, position)
            if kind == _UNKNOWN or tag & 7 != _LENGTH:
                found += kind != 0
            elif isinstance(kind, dict):
                found += 1
                waiting.append((_read_varint(body, value)[1], after, kind))
            elif kind:
                found += (after - value) // kind
            if found > PART_FIELDS:
                raise _too_many(f"an item, or what stands around it, of {len(body)} bytes has more than {PART_FIELDS} values")
        if position > end:
            raise _corrupt(len(body))


def field_end(body: bytes, position: int) -> int:
    """Where the field ends that begins here.

    Raises:
        InvalidArgument: it is no field.
        IndexError: the body ends within its head.

    """
    tag, value = _read_varint(body, position)
    match tag & 7:
        case 0:
            return _read_varint(body, value)[1]
        case 1:
            return value + 8
        case 2:
            size, value = _read_varint(body, value)
            return value + size
        case 5:
            return value + 4
    raise _corrupt(len(body))


def _read_varint(body: bytes, position: int) -> tuple[int, int]:
    """A number, and where it ends."""
    number = shift = 0
    while True:
        byte = body[position]
        position += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, position
        shift += 7
        if shift > 63:
            raise _corrupt(len(body))


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)


def _corrupt(size: int) -> InvalidArgument:
    return InvalidArgument(f"the body of {size} bytes is not protobuf: the wire format is corrupt")


def _too_many(what: str) -> InvalidArgument:
    return InvalidArgument(f"the body has {what}", hint="send smaller batches")
