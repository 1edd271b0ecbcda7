# cython: cdivision=True
"""Packed hashes as one, filters of them, and what these hold, as ``attribute_hashes`` makes them; the same bytes."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from tidegauge.storage.postgres._hash_table cimport Table, _add, _fmix, _packed, _table_open


def merged(list pieces):
    """``attribute_hashes.merged``."""
    cdef Table table
    cdef bytes piece
    cdef const uint8_t *at
    cdef const uint8_t *end
    table.slots = NULL
    try:
        _table_open(&table, 4096)
        for piece in pieces:
            if piece is None:
                raise TypeError("a piece without hashes")
            at = <const uint8_t *>PyBytes_AS_STRING(piece)
            end = at + PyBytes_GET_SIZE(piece) // 4 * 4
            while at < end:
                _add(&table, <uint32_t>at[0] << 24 | <uint32_t>at[1] << 16 | <uint32_t>at[2] << 8 | at[3])
                at += 4
        return _packed(&table)
    finally:
        free(table.slots)


cdef struct Slot:
    uint64_t sum
    uint32_t count


cdef inline uint64_t _turned(uint64_t number, int by) noexcept nogil:
    return number << by | number >> (64 - by)


cdef inline void _places(uint64_t mixed, uint64_t third, uint32_t *places) noexcept nogil:
    places[0] = <uint32_t>((mixed & 0xFFFFFFFFU) * third >> 32)
    places[1] = <uint32_t>(third + ((_turned(mixed, 21) & 0xFFFFFFFFU) * third >> 32))
    places[2] = <uint32_t>(2 * third + ((_turned(mixed, 42) & 0xFFFFFFFFU) * third >> 32))


def filter_of(bytes hashes not None, uint32_t third, uint32_t seed):
    """A filter of three times ``third`` bytes as ``attribute_hashes`` tells it; None where it cannot be with this seed."""
    cdef size_t count = <size_t>PyBytes_GET_SIZE(hashes) // 4, slots = 3 * <size_t>third, each, waiting = 0, ordered = 0
    cdef const uint8_t *at = <const uint8_t *>PyBytes_AS_STRING(hashes)
    cdef uint32_t[3] places
    cdef uint32_t place, number
    cdef uint64_t mixed
    cdef int turn
    cdef bytes made
    cdef uint8_t *out
    if third == 0 or third > 0x10000000U:
        raise ValueError("a filter of no size, or of too large a one")
    cdef Slot *table = <Slot *>calloc(slots, sizeof(Slot))
    # A place comes to wait once at the most: its count passes 1 once.
    cdef uint32_t *alone = <uint32_t *>calloc(slots + 1, sizeof(uint32_t))
    cdef uint32_t *order = <uint32_t *>calloc(count + 1, sizeof(uint32_t))
    cdef uint64_t *sums = <uint64_t *>calloc(count + 1, sizeof(uint64_t))
    try:
        if table == NULL or alone == NULL or order == NULL or sums == NULL:
            raise MemoryError
        for each in range(count):
            number = <uint32_t>at[0] << 24 | <uint32_t>at[1] << 16 | <uint32_t>at[2] << 8 | at[3]
            at += 4
            mixed = _fmix(<uint64_t>number | <uint64_t>seed << 32)
            _places(mixed, third, places)
            for turn in range(3):
                table[places[turn]].sum ^= mixed
                table[places[turn]].count += 1
        for each in range(slots):
            if table[each].count == 1:
                alone[waiting] = <uint32_t>each
                waiting += 1
        while waiting:
            waiting -= 1
            place = alone[waiting]
            if table[place].count != 1:
                continue
            mixed = table[place].sum
            order[ordered], sums[ordered] = place, mixed
            ordered += 1
            _places(mixed, third, places)
            for turn in range(3):
                table[places[turn]].sum ^= mixed
                table[places[turn]].count -= 1
                if table[places[turn]].count == 1:
                    alone[waiting] = places[turn]
                    waiting += 1
        if ordered != count:
            return None
        made = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>slots)
        out = <uint8_t *>PyBytes_AS_STRING(made)
        memset(out, 0, slots)
        while ordered:
            ordered -= 1
            mixed = sums[ordered]
            _places(mixed, third, places)
            out[order[ordered]] = <uint8_t>(mixed ^ mixed >> 32) ^ out[places[0]] ^ out[places[1]] ^ out[places[2]]
        return made
    finally:
        free(table)
        free(alone)
        free(order)
        free(sums)


def split(bytes hashes not None, bytes made not None, uint32_t seed):
    """``attribute_hashes.split``."""
    cdef size_t count = <size_t>PyBytes_GET_SIZE(hashes) // 4, each
    cdef uint64_t third = <uint64_t>PyBytes_GET_SIZE(made) // 3, mixed
    cdef const uint8_t *at = <const uint8_t *>PyBytes_AS_STRING(hashes)
    cdef const uint8_t *slots = <const uint8_t *>PyBytes_AS_STRING(made)
    cdef uint32_t[3] places
    if third == 0:
        return b"", hashes[:4 * count]
    if third > 0x10000000U:
        raise ValueError("too large a filter")
    cdef bytes held = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>(4 * count))
    cdef bytes rest = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>(4 * count))
    cdef uint8_t *to_held = <uint8_t *>PyBytes_AS_STRING(held)
    cdef uint8_t *to_rest = <uint8_t *>PyBytes_AS_STRING(rest)
    cdef size_t holds = 0
    for each in range(count):
        mixed = _fmix(<uint64_t>at[0] << 24 | <uint64_t>at[1] << 16 | <uint64_t>at[2] << 8 | at[3] | <uint64_t>seed << 32)
        _places(mixed, third, places)
        if slots[places[0]] ^ slots[places[1]] ^ slots[places[2]] == <uint8_t>(mixed ^ mixed >> 32):
            memcpy(to_held + 4 * holds, at, 4)
            holds += 1
        else:
            memcpy(to_rest + 4 * (each - holds), at, 4)
        at += 4
    return held[:4 * holds], rest[:4 * (count - holds)]
