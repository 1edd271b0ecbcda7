"""Sets of hashes of attributes. Everything here is inline: whoever cimports it needs nothing at run time."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize


cdef struct Table:
    # Numbers other than 0, by open addressing.
    uint32_t *slots
    size_t mask
    size_t used


cdef inline int _table_open(Table *table, size_t slots) except -1:
    table.slots = <uint32_t *>calloc(slots, sizeof(uint32_t))
    if table.slots == NULL:
        raise MemoryError
    table.mask = slots - 1
    table.used = 0
    return 0


cdef inline size_t _place(const Table *table, uint32_t number) noexcept nogil:
    """Where the number is, or would be."""
    cdef size_t place = (number * 0x9E3779B1U >> 7) & table.mask
    while table.slots[place] != 0 and table.slots[place] != number:
        place = (place + 1) & table.mask
    return place


cdef inline int _table_grow(Table *table) except -1:
    cdef Table wider
    cdef size_t slot
    _table_open(&wider, 4 * (table.mask + 1))
    for slot in range(table.mask + 1):
        if table.slots[slot]:
            wider.slots[_place(&wider, table.slots[slot])] = table.slots[slot]
    wider.used = table.used
    free(table.slots)
    table[0] = wider
    return 0


cdef inline int _add(Table *table, uint32_t number) except -1:
    if number == 0:
        number = 1
    cdef size_t place = _place(table, number)
    if table.slots[place] == 0:
        table.slots[place] = number
        table.used += 1
        if 2 * table.used > table.mask:
            _table_grow(table)
    return 0


cdef inline bytes _packed(Table *table):
    """Its numbers, four bytes each, big-endian, in any order."""
    cdef size_t slot
    cdef uint32_t number
    cdef bytes found = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>(4 * table.used))
    cdef uint8_t *at = <uint8_t *>PyBytes_AS_STRING(found)
    for slot in range(table.mask + 1):
        number = table.slots[slot]
        if number == 0:
            continue
        at[0] = <uint8_t>(number >> 24)
        at[1] = <uint8_t>(number >> 16)
        at[2] = <uint8_t>(number >> 8)
        at[3] = <uint8_t>number
        at += 4
    return found


cdef inline uint64_t _fmix(uint64_t number) noexcept nogil:
    """MurmurHash3's finaliser."""
    number = (number ^ number >> 33) * 0xFF51AFD7ED558CCDULL
    number = (number ^ number >> 33) * 0xC4CEB9FE1A85EC53ULL
    return number ^ number >> 33
