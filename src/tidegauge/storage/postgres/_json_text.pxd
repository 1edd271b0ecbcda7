"""Reads JSON of our own decoders, byte by byte. Everything here is inline: whoever cimports it needs nothing at run time."""

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memchr, memcmp


cdef struct Text:
    # A piece of JSON in an object that Python holds.
    const uint8_t *at
    size_t size


cdef inline bint _string(const uint8_t **place, const uint8_t *end, Text *text) noexcept nogil:
    """Read a string; what stands between its quotes."""
    cdef const uint8_t *at = place[0]
    if at >= end or at[0] != 0x22:
        return False
    at += 1
    text.at = at
    at = <const uint8_t *>memchr(at, 0x22, <size_t>(end - at))
    if at == NULL:
        return False
    if at[-1] == 0x5C:
        # An escaped quote, or an escaped backslash before the last one.
        at = text.at
        while at < end and at[0] != 0x22:
            at += 2 if at[0] == 0x5C else 1
        if at >= end:
            return False
    text.size = <size_t>(at - text.at)
    place[0] = at + 1
    return True


cdef inline bint _word(const uint8_t **place, const uint8_t *end, const char *word) noexcept nogil:
    cdef size_t size = 0
    while word[size]:
        size += 1
    if <size_t>(end - place[0]) < size or memcmp(place[0], word, size) != 0:
        return False
    place[0] += size
    return True


cdef inline bint _skip_nested(const uint8_t **place, const uint8_t *end) noexcept nogil:
    """Pass an array or an object, of whose brackets only the number counts."""
    cdef const uint8_t *at = place[0]
    cdef Text text
    cdef int64_t depth = 0
    while at < end:
        if at[0] == 0x22:
            if not _string(&at, end, &text):
                return False
            continue
        if at[0] == 0x5B or at[0] == 0x7B:
            depth += 1
        elif at[0] == 0x5D or at[0] == 0x7D:
            depth -= 1
            if depth == 0:
                place[0] = at + 1
                return True
        at += 1
    return False


cdef inline bint _skip(const uint8_t **place, const uint8_t *end) noexcept nogil:
    """Pass a value."""
    cdef Text text
    if place[0] >= end:
        return False
    if place[0][0] == 0x22:
        return _string(place, end, &text)
    if place[0][0] == 0x5B or place[0][0] == 0x7B:
        return _skip_nested(place, end)
    while place[0] < end and place[0][0] != 0x2C and place[0][0] != 0x7D and place[0][0] != 0x5D:
        place[0] += 1
    return True
