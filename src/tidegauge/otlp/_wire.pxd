"""Protobuf's wire format (https://protobuf.dev/programming-guides/encoding/), read with a look at the end of the message before each byte.

Everything here is inline: whoever cimports it needs nothing at run time. Nothing here raises or makes objects. What a reader is not sure
that protobuf's own parser takes, and takes as it does, it declines: that parser then has its say.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy


cdef enum Outcome:
    # What a reader says of a message.
    FINE = 0
    ODD = 1  # it is out of the ordinary, and may be malformed within: to be read once more from its official message
    DECLINED = 2  # it is malformed, or of a form that is not read here: the part of the request is to be read by Python


cdef enum Wire:
    # Wire types. Groups (3, 4) are declined.
    VARINT = 0
    FIXED64 = 1
    LENGTH = 2
    FIXED32 = 5


cdef struct Cursor:
    # What is left of a message.
    const uint8_t *at
    const uint8_t *end


cdef inline size_t left(const Cursor *cursor) noexcept nogil:
    """Bytes that are left."""
    return <size_t>(cursor.end - cursor.at)


cdef inline bint read_varint(Cursor *cursor, uint64_t *value) noexcept nogil:
    """A number of 64 bits in at most 10 bytes; false where there is none."""
    cdef uint64_t found
    cdef uint8_t byte
    cdef int shift = 7
    if cursor.at >= cursor.end:
        return False
    byte = cursor.at[0]
    cursor.at += 1
    if byte < 128:
        value[0] = byte
        return True
    found = byte & 127
    while cursor.at < cursor.end:
        byte = cursor.at[0]
        cursor.at += 1
        if shift == 63 and byte > 1:
            return False
        found |= <uint64_t>(byte & 127) << shift
        if byte < 128:
            value[0] = found
            return True
        shift += 7
        if shift > 63:
            return False
    return False


cdef inline bint read_tag(Cursor *cursor, uint32_t *number, int *wire) noexcept nogil:
    """A field's number and wire type; false where it is none, or a group's."""
    cdef const uint8_t *before = cursor.at
    cdef uint64_t tag
    if not read_varint(cursor, &tag) or cursor.at - before > 5 or tag > 0xFFFFFFFFU:
        return False
    number[0] = <uint32_t>(tag >> 3)
    wire[0] = <int>(tag & 7)
    return number[0] != 0 and (wire[0] <= LENGTH or wire[0] == FIXED32)


cdef inline bint read_inner(Cursor *cursor, Cursor *inner) noexcept nogil:
    """The bytes of a field with a length; false where they are not all there."""
    cdef const uint8_t *before = cursor.at
    cdef uint64_t size
    if not read_varint(cursor, &size) or cursor.at - before > 5 or size > left(cursor):
        return False
    inner.at = cursor.at
    cursor.at += size
    inner.end = cursor.at
    return True


cdef inline bint read_fixed64(Cursor *cursor, uint64_t *value) noexcept nogil:
    """Eight bytes, little-endian."""
    cdef const uint8_t *at = cursor.at
    if left(cursor) < 8:
        return False
    value[0] = (
        <uint64_t>at[0] | <uint64_t>at[1] << 8 | <uint64_t>at[2] << 16 | <uint64_t>at[3] << 24
        | <uint64_t>at[4] << 32 | <uint64_t>at[5] << 40 | <uint64_t>at[6] << 48 | <uint64_t>at[7] << 56
    )
    cursor.at += 8
    return True


cdef inline bint read_double(Cursor *cursor, double *value) noexcept nogil:
    """Eight bytes of a float."""
    cdef uint64_t bits
    if not read_fixed64(cursor, &bits):
        return False
    memcpy(value, &bits, 8)
    return True


cdef inline bint read_fixed32(Cursor *cursor, uint32_t *value) noexcept nogil:
    """Four bytes, little-endian."""
    cdef const uint8_t *at = cursor.at
    if left(cursor) < 4:
        return False
    value[0] = <uint32_t>at[0] | <uint32_t>at[1] << 8 | <uint32_t>at[2] << 16 | <uint32_t>at[3] << 24
    cursor.at += 4
    return True


cdef inline bint skip_value(Cursor *cursor, int wire) noexcept nogil:
    """Over the value of a field that is not known, or not looked at; false where it is not all there."""
    cdef uint64_t ignored
    cdef Cursor inner
    if wire == VARINT:
        return read_varint(cursor, &ignored)
    if wire == LENGTH:
        return read_inner(cursor, &inner)
    cdef size_t size = 8 if wire == FIXED64 else 4
    if (wire != FIXED64 and wire != FIXED32) or left(cursor) < size:
        return False
    cursor.at += size
    return True


cdef inline bint is_zero(const Cursor *inner) noexcept nogil:
    """Whether all bytes are zero, as those of an id that means nothing."""
    cdef const uint8_t *at = inner.at
    while at < inner.end:
        if at[0]:
            return False
        at += 1
    return True


cdef enum Text:
    # What is in a text; none of it: only ASCII that JSON writes as it is.
    PLAIN = 0
    ESCAPED = 1  # what JSON escapes: control characters, quotes, backslashes
    NUL = 2  # NUL, which PostgreSQL's texts cannot have; then also ESCAPED
    WIDE = 4  # other than ASCII: it has still to be checked by is_utf8


cdef inline int text_of(const Cursor *inner) noexcept nogil:
    """What is in a text, as a sum of ``Text``."""
    cdef const uint8_t *at = inner.at
    cdef const uint8_t *until
    cdef uint64_t word, low = 0x0101010101010101ULL, high = 0x8080808080808080ULL, quote, slash
    cdef int found = PLAIN
    cdef uint8_t byte
    while at < inner.end:
        until = inner.end
        if inner.end - at >= 8:
            # Eight at once: a byte below 0x20, or equal to one that is looked for, borrows from its own high bit.
            memcpy(&word, at, 8)
            quote, slash = word ^ (low * 0x22), word ^ (low * 0x5C)
            if not (word | ((word - low * 0x20) | (quote - low) | (slash - low)) & ~word) & high:
                at += 8
                continue
            until = at + 8
        while at < until:
            byte = at[0]
            at += 1
            if byte >= 128:
                found |= WIDE
            elif byte < 0x20 or byte == 0x22 or byte == 0x5C:
                found |= ESCAPED
                if byte == 0:
                    found |= NUL
    return found


cdef inline bint is_utf8(const Cursor *inner) noexcept nogil:
    """Whether bytes are UTF-8 (RFC 3629): shortest forms, no surrogates, nothing above U+10FFFF."""
    cdef const uint8_t *at = inner.at
    cdef const uint8_t *end = inner.end
    cdef uint8_t first, second
    cdef int more
    while at < end:
        first = at[0]
        at += 1
        if first < 0x80:
            continue
        if first < 0xC2 or first > 0xF4:
            return False
        more = 1 if first < 0xE0 else 2 if first < 0xF0 else 3
        if end - at < more:
            return False
        second = at[0]
        if (
            second & 0xC0 != 0x80
            or (first == 0xE0 and second < 0xA0)
            or (first == 0xED and second > 0x9F)
            or (first == 0xF0 and second < 0x90)
            or (first == 0xF4 and second > 0x8F)
        ):
            return False
        if more > 1 and at[1] & 0xC0 != 0x80:
            return False
        if more > 2 and at[2] & 0xC0 != 0x80:
            return False
        at += more
    return True
